package charts_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"helm.sh/helm/v3/pkg/action"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"

	"github.com/confidb/confidb/pkg/charts"
	"github.com/confidb/confidb/pkg/haproxy"
	"github.com/confidb/confidb/pkg/release"
)

const scalableRequired = `
image: registry.test/mariadb@sha256:00
scone: {attestation: {config_id: db1-00/db, cas: cas.scone-system.svc}}
maxscale: {image: registry.test/maxscale@sha256:00, scone: {attestation: {config_id: db1-00/maxscale}}}
haproxy: {image: registry.test/haproxy@sha256:00}
`

// scalableEverything sets each value to something other than its default.
const scalableEverything = `
architecture: sharded
replicas: 2
image: registry.test/mariadb@sha256:00
imagePullPolicy: Always
imagePullSecrets: [registry]
command: [confidb-lab, enclave, "--"]
scone:
  attestation: {config_id: db1-00/db, hash: 00ff, cas: "cas.scone-system.svc:28765", las: "10.0.0.1:28766"}
  heap: 4G
  env: {SCONE_LOG: error, SCONE_VERSION: 1}
sgx: {resource: lab.confidb.dev/enclave}
service: {type: NodePort, port: 3307}
persistence: {size: 1Gi, storageClass: fast, accessModes: [ReadWriteOncePod]}
startTimeout: 600
updateStrategy: OnDelete
antiAffinity: preferred
clusterDomain: other.local
networkPolicy: {enabled: false, dnsPorts: [1053], attestationPorts: [443]}
runAsUser: 1000660000
containerSecurityContext: {runAsNonRoot: true}
resources:
  requests: {memory: 5Gi}
  limits: {memory: 6Gi, lab.confidb.dev/enclave: 2}
nodeSelector: {sgx: "true"}
tolerations: [{key: sgx, operator: Exists}]
affinity: {nodeAffinity: {}}
podAnnotations: {confidb.dev/note: text}
maxscale:
  replicas: 3
  image: registry.test/maxscale@sha256:00
  command: [confidb-lab, run]
  scone: {attestation: {config_id: db1-00/maxscale, hash: ff00}, heap: 2G}
  resources: {limits: {memory: 1Gi}}
  keeper: {resources: {limits: {memory: 128Mi}}}
haproxy:
  replicas: 3
  image: registry.test/haproxy@sha256:00
  runAsUser: 1000660001
  maxConnections: 100
  idleTimeout: 30m
  resources: {limits: {memory: 64Mi}}
  nodeSelector: {edge: "true"}
  tolerations: [{key: edge, operator: Exists}]
`

func valuesOf(t *testing.T, text string) map[string]any {
	t.Helper()
	var values map[string]any
	if err := yaml.Unmarshal([]byte(text), &values); err != nil {
		t.Fatal(err)
	}
	return values
}

// with are the required values, and one more by its path.
func with(t *testing.T, path string, value any) map[string]any {
	t.Helper()
	values := valuesOf(t, scalableRequired)
	if err := release.SetPath(values, path, value); err != nil {
		t.Fatal(err)
	}
	return values
}

func renderScalable(t *testing.T, values map[string]any) []byte {
	t.Helper()
	manifests, err := renderOf(t, "replicated", "db1", values)
	if err != nil {
		t.Fatal(err)
	}
	return manifests
}

func TestScalableGolden(t *testing.T) {
	for name, values := range map[string]map[string]any{"replicated": valuesOf(t, scalableRequired), "sharded": with(t, "architecture", "sharded"), "scalable": valuesOf(t, scalableEverything)} {
		t.Run(name, func(t *testing.T) { golden(t, name, renderScalable(t, values)) })
	}
}

func TestScalableEveryValueIsRead(t *testing.T) {
	text, err := fs.ReadFile(charts.Scalable(), "values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	defaults, all := valuesOf(t, string(text)), valuesOf(t, scalableEverything)
	base := string(renderScalable(t, valuesOf(t, scalableRequired)))
	for path, value := range leaves("", all, defaults) {
		switch path {
		case "image", "scone.attestation.config_id", "scone.attestation.cas", "maxscale.image", "maxscale.scone.attestation.config_id", "haproxy.image":
			value = "other"
		case "replicas":
			value = 4
		}
		if string(renderScalable(t, with(t, path, value))) == base {
			t.Errorf("%s changes nothing", path)
		}
	}
	if unset := leaves("", defaults, all); len(unset) != len(leaves("", all, defaults)) {
		t.Errorf("the test leaves out a value; defaults: %v", unset)
	}
}

// tiers are the objects of a rendering, by name.
type tiers struct {
	sets     map[string]appsv1.StatefulSet
	proxies  map[string]appsv1.Deployment
	services map[string]corev1.Service
	configs  map[string]corev1.ConfigMap
	budgets  map[string]policyv1.PodDisruptionBudget
	policies map[string]networkingv1.NetworkPolicy
}

func read(t *testing.T, manifests []byte) tiers {
	t.Helper()
	all := tiers{map[string]appsv1.StatefulSet{}, map[string]appsv1.Deployment{}, map[string]corev1.Service{}, map[string]corev1.ConfigMap{}, map[string]policyv1.PodDisruptionBudget{}, map[string]networkingv1.NetworkPolicy{}}
	for _, document := range strings.Split("\n"+string(manifests), "\n---\n") {
		var of struct{ Kind, APIVersion string }
		if err := yaml.Unmarshal([]byte(document), &of); err != nil {
			t.Fatal(err)
		}
		var err error
		switch of.APIVersion + "/" + of.Kind {
		case "/":
		case "apps/v1/StatefulSet":
			err = into(document, all.sets)
		case "apps/v1/Deployment":
			err = into(document, all.proxies)
		case "v1/Service":
			err = into(document, all.services)
		case "v1/ConfigMap":
			err = into(document, all.configs)
		case "policy/v1/PodDisruptionBudget":
			err = into(document, all.budgets)
		case "networking.k8s.io/v1/NetworkPolicy":
			err = into(document, all.policies)
		default:
			t.Fatalf("got an object of the kind %s of %s, which Kubernetes 1.25 may not have", of.Kind, of.APIVersion)
		}
		if err != nil {
			t.Fatalf("%v in %s", err, document)
		}
	}
	return all
}

func into[T any](document string, all map[string]T) error {
	var object struct {
		Metadata struct{ Name string } `json:"metadata"`
	}
	if err := yaml.Unmarshal([]byte(document), &object); err != nil {
		return err
	}
	var value T
	err := yaml.UnmarshalStrict([]byte(document), &value)
	all[object.Metadata.Name] = value
	return err
}

// pods are the templates of all tiers.
func (o tiers) pods() map[string]corev1.PodTemplateSpec {
	all := map[string]corev1.PodTemplateSpec{}
	for name, s := range o.sets {
		all[name] = s.Spec.Template
	}
	for name, d := range o.proxies {
		all[name] = d.Spec.Template
	}
	return all
}

// Each tier has the objects that it needs, whose selectors choose its pods and no others.
func TestScalableObjects(t *testing.T) {
	for label, text := range map[string]string{"required": scalableRequired, "everything": strings.Replace(scalableEverything, "enabled: false", "enabled: true", 1)} {
		o := read(t, renderScalable(t, valuesOf(t, text)))
		pods := o.pods()
		if len(pods) != 3 || len(o.services) != 3 || len(o.budgets) != 3 || len(o.policies) != 3 || len(o.configs) != 1 {
			t.Fatalf("%s: got %d kinds of pods, %d Services, %d budgets, %d policies, %d ConfigMaps", label, len(pods), len(o.services), len(o.budgets), len(o.policies), len(o.configs))
		}
		chooses := func(what, tier string, selector map[string]string) {
			for name, pod := range pods {
				chosen := len(selector) > 0
				for key, value := range selector {
					chosen = chosen && pod.Labels[key] == value
				}
				if chosen != (name == tier) {
					t.Errorf("%s: %s chooses %s: %v", label, what, name, chosen)
				}
			}
		}
		for _, tier := range []string{"db1-mariadb", "db1-maxscale", "db1-haproxy"} {
			budget := o.budgets[tier]
			if budget.Spec.MaxUnavailable.IntValue() != 1 {
				t.Errorf("%s: %s: got %+v", label, tier, budget.Spec)
			}
			chooses("the budget of "+tier, tier, budget.Spec.Selector.MatchLabels)
			chooses("the policy of "+tier, tier, o.policies[tier].Spec.PodSelector.MatchLabels)
		}
		chooses("Service db1", "db1-haproxy", o.services["db1"].Spec.Selector)
		for name, set := range o.sets {
			chooses("StatefulSet "+name, name, set.Spec.Selector.MatchLabels)
			service := o.services[set.Spec.ServiceName]
			if set.Spec.ServiceName != name || service.Spec.ClusterIP != "None" || !service.Spec.PublishNotReadyAddresses || set.Spec.PodManagementPolicy != appsv1.ParallelPodManagement {
				t.Errorf("%s: %s: got Service %+v", label, name, service.Spec)
			}
			chooses("Service "+name, name, service.Spec.Selector)
		}
		for name, pod := range pods {
			checkScalablePod(t, label+" "+name, pod.Spec)
		}
	}
}

// checkScalablePod checks what the pod security standard "restricted" demands, and that no
// secret is anywhere.
func checkScalablePod(t *testing.T, label string, pod corev1.PodSpec) {
	t.Helper()
	if *pod.AutomountServiceAccountToken || *pod.EnableServiceLinks || !*pod.SecurityContext.RunAsNonRoot || *pod.SecurityContext.RunAsUser == 0 || pod.SecurityContext.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault ||
		pod.HostNetwork || pod.HostPID || pod.HostIPC {
		t.Errorf("%s: the pod may more than it needs: %+v", label, pod)
	}
	if len(pod.TopologySpreadConstraints) != 1 || pod.Affinity.PodAntiAffinity == nil {
		t.Errorf("%s: its pods may be all on one machine", label)
	}
	for _, v := range pod.Volumes {
		if v.EmptyDir == nil && v.ConfigMap == nil || v.EmptyDir != nil && v.EmptyDir.Medium != corev1.StorageMediumMemory && v.Name != "new" {
			t.Errorf("%s: volume %s: got %+v", label, v.Name, v.VolumeSource)
		}
	}
	for _, c := range append(slices.Clone(pod.InitContainers), pod.Containers...) {
		s := c.SecurityContext
		if s.Privileged != nil || *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || len(s.Capabilities.Add) > 0 || s.Capabilities.Drop[0] != "ALL" || len(c.EnvFrom) > 0 {
			t.Errorf("%s: container %s may more than it needs: %+v", label, c.Name, s)
		}
		if c.LivenessProbe != nil {
			t.Errorf("%s: container %s is ended by a probe: a primary that waits must not be", label, c.Name)
		}
		names := map[string]bool{}
		for _, e := range c.Env {
			if names[e.Name] || e.ValueFrom != nil && e.ValueFrom.FieldRef == nil {
				t.Errorf("%s: container %s: %s twice or from elsewhere: %+v", label, c.Name, e.Name, e)
			}
			names[e.Name] = true
		}
		enclaves := 0
		for resource, count := range c.Resources.Limits {
			if strings.HasSuffix(string(resource), "/enclave") {
				enclaves += int(count.Value())
			}
		}
		if names["SCONE_CONFIG_ID"] != (enclaves == 1) || names["SCONE_CONFIG_ID"] == (c.Name == "haproxy") {
			t.Errorf("%s: container %s: got %d enclaves, and variables %v", label, c.Name, enclaves, names)
		}
		for _, m := range c.VolumeMounts {
			if !slices.ContainsFunc(pod.Volumes, func(v corev1.Volume) bool { return v.Name == m.Name }) && m.Name != "data" {
				t.Errorf("%s: container %s mounts %s, which is not there", label, c.Name, m.Name)
			}
		}
	}
}

// flow is a connection that a policy lets in.
type flow struct {
	from, to string
	port     int32
}

// Whoever needs it reaches a tier, and nobody else in the release.
func TestScalableNetworkPolicies(t *testing.T) {
	values := valuesOf(t, scalableRequired)
	o := read(t, renderScalable(t, values))
	pods := map[string]map[string]string{"client": {"app.kubernetes.io/managed-by": "confidb"}, "stranger": {"app": "x"}, "another release": {"app.kubernetes.io/name": "mariadb", "app.kubernetes.io/instance": "db2", "app.kubernetes.io/component": "maxscale"}}
	for name, pod := range o.pods() {
		pods[name] = pod.Labels
	}
	matches := func(peers []networkingv1.NetworkPolicyPeer, labels map[string]string) bool {
		return len(peers) == 0 || slices.ContainsFunc(peers, func(p networkingv1.NetworkPolicyPeer) bool {
			for key, value := range p.PodSelector.MatchLabels {
				if labels[key] != value {
					return false
				}
			}
			return len(p.PodSelector.MatchLabels) > 0 && p.NamespaceSelector == nil && p.IPBlock == nil
		})
	}
	has := func(ports []networkingv1.NetworkPolicyPort, want int32) bool {
		return slices.ContainsFunc(ports, func(p networkingv1.NetworkPolicyPort) bool {
			return p.Port.IntVal == want && *p.Protocol == corev1.ProtocolTCP
		})
	}
	allowed := func(f flow) bool {
		in, out := false, true
		for _, rule := range o.policies[f.to].Spec.Ingress {
			in = in || matches(rule.From, pods[f.from]) && has(rule.Ports, f.port)
		}
		if policy, fenced := o.policies[f.from]; fenced {
			out = false
			for _, rule := range policy.Spec.Egress {
				out = out || matches(rule.To, pods[f.to]) && has(rule.Ports, f.port)
			}
		}
		return in && out
	}
	const db, mxs, hap = "db1-mariadb", "db1-maxscale", "db1-haproxy"
	both := []flow{{mxs, db, 3306}, {"client", db, 3306}, {hap, mxs, 4006}, {"client", mxs, 4006}, {"client", hap, 3306}, {"stranger", hap, 3306}, {"another release", hap, 3306}}
	for architecture, want := range map[string][]flow{
		"replicated": append(both, flow{db, db, 3306}, flow{mxs, db, 3307}, flow{db, db, 3307}, flow{"client", mxs, 8990}, flow{db, mxs, 8990}),
		"sharded":    both, // no database reaches another one
	} {
		o = read(t, renderScalable(t, with(t, "architecture", architecture)))
		for from := range pods {
			for _, to := range []string{db, mxs, hap} {
				for _, port := range []int32{3306, 3307, 4006, 8989, 8990, 22} {
					if got := allowed(flow{from, to, port}); got != slices.Contains(want, flow{from, to, port}) {
						t.Errorf("%s: from %s to %s port %d: got %v", architecture, from, to, port, got)
					}
				}
			}
		}
	}
	o = read(t, renderScalable(t, valuesOf(t, strings.Replace(scalableEverything, "enabled: false", "enabled: true", 1))))
	for _, port := range []int32{443, 28765, 28766} {
		for _, tier := range []string{db, mxs} {
			if !slices.ContainsFunc(o.policies[tier].Spec.Egress, func(r networkingv1.NetworkPolicyEgressRule) bool { return len(r.To) == 0 && has(r.Ports, port) }) {
				t.Errorf("%s does not reach port %d, at which CAS or LAS is", tier, port)
			}
		}
	}
	values["networkPolicy"] = map[string]any{"enabled": false}
	if o := read(t, renderScalable(t, values)); len(o.policies) != 0 {
		t.Error("there are policies although they are switched off")
	}
}

// What HAProxy is told is taken by the real one, where it is installed, and passes
// connections on.
func TestScalableHAProxy(t *testing.T) {
	for label, text := range map[string]string{"required": scalableRequired, "everything": scalableEverything} {
		configuration := read(t, renderScalable(t, valuesOf(t, text))).configs["db1-haproxy"].Data["haproxy.cfg"]
		if found := haproxy.Judge(configuration, func(host string) bool {
			return strings.HasPrefix(host, "db1-maxscale-") && strings.Contains(host, ".db1-maxscale.shop.svc.")
		}); len(found) > 0 {
			t.Errorf("%s: it does more than to pass on: %+v", label, found)
		}
		program, err := exec.LookPath("haproxy")
		if err != nil {
			program = "/usr/sbin/haproxy"
		}
		if _, err := os.Stat(program); err != nil {
			t.Logf("haproxy is not installed: its configuration (%s) was not given to it", label)
			continue
		}
		path := filepath.Join(t.TempDir(), "haproxy.cfg")
		if err := os.WriteFile(path, []byte(configuration), 0o600); err != nil {
			t.Fatal(err)
		}
		output, err := exec.CommandContext(t.Context(), program, "-c", "-f", path).CombinedOutput()
		if err != nil || strings.Contains(string(output), "WARNING") {
			t.Errorf("%s: haproxy -c: %v: %s in\n%s", label, err, output, configuration)
		}
	}
}

func TestScalableRefusals(t *testing.T) {
	for _, c := range []struct {
		path  string
		value any
		says  string
	}{
		{"image", "", "image: name the image"},
		{"maxscale.image", "", "maxscale.image: name the image"},
		{"haproxy.image", "", "haproxy.image: name the image"},
		{"scone.attestation.config_id", "", "name the session of the databases"},
		{"scone.attestation.config_id", "db1-00/db@otp", "config_id"},
		{"scone.attestation.config_id", "db1-00/$(X)", "config_id"},
		{"maxscale.scone.attestation.config_id", "", "name the session of MaxScale"},
		{"maxscale.scone.attestation.enabled", false, "enabled"},
		{"scone.attestation.cas", "", "name the CAS"},
		{"scone.env.SCONE_MODE", "sim", "SCONE_MODE"},
		{"scone.env.LD_PRELOAD", "x", "LD_PRELOAD"},
		{"architecture", "single", "architecture"},
		{"replicas", 1, "want 3 or 4"},
		{"replicas", 2, "want 3 or 4"},
		{"replicas", 5, "replicas"},
		{"maxscale.replicas", 0, "replicas"},
		{"maxscale.replicas", 5, "replicas"},
		{"haproxy.replicas", 0, "replicas"},
		{"haproxy.runAsUser", 0, "runAsUser"},
		{"haproxy.idleTimeout", "8h\n  mode http", "idleTimeout"},
		{"clusterDomain", "x ssl", "clusterDomain"},
		{"haproxy.env", "x", "env"},
		{"runAsUser", 0, "runAsUser"},
		{"service.type", "ExternalName", "type"},
		{"persistence.enabled", false, "enabled"},
		{"startTimeout", 1, "startTimeout"},
		{"updateStrategy", "x", "updateStrategy"},
		{"antiAffinity", "none", "antiAffinity"},
	} {
		if out, err := renderOf(t, "replicated", "db1", with(t, c.path, c.value)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s=%v: got %v and %d bytes, want an error that says %q", c.path, c.value, err, len(out), c.says)
		}
	}
	sharded := with(t, "architecture", "sharded")
	sharded["replicas"] = 1
	if _, err := renderOf(t, "replicated", "db1", sharded); err != nil {
		t.Errorf("one shard: %v", err)
	}
	for length, wrong := range map[int]bool{43: false, 44: true} {
		if _, err := renderOf(t, "replicated", strings.Repeat("a", length), valuesOf(t, scalableRequired)); (err != nil) != wrong {
			t.Errorf("a name of %d: got %v", length, err)
		}
	}
}

func TestScalableLint(t *testing.T) {
	folder := t.TempDir()
	if err := os.CopyFS(folder, charts.Scalable()); err != nil {
		t.Fatal(err)
	}
	for label, text := range map[string]string{"no values": "{}", "required": scalableRequired, "everything": scalableEverything} {
		lint := action.NewLint()
		lint.Strict = true
		result := lint.Run([]string{folder}, valuesOf(t, text))
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

// Each architecture has a chart, and no other name has one.
func TestFor(t *testing.T) {
	for architecture, name := range map[string]string{"": "name: mariadb\n", "single": "name: mariadb\n", "replicated": "name: mariadb-scalable\n", "sharded": "name: mariadb-scalable\n"} {
		chart, err := charts.For(architecture)
		if err != nil {
			t.Fatal(err)
		}
		if err := fstest.TestFS(chart, "Chart.yaml", "values.schema.json", "templates/_enclave.tpl", "templates/_names.tpl", "files/ready.sh"); err != nil {
			t.Error(err)
		}
		if text, err := fs.ReadFile(chart, "Chart.yaml"); err != nil || !strings.Contains(string(text), name) {
			t.Errorf("%s: got %s, %v", architecture, text, err)
		}
	}
	for _, wrong := range []string{"Replicated", "galera", "../mariadb"} {
		if _, err := charts.For(wrong); err == nil {
			t.Errorf("there is a chart of %q", wrong)
		}
	}
}

// Kubernetes replaces $(NAME) and $$ in commands.
func TestScalableScriptsAreNoKubernetesExpressions(t *testing.T) {
	for _, name := range []string{"files/make.sh", "files/join.sh", "files/member.sh"} {
		script, err := fs.ReadFile(charts.Scalable(), name)
		if err != nil {
			t.Fatal(err)
		}
		for _, expression := range []string{"$$", "$("} {
			if strings.Contains(string(script), expression) {
				t.Errorf("%s has %s, which Kubernetes reads as its own", name, expression)
			}
		}
	}
}

// The chart says nothing that Kubernetes 1.25 does not know, or drops: what was installed
// would not be what exists.
func TestScalableOfOldKubernetes(t *testing.T) {
	for _, text := range []string{scalableRequired, strings.Replace(scalableEverything, "enabled: false", "enabled: true", 1)} {
		manifests := string(renderScalable(t, valuesOf(t, text)))
		for _, young := range []string{"persistentVolumeClaimRetentionPolicy", "ordinals:", "restartPolicy:", "matchLabelKeys", "unhealthyPodEvictionPolicy", "preStop:\n              sleep", "trafficDistribution", "pod-index", "appArmorProfile", "supplementalGroupsPolicy", "hostUsers"} {
			if strings.Contains(manifests, young) {
				t.Errorf("it has %s, which is younger", young)
			}
		}
	}
}
