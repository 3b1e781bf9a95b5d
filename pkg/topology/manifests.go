package topology

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/confidb/confidb/pkg/platform"
)

// ManifestError means that the rendered chart would start something that does not
// run as promised.
type ManifestError struct{ Object, Container, Problem string }

func (e *ManifestError) Error() string {
	if e.Container == "" {
		return fmt.Sprintf("rendered chart: %s", e.Problem)
	}
	return fmt.Sprintf("rendered chart: %s: container %s: %s", e.Object, e.Container, e.Problem)
}

// Hint says where such values come from.
func (e *ManifestError) Hint() string {
	return "Look at the chart's values (helm show values), and name other keys for the session, the CAS and the LAS."
}

// CheckManifests reads a rendered chart before it is installed: every container
// must run under the database session with this CAS, ask a LAS and have SGX. It
// returns how a client of the database is to be started: as the database's own
// container is.
func CheckManifests(manifests []byte, session, casAddress string) (*Pod, error) {
	pods, err := podsOf(manifests)
	if err != nil {
		return nil, err
	}
	var client *Pod
	for _, pod := range pods {
		for _, c := range slices.Concat(pod.spec.InitContainers, pod.spec.Containers) {
			if problem := containerProblem(&c, session, casAddress); problem != "" {
				return nil, &ManifestError{Object: pod.object, Container: c.Name, Problem: problem}
			}
		}
		if client == nil && len(pod.spec.Containers) > 0 {
			client = clientOf(pod.spec)
		}
	}
	if client == nil {
		return nil, &ManifestError{Problem: "got no pod, want one that runs MariaDB"}
	}
	return client, nil
}

// Workload is an object of a release that makes pods.
type Workload struct{ Kind, Name string }

// Workloads lists what makes the lasting pods of a rendered chart.
func Workloads(manifests []byte) ([]Workload, error) {
	pods, err := podsOf(manifests)
	if err != nil {
		return nil, err
	}
	var all []Workload
	for _, p := range pods {
		kind, name, _ := strings.Cut(p.object, "/")
		if slices.Contains([]string{"Deployment", "StatefulSet", "DaemonSet"}, kind) {
			all = append(all, Workload{kind, name})
		}
	}
	return all, nil
}

// pod is what a manifest says of the pods that it makes.
type pod struct {
	object string
	spec   *corev1.PodSpec
}

func podsOf(manifests []byte) ([]pod, error) {
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(manifests)))
	var pods []pod
	for {
		var object struct {
			metav1.TypeMeta   `json:",inline"`
			metav1.ObjectMeta `json:"metadata"`
			Spec              json.RawMessage `json:"spec"`
		}
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return pods, nil
		}
		if err == nil {
			err = yaml.Unmarshal(document, &object)
		}
		if err != nil {
			return nil, fmt.Errorf("reading the rendered chart: %w", err)
		}
		if strings.HasPrefix(object.Annotations["helm.sh/hook"], "test") && !strings.Contains(object.Annotations["helm.sh/hook"], ",") {
			continue // only helm test starts it
		}
		spec, err := podSpec(object.Kind, object.Spec)
		if err != nil {
			return nil, fmt.Errorf("reading the rendered chart: %s/%s: %w", object.Kind, object.Name, err)
		}
		if spec != nil {
			pods = append(pods, pod{object.Kind + "/" + object.Name, spec})
		}
	}
}

// podSpec returns what an object of this kind starts, or nil if it starts nothing.
func podSpec(kind string, raw json.RawMessage) (*corev1.PodSpec, error) {
	var template struct {
		Template corev1.PodTemplateSpec `json:"template"`
	}
	switch kind {
	case "Pod":
		return &template.Template.Spec, json.Unmarshal(raw, &template.Template.Spec)
	case "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job":
		return &template.Template.Spec, json.Unmarshal(raw, &template)
	case "CronJob":
		var cron struct {
			JobTemplate struct {
				Spec json.RawMessage `json:"spec"`
			} `json:"jobTemplate"`
		}
		if err := json.Unmarshal(raw, &cron); err != nil {
			return nil, err
		}
		return podSpec("Job", cron.JobTemplate.Spec)
	}
	return nil, nil
}

func containerProblem(c *corev1.Container, session, casAddress string) string {
	id := variable(c, "SCONE_CONFIG_ID")
	switch {
	case id == nil:
		return "SCONE_CONFIG_ID is not set: it would run without attestation"
	case id.Value != session && !strings.HasPrefix(id.Value, session+"/"):
		return fmt.Sprintf("SCONE_CONFIG_ID: got %q, want session %s", id.Value, session)
	}
	if cas := variable(c, "SCONE_CAS_ADDR"); cas == nil || cas.Value != casAddress {
		return fmt.Sprintf("SCONE_CAS_ADDR: got %s, want %s", describe(cas), casAddress)
	}
	if las := variable(c, "SCONE_LAS_ADDR"); las == nil || las.Value == "" && las.ValueFrom == nil {
		return fmt.Sprintf("SCONE_LAS_ADDR: got %s, want the address of a LAS", describe(las))
	}
	if sgxResource(c) == "" {
		return "it has no SGX resource; want a limit of " + strings.Join(platform.SGXResources(), " or ")
	}
	return ""
}

// variable returns the last setting of a variable, which is the one that counts.
func variable(c *corev1.Container, name string) *corev1.EnvVar {
	for _, v := range slices.Backward(c.Env) {
		if v.Name == name {
			return &v
		}
	}
	return nil
}

func describe(v *corev1.EnvVar) string {
	switch {
	case v == nil:
		return "nothing"
	case v.ValueFrom != nil:
		return "a reference"
	}
	return fmt.Sprintf("%q", v.Value)
}

func sgxResource(c *corev1.Container) string {
	for _, name := range platform.SGXResources() {
		if q, ok := c.Resources.Limits[corev1.ResourceName(name)]; ok && !q.IsZero() {
			return name
		}
	}
	return ""
}

// clientOf takes over from the database's container what makes an enclave: a
// client has the same image and the same settings of SCONE's runtime.
func clientOf(spec *corev1.PodSpec) *Pod {
	c := &spec.Containers[0]
	client := &Pod{Image: c.Image, SGXResource: sgxResource(c), Environment: map[string]string{}, Placement: PlacementOf(spec, c)}
	for _, v := range c.Env {
		if strings.HasPrefix(v.Name, "SCONE_") && v.ValueFrom == nil && v.Name != "SCONE_CONFIG_ID" {
			client.Environment[v.Name] = v.Value
		}
	}
	for _, s := range spec.ImagePullSecrets {
		client.PullSecrets = append(client.PullSecrets, s.Name)
	}
	return client
}
