package confidb

import (
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/yaml"

	"github.com/confidb/confidb/internal/realquotes"
	"github.com/confidb/confidb/internal/sgxmint"
	"github.com/confidb/confidb/pkg/machines/machinestest"
	"github.com/confidb/confidb/pkg/policy"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/sgx"
)

// tcbTest is the document of tcb.
type tcbTest struct {
	Kind, Verdict string
	Simulated     bool
	Nodes         []tcbTestNode
	Groups        []tcbTestGroup
}

type tcbTestNode struct {
	Node, Status, Reason, Outcome string
	Claims                        *struct {
		TCB *struct {
			Status, PlatformStatus, QEStatus string
			Advisories                       []string
		}
		Enclave  *struct{}
		Platform *struct{ PPID, PlatformInstanceID, QEID, FMSPC string }
	}
	Findings []struct{ ID, Outcome, Reason, Hint string }
}

// open are the IDs of what did not pass beside status and advisories.
func (n tcbTestNode) open() (ids []string) {
	for _, f := range n.Findings {
		if f.Outcome != "pass" && f.ID != "tcb-status" && f.ID != "tcb-advisories" {
			ids = append(ids, f.ID)
		}
	}
	return ids
}

type tcbTestGroup struct {
	Status, Reason, Outcome    string
	Advisories, EndOfServicing []string
	FMSPC                      string
	EvaluationDataNumber       int
	Nodes                      []string
	Meaning, Do                string
	Tolerate                   *struct {
		Policy struct {
			AcceptTCB        []string `json:"accept-tcb"`
			AcceptAdvisories []string `json:"accept-advisories"`
		}
		Session struct {
			Tolerate         []string
			IgnoreAdvisories []string `json:"ignore_advisories"`
		}
	}
}

// runTCB runs the command.
func runTCB(t *testing.T, arguments ...string) (code int, out, errOut string) {
	t.Helper()
	streams, _, stdout, stderr := genericiooptions.NewTestIOStreams()
	code = Main(append([]string{"tcb"}, arguments...), streams)
	return code, stdout.String(), stderr.String()
}

// tcbJSON runs the command and reads its document.
func tcbJSON(t *testing.T, want int, arguments ...string) tcbTest {
	t.Helper()
	code, out, errOut := runTCB(t, append(arguments, "-o", "json")...)
	var d tcbTest
	if err := json.Unmarshal([]byte(out), &d); err != nil || code != want || d.Kind != "confidb.tcb/v1" {
		t.Fatalf("exit %d, want %d, %v\n%s%s", code, want, err, out, errOut)
	}
	return d
}

func writeAll(t *testing.T, dir string, files map[string][]byte) string {
	t.Helper()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// policyFile writes one that accepts these.
func policyFile(t *testing.T, statuses, advisories []string) string {
	t.Helper()
	text := "kind: confidb.policy/v1\n"
	if len(statuses) > 0 {
		text += "accept-tcb: [" + strings.Join(statuses, ", ") + "]\n"
	}
	if len(advisories) > 0 {
		text += "accept-advisories: [" + strings.Join(advisories, ", ") + "]\n"
	}
	return filepath.Join(writeAll(t, t.TempDir(), map[string][]byte{"policy.yaml": []byte(text)}), "policy.yaml")
}

// canary fails if an identity of the machine is printed, in any case of letters.
func canary(t *testing.T, e realquotes.Expected, out string) {
	t.Helper()
	for _, secret := range []string{e.PPID, e.PlatformInstanceID} {
		if secret != "" && strings.Contains(strings.ToLower(out), secret) {
			t.Errorf("the identity of the machine's owner is in\n%s", out)
		}
	}
}

func wantNarrow(t *testing.T, out string) {
	t.Helper()
	for line := range strings.Lines(out) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

func TestTCBOfRealQuotes(t *testing.T) {
	for id, c := range realquotes.All(t) {
		t.Run(id, func(t *testing.T) {
			e := c.Expected
			arguments := []string{"node-1=" + c.File("quote.bin"), "--offline", "--collateral", c.Folder, "--at", c.At(), "--sgx-root-ca", c.File("trustedRootCaCert.pem"), "--accept-simulated"}
			complete := len(e.RejectReasons) == 0 && e.TCBInfoVersion == 3
			bare := 3
			if e.Status == "UpToDate" {
				bare = 4 // the only one has a TCB info of an old form
			}
			d := tcbJSON(t, bare, arguments...)
			n, g := d.Nodes[0], d.Groups[0]
			if n.Status != e.Status || n.Claims == nil || n.Claims.Enclave != nil || !slices.Equal(g.Nodes, []string{"node-1"}) {
				t.Fatalf("got %+v in %+v", n, g)
			}
			if diff := cmp.Diff(e.Advisories, n.Claims.TCB.Advisories) + cmp.Diff(e.Advisories, g.Advisories); diff != "" {
				t.Error(diff)
			}
			if g.FMSPC != e.FMSPC || g.EvaluationDataNumber != e.EvaluationNumber || g.Meaning == "" || g.Do == "" || g.Status != e.Status {
				t.Errorf("got %+v", g)
			}
			if !strings.HasPrefix(n.Claims.Platform.PPID, "sha256:") || (e.PlatformInstanceID == "") != (n.Claims.Platform.PlatformInstanceID == "") {
				t.Errorf("got the identities %+v", n.Claims.Platform)
			}
			if d.Simulated != (id == realquotes.OwnRoot) {
				t.Errorf("simulated %v", d.Simulated)
			}
			for _, f := range n.Findings {
				if strings.HasPrefix(f.ID, "enclave-") {
					t.Errorf("the enclave was judged: %+v", f)
				}
			}
			var accepted []string
			if e.Status != "UpToDate" {
				accepted = []string{e.Status}
			}
			if complete != (g.Outcome == "fail" && len(n.open()) == 0) {
				t.Errorf("complete %v, and %v is open", complete, n.open())
			}
			if g.Outcome == "skip" && (!strings.Contains(g.Do, "collateral fetch") || strings.Contains(g.Do, "Nothing")) {
				t.Errorf("what is not shown needs steps: %s", g.Do)
			}
			all := append(arguments, "--policy", policyFile(t, accepted, e.Advisories))
			code, out, _ := runTCB(t, all...)
			if (code == 0) != complete || strings.Contains(out, "accept-") {
				t.Errorf("with a policy: exit %d, complete %v\n%s", code, complete, out)
			}
			_, text, _ := runTCB(t, arguments...)
			_, asYAML, _ := runTCB(t, append(arguments, "-o", "yaml")...)
			_, asJSON, _ := runTCB(t, append(arguments, "-o", "json")...)
			canary(t, e, text+asYAML+asJSON+out)
			wantNarrow(t, text)
		})
	}
}

// families are quotes of three machines of two families, and a bundle for each.
type families struct {
	quotes, collateral string
	at                 time.Time // when the collateral of both was current
	flags              []string
	simulated          bool
	machines           []realquotes.Expected
}

func (f families) arguments(more ...string) []string {
	a := append([]string{"--quotes", f.quotes, "--collateral", f.collateral, "--at", f.at.Format(time.RFC3339), "--offline"}, f.flags...)
	return append(a, more...)
}

// bothFamilies are minted ones and, where real quotes are, those of real machines.
// Everything that is told of them is the same but that one is simulated.
func bothFamilies(t *testing.T) map[string]families {
	t.Helper()
	kinds := map[string]families{"minted": mintedFamilies(t)}
	if real := realquotes.IfThere(t); real != nil {
		kinds["real"] = realFamilies(t, real)
	}
	return kinds
}

func realFamilies(t *testing.T, all map[string]realquotes.Case) families {
	t.Helper()
	ice, first, second := all["automata-quotev3-00606A-2025-eval17"], all["dcapqvl-00A067-2025"], all["automata-solana-debug-00A067-2025"]
	f := families{at: time.Date(2025, 6, 22, 0, 0, 0, 0, time.UTC), machines: []realquotes.Expected{ice.Expected, first.Expected, second.Expected}}
	f.quotes = writeAll(t, t.TempDir(), map[string][]byte{"node-1.bin": ice.Read(t, "quote.bin"), "node-2.quote": first.Read(t, "quote.bin"), "node-3.example.dat": second.Read(t, "quote.bin"), "notes.txt": []byte("no quote")})
	f.collateral = writeAll(t, t.TempDir(), map[string][]byte{"a.json": bundleOf(t, first.Files(t)), "b.json": bundleOf(t, ice.Files(t))})
	return f
}

// bundleOf is one bundle of the collateral among the files.
func bundleOf(t *testing.T, files map[string][]byte) []byte {
	t.Helper()
	maps.DeleteFunc(files, func(name string, _ []byte) bool { return !slices.Contains(sgx.CollateralFileNames(), name) })
	set, err := sgx.CollateralFromFiles(files)
	if err != nil {
		t.Fatal(err)
	}
	text, err := set[0].Bundle()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func mintedFamilies(t *testing.T) families {
	t.Helper()
	ice, err := sgxmint.NewAuthority(mintTime)
	if err != nil {
		t.Fatal(err)
	}
	other := *ice
	ice.FMSPC, ice.Status, ice.Advisories, ice.EvaluationNumber = [6]byte{0, 0x60, 0x6a}, sgx.SWHardeningNeeded, []string{"INTEL-SA-00615"}, 17
	other.FMSPC, other.Status, other.Advisories, other.EvaluationNumber = [6]byte{0, 0xa0, 0x67, 0x11}, sgx.ConfigurationAndSWHardeningNeeded, []string{"INTEL-SA-00289", "INTEL-SA-00615"}, 17
	f := families{quotes: t.TempDir(), collateral: t.TempDir(), at: mintTime, simulated: true}
	for file, a := range map[string]*sgxmint.Authority{"node-1.bin": ice, "node-2.quote": &other, "node-3.example.dat": &other} {
		quote, ids := mintQuote(t, a)
		f.machines = append(f.machines, ids)
		writeAll(t, f.quotes, map[string][]byte{file: quote})
	}
	writeAll(t, f.quotes, map[string][]byte{"notes.txt": []byte("no quote")})
	for file, a := range map[string]*sgxmint.Authority{"a.json": &other, "b.json": ice} {
		files, err := a.CollateralFiles(mintTime)
		if err != nil {
			t.Fatal(err)
		}
		writeAll(t, f.collateral, map[string][]byte{file: bundleOf(t, files)})
	}
	root := writeAll(t, t.TempDir(), map[string][]byte{"root.pem": ice.RootPEM()})
	f.flags = []string{"--sgx-root-ca", filepath.Join(root, "root.pem"), "--accept-simulated"}
	return f
}

// mintQuote makes a machine and its quote.
func mintQuote(t *testing.T, a *sgxmint.Authority) (quote []byte, ids realquotes.Expected) {
	t.Helper()
	p, err := sgxmint.NewPlatform(a, mintTime)
	if err != nil {
		t.Fatal(err)
	}
	quote, err = p.Quote(sgx.ReportBody{MRENCLAVE: sgx.Measurement{1}, Attributes: [16]byte{5}})
	if err != nil {
		t.Fatal(err)
	}
	id := hex.EncodeToString(p.QEID[:])
	return quote, realquotes.Expected{PPID: id, PlatformInstanceID: id}
}

func TestTCBFleetText(t *testing.T) {
	want := `3 nodes: 1 SWHardeningNeeded, 2 ConfigurationAndSWHardeningNeeded

FAIL ConfigurationAndSWHardeningNeeded (2 nodes)
  nodes       node-2, node-3.example
  platform    FMSPC 00a067110000, Intel's TCB evaluation 17
  advisories  INTEL-SA-00289 INTEL-SA-00615
  means       A setting of the BIOS, such as hyper-threading, opens a weakness
              that updates alone do not close. Microcode and firmware are
              current. Some weaknesses can only be met in the program, which has
              to be built with mitigations. For several families of machines
              Intel has no better status.
  do          Change the setting that the advisories name, restart the node, and
              attest again.
              Ask whoever builds the enclave whether the named advisories are
              met in software.
              Read each advisory at security-center.intel.com; it says which
              BIOS, microcode or setting closes it.
  If you can live with it, add these to the lists that are in policy.yaml:
    accept-tcb: [ConfigurationAndSWHardeningNeeded]
    accept-advisories: [INTEL-SA-00289, INTEL-SA-00615]
  and in each session that these nodes are to serve:
    security:
      attestation:
        tolerate: [insecure-configuration, software-hardening-needed]
        ignore_advisories: [INTEL-SA-00289, INTEL-SA-00615]

FAIL SWHardeningNeeded (1 node)
  nodes       node-1
  platform    FMSPC 00606a000000, Intel's TCB evaluation 17
  advisories  INTEL-SA-00615
  means       Microcode and firmware are current. Some weaknesses can only be
              met in the program, which has to be built with mitigations. For
              several families of machines Intel has no better status.
  do          Ask whoever builds the enclave whether the named advisories are
              met in software.
              Read each advisory at security-center.intel.com; it says which
              BIOS, microcode or setting closes it.
  If you can live with it, add these to the lists that are in policy.yaml:
    accept-tcb: [SWHardeningNeeded]
    accept-advisories: [INTEL-SA-00615]
  and in each session that these nodes are to serve:
    security:
      attestation:
        tolerate: [software-hardening-needed]
        ignore_advisories: [INTEL-SA-00615]

fleet: contraindicated
`
	for kind, f := range bothFamilies(t) {
		want := want
		if f.simulated {
			want = "SIMULATED: nothing here rests on Intel's root; no hardware protects anything.\n\n" + strings.TrimSuffix(want, "\n") + " (simulated)\n"
		}
		code, out, errOut := runTCB(t, f.arguments()...)
		if diff := cmp.Diff(want, out); diff != "" || code != 3 || errOut != "" {
			t.Errorf("%s: exit %d %s(-want +got):\n%s", kind, code, errOut, diff)
		}
		wantNarrow(t, out)
		for _, ids := range f.machines {
			canary(t, ids, out)
		}
	}
}

func TestTCBDocumentsAgree(t *testing.T) {
	for kind, f := range bothFamilies(t) {
		t.Run(kind, func(t *testing.T) {
			arguments := f.arguments()
			_, asJSON, _ := runTCB(t, append(arguments, "-o", "json")...)
			_, asYAML, _ := runTCB(t, append(arguments, "-o", "yaml")...)
			var a, b map[string]any
			if err := json.Unmarshal([]byte(asJSON), &a); err != nil {
				t.Fatal(err)
			}
			if err := yaml.Unmarshal([]byte(asYAML), &b); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(a, b); diff != "" {
				t.Error(diff)
			}
			keys := func(m any) (all []string) {
				for key := range m.(map[string]any) {
					all = append(all, key)
				}
				slices.Sort(all)
				return all
			}
			for _, c := range []struct {
				what any
				want []string
			}{
				{a, []string{"groups", "kind", "nodes", "simulated", "verdict"}},
				{a["nodes"].([]any)[0], []string{"claims", "findings", "node", "outcome", "reason", "status"}},
				{a["groups"].([]any)[0], []string{"advisories", "do", "endOfServicing", "evaluationDataNumber", "fmspc", "meaning", "nodes", "outcome", "reason", "status", "tolerate"}},
			} {
				if diff := cmp.Diff(c.want, keys(c.what)); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

// mintFleet makes quotes of machines under an authority of its own.
type mintFleet struct {
	authority          *sgxmint.Authority
	quotes, collateral string
	platforms          []*sgxmint.Platform
}

var mintTime = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func mintNodes(t *testing.T, count int, change func(*sgxmint.Authority, []*sgxmint.Platform)) mintFleet {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	f := mintFleet{quotes: t.TempDir(), collateral: t.TempDir()}
	var err error
	f.authority, err = sgxmint.NewAuthority(mintTime)
	must(err)
	for n := range count {
		p, err := sgxmint.NewPlatform(f.authority, mintTime)
		must(err)
		quote, err := p.Quote(sgx.ReportBody{MRENCLAVE: sgx.Measurement{1}, Attributes: [16]byte{5}})
		must(err)
		f.platforms = append(f.platforms, p)
		writeAll(t, f.quotes, map[string][]byte{fmt.Sprintf("node-%d.bin", n+1): quote})
	}
	if change != nil {
		change(f.authority, f.platforms)
	}
	files, err := f.authority.CollateralFiles(mintTime)
	must(err)
	writeAll(t, f.collateral, files)
	return f
}

func (f mintFleet) arguments(more ...string) []string {
	return append([]string{"--quotes", f.quotes, "--collateral", f.collateral, "--at", mintTime.Format(time.RFC3339), "--sgx-root-ca", filepath.Join(f.collateral, "trustedRootCaCert.pem")}, more...)
}

func (f mintFleet) copyQuote(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(f.quotes, from))
	if err != nil {
		t.Fatal(err)
	}
	writeAll(t, f.quotes, map[string][]byte{to: text})
}

func TestTCBMintedStatuses(t *testing.T) {
	for status, c := range map[sgx.TCBStatus]struct {
		code    int
		do      string
		session []string
	}{
		sgx.UpToDate:                          {5, "Nothing.", nil},
		sgx.SWHardeningNeeded:                 {3, "whoever builds the enclave", []string{"software-hardening-needed"}},
		sgx.ConfigurationNeeded:               {3, "Change the setting", []string{"insecure-configuration"}},
		sgx.ConfigurationAndSWHardeningNeeded: {3, "Change the setting", []string{"insecure-configuration", "software-hardening-needed"}},
		sgx.OutOfDate:                         {3, "Update BIOS, microcode", []string{"outdated-tcb"}},
		sgx.OutOfDateConfigurationNeeded:      {3, "Update BIOS and microcode, change the setting", []string{"outdated-tcb", "insecure-configuration"}},
		sgx.Revoked:                           {3, "Replace every secret", nil},
	} {
		t.Run(string(status), func(t *testing.T) {
			f := mintNodes(t, 1, func(a *sgxmint.Authority, _ []*sgxmint.Platform) {
				a.Status = status
				if status == sgx.Revoked {
					a.Advisories = []string{"INTEL-SA-00001"} // not even that is offered
				}
			})
			d := tcbJSON(t, c.code, f.arguments("--offline")...)
			g := d.Groups[0]
			if g.Status != string(status) || !d.Simulated || !strings.Contains(g.Do, c.do) || strings.Contains(g.Do, "accept-") {
				t.Errorf("got %+v", g)
			}
			if (g.Tolerate != nil) != (c.session != nil) {
				t.Fatalf("tolerations: got %+v", g.Tolerate)
			}
			_, text, _ := runTCB(t, f.arguments("--offline")...)
			wantNarrow(t, text)
			if !strings.HasPrefix(text, "SIMULATED: ") || !strings.Contains(text, "\n1 node: 1 "+string(status)+"\n") {
				t.Errorf("got\n%s", text)
			}
			if c.session == nil {
				if strings.Contains(text, "accept-") || strings.Contains(text, "tolerate") {
					t.Errorf("a toleration in\n%s", text)
				}
				if lost := strings.Contains(strings.Join(strings.Fields(text), " "), "must be considered lost"); lost != (status == sgx.Revoked) {
					t.Errorf("keys lost: %v in\n%s", lost, text)
				}
				return
			}
			if diff := cmp.Diff(c.session, g.Tolerate.Session.Tolerate); diff != "" {
				t.Error(diff)
			}
			wantUsableLines(t, text, []sgx.TCBStatus{status}, nil, c.session, nil)
		})
	}
}

// wantUsableLines reads the lines of a text with the parsers of policies and sessions.
func wantUsableLines(t *testing.T, text string, statuses []sgx.TCBStatus, advisories, words, ignored []string) {
	t.Helper()
	_, rest, _ := strings.Cut(text, "policy.yaml:\n")
	forPolicy, rest, _ := strings.Cut(rest, "  and in each session")
	_, rest, _ = strings.Cut(rest, "\n")
	forSession, _, _ := strings.Cut(rest, "\n\n")
	p, err := policy.Parse("p", []byte(unindented(forPolicy)+"kind: confidb.policy/v1\n"))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	if diff := cmp.Diff(statuses, p.CAS.AcceptTCB) + cmp.Diff(advisories, p.CAS.AcceptAdvisories); diff != "" {
		t.Error(diff)
	}
	s, err := session.Parse("s", []byte("name: s\nversion: \"0.3\"\nservices:\n- name: db\n  command: x\n"+unindented(forSession)))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	if diff := cmp.Diff(words, s.Security.Tolerate) + cmp.Diff(ignored, s.Security.IgnoreAdvisories); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(forPolicy+forSession, "*") {
		t.Errorf("a wildcard in\n%s", text)
	}
}

func unindented(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.TrimPrefix(line, "    "))
	}
	return b.String()
}

// Many advisories are wrapped, servicing that has ended is told, and what is no name
// of an advisory is never offered.
func TestTCBAdvisories(t *testing.T) {
	var named []string
	for n := range 9 {
		named = append(named, fmt.Sprintf("INTEL-SA-%05d", 100+n))
	}
	f := mintNodes(t, 1, func(a *sgxmint.Authority, _ []*sgxmint.Platform) {
		a.Status, a.Advisories = sgx.OutOfDate, append(slices.Clone(named), "INTEL-DOC-10001")
	})
	g := tcbJSON(t, 3, f.arguments("--offline")...).Groups[0]
	if diff := cmp.Diff(named, g.Advisories) + cmp.Diff([]string{"INTEL-DOC-10001"}, g.EndOfServicing); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(g.Meaning, "servicing of the processor has ended") || !strings.Contains(g.Do, "replace the machine") {
		t.Errorf("got %+v", g)
	}
	_, text, _ := runTCB(t, f.arguments("--offline")...)
	wantNarrow(t, text)
	wantUsableLines(t, text, []sgx.TCBStatus{sgx.OutOfDate}, append(slices.Clone(named), "INTEL-DOC-10001"), []string{"outdated-tcb"}, named)

	f = mintNodes(t, 1, func(a *sgxmint.Authority, _ []*sgxmint.Platform) {
		a.Advisories = []string{"*", "INTEL-SA-*", "x]\ny: [z"}
	})
	if g := tcbJSON(t, 3, f.arguments("--offline")...).Groups[0]; g.Tolerate != nil || g.Outcome != "fail" {
		t.Errorf("strange advisories: got %+v", g)
	}
}

// A quoting enclave that is out of date is told apart from its machine.
func TestTCBQuotingEnclave(t *testing.T) {
	f := mintNodes(t, 1, func(a *sgxmint.Authority, _ []*sgxmint.Platform) { a.QEStatus = sgx.OutOfDate })
	if g := tcbJSON(t, 3, f.arguments("--offline")...).Groups[0]; g.Status != "OutOfDate" || !strings.Contains(g.Do, "The quoting enclave is OutOfDate") {
		t.Errorf("got %+v", g)
	}
}

func TestTCBRevokedCertificate(t *testing.T) {
	f := mintNodes(t, 2, func(a *sgxmint.Authority, p []*sgxmint.Platform) {
		a.Status = sgx.OutOfDate
		block, _ := pem.Decode(p[1].Chain)
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		a.Revoked = []*big.Int{c.SerialNumber}
	})
	d := tcbJSON(t, 3, f.arguments("--offline")...)
	if len(d.Groups) != 2 {
		t.Fatalf("got %+v", d.Groups)
	}
	for _, g := range d.Groups {
		revoked := g.Nodes[0] == "node-2"
		if (g.Tolerate == nil) != revoked || strings.Contains(g.Meaning, "must be considered lost") != revoked {
			t.Errorf("got %+v", g)
		}
	}
}

func TestTCBClonedEvidence(t *testing.T) {
	f := mintNodes(t, 2, nil)
	f.copyQuote(t, "node-1.bin", "node-3.bin")
	d := tcbJSON(t, 3, append(f.arguments("--offline"), "--accept-simulated")...)
	if d.Verdict != "contraindicated" || len(d.Groups) != 2 {
		t.Fatalf("got %+v", d)
	}
	if g := d.Groups[0]; g.Reason != "cloned evidence" || g.Status != "unknown" || g.Tolerate != nil || !slices.Equal(g.Nodes, []string{"node-1", "node-3"}) {
		t.Errorf("got %+v", g)
	}
	// that a machine is revoked is told even when nobody knows which node it is
	revoked := mintNodes(t, 1, func(a *sgxmint.Authority, _ []*sgxmint.Platform) { a.Status = sgx.Revoked })
	revoked.copyQuote(t, "node-1.bin", "node-2.bin")
	if g := tcbJSON(t, 3, revoked.arguments("--offline")...).Groups[0]; g.Reason != "cloned evidence" || !strings.Contains(g.Meaning, "must be considered lost") {
		t.Errorf("got %+v", g)
	}
	// the same machine in another quote
	again, err := revoked.platforms[0].Quote(sgx.ReportBody{MRENCLAVE: sgx.Measurement{2}, Attributes: [16]byte{5}})
	if err != nil {
		t.Fatal(err)
	}
	writeAll(t, revoked.quotes, map[string][]byte{"node-2.bin": again})
	if g := tcbJSON(t, 3, revoked.arguments("--offline")...).Groups[0]; g.Reason != "cloned evidence" {
		t.Errorf("got %+v", g)
	}
}

// One real machine on two days, in other quotes of other levels.
func TestTCBRealClone(t *testing.T) {
	all := realquotes.All(t)
	a, b := all["automata-quotev3-00606A-2025-eval17"], all["automata-quotev3-00606A-2025-eval18"]
	code, out, _ := runTCB(t, "x="+a.File("quote.bin"), "y="+b.File("quote.bin"), "--offline", "--collateral", a.Folder, "--at", a.At())
	if code != 3 || !strings.Contains(out, "FAIL unknown: cloned evidence (2 nodes)") || !strings.HasPrefix(out, "2 nodes: 2 unknown\n") {
		t.Errorf("exit %d\n%s", code, out)
	}
	canary(t, a.Expected, out)
}

func TestTCBForgedEvidence(t *testing.T) {
	f := mintNodes(t, 3, nil)
	change := func(name string, at int) {
		text, err := os.ReadFile(filepath.Join(f.quotes, name))
		if err != nil {
			t.Fatal(err)
		}
		text[at] ^= 1
		writeAll(t, f.quotes, map[string][]byte{name: text})
	}
	change("node-2.bin", 200)
	writeAll(t, f.quotes, map[string][]byte{"node-3.bin": []byte("hello")})
	d := tcbJSON(t, 3, f.arguments("--offline")...)
	reasons := map[string]string{}
	for _, n := range d.Nodes {
		code, _, _ := strings.Cut(n.Findings[0].Reason, ":")
		reasons[n.Node] = n.Status + " " + n.Outcome + " " + code
		if n.Node != "node-1" && n.Claims != nil {
			t.Errorf("%s claims %+v", n.Node, n.Claims)
		}
	}
	want := map[string]string{"node-1": "UpToDate pass ", "node-2": "unknown fail quote-signature-invalid", "node-3": "unknown skip quote-unreadable"}
	if diff := cmp.Diff(want, reasons); diff != "" {
		t.Error(diff)
	}
	// without the lab's root nothing counts
	if d := tcbJSON(t, 3, "--offline", "--quotes", f.quotes, "--collateral", f.collateral); d.Simulated || d.Nodes[0].Status != "unknown" {
		t.Errorf("under Intel's root: got %+v", d)
	}
	writeAll(t, f.collateral, map[string][]byte{"tcbInfo.json": []byte(`{"tcbInfo":{},"signature":"00"}`)})
	if d := tcbJSON(t, 3, f.arguments("--offline")...); d.Nodes[0].Status != "unknown" || d.Nodes[0].Outcome != "fail" {
		t.Errorf("forged collateral: got %+v", d.Nodes[0])
	}
}

// One broken quote does not decide by which collateral others of its family are judged.
func TestTCBBrokenQuoteHarmsNobodyElse(t *testing.T) {
	for kind, f := range bothFamilies(t) {
		t.Run(kind, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join(f.quotes, "node-1.bin"))
			if err != nil {
				t.Fatal(err)
			}
			second := strings.LastIndex(string(text), "-----BEGIN") // the root no longer parses
			text[second+40] ^= 1
			writeAll(t, f.quotes, map[string][]byte{"node-0.bin": text})
			d := tcbJSON(t, 3, f.arguments()...)
			if d.Nodes[0].Outcome != "fail" || d.Nodes[0].Status != "unknown" || d.Nodes[1].Status != "SWHardeningNeeded" {
				t.Errorf("got %+v, %+v", d.Nodes[0], d.Nodes[1])
			}
		})
	}
}

// tcbCluster serves a cluster that knows labels, and makes it the only one there is.
func tcbCluster(t *testing.T, c *machinestest.Cluster) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		selector, err := labels.Parse(r.URL.Query().Get("labelSelector"))
		if err != nil || r.URL.Path != "/api/v1/nodes" || selector.Empty() {
			c.ServeHTTP(w, r)
			return
		}
		some := &machinestest.Cluster{}
		for _, n := range c.Nodes {
			if selector.Matches(labels.Set(n.Labels)) {
				some.Nodes = append(some.Nodes, n)
			}
		}
		some.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	config := fmt.Sprintf(`{apiVersion: v1, kind: Config, current-context: test, clusters: [{name: test, cluster: {server: %q}}], users: [{name: test, user: {}}], contexts: [{name: test, context: {cluster: test, user: test}}]}`, server.URL)
	t.Setenv("KUBECONFIG", filepath.Join(writeAll(t, t.TempDir(), map[string][]byte{"config": []byte(config)}), "config"))
	t.Setenv("PLATFORMS", "")
}

// Many machines are few paragraphs, and soon told.
func TestTCBOfManyMachines(t *testing.T) {
	f := mintNodes(t, 300, nil)
	begun := time.Now()
	code, out, _ := runTCB(t, f.arguments("--offline", "--accept-simulated", "--timeout", "20s")...)
	if code != 0 || !strings.Contains(out, "\n300 nodes: 300 UpToDate\n") || !strings.Contains(out, "and 295 more\n") || strings.Count(out, "\n") > 16 {
		t.Errorf("exit %d after %v\n%s", code, time.Since(begun), out)
	}
	if code, _, errOut := runTCB(t, f.arguments("--offline", "--timeout", "1ns")...); code != 124 {
		t.Errorf("exit %d %s", code, errOut)
	}
}
