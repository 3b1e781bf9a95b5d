package kube

import (
	"context"
	"fmt"
	"slices"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// right is what an installation does with one kind of object in its namespace.
type right struct {
	group, resource string
	verbs           []string
}

func rights() []right {
	all := []string{"get", "list", "watch", "create", "update", "patch", "delete"}
	return []right{
		{"", "secrets", all},
		{"", "services", all},
		{"apps", "statefulsets", all},
		{"", "pods", []string{"get", "list", "watch", "delete"}},
		{"", "pods/log", []string{"get"}},
		{"batch", "jobs", []string{"create", "delete"}},
		{"", "events", []string{"list"}},
		{"discovery.k8s.io", "endpointslices", []string{"list"}},
	}
}

// MissingRightsError means that this user may not do what an installation does.
type MissingRightsError struct {
	Namespace string
	missing   []right
}

func (e *MissingRightsError) Error() string {
	var texts []string
	for _, r := range e.missing {
		texts = append(texts, strings.Join(r.verbs, ", ")+" "+r.resource)
	}
	return fmt.Sprintf("no permission in namespace %s to: %s", e.Namespace, strings.Join(texts, "; "))
}

// Hint is the role that is missing.
func (e *MissingRightsError) Hint() string {
	return "Ask an administrator to apply this role:\n" + e.role()
}

// role holds all rights that an installation needs, not only those that are missing.
func (e *MissingRightsError) role() string { return roleText("confidb-install", e.Namespace, rights()) }

// CheckRights asks the API server whether the user may do everything that an
// installation does in its namespace. Without an answer nothing is missing: the
// call itself will fail then.
func (c *Cluster) CheckRights(ctx context.Context, createNamespace bool) error {
	missing := &MissingRightsError{Namespace: c.namespace}
	for _, r := range rights() {
		r.verbs = slices.DeleteFunc(slices.Clone(r.verbs), func(verb string) bool { return c.may(ctx, c.namespace, r.group, r.resource, verb) })
		if len(r.verbs) > 0 {
			missing.missing = append(missing.missing, r)
		}
	}
	if len(missing.missing) > 0 {
		return missing
	}
	_, err := c.clientset.CoreV1().Namespaces().Get(ctx, c.namespace, metav1.GetOptions{})
	if apierrors.IsNotFound(err) && !createNamespace {
		return &NoNamespaceError{c.namespace}
	}
	return nil
}

func (c *Cluster) may(ctx context.Context, namespace, group, resource, verb string) bool {
	resource, subresource, _ := strings.Cut(resource, "/")
	review, err := c.clientset.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: namespace, Group: group, Resource: resource, Subresource: subresource, Verb: verb,
		}},
	}, metav1.CreateOptions{})
	return err != nil || review.Status.Allowed
}

// NoNamespaceError means that the namespace for the release does not exist.
type NoNamespaceError struct{ Name string }

func (e *NoNamespaceError) Error() string { return fmt.Sprintf("namespace %q does not exist", e.Name) }

// Hint says how to make it.
func (e *NoNamespaceError) Hint() string {
	return "Have the installation create it (--create-namespace), or: kubectl create namespace " + e.Name
}
