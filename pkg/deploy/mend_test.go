package deploy_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/confidb/confidb/pkg/deploy"
	"github.com/confidb/confidb/pkg/evidence"
	"github.com/confidb/confidb/pkg/manifest"
	"github.com/confidb/confidb/pkg/policy"
	"github.com/confidb/confidb/pkg/topology"
)

const set = "StatefulSet/db1-mariadb"

// edit makes the live StatefulSet another one than was applied.
func (w *world) edit(old, new string) {
	w.t.Helper()
	text, err := w.Object(w.t.Context(), "shop", "StatefulSet", "db1-mariadb")
	if err != nil {
		w.t.Fatal(err)
	}
	changed := strings.Replace(string(text), old, new, 1)
	if changed == string(text) {
		w.t.Fatalf("%s is not in %s", old, text)
	}
	w.live = map[string]json.RawMessage{set: json.RawMessage(changed)}
}

// K7: somebody has set another session; install again shows that first, and mends it.
func TestInstallMendsObjects(t *testing.T) {
	for name, c := range map[string]struct{ old, new, want string }{
		"a session": {"db1-abababababababababababababababab/db", "evil/db", `  StatefulSet/db1-mariadb: spec.template.spec.containers[mariadb].env[SCONE_CONFIG_ID].value: got "evil/db"`},
		"a sidecar": {`"containers":[`, `"containers":[{"name":"decoy","image":"evil"},`, "containers[decoy] was added"},
		"replicas":  {`"spec":{`, `"spec":{"replicas":2,`, "spec.replicas: got 2, want 1"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.must(w.install(deploy.Install{}))
			w.edit(c.old, c.new)
			w.done, w.steps = nil, nil
			w.must(w.install(deploy.Install{DryRun: deploy.Server}))
			if shown := strings.Join(w.steps, "\n"); !strings.Contains(shown, c.want) {
				t.Errorf("the dry run shows %s", shown)
			}
			if slices.Contains(w.done, "replace "+set) {
				t.Error("the dry run mends it")
			}
			w.done, w.steps = nil, nil
			w.must(w.install(deploy.Install{}))
			shown := slices.IndexFunc(w.steps, func(s string) bool { return strings.Contains(s, c.want) })
			if shown < 0 || shown > slices.Index(w.steps, "  installed, revision 3") {
				t.Errorf("it is not shown before: %q", w.steps)
			}
			if !w.applied.Again || !slices.Contains(w.done, "replace "+set) {
				t.Errorf("it is not mended: %q", w.done)
			}
			w.done, w.steps = nil, nil
			w.must(w.install(deploy.Install{}))
			if w.applied.Again || slices.Contains(w.done, "replace "+set) {
				t.Errorf("it is mended for ever: %q", w.done)
			}
		})
	}
}

// K1: a pod with something in it that its object does not say starts anew; others do not.
func TestInstallMendsPods(t *testing.T) {
	w := newWorld(t)
	w.must(w.install(deploy.Install{}))
	made, err := manifest.Recorded(w.stored.Installed)
	if err != nil {
		t.Fatal(err)
	}
	var object struct {
		Spec struct{ Template corev1.PodTemplateSpec }
	}
	if err := json.Unmarshal(made[0].JSON(), &object); err != nil {
		t.Fatal(err)
	}
	pod := evidence.Pod{Name: "db1-mariadb-0", Owners: []string{set}, Spec: object.Spec.Template.Spec, Ready: true}
	w.pods, w.done = []evidence.Pod{pod, {Name: "other"}}, nil
	w.must(w.install(deploy.Install{}))
	if slices.ContainsFunc(w.done, func(d string) bool { return strings.HasPrefix(d, "restart pods") }) {
		t.Errorf("a good pod starts anew: %q", w.done)
	}
	pod.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debugger"}}}
	w.pods, w.done = []evidence.Pod{pod, {Name: "other"}}, nil
	w.must(w.install(deploy.Install{}))
	if i := slices.Index(w.done, "restart pods [db1-mariadb-0]"); i < 0 || !strings.HasPrefix(w.done[i+2], "await") {
		t.Errorf("got %q, want that the pod starts anew and is waited for", w.done)
	}
}

// What Helm sends is judged, not what was rendered before: a chart can render another
// thing each time.
func TestInstallJudgesWhatIsSent(t *testing.T) {
	w := newWorld(t)
	w.sent = "---\napiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: Pod, metadata: {name: bare}, spec: {containers: [{name: c, image: i}]}}]\n"
	_, err := w.install(deploy.Install{})
	wantError(t, err, "Pod/bare: container c: SCONE_CONFIG_ID is not set")
	if w.revision != nil {
		t.Error("it was applied")
	}
	w = newWorld(t)
	w.sent = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: random}\n"
	w.must(w.install(deploy.Install{}))
	sent, err := manifest.Read([]byte(w.revision.Manifest))
	if err != nil || w.stored.Installed.Digest != sent.Digest() || len(w.stored.Installed.Objects) != 2 {
		t.Errorf("recorded %+v, %v; want what was sent", w.stored.Installed, err)
	}
}

// What cannot be verified later is refused before anything is created.
func TestInstallRefusesWhatCouldNotRun(t *testing.T) {
	template := func(role topology.Role, edit func(string) string) func(*deploy.Inputs) {
		return func(in *deploy.Inputs) {
			text, err := topology.Template(string(role))
			if err != nil {
				t.Fatal(err)
			}
			in.Plan.Templates = map[string]string{string(role): edit(string(text))}
		}
	}
	settings := func(heap string) func(*deploy.Inputs) {
		return func(in *deploy.Inputs) {
			in.Plan.Settings = map[string]policy.Settings{topology.EnclaveServer: {Heap: heap}}
		}
	}
	for name, c := range map[string]struct {
		change func(*deploy.Inputs)
		want   string
	}{
		"another heap":  {settings("2G"), "SCONE_HEAP"},
		"mode none":     {template(topology.Database, func(s string) string { return s + "security: {attestation: {mode: none}}\n" }), "mode is none"},
		"debug":         {template(topology.Client, func(s string) string { return s + "security: {attestation: {tolerate: [debug-mode]}}\n" }), "debug-mode"},
		"no service":    {template(topology.Database, func(s string) string { return strings.Replace(s, "- name: db\n", "- name: server\n", 1) }), `has no service "db"`},
		"the heap fits": {settings("1024M"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			_, err := w.install(deploy.Install{}, func(in *deploy.Inputs) { in.Keys.Service = "db" }, c.change)
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantError(t, err, c.want)
			if made := w.made(); len(made) > 0 {
				t.Errorf("it has made %q", made)
			}
		})
	}
}

func TestInstallCannotLook(t *testing.T) {
	w := newWorld(t)
	w.must(w.install(deploy.Install{}))
	for _, what := range []string{"object", "pods"} {
		w.fail = map[string]error{what: errors.New("no right to list them")}
		_, err := w.install(deploy.Install{})
		wantError(t, err, "no right to list them")
	}
}
