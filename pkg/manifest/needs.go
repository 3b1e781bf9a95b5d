package manifest

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"

	"github.com/confidb/confidb/pkg/platform"
	"github.com/confidb/confidb/pkg/topology"
)

// Shape is how what a pod needs is written.
type Shape string

// The shapes.
const (
	// Patch is a strategic merge patch of a Deployment.
	Patch Shape = "patch"
	// Kustomize is a Component with that patch.
	Kustomize Shape = "kustomize"
	// HelmValues are values as charts have them that began with helm create.
	HelmValues Shape = "helm"
)

// Shapes are all, the usual one first.
func Shapes() []string { return []string{string(Patch), string(Kustomize), string(HelmValues)} }

// Place names the container that shall run as a client. An empty name is the client's.
type Place struct{ Deployment, Container string }

// Check says what is wrong with the names, if anything.
func (p Place) Check() error {
	if problems := validation.IsDNS1123Subdomain(p.Deployment); p.Deployment != "" && len(problems) > 0 {
		return fmt.Errorf("name of the Deployment: got %.80q: %s", p.Deployment, problems[0])
	}
	if problems := validation.IsDNS1123Label(p.Container); p.Container != "" && len(problems) > 0 {
		return fmt.Errorf("name of the container: got %.80q: %s", p.Container, problems[0])
	}
	return nil
}

// Needs is what a Deployment of the user's needs so that its program runs as a client.
type Needs struct {
	// Comment says in YAML what it is, and how it is used.
	Comment string
	// Object is a patch, a Component or values.
	Object map[string]any
	// Warnings are what the user should know.
	Warnings []string
}

// NeedsOf says what pods of a client need. It fails with a topology.UnknownClientError.
func NeedsOf(r *topology.Release, client string, at Place, shape Shape) (*Needs, error) {
	d, err := r.Details(client)
	if err != nil {
		return nil, err
	}
	if at.Deployment == "" {
		at.Deployment = client
	}
	if at.Container == "" {
		at.Container = client
	}
	n := &Needs{Warnings: missing(d)}
	about := fmt.Sprintf("# What a pod needs so that its program runs as the client %s of the release\n# %s/%s. It holds no secret.\n", client, r.Namespace, r.Name)
	if len(d.FromHost) > 0 {
		about += "# The program takes these variables from its container, too, if they are set there:\n# " + strings.Join(d.FromHost, ", ") + "\n"
	}
	container, pod := containerNeeds(r, d), podNeeds(r, d)
	switch shape {
	case HelmValues:
		maps.Copy(container, map[string]any{"podSecurityContext": pod["securityContext"]})
		delete(pod, "securityContext")
		maps.Copy(container, pod)
		n.Object = container
		n.Comment = about + "# Values with the names of a chart that began with helm create, and env, a list as a\n# container has it. Helm replaces lists as a whole.\n"
	case Kustomize:
		n.Comment = about + "# A Kustomize component: keep it as kustomization.yaml in a folder of its own, and name the\n# folder under components: where the Deployment is.\n"
		n.Object, err = component(patch(at, "", container, pod), at.Deployment)
	default:
		n.Comment = about + fmt.Sprintf("# kubectl patch deployment %s --patch-file FILE\n", at.Deployment)
		if d.Namespace != "" {
			n.Comment = about + fmt.Sprintf("# kubectl patch deployment %s --namespace %s --patch-file FILE\n", at.Deployment, d.Namespace)
		}
		n.Object = patch(at, d.Namespace, container, pod)
	}
	return n, err
}

// missing says what is not known of a client, and would be of use to its pods.
func missing(d topology.Details) []string {
	var all []string
	if len(d.MRENCLAVEs) > 0 && d.Settings.Heap == "" {
		all = append(all, "SCONE_HEAP is left out: nobody has said with which heap the measurement was taken, and without the variable it is "+defaultHeap)
	}
	if d.State != topology.Admitted {
		all = append(all, fmt.Sprintf("the client %s is %s: that change has not come to its end", d.Client, d.State))
	}
	return all
}

// patch is a strategic merge patch.
func patch(at Place, namespace string, container, pod map[string]any) map[string]any {
	metadata := map[string]any{"name": at.Deployment}
	if namespace != "" {
		metadata["namespace"] = namespace
	}
	container["name"] = at.Container
	pod["containers"] = []any{container}
	return map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": map[string]any{"template": map[string]any{"spec": pod}}}
}

// component is a Kustomize component with a patch. Its target is an expression, which
// Kustomize matches as a whole.
func component(patch map[string]any, deployment string) (map[string]any, error) {
	text, err := yaml.Marshal(patch)
	if err != nil {
		return nil, err
	}
	target := map[string]any{"group": "apps", "version": "v1", "kind": "Deployment", "name": regexp.QuoteMeta(deployment)}
	return map[string]any{
		"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component",
		"patches": []any{map[string]any{"target": target, "patch": string(text)}},
	}, nil
}

// containerNeeds is what our own chart gives its containers, as far as it is about the
// enclave and not about MariaDB.
func containerNeeds(r *topology.Release, d topology.Details) map[string]any {
	resource := r.Pod.SGXResource
	if resource == "" {
		resource = platform.SGXResources()[0]
	}
	c := map[string]any{
		"env":             environmentNeeds(r, d),
		"resources":       map[string]any{"limits": map[string]any{resource: 1}},
		"securityContext": map[string]any{"allowPrivilegeEscalation": false, "capabilities": map[string]any{"drop": []any{"ALL"}}},
	}
	var mounts []any
	for i, folder := range folders(d.Files) {
		mounts = append(mounts, map[string]any{"name": volumeName(i), "mountPath": folder})
	}
	if len(mounts) > 0 {
		c["volumeMounts"] = mounts
	}
	return c
}

func environmentNeeds(r *topology.Release, d topology.Details) []any {
	variable := func(name, value string) any { return map[string]any{"name": name, "value": value} }
	las := any(map[string]any{"name": lasAddress, "valueFrom": map[string]any{"fieldRef": map[string]any{"fieldPath": "status.hostIP"}}})
	if known := r.Pod.Environment[lasAddress]; known != "" {
		las = variable(lasAddress, known)
	}
	all := []any{variable(configID, d.ConfigID), variable(casAddress, d.CAS), las, variable(mode, "hw")}
	if d.Settings.Heap != "" {
		all = append(all, variable(heap, d.Settings.Heap))
	}
	if d.Settings.Dlopen != "" {
		all = append(all, variable(dlopen, d.Settings.Dlopen))
	}
	return all
}

// podNeeds is what is not of a container: the memory in which files are, and where the
// database's machines are those of the client, how its pods come there.
func podNeeds(r *topology.Release, d topology.Details) map[string]any {
	pod := map[string]any{"securityContext": map[string]any{"seccompProfile": map[string]any{"type": "RuntimeDefault"}}}
	var volumes []any
	for i := range folders(d.Files) {
		volumes = append(volumes, map[string]any{"name": volumeName(i), "emptyDir": map[string]any{"medium": "Memory", "sizeLimit": "1Mi"}})
	}
	if len(volumes) > 0 {
		pod["volumes"] = volumes
	}
	if d.Own {
		return pod
	}
	if p := r.Pod.Placement; len(p.NodeSelector) > 0 {
		pod["nodeSelector"] = p.NodeSelector
	}
	if p := r.Pod.Placement; len(p.Tolerations) > 0 {
		pod["tolerations"] = p.Tolerations
	}
	if p := r.Pod.Placement; p.NodeAffinity != nil {
		pod["affinity"] = map[string]any{"nodeAffinity": p.NodeAffinity}
	}
	return pod
}

func volumeName(i int) string {
	if i == 0 {
		return "confidb"
	}
	return fmt.Sprintf("confidb-%d", i+1)
}

// folders are those of the files that CAS gives a client, where an image has nothing of its
// own that a volume would hide.
func folders(files []topology.GivenFile) []string {
	var all []string
	for _, f := range files {
		folder := path.Dir(f.Path)
		if !slices.Contains(all, folder) && slices.ContainsFunc([]string{"/run/", "/var/run/", "/tmp/"}, func(prefix string) bool { return strings.HasPrefix(folder, prefix) }) {
			all = append(all, folder)
		}
	}
	return all
}
