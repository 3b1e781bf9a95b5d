package confidb

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/pkg/machines/machinestest"
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
		}, []string{"--require-provenance", "quoted"}, "", 1, "platform IDs: want quoted ones, got weaker: node-2 (claimed)\nhint: Give a quote of each"},
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
