package platform_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/platform"
)

// TestTolerate: what is not named is an error, however much is named beside it.
func TestTolerate(t *testing.T) {
	seen := &platform.Inventory{Nodes: []platform.Node{{Name: "n1"}}}
	for _, kind := range platform.ProblemKinds() {
		others := slices.DeleteFunc(platform.ProblemKinds(), func(k platform.ProblemKind) bool { return k == kind })
		problems := []platform.Problem{{Kind: kind, Text: "wrong"}, {Kind: others[0], Text: "wrong as well"}}
		inconsistent := &platform.InconsistentError{Problems: problems, Seen: seen}
		for name, tolerated := range map[string][]platform.ProblemKind{"nothing": nil, "this one": {kind}, "the other ones": others} {
			if i, err := platform.Tolerate(nil, inconsistent, tolerated...); i != nil || !errors.Is(err, inconsistent) {
				t.Errorf("%s, tolerating %s: got %v and %v, want the error", kind, name, i, err)
			}
		}
		i, err := platform.Tolerate(nil, inconsistent, kind, others[0])
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if len(i.Problems) != 2 || len(i.Nodes) != 1 {
			t.Errorf("%s: got %+v, want the node and both problems", kind, i)
		}
	}
	if len(seen.Problems) > 0 {
		t.Error("the error was changed")
	}
}

func TestTolerateLeavesTheRest(t *testing.T) {
	good, failed := &platform.Inventory{}, errors.New("connection refused")
	if i, err := platform.Tolerate(good, nil, platform.ProblemKinds()...); i != good || err != nil {
		t.Errorf("got %v and %v, want what was found", i, err)
	}
	if i, err := platform.Tolerate(nil, failed, platform.ProblemKinds()...); i != nil || !errors.Is(err, failed) {
		t.Errorf("got %v and %v, want the failure", i, err)
	}
	unseen := &platform.InconsistentError{Problems: []platform.Problem{{Kind: platform.Shared}}}
	if i, err := platform.Tolerate(nil, unseen, platform.Shared); i != nil || !errors.Is(err, unseen) {
		t.Errorf("got %v and %v, want the error: nothing was seen", i, err)
	}
}

func TestInventoryCounts(t *testing.T) {
	id, err := attest.ParsePlatformID(idA)
	if err != nil {
		t.Fatal(err)
	}
	i := &platform.Inventory{Nodes: []platform.Node{
		{Name: "n1", SGX: true, ID: id, Provenance: attest.Quoted}, {Name: "n2", SGX: true, ID: id, Provenance: attest.Claimed},
		{Name: "n3", SGX: true}, {Name: "n4", ID: id, Provenance: attest.Claimed},
	}}
	known := i.Known()
	if len(known) != 2 || known[attest.Quoted] != 1 || known[attest.Claimed] != 1 {
		t.Errorf("got %v, want one quoted and one claimed", known)
	}
	if n := i.Node("n3"); n == nil || n.Name != "n3" {
		t.Errorf("got %v, want n3", n)
	}
	if n := i.Node("n5"); n != nil {
		t.Errorf("got %v, want none", n)
	}
}
