package confidb

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/internal/sgxmint"
	"github.com/confidb/confidb/pkg/machines/machinestest"
	"github.com/confidb/confidb/pkg/sgx"
)

func runPlatforms(arguments ...string) (code int, out, errOut string) {
	streams, _, stdout, stderr := genericiooptions.NewTestIOStreams()
	code = Main(append([]string{"platforms"}, arguments...), streams)
	return code, stdout.String(), stderr.String()
}

// clusterWith has the machines of a fleet only.
func clusterWith(f mintFleet) *machinestest.Cluster {
	c := &machinestest.Cluster{}
	for i, p := range f.platforms {
		c.AddSGX(fmt.Sprintf("node-%d", i+1), fmt.Sprintf("Intel QE ID: %x", p.QEID))
	}
	return c
}

func TestPlatformsQuoted(t *testing.T) {
	f := mintNodes(t, 2, nil)
	c := clusterWith(f)
	c.Nodes[0].Status.NodeInfo.KernelVersion, c.Nodes[0].Status.NodeInfo.BootID = "6.1.0", "boot-1"
	tcbCluster(t, c)
	code, out, errOut := runPlatforms(f.arguments("-o", "json", "--require-provenance", "quoted")...)
	var d struct {
		Simulated bool
		Items     []struct {
			Name, Provenance, KernelVersion, BootID string
			Sources                                 []string
			Quote                                   *struct {
				FMSPC, TCBStatus     string
				EvaluationDataNumber int
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &d); err != nil || code != 5 || !d.Simulated || len(d.Items) != 2 {
		t.Fatalf("exit %d, want 5: %v\n%s%s", code, err, out, errOut)
	}
	n := d.Items[0]
	if n.Provenance != "quoted" || n.KernelVersion != "6.1.0" || n.BootID != "boot-1" || n.Quote == nil || n.Quote.FMSPC != "c0ffee000000" || n.Quote.TCBStatus != "UpToDate" || n.Quote.EvaluationDataNumber < 1 {
		t.Errorf("got %+v", n)
	}
	if diff := cmp.Diff([]string{"quote", "las-log"}, n.Sources); diff != "" {
		t.Error(diff)
	}
	code, out, _ = runPlatforms(f.arguments("--accept-simulated")...)
	if code != 0 || !strings.HasPrefix(out, "SIMULATED: ") || strings.Count(out, " quoted  ") != 2 {
		t.Errorf("exit %d\n%s", code, out)
	}
	wantNarrow(t, out)
	code, out, errOut = runPlatforms(f.arguments("--accept-simulated", "-o", "session")...)
	if code != 0 || !strings.HasPrefix(out, "platforms: [INTEL") || !strings.HasPrefix(errOut, "SIMULATED: ") {
		t.Errorf("exit %d\n%s%s", code, out, errOut)
	}
	code, out, _ = runPlatforms(f.arguments("--accept-simulated", "-o", "wide")...)
	if code != 0 || strings.Count(out, "quote,las-log") != 2 || !strings.Contains(out, "UpToDate") {
		t.Errorf("exit %d\n%s", code, out)
	}
}

// A status that no policy accepts is told, and is no reason to doubt who it is; only
// the quotes of a revoked machine can be made by anybody.
func TestPlatformsQuotedWhateverTheStatus(t *testing.T) {
	for status, code := range map[sgx.TCBStatus]int{sgx.OutOfDate: 0, sgx.SWHardeningNeeded: 0, sgx.Revoked: 1} {
		f := mintNodes(t, 1, func(a *sgxmint.Authority, _ []*sgxmint.Platform) { a.Status = status })
		tcbCluster(t, clusterWith(f))
		got, out, errOut := runPlatforms(f.arguments("--accept-simulated", "-o", "custom-columns=P:.provenance,S:.quote.tcbStatus")...)
		if got != code || (code == 0) != strings.Contains(out, "quoted  "+string(status)) || (code == 1) != strings.Contains(errOut, `quote of node "node-1"`) {
			t.Errorf("%s: exit %d, want %d\n%s%s", status, got, code, out, errOut)
		}
	}
}

func TestPlatformsQuotesOfEnclavesForDebugging(t *testing.T) {
	f := mintNodes(t, 1, nil)
	quote, err := f.platforms[0].Quote(sgx.ReportBody{Attributes: [16]byte{7}})
	if err != nil {
		t.Fatal(err)
	}
	writeAll(t, f.quotes, map[string][]byte{"node-1.bin": quote})
	tcbCluster(t, clusterWith(f))
	if code, out, errOut := runPlatforms(f.arguments("--accept-simulated", "--require-provenance", "quoted")...); code != 0 {
		t.Errorf("whichever enclave: exit %d\n%s%s", code, out, errOut)
	}
}

func TestPlatformsRefusesQuotes(t *testing.T) {
	change := func(t *testing.T, f mintFleet, at int) {
		t.Helper()
		path := filepath.Join(f.quotes, "node-1.bin")
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text[at] ^= 1
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		prepare   func(*testing.T, mintFleet, *machinestest.Cluster)
		arguments []string
		without   string
		code      int
		want      string
	}{
		"a bit of the ID":     {func(t *testing.T, f mintFleet, _ *machinestest.Cluster) { change(t, f, 28) }, nil, "", 1, `quote of node "node-1" (`},
		"a bit of the report": {func(t *testing.T, f mintFleet, _ *machinestest.Cluster) { change(t, f, 60) }, nil, "", 1, `quote of node "node-1" (`},
		"another machine": {func(t *testing.T, f mintFleet, c *machinestest.Cluster) {
			c.Logs["scone-system/las-node-1/las"] = "Intel QE ID: 85ffc69266c833546e5dca1c676a6151"
		}, nil, "", 1, `sources disagree about node "node-1": quote `},
		"a copy": {func(t *testing.T, f mintFleet, _ *machinestest.Cluster) { f.copyQuote(t, "node-1.bin", "node-2.bin") }, nil, "", 1, "cloned evidence: one machine is shown by node-1, node-2"},
		"a stranger": {func(t *testing.T, f mintFleet, c *machinestest.Cluster) {
			c.Nodes, c.Pods = c.Nodes[:1], c.Pods[:1]
		}, nil, "", 1, `a platform ID for node "node-2", which the cluster does not have`},
		"collateral that is too old": {nil, []string{"--at", mintTime.AddDate(1, 0, 0).Format(time.RFC3339)}, "", 1, `quote of node "node-1" (`},
		"Intel's root":               {nil, nil, "--sgx-root-ca", 1, `quote of node "node-1" (`},
		"no collateral":              {nil, nil, "--collateral", 2, "--quotes: want --collateral as well"},
		"no quotes":                  {nil, nil, "--quotes", 2, "want --quotes as well"},
		"a list":                     {nil, []string{"--platform", "INTEL_QE_ID:85ffc69266c833546e5dca1c676a6151"}, "", 2, "--quotes: want it without a list of platform IDs (from --platform)"},
		"an unknown word":            {nil, []string{"--require-provenance", "certain"}, "", 2, `--require-provenance: provenance: got "certain", want quoted or declared`},
		"only some": {func(t *testing.T, f mintFleet, _ *machinestest.Cluster) {
			if err := os.Remove(filepath.Join(f.quotes, "node-2.bin")); err != nil {
				t.Fatal(err)
			}
		}, []string{"--require-provenance", "quoted"}, "", 1, "platform IDs: want quoted ones, got weaker: node-2 (claimed)\nhint: give a quote of each"},
	} {
		t.Run(name, func(t *testing.T) {
			f := mintNodes(t, 2, nil)
			cluster := clusterWith(f)
			if c.prepare != nil {
				c.prepare(t, f, cluster)
			}
			tcbCluster(t, cluster)
			arguments := []string{"--accept-simulated", "-o", "json"}
			all := f.arguments(c.arguments...)
			for i := 0; i < len(all); i += 2 {
				if all[i] != c.without && !(all[i] == "--at" && i < 6 && len(c.arguments) > 0 && c.arguments[0] == "--at") {
					arguments = append(arguments, all[i], all[i+1])
				}
			}
			code, out, errOut := runPlatforms(arguments...)
			if code != c.code || out != "" || !strings.Contains(errOut, c.want) {
				t.Errorf("exit %d, want %d and %q\n%s%s", code, c.code, c.want, out, errOut)
			}
		})
	}
}

// The policy's freshness counts: what is too old by itself is used within its grace.
func TestPlatformsQuotesAndFreshness(t *testing.T) {
	f := mintNodes(t, 1, nil)
	tcbCluster(t, clusterWith(f))
	policy := filepath.Join(writeAll(t, t.TempDir(), map[string][]byte{"p.yaml": []byte("kind: confidb.policy/v1\nmax-collateral-age: 1h\n")}), "p.yaml")
	late := mintTime.Add(2 * time.Hour).Format(time.RFC3339)
	arguments := []string{"--quotes", f.quotes, "--collateral", f.collateral, "--at", late, "--sgx-root-ca", filepath.Join(f.collateral, "trustedRootCaCert.pem"), "--accept-simulated"}
	if code, out, errOut := runPlatforms(arguments...); code != 0 {
		t.Errorf("exit %d\n%s%s", code, out, errOut)
	}
	if code, out, errOut := runPlatforms(append(arguments, "--policy", policy)...); code != 1 || !strings.Contains(errOut, `quote of node "node-1"`) {
		t.Errorf("too old for the policy: exit %d\n%s%s", code, out, errOut)
	}
}

// Up to SCONE 6 the ID is a key that no quote of Intel's has.
func TestPlatformsOfSCONE6AreOnlyClaimed(t *testing.T) {
	f := mintNodes(t, 1, nil)
	c := &machinestest.Cluster{}
	c.AddSGX("node-1", "SCONE QE has public key "+strings.Repeat("2C45C8294D491808", 4))
	tcbCluster(t, c)
	code, out, errOut := runPlatforms(f.arguments("--accept-simulated")...)
	if code != 0 || !strings.Contains(out, "claimed") || !strings.Contains(errOut, "warning: platform IDs of SCONE up to 6 are not in Intel's quotes") {
		t.Errorf("exit %d\n%s%s", code, out, errOut)
	}
	wantNarrow(t, out)
	code, _, errOut = runPlatforms(f.arguments("--accept-simulated", "--require-provenance", "quoted")...)
	if code != 1 || !strings.Contains(errOut, "hint: IDs of SCONE up to 6 are not in Intel's quotes") {
		t.Errorf("exit %d\n%s", code, errOut)
	}
}

func TestPlatformsRequiresProvenance(t *testing.T) {
	f := mintNodes(t, 1, nil)
	tcbCluster(t, clusterWith(f))
	id := fmt.Sprintf("INTEL_QE_ID:%x", f.platforms[0].QEID)
	file := filepath.Join(writeAll(t, t.TempDir(), map[string][]byte{"nodes": []byte("node-1 " + id + "\n")}), "nodes")
	for name, c := range map[string]struct {
		arguments []string
		code      int
		want      string
	}{
		"none":                 {nil, 0, ""},
		"declared":             {[]string{"--require-provenance", "declared"}, 1, "want declared ones, got weaker: node-1 (claimed)"},
		"declared, by a file":  {[]string{"--require-provenance", "declared", "--platforms-file", file}, 0, ""},
		"declared, by a list":  {[]string{"--require-provenance", "declared", "--platform", id}, 0, ""},
		"a list is not quoted": {[]string{"--require-provenance", "quoted", "--platform", id}, 1, "got weaker: " + id + " (declared)"},
		"a file is not quoted": {[]string{"--require-provenance", "quoted", "--platforms-file", file}, 1, "got weaker: node-1 (declared)"},
	} {
		code, out, errOut := runPlatforms(c.arguments...)
		if code != c.code || (c.code == 0) != (out != "") || !strings.Contains(errOut, c.want) {
			t.Errorf("%s: exit %d, want %d\n%s%s", name, code, c.code, out, errOut)
		}
	}
}

// The table fits a terminal, whatever nodes are called and whatever keeps them.
func TestPlatformsTableIsNarrow(t *testing.T) {
	for name, line := range map[string]string{"SCONE 7": "Intel QE ID: %032x", "SCONE 6": "public key %064x"} {
		c := &machinestest.Cluster{}
		for n, node := range []string{"a", "ip-10-0-113-23.eu-central-1.compute.internal", strings.Repeat("long.", 50) + "end"} {
			c.AddSGX(node, fmt.Sprintf(line, n+1))
			c.Nodes[n].Spec.Unschedulable = n > 0
			c.Nodes[n].Status.Conditions = c.Nodes[n].Status.Conditions[:1-n/2]
		}
		tcbCluster(t, c)
		code, out, errOut := runPlatforms()
		if code != 0 || !strings.Contains(out, "ip-10-0-113-23…") {
			t.Errorf("%s: exit %d\n%s%s", name, code, out, errOut)
		}
		wantNarrow(t, out)
	}
}
