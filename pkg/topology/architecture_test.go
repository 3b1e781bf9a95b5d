package topology_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/confidb/confidb/pkg/topology"
)

// The names of instances are those that the chart, the sessions and whoever asks them use.
func TestInstances(t *testing.T) {
	const single, replicated, sharded = topology.Single, topology.Replicated, topology.Sharded
	for _, c := range []struct {
		architecture topology.Architecture
		role         topology.Role
		count, at    int
		want         topology.Instance
	}{
		{single, topology.Database, 1, 0, topology.Instance{Name: "database", Pod: "db1-mariadb-0", Host: "db1-mariadb.shop.svc", Service: "db"}},
		{single, topology.MaxScale, 0, 0, topology.Instance{}},
		{single, topology.Client, 0, 0, topology.Instance{}},
		{replicated, topology.Database, 3, 2, topology.Instance{Name: "mariadb-2", Pod: "db1-mariadb-2", Host: "db1-mariadb-2.db1-mariadb.shop.svc", Service: "db-db1-mariadb-2"}},
		{replicated, topology.MaxScale, 2, 1, topology.Instance{Name: "maxscale-1", Pod: "db1-maxscale-1", Host: "db1-maxscale-1.db1-maxscale.shop.svc", Service: "maxscale"}},
		{replicated, topology.Client, 0, 0, topology.Instance{}},
		{sharded, topology.Database, 3, 0, topology.Instance{Name: "mariadb-0", Pod: "db1-mariadb-0", Host: "db1-mariadb-0.db1-mariadb.shop.svc", Service: "db-db1-mariadb-0"}},
		{sharded, topology.MaxScale, 2, 0, topology.Instance{Name: "maxscale-0", Pod: "db1-maxscale-0", Host: "db1-maxscale-0.db1-maxscale.shop.svc", Service: "maxscale"}},
	} {
		r := &topology.Release{Name: "db1", Namespace: "shop", Architecture: c.architecture, Host: c.architecture.Front("db1", "shop")}
		if c.architecture != single {
			r.Databases, r.MaxScales = 3, 2
		}
		got := r.Instances(c.role)
		if len(got) != c.count {
			t.Errorf("%s, %s: got %d instances, want %d", c.architecture, c.role, len(got), c.count)
			continue
		}
		if c.count == 0 {
			continue
		}
		c.want.Role, c.want.Ordinal = c.role, c.at
		if got[c.at] != c.want {
			t.Errorf("%s, %s: got %+v, want %+v", c.architecture, c.role, got[c.at], c.want)
		}
		if found, ok := r.Instance(c.want.Pod); !ok || found != c.want {
			t.Errorf("the instance of pod %s: got %+v, %t", c.want.Pod, found, ok)
		}
		if _, ok := r.Instance(c.want.Pod + "0"); ok {
			t.Errorf("there is an instance of pod %s0", c.want.Pod)
		}
	}
}

// No two instances share a name by which one of them is meant, and all names are such that
// Kubernetes and the language of sessions take them, for the longest release too.
func TestNamesOfInstancesAreApart(t *testing.T) {
	r := &topology.Release{Name: "a" + strings.Repeat("b", 42), Namespace: strings.Repeat("n", 63), Architecture: topology.Replicated}
	seen := map[string]bool{}
	for _, i := range slices.Concat(r.AllInstances(topology.Database), r.AllInstances(topology.MaxScale)) {
		for _, name := range []string{i.Name, i.Pod, i.Host, i.ServiceOf("gate")} {
			if seen[name] {
				t.Errorf("%s is the name of two instances", name)
			}
			seen[name] = true
		}
		if problems := validation.IsDNS1123Label(i.ServiceOf("seeding")); problems != nil {
			t.Errorf("%s: %v", i.ServiceOf("seeding"), problems)
		}
		// of which Kubernetes makes the value of a label, and a certificate its common name
		if problems := validation.IsValidLabelValue(strings.TrimSuffix(i.Pod, fmt.Sprint("-", i.Ordinal)) + "-6c5ccb7974"); problems != nil || len(i.Pod) > 64 {
			t.Errorf("%s: %v", i.Pod, problems)
		}
	}
	if len(seen) != 2*topology.Slots*4 {
		t.Errorf("got %d names", len(seen))
	}
}

// For every number of databases: it is admitted exactly if a majority of the servers is all
// but one of them, so that whoever promotes has seen every acknowledged commit, and is not
// all of them, so that one can be lost.
func TestNumbersOfDatabases(t *testing.T) {
	for n := -1; n <= 9; n++ {
		majority := n/2 + 1
		want := n == 0 || n > 0 && majority >= n-1 && majority < n
		err := topology.Replicated.CheckCounts(n, 0)
		var wrong *topology.CountError
		if (err == nil) != want || err != nil && (!errors.As(err, &wrong) || wrong.Hint() == "") {
			t.Errorf("%d databases, replicated: got %v, want admitted: %t", n, err, want)
		}
		if err := topology.Single.CheckCounts(n, 0); (err == nil) != (n == 0 || n == 1) {
			t.Errorf("%d databases, single: got %v", n, err)
		}
		if err := topology.Sharded.CheckCounts(n, 1); (err == nil) != (n >= 0 && n <= topology.Slots) {
			t.Errorf("%d databases, sharded: got %v", n, err)
		}
		if err := topology.Replicated.CheckCounts(3, n); (err == nil) != (n >= 0 && n <= topology.Slots) {
			t.Errorf("%d MaxScales: got %v", n, err)
		}
	}
	if topology.Single.CheckCounts(1, 1) == nil || topology.Architecture("ring").CheckCounts(3, 2) == nil {
		t.Error("a MaxScale before a single database, or an unknown architecture, is admitted")
	}
}

func TestArchitecturesAreRead(t *testing.T) {
	for text, want := range map[string]topology.Architecture{"": topology.Single, "single": topology.Single, "replicated": topology.Replicated, "sharded": topology.Sharded} {
		got, err := topology.ParseArchitecture(text)
		if err != nil || got != want {
			t.Errorf("%q: got %s, %v", text, got, err)
		}
	}
	for _, text := range []string{"Single", "replicated ", "ring"} {
		if got, err := topology.ParseArchitecture(text); err == nil {
			t.Errorf("%q: got %s", text, got)
		}
	}
}

// What is recorded is read back as it was; of a single database nothing more is written
// than before there were others.
func TestArchitectureIsRecorded(t *testing.T) {
	for _, a := range topology.Architectures() {
		written := topology.Release{Architecture: a}
		if a != topology.Single {
			written.Databases, written.DatabasesNext, written.MaxScales, written.Applications.Masking = 3, 4, 2, "{}"
		}
		text, err := json.Marshal(written)
		if err != nil {
			t.Fatal(err)
		}
		var read topology.Release
		if err := json.Unmarshal(text, &read); err != nil || read.Architecture != a || read.Databases != written.Databases || read.DatabasesNext != written.DatabasesNext || read.MaxScales != written.MaxScales || read.Applications.Masking != written.Applications.Masking {
			t.Errorf("%s: got %+v, %v", a, read, err)
		}
		for _, member := range []string{"architecture", "databases", "maxScales", "masking"} {
			if a == topology.Single && strings.Contains(string(text), member) {
				t.Errorf("a record of a single database has %s", member)
			}
		}
	}
	if err := json.Unmarshal([]byte(`{"architecture":"ring"}`), new(topology.Release)); err == nil {
		t.Error("a record of an unknown architecture is read")
	}
}

// The architecture and the numbers of the first run are kept, and not changed on the way.
func TestArchitectureIsKept(t *testing.T) {
	first, err := topology.Prepare(plan(t), nil)
	if err != nil || first.Architecture != topology.Single || first.Databases != 0 || first.MaxScales != 0 {
		t.Fatalf("got %v", err)
	}
	p := plan(t)
	p.Architecture = topology.Replicated
	var changed *topology.ChangedError
	if _, err := topology.Prepare(p, first); !errors.As(err, &changed) || changed.What != "architecture" {
		t.Errorf("another architecture: got %v", err)
	}
	p = plan(t)
	p.Databases = 3
	var wrong *topology.CountError
	if _, err := topology.Prepare(p, first); !errors.As(err, &wrong) {
		t.Errorf("three databases of a single one: got %v", err)
	}
}

// Numbers follow the plan, those of replicated databases by way of what shall be; a shard has
// data of its own, and none comes or goes by a number.
func TestNumbersOfLaterPlans(t *testing.T) {
	p := several(t)
	first := made(t, p)
	p.Databases, p.MaxScales = 4, 1
	r, err := topology.Prepare(p, first)
	if err != nil || r.Databases != 3 || r.DatabasesNext != 4 || r.MaxScales != 1 || first.DatabasesNext != 0 || first.MaxScales != 2 {
		t.Fatalf("got %v", err)
	}
	var changed *topology.ChangedError
	p.Databases = 3
	if _, err := topology.Prepare(p, r); !errors.As(err, &changed) {
		t.Errorf("back in the middle: got %v", err)
	}
	if gone := r.Settle(); len(gone) != 0 || r.Databases != 4 || r.DatabasesNext != 0 {
		t.Errorf("got %v gone, %d and %d", gone, r.Databases, r.DatabasesNext)
	}
	if r, err = topology.Prepare(p, r); err != nil {
		t.Fatal(err)
	}
	if gone := r.Settle(); len(gone) != 1 || gone[0].Name != "mariadb-3" || r.Databases != 3 || len(r.Settle()) != 0 {
		t.Errorf("got %v gone, and %d", gone, r.Databases)
	}
	p.Databases = 2
	var wrong *topology.CountError
	if _, err := topology.Prepare(p, r); !errors.As(err, &wrong) {
		t.Errorf("two databases: got %v", err)
	}
	p = several(t)
	p.Architecture, p.Databases = topology.Sharded, 2
	shards := made(t, p)
	for _, n := range []int{1, 3} {
		p.Databases = n
		if _, err := topology.Prepare(p, shards); !errors.As(err, &changed) {
			t.Errorf("%d of two shards: got %v", n, err)
		}
	}
}
