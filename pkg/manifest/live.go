package manifest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/evidence"
)

// Installed is what was installed, and what was promised of it.
type Installed struct {
	Promise
	manifest Manifest
	makers   []*maker
	services []*corev1.Service
}

// NewInstalled reads the objects of a record.
func NewInstalled(p Promise, m Manifest) (*Installed, error) {
	makers, err := m.makers()
	if err != nil {
		return nil, err
	}
	i := &Installed{Promise: p, manifest: m, makers: makers}
	for _, o := range m {
		if o.GroupKind() != kindService || o.testOnly() {
			continue
		}
		s, err := typed[corev1.Service](o)
		if err != nil {
			return nil, err
		}
		i.services = append(i.services, s)
	}
	return i, nil
}

// PodProblem is a problem of one pod.
type PodProblem struct {
	Pod string
	Problem
	// Ending means that the pod was told to end.
	Ending bool
}

// String names the pod first.
func (p PodProblem) String() string { return "pod " + p.Pod + ": " + p.Problem.String() }

// Pods judges all pods of the namespace that are, or could be taken for, pods of the
// release. It returns how many those are.
func (i *Installed) Pods(pods []evidence.Pod) (count int, problems []PodProblem) {
	made := map[*maker][]evidence.Pod{}
	for _, pod := range pods {
		if pod.Finished {
			continue
		}
		by, why := i.belongs(pod)
		if by == nil && why == "" {
			continue
		}
		count++
		for _, problem := range i.judge(pod, by, why) {
			problems = append(problems, PodProblem{pod.Name, problem, pod.Ending})
		}
		if by != nil && !pod.Ending {
			made[by] = append(made[by], pod)
		}
	}
	for _, m := range i.makers {
		if !i.scaled(m.Object) {
			problems = append(problems, tooMany(m, made[m])...)
		}
	}
	return count, problems
}

// Changed are pods that an object of the release made, and that are not what it says
// now: one problem for each.
func (i *Installed) Changed(pods []evidence.Pod) []PodProblem {
	var changed []PodProblem
	for _, pod := range pods {
		by, why := i.belongs(pod)
		if by == nil || pod.Finished || pod.Ending || by.Kind == kindPod {
			continue
		}
		if refused, _ := i.Refused(i.judge(pod, by, why)); len(refused) > 0 {
			changed = append(changed, PodProblem{pod.Name, refused[0], false})
		}
	}
	return changed
}

// tooMany says that an object has more pods than it was installed with.
func tooMany(m *maker, pods []evidence.Pod) []PodProblem {
	if m.Kind == "Deployment" { // a rolling update has one more until it is ready
		pods = slices.DeleteFunc(slices.Clone(pods), func(p evidence.Pod) bool { return !p.Ready })
	}
	if m.replicas < 0 || len(pods) <= int(m.replicas) {
		return nil
	}
	last := slices.MaxFunc(pods, func(a, b evidence.Pod) int { return strings.Compare(a.Name, b.Name) })
	return []PodProblem{{Pod: last.Name, Problem: Problem{Text: fmt.Sprintf("%s has %d pods, want %d", m, len(pods), m.replicas)}}}
}

// judge judges one pod: by itself, and against what it was made from.
func (i *Installed) judge(pod evidence.Pod, by *maker, why string) []Problem {
	var template map[string]string
	if by != nil {
		template = by.template.Annotations
	}
	problems := append(i.JudgePod(&pod.Spec, pod.Name, i.manifest), annotationProblems(template, pod.Annotations)...)
	if by == nil {
		if why == onlyClient {
			return problems
		}
		return append([]Problem{{"", why + ", and no object of the release made it", ""}}, problems...)
	}
	if text := by.misnumbered(pod.Name); text != "" && !i.scaled(by.Object) {
		problems = append(problems, Problem{"", text, ""})
	}
	for _, d := range comparePod(by.specFor(pod.Name), pod.Spec) {
		if !i.known(d, pod.Spec) {
			problems = append(problems, Problem{containerIn(d.Path), d.String(), ""})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(by.template.Labels)) {
		if got, ok := pod.Labels[name]; !ok || got != by.template.Labels[name] {
			problems = append(problems, Problem{"", fmt.Sprintf("label %s: got %.100q, want %q", name, got, by.template.Labels[name]), ""})
		}
	}
	return problems
}

// known reports whether a difference is said by JudgePod already, or is part of a
// sidecar that the policy accepts.
func (i *Installed) known(d Difference, spec corev1.PodSpec) bool {
	if strings.HasPrefix(d.Path, "ephemeralContainers") {
		return true
	}
	if d.Want != "" || !slices.Contains(i.Deviations, attest.Sidecar) {
		return false
	}
	kind, name, ok := strings.Cut(strings.TrimSuffix(d.Path, "]"), "[")
	switch {
	case !ok || strings.Contains(name, "]"): // something inside an item
		return false
	case kind == "containers" || kind == "initContainers":
		return !slices.ContainsFunc(slices.Concat(spec.InitContainers, spec.Containers), func(c corev1.Container) bool { return c.Name == name && isEnclave(&c) })
	case kind == "volumes":
		return !slices.ContainsFunc(slices.Concat(spec.InitContainers, spec.Containers), func(c corev1.Container) bool {
			return isEnclave(&c) && slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == name })
		})
	}
	return false
}

// containerIn is the container that a path is in, or empty.
func containerIn(path string) string {
	kind, rest, ok := strings.Cut(path, "[")
	if !ok || !strings.HasSuffix(strings.ToLower(kind), "containers") {
		return ""
	}
	name, _, _ := strings.Cut(rest, "]")
	return name
}

// specFor is the specification that the object gives to a pod of this name.
func (m *maker) specFor(pod string) corev1.PodSpec {
	spec := *m.template.Spec.DeepCopy()
	for _, claim := range m.claims {
		spec.Volumes = slices.DeleteFunc(spec.Volumes, func(v corev1.Volume) bool { return v.Name == claim.Name })
		spec.Volumes = append(spec.Volumes, corev1.Volume{Name: claim.Name, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim.Name + "-" + pod},
		}})
	}
	return spec
}

// onlyClient is why a pod belongs to the release that runs under the client session and
// has nothing else of it: the probe, an SQL client, an application.
const onlyClient = "it runs under the client session of the release"

// belongs returns the object that made a pod, or why else it concerns the release; both
// are empty for any other pod.
func (i *Installed) belongs(pod evidence.Pod) (by *maker, why string) {
	for _, m := range i.makers {
		if m.owns(pod) {
			return m, ""
		}
	}
	for _, v := range pod.Spec.Volumes {
		if c := v.PersistentVolumeClaim; c != nil && i.hasClaim(c.ClaimName) {
			return nil, "it mounts the volume " + c.ClaimName + " of the release"
		}
	}
	for _, s := range i.services {
		if selects(s.Spec.Selector, pod.Labels) {
			return nil, "it carries the labels of Service " + s.Name
		}
	}
	for _, m := range i.makers {
		if selects(m.selector, pod.Labels) {
			return nil, "it carries the labels of the pods of " + m.String()
		}
	}
	return nil, i.session(pod)
}

// number is that of a pod in its StatefulSet, by its name.
func (m *maker) number(pod string) (n uint64, ok bool) {
	text, ok := strings.CutPrefix(pod, m.Name+"-")
	n, err := strconv.ParseUint(text, 10, 31)
	return n, ok && err == nil && text == strconv.FormatUint(n, 10)
}

// misnumbered says that a StatefulSet that makes fewer pods has none of this name: each has
// a number, and a volume and a database of its own.
func (m *maker) misnumbered(pod string) string {
	n, _ := m.number(pod)
	if first := uint64(m.start); m.GroupKind() != kindStatefulSet || n >= first && n < first+uint64(m.replicas) {
		return ""
	}
	return fmt.Sprintf("%s makes %d pods from number %d on, and none of this name", m, m.replicas, m.start)
}

// owns reports whether the object made the pod, by the cluster's word.
func (m *maker) owns(pod evidence.Pod) bool {
	if m.Kind == kindPod {
		return pod.Name == m.Name
	}
	return slices.ContainsFunc(pod.Owners, func(owner string) bool {
		switch {
		case owner == m.String() && m.GroupKind() == kindStatefulSet:
			_, ok := m.number(pod.Name)
			return ok
		case owner == m.String():
			return true
		case m.GroupKind() == kindDeployment:
			return strings.HasPrefix(owner, "ReplicaSet/"+m.Name+"-")
		case m.GroupKind() == kindCronJob:
			return strings.HasPrefix(owner, "Job/"+m.Name+"-")
		}
		return false
	})
}

func (i *Installed) hasClaim(name string) bool {
	if slices.ContainsFunc(i.manifest, func(o Object) bool { return o.GroupKind() == "PersistentVolumeClaim" && o.Name == name }) {
		return true
	}
	return slices.ContainsFunc(i.makers, func(m *maker) bool {
		return slices.ContainsFunc(m.claims, func(c corev1.PersistentVolumeClaim) bool { return strings.HasPrefix(name, c.Name+"-"+m.Name+"-") }) ||
			slices.ContainsFunc(m.template.Spec.Volumes, func(v corev1.Volume) bool {
				return v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == name
			})
	})
}

// selects reports whether a selector chooses these labels. An empty one chooses none.
func selects(selector, labels map[string]string) bool {
	for name, value := range selector {
		if got, ok := labels[name]; !ok || got != value {
			return false
		}
	}
	return len(selector) > 0
}

// session says which session of the release a pod runs under; empty for none.
func (i *Installed) session(pod evidence.Pod) string {
	under := map[string]bool{}
	look := func(env []corev1.EnvVar) {
		for _, v := range env {
			for _, s := range i.sessions() {
				if (v.Name == configID || v.Name == baseConfigID) && (v.Value == s.Name || strings.HasPrefix(v.Value, s.Name+"/")) {
					under[s.Name] = true
				}
			}
		}
	}
	for _, c := range containersOf(&pod.Spec) {
		look(c.Env)
		var said []corev1.EnvVar
		for name, value := range environmentOf(&c, pod.Name).values {
			said = append(said, corev1.EnvVar{Name: name, Value: value})
		}
		look(said)
	}
	for _, c := range pod.Spec.EphemeralContainers {
		look(c.Env)
	}
	switch {
	case under[i.Database.Name]:
		return "it runs under the database session of the release"
	case len(under) > 0:
		return onlyClient
	}
	return ""
}

// Differences says where a live object is not what was installed. A scaler of the
// manifest may have changed how many pods there are.
func (i *Installed) Differences(o Object, live []byte) ([]Difference, error) {
	if string(live) == "null" {
		return []Difference{{Path: "the object", Want: o.String()}}, nil
	}
	found, err := Compare(o, live)
	if i.scaled(o) {
		found = slices.DeleteFunc(found, func(d Difference) bool { return d.Path == "spec.replicas" })
	}
	return found, err
}

func (i *Installed) scaled(o Object) bool {
	return slices.ContainsFunc(i.manifest, func(h Object) bool {
		spec, _ := h.Content["spec"].(map[string]any)
		target, _ := spec["scaleTargetRef"].(map[string]any)
		return h.Kind == "HorizontalPodAutoscaler" && target["kind"] == o.Kind && target["name"] == o.Name
	})
}

// Selecting are the names of the Services that select pods.
func (i *Installed) Selecting() []string {
	var names []string
	for _, s := range i.services {
		if len(s.Spec.Selector) > 0 {
			names = append(names, s.Name)
		}
	}
	return names
}

// Behind are the ends of one Service, judged.
type Behind struct {
	// Ready is how many take connections, and Want how many should; -1 is not known.
	Ready, Want int
	// Problems are ends that are no pods of the release, or too many.
	Problems []string
}

// Endpoints judges the ends of a Service: each must be a pod that an object of the
// release made, at the ports of the manifest.
func (i *Installed) Endpoints(service string, ends []evidence.Endpoint, pods []evidence.Pod) Behind {
	n := slices.IndexFunc(i.services, func(s *corev1.Service) bool { return s.Name == service })
	if n < 0 {
		return Behind{Want: -1, Problems: []string{"Service " + service + " was not installed"}}
	}
	s := i.services[n]
	b := Behind{Want: i.wanted(s)}
	ports := i.ports(s)
	ready := map[string]bool{} // a pod with addresses of two families has two ends
	for _, e := range ends {
		if problem := i.end(s, e, pods); problem != "" {
			b.Problems = append(b.Problems, problem)
		}
		for _, port := range e.Ports {
			if !slices.Contains(ports, port) {
				b.Problems = append(b.Problems, fmt.Sprintf("an end of Service %s (%s) is at port %d, want one of %v", s.Name, strings.Join(e.Addresses, " "), port, ports))
			}
		}
		if e.Ready {
			ready[cmp.Or(e.Pod, strings.Join(e.Addresses, " "))] = true
		}
	}
	b.Ready = len(ready)
	if b.Want >= 0 && b.Ready > b.Want {
		b.Problems = append(b.Problems, fmt.Sprintf("%d ready pods are behind Service %s, want %d: each is a database of its own", b.Ready, s.Name, b.Want))
	}
	return b
}

// wanted is how many pods should be behind a Service.
func (i *Installed) wanted(s *corev1.Service) int {
	total := 0
	for _, m := range i.makers {
		if !selects(s.Spec.Selector, m.template.Labels) {
			continue
		}
		if m.replicas < 0 || i.scaled(m.Object) {
			return -1
		}
		total += int(m.replicas)
	}
	return total
}

// end says why an end of a Service is no pod of the release; it is empty if it is one.
// A pod may be known twice, as it was before and after it was made anew.
func (i *Installed) end(s *corev1.Service, e evidence.Endpoint, pods []evidence.Pod) string {
	problem := fmt.Sprintf("an end of Service %s (%s) is no pod of the namespace", s.Name, strings.Join(e.Addresses, " "))
	for _, pod := range pods {
		if e.Pod == "" || pod.Name != e.Pod {
			continue
		}
		by, _ := i.belongs(pod)
		foreign := slices.ContainsFunc(e.Addresses, func(address string) bool { return !slices.Contains(pod.Addresses, address) })
		switch {
		case by == nil || !selects(s.Spec.Selector, pod.Labels):
			problem = fmt.Sprintf("an end of Service %s is pod %s, which no object of the release made for it", s.Name, e.Pod)
		case foreign:
			problem = fmt.Sprintf("an end of Service %s is at %s, which is no address of pod %s", s.Name, strings.Join(e.Addresses, " "), e.Pod)
		default:
			return ""
		}
	}
	return problem
}

// ports are the numbers to which a Service may send connections.
func (i *Installed) ports(s *corev1.Service) []int32 {
	var all []int32
	for _, p := range s.Spec.Ports {
		switch {
		case p.TargetPort.StrVal != "":
			all = append(all, i.named(s, p.TargetPort.StrVal)...)
		case p.TargetPort.IntVal != 0:
			all = append(all, p.TargetPort.IntVal)
		default:
			all = append(all, p.Port)
		}
	}
	return all
}

// named are the ports of a name in the pods behind a Service.
func (i *Installed) named(s *corev1.Service, name string) []int32 {
	var all []int32
	for _, m := range i.makers {
		if !selects(s.Spec.Selector, m.template.Labels) {
			continue
		}
		for _, c := range slices.Concat(m.template.Spec.InitContainers, m.template.Spec.Containers) {
			for _, p := range c.Ports {
				if p.Name == name {
					all = append(all, p.ContainerPort)
				}
			}
		}
	}
	return all
}
