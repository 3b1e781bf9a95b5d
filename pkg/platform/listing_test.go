package platform_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/platform"
)

func TestListing(t *testing.T) {
	id, err := attest.ParsePlatformID("INTEL_QE_ID:" + strings.Repeat("b2", 16))
	if err != nil {
		t.Fatal(err)
	}
	i := &platform.Inventory{Nodes: []platform.Node{
		{Name: "a", SGX: true, Usable: true, ID: id, Provenance: attest.Quoted, Sources: []platform.Source{platform.SourceQuote}, Quote: &platform.Quote{Node: "a", FMSPC: "00606a000000", Status: "UpToDate"}},
		{Name: "b", Reason: "no SGX"},
		{Name: "c", SGX: true, Reason: "cordoned"},
	}}
	l := i.Listing("cluster")
	var items, nodes []string
	for _, item := range l.Items {
		items = append(items, item.Name)
	}
	for _, n := range l.Nodes {
		nodes = append(nodes, n.Name+" "+n.State())
	}
	if diff := cmp.Diff([]string{"a", "c"}, items); diff != "" {
		t.Error("items have SGX:", diff)
	}
	if diff := cmp.Diff([]string{"a usable", "b no SGX", "c cordoned"}, nodes); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]attest.PlatformID{id}, l.Platforms, cmp.Comparer(func(a, b attest.PlatformID) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	text, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"origin":"cluster"`, `"withoutSGX":1`, `"warnings":[]`, `"sources":["quote"]`, `"sources":[]`, `"lasPods":[]`, `"sgxResources":[]`,
		`"quote":{"fmspc":"00606a000000","tcbStatus":"UpToDate","evaluationDataNumber":0}`, `"quote":null`, `"kernelVersion":"","osImage":"","bootID":""`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("got %s, want %s", text, want)
		}
	}
}

// An ID of a plain list is bound to no node, so it is never usable.
func TestListingOfDeclared(t *testing.T) {
	id, err := attest.ParsePlatformID("INTEL_QE_ID:" + strings.Repeat("c3", 16))
	if err != nil {
		t.Fatal(err)
	}
	l := (&platform.Inventory{Declared: []attest.PlatformID{id}}).Listing("--platform")
	if len(l.Items) != 1 {
		t.Fatalf("got %+v", l.Items)
	}
	if got := l.Items[0]; got.Usable || got.Name != "" || got.PlatformID != id {
		t.Errorf("got %+v", got)
	}
	if got := l.Items[0].Provenance; got != attest.Declared {
		t.Errorf("got the provenance %q", got)
	}
	if got := l.Nodes[0].State(); got != "not bound to a node" {
		t.Errorf("got the state %q", got)
	}
}
