package manifest

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"

	"github.com/confidb/confidb/pkg/check"
)

// Difference is one place in which what exists is not what was installed.
type Difference struct {
	// Path is the place, such as spec.containers[mariadb].image.
	Path string
	// Got and Want are values in JSON; an empty one is not there.
	Got, Want string
}

// String says what was found and what was wanted.
func (d Difference) String() string {
	switch {
	case d.Want == "":
		return fmt.Sprintf("%s was added: %s", d.Path, d.Got)
	case d.Got == "":
		return fmt.Sprintf("%s was removed: %s", d.Path, d.Want)
	}
	return fmt.Sprintf("%s: got %s, want %s", d.Path, d.Got, d.Want)
}

// maxShown bounds what a difference shows of a value, in bytes.
const maxShown = 200

// shown is a value as JSON, shortened, without what variables and arguments may hold in
// secret.
func shown(value any) string {
	text, err := json.Marshal(concealed(value))
	if err != nil {
		return "?"
	}
	if len(text) > maxShown {
		text = append([]byte(strings.ToValidUTF8(string(text[:maxShown]), "")), "…"...)
	}
	return check.WithoutSecrets(string(text))
}

// open reports whether the value of a variable is no secret: it says under what a program
// runs.
func open(variable string) bool {
	return strings.Contains(variable, "SCONE_") && variable != "SCONE_SERVICE_ACCESS_TOKEN" || loaderVariable(variable)
}

// concealed takes the values of variables out of a part of an object.
func concealed(value any) any {
	switch v := value.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, member := range v {
			out[name] = concealed(member)
		}
		if name, isName := v["name"].(string); isName && v["value"] != nil && !open(name) {
			out["value"] = hidden
		}
		return out
	case []any:
		var out []any
		for _, item := range v {
			out = append(out, concealed(item))
		}
		return out
	}
	return value
}

// hidden stands for the value of a variable.
const hidden = "(not shown)"

// place is where a comparison is: as it is shown, and as it is looked up in the table
// of what a cluster adds.
type place struct{ path, pattern string }

func (p place) member(name string) place {
	join := func(a string) string { return strings.TrimPrefix(a+"."+name, ".") }
	return place{join(p.path), join(p.pattern)}
}

func (p place) item(key string) place {
	return place{fmt.Sprintf("%s[%.100s]", p.path, key), p.pattern + "[]"}
}

// comparison gathers differences. Whatever is not equal is one, unless the table says
// that clusters add it.
type comparison struct {
	additions map[string]func(any) bool
	found     []Difference
}

func (c *comparison) different(at place, want, got any) {
	d := Difference{Path: at.path}
	if variable, of := strings.CutSuffix(at.path, "].value"); of && strings.HasSuffix(at.pattern, "env[].value") && !open(variable[strings.LastIndexByte(variable, '[')+1:]) {
		want, got = conceal(want, hidden), conceal(got, "another, "+hidden)
	}
	if want != nil {
		d.Want = shown(want)
	}
	if got != nil {
		d.Got = shown(got)
	}
	c.found = append(c.found, d)
}

// conceal puts words in the place of a value; nothing stays nothing.
func conceal(value any, words string) any {
	if value == nil {
		return nil
	}
	return words
}

// compare goes through two values.
func (c *comparison) compare(at place, want, got any) {
	switch w := want.(type) {
	case map[string]any:
		if g, ok := got.(map[string]any); ok {
			c.members(at, w, g)
			return
		}
	case []any:
		if g, ok := got.([]any); ok {
			c.items(at, w, g)
			return
		}
	}
	switch {
	case reflect.DeepEqual(want, got):
	case empty(want) && empty(got):
	case c.mayChange(at, want, got):
	default:
		c.different(at, want, got)
	}
}

// empty reports whether a value says nothing. The API's types leave out the zero of what
// cannot be unset; where false or 0 is written, it may differ from nothing at all, as in
// automountServiceAccountToken and runAsUser.
func empty(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case map[string]any:
		return len(v) == 0
	case []any:
		return len(v) == 0
	}
	return false
}

// mayChange are values that a cluster adds, or replaces by its own.
func (c *comparison) mayChange(at place, want, got any) bool {
	if want == nil {
		added := c.additions[at.pattern]
		for i := 0; i < len(at.pattern) && added == nil; i++ {
			if at.pattern[i] == '.' { // a member of what clusters add members to
				added = c.additions[at.pattern[:i]+".*"]
			}
		}
		return added != nil && added(got)
	}
	return slices.ContainsFunc([]string{"containers[].imagePullPolicy", ".requests.cpu", ".requests.memory", ".limits.cpu", ".limits.memory"}, func(suffix string) bool {
		return strings.HasSuffix(at.pattern, suffix) && got != nil
	}) || strings.HasSuffix(at.pattern, "initContainers[].imagePullPolicy") && got != nil
}

func (c *comparison) members(at place, want, got map[string]any) {
	all := map[string]bool{}
	for name := range want {
		all[name] = true
	}
	for name := range got {
		all[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		c.compare(at.member(name), want[name], got[name])
	}
}

// keys are the members by which the items of a list are known, by the list's name.
func keys() map[string][]string {
	return map[string][]string{
		"containers": {"name"}, "initContainers": {"name"}, "ephemeralContainers": {"name"}, "volumes": {"name"}, "imagePullSecrets": {"name"}, "env": {"name"},
		"volumeMounts": {"mountPath"}, "volumeDevices": {"devicePath"}, "ports": {"containerPort", "port", "protocol"},
		"tolerations": {"key", "operator", "value", "effect", "tolerationSeconds"},
	}
}

// keyed are the items of a list by their keys, in order; ok is false if they have none,
// or two have the same.
func keyed(at place, items []any) (order []string, byKey map[string]any, ok bool) {
	members := keys()[at.pattern[strings.LastIndexByte(at.pattern, '.')+1:]]
	byKey = map[string]any{}
	for _, item := range items {
		fields, isMap := item.(map[string]any)
		var parts []string
		for _, m := range members {
			if v, has := fields[m]; has {
				parts = append(parts, fmt.Sprint(v))
			} else if m == "protocol" {
				parts = append(parts, "TCP")
			}
		}
		key := strings.Join(parts, "/")
		if _, twice := byKey[key]; !isMap || twice || key == "" {
			return nil, nil, false
		}
		order, byKey[key] = append(order, key), item
	}
	return order, byKey, true
}

func (c *comparison) items(at place, want, got []any) {
	wantOrder, wanted, ok := keyed(at, want)
	gotOrder, gotten, alsoOK := keyed(at, got)
	if !ok || !alsoOK {
		c.byIndex(at, want, got)
		return
	}
	for _, key := range wantOrder {
		c.compare(at.item(key), wanted[key], gotten[key])
	}
	for _, key := range gotOrder {
		if _, promised := wanted[key]; !promised {
			c.compare(at.item(key), nil, gotten[key])
		}
	}
	if !strings.HasSuffix(at.pattern, "initContainers") && !strings.HasSuffix(at.pattern, "env") {
		return // the others mean the same in any order
	}
	common := slices.DeleteFunc(slices.Clone(gotOrder), func(key string) bool { _, promised := wanted[key]; return !promised })
	if len(common) == len(wantOrder) && !slices.Equal(common, wantOrder) {
		c.different(at, wantOrder, common)
	}
}

func (c *comparison) byIndex(at place, want, got []any) {
	for i := range max(len(want), len(got)) {
		var w, g any
		if i < len(want) {
			w = want[i]
		}
		if i < len(got) {
			g = got[i]
		}
		c.compare(at.item(fmt.Sprint(i)), w, g)
	}
}

// ---- what a cluster adds

func anything(any) bool { return true }

func is(want any) func(any) bool {
	return func(got any) bool { return reflect.DeepEqual(want, got) }
}

// tokenVolume begins the name of the volume with the pod's own token, which
// Kubernetes adds (ServiceAccount admission).
const tokenVolume = "kube-api-access-"

// isTokenVolume accepts the volume that Kubernetes adds, and no other content under
// its name.
func isTokenVolume(got any) bool {
	volume, _ := got.(map[string]any)
	name, _ := volume["name"].(string)
	projected, _ := volume["projected"].(map[string]any)
	sources, _ := projected["sources"].([]any)
	if !strings.HasPrefix(name, tokenVolume) || len(volume) != 2 || len(sources) == 0 {
		return false
	}
	return !slices.ContainsFunc(sources, func(source any) bool {
		fields, _ := source.(map[string]any)
		from, _ := fields["configMap"].(map[string]any)
		return fields["serviceAccountToken"] == nil && fields["downwardAPI"] == nil && from["name"] != "kube-root-ca.crt"
	})
}

func isTokenMount(got any) bool {
	mount, _ := got.(map[string]any)
	name, _ := mount["name"].(string)
	return strings.HasPrefix(name, tokenVolume) && mount["mountPath"] == "/var/run/secrets/kubernetes.io/serviceaccount"
}

// podAdditions are what clusters add to the specification of a pod.
func podAdditions() map[string]func(any) bool {
	all := map[string]func(any) bool{
		"nodeName": anything, "schedulerName": is("default-scheduler"), "dnsPolicy": is("ClusterFirst"), "restartPolicy": is("Always"), "terminationGracePeriodSeconds": is(30.0),
		"serviceAccountName": is("default"), "hostname": anything, "subdomain": anything, "enableServiceLinks": is(true), "preemptionPolicy": anything, "priority": anything,
		"priorityClassName": anything, "tolerations": anything, "tolerations[]": anything, "nodeSelector": anything, "nodeSelector.*": anything, "overhead": anything, "affinity": anything, "topologySpreadConstraints": anything,
		"imagePullSecrets": anything, "imagePullSecrets[]": anything, "readinessGates": anything, "volumes[]": isTokenVolume, "volumes": onlyItems(isTokenVolume),
		"volumes[].configMap.defaultMode": is(420.0), "volumes[].secret.defaultMode": is(420.0), "volumes[].projected.defaultMode": is(420.0), "volumes[].downwardAPI.defaultMode": is(420.0),
		"volumes[].hostPath.type": is(""), "volumes[].downwardAPI.items[].resourceFieldRef.divisor": is("0"), "volumes[].projected.sources[].downwardAPI.items[].resourceFieldRef.divisor": is("0"),
		"volumes[].downwardAPI.items[].fieldRef.apiVersion": is("v1"), "volumes[].projected.sources[].downwardAPI.items[].fieldRef.apiVersion": is("v1"),
		"volumes[].projected.sources[].serviceAccountToken.expirationSeconds": is(3600.0), "volumes[].ephemeral.volumeClaimTemplate.spec.volumeMode": is("Filesystem"),
	}
	for _, list := range []string{"containers", "initContainers"} {
		for name, accept := range containerAdditions() {
			all[list+"[]."+name] = accept
		}
	}
	return all
}

// onlyItems accepts a list whose items are all accepted.
func onlyItems(item func(any) bool) func(any) bool {
	return func(got any) bool {
		items, ok := got.([]any)
		return ok && !slices.ContainsFunc(items, func(one any) bool { return !item(one) })
	}
}

func containerAdditions() map[string]func(any) bool {
	all := map[string]func(any) bool{
		"terminationMessagePath": is("/dev/termination-log"), "terminationMessagePolicy": is("File"), "imagePullPolicy": anything,
		"resources": anything, "resources.requests": anything, "resources.limits": anything, "ports[].protocol": is("TCP"),
		"env[].valueFrom.fieldRef.apiVersion": is("v1"), "env[].valueFrom.resourceFieldRef.divisor": is("0"), "volumeMounts[]": isTokenMount, "volumeMounts": onlyItems(isTokenMount),
	}
	for _, resource := range []string{"cpu", "memory", "ephemeral-storage"} {
		all["resources.limits."+resource] = anything
	}
	for _, name := range append(resourceNames(), "sgx.intel.com/provision") { // the webhook of Intel's device plugin adds the device to memory of enclaves
		all["resources.limits."+name] = anything
	}
	all["resources.requests.*"] = anything // a request follows its limit, and only says where a pod fits
	for _, probe := range []string{"livenessProbe", "readinessProbe", "startupProbe"} {
		for name, value := range map[string]any{"timeoutSeconds": 1.0, "periodSeconds": 10.0, "successThreshold": 1.0, "failureThreshold": 3.0, "httpGet.scheme": "HTTP", "httpGet.path": "/", "grpc.service": ""} {
			all[probe+"."+name] = is(value)
		}
	}
	for _, hook := range []string{"postStart", "preStop"} {
		all["lifecycle."+hook+".httpGet.scheme"], all["lifecycle."+hook+".httpGet.path"] = is("HTTP"), is("/")
	}
	return all
}

// objectAdditions are what clusters add to an object of a kind.
func objectAdditions(kind string) map[string]func(any) bool {
	all := map[string]func(any) bool{}
	within := func(prefix string, more map[string]func(any) bool) {
		for name, accept := range more {
			all[prefix+name] = accept
		}
	}
	switch kind {
	case kindService:
		within("spec.", map[string]func(any) bool{
			"clusterIP": anything, "clusterIPs": anything, "ipFamilies": anything, "ipFamilyPolicy": anything, "internalTrafficPolicy": is("Cluster"), "externalTrafficPolicy": is("Cluster"),
			"sessionAffinity": is("None"), "sessionAffinityConfig": is(map[string]any{"clientIP": map[string]any{"timeoutSeconds": 10800.0}}), "type": is("ClusterIP"), "ports[].protocol": is("TCP"), "ports[].nodePort": anything, "allocateLoadBalancerNodePorts": is(true), "loadBalancerClass": anything, "healthCheckNodePort": anything,
		})
		return all
	case kindPod:
		within("spec.", podAdditions())
		return all
	case kindNetworkPolicy:
		within("spec.", map[string]func(any) bool{"ingress[].ports[].protocol": is("TCP"), "egress[].ports[].protocol": is("TCP")})
		return all
	case kindBudget:
		return all
	}
	if kind == kindCronJob {
		within("spec.jobTemplate.spec.template.spec.", podAdditions())
		within("spec.", map[string]func(any) bool{"suspend": is(false), "concurrencyPolicy": is("Allow"), "successfulJobsHistoryLimit": is(3.0), "failedJobsHistoryLimit": is(1.0)})
		return all
	}
	within("spec.template.spec.", podAdditions())
	within("spec.", map[string]func(any) bool{
		"revisionHistoryLimit": anything, "progressDeadlineSeconds": anything, "podManagementPolicy": is("OrderedReady"),
		"updateStrategy": anything, "updateStrategy.rollingUpdate": anything, "updateStrategy.type": anything, "updateStrategy.rollingUpdate.*": anything, "strategy.rollingUpdate.*": anything, "strategy": anything, "strategy.rollingUpdate": anything, "strategy.type": anything,
		"persistentVolumeClaimRetentionPolicy": is(map[string]any{"whenDeleted": "Retain", "whenScaled": "Retain"}),
		"volumeClaimTemplates[].kind":          anything, "volumeClaimTemplates[].apiVersion": anything, "volumeClaimTemplates[].status": anything, "volumeClaimTemplates[].spec.volumeMode": is("Filesystem"),
		"volumeClaimTemplates[].spec.storageClassName": anything,
	})
	return all
}

// tree is a value as encoding/json reads what the API's types write, so that
// quantities, numbers and what is left out are alike on both sides.
func tree(value any) (out map[string]any) {
	text, err := json.Marshal(value)
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil {
		return nil
	}
	return out
}

// podTree is the specification of a pod without names for the same thing.
func podTree(spec corev1.PodSpec) map[string]any {
	spec.DeprecatedServiceAccount = ""
	if spec.HostNetwork {
		spec = *spec.DeepCopy()
		hostPorts(&spec)
	}
	return tree(spec)
}

// hostPorts writes what is meant by ports in the node's network.
func hostPorts(spec *corev1.PodSpec) {
	for _, containers := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for _, c := range containers {
			for i := range c.Ports {
				if spec.HostNetwork && c.Ports[i].HostPort == 0 {
					c.Ports[i].HostPort = c.Ports[i].ContainerPort
				}
			}
		}
	}
}

// comparePod says where the specification of a pod is not that of a template. Tolerable
// are the additions that clusters make: the scheduler's, defaults, the pod's token.
func comparePod(want, got corev1.PodSpec) []Difference {
	c := &comparison{additions: podAdditions()}
	c.compare(place{}, podTree(want), podTree(got))
	return c.found
}

// Compare says where a live object is not as it was installed. Both must be of the
// same kind: one of those that are watched.
func Compare(installed Object, live json.RawMessage) ([]Difference, error) {
	var content map[string]any
	if err := json.Unmarshal(live, &content); err != nil {
		return nil, fmt.Errorf("reading %s as it exists: %w", installed, err)
	}
	want, err := installed.normal()
	if err != nil {
		return nil, err
	}
	got, err := Object{APIVersion: installed.APIVersion, Kind: installed.Kind, Name: installed.Name, Content: content}.normal()
	if err != nil {
		return nil, err
	}
	c := &comparison{additions: objectAdditions(installed.GroupKind())}
	c.labels(place{"metadata", "metadata"}, want, got)
	c.compare(place{"spec", "spec"}, want["spec"], got["spec"])
	for _, member := range []string{"data", "binaryData"} { // of a ConfigMap
		c.texts(place{member, member}, want[member], got[member])
	}
	return c.found, nil
}

// texts compares what a ConfigMap holds, and shows nothing of it.
func (c *comparison) texts(at place, want, got any) {
	w, _ := want.(map[string]any)
	g, _ := got.(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(w)) {
		if !reflect.DeepEqual(w[name], g[name]) {
			c.different(at.member(check.Said(name)), conceal(w[name], hidden), conceal(g[name], "another, "+hidden))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(g)) {
		if _, promised := w[name]; !promised {
			c.different(at.member(check.Said(name)), nil, conceal(g[name], hidden))
		}
	}
}

// labels compares the labels of an object with those that were installed; clusters and
// tools add others.
func (c *comparison) labels(at place, want, got map[string]any) {
	member := func(of map[string]any) map[string]any {
		metadata, _ := of["metadata"].(map[string]any)
		labels, _ := metadata["labels"].(map[string]any)
		return labels
	}
	w, g := member(want), member(got)
	for _, name := range slices.Sorted(maps.Keys(w)) {
		c.compare(at.member("labels").member(name), w[name], g[name])
	}
}

// normal is the object as the API's types write it, without what its cluster keeps
// about it.
func (o Object) normal() (map[string]any, error) {
	switch o.GroupKind() {
	case kindStatefulSet:
		return normal(o, func(s *appsv1.StatefulSet) {
			once(&s.Spec.Replicas)
			clean(&s.Spec.Template)
			for i := range s.Spec.VolumeClaimTemplates {
				claim := &s.Spec.VolumeClaimTemplates[i]
				claim.ObjectMeta.CreationTimestamp, claim.Status = noTime(), corev1.PersistentVolumeClaimStatus{}
			}
		})
	case kindDeployment, kindReplicaSet:
		return normal(o, func(d *appsv1.Deployment) { once(&d.Spec.Replicas); clean(&d.Spec.Template) })
	case kindDaemonSet:
		return normal(o, func(d *appsv1.DaemonSet) { clean(&d.Spec.Template) })
	case kindController:
		return normal(o, func(c *corev1.ReplicationController) {
			once(&c.Spec.Replicas)
			if c.Spec.Template != nil {
				clean(c.Spec.Template)
			}
		})
	case kindCronJob:
		return normal(o, func(c *batchv1.CronJob) { clean(&c.Spec.JobTemplate.Spec.Template) })
	case kindService:
		return normal(o, func(s *corev1.Service) {
			for i := range s.Spec.Ports {
				p := &s.Spec.Ports[i]
				if p.TargetPort.IntVal == 0 && p.TargetPort.StrVal == "" {
					p.TargetPort.IntVal = p.Port
				}
				if p.Protocol == "" {
					p.Protocol = corev1.ProtocolTCP
				}
			}
		})
	}
	switch o.GroupKind() {
	case kindNetworkPolicy:
		return normal(o, func(p *networkingv1.NetworkPolicy) { p.Spec.PolicyTypes = policyTypes(p.Spec) })
	case kindBudget:
		return normal(o, func(*policyv1.PodDisruptionBudget) {})
	case kindConfigMap:
		return normal(o, func(*corev1.ConfigMap) {})
	}
	return nil, fmt.Errorf("%s: objects of this kind are not compared", o)
}

// policyTypes are those that an API server writes where none are: inward, and outward if a
// rule says so.
func policyTypes(spec networkingv1.NetworkPolicySpec) []networkingv1.PolicyType {
	switch {
	case len(spec.PolicyTypes) > 0:
		return spec.PolicyTypes
	case len(spec.Egress) > 0:
		return []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}
	}
	return []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
}

func normal[T any](o Object, change func(*T)) (map[string]any, error) {
	value, err := typed[T](o)
	if err != nil {
		return nil, err
	}
	change(value)
	return tree(value), nil
}

func once(replicas **int32) {
	if *replicas == nil {
		one := int32(1)
		*replicas = &one
	}
}

// clean takes away what is kept about a template and does not change what runs:
// annotations that no node reads, and further labels, which are compared apart.
func clean(t *corev1.PodTemplateSpec) {
	t.ObjectMeta.CreationTimestamp = noTime()
	maps.DeleteFunc(t.ObjectMeta.Annotations, func(name, _ string) bool { return !runtimeAnnotation(name) })
	t.Spec.DeprecatedServiceAccount = ""
	hostPorts(&t.Spec)
}
