package inventory_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/inventory"
	"github.com/confidb/confidb/pkg/platform"
	"github.com/confidb/confidb/pkg/session"
)

func ids(texts ...string) (all []attest.PlatformID) {
	for _, text := range texts {
		all = append(all, parse(text))
	}
	return all
}

// inStep are two sessions that admit the same.
func inStep(texts ...string) []inventory.Service {
	return []inventory.Service{{Name: "client/sql", Platforms: ids(texts...)}, {Name: "database/db", Platforms: ids(texts...)}}
}

const c0 = "INTEL_QE_ID:00000000000000000000000000000001"

func TestCompare(t *testing.T) {
	file := merged(t, &inventory.File{}, "2026-11-01", node("n1", a), node("n2", b))
	retired := merged(t, file, "2026-11-02", node("n1", a))
	rebooted := node("n1", c0)
	rebooted.BootID = "boot-2"
	old := merged(t, &inventory.File{}, "2026-11-01", node("n1", k))
	for name, c := range map[string]struct {
		nodes    []platform.Node
		problems []platform.Problem
		services []inventory.Service
		file     *inventory.File
		want     []string // kind node id was
		meaning  string
		verdict  check.Verdict
		apart    bool
	}{
		"equal":                {nodes: []platform.Node{node("n1", a), node("n2", b), {Name: "plain"}}, services: inStep(b, a), verdict: check.Affirming},
		"equal, of any case":   {nodes: []platform.Node{node("n1", a)}, services: inStep("INTEL_QE_ID:" + strings.ToUpper(a[12:])), verdict: check.Affirming},
		"equal, with a file":   {nodes: []platform.Node{node("n1", a), node("n2", b)}, services: inStep(a, b), file: file, verdict: check.Affirming},
		"added":                {nodes: []platform.Node{node("n1", a), node("n2", b)}, services: inStep(a), want: []string{"added n2 " + b + " "}, verdict: check.None},
		"removed":              {nodes: []platform.Node{node("n1", a)}, services: inStep(a, b), want: []string{"removed  " + b + " "}, meaning: "still admit", verdict: check.Contraindicated},
		"removed, by name":     {nodes: []platform.Node{node("n1", a)}, services: inStep(a, b), file: file, want: []string{"removed n2 " + b + " "}, verdict: check.Contraindicated},
		"removed and retired":  {nodes: []platform.Node{node("n1", a)}, services: inStep(a, b), file: retired, want: []string{"removed n2 " + b + " "}, verdict: check.Contraindicated},
		"retired, and no more": {nodes: []platform.Node{node("n1", a)}, services: inStep(a), file: retired, verdict: check.Affirming},
		"a new ID": {nodes: []platform.Node{rebooted, node("n2", b)}, services: inStep(a, b), file: file,
			want: []string{"id-changed n1 " + c0 + " " + a, "removed n1 " + a + " "}, meaning: "was started again since", verdict: check.Contraindicated},
		"a new ID, without a start": {nodes: []platform.Node{node("n1", c0), node("n2", b)}, services: inStep(c0, b), file: file,
			want: []string{"id-changed n1 " + c0 + " " + a}, meaning: "another machine, or a forged ID, is likelier", verdict: check.Contraindicated},
		"a new ID of SCONE 6": {nodes: []platform.Node{node("n1", strings.Repeat("0", 64))}, services: inStep(strings.Repeat("0", 64)), file: old,
			want: []string{"id-changed n1 " + strings.Repeat("0", 64) + " " + k}, meaning: "an update of microcode or of LAS", verdict: check.Contraindicated},
		"a new ID, unknown": {nodes: []platform.Node{node("n1", c0), node("n2", b)}, services: inStep(a, b),
			want: []string{"removed  " + a + " ", "added n1 " + c0 + " "}, verdict: check.Contraindicated},
		"cloned": {nodes: []platform.Node{node("n1", a), node("n2", a)}, problems: []platform.Problem{{Kind: platform.Shared}}, services: inStep(a),
			want: []string{"cloned n1 " + a + " ", "cloned n2 " + a + " "}, meaning: "n1, n2", verdict: check.Contraindicated},
		"renamed":  {nodes: []platform.Node{node("n1", a), node("n3", b)}, services: inStep(a, b), file: file, want: []string{"renamed n3 " + b + " "}, meaning: "as node n2", verdict: check.None},
		"unlisted": {nodes: []platform.Node{node("n1", a), node("n2", b), node("n3", c0)}, services: inStep(a, b, c0), file: file, want: []string{"unlisted n3 " + c0 + " "}, meaning: "nobody reviewed it", verdict: check.None},
		"back":     {nodes: []platform.Node{node("n1", a), node("n2", b)}, services: inStep(a, b), file: retired, want: []string{"unlisted n2 " + b + " " + b}, meaning: "retired on 2026-11-02", verdict: check.None},
		"LAS down": {nodes: []platform.Node{node("n1", a), node("n2", "")}, problems: []platform.Problem{{Kind: platform.Missing}}, services: inStep(a, b),
			want: []string{"unattributed  " + b + " ", "unknown n2  "}, verdict: check.None},
		"LAS down, with a file": {nodes: []platform.Node{node("n1", a), node("n2", "")}, services: inStep(a, b), file: file, want: []string{"unknown n2  " + b}, verdict: check.None},
		"sources disagree": {nodes: []platform.Node{node("n1", ""), node("n2", b)}, problems: []platform.Problem{{Kind: platform.Contradiction, Nodes: []string{"n1"}, Text: "two say"}}, services: inStep(b),
			want: []string{"contradiction n1  ", "unknown n1  "}, meaning: "two say", verdict: check.Contraindicated},
		"out of step": {nodes: []platform.Node{node("n1", a), node("n2", b)}, services: []inventory.Service{{Name: "client/sql", Platforms: ids(a)}, {Name: "database/db", Platforms: ids(a, b)}},
			want: []string{"out-of-step n2 " + b + " "}, meaning: "database/db admits this machine, and client/sql does not", verdict: check.Contraindicated, apart: true},
		"open": {nodes: []platform.Node{node("n1", a)}, services: []inventory.Service{{Name: "client/sql"}, {Name: "database/db", Platforms: ids(a)}},
			want: []string{"open   ", "out-of-step n1 " + a + " "}, meaning: "client/sql names no platform", verdict: check.Contraindicated, apart: true},
		"open, all of them": {nodes: []platform.Node{node("n1", a)}, services: []inventory.Service{{Name: "database/db"}}, want: []string{"open   ", "added n1 " + a + " "}, verdict: check.Contraindicated},
		"mixed": {nodes: []platform.Node{node("n1", a)}, services: inStep(k), want: []string{"generation   ", "removed  " + k + " ", "added n1 " + a + " "},
			meaning: "intel-qe-id: node n1; scone-qe: client/sql", verdict: check.Contraindicated},
		"no session": {nodes: []platform.Node{node("n1", a)}, want: []string{"added n1 " + a + " "}, verdict: check.Contraindicated, apart: true},
	} {
		t.Run(name, func(t *testing.T) {
			d := inventory.Comparison{Nodes: c.nodes, Problems: c.problems, Services: c.services, File: c.file}.Compare()
			var got []string
			meanings := ""
			for _, change := range d.Changes {
				got = append(got, fmt.Sprintf("%s %s %s %s", change.Kind, change.Node, change.ID, change.Was))
				meanings += change.Meaning + "\n"
				if change.Meaning == "" || change.Do == "" {
					t.Errorf("a change without words: %+v", change)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			if d.Verdict() != c.verdict || d.InStep == c.apart || !strings.Contains(meanings, c.meaning) {
				t.Errorf("got %s, in step %v, want %s\n%s", d.Verdict(), d.InStep, c.verdict, meanings)
			}
		})
	}
}

// TestTolerable: a source that was refused, or a file that names strangers, is never passed
// over, and a kind that is passed over is said or found otherwise.
func TestTolerable(t *testing.T) {
	tolerable := inventory.Tolerable()
	for _, kind := range platform.ProblemKinds() {
		want := kind != platform.Stranger && kind != platform.Refused
		if got := slices.Contains(tolerable, kind); got != want {
			t.Errorf("%s: got %v, want %v", kind, got, want)
		}
	}
}

func TestServices(t *testing.T) {
	s, err := session.Parse("s", []byte("name: s\nversion: \"0.3\"\nservices:\n- name: db\n  command: x\n  platforms: ["+a+"]\n- name: init\n  command: x\n"))
	if err != nil {
		t.Fatal(err)
	}
	got := inventory.Services("database", s)
	if len(got) != 2 || got[0].Name != "database/db" || got[0].Platforms[0] != parse(a) || len(got[1].Platforms) != 0 {
		t.Errorf("got %+v", got)
	}
}

// Whatever the world looks like: the verdict is affirming exactly if every service
// admits exactly the IDs of the nodes, each of which has one of its own; each ID that
// is on one side only is named; and the order of the input does not matter.
func TestCompareHolds(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pool := make([]string, 5)
	for i := range pool {
		pool[i] = fmt.Sprintf("INTEL_QE_ID:%032x", i+1)
	}
	affirming := 0
	for range 20_000 {
		var c inventory.Comparison
		var now []string
		distinct, complete := true, true
		for i := range random.IntN(4) {
			n := node(fmt.Sprintf("n%d", i), "")
			if random.IntN(8) > 0 {
				text := pool[random.IntN(len(pool))]
				distinct = distinct && !slices.Contains(now, text)
				n, now = node(n.Name, text), append(now, text)
			} else {
				complete = false
			}
			c.Nodes = append(c.Nodes, n)
		}
		slices.Sort(now)
		equal := true
		admitted := map[string]bool{}
		for i := range 2 {
			some := slices.Clone(now)
			if random.IntN(3) == 0 {
				some = append(some, pool[random.IntN(len(pool))])
			}
			if len(some) > 0 && random.IntN(4) == 0 {
				some = some[1:]
			}
			slices.Sort(some)
			some = slices.Compact(some)
			equal = equal && len(some) > 0 && slices.Equal(some, slices.Compact(slices.Clone(now)))
			c.Services = append(c.Services, inventory.Service{Name: fmt.Sprintf("s%d/x", i), Platforms: ids(some...)})
			for _, text := range some {
				admitted[text] = true
			}
		}
		d := c.Compare()
		if want := equal && distinct && complete; (d.Verdict() == check.Affirming) != want || want != (len(d.Changes) == 0) {
			t.Fatalf("%+v: got %s and %+v, want affirming %v", c, d.Verdict(), d.Changes, want)
		}
		for _, text := range pool {
			on, in := slices.Contains(now, text), admitted[text]
			named := slices.ContainsFunc(d.Changes, func(change inventory.Change) bool { return change.ID == text })
			if on != in && !named {
				t.Fatalf("%+v: %s is on one side only, and not in %+v", c, text, d.Changes)
			}
			if in && !on && complete && d.Verdict() != check.Contraindicated {
				t.Fatalf("%+v: a machine that is gone is admitted, and the verdict is %s", c, d.Verdict())
			}
		}
		if d.Verdict() == check.Affirming {
			affirming++
		}
		slices.Reverse(c.Nodes)
		slices.Reverse(c.Services)
		for _, s := range c.Services {
			slices.Reverse(s.Platforms)
		}
		again := c.Compare()
		if len(again.Changes) != len(d.Changes) || again.Verdict() != d.Verdict() || again.InStep != d.InStep {
			t.Fatalf("another order: got %+v, want %+v", again, d)
		}
	}
	if affirming < 500 {
		t.Errorf("only %d worlds were in order: the property says little", affirming)
	}
}
