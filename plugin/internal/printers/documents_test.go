package printers_test

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/change"
	"github.com/confidb/confidb/pkg/platform"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/plugin/internal/printers"
)

func platformID(t *testing.T, digits string) attest.PlatformID {
	t.Helper()
	id, err := attest.ParsePlatformID(digits)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// machines has a node of each kind: usable, not usable for a reason that is long, not
// known, and without SGX.
func machines(t *testing.T) *platform.Inventory {
	t.Helper()
	key, id := strings.Repeat("a1", 32), "INTEL_QE_ID:"+strings.Repeat("b2", 16)
	return &platform.Inventory{
		Nodes: []platform.Node{
			{
				Name: "node-1", SGX: true, Usable: true, ID: platformID(t, id), Provenance: attest.Quoted, Sources: []platform.Source{platform.SourceQuote, platform.SourceLog},
				LASPods: []string{"scone-system/las-1"}, Resources: []string{"sgx.intel.com/enclave=8/8"},
				Quote:  &platform.Quote{Node: "node-1", Origin: "quotes/node-1.bin", FMSPC: "00606a000000", Status: "UpToDate", EvaluationNumber: 17},
				System: platform.System{KernelVersion: "6.1.0", OSImage: "Debian", BootID: "boot"},
			},
			{
				Name: "a-node-with-a-name.that-is-longer.than.any-terminal.example.org", SGX: true, ID: platformID(t, key), Provenance: attest.Claimed,
				Reason: "cordoned, and its kubelet says " + strings.Repeat("nothing-at-all-", 4) + " since a week",
			},
			{Name: "a-plain-node", Reason: "no SGX"},
			{Name: "node-3", SGX: true, Reason: "no source knows its ID"},
		},
		Warnings: []string{"a warning"},
	}
}

// TestPlatforms writes the same machines in each format, and a plain list.
func TestPlatforms(t *testing.T) {
	list := &platform.Inventory{Declared: []attest.PlatformID{platformID(t, "INTEL_QE_ID:"+strings.Repeat("c3", 16))}}
	for name, format := range map[string]string{
		"table.txt": "", "wide.txt": "wide", "document.json": "json", "document.yaml": "yaml", "session.txt": "session", "name.txt": "name",
		"columns.txt": "custom-columns=NODE:.name,FROM:.sources,STATUS:.quote.tcbStatus,NONE:.none",
		"paths.txt":   `jsonpath={range .items[*]}{.name} {.generation}{"\n"}{end}`,
		"go.txt":      `go-template={{range .items}}{{.name}} {{end}}`,
	} {
		out := printed(t, format, machines(t), "cluster", true)
		if name == "table.txt" {
			for line := range strings.Lines(string(out)) {
				if n := utf8.RuneCountInString(line) - 1; n > 80 {
					t.Errorf("%s: %d columns: %s", name, n, line)
				}
			}
		}
		golden(t, "platforms-"+name, out)
		if format != "name" { // a list names no nodes
			golden(t, "list-"+name, printed(t, format, list, "--platform", false))
		}
	}
}

// printed is what goes to standard error and to standard output.
func printed(t *testing.T, format string, i *platform.Inventory, origin string, simulated bool) []byte {
	t.Helper()
	print, err := printers.Platforms(format)
	if err != nil {
		t.Fatal(err)
	}
	streams, _, out, errOut := genericiooptions.NewTestIOStreams()
	if err := print(streams, i, origin, simulated); err != nil {
		t.Errorf("%s: %v", format, err)
	}
	return append(errOut.Bytes(), out.Bytes()...)
}

func version(t *testing.T, text string) *session.Session {
	t.Helper()
	s, err := session.Parse("s.yml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestPlatformsPlan shows that what a plan prints for programs is what it is, and what
// it changes.
func TestPlatformsPlan(t *testing.T) {
	before, after := strings.Repeat("b2", 16), strings.Repeat("c3", 16)
	text := "name: s\nversion: \"0.3\"\nservices:\n- name: db\n  command: x\n  platforms: [INTEL_QE_ID:"
	from, to := version(t, text+before+"]\n"), version(t, text+after+"]\n")
	plan := &change.PlatformsPlan{
		Cluster: "cluster", Namespace: "shop", Name: "db1",
		Before: []attest.PlatformID{platformID(t, "INTEL_QE_ID:"+before)}, After: []attest.PlatformID{platformID(t, "INTEL_QE_ID:"+after)},
		Sessions: []change.PlannedSession{{From: change.Version{Hash: strings.Repeat("0", 64), Session: from}, To: to, Change: change.New(from, to)}},
	}
	for name, p := range map[string]*change.PlatformsPlan{"plan": plan, "empty": {Cluster: "cluster", Before: []attest.PlatformID{}, After: []attest.PlatformID{}}} {
		for _, format := range []string{"json", ""} {
			var out bytes.Buffer
			if err := printers.Print(&out, format, printers.NewPlatformsPlan(p, true)); err != nil {
				t.Fatal(err)
			}
			golden(t, "plan-"+name+map[string]string{"json": ".json", "": ".txt"}[format], out.Bytes())
		}
	}
}
