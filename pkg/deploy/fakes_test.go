package deploy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/charts"
	"github.com/confidb/confidb/pkg/deploy"
	"github.com/confidb/confidb/pkg/evidence"
	"github.com/confidb/confidb/pkg/manifest"
	"github.com/confidb/confidb/pkg/release"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/pkg/topology"
)

// errKilled is what every call says from the moment on at which a run was killed.
var errKilled = errors.New("killed")

// world is everything outside of a story. It writes down what is done, and can stop
// at any step.
type world struct {
	t testing.TB
	// done is what was done, in order: what changes something, and what is waited for.
	done  []string
	mutex *sync.Mutex
	// killAt is after how many steps everything stops. Zero is never.
	killAt int
	// fail makes the step with this text fail.
	fail map[string]error

	cas      *fakeCAS
	stored   *topology.Release
	chart    string
	revision *release.Release
	pending  bool
	applied  release.Spec
	// live are objects that are not as they were applied, and pods those that there are.
	live map[string]json.RawMessage
	pods []evidence.Pod
	// sent is added to what Helm sends.
	sent string

	steps, warnings []string
	locked          bool
	// owner is who installs.
	owner      string
	random     *bytes.Reader
	now        time.Time
	provenance attest.Provenance
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, mutex: new(sync.Mutex), fail: map[string]error{}, cas: newFakeCAS(), chart: chartFolder(t), now: time.Date(2026, 11, 27, 3, 0, 0, 5, time.UTC)}
	w.cas.do = w.do
	return w
}

// do is one step.
func (w *world) do(format string, arguments ...any) error {
	what := fmt.Sprintf(format, arguments...)
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if w.killAt > 0 && len(w.done) >= w.killAt {
		return errKilled
	}
	w.done = append(w.done, what)
	return w.fail[what]
}

// site is what the stories work with. Each run has its own.
func (w *world) site() *deploy.Site {
	if w.random == nil {
		w.random = bytes.NewReader(bytes.Repeat([]byte{0xab}, 1024))
	}
	helm, err := release.New(nil, "shop", release.Settings{Own: charts.For})
	if err != nil {
		w.t.Fatal(err)
	}
	return &deploy.Site{
		Cluster: w, Helm: &fakeHelm{w, helm}, Store: w, Platforms: finder{w}, Progress: w, Random: w.random,
		Now:   func() time.Time { return w.now },
		Owner: func() (string, error) { return "owner" + w.owner, w.fail["owner"] },
		Warn:  func(text string) { w.warnings = append(w.warnings, text) },
		Connect: func(_ context.Context, address string, trust attest.Trust) (deploy.CAS, func(), error) {
			if err := w.do("connect %s", address); err != nil {
				return nil, nil, err
			}
			w.cas.open++
			return w.cas, func() { w.cas.open-- }, nil
		},
		Verify: func(context.Context) error { return w.do("verify") },
	}
}

// ---- Cluster

func (w *world) ID() (string, error) { return "cluster", w.fail["id"] }
func (w *world) Namespace() string   { return "shop" }
func (w *world) CheckRights(_ context.Context, create bool) error {
	return w.do("rights %v", create)
}
func (w *world) Pods(_ context.Context, namespace string) ([]evidence.Pod, error) {
	return w.pods, w.fail["pods"]
}

// Object returns what was applied, or what a test has made of it.
func (w *world) Object(_ context.Context, namespace, kind, name string) (json.RawMessage, error) {
	if err := w.fail["object"]; err != nil {
		return nil, err
	}
	if live, ok := w.live[kind+"/"+name]; ok {
		return live, nil
	}
	if w.revision == nil {
		return json.RawMessage("null"), nil
	}
	objects, err := manifest.Read([]byte(w.revision.Manifest))
	for _, o := range objects {
		if o.String() == kind+"/"+name {
			return o.JSON(), err
		}
	}
	return json.RawMessage("null"), err
}

func (w *world) Replace(_ context.Context, namespace, kind string, object []byte) error {
	var o struct{ Metadata struct{ Name string } }
	if err := json.Unmarshal(object, &o); err != nil {
		w.t.Error(err)
	}
	if err := w.do("replace %s/%s", kind, o.Metadata.Name); err != nil {
		return err
	}
	delete(w.live, kind+"/"+o.Metadata.Name)
	return nil
}

func (w *world) RestartPods(_ context.Context, namespace string, names []string) error {
	w.pods = nil
	return w.do("restart pods %v", names)
}

func (w *world) RestartStuck(_ context.Context, namespace string, workloads []topology.Workload) error {
	return w.do("restart %s %v", namespace, workloads)
}
func (w *world) Restart(_ context.Context, namespace string, workloads []topology.Workload, _ func(string)) error {
	return w.do("start anew %s %v", namespace, workloads)
}
func (w *world) AwaitReady(_ context.Context, namespace string, workloads []topology.Workload, progress func(string)) error {
	progress("0 of 1")
	return w.do("await %s %v", namespace, workloads)
}

// ---- Store

func (w *world) LockRelease(cluster, namespace, name string) (func(), error) {
	if w.locked {
		return nil, errors.New("another confidb works on this release")
	}
	if cluster != "cluster" || namespace != "shop" || name != "db1" {
		w.t.Errorf("locked %s %s %s", cluster, namespace, name)
	}
	w.locked = true
	return func() { w.locked = false }, nil
}

func (w *world) Earlier(string, string, string) (*topology.Release, error) {
	if !w.locked && w.fail["offline"] == nil {
		w.t.Error("the record is read without its lock")
	}
	return copyRelease(w.stored), w.fail["earlier"]
}

func (w *world) SaveRelease(_ string, r *topology.Release) error {
	if !w.locked {
		w.t.Error("the record is written without its lock")
	}
	known := 0
	for _, m := range r.Members {
		if m.Session.Hash != "" {
			known++
		}
	}
	if err := w.do("save %d pending=%v", known, r.HelmPending); err != nil {
		return err
	}
	w.stored = copyRelease(r)
	return nil
}

func copyRelease(r *topology.Release) *topology.Release {
	if r == nil {
		return nil
	}
	c := *r
	c.Members = slices.Clone(r.Members)
	return &c
}

// ---- Progress

func (w *world) Step(format string, arguments ...any) {
	w.steps = append(w.steps, fmt.Sprintf(format, arguments...))
}
func (w *world) Detail(text string) { w.steps = append(w.steps, "  "+text) }

// ---- Platforms

type finder struct{ w *world }

func (finder) Origin() string { return "cluster" }

func (f finder) Find(_ context.Context, least attest.Provenance) ([]attest.PlatformID, error) {
	f.w.provenance = least
	if err := f.w.fail["platforms"]; err != nil {
		return nil, err
	}
	id, err := attest.ParsePlatformID("INTEL_QE_ID:00112233445566778899aabbccddeeff")
	return []attest.PlatformID{id}, err
}

// ---- Helm

// fakeHelm loads and renders charts as Helm does, which needs no cluster; its cluster
// has one revision of one release.
type fakeHelm struct {
	w *world
	*release.Helm
}

func (h *fakeHelm) Get(context.Context, string) (*release.Release, error) {
	if err := h.w.fail["get"]; err != nil {
		return nil, err
	}
	if h.w.revision == nil {
		return nil, fmt.Errorf("reading: %w", release.ErrNotFound)
	}
	return h.w.revision, nil
}

func (h *fakeHelm) DryRunServer(ctx context.Context, spec release.Spec, c *release.Chart) ([]byte, error) {
	h.w.applied = spec
	if err := h.w.do("dry run"); err != nil {
		return nil, err
	}
	text, err := h.Render(ctx, spec, c)
	return append(text, "# of the server\n"...), err
}

func (h *fakeHelm) Apply(ctx context.Context, spec release.Spec, c *release.Chart, ours func(time.Time) bool) (*release.Release, error) {
	w := h.w
	if w.pending && !ours(w.revision.Changed) {
		return nil, &release.PendingError{Namespace: "shop", Name: spec.Name, Status: w.revision.Status, Since: w.revision.Changed}
	}
	began := w.now.Truncate(time.Second)
	text, err := h.Render(ctx, spec, c)
	if err != nil {
		return nil, err
	}
	if w.sent != "" { // a chart that renders another thing each time
		text = append(text, w.sent...)
	}
	if err := spec.Judge(text); err != nil {
		return nil, err
	}
	if err := w.do("apply begins"); err != nil {
		return nil, err
	}
	w.revision, w.pending, w.applied = &release.Release{Name: spec.Name, Chart: c.Name, Status: "pending-install", Changed: began, Owner: spec.Owner}, true, spec
	if err := w.do("apply ends"); err != nil {
		return nil, err
	}
	w.pending = false
	w.revision = &release.Release{Name: spec.Name, Chart: c.Name, Status: "deployed", Revision: 3, Did: release.Installed, Owner: spec.Owner, Manifest: string(text)}
	return w.revision, nil
}

func (h *fakeHelm) Uninstall(_ context.Context, name string, timeout time.Duration) error {
	if err := h.w.do("uninstall %s %v", name, timeout); err != nil {
		return err
	}
	h.w.revision = nil
	return nil
}

// ---- what the user says

// chartFolder writes a chart that runs under a session.
func chartFolder(t testing.TB) string {
	t.Helper()
	folder := t.TempDir()
	for name, text := range map[string]string{
		"Chart.yaml":  "apiVersion: v2\nname: mariadb\nversion: 1.0.0\n",
		"values.yaml": "scone: {attestation: {config_id: \"\", cas: \"\", las: \"\"}}\nimage: example/mariadb:1\nsgx: 1\n",
		"templates/db.yaml": `apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db1-mariadb}
spec:
  template:
    spec:
      containers:
        - name: mariadb
          image: {{ .Values.image }}
          env:
            - {name: SCONE_CONFIG_ID, value: {{ .Values.scone.attestation.config_id }}}
            - {name: SCONE_CAS_ADDR, value: {{ .Values.scone.attestation.cas }}}
            - {name: SCONE_LAS_ADDR, value: {{ .Values.scone.attestation.las | default "localhost" }}}
            - {name: SCONE_HEAP, value: 1G}
            - {name: SCONE_MODE, value: hw}
          resources: {limits: {sgx.intel.com/enclave: {{ .Values.sgx }}}}
`,
	} {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// inputs are what a user says who says all that is needed.
func (w *world) inputs(change ...func(*deploy.Inputs)) func(*topology.Release) (*deploy.Inputs, error) {
	return func(*topology.Release) (*deploy.Inputs, error) {
		in := &deploy.Inputs{Plan: topology.Plan{
			CASAddress: "cas.scone-system.svc", Chart: topology.Chart{Name: w.chart}, Values: map[string]any{"image": "example/mariadb:2"},
			Enclaves: map[string][]sgx.Measurement{topology.EnclaveServer: {{1}}, topology.EnclaveClient: {{2}}, topology.EnclaveProbe: {{3}}},
			Trust:    attest.Trust{RequireProvenance: attest.Declared}, BootstrapSQL: systemTables(), Origins: map[string]string{"cas": "default"},
		}}
		for _, c := range change {
			c(in)
		}
		return in, w.fail["inputs"]
	}
}

func (w *world) install(o deploy.Install, change ...func(*deploy.Inputs)) (*deploy.Installed, error) {
	w.t.Helper()
	if o.Name = "db1"; o.DryRun == "" {
		o.DryRun = deploy.None
	}
	o.Inputs = w.inputs(change...)
	done, err := w.site().Install(w.t.Context(), o)
	if w.locked {
		w.t.Error("the lock is not given back")
	}
	if w.cas.open != 0 {
		w.t.Error("the connection to CAS stays open")
	}
	return done, err
}

func (w *world) must(done *deploy.Installed, err error) *deploy.Installed {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
	return done
}

// wantError wants an error with this text, that nothing was done but what is listed,
// and returns its hint.
func wantError(t *testing.T, err error, want string) (hint string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Fatalf("got %v, want an error with %q", err, want)
	}
	var hinted interface{ Hint() string }
	if errors.As(err, &hinted) {
		return hinted.Hint()
	}
	return ""
}

// made are the steps of done that make or change something.
func (w *world) made() []string {
	var made []string
	for _, d := range w.done {
		if what, _, _ := strings.Cut(d, " "); slices.Contains([]string{"save", "create", "apply", "uninstall", "restart"}, what) {
			made = append(made, d)
		}
	}
	return made
}

func hashes(r *topology.Release) map[string]string {
	all := map[string]string{}
	for _, m := range r.Members {
		all[m.Session.Name] = m.Session.Hash
	}
	return maps.Clone(all)
}

// systemTables is SQL that makes the tables that a session of ours names.
func systemTables() string {
	sql := ""
	for _, name := range topology.SystemTables() {
		sql += "CREATE TABLE IF NOT EXISTS " + name + " (a int);\n"
	}
	return sql
}
