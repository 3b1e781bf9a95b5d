package manifest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/attest"
)

// runtimeAnnotations begin the names of annotations by which the software of a node changes
// how the containers of a pod run: devices, mounts and hooks (CDI, NRI, CRI-O, containerd,
// Kata), what confines them, and further networks (Multus).
func runtimeAnnotations() []string {
	return []string{
		"cdi.k8s.io/", "devices.nri.", "mounts.nri.", "hooks.nri.", "ulimits.nri.", "io.kubernetes.cri-o.", "io.kubernetes.cri.", "io.containerd.", "io.katacontainers.",
		"container.apparmor.security.beta.kubernetes.io/", "container.seccomp.security.alpha.kubernetes.io/", "seccomp.security.alpha.kubernetes.io/",
		"security.alpha.kubernetes.io/", "k8s.v1.cni.cncf.io/networks", "v1.multus-cni.io/", "run.oci.",
	}
}

// runtimeAnnotation reports whether an annotation changes how containers run.
func runtimeAnnotation(name string) bool {
	return slices.ContainsFunc(runtimeAnnotations(), func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// confines reports whether an annotation names a profile by which a container may do less.
func confines(name, value string) bool {
	return strings.Contains(name, "security.") && (value == "runtime/default" || strings.HasPrefix(value, "localhost/"))
}

// annotationProblems are those of a pod, of which installed are the ones of its template: what
// a policy may accept of these, and all that were added, changed or taken away.
func annotationProblems(installed, got map[string]string) []Problem {
	all := maps.Clone(installed)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, got)
	var problems []Problem
	for _, name := range slices.Sorted(maps.Keys(all)) {
		want, promised := installed[name]
		value, there := got[name]
		switch {
		case !runtimeAnnotation(name), confines(name, value) && (!promised || want == value): // an API server writes down what securityContext says
		case promised != there || want != value:
			problems = append(problems, Problem{"", fmt.Sprintf("annotation %.200s, by which the node's software changes how containers run: got %.100q, want %.100q", name, value, want), ""})
		default:
			problems = append(problems, Problem{"", fmt.Sprintf("annotation %.200s is %.100q: by it the node's software changes how containers run", name, value), attest.PrivilegedPod})
		}
	}
	return problems
}
