package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/confidb/confidb/pkg/evidence"
)

// page is how many objects one question asks for, and maxObjects bounds how many are
// read in all.
const (
	page       = 500
	maxObjects = 50_000
)

// pages asks until the API server has no more.
func pages[T any](list func(o metav1.ListOptions) (items []T, next string, err error)) ([]T, error) {
	o := metav1.ListOptions{Limit: page}
	var all []T
	for {
		items, next, err := list(o)
		if err != nil {
			return nil, err
		}
		all = append(all, items...)
		if next == "" {
			return all, nil
		}
		if len(all) >= maxObjects {
			return nil, fmt.Errorf("got more than %d objects", maxObjects)
		}
		o.Continue = next
	}
}

// Pods lists all pods of a namespace.
func (c *Cluster) Pods(ctx context.Context, namespace string) ([]evidence.Pod, error) {
	found, err := pages(func(o metav1.ListOptions) ([]corev1.Pod, string, error) {
		list, err := c.clientset.CoreV1().Pods(namespace).List(ctx, o)
		if err != nil {
			return nil, "", err
		}
		return list.Items, list.Continue, nil
	})
	if err != nil {
		return nil, unread(err, namespace)
	}
	var all []evidence.Pod
	for _, p := range found {
		all = append(all, podEvidence(&p))
	}
	return all, nil
}

func podEvidence(p *corev1.Pod) evidence.Pod {
	e := evidence.Pod{Name: p.Name, Labels: p.Labels, Annotations: p.Annotations, Spec: p.Spec, Ready: isReady(p), Ending: p.DeletionTimestamp != nil, Finished: finished(p)}
	for _, o := range p.OwnerReferences {
		e.Owners = append(e.Owners, o.Kind+"/"+o.Name)
	}
	for _, ip := range p.Status.PodIPs {
		e.Addresses = append(e.Addresses, ip.IP)
	}
	return e
}

// Object reads an object of a namespace as it exists, as JSON; null is one that does
// not exist.
func (c *Cluster) Object(ctx context.Context, namespace, kind, name string) (json.RawMessage, error) {
	var object runtime.Object
	var err error
	o := metav1.GetOptions{}
	switch kind {
	case "StatefulSet":
		object, err = c.clientset.AppsV1().StatefulSets(namespace).Get(ctx, name, o)
	case "Deployment":
		object, err = c.clientset.AppsV1().Deployments(namespace).Get(ctx, name, o)
	case "DaemonSet":
		object, err = c.clientset.AppsV1().DaemonSets(namespace).Get(ctx, name, o)
	case "ReplicaSet":
		object, err = c.clientset.AppsV1().ReplicaSets(namespace).Get(ctx, name, o)
	case "ReplicationController":
		object, err = c.clientset.CoreV1().ReplicationControllers(namespace).Get(ctx, name, o)
	case "CronJob":
		object, err = c.clientset.BatchV1().CronJobs(namespace).Get(ctx, name, o)
	case "Service":
		object, err = c.clientset.CoreV1().Services(namespace).Get(ctx, name, o)
	case "ConfigMap":
		object, err = c.clientset.CoreV1().ConfigMaps(namespace).Get(ctx, name, o)
	case "NetworkPolicy":
		object, err = c.clientset.NetworkingV1().NetworkPolicies(namespace).Get(ctx, name, o)
	case "PodDisruptionBudget":
		object, err = c.clientset.PolicyV1().PodDisruptionBudgets(namespace).Get(ctx, name, o)
	default:
		return nil, fmt.Errorf("reading %s %s: this program reads no objects of this kind", kind, name)
	}
	switch {
	case apierrors.IsNotFound(err):
		return json.RawMessage("null"), nil
	case err != nil:
		return nil, unread(err, namespace)
	}
	return json.Marshal(object)
}

// Endpoints lists the ends of a Service.
func (c *Cluster) Endpoints(ctx context.Context, namespace, service string) ([]evidence.Endpoint, error) {
	slicesOf, err := pages(func(o metav1.ListOptions) ([]discoveryv1.EndpointSlice, string, error) {
		o.LabelSelector = discoveryv1.LabelServiceName + "=" + service
		list, err := c.clientset.DiscoveryV1().EndpointSlices(namespace).List(ctx, o)
		if err != nil {
			return nil, "", err
		}
		return list.Items, list.Continue, nil
	})
	if err != nil {
		return nil, unread(err, namespace)
	}
	var all []evidence.Endpoint
	for _, s := range slicesOf {
		for _, e := range s.Endpoints {
			all = append(all, endEvidence(s, e))
		}
	}
	return all, nil
}

func endEvidence(s discoveryv1.EndpointSlice, e discoveryv1.Endpoint) evidence.Endpoint {
	end := evidence.Endpoint{Addresses: slices.Clone(e.Addresses), Ready: e.Conditions.Ready == nil || *e.Conditions.Ready} // nil is to be taken as ready
	if e.TargetRef != nil && e.TargetRef.Kind == "Pod" {
		end.Pod = e.TargetRef.Name
	}
	for _, p := range s.Ports {
		if p.Port != nil {
			end.Ports = append(end.Ports, *p.Port)
		}
	}
	return end
}

// unread adds to a refusal the role of a verification, which asks for all of this.
func unread(err error, namespace string) error {
	if apierrors.IsForbidden(err) {
		return &ForbiddenError{role{"confidb-verify", false, verifyRights()}, namespace, err}
	}
	return err
}
