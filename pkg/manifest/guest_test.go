package manifest_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/cli-runtime/pkg/resource"
	"sigs.k8s.io/yaml"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/manifest"
	"github.com/confidb/confidb/pkg/policy"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/pkg/topology"
)

const shopAccounts = `kind: confidb.accounts/v1
databases: [{name: shop}]
accounts:
  - {name: tokenizer, client: tokenizer, privileges: [{database: shop, grant: [SELECT]}]}
  - {name: other, client: other, privileges: [{database: shop, grant: [SELECT]}]}
`

// withClients is a release with two clients of the user's own.
func withClients(t *testing.T, change func(*topology.Application)) *topology.Release {
	t.Helper()
	r, err := clientsOf(change)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func clientsOf(change func(*topology.Application)) (*topology.Release, error) {
	id, err := attest.ParsePlatformID("INTEL_QE_ID:00112233445566778899aabbccddeeff")
	if err != nil {
		return nil, err
	}
	client := topology.Application{
		Name: "tokenizer", MRENCLAVEs: []sgx.Measurement{{9}}, Settings: policy.Settings{Heap: "256M"}, Namespace: "shop-app", Command: []string{"tokenizer"},
		Files: map[string]topology.Given{"/run/confidb/ca.crt": {Form: topology.FormCA}, "/run/other/key": {Form: topology.FormKey}, "/etc/app/ca": {Form: topology.FormCA}},
	}
	if change != nil {
		change(&client)
	}
	other := client
	other.Name = "other"
	return topology.Prepare(topology.Plan{
		Name: "db1", Namespace: "shop", CASAddress: "cas", Platforms: []attest.PlatformID{id}, BootstrapSQL: systemTables(), Pod: topology.Pod{SGXResource: "sgx.intel.com/enclave"},
		Enclaves:     map[string][]sgx.Measurement{topology.EnclaveServer: {{1}}, topology.EnclaveClient: {{2}}, topology.EnclaveProbe: {{3}}},
		Applications: topology.Applications{Accounts: shopAccounts}.With(client).With(other),
	}, nil)
}

// bare is a Deployment of somebody who does not know what an enclave needs.
const bare = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web.app, namespace: shop-app, labels: &labels {app: web}}
spec:
  selector: {matchLabels: *labels}
  template:
    metadata: {labels: *labels}
    spec:
      securityContext: {fsGroup: 101}
      containers:
        - name: app
          image: registry.test/app:1
          env: [{name: LANG, value: C.UTF-8}]
          resources: {limits: {memory: 512Mi}}
          volumeMounts: [{name: cache, mountPath: /cache}]
      volumes: [{name: cache, emptyDir: {}}]
`

func needs(t *testing.T, r *topology.Release, shape manifest.Shape) *manifest.Needs {
	t.Helper()
	n, err := manifest.NeedsOf(r, "tokenizer", manifest.Place{Deployment: "web.app", Container: "app"}, shape)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// judge judges a text as the client tokenizer.
func judge(t *testing.T, r *topology.Release, text string) *manifest.Judged {
	t.Helper()
	guest, err := manifest.GuestOf(r, "tokenizer")
	if err != nil {
		t.Fatal(err)
	}
	judged, err := guest.Judge("app.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return judged
}

// patched applies a strategic merge patch to the bare Deployment, as an API server does.
func patched(t *testing.T, r *topology.Release) string {
	t.Helper()
	before, err := yaml.YAMLToJSON([]byte(bare))
	if err != nil {
		t.Fatal(err)
	}
	patch, err := json.Marshal(needs(t, r, manifest.Patch).Object)
	if err != nil {
		t.Fatal(err)
	}
	after, err := strategicpatch.StrategicMergePatch(before, patch, appsv1.Deployment{})
	if err != nil {
		t.Fatal(err)
	}
	text, err := yaml.JSONToYAML(after)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// kustomized builds the bare Deployment with the component, as kubectl kustomize does.
func kustomized(t *testing.T, r *topology.Release) string {
	t.Helper()
	component, err := yaml.Marshal(needs(t, r, manifest.Kustomize).Object)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for name, text := range map[string]string{
		"app.yaml":           bare + "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: webXapp}\nspec: {template: {spec: {containers: [{name: app}]}}}\n",
		"kustomization.yaml": "namePrefix: my-\nresources: [app.yaml]\ncomponents: [confidb]\n", "confidb/kustomization.yaml": string(component),
	} {
		at := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	infos, err := resource.NewLocalBuilder().Unstructured().FilenameParam(false, &resource.FilenameOptions{Kustomize: folder}).Do().Infos()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, info := range infos {
		text, err := yaml.Marshal(info.Object)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(text))
	}
	return strings.Join(all, "---\n")
}

// charted puts the values where a chart that began with helm create has them.
func charted(t *testing.T, r *topology.Release) string {
	t.Helper()
	text, err := json.Marshal(needs(t, r, manifest.HelmValues).Object)
	if err != nil {
		t.Fatal(err)
	}
	var container corev1.Container
	var pod corev1.PodSpec
	var values struct {
		PodSecurityContext *corev1.PodSecurityContext `json:"podSecurityContext"`
	}
	for _, into := range []any{&container, &pod, &values} { // each has the names of its part
		if err := json.Unmarshal(text, into); err != nil {
			t.Fatal(err)
		}
	}
	var d appsv1.Deployment
	if err := yaml.Unmarshal([]byte(bare), &d); err != nil {
		t.Fatal(err)
	}
	container.Name, container.Image = "app", "registry.test/app:1"
	d.Spec.Template.Spec.Containers, d.Spec.Template.Spec.Volumes = []corev1.Container{container}, pod.Volumes
	d.Spec.Template.Spec.SecurityContext, d.Spec.Template.Spec.NodeSelector = values.PodSecurityContext, pod.NodeSelector
	made, err := yaml.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return string(made)
}

// TestNeedsAreEnough: what is printed for a client, in each shape, makes of a Deployment
// that knows nothing of enclaves one that runs as the client, and keeps what it had.
func TestNeedsAreEnough(t *testing.T) {
	for name, change := range map[string]func(*topology.Application){
		"by measurement": nil,
		"with libraries": func(c *topology.Application) { c.Settings.Dlopen = "1" },
		"by signer": func(c *topology.Application) {
			c.MRENCLAVEs, c.Settings, c.Signer = nil, policy.Settings{}, &attest.SignerReference{MRSIGNER: sgx.Measurement{5}, ISVProdID: 1}
		},
		"without files in memory": func(c *topology.Application) {
			c.Files = map[string]topology.Given{"/etc/ca": {Form: topology.FormCA}}
		},
	} {
		r := withClients(t, change)
		if judged := judge(t, r, bare); judged.Report.Verdict() != check.Contraindicated || len(judged.Others) != 1 {
			t.Errorf("%s: the bare Deployment: got %+v", name, judged)
		}
		for shape, text := range map[string]string{"patch": patched(t, r), "kustomize": kustomized(t, r), "helm": charted(t, r)} {
			judged := judge(t, r, text)
			if judged.Report.Verdict() != check.Affirming {
				t.Errorf("%s, %s: got %+v of\n%s", name, shape, judged.Report, text)
			}
			if kept := strings.Contains(text, "C.UTF-8") && strings.Contains(text, "/cache") && strings.Contains(text, "512Mi"); !kept && shape != "helm" {
				t.Errorf("%s, %s: something is lost:\n%s", name, shape, text)
			}
			if name == "by measurement" && (!strings.Contains(text, "mountPath: /run/other") || strings.Contains(text, "mountPath: /etc")) {
				t.Errorf("%s: want memory under /run, and nothing over what the image has:\n%s", shape, text)
			}
			if shape == "kustomize" && (len(judged.Others) != 1 || !strings.Contains(judged.Others[0], "my-webXapp")) {
				t.Errorf("got %v, want the Deployment of another name as it was", judged.Others)
			}
		}
	}
}

func TestNeedsWarn(t *testing.T) {
	r := withClients(t, func(c *topology.Application) { c.Settings = policy.Settings{} })
	if n := needs(t, r, manifest.Patch); len(n.Warnings) != 1 || !strings.Contains(n.Warnings[0], "SCONE_HEAP") {
		t.Errorf("got %v, want a warning about the heap", n.Warnings)
	}
	if n := needs(t, withClients(t, nil), manifest.Patch); len(n.Warnings) != 0 || !strings.Contains(n.Comment, "--namespace shop-app") {
		t.Errorf("got %+v", n)
	}
	if _, err := manifest.NeedsOf(r, "nobody", manifest.Place{}, manifest.Patch); err == nil {
		t.Error("got what an unknown client needs")
	}
	for _, wrong := range []manifest.Place{{Deployment: "Web"}, {Container: "a.b"}, {Container: "a\nb"}} {
		if wrong.Check() == nil {
			t.Errorf("%+v has no problem", wrong)
		}
	}
}

// TestJudgedPods plants something in what runs as the client.
func TestJudgedPods(t *testing.T) {
	for name, c := range map[string]struct {
		edit    func(*corev1.PodTemplateSpec)
		outcome check.Outcome
		reason  string
		client  func(*topology.Application)
		accept  attest.Deviation
	}{
		"another heap":       {edit: variable("SCONE_HEAP", "512M"), outcome: check.Fail, reason: "want 256M"},
		"the same heap":      {edit: variable("SCONE_HEAP", "262144K"), outcome: check.Pass},
		"no heap":            {edit: variable("SCONE_HEAP", ""), outcome: check.Fail, reason: `SCONE_HEAP: got "64M"`},
		"libraries":          {edit: variable("SCONE_ALLOW_DLOPEN", "2"), outcome: check.Fail, reason: "SCONE_ALLOW_DLOPEN"},
		"libraries accepted": {edit: variable("SCONE_ALLOW_DLOPEN", "2"), outcome: check.Warn, accept: attest.AllowDlopen},
		"a stack":            {edit: variable("SCONE_STACK", "8M"), outcome: check.Skip, reason: "SCONE_STACK is set"},
		"simulation":         {edit: variable("SCONE_MODE", "sim"), outcome: check.Fail, reason: "SCONE_MODE"},
		"another CAS":        {edit: variable("SCONE_CAS_ADDR", "evil"), outcome: check.Fail, reason: "SCONE_CAS_ADDR"},
		"another service":    {edit: variable("SCONE_CONFIG_ID", "SESSION/db"), outcome: check.Fail, reason: "has no service"},
		"no service":         {edit: variable("SCONE_CONFIG_ID", "SESSION"), outcome: check.Fail, reason: "without a service"},
		"no image":           {edit: func(p *corev1.PodTemplateSpec) { p.Spec.Containers[0].Image = "" }, outcome: check.Fail, reason: "no image"},
		"a preload":          {edit: variable("LD_PRELOAD", "/x.so"), outcome: check.Fail, reason: "LD_PRELOAD"},
		"an unknown setting": {edit: variable("SCONE_NEW", "1"), outcome: check.Fail, reason: "SCONE_NEW"},
		"another variable":   {edit: variable("GREETING", "x"), outcome: check.Pass},
		"a config ID of a ConfigMap": {edit: func(p *corev1.PodTemplateSpec) {
			envOf(p, "SCONE_CONFIG_ID").Value = ""
			envOf(p, "SCONE_CONFIG_ID").ValueFrom = &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{Key: "x"}}
		}, outcome: check.Fail, reason: "SCONE_CONFIG_ID"},
		"variables of a Secret": {edit: func(p *corev1.PodTemplateSpec) {
			p.Spec.Containers[0].EnvFrom = []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{}}}
		}, outcome: check.Fail, reason: "envFrom"},
		"no device":  {edit: func(p *corev1.PodTemplateSpec) { p.Spec.Containers[0].Resources.Limits = nil }, outcome: check.Fail, reason: "no SGX resource"},
		"privileged": {edit: func(p *corev1.PodTemplateSpec) { yes := true; p.Spec.Containers[0].SecurityContext.Privileged = &yes }, outcome: check.Fail, reason: "privileged"},
		"a host path": {edit: func(p *corev1.PodTemplateSpec) {
			p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "dev", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/dev"}}})
		}, outcome: check.Fail, reason: "/dev"},
		"the host's PIDs": {edit: func(p *corev1.PodTemplateSpec) { p.Spec.HostPID = true }, outcome: check.Fail, reason: "hostPID"},
		"a sidecar": {edit: func(p *corev1.PodTemplateSpec) {
			p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "log"})
		}, outcome: check.Fail, reason: "container log"},
		"a sidecar accepted": {edit: func(p *corev1.PodTemplateSpec) {
			p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "log"})
		}, outcome: check.Warn, reason: "container log", accept: attest.Sidecar},
		"a sidecar in its memory": {edit: func(p *corev1.PodTemplateSpec) {
			p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "log", VolumeMounts: []corev1.VolumeMount{{Name: "confidb", MountPath: "/x"}}})
		}, outcome: check.Fail, reason: "mounts the volume confidb", accept: attest.Sidecar},
		"an init container": {edit: func(p *corev1.PodTemplateSpec) { p.Spec.InitContainers = []corev1.Container{{Name: "prepare"}} }, outcome: check.Fail, reason: "container prepare"},
		"another session beside it": {edit: func(p *corev1.PodTemplateSpec) {
			c := p.Spec.Containers[0].DeepCopy()
			c.Name, c.Env[0].Value = "second", "elsewhere/x"
			for i := range c.Env {
				if c.Env[i].Name == "SCONE_CONFIG_ID" {
					c.Env[i].Value = "elsewhere/x"
				}
			}
			p.Spec.Containers = append(p.Spec.Containers, *c)
		}, outcome: check.Fail, reason: "container second"},
		"a command that sets": {edit: func(p *corev1.PodTemplateSpec) {
			p.Spec.Containers[0].Command = []string{"sh", "-c", "SCONE_HEAP=1G app"}
		}, outcome: check.Fail, reason: "SCONE_HEAP"},
		"an annotation of a runtime": {edit: func(p *corev1.PodTemplateSpec) { p.Annotations = map[string]string{"cdi.k8s.io/x": "vendor/dev"} }, outcome: check.Fail, reason: "cdi.k8s.io"},
		"nobody said which heap":     {outcome: check.Skip, reason: "nobody has said", client: func(c *topology.Application) { c.Settings = policy.Settings{} }},
	} {
		r := withClients(t, c.client)
		if c.accept != "" {
			r.Trust.Deviations = []attest.Deviation{c.accept}
		}
		var d appsv1.Deployment
		if err := yaml.Unmarshal([]byte(patched(t, r)), &d); err != nil {
			t.Fatal(err)
		}
		if c.edit != nil {
			c.edit(&d.Spec.Template)
		}
		text, err := yaml.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		session := r.Session(topology.ApplicationRole("tokenizer")).Name
		report := judge(t, r, strings.ReplaceAll(string(text), "SESSION", session)).Report
		if !slices.ContainsFunc(report, func(f check.Finding) bool {
			return f.Outcome == c.outcome && strings.Contains(f.Reason, c.reason) && f.ID == "client-pod"
		}) {
			t.Errorf("%s: got %+v, want %s with %q", name, report, c.outcome, c.reason)
		}
		worst := check.Report{{ID: "x", Outcome: c.outcome}}.Verdict()
		if got := report.Verdict(); got != worst {
			t.Errorf("%s: got the verdict %s, want %s: %+v", name, got, worst, report)
		}
	}
}

// envOf is a variable of the first container, made if it is not there.
func envOf(p *corev1.PodTemplateSpec, name string) *corev1.EnvVar {
	c := &p.Spec.Containers[0]
	i := slices.IndexFunc(c.Env, func(v corev1.EnvVar) bool { return v.Name == name })
	if i < 0 {
		c.Env = append(c.Env, corev1.EnvVar{Name: name})
		i = len(c.Env) - 1
	}
	return &c.Env[i]
}

func variable(name, value string) func(*corev1.PodTemplateSpec) {
	return func(p *corev1.PodTemplateSpec) { envOf(p, name).Value = value }
}

// TestJudgedKinds: the client's pods are found in whatever makes pods, in Lists, and among
// others, and each object is named with its line.
func TestJudgedKinds(t *testing.T) {
	r := withClients(t, nil)
	var d appsv1.Deployment
	if err := yaml.Unmarshal([]byte(patched(t, r)), &d); err != nil {
		t.Fatal(err)
	}
	spec := d.Spec.Template.Spec
	spec.Containers[0].Env = append(spec.Containers[0].Env, corev1.EnvVar{Name: "LD_PRELOAD", Value: "x"})
	one := func(value any) string {
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	template := map[string]any{"spec": spec}
	object := func(kind, group string, content map[string]any) string {
		return one(map[string]any{"kind": kind, "apiVersion": group, "metadata": map[string]any{"name": "x"}, "spec": content})
	}
	for name, text := range map[string]string{
		"Pod":         one(map[string]any{"kind": "Pod", "apiVersion": "v1", "metadata": map[string]any{"name": "x"}, "spec": spec}),
		"Deployment":  object("Deployment", "apps/v1", map[string]any{"template": template}),
		"StatefulSet": object("StatefulSet", "apps/v1", map[string]any{"template": template}),
		"DaemonSet":   object("DaemonSet", "apps/v1", map[string]any{"template": template}),
		"ReplicaSet":  object("ReplicaSet", "apps/v1", map[string]any{"template": template}),
		"Job":         object("Job", "batch/v1", map[string]any{"template": template}),
		"CronJob":     object("CronJob", "batch/v1", map[string]any{"jobTemplate": map[string]any{"spec": map[string]any{"template": template}}}),
		"List":        `{"kind": "List", "apiVersion": "v1", "items": [` + object("Job", "batch/v1", map[string]any{"template": template}) + `]}`,
	} {
		judged := judge(t, r, "# a comment\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n--- # more\n"+bare+"---\n\n"+text+"\n---\napiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: roll}\n")
		if len(judged.Report) != 1 || judged.Report[0].Outcome != check.Fail || !strings.Contains(judged.Report[0].Reason, "LD_PRELOAD") || !strings.HasPrefix(judged.Report[0].Title, "app.yaml:25: ") {
			t.Errorf("%s: got %+v, want a failure in line 25", name, judged.Report)
		}
		if len(judged.Others) != 2 || judged.Others[0] != "app.yaml:7: Deployment/web.app" || judged.Others[1] != "app.yaml:27: Rollout/roll" {
			t.Errorf("%s: got %q, want those that were not looked at", name, judged.Others)
		}
	}
	if judged := judge(t, r, strings.Replace(patched(t, r), "namespace: shop-app", "namespace: elsewhere", 1)); judged.Report.Verdict() != check.Contraindicated || !strings.Contains(judged.Report[0].Reason, "namespace") {
		t.Errorf("in another namespace: got %+v", judged.Report)
	}
}

// TestJudgedMembers: a member of a pod that is not known proves nothing, wherever it is; one
// that says nothing is none.
func TestJudgedMembers(t *testing.T) {
	r := withClients(t, nil)
	var object map[string]any
	if err := yaml.Unmarshal([]byte(patched(t, r)), &object); err != nil {
		t.Fatal(err)
	}
	spec := object["spec"].(map[string]any)["template"].(map[string]any)["spec"].(map[string]any)
	container := spec["containers"].([]any)[0].(map[string]any)
	for name, c := range map[string]struct {
		in      map[string]any
		key     string
		value   any
		outcome check.Outcome
		path    string
	}{
		"of the pod":       {spec, "agents", []any{"x"}, check.Skip, "spec.template.spec.agents"},
		"of the container": {container, "Privileged", true, check.Skip, "spec.template.spec.containers[0].Privileged"},
		"in another case":  {container, "SecurityContext", map[string]any{"privileged": true}, check.Skip, "containers[0].SecurityContext"},
		"nothing":          {spec, "agents", map[string]any{"a": nil, "b": []any{}}, check.Pass, ""},
		"known and empty":  {spec, "hostNetwork", false, check.Pass, ""},
	} {
		c.in[c.key] = c.value
		text, err := yaml.Marshal(object)
		delete(c.in, c.key)
		if err != nil {
			t.Fatal(err)
		}
		report := judge(t, r, string(text)).Report
		if len(report) != 1 || report[0].Outcome != c.outcome || !strings.Contains(report[0].Reason, c.path) {
			t.Errorf("%s: got %+v, want %s at %q", name, report, c.outcome, c.path)
		}
	}
}

func TestJudgedTexts(t *testing.T) {
	guest, err := manifest.GuestOf(withClients(t, nil), "tokenizer")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ text, want string }{
		"nothing":         {"", "app.yaml:1:1: got no object"},
		"comments":        {"# a\n---\n# b\n", "app.yaml:1:1: got no object"},
		"no YAML":         {bare + "---\nkind: [\n", "app.yaml:18:1: got text that is not YAML"},
		"a list":          {"---\n- a\n", "app.yaml:2:1: "},
		"a word":          {"hello\n", "app.yaml:1:1: "},
		"no kind":         {"a: 1\n---\nb: 2\n", "app.yaml:1:1: got an object"},
		"a key twice":     {strings.Replace(bare, "kind: Deployment", "kind: Deployment\nkind: Pod", 1), `app.yaml:3:1: got the key "kind" a second time`},
		"a wrong type":    {bare + "---\napiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec:\n  containers:\n    - name: y\n      env: {a: b}\n", "app.yaml:24:12: Pod/x: spec.containers.env: got object, want a list"},
		"a number":        {strings.Replace(bare, "value: C.UTF-8", "value: 5", 1), "app.yaml:13:37: Deployment/web.app: spec.template.spec.containers.env.value: got number, want text"},
		"a bad quantity":  {strings.Replace(bare, "512Mi", "many", 1), "app.yaml:1:1: Deployment/web.app: quantities must match"},
		"Latin-1":         {strings.Replace(bare, "C.UTF-8", "\xe4", 1), "app.yaml:13:37: got the byte"},
		"itself":          {"a: &x [*x]\n", "app.yaml:1:1: "},
		"a bomb":          {bomb(), "app.yaml:1:1: "},
		"a deep bomb":     {strings.Repeat("[", 200), "app.yaml:1:"},
		"an unknown name": {strings.Replace(bare, "*labels", "*nobody", 1), "app.yaml:5:"},
	} {
		judged, err := guest.Judge("app.yaml", []byte(c.text))
		if err == nil || !strings.HasPrefix(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %+v and %v, want one error that begins with %q", name, judged, err, c.want)
		}
	}
	if _, err := manifest.GuestOf(withClients(t, nil), "nobody"); err == nil {
		t.Error("got an unknown client")
	}
}

// bomb is a short text that stands for a long one.
func bomb() string {
	text := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := range 9 {
		text += fmt.Sprintf("a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i), 10), ", "))
	}
	return text
}

// FuzzJudge: whatever a file holds, it is judged or refused with a place, and passes only if
// it names the client.
func FuzzJudge(f *testing.F) {
	for _, seed := range []string{bare, "a: &x [*x]\n", "kind: List\napiVersion: v1\nitems: [1]\n", "kind: Pod\napiVersion: v1\nspec: {containers: [{env: [{name: SCONE_CONFIG_ID}]}]}\n", "--- {kind: Job, apiVersion: batch/v1}\n...\n---\n"} {
		f.Add([]byte(seed))
	}
	r, err := clientsOf(nil)
	if err != nil {
		f.Fatal(err)
	}
	guest, err := manifest.GuestOf(r, "tokenizer")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		judged, err := guest.Judge("app.yaml", text)
		switch {
		case err != nil && !strings.HasPrefix(err.Error(), "app.yaml:"):
			t.Errorf("got the error %v, want one with a place", err)
		case err == nil && len(judged.Report) == 0:
			t.Error("got no finding")
		case err == nil && judged.Report.Verdict().Accepted() && !strings.Contains(string(text), "SCONE_CONFIG_ID"):
			t.Errorf("accepted: %+v", judged.Report)
		}
	})
}

// TestJudgedHiddenClients: beside a pod that is right, one that is the client in a roundabout
// way is judged as well; a pod that is none of it is not.
func TestJudgedHiddenClients(t *testing.T) {
	for name, c := range map[string]struct {
		edit func(p *corev1.PodTemplateSpec, id string)
		hide bool
	}{
		"a variable of Kubernetes": {func(p *corev1.PodTemplateSpec, id string) {
			session, service, _ := strings.Cut(id, "/")
			envOf(p, "SCONE_CONFIG_ID").Value = "$(S)/" + service
			p.Spec.Containers[0].Env = append([]corev1.EnvVar{{Name: "S", Value: session}}, p.Spec.Containers[0].Env...)
		}, true},
		"a variable that is not there": {func(p *corev1.PodTemplateSpec, _ string) { envOf(p, "SCONE_CONFIG_ID").Value = "$(SOMEWHERE)" }, true},
		"a command": {func(p *corev1.PodTemplateSpec, id string) {
			envOf(p, "SCONE_CONFIG_ID").Value = "other/session"
			p.Spec.Containers[0].Command = []string{"env", "SCONE_CONFIG_ID=" + id, "app"}
		}, true},
		"all variables from elsewhere": {func(p *corev1.PodTemplateSpec, _ string) {
			c := &p.Spec.Containers[0]
			c.Env = nil
			c.EnvFrom = []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{}}}
		}, true},
		"another session": {func(p *corev1.PodTemplateSpec, _ string) { envOf(p, "SCONE_CONFIG_ID").Value = "other/session" }, false},
		"no enclave": {func(p *corev1.PodTemplateSpec, _ string) {
			c := &p.Spec.Containers[0]
			c.Env, c.Resources.Limits = nil, nil
			c.EnvFrom = []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{}}}
		}, false},
	} {
		r := withClients(t, nil)
		good := patched(t, r)
		var d appsv1.Deployment
		if err := yaml.Unmarshal([]byte(good), &d); err != nil {
			t.Fatal(err)
		}
		c.edit(&d.Spec.Template, envOf(&d.Spec.Template, "SCONE_CONFIG_ID").Value)
		envOf(&d.Spec.Template, "LD_PRELOAD").Value = "/x.so"
		d.Name = "hidden"
		text, err := yaml.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		judged := judge(t, r, good+"\n---\n"+string(text))
		if passes := judged.Report.Verdict().Accepted(); passes == c.hide {
			t.Errorf("%s: got %+v, others %q", name, judged.Report, judged.Others)
		}
	}
}
