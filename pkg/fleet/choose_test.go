package fleet_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/fleet"
	"github.com/confidb/confidb/pkg/platform"
)

func TestChoose(t *testing.T) {
	nodes := []platform.Node{{Name: "a", SGX: true}, {Name: "b"}, {Name: "node-c", SGX: true}, {Name: "d"}}
	for name, c := range map[string]struct {
		evidence map[string]string
		among    map[string]bool
		want     []string
		problem  string
	}{
		"all with SGX":         {nil, nil, []string{"a", "node-c"}, ""},
		"evidence of another":  {map[string]string{"d": "d.bin"}, nil, []string{"a", "node-c", "d"}, ""},
		"some":                 {map[string]string{"d": "d.bin"}, map[string]bool{"a": true, "b": true}, []string{"a"}, ""},
		"none":                 {nil, map[string]bool{}, nil, ""},
		"a stranger":           {map[string]string{"a": "a.bin", "xyzzy": "x.bin"}, nil, nil, `x.bin: got evidence of node "xyzzy", which the cluster does not have`},
		"a mistake":            {map[string]string{"node-d": "d.bin"}, nil, nil, `d.bin: got evidence of node "node-d", which the cluster does not have; did you mean node-c?`},
		"a stranger among few": {map[string]string{"xyzzy": "x.bin"}, map[string]bool{"a": true}, nil, `x.bin: got evidence of node "xyzzy", which the cluster does not have`},
	} {
		chosen, err := fleet.Choose(nodes, c.evidence, c.among)
		var got []string
		for _, n := range chosen {
			got = append(got, n.Name)
		}
		problem := ""
		if err != nil {
			problem = err.Error()
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if problem != c.problem {
			t.Errorf("%s: got %q, want %q", name, problem, c.problem)
		}
	}
}

func TestChooseSaysWhatWasMeant(t *testing.T) {
	nodes := []platform.Node{{Name: "worker-1"}, {Name: "worker-2"}, {Name: "control"}}
	for node, want := range map[string]string{
		"worker-l": "; did you mean worker-1?", "wroker-2": "; did you mean worker-2?", "contrl": "; did you mean control?", "database": "", "x": "", "": "",
	} {
		_, err := fleet.Choose(nodes, map[string]string{node: "q.bin"}, nil)
		if err == nil || !strings.HasSuffix(err.Error(), "does not have"+want) {
			t.Errorf("%q: got %v, want %q at its end", node, err, want)
		}
	}
}
