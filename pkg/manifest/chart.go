package manifest

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/platform"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/topology"
)

func noTime() metav1.Time { return metav1.Time{} }

func resourceNames() []string { return platform.SGXResources() }

// ManifestError means that the rendered chart would start something that does not
// run as promised.
type ManifestError struct {
	Object, Container, Problem string
	// Deviation is the name under which a policy can accept it; empty if none can.
	Deviation attest.Deviation
	hint      string
	// More are further problems, one a line.
	More []string
}

// maxMore is how many further problems are told.
const maxMore = 30

func (e *ManifestError) Error() string {
	lines := append([]string{e.first()}, e.More[:min(len(e.More), maxMore)]...)
	if more := len(e.More) - maxMore; more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(lines, "\n")
}

// first is the first problem.
func (e *ManifestError) first() string {
	switch {
	case e.Object == "":
		return "rendered chart: " + e.Problem
	case e.Container == "":
		return fmt.Sprintf("rendered chart: %s: %s", e.Object, e.Problem)
	}
	return fmt.Sprintf("rendered chart: %s: container %s: %s", e.Object, e.Container, e.Problem)
}

// Hint says where such values come from, or by which name they can be accepted.
func (e *ManifestError) Hint() string {
	switch {
	case e.hint != "":
		return e.hint
	case e.Deviation != "":
		return "Change the chart's values; or name " + string(e.Deviation) + " under accept-deviations of the policy if you can live with it."
	}
	return "Look at the chart's values (helm show values), and name other keys for the session, the CAS and the LAS."
}

// Checked is a manifest that may be installed.
type Checked struct {
	Manifest Manifest
	// Client says how a client of the database is started: as the database is.
	Client topology.Pod
	// Accepted are the deviations that the policy names, in words.
	Accepted []string
}

// Check reads a rendered chart and refuses it if anything in it would run otherwise
// than promised: pods outside the session, objects of which it is not known what they
// run, objects of other namespaces.
func (p Promise) Check(text []byte) (*Checked, error) {
	m, err := Read(text)
	if err != nil {
		return nil, err
	}
	for _, o := range m {
		if err := p.checkObject(o); err != nil {
			return nil, err
		}
	}
	makers, err := m.makers()
	if err != nil {
		return nil, err
	}
	checked := &Checked{Manifest: m}
	var client *found
	var wrong *ManifestError
	for _, made := range makers {
		refused, accepted := p.Refused(append(p.template(made, m), annotationProblems(made.template.Annotations, made.template.Annotations)...))
		for _, problem := range refused {
			e := &ManifestError{Object: made.String(), Container: problem.Container, Problem: problem.Text, Deviation: problem.Deviation}
			if wrong == nil {
				wrong = e
				continue
			}
			wrong.More = append(wrong.More, e.first())
		}
		for _, problem := range accepted {
			checked.Accepted = append(checked.Accepted, made.String()+": "+problem.String()+" ("+string(problem.Deviation)+")")
		}
		client = client.or(p.client(made))
	}
	if wrong != nil {
		return nil, wrong
	}
	if client == nil {
		return nil, &ManifestError{Problem: "got no pod, want one that runs MariaDB"}
	}
	checked.Client = client.Pod
	return checked, nil
}

// checkObject refuses objects that make pods of which nothing can be said.
func (p Promise) checkObject(o Object) error {
	kind := o.GroupKind()
	makesPods := slices.Contains([]string{kindPod, kindController, kindStatefulSet, kindDeployment, kindDaemonSet, kindReplicaSet, kindJob, kindCronJob}, kind)
	if (makesPods || kind == kindService) && o.Namespace != "" && p.Namespace != "" && o.Namespace != p.Namespace {
		return &ManifestError{Object: o.String(), Problem: fmt.Sprintf("namespace: got %q, want %q, where it is verified", o.Namespace, p.Namespace), hint: "Set the chart's values so that everything is in the release's namespace."}
	}
	if makesPods || slices.Contains(idle(), kind) || slices.Contains(p.AllowedKinds, kind) {
		return nil
	}
	return &ManifestError{
		Object: o.String(), Problem: fmt.Sprintf("it is not known what an object of the kind %s runs", kind),
		hint: "Leave it out by the chart's values; or, if you know that it runs nothing beside the database, allow it: {install --allow-kind " + kind + "}",
	}
}

// found is how a client would be started, and how sure it is that the container that this is
// taken from runs MariaDB: 2 for a service that admits it, 1 for the session of the
// database, 0 for another enclave.
type found struct {
	topology.Pod
	sure int
}

// or is the better of two, the first of equal ones.
func (f *found) or(other *found) *found {
	if f == nil || other != nil && other.sure > f.sure {
		return other
	}
	return f
}

// client takes over from the database's container what makes an enclave: a client has
// the same image and the same settings of SCONE's runtime. Where no container of a chart
// runs under the session of the database, it is the first one that is an enclave and no
// MaxScale; nil if there is none.
func (p Promise) client(m *maker) *found {
	names, _ := m.names()
	var best *found
	for _, c := range m.template.Spec.Containers {
		if len(names) == 0 || !isEnclave(&c) || isMaxScale(&c) {
			continue
		}
		sure := 0
		services, problem := Promise{Database: p.Database}.services(environmentOf(&c, names[0]))
		switch {
		case problem != "":
		case slices.ContainsFunc(services, func(s session.Service) bool { return admitsOne(s, p.Enclaves[topology.EnclaveServer]) }):
			sure = 2
		default:
			sure = 1
		}
		best = best.or(&found{clientOf(&m.template.Spec, &c), sure})
	}
	return best
}

// clientOf is a client that is started as a container is.
func clientOf(spec *corev1.PodSpec, c *corev1.Container) topology.Pod {
	client := topology.Pod{Image: c.Image, SGXResource: sgxResource(c), Environment: map[string]string{}, Placement: topology.PlacementOf(spec, c)}
	for _, v := range c.Env {
		if strings.HasPrefix(v.Name, "SCONE_") && v.ValueFrom == nil && v.Name != configID {
			client.Environment[v.Name] = v.Value
		}
	}
	for _, s := range spec.ImagePullSecrets {
		client.PullSecrets = append(client.PullSecrets, s.Name)
	}
	return client
}
