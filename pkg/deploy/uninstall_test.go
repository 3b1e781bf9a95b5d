package deploy_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/deploy"
	"github.com/confidb/confidb/pkg/release"
	"github.com/confidb/confidb/pkg/topology"
)

func (w *world) uninstall(dryRun deploy.DryRun) (*topology.Release, error) {
	w.t.Helper()
	known, err := w.site().Uninstall(w.t.Context(), deploy.Uninstall{Name: "db1", DryRun: dryRun, Timeout: time.Minute})
	if w.locked {
		w.t.Error("the lock is not given back")
	}
	return known, err
}

// Sessions and their record stay; that the Helm release is ours is forgotten, but not
// before it is gone.
func TestUninstall(t *testing.T) {
	w := newWorld(t)
	w.must(w.install(deploy.Install{}))
	sessions := hashes(w.stored)
	w.done = nil
	for _, dryRun := range []deploy.DryRun{deploy.Client, deploy.Server, ""} {
		known, err := w.uninstall(dryRun)
		if err != nil {
			t.Fatal(err)
		}
		if len(w.done) > 0 {
			t.Errorf("dry run %q: it did %q", dryRun, w.done)
		}
		if len(known.Members) != 3 {
			t.Errorf("dry run %q: got %d sessions", dryRun, len(known.Members))
		}
	}
	if _, err := w.uninstall(deploy.None); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"uninstall db1 1m0s", "save 3 pending=false"}, w.done); diff != "" {
		t.Error(diff)
	}
	if !w.stored.HelmStarted.IsZero() {
		t.Error("the record still says that the release is ours")
	}
	if diff := cmp.Diff(sessions, hashes(w.stored)); diff != "" {
		t.Error(diff)
	}
	// whoever takes the name now is somebody else
	w.revision = &release.Release{Chart: "wordpress"}
	_, err := w.install(deploy.Install{})
	wantError(t, err, "exists already (chart wordpress)")
	w.revision = nil
	w.must(w.install(deploy.Install{}))
	if w.cas.created != 3 {
		t.Errorf("created %d sessions, want the old ones", w.cas.created)
	}
}

func TestUninstallRefuses(t *testing.T) {
	no := errors.New("no")
	installed := func(w *world) { w.must(w.install(deploy.Install{})) }
	for name, c := range map[string]struct {
		prepare    func(*world)
		want, hint string
	}{
		"no such release":         {func(*world) {}, "release shop/db1 not found", "helm list"},
		"only its history":        {func(w *world) { installed(w); w.revision.Status = "uninstalled" }, "not found", "helm list"},
		"somebody else's":         {func(w *world) { w.revision = &release.Release{Chart: "wordpress"} }, "(chart wordpress) was not installed with the records of this user", "CONFIDB_HOME"},
		"sessions but no release": {func(w *world) { installed(w); w.stored.HelmStarted = time.Time{} }, "was not installed with the records", "helm uninstall db1 --namespace shop"},
		"another run is at work":  {func(w *world) { installed(w); w.locked = true }, "another confidb works", ""},
		"no kubeconfig":           {func(w *world) { w.fail["id"] = no }, "no", ""},
		"an unreadable record":    {func(w *world) { installed(w); w.fail["earlier"] = no }, "no", ""},
		"Helm fails":              {func(w *world) { installed(w); w.fail["uninstall db1 1m0s"] = no }, "no", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c.prepare(w)
			w.done = nil
			_, err := w.site().Uninstall(t.Context(), deploy.Uninstall{Name: "db1", DryRun: deploy.None, Timeout: time.Minute})
			if hint := wantError(t, err, c.want); !strings.Contains(hint, c.hint) {
				t.Errorf("got hint %q, want %q", hint, c.hint)
			}
			if slices.Contains(w.done, "save 3 pending=false") {
				t.Error("the record was changed")
			}
		})
	}
	w := newWorld(t)
	installed(w)
	w.fail["save 3 pending=false"] = no
	_, err := w.uninstall(deploy.None)
	wantError(t, err, "keeping the record of the release: no")
}

func (w *world) template(change ...func(*deploy.Inputs)) (*deploy.Manifests, error) {
	w.t.Helper()
	if w.fail["offline"] == nil {
		w.fail["offline"] = errors.New("a template takes no lock")
	}
	return w.site().Template(w.t.Context(), deploy.Template{Name: "db1", CAS: "cas.example", Inputs: w.inputs(change...)})
}

func noNames(in *deploy.Inputs) { in.Plan.CASAddress, in.Plan.DatabaseSession = "", "" }

// A template asks nobody, and shows what an installation would send.
func TestTemplate(t *testing.T) {
	w := newWorld(t)
	made, err := w.template(noNames)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"value: cas.example", "value: db1-" + strings.Repeat("ab", 16) + "/db"} {
		if !strings.Contains(string(made.Text), want) {
			t.Errorf("no %q in\n%s", want, made.Text)
		}
	}
	if !made.Invented {
		t.Error("nobody is told that the name is made up")
	}
	made, err = w.template(func(in *deploy.Inputs) { in.Plan.DatabaseSession = "shop/db" })
	if err != nil {
		t.Fatal(err)
	}
	if made.Invented || !strings.Contains(string(made.Text), "value: shop/db}") {
		t.Errorf("got %+v", made)
	}
	if len(w.done) > 0 {
		t.Errorf("it did %q", w.done)
	}
	delete(w.fail, "offline")
	w.must(w.install(deploy.Install{}))
	made, err = w.template(noNames)
	if err != nil {
		t.Fatal(err)
	}
	if made.Invented || !strings.Contains(string(made.Text), w.stored.Session(topology.Database).Name) {
		t.Errorf("got %+v, want the recorded session", made)
	}
	_, err = w.template(func(in *deploy.Inputs) { in.Plan.CASAddress = "evil" })
	wantError(t, err, "the CAS of this release has changed: got evil")
	_, err = w.template(func(in *deploy.Inputs) { in.Plan.DatabaseSession = "evil" })
	wantError(t, err, "the database session of this release has changed")
}

func TestTemplateRefuses(t *testing.T) {
	no := errors.New("no")
	for name, c := range map[string]struct {
		world  func(*world)
		inputs func(*deploy.Inputs)
		want   string
	}{
		"no kubeconfig":     {func(w *world) { w.fail["id"] = no }, noNames, "no"},
		"unreadable record": {func(w *world) { w.fail["earlier"] = no }, noNames, "no"},
		"bad inputs":        {func(w *world) { w.fail["inputs"] = no }, noNames, "no"},
		"no chart":          {func(w *world) { w.chart = "/nonexistent" }, noNames, "loading chart"},
		"no randomness":     {func(w *world) { w.random = bytes.NewReader(nil) }, noNames, "choosing a name"},
		"manifests, no SGX": {func(*world) {}, func(in *deploy.Inputs) { in.Plan.Values = map[string]any{"sgx": 0} }, "no SGX resource"},
		"a key it lacks":    {func(*world) {}, func(in *deploy.Inputs) { in.Keys.CAS = "nowhere" }, "has no value nowhere"},
	} {
		w := newWorld(t)
		c.world(w)
		if made, err := w.template(c.inputs); err == nil && c.want != "" {
			t.Errorf("%s: got %s", name, made.Text)
		} else if c.want != "" {
			wantError(t, err, c.want)
		}
	}
}

// A value that is in several subcharts is not guessed.
func TestInstallRefusesToGuessASubchart(t *testing.T) {
	w := newWorld(t)
	values := "image: example/mariadb:1\nsgx: 1\n"
	for _, part := range []string{"a", "b"} {
		values += part + ": {scone: {attestation: {config_id: x, cas: y}}}\n"
	}
	if err := os.WriteFile(filepath.Join(w.chart, "values.yaml"), []byte(values), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := w.install(deploy.Install{})
	var key *deploy.KeyError
	if !errors.As(err, &key) {
		t.Fatalf("got %v", err)
	}
	if diff := cmp.Diff([]string{"a." + deploy.ConfigIDKey, "b." + deploy.ConfigIDKey}, key.Found); diff != "" {
		t.Error(diff)
	}
	if made := w.made(); len(made) > 0 {
		t.Errorf("it made %q", made)
	}
}

// A value that is in several subcharts, or in none, is said to be.
func TestKeyError(t *testing.T) {
	for _, c := range []struct {
		err        *deploy.KeyError
		text, hint string
	}{
		{&deploy.KeyError{Chart: "c", Key: "k", Flag: "--cas-key"}, "chart c has no value k, and the values that were given have none", "Look for it with: helm show values c; then name it with --cas-key."},
		{&deploy.KeyError{Chart: "c", Given: topology.Chart{Name: "apps/c", Repo: "https://r", Version: "1.2"}, Key: "k", Flag: "--f"}, "chart c has no value k, and the values that were given have none", "Look for it with: helm show values apps/c --repo https://r --version 1.2; then name it with --f."},
		{&deploy.KeyError{Key: "k", Flag: "--f", Found: []string{"a.k", "b.k"}}, "chart : the value k is in several subcharts: a.k, b.k", "Look for it with: helm show values CHART; then name it with --f."},
	} {
		if got := c.err.Error(); got != c.text {
			t.Errorf("got %q, want %q", got, c.text)
		}
		if got := c.err.Hint(); got != c.hint {
			t.Errorf("got %q, want %q", got, c.hint)
		}
	}
}
