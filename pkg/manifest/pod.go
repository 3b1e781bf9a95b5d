package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/platform"
)

// Problem is one way in which a pod is not what was promised.
type Problem struct {
	// Container is the one that is concerned; empty means the pod as a whole.
	Container string
	// Text says what is wrong.
	Text string
	// Deviation is the name under which a policy can accept it; empty if none can.
	Deviation attest.Deviation
}

// String names the container first.
func (p Problem) String() string {
	if p.Container == "" {
		return p.Text
	}
	return "container " + p.Container + ": " + p.Text
}

// Refused are the problems that the policy does not accept, and accepted the others.
func (p Promise) Refused(problems []Problem) (refused, accepted []Problem) {
	for _, problem := range problems {
		if problem.Deviation != "" && slices.Contains(p.Deviations, problem.Deviation) {
			accepted = append(accepted, problem)
			continue
		}
		refused = append(refused, problem)
	}
	return refused, accepted
}

// JudgePod says what of a pod is not as promised, by its specification, its name (empty is
// one that is not known) and the objects that it is installed with. It is the same
// judgement before an installation, after it, and at each verification.
func (p Promise) JudgePod(spec *corev1.PodSpec, name string, beside Manifest) []Problem {
	problems := podProblems(spec)
	if c := forwarder(spec); c != nil {
		return slices.Concat(problems, rights(c), p.passing(spec, c, beside))
	}
	for _, c := range containersOf(spec) {
		problems = append(problems, p.container(spec, &c, name)...)
	}
	for _, c := range spec.EphemeralContainers {
		problems = append(problems, Problem{c.Name, fmt.Sprintf("it is an ephemeral container (image %.100q), as kubectl debug adds one: it sees what the pod sees", c.Image), ""})
	}
	return problems
}

func podProblems(spec *corev1.PodSpec) []Problem {
	var problems []Problem
	for _, n := range []struct {
		set  bool
		name string
	}{{spec.HostNetwork, "hostNetwork"}, {spec.HostPID, "hostPID"}, {spec.HostIPC, "hostIPC"}} {
		if n.set {
			problems = append(problems, Problem{"", n.name + " is set: the pod is in a namespace of the node", attest.HostNamespaces})
		}
	}
	if spec.ShareProcessNamespace != nil && *spec.ShareProcessNamespace {
		problems = append(problems, Problem{"", "shareProcessNamespace is set: containers see each other's processes and files", attest.SharedProcesses})
	}
	for _, v := range spec.Volumes {
		switch s := v.VolumeSource; {
		case s.HostPath != nil:
			problems = append(problems, Problem{"", fmt.Sprintf("volume %s is %.200q of the node", v.Name, s.HostPath.Path), attest.HostPath})
		case s.EmptyDir == nil && s.PersistentVolumeClaim == nil && s.Ephemeral == nil && s.ConfigMap == nil && s.Secret == nil && s.Projected == nil && s.DownwardAPI == nil && s != (corev1.VolumeSource{}):
			problems = append(problems, Problem{"", "volume " + v.Name + " is of a kind that is not judged", attest.OtherVolume})
		}
	}
	if len(spec.ResourceClaims) > 0 {
		problems = append(problems, Problem{"", "resourceClaims are set: devices that are not judged", attest.OtherVolume})
	}
	return problems
}

// container judges one container of a pod with a name.
func (p Promise) container(spec *corev1.PodSpec, c *corev1.Container, name string) []Problem {
	problems := rights(c)
	if !isEnclave(c) {
		return append(problems, p.sidecar(spec, c)...)
	}
	env := environmentOf(c, name)
	problems = append(problems, p.environment(c, env)...)
	if sgxResource(c) == "" {
		problems = append(problems, Problem{c.Name, "it has no SGX resource; want a limit of " + strings.Join(platform.SGXResources(), " or "), ""})
	}
	for _, command := range commandsOf(c) {
		for _, problem := range p.command(env, command.words) {
			problem.Container, problem.Text = c.Name, command.what+": "+problem.Text
			problems = append(problems, problem)
		}
	}
	return problems
}

// isEnclave reports whether a container is meant to run as an enclave of a session.
func isEnclave(c *corev1.Container) bool {
	return slices.ContainsFunc(c.Env, func(v corev1.EnvVar) bool { return v.Name == configID || v.Name == baseConfigID })
}

func rights(c *corev1.Container) []Problem {
	s := c.SecurityContext
	if s == nil {
		return nil
	}
	var problems []Problem
	if s.Privileged != nil && *s.Privileged {
		problems = append(problems, Problem{c.Name, "it is privileged: it has the rights of the node", attest.PrivilegedPod})
	}
	if s.Capabilities != nil && len(s.Capabilities.Add) > 0 {
		problems = append(problems, Problem{c.Name, fmt.Sprintf("it has added capabilities: %.200q", s.Capabilities.Add), attest.PrivilegedPod})
	}
	if s.ProcMount != nil && *s.ProcMount != corev1.DefaultProcMount {
		problems = append(problems, Problem{c.Name, fmt.Sprintf("procMount is %.40q", *s.ProcMount), attest.PrivilegedPod})
	}
	return problems
}

// injectors are known sidecars by the beginning of their container's name.
func injectors() map[string]string {
	return map[string]string{
		"istio-": "Istio's proxy", "linkerd-": "Linkerd's proxy", "vault-agent": "Vault's agent", "consul-": "Consul's proxy", "envoy": "an Envoy proxy",
		"daprd": "Dapr's sidecar", "kuma-": "Kuma's proxy", "cloud-sql-proxy": "a proxy of Cloud SQL", "aws-": "a sidecar of AWS", "debugger-": "a debugger of kubectl",
		"opentelemetry-": "a collector of OpenTelemetry", "otc-": "a collector of OpenTelemetry", "fluent": "a collector of logs", "filebeat": "a collector of logs", "datadog": "an agent of Datadog",
	}
}

// sidecar says what a container is that is no enclave of the release.
func (p Promise) sidecar(spec *corev1.PodSpec, c *corev1.Container) []Problem {
	text := "SCONE_CONFIG_ID is not set: it would run without attestation"
	for prefix, what := range injectors() {
		if strings.HasPrefix(c.Name, prefix) {
			text = fmt.Sprintf("it looks like %s (image %.100q), which an admission webhook may have injected; it is no enclave: SCONE_CONFIG_ID is not set", what, c.Image)
		}
	}
	problems := []Problem{{c.Name, text, attest.Sidecar}}
	if isMaxScale(c) {
		problems = []Problem{{c.Name, "it is a MaxScale without attestation (SCONE_CONFIG_ID is not set): it ends TLS, and would see every row and every password's answer in clear", ""}}
	}
	if shared := sharedVolumes(spec, c); shared != "" {
		problems = append(problems, Problem{c.Name, "it is no enclave, and mounts the volume " + shared + " of one", ""})
	}
	return problems
}

// sharedVolumes names the first volume that a container has in common with an enclave.
func sharedVolumes(spec *corev1.PodSpec, c *corev1.Container) string {
	for _, other := range slices.Concat(spec.InitContainers, spec.Containers) {
		if !isEnclave(&other) {
			continue
		}
		for _, m := range other.VolumeMounts {
			if strings.HasPrefix(m.Name, tokenVolume) {
				continue
			}
			if slices.ContainsFunc(c.VolumeMounts, func(o corev1.VolumeMount) bool { return kept(spec, o.Name) == kept(spec, m.Name) }) {
				return m.Name
			}
		}
		for _, m := range other.VolumeDevices {
			if slices.ContainsFunc(c.VolumeDevices, func(o corev1.VolumeDevice) bool { return kept(spec, o.Name) == kept(spec, m.Name) }) {
				return m.Name
			}
		}
	}
	return ""
}

// kept says where the files of a volume are: two volumes of a pod may be of one claim.
func kept(spec *corev1.PodSpec, volume string) string {
	for _, v := range spec.Volumes {
		if v.Name == volume && v.PersistentVolumeClaim != nil {
			return "claim/" + v.PersistentVolumeClaim.ClaimName
		}
	}
	return volume
}

func sgxResource(c *corev1.Container) string {
	for _, name := range platform.SGXResources() {
		if q, ok := c.Resources.Limits[corev1.ResourceName(name)]; ok && !q.IsZero() {
			return name
		}
	}
	return ""
}

// command is something that a container runs, and what for.
type command struct {
	what  string
	words []string
}

// commandsOf are the commands of a container, its probes and its hooks.
func commandsOf(c *corev1.Container) []command {
	all := []command{{"command", slices.Concat(c.Command, c.Args)}}
	for _, probe := range []struct {
		what string
		*corev1.Probe
	}{{"livenessProbe", c.LivenessProbe}, {"readinessProbe", c.ReadinessProbe}, {"startupProbe", c.StartupProbe}} {
		if probe.Probe != nil && probe.Exec != nil {
			all = append(all, command{probe.what, probe.Exec.Command})
		}
	}
	if c.Lifecycle != nil {
		for what, hook := range map[string]*corev1.LifecycleHandler{"postStart": c.Lifecycle.PostStart, "preStop": c.Lifecycle.PreStop} {
			if hook != nil && hook.Exec != nil {
				all = append(all, command{what, hook.Exec.Command})
			}
		}
	}
	slices.SortFunc(all, func(a, b command) int { return cmp.Compare(a.what, b.what) })
	return all
}
