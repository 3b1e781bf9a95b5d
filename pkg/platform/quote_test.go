package platform_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/platform"
	sgxpkg "github.com/confidb/confidb/pkg/sgx"
)

func quoteOf(t *testing.T, node, id string) platform.Quote {
	t.Helper()
	return platform.Quote{Node: node, Origin: node + ".bin", ID: parse(t, id), FMSPC: "00906ed50000", Status: sgxpkg.UpToDate, EvaluationNumber: 17}
}

func TestAppraiseQuotes(t *testing.T) {
	c, o := claimer{t}, world("n1", "n2", "n3")
	c.claim(o, "n1", platform.SourceLog, strings.ToUpper(idA[:12])+strings.ToUpper(idA[12:]))
	c.claim(o, "n2", platform.SourceLog, idB)
	o.Quotes = []platform.Quote{quoteOf(t, "n1", idA), quoteOf(t, "n3", "INTEL_QE_ID:"+strings.Repeat("0", 32))}
	i, err := o.Appraise()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, n := range i.Nodes {
		got = append(got, string(n.Provenance))
		if (n.Quote != nil) != (n.Provenance == attest.Quoted) {
			t.Errorf("%s: got %+v", n.Name, n.Quote)
		}
	}
	if diff := cmp.Diff([]string{"quoted", "claimed", "quoted"}, got); diff != "" {
		t.Error(diff)
	}
	if n := i.Nodes[0]; n.Quote.EvaluationNumber != 17 || n.Sources[0] != platform.SourceQuote || n.Sources[1] != platform.SourceLog {
		t.Errorf("got %+v", n)
	}
}

func TestAppraiseRefusesQuotes(t *testing.T) {
	for name, c := range map[string]struct {
		quote platform.Quote
		kind  platform.ProblemKind
		want  string
	}{
		"another machine": {quoteOf(t, "n1", idB), platform.Contradiction, `sources disagree about node "n1": quote n1.bin says ` + idB},
		"a stranger":      {quoteOf(t, "n9", idB), platform.Stranger, `quote n9.bin: a platform ID for node "n9", which the cluster does not have`},
		"a copy":          {quoteOf(t, "n2", idA), platform.Shared, "one platform ID on 2 nodes: n1, n2"},
	} {
		t.Run(name, func(t *testing.T) {
			o := world("n1", "n2")
			claimer{t}.claim(o, "n1", platform.SourceLog, idA)
			o.Nodes[1].Ready = c.kind == platform.Shared
			o.Quotes = []platform.Quote{c.quote}
			i, err := o.Appraise()
			var inconsistent *platform.InconsistentError
			if i != nil || !errors.As(err, &inconsistent) || len(inconsistent.Problems) == 0 || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v and %v, want %q", i, err, c.want)
			}
			for _, p := range inconsistent.Problems {
				if p.Kind != c.kind {
					t.Errorf("got a problem of the kind %q, want %q", p.Kind, c.kind)
				}
			}
		})
	}
}

func TestAppraiseQuotesOfSCONE6(t *testing.T) {
	o := world("n1")
	claimer{t}.claim(o, "n1", platform.SourceLog, keyA)
	o.Quotes = []platform.Quote{quoteOf(t, "n1", idA)}
	i, err := o.Appraise()
	if err != nil || i.Nodes[0].Provenance != attest.Claimed || i.Nodes[0].Quote != nil || len(i.Warnings) != 1 || !strings.Contains(i.Warnings[0], "can only be claimed or declared") {
		t.Errorf("got %+v, %v", i, err)
	}
}

func TestRequire(t *testing.T) {
	of := func(provenances ...attest.Provenance) *platform.Inventory {
		i := &platform.Inventory{Nodes: []platform.Node{{Name: "plain"}, {Name: "unknown", SGX: true}}}
		for _, p := range provenances {
			i.Nodes = append(i.Nodes, platform.Node{Name: "n-" + string(p), SGX: true, ID: parse(t, idA), Provenance: p})
		}
		return i
	}
	scone := of(attest.Claimed)
	scone.Nodes[2].ID = parse(t, keyA)
	for name, c := range map[string]struct {
		i          *platform.Inventory
		least      attest.Provenance
		want, hint string
	}{
		"nothing":             {of(attest.Claimed, ""), "", "", ""},
		"quoted":              {of(attest.Quoted), attest.Quoted, "", ""},
		"quoted, claimed":     {of(attest.Quoted, attest.Declared, attest.Claimed), attest.Quoted, "n-declared (declared), n-claimed (claimed)", "--quotes"},
		"declared":            {of(attest.Quoted, attest.Declared), attest.Declared, "", ""},
		"declared, claimed":   {of(attest.Declared, attest.Claimed), attest.Declared, "n-claimed (claimed)", "--platforms-file"},
		"an unknown word":     {of("certain"), attest.Declared, "n-certain (certain)", ""},
		"an unknown wish":     {of(attest.Quoted), "certain", "n-quoted (quoted)", ""},
		"a list":              {&platform.Inventory{Declared: []attest.PlatformID{parse(t, idA)}}, attest.Declared, "", ""},
		"a list, not quoted":  {&platform.Inventory{Declared: []attest.PlatformID{parse(t, idA)}}, attest.Quoted, idA + " (declared)", "--quotes"},
		"SCONE 6, not quoted": {scone, attest.Quoted, "n-claimed (claimed)", "never quoted"},
	} {
		err := platform.Require(c.i, c.least)
		var weak *platform.ProvenanceError
		if (err == nil) != (c.want == "") || err != nil && (!errors.As(err, &weak) || !strings.HasSuffix(err.Error(), "got weaker: "+c.want) || !strings.Contains(weak.Hint(), c.hint)) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	for text, ok := range map[string]bool{"": true, "quoted": true, "declared": true, "claimed": false, "Quoted": false} {
		if p, err := platform.ParseProvenance(text); (err == nil) != ok || ok && string(p) != text {
			t.Errorf("%q: got %q, %v", text, p, err)
		}
	}
}
