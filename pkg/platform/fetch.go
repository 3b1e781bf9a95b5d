package platform

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/confidb/confidb/pkg/attest"
)

// Observation is what the sources say, before anybody decides what it means.
type Observation struct {
	Nodes  []NodeFacts
	Pods   []PodFacts
	Claims []Claim
	// Quotes are what verified quotes say of nodes.
	Quotes []Quote
	// PodsListed is true if the LAS pods could be listed. If it is false, no pod
	// says nothing about LAS.
	PodsListed bool
	// Refused are the sources that the cluster did not let us read.
	Refused []*ForbiddenError
	// Unreadable are single values of a source that are no platform IDs.
	Unreadable []string
}

// NodeFacts are the few facts of a node that matter here; a cluster of 5,000
// nodes must not be kept in memory as a whole.
type NodeFacts struct {
	Name                              string
	SGX, Ready, Cordoned, Allocatable bool // Allocatable: some SGX resource is
	Resources                         []string
	System
}

// PodFacts are those of a LAS pod.
type PodFacts struct {
	Namespace, Name, Node string
	// Trouble says why the pod does not run; empty if it does.
	Trouble string
	// LogError says why its log could not be read; empty if it was.
	LogError string

	containers []string
}

// Claim is that a source gives a node this ID.
type Claim struct {
	Node   string
	ID     attest.PlatformID
	Source Source
	// Origin is the place in the source: file and line, resource, or pod.
	Origin string
	// Namespace is that of the pod of a SourceLog.
	Namespace string
}

// Fetch reads all sources. Sources that are refused or not installed are left out
// and noted; any other failure is an error, because half an answer looks whole.
func Fetch(ctx context.Context, clientset kubernetes.Interface, resources dynamic.Interface, o Options) (*Observation, error) {
	seen := &Observation{Claims: slices.Clone(o.File), Quotes: o.Quotes}
	var err error
	if seen.Nodes, err = fetchNodes(ctx, clientset); err != nil {
		return nil, err
	}
	if resources != nil {
		err = seen.fetchResources(ctx, resources)
		if err = seen.refused(err); err != nil {
			return nil, err
		}
	}
	err = seen.fetchPods(ctx, clientset, o.LASNamespace)
	if err = seen.refused(err); err != nil {
		return nil, err
	}
	return seen, nil
}

// refused notes a refusal and passes other errors on.
func (o *Observation) refused(err error) error {
	var forbidden *ForbiddenError
	if !errors.As(err, &forbidden) {
		return err
	}
	o.Refused = append(o.Refused, forbidden)
	return nil
}

// pageSize is how many objects one answer of the API server has at most.
const pageSize = 500

// maxRestarts is how often a list is started again because it took so long that
// the API server forgot where it was.
const maxRestarts = 3

// each lists in pages and keeps only what convert makes of them.
func each[T any](ctx context.Context, what string, list func(metav1.ListOptions) (page []T, next string, err error)) ([]T, error) {
	var all []T
	options := metav1.ListOptions{Limit: pageSize}
	for restarts := 0; ; {
		page, next, err := list(options)
		switch {
		case apierrors.IsResourceExpired(err) && options.Continue != "" && restarts < maxRestarts:
			all, options.Continue = nil, ""
			restarts++
			continue
		case apierrors.IsForbidden(err):
			return nil, &ForbiddenError{Doing: "listing " + what, Err: err}
		case err != nil:
			return nil, fmt.Errorf("listing %s: %w", what, late(ctx, err))
		}
		all = append(all, page...)
		if options.Continue = next; next == "" {
			return all, nil
		}
	}
}

// late makes an error that came of a time limit one by which that can be seen:
// client-go does not always wrap it.
func late(ctx context.Context, err error) error {
	if ctx.Err() == nil || errors.Is(err, ctx.Err()) {
		return err
	}
	return fmt.Errorf("%w: %v", ctx.Err(), err)
}

func fetchNodes(ctx context.Context, clientset kubernetes.Interface) ([]NodeFacts, error) {
	return each(ctx, "nodes", func(options metav1.ListOptions) ([]NodeFacts, string, error) {
		page, err := clientset.CoreV1().Nodes().List(ctx, options)
		if err != nil {
			return nil, "", err
		}
		facts := make([]NodeFacts, 0, len(page.Items))
		for i := range page.Items {
			facts = append(facts, nodeFacts(&page.Items[i]))
		}
		return facts, page.Continue, nil
	})
}

// sgxLabels and sgxResources are what a node with SGX has one of.
func sgxLabels() []string { return []string{"sgx.intel.com/capable", "las.scontain.com/ok"} }

func sgxResources() []corev1.ResourceName {
	return []corev1.ResourceName{"sgx.intel.com/enclave", "sgx.intel.com/epc", "sgx.k8s.io/sgx", "sgx.k8s.io/dcap"}
}

// nodeFacts reduces a node. A capacity of zero counts as SGX too: it is what the
// kubelet shows after the device plugin has gone, and such a node must be seen.
func nodeFacts(node *corev1.Node) NodeFacts {
	facts := NodeFacts{Name: node.Name, Cordoned: node.Spec.Unschedulable, System: systemOf(node)}
	for _, label := range sgxLabels() {
		facts.SGX = facts.SGX || node.Labels[label] == "true"
	}
	for _, name := range sgxResources() {
		capacity, ok := node.Status.Capacity[name]
		if !ok {
			continue
		}
		allocatable := node.Status.Allocatable[name]
		facts.SGX = true
		facts.Allocatable = facts.Allocatable || allocatable.Sign() > 0
		facts.Resources = append(facts.Resources, fmt.Sprintf("%s=%s/%s", name, allocatable.String(), capacity.String()))
	}
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady {
			facts.Ready = c.Status == corev1.ConditionTrue
		}
	}
	return facts
}

func systemOf(node *corev1.Node) System {
	info := &node.Status.NodeInfo
	return System{KernelVersion: info.KernelVersion, OSImage: info.OSImage, BootID: info.BootID}
}
