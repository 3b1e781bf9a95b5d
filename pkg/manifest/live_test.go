package manifest_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/evidence"
	"github.com/confidb/confidb/pkg/manifest"
)

// What a cluster adds by itself is no false alarm.
func TestRunningAsInstalled(t *testing.T) {
	if found := running(t).problems(t); len(found) > 0 {
		t.Errorf("got %q", found)
	}
}

// harmless are further things that clusters, admission and operators of a cluster do.
func harmless() map[string]func(*live) {
	return map[string]func(*live){
		"a toleration":            func(l *live) { l.db().Spec.Tolerations = append(l.db().Spec.Tolerations, corev1.Toleration{Key: "x"}) },
		"a priority":              func(l *live) { l.db().Spec.PriorityClassName = "high" },
		"a limit of a LimitRange": func(l *live) { l.mariadb().Resources.Limits["cpu"] = resource.MustParse("2") },
		"requests by a scaler":    func(l *live) { l.mariadb().Resources.Requests["memory"] = resource.MustParse("512Mi") },
		"images always pulled":    func(l *live) { l.mariadb().ImagePullPolicy = corev1.PullAlways },
		"a pull secret": func(l *live) {
			l.db().Spec.ImagePullSecrets = append(l.db().Spec.ImagePullSecrets, corev1.LocalObjectReference{Name: "more"})
		},
		"a node selector": func(l *live) { l.db().Spec.NodeSelector = map[string]string{"pool": "sgx"} },
		"another node":    func(l *live) { l.db().Spec.NodeName = "node-2" },
		"a label":         func(l *live) { l.db().Labels["more"] = "x" },
		"a pod that has finished": func(l *live) {
			l.pods = append(l.pods, evidence.Pod{Name: "old", Labels: l.db().Labels, Finished: true})
		},
		"an old pod that ends": func(l *live) { old := *l.db(); old.Ending, old.Ready = true, false; l.pods = append(l.pods, old) },
		"not ready":            func(l *live) { l.db().Ready, l.ends[0].Ready = false, false },
		"a readiness gate": func(l *live) {
			l.db().Spec.ReadinessGates = []corev1.PodReadinessGate{{ConditionType: "target-health"}}
		},
		"a strange pod": func(l *live) { l.pods = append(l.pods, evidence.Pod{Name: "x", Spec: corev1.PodSpec{HostPID: true}}) },
		"a strange volume": func(l *live) {
			l.pods = append(l.pods, evidence.Pod{Name: "x", Spec: corev1.PodSpec{Volumes: []corev1.Volume{claim("data-other-0")}}})
		},
		"a Service with a note": func(l *live) {
			merge(l.objects["Service/db1-mariadb"], map[string]any{"metadata": map[string]any{"annotations": map[string]any{"a": "b"}}})
		},
		"two addresses": func(l *live) {
			l.db().Addresses = []string{"10.1.1.1", "fd00::1"}
			l.ends = append(l.ends, evidence.Endpoint{Addresses: []string{"fd00::1"}, Ports: []int32{3306}, Pod: "db1-mariadb-0", Ready: true})
		},
		"a client of the session": func(l *live) { l.pods = append(l.pods, l.client()) },
		"rollout restart": func(l *live) {
			l.set("StatefulSet/db1-mariadb", "now", "spec", "template", "metadata", "annotations", "kubectl.kubernetes.io/restartedAt")
		},
		"a node selector of a namespace beside the chart's": func(l *live) {
			l.installed(func(p *corev1.PodSpec) { p.NodeSelector = map[string]string{"own": "x"} })
			l.db().Spec.NodeSelector = map[string]string{"own": "x", "pool": "sgx"}
		},
		"what a runtime class costs": func(l *live) { l.db().Spec.Overhead = corev1.ResourceList{"memory": resource.MustParse("1Mi")} },
		"a device beside memory of enclaves": func(l *live) {
			l.mariadb().Resources.Limits["sgx.intel.com/epc"] = resource.MustParse("1Mi")
			l.mariadb().Resources.Limits["sgx.intel.com/provision"] = resource.MustParse("1")
		},
		"requests that follow limits": func(l *live) {
			l.installed(func(p *corev1.PodSpec) {
				p.Containers[0].Resources = corev1.ResourceRequirements{Requests: corev1.ResourceList{"cpu": resource.MustParse("1")}, Limits: corev1.ResourceList{"sgx.intel.com/enclave": resource.MustParse("1"), "hugepages-2Mi": resource.MustParse("4Mi")}}
			})
			l.mariadb().Resources.Limits = corev1.ResourceList{"sgx.intel.com/enclave": resource.MustParse("1"), "hugepages-2Mi": resource.MustParse("4Mi")}
			l.mariadb().Resources.Requests = corev1.ResourceList{"cpu": resource.MustParse("1"), "sgx.intel.com/enclave": resource.MustParse("1"), "hugepages-2Mi": resource.MustParse("4Mi")}
		},
		"a path of the node that the policy accepts": func(l *live) {
			l.promise.Deviations = []attest.Deviation{attest.HostPath}
			l.installed(func(p *corev1.PodSpec) {
				p.Volumes = append(p.Volumes, corev1.Volume{Name: "aesmd", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/var/run/aesmd"}}})
			})
			unset := corev1.HostPathUnset
			l.db().Spec.Volumes = append(l.db().Spec.Volumes, corev1.Volume{Name: "aesmd", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/var/run/aesmd", Type: &unset}}})
		},
		"the node's network that the policy accepts": func(l *live) {
			l.promise.Deviations = []attest.Deviation{attest.HostNamespaces}
			l.installed(func(p *corev1.PodSpec) { p.HostNetwork = true })
			l.db().Spec.HostNetwork, l.mariadb().Ports[0].HostPort = true, 3306
		},
		"a probe of gRPC": func(l *live) {
			l.installed(func(p *corev1.PodSpec) {
				p.Containers[0].LivenessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{GRPC: &corev1.GRPCAction{Port: 1}}}
			})
			none := ""
			l.mariadb().LivenessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{GRPC: &corev1.GRPCAction{Port: 1, Service: &none}}, TimeoutSeconds: 1, PeriodSeconds: 10, SuccessThreshold: 1, FailureThreshold: 3}
		},
		"one address for each client": func(l *live) {
			for _, o := range l.manifest {
				if o.Kind == "Service" {
					o.Content["spec"].(map[string]any)["sessionAffinity"] = "ClientIP"
				}
			}
			l.set("Service/db1-mariadb", "ClientIP", "spec", "sessionAffinity")
			l.set("Service/db1-mariadb", map[string]any{"clientIP": map[string]any{"timeoutSeconds": 10800.0}}, "spec", "sessionAffinityConfig")
		},
		"what a network plugin writes down": func(l *live) {
			l.db().Annotations = map[string]string{"k8s.v1.cni.cncf.io/network-status": "[]", "cni.projectcalico.org/podIP": "10.1.1.1/32", "kubernetes.io/psp": "x", "container.apparmor.security.beta.kubernetes.io/mariadb": "runtime/default"}
		},
		"a class of balancers": func(l *live) { l.set("Service/db1-mariadb", "service.k8s.aws/nlb", "spec", "loadBalancerClass") },
		"the way of an update": func(l *live) {
			l.set("StatefulSet/db1-mariadb", map[string]any{"type": "RollingUpdate", "rollingUpdate": map[string]any{"partition": 0.0}}, "spec", "updateStrategy")
			for _, o := range l.manifest {
				if o.Kind == "StatefulSet" {
					o.Content["spec"].(map[string]any)["updateStrategy"] = map[string]any{"type": "RollingUpdate", "rollingUpdate": map[string]any{"maxUnavailable": nil}}
				}
			}
		},
		"a longer history of sets": func(l *live) { l.set("StatefulSet/db1-mariadb", 3.0, "spec", "revisionHistoryLimit") },
	}
}

func claim(name string) corev1.Volume {
	return corev1.Volume{Name: "v", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name}}}
}

// client is a pod under the client session, as this program starts one.
func (l *live) client() evidence.Pod {
	c := corev1.Container{Name: "client", Image: "example/mariadb:1", Command: []string{"confidb-probe"}, Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{"sgx.intel.com/enclave": resource.MustParse("1")}}}
	for _, v := range [][2]string{{"SCONE_CONFIG_ID", l.promise.Client.Name + "/probe"}, {"SCONE_CAS_ADDR", "cas"}, {"SCONE_LAS_ADDR", "las"}, {"SCONE_MODE", "hw"}, {"SCONE_HEAP", "1G"}} {
		c.Env = append(c.Env, corev1.EnvVar{Name: v[0], Value: v[1]})
	}
	return evidence.Pod{Name: "confidb-probe-x", Owners: []string{"Job/confidb-probe"}, Spec: corev1.PodSpec{Containers: []corev1.Container{c}}}
}

// installed changes the pods of the StatefulSet as they were installed, and as it is now.
func (l *live) installed(change func(*corev1.PodSpec)) {
	for _, set := range []map[string]any{l.objects["StatefulSet/db1-mariadb"], l.stateful()} {
		template := set["spec"].(map[string]any)["template"].(map[string]any)
		var spec corev1.PodSpec
		text, err := json.Marshal(template["spec"])
		if err == nil {
			err = json.Unmarshal(text, &spec)
		}
		if change(&spec); err == nil {
			text, err = json.Marshal(spec)
		}
		var changed map[string]any
		if err == nil {
			err = json.Unmarshal(text, &changed)
		}
		if template["spec"] = changed; err != nil {
			panic(err)
		}
	}
}

// stateful is the StatefulSet of the record.
func (l *live) stateful() map[string]any {
	return l.manifest[slices.IndexFunc(l.manifest, func(o manifest.Object) bool { return o.Kind == "StatefulSet" })].Content
}

// set sets a member of a live object.
func (l *live) set(object string, value any, path ...string) {
	at := l.objects[object]
	for _, name := range path[:len(path)-1] {
		next, ok := at[name].(map[string]any)
		if !ok {
			next = map[string]any{}
			at[name] = next
		}
		at = next
	}
	at[path[len(path)-1]] = value
}

func TestHarmless(t *testing.T) {
	for name, change := range harmless() {
		t.Run(name, func(t *testing.T) {
			l := running(t)
			change(l)
			if found := l.problems(t); len(found) > 0 {
				t.Errorf("got %q", found)
			}
		})
	}
}

// planted are changes of a running release; want is in what is said.
func planted() map[string]struct {
	change func(*live)
	want   string
} {
	yes := true
	set, service := "StatefulSet/db1-mariadb", "Service/db1-mariadb"
	decoy := func(l *live) corev1.Container {
		return corev1.Container{Name: "decoy", Image: "evil", Env: []corev1.EnvVar{{Name: "SCONE_CONFIG_ID", Value: l.promise.Database.Name + "/db"}, {Name: "SCONE_CAS_ADDR", Value: "cas"}}}
	}
	pod := func(l *live, p evidence.Pod) { l.pods = append(l.pods, p) }
	type row = struct {
		change func(*live)
		want   string
	}
	all := map[string]row{
		// K1
		"an ephemeral container": {func(l *live) {
			l.db().Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debugger-x", Image: "busybox"}}}
		}, "ephemeral container"},
		// K2
		"a sidecar like an enclave": {func(l *live) { l.db().Spec.Containers = append(l.db().Spec.Containers, decoy(l)) }, "no SGX resource"},
		"the host's root": {func(l *live) {
			l.db().Spec.Volumes = append(l.db().Spec.Volumes, corev1.Volume{Name: "root", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}})
		}, "of the node"},
		"a shared process namespace": {func(l *live) { l.db().Spec.ShareProcessNamespace = &yes }, "shareProcessNamespace"},
		// K3
		"two pods, one Service": {func(l *live) {
			second := *l.db()
			second.Name, second.Addresses = "db1-mariadb-1", []string{"10.1.1.2"}
			pod(l, second)
			l.ends = append(l.ends, evidence.Endpoint{Addresses: []string{"10.1.1.2"}, Ports: []int32{3306}, Pod: "db1-mariadb-1", Ready: true})
		}, "each is a database of its own"},
		"a second pod, not ready": {func(l *live) {
			second := *l.db()
			second.Name, second.Ready = "db1-mariadb-1", false
			pod(l, second)
		}, "has 2 pods, want 1"},
		"another number": {func(l *live) {
			l.db().Name, l.ends[0].Pod, l.db().Spec.Volumes[0].PersistentVolumeClaim.ClaimName = "db1-mariadb-7", "db1-mariadb-7", "data-db1-mariadb-7"
		}, "makes 1 pods from number 0 on, and none of this name"},
		"a number written in another way": {func(l *live) { l.db().Name, l.ends[0].Pod = "db1-mariadb-00", "db1-mariadb-00" }, "no object of the release made it"},
		"another first number":            {func(l *live) { l.set(set, map[string]any{"start": 7.0}, "spec", "ordinals") }, "spec.ordinals was added"},
		"replicas":                        {func(l *live) { l.set(set, 2.0, "spec", "replicas") }, "spec.replicas: got 2, want 1"},
		// K4
		"a bare pod with the volume": {func(l *live) {
			pod(l, evidence.Pod{Name: "thief", Spec: corev1.PodSpec{Volumes: []corev1.Volume{claim("data-db1-mariadb-0")}}})
		}, "mounts the volume data-db1-mariadb-0"},
		"a bare pod with the labels": {func(l *live) { pod(l, evidence.Pod{Name: "thief", Labels: map[string]string{"app": "db1"}}) }, "carries the labels of Service"},
		"a bare pod with the session": {func(l *live) {
			pod(l, evidence.Pod{Name: "twin", Spec: corev1.PodSpec{Containers: []corev1.Container{decoy(l)}}})
		}, "runs under the database session"},
		"an ephemeral container with the session": {func(l *live) {
			pod(l, evidence.Pod{Name: "twin", Spec: corev1.PodSpec{EphemeralContainers: []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "e", Env: decoy(l).Env}}}}})
		}, "runs under the database session"},
		"a pod said to be of the set": {func(l *live) {
			pod(l, evidence.Pod{Name: "db1-mariadb-x", Owners: []string{"StatefulSet/db1-mariadb"}, Labels: map[string]string{"app": "db1"}})
		}, "no object of the release made it"},
		"a client with host paths": {func(l *live) {
			c := l.client()
			c.Spec.HostPID = true
			pod(l, c)
		}, "hostPID"},
		// K6
		"a device by an annotation": {func(l *live) { l.db().Annotations = map[string]string{"cdi.k8s.io/x": "vendor.com/device=all"} }, "annotation cdi.k8s.io/x"},
		"a mount by an annotation":  {func(l *live) { l.db().Annotations = map[string]string{"mounts.nri.containerd.io/pod": "- source: /"} }, "annotation mounts.nri"},
		"unconfined by an annotation": {func(l *live) {
			l.db().Annotations = map[string]string{"container.apparmor.security.beta.kubernetes.io/mariadb": "unconfined"}
		}, "annotation container.apparmor"},
		"a network by an annotation": {func(l *live) { l.db().Annotations = map[string]string{"k8s.v1.cni.cncf.io/networks": "evil"} }, "annotation k8s.v1.cni.cncf.io/networks"},
		"an annotation of a bare client": {func(l *live) {
			c := l.client()
			c.Annotations = map[string]string{"io.kubernetes.cri-o.Devices": "/dev/sda"}
			pod(l, c)
		}, "annotation io.kubernetes.cri-o.Devices"},
		"an annotation in the set": {func(l *live) {
			l.set(set, "x", "spec", "template", "metadata", "annotations", "cdi.k8s.io/x")
		}, "annotations"},
		"a sidecar in the set": {func(l *live) {
			containers := l.objects[set]["spec"].(map[string]any)["template"].(map[string]any)["spec"].(map[string]any)
			containers["containers"] = append(containers["containers"].([]any), map[string]any{"name": "decoy", "image": "evil"})
		}, "containers[decoy] was added"},
		// K7
		"another session": {func(l *live) { l.mariadb().Env[0].Value = "evil/db" }, `got "evil/db", want session`},
		"no StatefulSet":  {func(l *live) { delete(l.objects, set) }, "was removed"},
		"an injected proxy": {func(l *live) {
			l.db().Spec.Containers = append(l.db().Spec.Containers, corev1.Container{Name: "istio-proxy", Image: "proxy"})
		}, "Istio's proxy"},
		"an injected init": {func(l *live) {
			l.db().Spec.InitContainers = append(l.db().Spec.InitContainers, corev1.Container{Name: "vault-agent-init", Image: "vault"})
		}, "Vault's agent"},
		"an init container gone": {func(l *live) { l.db().Spec.InitContainers = nil }, "was removed"},
		"init containers turned": {func(l *live) {
			l.db().Spec.InitContainers = append([]corev1.Container{{Name: "first", Image: "evil"}}, l.db().Spec.InitContainers...)
		}, "initContainers[first]"},

		// Services and their ends
		"another selector":     {func(l *live) { l.set(service, map[string]any{"app": "evil"}, "spec", "selector") }, "spec.selector.app"},
		"no selector":          {func(l *live) { l.set(service, nil, "spec", "selector") }, "spec.selector"},
		"a wider type":         {func(l *live) { l.set(service, "LoadBalancer", "spec", "type") }, "spec.type"},
		"an external name":     {func(l *live) { l.set(service, "evil.example", "spec", "externalName") }, "externalName"},
		"external addresses":   {func(l *live) { l.set(service, []any{"1.2.3.4"}, "spec", "externalIPs") }, "externalIPs"},
		"a balancer's address": {func(l *live) { l.set(service, "1.2.3.4", "spec", "loadBalancerIP") }, "loadBalancerIP"},
		"headless":             {func(l *live) { l.set(service, true, "spec", "publishNotReadyAddresses") }, "publishNotReadyAddresses"},
		"another port": {func(l *live) {
			l.set(service, []any{map[string]any{"name": "mysql", "port": 3306.0, "targetPort": 3307.0}}, "spec", "ports")
		}, "targetPort"},
		"a further port": {func(l *live) {
			l.set(service, []any{map[string]any{"name": "mysql", "port": 3306.0, "targetPort": "mysql"}, map[string]any{"name": "x", "port": 22.0}}, "spec", "ports")
		}, "spec.ports[22"},
		"no Service": {func(l *live) { delete(l.objects, service) }, "was removed"},
		"an end elsewhere": {func(l *live) {
			l.ends = append(l.ends, evidence.Endpoint{Addresses: []string{"6.6.6.6"}, Ports: []int32{3306}})
		}, "is no pod"},
		"two ends of nobody": {func(l *live) {
			l.ends = []evidence.Endpoint{{Addresses: []string{"6.6.6.6"}, Ready: true}, {Addresses: []string{"6.6.6.7"}, Ready: true}}
		}, "2 ready pods are behind"},
		"an end of no address":  {func(l *live) { l.ends[0].Addresses = []string{"6.6.6.6"} }, "no address of pod"},
		"an end of another pod": {func(l *live) { l.ends[0].Pod = "other" }, "no object of the release made"},
		"an end at a port":      {func(l *live) { l.ends[0].Ports = []int32{3307} }, "at port 3307"},
		"an end unready":        {func(l *live) { l.ends = append(l.ends, evidence.Endpoint{Addresses: []string{"6.6.6.6"}, Pod: "gone"}) }, "is no pod"},

		// the pod
		"host network":   {func(l *live) { l.db().Spec.HostNetwork = true }, "hostNetwork"},
		"host processes": {func(l *live) { l.db().Spec.HostPID = true }, "hostPID"},
		"host IPC":       {func(l *live) { l.db().Spec.HostIPC = true }, "hostIPC"},
		"host aliases": {func(l *live) {
			l.db().Spec.HostAliases = []corev1.HostAlias{{IP: "6.6.6.6", Hostnames: []string{"cas"}}}
		}, "hostAliases"},
		"a DNS server":       {func(l *live) { l.db().Spec.DNSConfig = &corev1.PodDNSConfig{Nameservers: []string{"6.6.6.6"}} }, "dnsConfig"},
		"a DNS policy":       {func(l *live) { l.db().Spec.DNSPolicy = corev1.DNSNone }, "dnsPolicy"},
		"another runtime":    {func(l *live) { kata := "kata"; l.db().Spec.RuntimeClassName = &kata }, "runtimeClassName"},
		"a service account":  {func(l *live) { l.db().Spec.ServiceAccountName = "admin" }, "serviceAccountName"},
		"a scheduler":        {func(l *live) { l.db().Spec.SchedulerName = "evil" }, "schedulerName"},
		"root":               {func(l *live) { zero := int64(0); l.db().Spec.SecurityContext.RunAsUser = &zero }, "runAsUser"},
		"root allowed":       {func(l *live) { l.db().Spec.SecurityContext.RunAsNonRoot = nil }, "runAsNonRoot"},
		"sysctls":            {func(l *live) { l.db().Spec.SecurityContext.Sysctls = []corev1.Sysctl{{Name: "a", Value: "b"}} }, "sysctls"},
		"its token":          {func(l *live) { l.db().Spec.AutomountServiceAccountToken = &yes }, "automountServiceAccountToken"},
		"another claim":      {func(l *live) { l.db().Spec.Volumes[0].PersistentVolumeClaim.ClaimName = "data-evil-0" }, "claimName"},
		"memory on the disk": {func(l *live) { l.db().Spec.Volumes[1].EmptyDir.Medium = "" }, "medium"},
		"a Secret as volume": {func(l *live) {
			l.db().Spec.Volumes = append(l.db().Spec.Volumes, corev1.Volume{Name: "s", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "x"}}})
		}, "volumes[s]"},
		"a volume of NFS": {func(l *live) {
			l.db().Spec.Volumes = append(l.db().Spec.Volumes, corev1.Volume{Name: "n", VolumeSource: corev1.VolumeSource{NFS: &corev1.NFSVolumeSource{Server: "x"}}})
		}, "not judged"},
		"a token of another": {func(l *live) {
			l.db().Spec.Volumes[2].Projected.Sources[0] = corev1.VolumeProjection{Secret: &corev1.SecretProjection{}}
		}, "kube-api-access"},
		"a device of a claim": {func(l *live) { l.db().Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "gpu"}} }, "resourceClaims"},
		"a label gone":        {func(l *live) { delete(l.db().Labels, "version") }, "label version"},
		"a label changed":     {func(l *live) { l.db().Labels["version"] = "11" }, "label version"},
		"forever ending":      {func(l *live) { l.db().Ending = true; l.db().Spec.HostPID = true }, "hostPID"},

		// the container
		"another image":        {func(l *live) { l.mariadb().Image = "evil" }, "containers[mariadb].image"},
		"another command":      {func(l *live) { l.mariadb().Command = []string{"sh"} }, "containers[mariadb].command"},
		"one more argument":    {func(l *live) { l.mariadb().Args = append(l.mariadb().Args, "--skip-grant-tables") }, "containers[mariadb].args"},
		"no argument":          {func(l *live) { l.mariadb().Args = nil }, "containers[mariadb].args"},
		"another init command": {func(l *live) { l.db().Spec.InitContainers[0].Command[2] = "cp -r /var/lib/mysql /tmp" }, "initContainers[init].command"},
		"a folder to start in": {func(l *live) { l.mariadb().WorkingDir = "/tmp" }, "workingDir"},
		"another CAS":          {func(l *live) { l.mariadb().Env[1].Value = "evil" }, "SCONE_CAS_ADDR"},
		"the first of two": {func(l *live) {
			l.mariadb().Env = append(l.mariadb().Env, corev1.EnvVar{Name: "SCONE_CAS_ADDR", Value: "evil"})
		}, "SCONE_CAS_ADDR"},
		"the last of two": {func(l *live) {
			l.mariadb().Env = append([]corev1.EnvVar{{Name: "SCONE_CAS_ADDR", Value: "evil"}}, l.mariadb().Env...)
		}, "env["},
		"another LAS":  {func(l *live) { l.mariadb().Env[2] = corev1.EnvVar{Name: "SCONE_LAS_ADDR", Value: "6.6.6.6"} }, "SCONE_LAS_ADDR"},
		"simulation":   {func(l *live) { l.mariadb().Env[3].Value = "auto" }, "SCONE_MODE"},
		"another heap": {func(l *live) { l.mariadb().Env[4].Value = "2G" }, "SCONE_HEAP"},
		"libraries": {func(l *live) {
			l.mariadb().Env = append(l.mariadb().Env, corev1.EnvVar{Name: "SCONE_ALLOW_DLOPEN", Value: "2"})
		}, "SCONE_ALLOW_DLOPEN"},
		"a preloaded library": {func(l *live) {
			l.mariadb().Env = append(l.mariadb().Env, corev1.EnvVar{Name: "LD_PRELOAD", Value: "/x.so"})
		}, "LD_PRELOAD"},
		"an unknown variable": {func(l *live) { l.mariadb().Env = append(l.mariadb().Env, corev1.EnvVar{Name: "X"}) }, "env[X]"},
		"a changed variable":  {func(l *live) { l.mariadb().Env[5].Value = "y" }, "env[OTHER]"},
		"a variable gone":     {func(l *live) { l.mariadb().Env = l.mariadb().Env[:5] }, "env[OTHER] was removed"},
		"variables of a map": {func(l *live) {
			l.mariadb().EnvFrom = []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{}}}
		}, "envFrom"},
		"no SGX":                {func(l *live) { l.mariadb().Resources.Limits = nil }, "no SGX resource"},
		"privileged":            {func(l *live) { l.mariadb().SecurityContext.Privileged = &yes }, "privileged"},
		"a capability":          {func(l *live) { l.mariadb().SecurityContext.Capabilities.Add = []corev1.Capability{"SYS_PTRACE"} }, "capabilities"},
		"no capability dropped": {func(l *live) { l.mariadb().SecurityContext.Capabilities = nil }, "capabilities"},
		"a writable root":       {func(l *live) { l.mariadb().SecurityContext.ReadOnlyRootFilesystem = nil }, "readOnlyRootFilesystem"},
		"unconfined":            {func(l *live) { l.mariadb().SecurityContext.SeccompProfile = &corev1.SeccompProfile{Type: "Unconfined"} }, "seccompProfile"},
		"one more mount": {func(l *live) {
			l.mariadb().VolumeMounts = append(l.mariadb().VolumeMounts, corev1.VolumeMount{Name: "enclave", MountPath: "/etc"})
		}, "volumeMounts[/etc]"},
		"a mount propagated": {func(l *live) {
			p := corev1.MountPropagationBidirectional
			l.mariadb().VolumeMounts[0].MountPropagation = &p
		}, "mountPropagation"},
		"a mount of a part":  {func(l *live) { l.mariadb().VolumeMounts[0].SubPath = "old" }, "subPath"},
		"a port of the host": {func(l *live) { l.mariadb().Ports[0].HostPort = 3306 }, "hostPort"},
		"a probe with a shell": {func(l *live) {
			l.mariadb().LivenessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"sh"}}}}
		}, "livenessProbe"},
		"no probe":      {func(l *live) { l.mariadb().ReadinessProbe = nil }, "readinessProbe"},
		"another probe": {func(l *live) { l.mariadb().ReadinessProbe.TCPSocket.Port = intstr.FromInt32(1) }, "readinessProbe"},
		"a hook": {func(l *live) {
			l.mariadb().Lifecycle = &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"sh"}}}}
		}, "lifecycle"},
		"a terminal":         {func(l *live) { l.mariadb().Stdin, l.mariadb().TTY = true, true }, "stdin"},
		"messages elsewhere": {func(l *live) { l.mariadb().TerminationMessagePath = "/run/confidb/app.key" }, "terminationMessagePath"},
		"logs as message":    {func(l *live) { l.mariadb().TerminationMessagePolicy = "FallbackToLogsOnError" }, "terminationMessagePolicy"},
		"a name changed":     {func(l *live) { l.mariadb().Name = "mysql" }, "containers[mariadb] was removed"},
		"a restarted init": {func(l *live) {
			p := corev1.ContainerRestartPolicyAlways
			l.db().Spec.InitContainers[0].RestartPolicy = &p
		}, "restartPolicy"},

		// the set
		"the set's image": {func(l *live) {
			spec := l.objects[set]["spec"].(map[string]any)["template"].(map[string]any)["spec"].(map[string]any)
			spec["containers"].([]any)[0].(map[string]any)["image"] = "evil"
		}, "template.spec.containers[mariadb].image"},
		"the set's account":  {func(l *live) { l.set(set, "admin", "spec", "template", "spec", "serviceAccountName") }, "serviceAccountName"},
		"the set's host":     {func(l *live) { l.set(set, true, "spec", "template", "spec", "hostPID") }, "hostPID"},
		"the set's selector": {func(l *live) { l.set(set, "y", "spec", "selector", "matchLabels", "x") }, "matchLabels.x"},
		"volumes deleted":    {func(l *live) { l.set(set, "Delete", "spec", "persistentVolumeClaimRetentionPolicy", "whenScaled") }, "RetentionPolicy"},
		"the set's label":    {func(l *live) { l.set(set, "evil", "metadata", "labels", "app") }, "labels.app"},
	}
	return all
}

func TestPlanted(t *testing.T) {
	for name, c := range planted() {
		t.Run(name, func(t *testing.T) {
			l := running(t)
			c.change(l)
			if found := strings.Join(l.problems(t), "\n"); !strings.Contains(found, c.want) {
				t.Errorf("got %q, want it to say %q", found, c.want)
			}
		})
	}
}

// A policy names deviations one by one: what it names is no problem any more, and
// everything else stays one.
func TestDeviationsOfPods(t *testing.T) {
	l := running(t)
	l.promise.Deviations = []attest.Deviation{attest.Sidecar}
	l.db().Spec.Containers = append(l.db().Spec.Containers, corev1.Container{Name: "istio-proxy", Image: "proxy", VolumeMounts: []corev1.VolumeMount{{Name: "istio-certs", MountPath: "/certs"}}})
	l.db().Spec.Volumes = append(l.db().Spec.Volumes, corev1.Volume{Name: "istio-certs", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}})
	if found := l.problems(t); len(found) > 0 {
		t.Errorf("an accepted sidecar: got %q", found)
	}
	l.db().Spec.Containers[1].VolumeMounts[0].Name = "data"
	if found := strings.Join(l.problems(t), "\n"); !strings.Contains(found, "mounts the volume data of one") {
		t.Errorf("a sidecar with the data: got %q", found)
	}
	again := claim("data-db1-mariadb-0")
	again.Name, l.db().Spec.Containers[1].VolumeMounts[0].Name = "again", "again"
	l.db().Spec.Volumes = append(l.db().Spec.Volumes, again)
	if found := strings.Join(l.problems(t), "\n"); !strings.Contains(found, "mounts the volume data of one") {
		t.Errorf("a sidecar with the data under another name: got %q", found)
	}
	l = running(t)
	l.promise.Deviations = attest.Deviations()
	l.mariadb().SecurityContext.Capabilities.Add = []corev1.Capability{"SYS_ADMIN"}
	if found := strings.Join(l.problems(t), "\n"); !strings.Contains(found, "capabilities") {
		t.Error("a capability that was not installed is accepted, since others might be")
	}
}

// An object is scaled by hand unless the chart has a scaler for it.
func TestScaled(t *testing.T) {
	l := running(t)
	p := l.promise
	checked, err := p.Check(append(chart(t, p, "", ""), []byte("---\napiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: s}\nspec: {scaleTargetRef: {kind: StatefulSet, name: db1-mariadb}}\n")...))
	if err != nil {
		t.Fatal(err)
	}
	l.manifest = checked.Manifest
	l.set("StatefulSet/db1-mariadb", 3.0, "spec", "replicas")
	if found := l.problems(t); len(found) > 0 {
		t.Errorf("got %q", found)
	}
}
