package kube

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
)

// casResource is the custom resource of SCONE's operator for a CAS.
func casResource() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "services.scone.cloud", Version: "v1beta1", Resource: "cas"}
}

// CASReport asks SCONE's operator for the attestation report of the CAS that a
// custom resource describes: it writes spec.nonce, waits until the status answers
// this nonce, and returns status.dcapReport. Nothing of it is believed: whoever
// controls the cluster can write a status.
func (c *Cluster) CASReport(ctx context.Context, namespace, name string, nonce [16]byte) ([]byte, error) {
	client, err := dynamic.NewForConfig(c.config)
	if err != nil {
		return nil, err
	}
	return casReport(ctx, client.Resource(casResource()).Namespace(namespace), name, hex.EncodeToString(nonce[:]))
}

func casReport(ctx context.Context, resources dynamic.ResourceInterface, name, nonce string) ([]byte, error) {
	patch := fmt.Appendf(nil, `{"spec":{"nonce":%q}}`, nonce)
	if _, err := resources.Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "confidb"}); err != nil {
		return nil, fmt.Errorf("writing spec.nonce of CAS resource %s: %w", name, err)
	}
	if _, err := resources.List(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + name}); err != nil { // the watch below would try for ever
		return nil, fmt.Errorf("reading CAS resource %s: %w", name, err)
	}
	var report string
	var last *unstructured.Unstructured
	_, err := watchtools.UntilWithSync(ctx, watchOne(resources, name), &unstructured.Unstructured{}, nil, func(event watch.Event) (bool, error) {
		var ok bool
		if last, ok = event.Object.(*unstructured.Unstructured); !ok {
			return false, nil
		}
		if event.Type == watch.Deleted {
			return false, errors.New("it was deleted by somebody else")
		}
		report = answered(last, nonce)
		return report != "", nil
	})
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, &OperatorError{Name: name, State: phase(last), cause: err}
	}
	return []byte(report), nil
}

func watchOne(resources dynamic.ResourceInterface, name string) *cache.ListWatch {
	selector := "metadata.name=" + name
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			o.FieldSelector = selector
			return resources.List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.FieldSelector = selector
			return resources.Watch(ctx, o)
		},
	}
}

// answered returns the report of a status that answers the nonce.
func answered(cas *unstructured.Unstructured, nonce string) string {
	got, _, _ := unstructured.NestedString(cas.Object, "status", "nonce")
	report, _, _ := unstructured.NestedString(cas.Object, "status", "dcapReport")
	if !strings.EqualFold(got, nonce) {
		return ""
	}
	return report
}

func phase(cas *unstructured.Unstructured) string {
	if cas == nil {
		return "was not seen"
	}
	text, _, _ := unstructured.NestedString(cas.Object, "status", "phase")
	if text == "" {
		return "has no phase"
	}
	return fmt.Sprintf("is in phase %.40q", text)
}

// OperatorError means that SCONE's operator did not answer a nonce.
type OperatorError struct {
	// Name is that of the custom resource, and State what it says of itself.
	Name, State string
	cause       error
}

func (e *OperatorError) Error() string {
	return fmt.Sprintf("waiting for SCONE's operator to answer the nonce in CAS resource %s, which %s: %v", e.Name, e.State, e.cause)
}

// Hint says what else there is.
func (e *OperatorError) Hint() string {
	return "Check that SCONE's operator runs and is healthy, wait longer, or ask the CAS itself for a report."
}

func (e *OperatorError) Unwrap() error { return e.cause }
