package platform_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/platform"
)

func sgx(name string) platform.NodeFacts {
	return platform.NodeFacts{Name: name, SGX: true, Ready: true, Allocatable: true}
}

func las(node string) platform.PodFacts {
	return platform.PodFacts{Namespace: "scone-system", Name: "las-" + node, Node: node}
}

// world is one node a name, each with a running LAS.
func world(names ...string) *platform.Observation {
	o := &platform.Observation{PodsListed: true}
	for _, name := range names {
		o.Nodes = append(o.Nodes, sgx(name))
		o.Pods = append(o.Pods, las(name))
	}
	return o
}

func (c claimer) claim(o *platform.Observation, node string, source platform.Source, text string) {
	c.t.Helper()
	origin := map[platform.Source]string{platform.SourceFile: "nodes.txt:1", platform.SourceResource: "LAS/las", platform.SourceLog: "pod scone-system/las-" + node}[source]
	o.Claims = append(o.Claims, platform.Claim{Node: node, ID: parse(c.t, text), Source: source, Origin: origin, Namespace: "scone-system"})
}

type claimer struct{ t *testing.T }

func TestAppraise(t *testing.T) {
	c := claimer{t}
	o := world("n2", "n1", "n3")
	o.Nodes[2].Cordoned, o.Nodes[2].Ready, o.Nodes[2].Allocatable = true, false, false
	o.Nodes = append(o.Nodes, platform.NodeFacts{Name: "plain", Ready: true})
	c.claim(o, "n1", platform.SourceLog, strings.ToUpper(qeA+qeA))
	c.claim(o, "n1", platform.SourceResource, qeA+qeA)
	c.claim(o, "n2", platform.SourceLog, keyA)
	c.claim(o, "n2", platform.SourceFile, strings.ToLower(keyA))
	c.claim(o, "n3", platform.SourceLog, keyB)
	i, err := o.Appraise()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{keyB, keyA, strings.ToUpper(qeA + qeA)}, texts(i.IDs())); diff != "" {
		t.Error(diff)
	}
	type row struct {
		Name, ID, Reason string
		Usable           bool
		Provenance       attest.Provenance
		Sources          []platform.Source
	}
	var rows []row
	for _, n := range i.Nodes {
		rows = append(rows, row{n.Name, n.ID.String(), n.Reason, n.Usable, n.Provenance, n.Sources})
	}
	want := []row{
		{"n1", strings.ToUpper(qeA + qeA), "", true, attest.Claimed, []platform.Source{platform.SourceResource, platform.SourceLog}},
		{"n2", keyA, "", true, attest.Declared, []platform.Source{platform.SourceFile, platform.SourceLog}},
		{"n3", keyB, "not Ready, cordoned, no allocatable SGX resource", false, attest.Claimed, []platform.Source{platform.SourceLog}},
		{Name: "plain", Reason: "no SGX"},
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Error(diff)
	}
	if i.WithoutSGX() != 1 || len(i.Warnings) != 0 {
		t.Errorf("without SGX %d, warnings %q", i.WithoutSGX(), i.Warnings)
	}
}

func TestZeroIsNoSuccess(t *testing.T) {
	if i, err := new(platform.Observation).Appraise(); err == nil || i != nil {
		t.Errorf("an empty observation: got %v", i)
	}
	if i, err := platform.Declare(nil); err == nil || i != nil {
		t.Errorf("an empty list: got %v", i)
	}
	if ids := new(platform.Inventory).IDs(); len(ids) != 0 {
		t.Errorf("an empty inventory: got %v", ids)
	}
}

func TestAppraiseRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(claimer, *platform.Observation)
		want   []string
	}{
		"two sources": {func(c claimer, o *platform.Observation) {
			c.claim(o, "n1", platform.SourceResource, idA)
			c.claim(o, "n1", platform.SourceLog, idB)
		}, []string{`sources disagree about node "n1"`, "LAS/las says " + idA, "pod scone-system/las-n1 says " + idB}},
		"the file and the cluster": {func(c claimer, o *platform.Observation) {
			c.claim(o, "n1", platform.SourceFile, idA)
			c.claim(o, "n1", platform.SourceLog, idB)
		}, []string{`sources disagree about node "n1"`, "nodes.txt:1 says " + idA}},
		"two IDs on one node": {func(c claimer, o *platform.Observation) {
			c.claim(o, "n1", platform.SourceLog, idA)
			c.claim(o, "n1", platform.SourceLog, keyA)
		}, []string{`two different platform IDs on node "n1"`, idA, keyA}},
		"one ID on two nodes": {func(c claimer, o *platform.Observation) {
			c.claim(o, "n1", platform.SourceLog, idA)
			c.claim(o, "n2", platform.SourceLog, "INTEL_QE_ID:"+strings.ToUpper(qeA))
		}, []string{"one platform ID on 2 nodes: n1, n2: " + idA}},
		"mixed generations": {func(c claimer, o *platform.Observation) {
			c.claim(o, "n1", platform.SourceLog, idA)
			c.claim(o, "n2", platform.SourceLog, keyA)
		}, []string{"mixed generations", "intel-qe-id on nodes n1; scone-qe on nodes n2"}},
		"a usable node without ID": {func(c claimer, o *platform.Observation) {
			c.claim(o, "n1", platform.SourceLog, idA)
		}, []string{"SGX node without platform ID: n2: the log of its LAS pod names none"}},
		"a log that cannot be read": {func(c claimer, o *platform.Observation) {
			c.claim(o, "n1", platform.SourceLog, idA)
			o.Pods[1].LogError = "reading the log: gone"
		}, []string{"SGX node without platform ID: n2: reading the log: gone"}},
		"no node usable": {func(c claimer, o *platform.Observation) {
			o.Pods = o.Pods[:1]
			o.Pods[0].Trouble = "CrashLoopBackOff"
		}, []string{"empty: no SGX node has a platform ID: n1 (LAS pod not running (CrashLoopBackOff)), n2 (no LAS pod)"}},
		"no SGX": {func(c claimer, o *platform.Observation) {
			o.Nodes[0].SGX, o.Nodes[1].SGX = false, false
			c.claim(o, "n1", platform.SourceLog, idA)
		}, []string{"empty: none of the cluster's 2 nodes has SGX"}},
		"a file for a node that is gone": {func(c claimer, o *platform.Observation) {
			c.claim(o, "n1", platform.SourceLog, idA)
			c.claim(o, "n2", platform.SourceLog, idB)
			c.claim(o, "n9", platform.SourceFile, "INTEL_QE_ID:"+strings.Repeat("0", 32))
		}, []string{`nodes.txt:1: a platform ID for node "n9", which the cluster does not have`}},
		"a file for a node without SGX": {func(c claimer, o *platform.Observation) {
			o.Nodes[1].SGX = false
			c.claim(o, "n1", platform.SourceLog, idA)
			c.claim(o, "n2", platform.SourceFile, idB)
		}, []string{`node "n2", which has no SGX`}},
		"LAS of a stranger": {func(c claimer, o *platform.Observation) {
			c.claim(o, "n1", platform.SourceLog, idA)
			c.claim(o, "n2", platform.SourceLog, idB)
			o.Claims[1].Namespace = "tenant"
		}, []string{"several namespaces", "scone-system, tenant", "in which yours run"}},
		"all sources refused": {func(c claimer, o *platform.Observation) {
			o.Refused = []*platform.ForbiddenError{{Doing: "listing pods", Err: errors.New("no")}}
			o.Pods, o.PodsListed = nil, false
		}, []string{"SGX node without platform ID: n1, n2: no source names one", "a source was refused: listing pods: no"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := world("n1", "n2")
			c.change(claimer{t}, o)
			i, err := o.Appraise()
			var inconsistent *platform.InconsistentError
			if !errors.As(err, &inconsistent) || i != nil {
				t.Fatalf("got %v and %v, want an InconsistentError only", i, err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("want %q in: %v", want, err)
				}
			}
			if strings.Contains(inconsistent.Hint(), "kind: ClusterRole") != (len(o.Refused) > 0) {
				t.Errorf("hint: %s", inconsistent.Hint())
			}
			if inconsistent.Seen == nil {
				t.Error("what was seen is missing")
			}
		})
	}
}

func TestAppraiseSaysOneProblemOnce(t *testing.T) {
	c, o := claimer{t}, world("n1")
	c.claim(o, "n1", platform.SourceResource, idA)
	c.claim(o, "n1", platform.SourceLog, idB)
	_, err := o.Appraise()
	var inconsistent *platform.InconsistentError
	if !errors.As(err, &inconsistent) || len(inconsistent.Problems) != 1 {
		t.Errorf("got %v, want the contradiction alone", err)
	}
}

func TestAppraiseWarns(t *testing.T) {
	for name, c := range map[string]struct {
		change func(claimer, *platform.Observation)
		want   string
	}{
		"a node that is gone": {func(c claimer, o *platform.Observation) {
			c.claim(o, "old", platform.SourceResource, idB)
		}, `left out platform ID ` + idB + ` that LAS/las gives node "old", which the cluster does not have`},
		"no SGX": {func(c claimer, o *platform.Observation) {
			o.Nodes = append(o.Nodes, platform.NodeFacts{Name: "n2"})
			c.claim(o, "n2", platform.SourceLog, idB)
		}, `gives node "n2", which has no SGX`},
		"no SGX, and a contradiction": {func(c claimer, o *platform.Observation) {
			o.Nodes = append(o.Nodes, platform.NodeFacts{Name: "n2"})
			c.claim(o, "n2", platform.SourceLog, idB)
			c.claim(o, "n2", platform.SourceResource, keyA)
		}, `gives node "n2", which has no SGX`},
		"a refused source": {func(c claimer, o *platform.Observation) {
			o.Refused = []*platform.ForbiddenError{{Doing: "listing las", Err: errors.New("no")}}
		}, "left out a source that was refused: listing las: no"},
		"a value that is no ID": {func(c claimer, o *platform.Observation) {
			o.Unreadable = []string{"LAS/las: node n1: what?"}
		}, "what?"},
		"an unusable node without ID": {func(c claimer, o *platform.Observation) {
			o.Nodes = append(o.Nodes, sgx("n2"))
		}, "no platform ID is known, so sessions will not admit: n2 (no LAS pod)"},
	} {
		o := world("n1")
		claimer{t}.claim(o, "n1", platform.SourceLog, idA)
		c.change(claimer{t}, o)
		i, err := o.Appraise()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff([]string{idA}, texts(i.IDs())); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if len(i.Warnings) != 1 || !strings.Contains(i.Warnings[0], c.want) {
			t.Errorf("%s: got %q, want %q", name, i.Warnings, c.want)
		}
	}
}

func TestPodsThatCouldNotBeListedSayNothing(t *testing.T) {
	o := world("n1")
	o.Pods, o.PodsListed = nil, false
	claimer{t}.claim(o, "n1", platform.SourceResource, idA)
	i, err := o.Appraise()
	if err != nil || !i.Nodes[0].Usable {
		t.Errorf("got %+v and %v, want a usable node", i, err)
	}
}

func TestDeclare(t *testing.T) {
	i, err := platform.Declare([]attest.PlatformID{parse(t, idB), parse(t, idA), parse(t, "INTEL_QE_ID:"+strings.ToUpper(qeA))})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{idA, idB}, texts(i.IDs())); diff != "" {
		t.Error(diff)
	}
	_, err = platform.Declare([]attest.PlatformID{parse(t, idB), parse(t, keyA)})
	if err == nil || !strings.Contains(err.Error(), "mixed generations") || !strings.Contains(err.Error(), keyA) {
		t.Errorf("mixed: got %v", err)
	}
}

func TestManyNodesAreNotAllNamed(t *testing.T) {
	o := &platform.Observation{PodsListed: true}
	for n := range 5000 {
		o.Nodes = append(o.Nodes, sgx(fmt.Sprintf("n%04d", n)))
		o.Pods = append(o.Pods, las(fmt.Sprintf("n%04d", n)))
	}
	_, err := o.Appraise()
	if err == nil || len(err.Error()) > 400 || !strings.Contains(err.Error(), "n0009 and 4990 more") {
		t.Errorf("got %.500v", err)
	}
}
