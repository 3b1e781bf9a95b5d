package record_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/record"
	"github.com/confidb/confidb/pkg/topology"
)

// What was promised of several databases is read back and handed on as it was, and numbers
// that no release can have are neither read nor believed.
func TestNumbersOfInstances(t *testing.T) {
	several := func(databases, next, maxScales int) *topology.Release {
		r := promised()
		r.Architecture, r.Databases, r.DatabasesNext, r.MaxScales = topology.Replicated, databases, next, maxScales
		return r
	}
	for name, c := range map[string]struct {
		release *topology.Release
		good    bool
	}{
		"three databases":               {several(3, 0, 2), true},
		"three that shall be four":      {several(3, 4, 2), true},
		"nobody says how many":          {several(0, 0, 2), false},
		"nor of MaxScales":              {several(3, 0, 0), false},
		"two databases":                 {several(2, 0, 2), false},
		"more than there are names for": {several(5, 0, 2), false},
		"fewer than none":               {several(-1, 0, 2), false},
		"three that shall be five":      {several(3, 5, 2), false},
		"more MaxScales than names":     {several(3, 0, 9), false},
		"another architecture":          {&topology.Release{Name: "db1", Namespace: "shop", Architecture: "ring"}, false},
		"several of a single one":       {&topology.Release{Name: "db1", Namespace: "shop", Databases: 3}, false},
	} {
		own, other := record.Store{Dir: t.TempDir()}, record.Store{Dir: t.TempDir()}
		if err := own.SaveRelease("c", c.release); err != nil {
			t.Fatal(err)
		}
		got, err := own.Release("c", "shop", "db1")
		if (err == nil) != c.good {
			t.Errorf("%s: read: got %v", name, err)
		}
		if c.good {
			if diff := cmp.Diff(c.release, got); diff != "" {
				t.Errorf("%s: (-saved +read):\n%s", name, diff)
			}
		}
		imported, err := other.ImportPromise("c", export(t, own, c.release, day), "")
		if (err == nil) != c.good {
			t.Errorf("%s: believed: got %v", name, err)
		}
		if c.good && (err != nil || imported.Release.Databases != 3 || imported.Release.Architecture != topology.Replicated) {
			t.Errorf("%s: handed on: got %+v, %v", name, imported, err)
		}
	}
}
