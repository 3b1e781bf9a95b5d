package scone_test

import (
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/plugin"
	helm "helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage/driver"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/kubernetes/fake"
	typed "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/confidb/confidb/pkg/record"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/plugin/scone"
)

const token = "token-that-nobody-may-see"

// fixture is an API server that knows the Secrets of the namespace shop, and a
// user's environment that leads there.
type fixture struct {
	environment map[string]string
	authority   string
	home        string
	secrets     typed.SecretInterface

	mu       sync.Mutex
	requests []*http.Request
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	t.Setenv("HOME", t.TempDir())
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	f := &fixture{secrets: fake.NewSimpleClientset().CoreV1().Secrets("shop"), home: t.TempDir()}
	server := httptest.NewTLSServer(f)
	t.Cleanup(server.Close)
	server.Config.ErrorLog = nil
	f.authority = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	authority := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(authority, []byte(f.authority), 0o600); err != nil {
		t.Fatal(err)
	}
	f.environment = map[string]string{
		"CONFIDB_HOME": f.home, "HELM_NAMESPACE": "shop", "HELM_KUBEAPISERVER": server.URL, "HELM_KUBETOKEN": token, "HELM_KUBECAFILE": authority,
		"HELM_KUBEINSECURE_SKIP_TLS_VERIFY": "false", "HELM_MAX_HISTORY": "10", "HELM_DEBUG": "false",
	}
	return f
}

func (f *fixture) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests = append(f.requests, r)
	var answer any
	var err error
	switch name := path.Base(r.URL.Path); {
	case name == "version":
		answer = map[string]string{"major": "1", "minor": "37", "gitVersion": "v1.37.0"}
	case r.Method == http.MethodGet && name == "secrets":
		answer, err = f.secrets.List(r.Context(), metav1.ListOptions{LabelSelector: r.URL.Query().Get("labelSelector")})
	case r.Method == http.MethodGet:
		answer, err = f.secrets.Get(r.Context(), name, metav1.GetOptions{})
	case r.Method == http.MethodPut:
		var changed corev1.Secret
		if err = json.NewDecoder(r.Body).Decode(&changed); err == nil {
			answer, err = f.secrets.Update(r.Context(), &changed, metav1.UpdateOptions{})
		}
	case r.Method == http.MethodDelete:
		answer, err = metav1.Status{Status: metav1.StatusSuccess}, f.secrets.Delete(r.Context(), name, metav1.DeleteOptions{})
	}
	w.Header().Set("Content-Type", "application/json")
	if err != nil || answer == nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	json.NewEncoder(w).Encode(answer)
}

// run runs the plugin as Helm does.
func (f *fixture) run(t *testing.T, arguments ...string) (code int, out, errOut string) {
	t.Helper()
	streams, _, stdout, stderr := genericiooptions.NewTestIOStreams()
	code = scone.Main(arguments, func(name string) (string, bool) { v, ok := f.environment[name]; return v, ok }, streams)
	if strings.Contains(stdout.String()+stderr.String(), token) {
		t.Errorf("the token was printed:\n%s%s", stdout, stderr)
	}
	return code, stdout.String(), stderr.String()
}

func (f *fixture) wantFailure(t *testing.T, code int, want string, arguments ...string) {
	t.Helper()
	got, out, errOut := f.run(t, arguments...)
	if got != code || !strings.Contains(errOut, want) || out != "" {
		t.Errorf("%q: exit %d, want %d and %q in:\n%s%s", arguments, got, code, want, out, errOut)
	}
}

// install makes a release that Helm knows; ours says that the user's records do, too.
func (f *fixture) install(t *testing.T, status helm.Status, ours bool) {
	t.Helper()
	r := &helm.Release{Name: "db1", Namespace: "shop", Version: 1, Info: &helm.Info{Status: status}, Chart: &chart.Chart{Metadata: &chart.Metadata{Name: "mariadb", Version: "0.1.0"}}}
	if ours {
		owner, err := record.Store{Dir: f.home}.Owner(time.Now())
		if err != nil {
			t.Fatal(err)
		}
		r.Labels = map[string]string{"confidb-owner": owner}
	}
	if err := driver.NewSecrets(f.secrets).Create("sh.helm.release.v1.db1.v1", r); err != nil {
		t.Fatal(err)
	}
	if ours {
		f.record(t, time.Unix(1, 0).UTC())
	}
}

func (f *fixture) record(t *testing.T, started time.Time) {
	t.Helper()
	r := &topology.Release{Name: "db1", Namespace: "shop", CASAddress: "cas.shop.svc", HelmStarted: started, Values: map[string]any{"image": "i"}}
	r.Trust.Collateral = map[string][]byte{"bundle.json": []byte("{}")}
	r.SetSession(topology.Client, topology.Session{Name: "recorded/client"})
	r.SetSession(topology.Database, topology.Session{Name: "recorded/db", Text: "text of the session"})
	if err := (record.Store{Dir: f.home}).SaveRelease(f.authority, r); err != nil {
		t.Fatal(err)
	}
}

func TestEnvironmentOfHelm(t *testing.T) {
	f := newFixture(t)
	f.environment["HELM_KUBEASUSER"], f.environment["HELM_KUBEASGROUPS"] = "alice", "dev,ops"
	f.environment["HELM_KUBETLS_SERVER_NAME"] = "example.com" // as in the certificate of httptest
	f.wantFailure(t, 1, "release shop/db1 not found", "uninstall", "db1")
	if len(f.requests) == 0 {
		t.Fatal("nothing was asked")
	}
	r := f.requests[0]
	got := map[string][]string{"path": {r.URL.Path}, "user": r.Header["Impersonate-User"], "groups": r.Header["Impersonate-Group"], "who": r.Header["Authorization"], "server": {r.TLS.ServerName}}
	want := map[string][]string{"path": {"/api/v1/namespaces/shop/secrets"}, "user": {"alice"}, "groups": {"dev", "ops"}, "who": {"Bearer " + token}, "server": {"example.com"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestEnvironmentOfHelmRefused(t *testing.T) {
	for name, c := range map[string]struct {
		variable, value string
		code            int
		want            string
	}{
		"another authority":  {"HELM_KUBECAFILE", "", 1, "x509"},
		"another server":     {"HELM_KUBETLS_SERVER_NAME", "other.org", 1, "x509"},
		"an unknown context": {"HELM_KUBECONTEXT", "nowhere", 1, `context "nowhere" does not exist`},
		"history":            {"HELM_MAX_HISTORY", "many", 2, `$HELM_MAX_HISTORY: got "many"`},
		"a negative history": {"HELM_MAX_HISTORY", "-1", 2, `$HELM_MAX_HISTORY: got "-1"`},
		"another driver":     {"HELM_DRIVER", "configmap", 2, `$HELM_DRIVER: got "configmap", want secret`},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.environment[c.variable] = c.value
			f.wantFailure(t, c.code, c.want, "uninstall", "db1")
			if len(f.requests) != 0 {
				t.Error("something was asked")
			}
		})
	}
}

func TestInsecureOnlyWhenHelmSaysTrue(t *testing.T) {
	f := newFixture(t)
	f.environment["HELM_KUBECAFILE"] = ""
	f.environment["HELM_KUBEINSECURE_SKIP_TLS_VERIFY"] = "perhaps"
	f.wantFailure(t, 1, "x509", "uninstall", "db1")
	f.environment["HELM_KUBEINSECURE_SKIP_TLS_VERIFY"] = "true"
	f.wantFailure(t, 1, "not found", "uninstall", "db1")
}

func TestDebug(t *testing.T) {
	f := newFixture(t)
	f.install(t, helm.StatusDeployed, true)
	f.environment["HELM_DEBUG"] = "true"
	if code, _, errOut := f.run(t, "uninstall", "db1"); code != 0 || !strings.Contains(errOut, "[debug] ") {
		t.Errorf("exit %d\n%s", code, errOut)
	}
}

func TestUnknownRelease(t *testing.T) {
	for _, status := range []helm.Status{"", helm.StatusUninstalled} {
		f := newFixture(t)
		if status != "" {
			f.install(t, status, true)
		}
		f.wantFailure(t, 1, "release shop/db1 not found", "uninstall", "db1")
		f.wantFailure(t, 1, "release shop/db1 not found", "upgrade", "db1")
	}
	f := newFixture(t)
	f.wantFailure(t, 1, "nothing is recorded of a release shop/db1", "verify", "db1")
	f.wantFailure(t, 1, "no collateral given", "upgrade", "-i", "db1") // goes on as install does
}

func TestUpgradeNamesDroppedValues(t *testing.T) {
	const want = "warning: values of the last run are left out, as with helm upgrade, since others are given now: image\n"
	f := newFixture(t)
	f.install(t, helm.StatusDeployed, true)
	for arguments, warned := range map[string]bool{"": false, "--set service.port=1": true, "--set image=j,service.port=1": false} {
		line := append([]string{"upgrade", "db1", "--dry-run", "--platform", "INTEL_QE_ID:85ffc69266c833546e5dca1c676a6151"}, strings.Fields(arguments)...)
		_, _, errOut := f.run(t, line...)
		if strings.Contains(errOut, want) != warned || !strings.Contains(errOut, "platforms: nodes with SGX") {
			t.Errorf("%q: want the warning: %v, got:\n%s", arguments, warned, errOut)
		}
	}
}

func TestUninstall(t *testing.T) {
	f := newFixture(t)
	f.install(t, helm.StatusDeployed, true)
	code, out, errOut := f.run(t, "uninstall", "db1", "--dry-run")
	if code != 0 || out != "release \"db1\" would be uninstalled (dry run)\n" || f.releases(t) != 1 {
		t.Errorf("dry run: exit %d, %d releases are left\n%s%s", code, f.releases(t), out, errOut)
	}
	code, out, errOut = f.run(t, "uninstall", "db1")
	if code != 0 || out != "release \"db1\" uninstalled\n" || f.releases(t) != 0 {
		t.Errorf("exit %d, %d releases are left\n%s%s", code, f.releases(t), out, errOut)
	}
	for _, want := range []string{"session recorded/db (", "session recorded/client (", f.home, "volumes"} {
		if !strings.Contains(errOut, want) {
			t.Errorf("want %q in:\n%s", want, errOut)
		}
	}
	kept, err := (record.Store{Dir: f.home}).Release(f.authority, "shop", "db1")
	if err != nil {
		t.Fatal(err)
	}
	if kept.Session(topology.Database).Name != "recorded/db" || !kept.HelmStarted.IsZero() {
		t.Errorf("the record is %+v, want the sessions and no Helm release", kept)
	}
}

func TestUninstallRefusesOthers(t *testing.T) {
	f := newFixture(t)
	f.install(t, helm.StatusDeployed, false)
	f.wantFailure(t, 1, "was not installed with the records of this user", "uninstall", "db1")
	f.record(t, time.Time{}) // we had one of this name once
	f.wantFailure(t, 1, "was not installed with the records of this user", "uninstall", "db1")
	if f.releases(t) != 1 {
		t.Error("somebody else's release is gone")
	}
}

func (f *fixture) releases(t *testing.T) int {
	t.Helper()
	all, err := f.secrets.List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return len(all.Items)
}

func TestTemplateOfRecordedRelease(t *testing.T) {
	f := newFixture(t)
	f.record(t, time.Time{})
	code, out, errOut := f.run(t, "template", "db1", "--set", "image=i")
	if code != 0 || !strings.Contains(out, `"recorded/db/db"`) || !strings.Contains(out, `"cas.shop.svc"`) || errOut != "" {
		t.Errorf("exit %d\n%s%s", code, out, errOut)
	}
	if strings.Contains(out, "text of the session") || strings.Contains(out, "# session") {
		t.Errorf("a session was printed:\n%s", out)
	}
	f.environment["DBSESSION"] = "other/db"
	f.wantFailure(t, 1, "the database session of this release has changed: got other/db, recorded recorded/db", "template", "db1", "--set", "image=i")
	delete(f.environment, "DBSESSION")
	f.wantFailure(t, 1, "the CAS of this release has changed: got elsewhere", "template", "db1", "--set", "image=i", "--cas", "elsewhere")
}

func TestPluginManifest(t *testing.T) {
	p, err := plugin.LoadDir("../../helm-plugin")
	if err != nil {
		t.Fatal(err)
	}
	command, _ := strings.CutPrefix(p.Metadata.Command, "$HELM_PLUGIN_DIR/bin/")
	if p.Metadata.Name != "scone" || command != "helm-scone" || p.Metadata.IgnoreFlags {
		t.Errorf("got %+v", p.Metadata)
	}
	main, err := os.Open(filepath.Join("../../cmd", command, "main.go"))
	if err != nil {
		t.Fatalf("the command is not built from cmd: %v", err)
	}
	defer main.Close()
	if text, err := io.ReadAll(main); err != nil || !strings.Contains(string(text), "scone.Main(") {
		t.Errorf("it starts something else: %v", err)
	}
}
