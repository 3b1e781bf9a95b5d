package machines

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/confidb/confidb/pkg/platform"
)

// Fetch reads all sources. Sources that are refused or not installed are left out
// and noted; any other failure is an error, because half an answer looks whole.
func (c *Cluster) Fetch(ctx context.Context, o Options) (*platform.Observation, error) {
	seen := &platform.Observation{Claims: slices.Clone(o.File), Quotes: o.Quotes}
	var err error
	if seen.Nodes, err = c.listNodes(ctx, "nodes", ""); err != nil {
		return nil, err
	}
	if c.Resources != nil {
		err = c.fetchResources(ctx, seen)
		if err = noteRefusal(seen, err); err != nil {
			return nil, err
		}
	}
	err = c.fetchPods(ctx, seen, o.LASNamespace)
	if err = noteRefusal(seen, err); err != nil {
		return nil, err
	}
	return seen, nil
}

// noteRefusal notes a refusal and passes other errors on.
func noteRefusal(seen *platform.Observation, err error) error {
	var forbidden *platform.ForbiddenError
	if !errors.As(err, &forbidden) {
		return err
	}
	seen.Refused = append(seen.Refused, forbidden)
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
			return nil, &platform.ForbiddenError{Doing: "listing " + what, Err: err}
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

// Labelled returns the names of the nodes of the cluster behind getter that a label
// selector selects; nil without a selector, when it asks nobody.
func Labelled(ctx context.Context, getter genericclioptions.RESTClientGetter, selector string) (map[string]bool, error) {
	if selector == "" {
		return nil, nil
	}
	c, err := New(getter)
	if err != nil {
		return nil, err
	}
	nodes, err := c.listNodes(ctx, fmt.Sprintf("nodes with labels %q", selector), selector)
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for _, n := range nodes {
		names[n.Name] = true
	}
	return names, nil
}

// listNodes lists the nodes that a selector selects; what says which, for errors.
func (c *Cluster) listNodes(ctx context.Context, what, selector string) ([]platform.NodeFacts, error) {
	return each(ctx, what, func(options metav1.ListOptions) ([]platform.NodeFacts, string, error) {
		options.LabelSelector = selector
		page, err := c.Clientset.CoreV1().Nodes().List(ctx, options)
		if err != nil {
			return nil, "", err
		}
		facts := make([]platform.NodeFacts, 0, len(page.Items))
		for i := range page.Items {
			facts = append(facts, nodeFacts(&page.Items[i]))
		}
		return facts, page.Continue, nil
	})
}

// nodeFacts reduces a node. A capacity of zero counts as SGX too: it is what the
// kubelet shows after the device plugin has gone, and such a node must be seen.
func nodeFacts(node *corev1.Node) platform.NodeFacts {
	facts := platform.NodeFacts{Name: node.Name, Cordoned: node.Spec.Unschedulable, System: systemOf(node)}
	for _, label := range platform.SGXLabels() {
		facts.SGX = facts.SGX || node.Labels[label] == "true"
	}
	for _, name := range platform.SGXResources() {
		capacity, ok := node.Status.Capacity[corev1.ResourceName(name)]
		if !ok {
			continue
		}
		allocatable := node.Status.Allocatable[corev1.ResourceName(name)]
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

func systemOf(node *corev1.Node) platform.System {
	info := &node.Status.NodeInfo
	return platform.System{KernelVersion: info.KernelVersion, OSImage: info.OSImage, BootID: info.BootID}
}
