package release_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/kube/fake"
	helm "helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage"
	"helm.sh/helm/v3/pkg/storage/driver"
	helmtime "helm.sh/helm/v3/pkg/time"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/confidb/confidb/pkg/charts"
	"github.com/confidb/confidb/pkg/release"
)

const (
	namespace = "shop"
	name      = "db1"
)

// bench is a Helm without a cluster: releases are kept in memory, and what would
// be sent to Kubernetes is thrown away.
type bench struct {
	*release.Helm
	store *storage.Storage
	kube  *fake.FailingKubeClient
	own   *release.Chart
}

func newBench(t *testing.T) *bench {
	t.Helper()
	memory := driver.NewMemory()
	memory.SetNamespace(namespace)
	return newBenchOn(t, memory)
}

func newBenchOn(t *testing.T, records driver.Driver) *bench {
	t.Helper()
	b := &bench{store: storage.Init(records), kube: &fake.FailingKubeClient{PrintingKubeClient: fake.PrintingKubeClient{Out: io.Discard, LogOutput: io.Discard}}}
	capabilities := chartutil.DefaultCapabilities.Copy()
	capabilities.KubeVersion = chartutil.KubeVersion{Version: "v1.30.0", Major: "1", Minor: "30"}
	b.Helm = release.NewWith(namespace, release.Settings{Own: charts.For, Log: t.Logf}, records, b.kube, capabilities)
	b.own = b.load(t, release.Spec{})
	return b
}

func (b *bench) load(t *testing.T, spec release.Spec) *release.Chart {
	t.Helper()
	c, err := b.Load(spec)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (b *bench) apply(t *testing.T, spec release.Spec, ours func(time.Time) bool) *release.Release {
	t.Helper()
	r, err := b.Apply(t.Context(), spec, b.own, ours)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// want checks what the last Apply did and how many revisions are stored.
func (b *bench) want(t *testing.T, r *release.Release, did release.Did, revision, revisions int) {
	t.Helper()
	if r.Did != did || r.Revision != revision || r.Status != "deployed" {
		t.Errorf("got %s, revision %d, status %s, want %s, revision %d, deployed", r.Did, r.Revision, r.Status, did, revision)
	}
	history, err := b.store.History(r.Name)
	if err != nil || len(history) != revisions {
		t.Errorf("got %d revisions (%v), want %d", len(history), err, revisions)
	}
}

// mark rewrites the newest record of the release.
func (b *bench) mark(t *testing.T, change func(*helm.Release)) {
	t.Helper()
	last, err := b.store.Last(name)
	if err != nil {
		t.Fatal(err)
	}
	change(last)
	if err := b.store.Update(last); err != nil {
		t.Fatal(err)
	}
}

func status(s helm.Status) func(*helm.Release) {
	return func(r *helm.Release) { r.Info.Status = s }
}

func spec() release.Spec {
	return release.Spec{Name: name, Values: map[string]any{
		"image": "registry.test/mariadb@sha256:00",
		"scone": map[string]any{"attestation": map[string]any{"config_id": "owner/db", "cas": "cas.scone-system.svc"}},
	}}
}

func with(path string, value any) release.Spec {
	s := spec()
	if err := release.SetPath(s.Values, path, value); err != nil {
		panic(err)
	}
	return s
}

func never(time.Time) bool  { return false }
func always(time.Time) bool { return true }

func TestApply(t *testing.T) {
	b := newBench(t)
	b.want(t, b.apply(t, spec(), never), release.Installed, 1, 1)
	b.want(t, b.apply(t, spec(), never), release.Unchanged, 1, 1)
	b.want(t, b.apply(t, with("scone.heap", "2G"), never), release.Upgraded, 2, 2)
	b.want(t, b.apply(t, with("scone.heap", "2G"), never), release.Unchanged, 2, 2)
	// The same manifest from other values is another release all the same.
	b.want(t, b.apply(t, with("service.port", 3306), never), release.Upgraded, 3, 3)
	// The values of the spec are all of them: nothing is kept from the last revision.
	r := b.apply(t, spec(), never)
	b.want(t, r, release.Upgraded, 4, 4)
	if diff := cmp.Diff(spec().Values, r.Values); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
}

func TestApplyTellsChartsOfOneNameApart(t *testing.T) {
	b := newBench(t)
	for i, more := range []map[string]string{
		{},
		{"templates/o.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\n"},
		{"templates/o.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\n", "Chart.yaml": "apiVersion: v2\nname: mariadb\nversion: 7.0.1\n"},
		{"templates/h.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: h, annotations: {helm.sh/hook: test}}\n"},
	} {
		b.own = b.load(t, release.Spec{Chart: writeChart(t, more)})
		did := release.Upgraded
		if i == 0 {
			did = release.Installed
		}
		b.want(t, b.apply(t, spec(), never), did, i+1, i+1)
		b.want(t, b.apply(t, spec(), never), release.Unchanged, i+1, i+1)
	}
}

func TestApplyLeavesTheSpecAlone(t *testing.T) {
	b := newBench(t)
	s := spec()
	b.apply(t, s, never)
	b.apply(t, s, never)
	if diff := cmp.Diff(spec().Values, s.Values); diff != "" {
		t.Errorf("values (-before +after):\n%s", diff)
	}
}

func TestApplyAfterFailure(t *testing.T) {
	for _, s := range []helm.Status{helm.StatusFailed, helm.StatusSuperseded} {
		t.Run(s.String(), func(t *testing.T) {
			b := newBench(t)
			b.apply(t, spec(), never)
			b.mark(t, status(s))
			b.want(t, b.apply(t, spec(), never), release.Upgraded, 2, 2)
		})
	}
}

func TestApplyFails(t *testing.T) {
	b := newBench(t)
	b.apply(t, spec(), never)
	b.kube.UpdateError = errors.New("the quota is used up")
	_, err := b.Apply(t.Context(), with("scone.heap", "2G"), b.own, never)
	if !errors.Is(err, b.kube.UpdateError) || !strings.Contains(err.Error(), "upgrading release shop/db1") {
		t.Fatalf("got %v, want the error of Kubernetes and what was done", err)
	}
	if r, err := b.Get(t.Context(), name); err != nil || r.Status != "failed" || r.Revision != 2 {
		t.Errorf("got %+v, %v, want revision 2, failed", r, err)
	}
	b.kube.UpdateError = nil
	// Revision 1 has these values and is still called deployed, but the newest counts.
	b.want(t, b.apply(t, spec(), never), release.Upgraded, 3, 3)
}

func TestApplyAfterAKilledInstall(t *testing.T) {
	b := newBench(t)
	b.apply(t, spec(), never)
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	b.mark(t, func(r *helm.Release) {
		r.Info.Status, r.Info.LastDeployed = helm.StatusPendingInstall, helmtime.Time{Time: began}
	})
	for label, ours := range map[string]func(time.Time) bool{"not ours": never, "nobody asked": nil} {
		_, err := b.Apply(t.Context(), spec(), b.own, ours)
		var pending *release.PendingError
		if !errors.As(err, &pending) || !pending.Since.Equal(began) || pending.Status != "pending-install" || pending.Hint() == "" {
			t.Errorf("%s: got %v, want a PendingError since %s", label, err, began)
		}
	}
	if r, err := b.Get(t.Context(), name); err != nil || r.Status != "pending-install" {
		t.Errorf("got %+v, %v, want the pending release untouched", r, err)
	}
	asked := time.Time{}
	r := b.apply(t, spec(), func(since time.Time) bool { asked = since; return true })
	b.want(t, r, release.Installed, 1, 1)
	if !asked.Equal(began) {
		t.Errorf("asked about %s, want %s", asked, began)
	}
}

func TestApplyAfterAKilledUpgrade(t *testing.T) {
	for label, before := range map[string]helm.Status{"before the new record": helm.StatusDeployed, "between the records": helm.StatusSuperseded} {
		t.Run(label, func(t *testing.T) {
			b := newBench(t)
			b.apply(t, spec(), never)
			b.apply(t, with("scone.heap", "2G"), never)
			b.mark(t, status(helm.StatusPendingUpgrade))
			first, err := b.store.Get(name, 1)
			if err != nil {
				t.Fatal(err)
			}
			first.Info.Status = before
			if err := b.store.Update(first); err != nil {
				t.Fatal(err)
			}
			if _, err := b.Apply(t.Context(), spec(), b.own, never); err == nil {
				t.Fatal("took over an upgrade of somebody else")
			}
			// What revision 1 has, the cluster may no longer have: not unchanged.
			b.want(t, b.apply(t, spec(), always), release.Upgraded, 2, 2)
		})
	}
}

func TestApplyNeverTakesOverARollback(t *testing.T) {
	b := newBench(t)
	b.apply(t, spec(), never)
	b.mark(t, status(helm.StatusPendingRollback))
	var pending *release.PendingError
	if _, err := b.Apply(t.Context(), spec(), b.own, always); !errors.As(err, &pending) {
		t.Errorf("got %v, want a PendingError", err)
	}
}

func TestApplyAfterAnUninstall(t *testing.T) {
	for _, c := range []struct {
		left      helm.Status
		revision  int
		revisions int
	}{
		{helm.StatusUninstalling, 1, 1}, // killed half-way
		{helm.StatusUninstalled, 2, 2},  // helm uninstall --keep-history
	} {
		t.Run(c.left.String(), func(t *testing.T) {
			b := newBench(t)
			b.apply(t, spec(), never)
			b.mark(t, status(c.left))
			b.want(t, b.apply(t, spec(), never), release.Installed, c.revision, c.revisions)
		})
	}
}

func TestApplyRefuses(t *testing.T) {
	foreign := func(r *helm.Release) { r.Chart = &chart.Chart{Metadata: &chart.Metadata{Name: "postgresql"}} }
	for label, change := range map[string]func(*helm.Release){
		"deployed": foreign,
		"pending": func(r *helm.Release) {
			foreign(r)
			r.Info.Status = helm.StatusPendingInstall
		},
		"uninstalling": func(r *helm.Release) {
			foreign(r)
			r.Info.Status = helm.StatusUninstalling
		},
		"no chart": func(r *helm.Release) { r.Chart = nil },
	} {
		t.Run("foreign "+label, func(t *testing.T) {
			b := newBench(t)
			b.apply(t, spec(), never)
			b.mark(t, change)
			var foreign *release.ForeignError
			if _, err := b.Apply(t.Context(), spec(), b.own, always); !errors.As(err, &foreign) || foreign.Want != "mariadb" || foreign.Hint() == "" {
				t.Errorf("Apply: got %v, want a ForeignError", err)
			}
			if _, err := b.DryRunServer(t.Context(), spec(), b.own); !errors.As(err, &foreign) {
				t.Errorf("DryRunServer: got %v, want a ForeignError", err)
			}
		})
	}
	t.Run("unknown status", func(t *testing.T) {
		b := newBench(t)
		b.apply(t, spec(), never)
		b.mark(t, status(helm.StatusUnknown))
		var unknown *release.StatusError
		if _, err := b.Apply(t.Context(), spec(), b.own, always); !errors.As(err, &unknown) || unknown.Hint() == "" {
			t.Errorf("got %v, want a StatusError", err)
		}
	})
}

func TestApplyRefusesBadValues(t *testing.T) {
	for label, s := range map[string]release.Spec{
		"unknown key": with("scone.attestation.config-id", "x"), "wrong type": with("service.port", "many"), "missing": {Name: name},
		"bad name": func() release.Spec { s := spec(); s.Name = "No_Name"; return s }(),
	} {
		t.Run(label, func(t *testing.T) {
			b := newBench(t)
			if r, err := b.Apply(t.Context(), s, b.own, never); err == nil {
				t.Errorf("got %+v, want an error", r)
			}
			if _, err := b.Get(t.Context(), s.Name); !errors.Is(err, release.ErrNotFound) {
				t.Errorf("got %v, want nothing stored", err)
			}
		})
	}
}

// noUpdates is a store that loses every update, as when the connection breaks.
type noUpdates struct{ *driver.Memory }

func (noUpdates) Update(string, *helm.Release) error { return errors.New("connection lost") }

func (n noUpdates) Create(key string, r *helm.Release) error {
	stored := *r // the memory driver would share it with Helm
	info := *r.Info
	stored.Info = &info
	return n.Memory.Create(key, &stored)
}

func TestApplyNoticesALostRecord(t *testing.T) {
	memory := driver.NewMemory()
	memory.SetNamespace(namespace)
	b := newBenchOn(t, noUpdates{memory})
	if r, err := b.Apply(t.Context(), spec(), b.own, never); err == nil || !strings.Contains(err.Error(), "pending-install") {
		t.Errorf("got %+v, %v, want an error: the release is still pending", r, err)
	}
}

func TestGetAndUninstall(t *testing.T) {
	b := newBench(t)
	if _, err := b.Get(t.Context(), name); !errors.Is(err, release.ErrNotFound) {
		t.Errorf("Get: got %v, want ErrNotFound", err)
	}
	if err := b.Uninstall(t.Context(), name, time.Minute); !errors.Is(err, release.ErrNotFound) {
		t.Errorf("Uninstall: got %v, want ErrNotFound", err)
	}
	s := spec()
	s.Description = "first"
	b.apply(t, s, never)
	r, err := b.Get(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	want := release.Release{Name: name, Namespace: namespace, Revision: 1, Status: "deployed", Chart: "mariadb", ChartVersion: b.own.Version,
		Values: s.Values, Description: "first"}
	got := *r
	if !strings.Contains(got.Manifest, "kind: StatefulSet") || !strings.Contains(got.Notes, "kubectl confidb verify db1") || got.Changed.IsZero() {
		t.Errorf("got manifest %q, notes %q, changed %s", got.Manifest, got.Notes, got.Changed)
	}
	got.Manifest, got.Notes, got.Changed = "", "", time.Time{}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("release (-want +got):\n%s", diff)
	}
	b.apply(t, with("scone.heap", "2G"), never)
	if err := b.Uninstall(t.Context(), name, time.Minute); err != nil {
		t.Fatal(err)
	}
	if history, err := b.store.History(name); err == nil {
		t.Errorf("got %d revisions after Uninstall, want none", len(history))
	}
}

func TestEndedContext(t *testing.T) {
	b := newBench(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Apply(ctx, spec(), b.own, never); !errors.Is(err, context.Canceled) {
		t.Errorf("Apply: got %v, want context.Canceled", err)
	}
	if err := b.Uninstall(ctx, name, time.Minute); !errors.Is(err, context.Canceled) {
		t.Errorf("Uninstall: got %v, want context.Canceled", err)
	}
}

func TestDryRuns(t *testing.T) {
	b := newBench(t)
	client, err := b.Render(t.Context(), spec(), b.own)
	if err != nil {
		t.Fatal(err)
	}
	for _, left := range []helm.Status{"", helm.StatusDeployed, helm.StatusPendingInstall, helm.StatusUninstalling} {
		if left != "" {
			b.apply(t, spec(), always)
			b.mark(t, status(left))
		}
		server, err := b.DryRunServer(t.Context(), spec(), b.own)
		if err != nil {
			t.Fatalf("%q: %v", left, err)
		}
		if diff := cmp.Diff(string(client), string(server)); diff != "" {
			t.Errorf("%q: (-client +server):\n%s", left, diff)
		}
	}
	history, err := b.store.History(name)
	if err != nil || len(history) != 1 {
		t.Errorf("got %d revisions (%v), want the 1 of Apply", len(history), err)
	}
	if _, err := b.Render(t.Context(), release.Spec{Name: name}, b.own); err == nil || !strings.Contains(err.Error(), "name the database session") {
		t.Errorf("Render without values: got %v, want what is missing", err)
	}
}

func TestRenderShowsHooks(t *testing.T) {
	b := newBench(t)
	hook := "apiVersion: v1\nkind: Pod\nmetadata: {name: h, annotations: {helm.sh/hook: pre-install}}\n"
	c := b.load(t, release.Spec{Chart: writeChart(t, map[string]string{"templates/hook.yaml": hook})})
	all, err := b.Render(t.Context(), spec(), c)
	if err != nil || !strings.Contains(string(all), "helm.sh/hook: pre-install") {
		t.Errorf("got %s, %v, want the hook as well", all, err)
	}
}

// writeChart writes a small chart called mariadb, with further files.
func writeChart(t *testing.T, more map[string]string) string {
	t.Helper()
	files := map[string]string{
		"Chart.yaml":       "apiVersion: v2\nname: mariadb\nversion: 7.0.0\n",
		"values.yaml":      "scone: {attestation: {cas: scone.ml, las: null}}\n",
		"templates/o.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n",
	}
	for name, text := range more {
		files[name] = text
	}
	folder := t.TempDir()
	for name, text := range files {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func TestLoad(t *testing.T) {
	b := newBench(t)
	if !b.own.Own || b.own.Name != "mariadb" || b.own.Version == "" {
		t.Errorf("own chart: got %+v", b.own)
	}
	umbrella := map[string]string{
		"Chart.yaml":                    "apiVersion: v2\nname: database\nversion: 1.0.0\ndependencies: [{name: shard, version: 1.0.0, alias: mariadb-scone, condition: none.enabled}]\n",
		"charts/shard/Chart.yaml":       "apiVersion: v2\nname: shard\nversion: 1.0.0\n",
		"charts/shard/values.yaml":      "scone: {attestation: {config_id: database_policy/db}}\n",
		"charts/shard/templates/a.yaml": "",
	}
	database := b.load(t, release.Spec{Chart: writeChart(t, umbrella)})
	if database.Own || database.Name != "database" || database.Version != "1.0.0" {
		t.Errorf("foreign chart: got %+v", database)
	}
	for path, want := range map[string]bool{
		"scone": true, "scone.attestation.cas": true, "scone.attestation.las": true, "scone.attestation.config_id": false,
		"mariadb-scone.scone.attestation.config_id": true, "mariadb-scone.scone.attestation.cas": false,
		"scone.attestation.cas.x": false, "": false, "nothing.at.all": false,
	} {
		if got := database.HasValue(path); got != want {
			t.Errorf("HasValue(%q): got %v, want %v", path, got, want)
		}
	}
	if !b.own.HasValue("scone.attestation.config_id") || b.own.HasValue("scone.attestation.enabled") {
		t.Error("own chart: wrong about its values")
	}
}

func TestLoadKeepsWhatItRead(t *testing.T) {
	b := newBench(t)
	folder := writeChart(t, nil)
	c := b.load(t, release.Spec{Chart: folder})
	before, err := b.Render(t.Context(), spec(), c)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "templates", "o.yaml"), []byte("kind: Secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	after, err := b.Render(t.Context(), spec(), c)
	if err != nil || string(after) != string(before) {
		t.Errorf("got %s, %v, want what was there when the chart was loaded", after, err)
	}
}

func TestLoadRefuses(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "broken.tgz")
	if err := os.WriteFile(broken, []byte("no archive"), 0o600); err != nil {
		t.Fatal(err)
	}
	h := release.NewWith(namespace, release.Places(t.TempDir(), t.TempDir()), nil, nil, nil)
	for label, s := range map[string]release.Spec{
		"missing path":       {Chart: "./none"},
		"missing repository": {Chart: "sconeapps/mariadb"},
		"bare name":          {Chart: "mariadb"},
		"not an archive":     {Chart: broken},
		"library":            {Chart: writeChart(t, map[string]string{"Chart.yaml": "apiVersion: v2\nname: m\nversion: 1.0.0\ntype: library\n"})},
		"no dependency":      {Chart: writeChart(t, map[string]string{"Chart.yaml": "apiVersion: v2\nname: m\nversion: 1.0.0\ndependencies: [{name: shard, version: 1.0.0}]\n"})},
		"no Chart.yaml":      {Chart: t.TempDir()},
	} {
		c, err := h.Load(s)
		var missing *release.ChartError
		if !errors.As(err, &missing) || missing.Hint() == "" || missing.Chart != s.Chart {
			t.Errorf("%s: got %+v, %v, want a ChartError", label, c, err)
		}
	}
	if _, err := h.Load(release.Spec{}); err == nil {
		t.Error("loaded an own chart that there is none of")
	}
	own := release.NewWith(namespace, release.Settings{Own: charts.For}, nil, nil, nil)
	if _, err := own.Load(release.Spec{Version: "9"}); err == nil {
		t.Error("the own chart in another version was loaded")
	}
	large := release.NewWith(namespace, release.Settings{Own: func(string) (fs.FS, error) { return fstest.MapFS{"Chart.yaml": {Data: make([]byte, 1<<20+1)}}, nil }}, nil, nil, nil)
	if _, err := large.Load(release.Spec{}); err == nil || !strings.Contains(err.Error(), "bytes") {
		t.Errorf("a file without bounds: got %v", err)
	}
}

// Helm's variables belong to helm-scone, which passes them as Settings.
func TestNewIgnoresHelmsEnvironment(t *testing.T) {
	t.Setenv("HELM_DRIVER", "memory")
	t.Setenv("HELM_NAMESPACE", "elsewhere")
	cluster := genericclioptions.NewConfigFlags(false)
	*cluster.APIServer = "https://127.0.0.1:1"
	h, err := release.New(cluster, namespace, release.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	configuration, err := h.Configuration(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := configuration.Releases.Name(); got != driver.SecretsDriverName {
		t.Errorf("got driver %q, want %q", got, driver.SecretsDriverName)
	}
	if _, err := release.New(genericclioptions.NewConfigFlags(false), "", release.Settings{}); err == nil {
		t.Error("accepted no namespace")
	}
}
