package inventory_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/inventory"
	"github.com/confidb/confidb/pkg/platform"
	"github.com/confidb/confidb/pkg/sgx"
)

const (
	a = "INTEL_QE_ID:85ffc69266c833546e5dca1c676a6151"
	b = "INTEL_QE_ID:eee9e58de65548e3778f4d5e42e30345"
	k = "126C8098408FEB2002F5EB8B9E6C2AE26197E3617875633C5BD4EB4454278C34"
)

func parse(text string) attest.PlatformID {
	id, err := attest.ParsePlatformID(text)
	if err != nil {
		panic(err) // a mistake in the test
	}
	return id
}

// node is one with SGX; without text it has no ID.
func node(name, text string) platform.Node {
	n := platform.Node{Name: name, SGX: true, Usable: true, System: platform.System{KernelVersion: "6.1", OSImage: "Debian \"12\"", BootID: "boot-1"}}
	if text != "" {
		n.ID, n.Provenance = parse(text), attest.Claimed
	}
	return n
}

func quoted(name, text string) platform.Node {
	n := node(name, text)
	n.Provenance, n.Quote = attest.Quoted, &platform.Quote{FMSPC: "00906ed50000", Status: sgx.UpToDate, EvaluationNumber: 17}
	return n
}

func merged(t *testing.T, f *inventory.File, day inventory.Date, nodes ...platform.Node) *inventory.File {
	t.Helper()
	after, _, err := f.Merge(nodes, day, nil)
	if err != nil {
		t.Fatal(err)
	}
	return after
}

const text = `# The machines of this cluster, and how their platform IDs are known.
# kubectl confidb platforms inventory THIS-FILE --write brings it up to date.
kind: confidb.inventory/v1
nodes:
- node: "n1"
  platformID: "INTEL_QE_ID:85ffc69266c833546e5dca1c676a6151"
  generation: intel-qe-id
  provenance: quoted
  fmspc: "00906ed50000"
  tcbStatus: UpToDate
  tcbEvaluation: 17
  kernelVersion: "6.1"
  osImage: "Debian \"12\""
  bootID: "boot-1"
  firstSeen: "2026-11-01"
  lastSeen: "2026-11-02"
- node: "true"
  platformID: "INTEL_QE_ID:eee9e58de65548e3778f4d5e42e30345"
  generation: intel-qe-id
  provenance: claimed
  kernelVersion: "6.1"
  osImage: "Debian \"12\""
  bootID: "boot-1"
  firstSeen: "2026-11-01"
  lastSeen: "2026-11-01"
  retired: "2026-11-02"
`

func TestRenderAndParse(t *testing.T) {
	f := merged(t, &inventory.File{}, "2026-11-01", node("true", b), node("n1", a))
	f = merged(t, f, "2026-11-02", quoted("n1", a[:12]+strings.ToUpper(a[12:])))
	if diff := cmp.Diff(text, string(f.Render())); diff != "" {
		t.Error(diff)
	}
	read, err := inventory.Parse("f.yaml", f.Render())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(f, read); diff != "" {
		t.Error(diff)
	}
	if n := read.Node("n1"); n == nil || n.Quote.EvaluationNumber != 17 || read.Node("n2") != nil {
		t.Errorf("got %+v", n)
	}
	if c := read.Claims("f.yaml"); len(c) != 1 || c[0].Node != "n1" || c[0].Source != platform.SourceFile {
		t.Errorf("a retired node is no claim: got %+v", c)
	}
	empty, err := inventory.Parse("e", new(inventory.File).Render())
	if err != nil || len(empty.Nodes) != 0 {
		t.Errorf("got %+v, %v", empty, err)
	}
}

func TestIsFile(t *testing.T) {
	for text, want := range map[string]bool{
		text: true, "{}": false, "n1: " + a: false, "\"kind\": 'confidb.inventory/v1' # ours": true, " kind: confidb.inventory/v1": false, "kind: confidb.inventory/v10": false,
	} {
		if got := inventory.IsFile([]byte(text)); got != want {
			t.Errorf("%q: got %v", text, got)
		}
	}
}

// TestReadClaims: what says that it is an inventory is read as nothing else.
func TestReadClaims(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want int
	}{"an inventory": {text, 1}, "lines": {"n1 " + a + "\n", 1}, "a broken inventory": {text + "n1: " + a + "\n", -1}, "nothing": {"", -1}} {
		got, err := inventory.ReadClaims("f", []byte(c.text))
		if (err == nil) != (c.want >= 0) {
			t.Errorf("%s: got %v and %v", name, got, err)
		}
		if err == nil && len(got) != c.want {
			t.Errorf("%s: got %d claims, want %d", name, len(got), c.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for name, c := range map[string]struct{ old, new, want string }{
		"nothing":             {text, "", "f:1:1: got an empty document, want kind: confidb.inventory/v1"},
		"not YAML":            {"nodes:", "nodes: [", "got text that is not YAML"},
		"another kind":        {"inventory/v1", "inventory/v2", "f:3:7: kind: got \"confidb.inventory/v2\", want \"confidb.inventory/v1\""},
		"no kind":             {"kind: confidb.inventory/v1\n", "", "f:3:1: kind: got nothing, want \"confidb.inventory/v1\""},
		"no list":             {text, "kind: confidb.inventory/v1\nnodes: {}\n", "f:2:8: nodes: got a mapping, want a list"},
		"no nodes":            {text, "kind: confidb.inventory/v1\n", "f:1:1: nodes: it is missing"},
		"an unknown key":      {"osImage:", "osimage:", "f:13:3: nodes[0]: got the unknown key \"osimage\""},
		"a key twice":         {"  bootID:", "  osImage:", "got the key \"osImage\" a second time"},
		"a node twice":        {`"true"`, `"n1"`, `f:17:3: nodes[1]: node "n1" is in line 5 already`},
		"another document":    {text, text + "---\nkind: x\n", "got a second document"},
		"an alias":            {`"boot-1"`, "&x y", "f:14:11: got the anchor &x, want a value without one"},
		"a tag":               {`"boot-1"`, "!!str y", "f:14:11: got the tag \"!!str\", want a value without one"},
		"no name":             {`node: "n1"`, `node: ""`, `f:5:9: nodes[0].node: got "", want the name of a node`},
		"a bad name":          {`node: "n1"`, `node: "N 1"`, "want the name of a node"},
		"a long name":         {`node: "n1"`, `node: "` + strings.Repeat("n", 254) + `"`, "want the name of a node"},
		"a name with a dash":  {`node: "n1"`, `node: "n1-"`, "want the name of a node"},
		"a long text":         {`"6.1"`, `"` + strings.Repeat("6", 257) + `"`, "want printable text"},
		"a bad ID":            {a, "85ff", "f:6:15: nodes[0].platformID: platform ID: got"},
		"no ID":               {`  platformID: "` + a + "\"\n", "", "f:5:3: nodes[0].platformID: it is missing"},
		"another generation":  {"generation: intel-qe-id", "generation: scone-qe", `got generation "scone-qe"`},
		"another word":        {"provenance: quoted", "provenance: certain", `f:8:15: nodes[0].provenance: got "certain", want quoted, declared or claimed`},
		"quoted and no FMSPC": {"  fmspc: \"00906ed50000\"\n", "", "got no fmspc of an ID that is quoted"},
		"FMSPC of a claim":    {"provenance: quoted", "provenance: claimed", "got fmspc of an ID that is not quoted"},
		"a bad FMSPC":         {"00906ed50000", "00906ED50000", "f:9:10: "},
		"a bad status":        {"UpToDate", "Fine", "f:10:14: "},
		"a bad number":        {"tcbEvaluation: 17", "tcbEvaluation: -1", "want a number"},
		"quoted of SCONE 6":   {a + "\"\n  generation: intel-qe-id", k + "\"\n  generation: scone-qe", "which is in no quote of Intel's"},
		"a bad day":           {"2026-11-02", "2026-11-32", "want a day such as 2026-11-25"},
		"a time":              {`lastSeen: "2026-11-02"`, `lastSeen: "2026-11-02T00:00:00Z"`, "want a day"},
		"days in disorder":    {`firstSeen: "2026-11-01"`, `firstSeen: "2026-11-03"`, "got lastSeen 2026-11-02 before firstSeen 2026-11-03"},
		"retired too early":   {`retired: "2026-11-02"`, `retired: "2026-10-02"`, "got retired 2026-10-02 before lastSeen"},
		"a control character": {`"6.1"`, `"6\u001b.1"`, "want printable text"},
		"no UTF-8":            {"n1", "n\xff", "f:5:11: got the byte 0xff, want UTF-8"},
		"too long":            {text, text + strings.Repeat("#", inventory.MaxFile), "want at most"},
	} {
		t.Run(name, func(t *testing.T) {
			changed := strings.Replace(text, c.old, c.new, 1)
			if changed == text {
				t.Fatal("the test changes nothing")
			}
			f, err := inventory.Parse("f", []byte(changed))
			var place *inventory.Error
			if f != nil || !errors.As(err, &place) || place.Line < 1 || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %+v and %v, want %q", f, err, c.want)
			}
			if name == "an unknown key" && place.Hint() != `write "osImage"` {
				t.Errorf("hint %q", place.Hint())
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(text))
	f.Add([]byte("kind: confidb.inventory/v1\nnodes: []\n"))
	f.Add([]byte("kind: confidb.inventory/v1\nnodes: [{node: a}]\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		read, err := inventory.Parse("f", text)
		if err != nil {
			var place *inventory.Error
			if !errors.As(err, &place) {
				t.Fatalf("an error without place: %v", err)
			}
			return
		}
		again, err := inventory.Parse("f", read.Render())
		if err != nil {
			t.Fatalf("what was written is not read: %v\n%s", err, read.Render())
		}
		if diff := cmp.Diff(read, again); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestMerge(t *testing.T) {
	start := merged(t, &inventory.File{}, "2026-11-01", node("n1", a), node("n2", b))
	other := "INTEL_QE_ID:00000000000000000000000000000001"
	rebooted := node("n1", a)
	rebooted.BootID = "boot-2"
	entry := func(node string, what inventory.Word, was, is, needs string) inventory.Entry {
		return inventory.Entry{Node: node, What: what, Was: was, Is: is, Needs: needs}
	}
	for name, c := range map[string]struct {
		nodes  []platform.Node
		accept []string
		want   []inventory.Entry
		err    string
	}{
		"the same":     {[]platform.Node{node("n1", a), node("n2", b)}, nil, nil, ""},
		"added":        {[]platform.Node{node("n1", a), node("n2", b), node("n3", other)}, nil, []inventory.Entry{entry("n3", inventory.Added, "", other, "")}, ""},
		"retired":      {[]platform.Node{node("n1", a)}, nil, []inventory.Entry{entry("n2", inventory.Retired, b, "", "")}, ""},
		"started anew": {[]platform.Node{rebooted, node("n2", b)}, nil, []inventory.Entry{entry("n1", inventory.Updated, "boot boot-1", "boot boot-2", "")}, ""},
		"quoted": {[]platform.Node{quoted("n1", a), node("n2", b)}, nil,
			[]inventory.Entry{entry("n1", inventory.Updated, "provenance claimed, TCB ", "provenance quoted, TCB UpToDate, evaluation 17, FMSPC 00906ed50000", "")}, ""},
		"its LAS is down":       {[]platform.Node{node("n1", ""), node("n2", b)}, nil, nil, ""},
		"its SGX is gone":       {[]platform.Node{{Name: "n1"}, node("n2", b)}, nil, nil, ""},
		"another ID":            {[]platform.Node{node("n1", other), node("n2", b)}, nil, []inventory.Entry{entry("n1", inventory.NewID, a, other, "it had another ID")}, "nobody accepted the new identity of: n1"},
		"another ID, accepted":  {[]platform.Node{node("n1", other), node("n2", b)}, []string{"n1"}, []inventory.Entry{entry("n1", inventory.NewID, a, other, "it had another ID")}, ""},
		"a clone":               {[]platform.Node{node("n1", a), node("n2", b), node("n3", a)}, nil, []inventory.Entry{entry("n3", inventory.Added, "", a, "its ID is that of n1")}, "nobody accepted the new identity of: n3"},
		"a clone, accepted":     {[]platform.Node{node("n1", a), node("n2", b), node("n3", a)}, []string{"n3"}, []inventory.Entry{entry("n3", inventory.Added, "", a, "its ID is that of n1")}, ""},
		"one takes the other's": {[]platform.Node{node("n1", b), node("n2", b)}, nil, []inventory.Entry{entry("n1", inventory.NewID, a, b, "it had another ID, and its ID is that of n2")}, "n1"},
		"swapped": {[]platform.Node{node("n1", b), node("n2", a)}, []string{"n1"}, []inventory.Entry{
			entry("n1", inventory.NewID, a, b, "it had another ID, and its ID is that of n2"), entry("n2", inventory.NewID, b, a, "it had another ID, and its ID is that of n1")}, "nobody accepted the new identity of: n2"},
		"renamed": {[]platform.Node{node("n1", a), node("n3", b)}, nil, []inventory.Entry{
			entry("n2", inventory.Retired, b, "", ""), entry("n3", inventory.Added, "", b, "its ID is that of n2")}, "n3"},
		"accepted for nothing": {[]platform.Node{node("n1", a), node("n2", b)}, []string{"n1"}, nil, `"n1": there is none`},
	} {
		t.Run(name, func(t *testing.T) {
			before := string(start.Render())
			after, entries, err := start.Merge(c.nodes, "2026-11-01", c.accept)
			if diff := cmp.Diff(c.want, entries); diff != "" {
				t.Error(diff)
			}
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("got %v, want %q", err, c.err)
			}
			if string(start.Render()) != before {
				t.Error("the inventory before was changed")
			}
			if len(entries) == 0 && string(after.Render()) != before {
				t.Errorf("nothing is different, and the file is\n%s", after.Render())
			}
			if _, err := inventory.Parse("f", after.Render()); err != nil {
				t.Error(err)
			}
			again, entries, err := after.Merge(c.nodes, "2026-11-01", nil)
			if err != nil || len(entries) != 0 || string(again.Render()) != string(after.Render()) {
				t.Errorf("a second time: %v, %+v", err, entries)
			}
		})
	}
}

func TestMergeOverDays(t *testing.T) {
	f := merged(t, &inventory.File{}, "2026-11-01", quoted("n1", a), node("n2", b))
	f = merged(t, f, "2026-11-02", node("n1", a)) // what was quoted stays quoted
	if n := f.Node("n1"); n.Provenance != attest.Quoted || n.Quote == nil || n.FirstSeen != "2026-11-01" || n.LastSeen != "2026-11-02" {
		t.Errorf("got %+v", n)
	}
	f = merged(t, f, "2026-11-03", node("n1", a))
	if n := f.Node("n2"); n.Retired != "2026-11-02" || n.LastSeen != "2026-11-01" {
		t.Errorf("got %+v", n)
	}
	back, entries, err := f.Merge([]platform.Node{node("n1", a), node("n2", b)}, "2026-11-04", nil)
	if n := back.Node("n2"); err != nil || n.Retired != "" || n.FirstSeen != "2026-11-01" || len(entries) != 1 || entries[0].What != inventory.Returned {
		t.Errorf("got %+v, %+v, %v", n, entries, err)
	}
	if _, _, err := f.Merge([]platform.Node{node("n1", a), node("n2", k)}, "2026-11-04", nil); err == nil {
		t.Error("a node that comes back with another ID has to be accepted")
	}
	if early := merged(t, back, "2026-01-01", node("n1", a), node("n2", b)); early.Node("n1").LastSeen != "2026-11-04" {
		t.Errorf("a clock that went back: got %+v", early.Node("n1"))
	}
	fresh, _, err := back.Merge([]platform.Node{node("n1", k), node("n2", b)}, "2026-11-05", []string{"n1"})
	if n := fresh.Node("n1"); err != nil || n.Provenance != attest.Claimed || n.Quote != nil || n.FirstSeen != "2026-11-05" {
		t.Errorf("another ID was not quoted: got %+v, %v", n, err)
	}
}

func TestMergeCleansWhatNodesSay(t *testing.T) {
	n := node("n1", a)
	n.System = platform.System{KernelVersion: "6\x1b[2J\n\xff1", OSImage: strings.Repeat("ü", 300)}
	f := merged(t, &inventory.File{}, "2026-11-01", n)
	read, err := inventory.Parse("f", f.Render())
	if err != nil || read.Nodes[0].KernelVersion != "6[2J1" || len([]rune(read.Nodes[0].OSImage)) != 256 {
		t.Errorf("got %+v, %v", read, err)
	}
}

// An inventory of a large cluster is read within the bound, and quickly.
func BenchmarkParse(b *testing.B) {
	var nodes []platform.Node
	for n := range 5000 {
		nodes = append(nodes, quoted(fmt.Sprintf("ip-10-0-%d-%d.eu-central-1.compute.internal", n/250, n%250), fmt.Sprintf("INTEL_QE_ID:%032x", n+1)))
	}
	f, _, err := new(inventory.File).Merge(nodes, "2026-11-01", nil)
	if err != nil {
		b.Fatal(err)
	}
	text := f.Render()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := inventory.Parse("f", text); err != nil {
			b.Fatal(err)
		}
	}
}

func TestDateOf(t *testing.T) {
	late := time.Date(2026, 11, 25, 23, 30, 0, 0, time.FixedZone("", -3600))
	if d := inventory.DateOf(late); d != "2026-11-26" {
		t.Errorf("got %s, want the day in UTC", d)
	}
}
