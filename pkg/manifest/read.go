// Package manifest reads the objects that a chart makes, and judges them: what their
// pods run, whether that is what was promised, and whether what exists in a cluster is
// what was installed. It fetches nothing.
package manifest

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/confidb/confidb/pkg/topology"
)

// Object is one object of a manifest.
type Object struct {
	APIVersion, Kind, Namespace, Name string
	// Content is the whole object as encoding/json reads it.
	Content map[string]any
}

// Manifest are the objects of a chart, Lists taken apart.
type Manifest []Object

// maxDepth bounds how deep Lists may be in each other.
const maxDepth = 8

// Read reads a rendered chart, as Helm and kubectl do.
func Read(text []byte) (Manifest, error) {
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	var all Manifest
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		var content any
		if err == nil {
			err = single(document)
		}
		if err == nil {
			err = yaml.Unmarshal(document, &content)
		}
		if err == nil && content != nil {
			all, err = all.add(content, maxDepth)
		}
		if err != nil {
			return nil, fmt.Errorf("reading the rendered chart: %w", err)
		}
	}
}

// single refuses a text that holds more than one document: only the first would be read.
func single(document []byte) error {
	started := false
	for line := range bytes.Lines(document) {
		marker := bytes.HasPrefix(line, []byte("---")) || bytes.HasPrefix(line, []byte("...")) && len(bytes.TrimSpace(line)) == 3
		if marker && started {
			return errors.New("got a document inside a document")
		}
		if t := bytes.TrimSpace(line); len(t) > 0 && t[0] != '#' {
			started = true
		}
	}
	return nil
}

// add adds an object, or the items of a List.
func (m Manifest) add(content any, depth int) (Manifest, error) {
	fields, ok := content.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("got %T, want an object", content)
	}
	o := Object{Content: fields}
	o.APIVersion, _ = fields["apiVersion"].(string)
	o.Kind, _ = fields["kind"].(string)
	metadata, _ := fields["metadata"].(map[string]any)
	o.Name, _ = metadata["name"].(string)
	o.Namespace, _ = metadata["namespace"].(string)
	if o.Kind == "" || o.APIVersion == "" {
		return nil, fmt.Errorf("got an object %q without kind or apiVersion", o.Name)
	}
	items, isList := fields["items"].([]any)
	if !isList || !strings.HasSuffix(o.Kind, "List") {
		return append(m, o), nil
	}
	if depth == 0 {
		return nil, fmt.Errorf("got Lists more than %d deep", maxDepth)
	}
	var err error
	for _, item := range items {
		if of := strings.TrimSuffix(o.Kind, "List"); of != "" { // StatefulSetList: items may leave out what they are
			if f, ok := item.(map[string]any); ok {
				f["kind"], f["apiVersion"] = cmp.Or[any](f["kind"], of), cmp.Or[any](f["apiVersion"], o.APIVersion)
			}
		}
		if m, err = m.add(item, depth-1); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// GroupKind is KIND.GROUP, or KIND for the core group.
func (o Object) GroupKind() string {
	if group, _, ok := strings.Cut(o.APIVersion, "/"); ok {
		return o.Kind + "." + group
	}
	return o.Kind
}

// String is KIND/NAME.
func (o Object) String() string { return o.Kind + "/" + o.Name }

// Hooks are the moments at which Helm runs the object; none for an object that stays.
func (o Object) Hooks() []string {
	metadata, _ := o.Content["metadata"].(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	text, _ := annotations["helm.sh/hook"].(string)
	var events []string
	for event := range strings.SplitSeq(text, ",") {
		if event = strings.TrimSpace(event); event != "" {
			events = append(events, event)
		}
	}
	return events
}

// testOnly reports whether only helm test starts the object.
func (o Object) testOnly() bool {
	hooks := o.Hooks()
	return len(hooks) > 0 && !slices.ContainsFunc(hooks, func(event string) bool {
		return !slices.Contains([]string{"test", "test-success", "test-failure"}, event)
	})
}

// Kinds that make pods.
const (
	kindPod         = "Pod"
	kindController  = "ReplicationController"
	kindStatefulSet = "StatefulSet.apps"
	kindDeployment  = "Deployment.apps"
	kindDaemonSet   = "DaemonSet.apps"
	kindReplicaSet  = "ReplicaSet.apps"
	kindJob         = "Job.batch"
	kindCronJob     = "CronJob.batch"
	kindService     = "Service"
)

// Kinds that say who may reach pods, how many may be missing, and what they read.
const (
	kindNetworkPolicy = "NetworkPolicy.networking.k8s.io"
	kindBudget        = "PodDisruptionBudget.policy"
	kindConfigMap     = "ConfigMap"
)

// idle are the kinds of objects that start nothing by themselves, and send no traffic
// elsewhere.
func idle() []string {
	return []string{
		kindService, kindConfigMap, "Secret", "ServiceAccount", "PersistentVolumeClaim", "PersistentVolume", "LimitRange", "ResourceQuota", "Namespace",
		"Role.rbac.authorization.k8s.io", "RoleBinding.rbac.authorization.k8s.io", "ClusterRole.rbac.authorization.k8s.io", "ClusterRoleBinding.rbac.authorization.k8s.io",
		kindNetworkPolicy, "Ingress.networking.k8s.io", kindBudget, "HorizontalPodAutoscaler.autoscaling",
		"PriorityClass.scheduling.k8s.io", "StorageClass.storage.k8s.io", "CustomResourceDefinition.apiextensions.k8s.io",
	}
}

// typed reads the object as one of the API. It reads names of members as an API server
// does, exactly: encoding/json takes containerſ for containers.
func typed[T any](o Object) (*T, error) {
	text, err := json.Marshal(o.Content)
	if err != nil {
		return nil, err
	}
	into := new(T)
	if err := utiljson.Unmarshal(text, into); err != nil {
		return nil, fmt.Errorf("%s: %w", o, err)
	}
	return into, nil
}

// maker is an object that makes pods, as far as it matters here.
type maker struct {
	Object
	template corev1.PodTemplateSpec
	// replicas is how many pods it makes; -1 is not known. start is the number of the first,
	// where they are numbered.
	replicas, start int32
	selector        map[string]string
	claims          []corev1.PersistentVolumeClaim
}

// maker returns what the object starts, or nil if it starts nothing.
func (o Object) maker() (*maker, error) {
	m := &maker{Object: o, replicas: 1}
	switch o.GroupKind() {
	case kindPod:
		p, err := typed[corev1.Pod](o)
		if err != nil {
			return nil, err
		}
		m.template = corev1.PodTemplateSpec{ObjectMeta: p.ObjectMeta, Spec: p.Spec}
	case kindStatefulSet:
		s, err := typed[appsv1.StatefulSet](o)
		if err != nil {
			return nil, err
		}
		m.template, m.claims = s.Spec.Template, s.Spec.VolumeClaimTemplates
		m.count(s.Spec.Replicas)
		if s.Spec.Ordinals != nil {
			m.start = s.Spec.Ordinals.Start
		}
		if s.Spec.Selector != nil {
			m.selector = s.Spec.Selector.MatchLabels
		}
	case kindDeployment, kindReplicaSet, kindDaemonSet:
		d, err := typed[appsv1.Deployment](o) // what these kinds have in common
		if err != nil {
			return nil, err
		}
		m.template = d.Spec.Template
		m.count(d.Spec.Replicas)
		if d.Spec.Selector != nil {
			m.selector = d.Spec.Selector.MatchLabels
		}
		if o.GroupKind() == kindDaemonSet {
			m.replicas = -1
		}
	case kindController:
		c, err := typed[corev1.ReplicationController](o)
		if err != nil || c.Spec.Template == nil {
			return nil, cmp.Or(err, fmt.Errorf("%s: got no template", o))
		}
		m.template, m.selector = *c.Spec.Template, c.Spec.Selector
		m.count(c.Spec.Replicas)
	case kindJob:
		j, err := typed[batchv1.Job](o)
		if err != nil {
			return nil, err
		}
		m.template, m.replicas = j.Spec.Template, -1
	case kindCronJob:
		c, err := typed[batchv1.CronJob](o)
		if err != nil {
			return nil, err
		}
		m.template, m.replicas = c.Spec.JobTemplate.Spec.Template, -1
	default:
		return nil, nil
	}
	return m, nil
}

func (m *maker) count(replicas *int32) {
	if replicas != nil {
		m.replicas = *replicas
	}
}

// makers are the objects that make pods, but for those that only helm test starts.
func (m Manifest) makers() ([]*maker, error) {
	var all []*maker
	for _, o := range m {
		if o.testOnly() {
			continue
		}
		made, err := o.maker()
		if err != nil {
			return nil, fmt.Errorf("reading the rendered chart: %w", err)
		}
		if made != nil {
			all = append(all, made)
		}
	}
	return all, nil
}

// lasting are the kinds of objects whose pods are kept running.
func lasting() []string { return []string{kindStatefulSet, kindDeployment, kindDaemonSet} }

// Workloads lists what makes the lasting pods.
func (m Manifest) Workloads() []topology.Workload {
	var all []topology.Workload
	for _, o := range m {
		if slices.Contains(lasting(), o.GroupKind()) && !o.testOnly() {
			all = append(all, topology.Workload{Kind: o.Kind, Name: o.Name})
		}
	}
	return all
}

// Watched are the objects that are compared with what exists: those that make lasting
// pods, Services, what says who may reach pods and how many may be missing, and the
// ConfigMaps that pods read.
func (m Manifest) Watched() Manifest {
	compared := append(lasting(), kindReplicaSet, kindController, kindCronJob, kindService, kindNetworkPolicy, kindBudget)
	read := m.readByPods()
	return slices.DeleteFunc(slices.Clone(m), func(o Object) bool {
		watched := slices.Contains(compared, o.GroupKind()) || o.GroupKind() == kindConfigMap && read[o.Name]
		return !watched || len(o.Hooks()) > 0
	})
}

// readByPods are the names of the ConfigMaps that pods of the manifest read.
func (m Manifest) readByPods() map[string]bool {
	read := map[string]bool{}
	makers, err := m.makers()
	if err != nil {
		return read // what cannot be read was refused, and is a finding of whoever judges
	}
	for _, made := range makers {
		for _, v := range made.template.Spec.Volumes {
			if v.ConfigMap != nil {
				read[v.ConfigMap.Name] = true
			}
			if v.Projected == nil {
				continue
			}
			for _, source := range v.Projected.Sources {
				if source.ConfigMap != nil {
					read[source.ConfigMap.Name] = true
				}
			}
		}
		for _, c := range containersOf(&made.template.Spec) {
			for _, v := range c.Env {
				if v.ValueFrom != nil && v.ValueFrom.ConfigMapKeyRef != nil {
					read[v.ValueFrom.ConfigMapKeyRef.Name] = true
				}
			}
			for _, from := range c.EnvFrom {
				if from.ConfigMapRef != nil {
					read[from.ConfigMapRef.Name] = true
				}
			}
		}
	}
	return read
}

// Workloads lists what makes the lasting pods of a rendered chart.
func Workloads(manifests []byte) ([]topology.Workload, error) {
	m, err := Read(manifests)
	return m.Workloads(), err
}

// canonical is the object as JSON with sorted members.
func (o Object) canonical() []byte {
	text, err := json.Marshal(o.Content)
	if err != nil {
		return []byte(err.Error()) // not possible: what was decoded can be encoded
	}
	return text
}

// Passing are the hooks, which Helm runs once and keeps apart.
func (m Manifest) Passing() Manifest {
	return slices.DeleteFunc(slices.Clone(m), func(o Object) bool { return len(o.Hooks()) == 0 })
}

// JSON is the whole object.
func (o Object) JSON() []byte { return o.canonical() }

// sorted are the objects in an order that does not depend on that of the chart's files.
func (m Manifest) sorted() Manifest {
	return slices.SortedFunc(slices.Values(m), func(a, b Object) int {
		return cmp.Or(cmp.Compare(a.APIVersion, b.APIVersion), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name),
			bytes.Compare(a.canonical(), b.canonical()))
	})
}

// Digest is the SHA-256 over the canonical objects, one a line, in hex: all but hooks,
// which Helm keeps apart.
func (m Manifest) Digest() string {
	sum := sha256.New()
	for _, o := range m.sorted() {
		if len(o.Hooks()) > 0 {
			continue
		}
		sum.Write(o.canonical())
		sum.Write([]byte("\n"))
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// Record is what is kept of a manifest: all but what Secrets hold.
func (m Manifest) Record() topology.Installed {
	installed := topology.Installed{Digest: m.Digest()}
	for _, o := range m.sorted() {
		if o.GroupKind() == "Secret" {
			fields := map[string]any{}
			for name, value := range o.Content {
				if name != "data" && name != "stringData" {
					fields[name] = value
				}
			}
			o.Content = fields
		}
		installed.Objects = append(installed.Objects, o.canonical())
	}
	return installed
}

// Recorded reads what a record holds. It is empty for a record without objects.
func Recorded(installed topology.Installed) (Manifest, error) {
	var all Manifest
	for _, text := range installed.Objects {
		var content any
		err := json.Unmarshal(text, &content)
		if err == nil {
			all, err = all.add(content, 0)
		}
		if err != nil {
			return nil, fmt.Errorf("reading the recorded objects: %w", err)
		}
	}
	return all, nil
}
