package watch_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/inventory"
	"github.com/confidb/confidb/pkg/platform"
	"github.com/confidb/confidb/pkg/watch"
)

const longID = "INTEL_QE_ID:0123456789abcdef0123456789abcdef"

func TestMachines(t *testing.T) {
	id, err := attest.ParsePlatformID(longID)
	if err != nil {
		t.Fatal(err)
	}
	got := watch.Machines(&platform.Inventory{
		Nodes: []platform.Node{
			{Name: "n1", SGX: true, Usable: true, ID: id, Provenance: attest.Quoted},
			{Name: "n2", SGX: true, Reason: "cordoned"},
			{Name: "n3"},
		},
		Problems: []platform.Problem{{Kind: platform.Missing, Text: "no ID: n2"}},
	})
	want := watch.Picture{
		"node n1":            {{"ID", "01234567…89abcdef"}, {"provenance", "quoted"}, {"state", "usable"}},
		"node n2":            {{"ID", ""}, {"provenance", ""}, {"state", "cordoned"}},
		"problem: no ID: n2": nil,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDifference(t *testing.T) {
	for name, c := range map[string]struct {
		seen inventory.Difference
		want watch.Picture
	}{
		"nothing": {inventory.Difference{InStep: true}, watch.Picture{"verdict": {{"is", "affirming"}}}},
		"changes": {
			inventory.Difference{InStep: true, Changes: []inventory.Change{{Kind: inventory.NodeRemoved, ID: longID}, {Kind: inventory.NodeAdded, Node: "n1"}}},
			watch.Picture{"verdict": {{"is", "contraindicated"}}, "removed 01234567…89abcdef": nil, "added n1": nil},
		},
		"out of step": {inventory.Difference{}, watch.Picture{"verdict": {{"is", "contraindicated"}}}},
	} {
		if diff := cmp.Diff(c.want, watch.Difference(&c.seen)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
