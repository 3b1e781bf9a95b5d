package deploy_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/deploy"
	"github.com/confidb/confidb/pkg/release"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/topology"
)

// What is done, in which order: the record is written before each step, so that a run
// that is killed knows what it may have done.
func TestInstallOrder(t *testing.T) {
	w := newWorld(t)
	done := w.must(w.install(deploy.Install{CreateNamespace: true}))
	want := []string{
		"rights true", "connect cas.scone-system.svc", "dry run",
		"save 0 pending=false", "look", "create 1",
		"save 1 pending=false", "look", "create 2",
		"save 2 pending=false", "look", "create 3",
		"save 3 pending=false",
		"save 3 pending=true", "apply begins", "apply ends",
		"save 3 pending=false",
		"restart shop [{StatefulSet db1-mariadb}]", "await shop [{StatefulSet db1-mariadb}]", "verify",
	}
	if diff := cmp.Diff(want, w.done); diff != "" {
		t.Error(diff)
	}
	database := done.Release.Session(topology.Database).Name
	if owner := "db1-" + strings.Repeat("ab", 16); database != owner+"/db" {
		t.Errorf("the session is %q, want it in a namespace that nobody can guess", database)
	}
	wantSteps := []string{
		"preflight: cluster, rights, chart and earlier runs",
		"platforms: nodes with SGX and their platform IDs (from cluster)", "  1 platform IDs",
		"attesting the CAS cas.scone-system.svc",
		"session db1-" + strings.Repeat("ab", 16), "  created",
		"session db1-" + strings.Repeat("ab", 16) + "/client", "  created",
		"session " + database, "  created",
		"Helm release shop/db1: chart mariadb 1.0.0", "  installed, revision 3",
		"waiting until the database runs", "  0 of 1",
		"verifying: everything above is asked again, and the database itself",
	}
	if diff := cmp.Diff(wantSteps, w.steps); diff != "" {
		t.Error(diff)
	}
}

func TestInstallRecords(t *testing.T) {
	w := newWorld(t)
	w.must(w.install(deploy.Install{}))
	if got := w.stored.Origins["platforms"]; got != "cluster" {
		t.Errorf("the platforms are recorded as from %q", got)
	}
	if len(w.stored.Platforms) != 1 {
		t.Errorf("recorded %d platforms", len(w.stored.Platforms))
	}
	if w.provenance != attest.Declared {
		t.Errorf("machines were wanted %q, want what the policy says", w.provenance)
	}
	if !w.stored.HelmStarted.Equal(w.now) {
		t.Errorf("Helm began at %v", w.stored.HelmStarted)
	}
	if diff := cmp.Diff(map[string]any{"image": "example/mariadb:2"}, w.stored.Values); diff != "" {
		t.Errorf("the user's values: %s", diff)
	}
	attestation := w.applied.Values["scone"].(map[string]any)["attestation"]
	want := map[string]any{"config_id": w.stored.Session(topology.Database).Name, "cas": "cas.scone-system.svc"}
	if diff := cmp.Diff(any(want), attestation); diff != "" {
		t.Errorf("the values that Helm gets: %s", diff)
	}
	if got := w.stored.Pod; got.Image != "example/mariadb:2" || got.SGXResource != "sgx.intel.com/enclave" {
		t.Errorf("clients are started as %+v", got)
	}
}

// A run that was killed after any step is continued by the next, and ends in the
// same state: every session is created once.
func TestInstallKilledAfterEachStep(t *testing.T) {
	whole := newWorld(t)
	whole.must(whole.install(deploy.Install{}))
	for at := range len(whole.done) {
		if at == 0 {
			continue
		}
		t.Run(fmt.Sprintf("after %d %s", at, whole.done[at-1]), func(t *testing.T) {
			w := newWorld(t)
			w.killAt = at
			if _, err := w.install(deploy.Install{}); !errors.Is(err, errKilled) {
				t.Fatalf("got %v", err)
			}
			w.killAt, w.random = 0, bytes.NewReader(bytes.Repeat([]byte{0xcd}, 64))
			w.now = w.now.Add(time.Hour)
			w.must(w.install(deploy.Install{}))
			if w.cas.created != 3 {
				t.Errorf("created %d sessions, want 3", w.cas.created)
			}
			if w.stored.HelmPending {
				t.Error("the record says that Helm is still at work")
			}
			if w.revision.Status != "deployed" {
				t.Errorf("the release is %s", w.revision.Status)
			}
			for name, hash := range hashes(w.stored) {
				if got := w.cas.sessions[name].Hash; hash == "" || got != hash {
					t.Errorf("session %s: recorded hash %q, CAS has %q", name, hash, got)
				}
			}
			if w.done[len(w.done)-1] != "verify" {
				t.Errorf("the end is %q", w.done[len(w.done)-1])
			}
		})
	}
}

// Killed between the upload and its answer, the next run takes what CAS has.
func TestInstallAfterALostAnswer(t *testing.T) {
	w := newWorld(t)
	w.cas.lost = true
	_, err := w.install(deploy.Install{})
	wantError(t, err, "connection lost")
	w.cas.lost = false
	w.must(w.install(deploy.Install{}))
	if w.cas.created != 3 {
		t.Errorf("created %d sessions, want 3", w.cas.created)
	}
	if !slices.Contains(w.steps, "  is there already, with the same meaning") {
		t.Errorf("nobody is told of it: %q", w.steps)
	}
}

func TestInstallAgainKeepsSessions(t *testing.T) {
	w := newWorld(t)
	w.must(w.install(deploy.Install{}))
	first := hashes(w.stored)
	w.must(w.install(deploy.Install{}))
	if diff := cmp.Diff(first, hashes(w.stored)); diff != "" {
		t.Error(diff)
	}
	_, err := w.install(deploy.Install{}, func(in *deploy.Inputs) { in.Plan.CASAddress = "other" })
	if hint := wantError(t, err, "the CAS of this release has changed"); hint == "" {
		t.Error("no hint")
	}
}

// What fails on the way ends the run at once: nothing later is done, and above all the
// database is not verified.
func TestInstallStopsAtEachFailure(t *testing.T) {
	no := errors.New("no")
	for step, last := range map[string]string{
		"rights false": "rights false", "connect cas.scone-system.svc": "connect cas.scone-system.svc",
		"save 0 pending=false": "save 0 pending=false", "look": "look", "create 2": "create 2",
		"save 3 pending=true": "save 3 pending=true", "apply begins": "apply begins", "apply ends": "apply ends",
		"restart shop [{StatefulSet db1-mariadb}]": "restart shop [{StatefulSet db1-mariadb}]",
		"await shop [{StatefulSet db1-mariadb}]":   "await shop [{StatefulSet db1-mariadb}]",
		"verify":                                   "verify",
	} {
		t.Run(step, func(t *testing.T) {
			w := newWorld(t)
			w.fail[step] = no
			if _, err := w.install(deploy.Install{}); !errors.Is(err, no) {
				t.Fatalf("got %v", err)
			}
			if got := w.done[len(w.done)-1]; got != last {
				t.Errorf("after the failure it went on to %q", got)
			}
		})
	}
}

// Whatever is refused before the CAS is attested has left nothing behind.
func TestInstallRefusesBeforeAnythingIsMade(t *testing.T) {
	no := errors.New("no")
	for name, c := range map[string]struct {
		world  func(*world)
		inputs func(*deploy.Inputs)
		want   string
		hint   string
	}{
		"another run is at work":    {func(w *world) { w.locked = true }, nil, "another confidb works", ""},
		"no kubeconfig":             {func(w *world) { w.fail["id"] = no }, nil, "no", ""},
		"an unreadable record":      {func(w *world) { w.fail["earlier"] = no }, nil, "no", ""},
		"inputs that make no sense": {func(w *world) { w.fail["inputs"] = no }, nil, "no", ""},
		"missing rights":            {func(w *world) { w.fail["rights false"] = no }, nil, "no", ""},
		"a chart that is not there": {func(w *world) { w.chart = "/nonexistent/chart" }, nil, "loading chart", "ame a folder"},
		"somebody else's release":   {func(w *world) { w.revision = &release.Release{Chart: "wordpress"} }, nil, "release shop/db1 exists already (chart wordpress)", "Take another name"},
		"Helm does not answer":      {func(w *world) { w.fail["get"] = no }, nil, "no", ""},
		"no machine":                {func(w *world) { w.fail["platforms"] = no }, nil, "no", ""},
		"no randomness":             {func(w *world) { w.random = bytes.NewReader(nil) }, nil, "choosing a name that nobody can guess", ""},
		"no SQL":                    {nil, func(in *deploy.Inputs) { in.Plan.BootstrapSQL = "" }, "no SQL for the system tables", ""},
		"no SGX in the manifests":   {nil, func(in *deploy.Inputs) { in.Plan.Values = map[string]any{"sgx": 0} }, "no SGX resource", "ook at the chart's values"},
		"a chart that does not render": {nil, func(in *deploy.Inputs) { in.Plan.Values = map[string]any{"scone": map[string]any{"attestation": "x"}} },
			"scone", ""},
		"a key that the chart has not": {nil, func(in *deploy.Inputs) { in.Keys.ConfigIDs = []string{"nowhere.config_id"} }, "chart mariadb has no value nowhere.config_id", "--config-id-key"},
		"a CAS key that it has not":    {nil, func(in *deploy.Inputs) { in.Keys.CAS = "nowhere" }, "chart mariadb has no value nowhere", "--cas-key"},
		"a LAS key that it has not":    {nil, func(in *deploy.Inputs) { in.Keys.LAS, in.Keys.LASAddress = "nowhere", "las" }, "chart mariadb has no value nowhere", "--las-key"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if c.world != nil {
				c.world(w)
			}
			if c.inputs == nil {
				c.inputs = func(*deploy.Inputs) {}
			}
			_, err := w.site().Install(t.Context(), deploy.Install{Name: "db1", DryRun: deploy.None, Inputs: w.inputs(c.inputs)})
			if hint := wantError(t, err, c.want); !strings.Contains(hint, c.hint) {
				t.Errorf("got hint %q, want %q", hint, c.hint)
			}
			if made := w.made(); len(made) > 0 {
				t.Errorf("it made %q", made)
			}
			if slices.Contains(w.done, "connect cas.scone-system.svc") {
				t.Error("the CAS was asked")
			}
		})
	}
}

// A CAS that has another session of that name, or lost its own, is not believed.
func TestInstallRefusesSessions(t *testing.T) {
	for name, c := range map[string]struct {
		change func(w *world, name string)
		want   string
	}{
		"somebody else's": {func(w *world, name string) {
			s := w.cas.sessions[name]
			w.cas.sessions[name] = session.Stored{Hash: s.Hash, Text: strings.Replace(s.Text, "CREATOR", "ANY", 1)}
		}, "is not the one that was prepared"},
		"changed since": {func(w *world, name string) {
			s := w.cas.sessions[name]
			w.cas.sessions[name] = session.Stored{Hash: strings.Repeat("f", 64), Text: s.Text}
		}, "was changed in CAS"},
		"a CAS that lost its store": {func(w *world, _ string) { clear(w.cas.sessions) }, "lost its store"},
	} {
		for _, dryRun := range []deploy.DryRun{deploy.None, deploy.Server} {
			t.Run(name+" "+string(dryRun), func(t *testing.T) {
				w := newWorld(t)
				w.must(w.install(deploy.Install{}))
				c.change(w, w.stored.Session(topology.Database).Name)
				w.done = nil
				_, err := w.install(deploy.Install{DryRun: dryRun})
				wantError(t, err, c.want)
				for _, d := range w.done {
					if strings.HasPrefix(d, "apply") || strings.HasPrefix(d, "create") || d == "verify" {
						t.Errorf("it went on to %q", d)
					}
				}
			})
		}
	}
}

// A pending release is taken over only if this user's killed run left it.
func TestInstallPending(t *testing.T) {
	w := newWorld(t)
	w.killAt = slices.Index(orderOf(t), "apply ends")
	if _, err := w.install(deploy.Install{}); !errors.Is(err, errKilled) || !w.pending {
		t.Fatalf("got %v", err)
	}
	w.killAt = 0
	t.Run("before ours began", func(t *testing.T) {
		other := *w
		other.t, other.revision = t, &release.Release{Name: "db1", Status: "pending-upgrade", Owner: "owner", Changed: w.now.Add(-time.Hour)}
		_, err := other.install(deploy.Install{})
		wantError(t, err, "another helm is at work")
		if !other.stored.HelmPending {
			t.Error("the record forgot that ours may be pending")
		}
	})
	w.now = w.now.Add(time.Minute)
	w.must(w.install(deploy.Install{}))
	t.Run("after ours ended", func(t *testing.T) {
		w.pending, w.revision = true, &release.Release{Name: "db1", Status: "pending-upgrade", Owner: "owner", Changed: w.now.Add(time.Hour)}
		_, err := w.install(deploy.Install{})
		wantError(t, err, "another helm is at work")
	})
}

// orderOf are the steps of a whole run.
func orderOf(t *testing.T) []string {
	t.Helper()
	w := newWorld(t)
	w.must(w.install(deploy.Install{}))
	return w.done
}

func TestDryRunsMakeNothing(t *testing.T) {
	for dryRun, want := range map[deploy.DryRun][]string{
		deploy.Client: nil,
		deploy.Server: {"rights false", "connect cas.scone-system.svc", "look", "look", "look", "dry run"},
	} {
		w := newWorld(t)
		done := w.must(w.install(deploy.Install{DryRun: dryRun}))
		if diff := cmp.Diff(want, w.done); diff != "" {
			t.Errorf("%s: %s", dryRun, diff)
		}
		if w.stored != nil {
			t.Errorf("%s: a record was written", dryRun)
		}
		if len(done.Release.Members) != 3 {
			t.Errorf("%s: got %d sessions to show", dryRun, len(done.Release.Members))
		}
		if got := string(done.Manifests); strings.HasSuffix(got, "# of the server\n") != (dryRun == deploy.Server) || got == "" {
			t.Errorf("%s: got manifests %q", dryRun, got)
		}
	}
	w := newWorld(t)
	w.must(w.install(deploy.Install{}))
	w.must(w.install(deploy.Install{DryRun: deploy.Server}))
	if !slices.Contains(w.steps, "session "+w.stored.Session(topology.Database).Name+" is there already, with the same meaning") {
		t.Errorf("got %q", w.steps)
	}
	w.fail["connect cas.scone-system.svc"] = errors.New("not proven")
	_, err := w.install(deploy.Install{DryRun: deploy.Server})
	wantError(t, err, "not proven")
	_, err = newWorld(t).install(deploy.Install{DryRun: "perhaps"})
	wantError(t, err, `dry run: got "perhaps"`)
}

func TestUpgrade(t *testing.T) {
	w := newWorld(t)
	_, err := w.install(deploy.Install{MustExist: true})
	if hint := wantError(t, err, "release shop/db1 not found"); hint != "helm list --namespace shop shows the releases that there are." {
		t.Errorf("got hint %q", hint)
	}
	w.must(w.install(deploy.Install{}))
	w.must(w.install(deploy.Install{MustExist: true}))
	if len(w.warnings) > 0 {
		t.Errorf("got warnings %q", w.warnings)
	}
	w.must(w.install(deploy.Install{MustExist: true}, func(in *deploy.Inputs) { in.Plan.Values = map[string]any{"other": 1} }))
	if diff := cmp.Diff([]string{"values of the last run are left out, as with helm upgrade, since others are given now: image"}, w.warnings); diff != "" {
		t.Error(diff)
	}
	w.revision.Status = "uninstalled"
	_, err = w.install(deploy.Install{MustExist: true})
	wantError(t, err, "not found")
	w.fail["get"] = errors.New("no route")
	_, err = w.install(deploy.Install{MustExist: true})
	wantError(t, err, "no route")
	// a release of somebody else's is not upgraded, whatever warns or does not
	other := newWorld(t)
	other.revision = &release.Release{Chart: "mariadb", Status: "deployed"}
	_, err = other.install(deploy.Install{MustExist: true})
	wantError(t, err, "was not installed with the records of this user")
}

func TestClients(t *testing.T) {
	w := newWorld(t)
	w.must(w.install(deploy.Install{}, func(in *deploy.Inputs) {
		in.Plan.Values = map[string]any{"command": []any{"scone", 1}}
		in.Keys.Service, in.Keys.LASAddress = "db", "las.example"
	}))
	if diff := cmp.Diff([]string{"scone", "1"}, w.stored.Pod.Command); diff != "" {
		t.Errorf("the command of the chart: %s", diff)
	}
	if got := w.stored.Pod.Environment["SCONE_LAS_ADDR"]; got != "las.example" {
		t.Errorf("got LAS %q", got)
	}
	id := w.applied.Values["scone"].(map[string]any)["attestation"].(map[string]any)["config_id"]
	if id != w.stored.Session(topology.Database).Name+"/db" {
		t.Errorf("got session %q", id)
	}
	w.must(w.install(deploy.Install{}, func(in *deploy.Inputs) {
		in.Clients = deploy.Clients{Image: "other", Command: []string{"run"}, Environment: map[string]string{"SCONE_HEAP": "2G"}}
	}))
	if got := w.stored.Pod; got.Image != "other" || got.Command[0] != "run" || got.Environment["SCONE_HEAP"] != "2G" {
		t.Errorf("the user's wishes: got %+v", got)
	}
}
