package manifest

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// podName is the field of a pod that holds its name.
const podName = "metadata.name"

// maxNamed is how many pods of one object are judged by their names.
const maxNamed = 64

// names are those of the pods that the object makes, as far as what they run may depend on
// them: one for each pod of a StatefulSet whose variables hold its name, else one for all.
// An empty name is not known before there is a pod.
func (m *maker) names() (all []string, problem string) {
	switch {
	case m.GroupKind() == kindPod:
		return []string{m.Name}, ""
	case m.GroupKind() != kindStatefulSet:
		return []string{""}, ""
	}
	count := max(m.replicas, 1) // none are judged as the one that somebody may ask for
	if !slices.ContainsFunc(containersOf(&m.template.Spec), named) {
		count = 1
	}
	if count > maxNamed {
		return nil, fmt.Sprintf("it makes %d pods that run by their names, want at most %d", count, maxNamed)
	}
	for i := range int64(count) {
		all = append(all, fmt.Sprintf("%s-%d", m.Name, int64(m.start)+i))
	}
	return all, ""
}

// containersOf are all containers of a pod that its object says.
func containersOf(spec *corev1.PodSpec) []corev1.Container {
	return slices.Concat(spec.InitContainers, spec.Containers)
}

// named reports whether a variable of the container holds the name of its pod.
func named(c corev1.Container) bool {
	return slices.ContainsFunc(c.Env, func(v corev1.EnvVar) bool { return holdsName(v.ValueFrom) })
}

func holdsName(from *corev1.EnvVarSource) bool {
	return from != nil && from.FieldRef != nil && from.FieldRef.FieldPath == podName
}

// template judges all pods that the object makes: what is true of several is said once.
func (p Promise) template(m *maker, beside Manifest) []Problem {
	names, problem := m.names()
	if problem != "" {
		return []Problem{{"", problem, ""}}
	}
	var all []Problem
	for i, name := range names {
		for _, found := range p.JudgePod(&m.template.Spec, name, beside) {
			if i == 0 || !slices.Contains(all, found) {
				all = append(all, found)
			}
		}
	}
	return all
}

// substitute puts values in the place of $(NAME) as Kubernetes does: $$ stands for $, and
// what is not known stays.
func substitute(text string, values map[string]string) string {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(text, "$")
		out.WriteString(before)
		if !found {
			return out.String()
		}
		name, after, closed := strings.Cut(rest, ")")
		name, opened := strings.CutPrefix(name, "(")
		value, known := values[name]
		switch {
		case strings.HasPrefix(rest, "$"):
			out.WriteByte('$')
			text = rest[1:]
		case opened && closed && known:
			out.WriteString(value)
			text = after
		default:
			out.WriteByte('$')
			text = rest
		}
	}
}
