package machines_test

import (
	"errors"
	"testing"

	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/confidb/confidb/pkg/machines"
	"github.com/confidb/confidb/pkg/machines/machinestest"
	"github.com/confidb/confidb/pkg/platform"
)

func TestFindNodes(t *testing.T) {
	for name, c := range map[string]struct {
		lines    map[string]string // of the nodes with SGX
		nodes    int
		problems bool
	}{
		"good nodes":         {map[string]string{"a": lineA, "b": "Intel QE ID: " + qeB}, 2, false},
		"one ID on two":      {map[string]string{"a": lineA, "b": lineA}, 2, true},
		"a node without ID":  {map[string]string{"a": lineA, "b": "nothing"}, 2, true},
		"no node with an ID": {map[string]string{"a": "nothing"}, 1, true},
		"no node with SGX":   {nil, 0, false},
	} {
		cluster := &machinestest.Cluster{}
		for node, line := range c.lines {
			cluster.AddSGX(node, line)
		}
		t.Setenv("KUBECONFIG", "/does/not/exist")
		getter := genericclioptions.NewConfigFlags(true)
		*getter.APIServer = cluster.Start(t)
		found, err := machines.FindNodes(t.Context(), getter)
		if c.nodes == 0 {
			if inconsistent := (*platform.InconsistentError)(nil); !errors.As(err, &inconsistent) {
				t.Errorf("%s: got %v, want that there is none", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(found.Nodes) != c.nodes {
			t.Errorf("%s: got %d nodes, want %d", name, len(found.Nodes), c.nodes)
		}
		if problems := len(found.Problems) > 0; problems != c.problems {
			t.Errorf("%s: got the problems %v, want any: %v", name, found.Problems, c.problems)
		}
	}
}
