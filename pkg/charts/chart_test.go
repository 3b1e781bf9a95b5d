package charts_test

import (
	"bytes"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v3/pkg/action"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/confidb/confidb/pkg/charts"
	"github.com/confidb/confidb/pkg/release"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func required() map[string]any {
	return map[string]any{
		"image": "registry.test/mariadb@sha256:00",
		"scone": map[string]any{"attestation": map[string]any{"config_id": "db1-00/db", "cas": "cas.scone-system.svc"}},
	}
}

// everything sets each value to something other than its default.
const everything = `
image: registry.test/mariadb@sha256:00
imagePullPolicy: Always
imagePullSecrets: [registry]
command: [confidb-lab, enclave, "--"]
scone:
  attestation: {config_id: db1-00/db, cas: cas.scone-system.svc, las: 10.0.0.1}
  heap: 4G
  env: {SCONE_LOG: error, SCONE_VERSION: 1, SCONE_ETHREADS: 1000000}
sgx: {resource: lab.confidb.dev/enclave}
service: {type: NodePort, port: 3307}
persistence: {size: 1Gi, storageClass: fast, accessModes: [ReadWriteOncePod]}
runAsUser: 1000660000
resources:
  requests: {memory: 5Gi}
  limits: {memory: 6Gi, lab.confidb.dev/enclave: 2}
nodeSelector: {sgx: "true"}
tolerations: [{key: sgx, operator: Exists}]
affinity: {nodeAffinity: {}}
podAnnotations: {confidb.dev/note: text}
containerSecurityContext: {runAsNonRoot: true}
`

func render(t *testing.T, name string, values map[string]any) ([]byte, error) {
	t.Helper()
	return renderOf(t, "single", name, values)
}

func renderOf(t *testing.T, architecture, name string, values map[string]any) ([]byte, error) {
	t.Helper()
	h, err := release.New(nil, "shop", release.Settings{Own: charts.For})
	if err != nil {
		t.Fatal(err)
	}
	spec := release.Spec{Name: name, Architecture: architecture, Values: values}
	chart, err := h.Load(spec)
	if err != nil {
		t.Fatal(err)
	}
	return h.Render(t.Context(), spec, chart)
}

func mustRender(t *testing.T, values map[string]any) []byte {
	t.Helper()
	manifests, err := render(t, "db1", values)
	if err != nil {
		t.Fatal(err)
	}
	return manifests
}

func allValues(t *testing.T) map[string]any {
	t.Helper()
	var values map[string]any
	if err := yaml.Unmarshal([]byte(everything), &values); err != nil {
		t.Fatal(err)
	}
	return values
}

func TestGolden(t *testing.T) {
	for name, values := range map[string]map[string]any{"required": required(), "everything": allValues(t)} {
		t.Run(name, func(t *testing.T) { golden(t, name, mustRender(t, values)) })
	}
}

// golden compares a text with that of a file.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".yaml")
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got); go test -update writes it anew:\n%s", path, diff)
	}
}

// Every default can be changed: what the schema admits and no template reads
// would be ignored without a word.
func TestEveryValueIsRead(t *testing.T) {
	text, err := fs.ReadFile(charts.MariaDB(), "values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var defaults map[string]any
	if err := yaml.Unmarshal(text, &defaults); err != nil {
		t.Fatal(err)
	}
	base := string(mustRender(t, required()))
	for path, value := range leaves("", allValues(t), defaults) {
		values := required()
		if err := release.SetPath(values, path, value); err != nil {
			t.Fatal(err)
		}
		if path == "image" || path == "scone.attestation.config_id" || path == "scone.attestation.cas" {
			if err := release.SetPath(values, path, "other"); err != nil {
				t.Fatal(err)
			}
		}
		if string(mustRender(t, values)) == base {
			t.Errorf("%s changes nothing", path)
		}
	}
	if unset := leaves("", defaults, allValues(t)); len(unset) != len(leaves("", allValues(t), defaults)) {
		t.Errorf("the test leaves out a value; defaults: %v", unset)
	}
}

// leaves are the values by path, down to what is no map or an empty or free one in shape.
func leaves(prefix string, values, shape map[string]any) map[string]any {
	out := map[string]any{}
	for key, value := range values {
		below, isMap := value.(map[string]any)
		inShape, _ := shape[key].(map[string]any)
		if !isMap || len(inShape) == 0 || len(below) == 0 {
			out[prefix+key] = value
			continue
		}
		for path, leaf := range leaves(prefix+key+".", below, inShape) {
			out[path] = leaf
		}
	}
	return out
}

func TestObjects(t *testing.T) {
	for label, values := range map[string]map[string]any{"required": required(), "everything": allValues(t)} {
		var service corev1.Service
		var set appsv1.StatefulSet
		for _, document := range strings.Split(string(mustRender(t, values)), "\n---\n") {
			var into any = &set
			if strings.Contains(document, "\nkind: Service\n") {
				into = &service
			}
			if err := yaml.UnmarshalStrict([]byte(document), into); err != nil {
				t.Fatalf("%s: %v", label, err)
			}
		}
		if service.Name != "db1-mariadb" || set.Name != "db1-mariadb" || set.Spec.ServiceName != service.Name {
			t.Errorf("%s: got names %q, %q, %q, want db1-mariadb", label, service.Name, set.Name, set.Spec.ServiceName)
		}
		for key, value := range service.Spec.Selector {
			if set.Spec.Template.Labels[key] != value || set.Spec.Selector.MatchLabels[key] != value {
				t.Errorf("%s: the pod has no label %s=%s", label, key, value)
			}
		}
		checkPod(t, label, set.Spec.Template.Spec)
	}
}

func checkPod(t *testing.T, label string, pod corev1.PodSpec) {
	t.Helper()
	if pod.HostNetwork || pod.HostPID || pod.HostIPC || *pod.AutomountServiceAccountToken || *pod.EnableServiceLinks || !*pod.SecurityContext.RunAsNonRoot {
		t.Errorf("%s: the pod may more than it needs: %+v", label, pod)
	}
	for _, v := range pod.Volumes {
		if v.EmptyDir == nil || v.EmptyDir.Medium != corev1.StorageMediumMemory {
			t.Errorf("%s: volume %s: got %+v, want memory only", label, v.Name, v.VolumeSource)
		}
	}
	for _, c := range append(pod.InitContainers, pod.Containers...) {
		s := c.SecurityContext
		if s.Privileged != nil || *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || len(s.Capabilities.Add) > 0 || s.Capabilities.Drop[0] != "ALL" {
			t.Errorf("%s: container %s may more than it needs: %+v", label, c.Name, s)
		}
		names := map[string]bool{}
		for _, e := range c.Env {
			if names[e.Name] || (e.ValueFrom != nil && e.ValueFrom.FieldRef == nil) {
				t.Errorf("%s: container %s: %s twice or from a Secret: %+v", label, c.Name, e.Name, e)
			}
			names[e.Name] = true
		}
		for resource, count := range c.Resources.Limits {
			if strings.HasSuffix(string(resource), "/enclave") && count.Value() != 1 {
				t.Errorf("%s: container %s: got %s of %s, want 1", label, c.Name, count.String(), resource)
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		path  string
		value any
		says  string
	}{
		{"image", "", "image: name the image"},
		{"image", "two words", "image"},
		{"scone.attestation.config_id", "", "name the database session"},
		{"scone.attestation.config_id", "db1-00/db@otp", "config_id"},
		{"scone.attestation.config_id", "db1-00/", "config_id"},
		{"scone.attestation.cas", "", "name the CAS"},
		{"scone.attestation.configId", "x", "configId"},
		{"scone.env.SCONE_MODE", "sim", "SCONE_MODE"},
		{"scone.env.SCONE_CONFIG_ID", "x", "SCONE_CONFIG_ID"},
		{"scone.env.LD_PRELOAD", "x", "LD_PRELOAD"},
		{"scone.env.SCONE_LOG", []any{}, "SCONE_LOG"},
		{"scone.heap", "much", "heap"},
		{"sgx.resource", "enclave", "resource"},
		{"runAsUser", 0, "runAsUser"},
		{"service.type", "ExternalName", "type"},
		{"service.port", 0, "port"},
		{"persistence.accessModes", []any{"ReadOnlyMany"}, "accessModes"},
		{"persistence.enabled", false, "enabled"},
		{"replicas", 3, "replicas"},
		{"command", "sh", "command"},
	} {
		values := required()
		if err := release.SetPath(values, c.path, c.value); err != nil {
			t.Fatal(err)
		}
		if out, err := render(t, "db1", values); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s=%v: got %v and %d bytes, want an error that says %q", c.path, c.value, err, len(out), c.says)
		}
	}
	if _, err := render(t, strings.Repeat("a", 45), required()); err == nil || !strings.Contains(err.Error(), "at most 44") {
		t.Errorf("a long name: got %v", err)
	}
	if _, err := render(t, strings.Repeat("a", 44), required()); err != nil {
		t.Errorf("a name of 44: %v", err)
	}
}

// helm lint has nothing to say, with the required values and without them.
func TestLint(t *testing.T) {
	folder := t.TempDir()
	if err := os.CopyFS(folder, charts.MariaDB()); err != nil {
		t.Fatal(err)
	}
	for label, values := range map[string]map[string]any{"no values": {}, "required": required(), "everything": allValues(t)} {
		lint := action.NewLint()
		lint.Strict = true
		result := lint.Run([]string{folder}, values)
		for _, message := range result.Messages {
			if message.Severity > 1 { // the icon is missing: information
				t.Errorf("%s: %s", label, message)
			}
		}
		if err := errors.Join(result.Errors...); err != nil {
			t.Errorf("%s: %v", label, err)
		}
	}
}

// Kubernetes replaces $(NAME) and $$ in commands.
func TestScriptIsNoKubernetesExpression(t *testing.T) {
	script, err := fs.ReadFile(charts.MariaDB(), "files/init.sh")
	if err != nil {
		t.Fatal(err)
	}
	for _, expression := range []string{"$$", "$("} {
		if bytes.Contains(script, []byte(expression)) {
			t.Errorf("init.sh has %s, which Kubernetes reads as its own", expression)
		}
	}
}
