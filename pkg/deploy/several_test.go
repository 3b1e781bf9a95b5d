package deploy_test

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/deploy"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/pkg/topology"
)

// several makes the inputs those of several databases, by our own chart.
func several(change func(values map[string]any)) func(*deploy.Inputs) {
	return func(in *deploy.Inputs) {
		in.Plan.Architecture, in.Plan.Chart = topology.Replicated, topology.Chart{}
		in.Plan.Enclaves[topology.EnclaveMaxScale] = []sgx.Measurement{{4}}
		in.Plan.Values["maxscale"] = map[string]any{"image": "example/maxscale:2"}
		in.Plan.Values["haproxy"] = map[string]any{"image": "example/haproxy:2"}
		change(in.Plan.Values)
	}
}

// The sessions of several databases are made importers first, the chart is ours, and the
// pods start under the sessions that were made for them.
func TestInstallSeveral(t *testing.T) {
	w := newWorld(t)
	done := w.must(w.install(deploy.Install{}, several(func(values map[string]any) { values["replicas"] = 4 })))
	r := done.Release
	if !done.Chart.Own || r.Databases != 4 || r.MaxScales != 2 {
		t.Errorf("own chart %v with %d databases and %d MaxScales, want true, 4 and 2", done.Chart.Own, r.Databases, r.MaxScales)
	}
	var roles []topology.Role
	for _, m := range r.Members {
		if m.Session.Hash == "" {
			t.Errorf("the session of %s was not made", m.Role)
		}
		roles = append(roles, m.Role)
	}
	if want := []topology.Role{topology.Namespace, topology.Client, topology.MaxScale, topology.Database}; !slices.Equal(roles, want) {
		t.Errorf("sessions of %v, want %v in this order", roles, want)
	}
	for _, role := range []topology.Role{topology.Database, topology.MaxScale} {
		if name := r.Session(role).Name; !strings.Contains(string(done.Manifests), "value: "+name+"/") && !strings.Contains(string(done.Manifests), `value: "`+name+"/") {
			t.Errorf("nothing runs under the session of %s", role)
		}
	}
	if !slices.ContainsFunc(w.done, func(step string) bool {
		return strings.Contains(step, "await shop") && strings.Contains(step, "maxscale") && strings.Contains(step, "haproxy")
	}) {
		t.Errorf("nobody waits for all tiers: %q", w.done)
	}
}

// Shards are installed in the same way, one at the least; there is nothing in their pods that
// only databases which follow each other need.
func TestInstallShards(t *testing.T) {
	w := newWorld(t)
	done := w.must(w.install(deploy.Install{}, several(func(values map[string]any) { values["replicas"] = 1 }), func(in *deploy.Inputs) { in.Plan.Architecture = topology.Sharded }))
	text := string(done.Manifests)
	if r := done.Release; !done.Chart.Own || r.Architecture != topology.Sharded || r.Databases != 1 || len(r.Members) != 4 {
		t.Errorf("got %+v", r)
	}
	if !strings.Contains(text, "/db-$(POD_NAME)") || strings.Contains(text, "gate-") || strings.Contains(text, "keeper") {
		t.Error("the databases do not start as shards")
	}
}

// A pod names the document of its session, so that it starts anew when that changes, and
// only then.
func TestSeveralStartAnewWithTheirSession(t *testing.T) {
	annotations := func(w *world, change ...func(*deploy.Inputs)) string {
		done := w.must(w.install(deploy.Install{}, append([]func(*deploy.Inputs){several(func(map[string]any) {})}, change...)...))
		var found []string
		for _, line := range strings.Split(string(done.Manifests), "\n") {
			if strings.Contains(line, "confidb.io/session:") {
				found = append(found, strings.TrimSpace(line))
			}
		}
		if len(found) != 2 || found[0] == found[1] {
			t.Errorf("sessions noted at pods: %q, want those of databases and MaxScales", found)
		}
		return strings.Join(found, "\n")
	}
	w := newWorld(t)
	first := annotations(w)
	if again := annotations(w); again != first {
		t.Errorf("got\n%s\nwant what nothing has changed\n%s", again, first)
	}
	changed := annotations(w, func(in *deploy.Inputs) {
		in.Plan.Applications = topology.Applications{Accounts: "kind: confidb.accounts/v1\ndatabases:\n  - name: shop\n"}
	})
	if changed == first {
		t.Error("the accounts have changed, and no database starts anew")
	}
	if slices.ContainsFunc(w.done, func(step string) bool { return strings.HasPrefix(step, "start anew") }) {
		t.Errorf("all start anew at once: %q", w.done)
	}
}

// What cannot be is refused before anything is made.
func TestSeveralRefused(t *testing.T) {
	for want, change := range map[string]func(*deploy.Inputs){
		"got 5, want 3 to 4":  several(func(values map[string]any) { values["replicas"] = 5 }),
		"got 2, want 3 to 4":  several(func(values map[string]any) { values["replicas"] = 2 }),
		"got 5, want 1 to 4":  several(func(values map[string]any) { values["maxscale"].(map[string]any)["replicas"] = 5 }),
		"want a whole number": several(func(values map[string]any) { values["replicas"] = "x" }),
		"want our own":        func(in *deploy.Inputs) { in.Plan.Architecture = topology.Replicated },
		`measurements of the enclave "m`: func(in *deploy.Inputs) {
			several(func(map[string]any) {})(in)
			delete(in.Plan.Enclaves, topology.EnclaveMaxScale)
		},
	} {
		w := newWorld(t)
		_, err := w.install(deploy.Install{}, change)
		wantError(t, err, want)
		if len(w.done) > 1 || w.stored != nil {
			t.Errorf("%s: done %q", want, w.done)
		}
	}
}

// Manifests without CAS and cluster name sessions for all that runs.
func TestTemplateOfSeveral(t *testing.T) {
	w := newWorld(t)
	made, err := w.template(several(func(map[string]any) {}))
	if err != nil {
		t.Fatal(err)
	}
	if text := string(made.Text); !made.Invented || !strings.Contains(text, "/maxscale/") || !strings.Contains(text, "/db/") {
		t.Errorf("invented %v, and sessions are missing in\n%.2000s", made.Invented, text)
	}
}

// Other numbers among the values are enough: MaxScale's session is the only one that changes
// with that of the databases, and what counts is what all parts know. What was killed goes on
// or goes back.
func TestNumbersFollowValues(t *testing.T) {
	with := func(databases, maxScales int) func(*deploy.Inputs) {
		return several(func(values map[string]any) {
			values["replicas"], values["maxscale"].(map[string]any)["replicas"] = databases, maxScales
		})
	}
	w := newWorld(t)
	before := w.must(w.install(deploy.Install{}, with(3, 2))).Release
	texts := func(r *topology.Release) map[topology.Role]string {
		all := map[topology.Role]string{}
		for _, m := range r.Members {
			all[m.Role] = m.Session.Hash
		}
		return all
	}
	for _, c := range []struct {
		databases, maxScales int
		warns                bool
	}{{3, 3, false}, {4, 1, false}, {4, 2, false}, {3, 2, true}, {4, 2, false}} {
		w.warnings = nil
		done := w.must(w.install(deploy.Install{}, with(c.databases, c.maxScales)))
		r := copyRelease(w.stored)
		if r.Databases != c.databases || r.DatabasesNext != 0 || r.MaxScales != c.maxScales {
			t.Errorf("%+v: got %d databases (%d) and %d MaxScales", c, r.Databases, r.DatabasesNext, r.MaxScales)
		}
		for role, hash := range texts(before) {
			if changed := texts(r)[role] != hash; changed && role != topology.MaxScale || role == topology.MaxScale && before.Databases != c.databases && !changed {
				t.Errorf("%+v: the session of %s is another one: %v", c, role, changed)
			}
		}
		if text := string(done.Manifests); !strings.Contains(text, "replicas: "+strconv.Itoa(c.databases)) || !strings.Contains(text, "replicas: "+strconv.Itoa(c.maxScales)) {
			t.Errorf("%+v: the chart has other numbers", c)
		}
		if warned := strings.Contains(strings.Join(w.warnings, "\n"), "-mariadb-3"); warned != c.warns {
			t.Errorf("%+v: warned of %q", c, w.warnings)
		}
		before = r
	}
}

// A change of the numbers that was killed after any step is carried out by the next run, and
// nothing else is until then.
func TestNumbersKilledAfterEachStep(t *testing.T) {
	with := func(databases int) func(*deploy.Inputs) {
		return several(func(values map[string]any) { values["replicas"] = databases })
	}
	whole := newWorld(t)
	whole.must(whole.install(deploy.Install{}, with(3)))
	begin := len(whole.done)
	whole.must(whole.install(deploy.Install{}, with(4)))
	for at := 1; at < len(whole.done)-begin; at++ {
		t.Run(whole.done[begin+at-1], func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.must(w.install(deploy.Install{}, with(3)))
			w.killAt = begin + at
			if _, err := w.install(deploy.Install{}, with(4)); !errors.Is(err, errKilled) {
				t.Fatalf("got %v", err)
			}
			w.killAt = 0
			if w.stored.DatabasesNext != 0 {
				var changed *topology.ChangedError
				if _, err := w.install(deploy.Install{}, with(3)); !errors.As(err, &changed) {
					t.Errorf("back in the middle of a change: got %v", err)
				}
			}
			w.must(w.install(deploy.Install{}, with(4)))
			if r := w.stored; r.Databases != 4 || r.DatabasesNext != 0 {
				t.Errorf("got %d databases (%d)", r.Databases, r.DatabasesNext)
			}
			if s := w.stored.Session(topology.MaxScale); !strings.Contains(s.Text, "[mariadb-3]") || w.cas.sessions[s.Name].Hash != s.Hash {
				t.Error("MaxScale does not know the fourth database")
			}
			if text := w.revision.Manifest; !strings.Contains(text, "replicas: 4") {
				t.Error("the chart has another number")
			}
		})
	}
}
