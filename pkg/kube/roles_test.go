package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clienttesting "k8s.io/client-go/testing"
	"sigs.k8s.io/yaml"
)

// refuse is the API server's answer to whoever lacks a right.
func refuse(verb, group, resource, namespace string) error {
	where := fmt.Sprintf("in the namespace %q", namespace)
	if namespace == "" {
		where = "at the cluster scope"
	}
	why := fmt.Errorf("User \"jane\" cannot %s resource %q in API group %q %s", verb, resource, group, where)
	return apierrors.NewForbidden(schema.GroupResource{Group: group, Resource: strings.Split(resource, "/")[0]}, "x", why)
}

// gives reports whether the role of a hint gives a right.
func gives(t *testing.T, hint, verb, group, resource, namespace string) bool {
	t.Helper()
	text, found := strings.CutPrefix(hint, "Ask an administrator to apply this role:\n")
	var role rbacv1.Role
	if err := yaml.UnmarshalStrict([]byte(text), &role); err != nil || !found {
		t.Fatalf("%v in %s", err, hint)
	}
	if want := map[bool]string{true: "ClusterRole", false: "Role"}[namespace == ""]; role.Kind != want || role.Namespace != namespace || role.Name == "" {
		t.Errorf("got %s %s/%s, want a %s in %q", role.Kind, role.Namespace, role.Name, want, namespace)
	}
	if !strings.Contains(text, "binding "+role.Name) {
		t.Errorf("it does not say how the role is bound: %s", text)
	}
	for _, rule := range role.Rules {
		for _, v := range rule.Verbs {
			if rule.APIGroups[0] == group && rule.Resources[0] == resource && v == verb {
				return true
			}
		}
	}
	return false
}

// TestEachRightThatIsMissingHasItsRole: whoever is refused one of the rights of any work,
// at the place where it is needed, is shown a role that gives it there.
func TestEachRightThatIsMissingHasItsRole(t *testing.T) {
	for _, work := range roles() {
		namespace := "some-namespace"
		if work.cluster {
			namespace = ""
		}
		for _, r := range work.rights {
			for _, verb := range r.verbs {
				refused := fmt.Errorf("doing something: %w", refuse(verb, r.group, r.resource, namespace))
				for name, err := range map[string]error{"an answer": refused, "a text": errors.New(refused.Error())} {
					explained := Explain(err)
					var missing *ForbiddenError
					if !errors.As(explained, &missing) || explained.Error() != err.Error() {
						t.Fatalf("%s, %s %s: got %v", name, verb, r.resource, explained)
					}
					if !gives(t, missing.Hint(), verb, r.group, r.resource, namespace) {
						t.Errorf("%s, %s %s: the role does not give it: %s", name, verb, r.resource, missing.Hint())
					}
				}
			}
		}
	}
}

// TestOnlyKnownRightsAreAskedFor: the text of an error is the word of the cluster, which
// must not talk an administrator into more.
func TestOnlyKnownRightsAreAskedFor(t *testing.T) {
	for _, err := range []error{
		nil,
		errors.New("no"),
		refuse("impersonate", "", "users", ""),
		refuse("list", "", "secrets", ""), // of the whole cluster
		refuse("create", "rbac.authorization.k8s.io", "rolebindings", "shop"),
		refuse("escalate", "rbac.authorization.k8s.io", "roles", "shop"),
		refuse("create", "", "pods/exec", "shop"),
		apierrors.NewForbidden(schema.GroupResource{Resource: "jobs"}, "x", errors.New("exceeded quota")),
		errors.New(`peer says: cannot list resource "secrets" in API group "" in the namespace "shop"`),
		&StuckError{refuse("create", "batch", "jobs", "shop").Error(), "a hint of its own"},
	} {
		if got := Explain(err); got != err {
			t.Errorf("%v: got %v", err, got)
		}
	}
}

// TestEachWorkNeedsNoMoreThanItsRole: what is asked of the API server is what the role
// gives. Of each question the refusal is tried, too: the role for it is the same.
func TestEachWorkNeedsNoMoreThanItsRole(t *testing.T) {
	run := func(ctx context.Context, c *Cluster) error { _, err := c.Run(ctx, probe()); return err }
	nodes := func(ctx context.Context, c *Cluster) error {
		_, err := c.Nodes(ctx, namespace, database())
		return err
	}
	await := func(ctx context.Context, c *Cluster) error {
		return c.AwaitReady(ctx, namespace, database(), func(string) {})
	}
	stuck := func(ctx context.Context, c *Cluster) error { return c.RestartStuck(ctx, namespace, database()) }
	look := func(ctx context.Context, c *Cluster) error {
		_, podsErr := c.Pods(ctx, namespace)
		_, setErr := c.Object(ctx, namespace, "StatefulSet", "db")
		_, serviceErr := c.Object(ctx, namespace, "Service", "db")
		_, endsErr := c.Endpoints(ctx, namespace, "db")
		return cmp.Or(podsErr, setErr, serviceErr, endsErr)
	}
	others := func(ctx context.Context, c *Cluster) (err error) { // what other charts may have
		for _, kind := range []string{"Deployment", "DaemonSet", "ReplicaSet", "ReplicationController", "CronJob"} {
			_, kindErr := c.Object(ctx, namespace, kind, "db")
			err = cmp.Or(err, kindErr)
		}
		return err
	}
	reach := func(ctx context.Context, c *Cluster) error {
		_, err := c.readyPod(ctx, namespace, "cas")
		return err
	}
	for _, c := range []struct {
		work string
		do   []func(context.Context, *Cluster) error
	}{
		{"confidb-verify", []func(context.Context, *Cluster) error{look, others, nodes, run}},
		{"confidb-sql", []func(context.Context, *Cluster) error{nodes, run}},
		{"confidb-install", []func(context.Context, *Cluster) error{stuck, await, look, nodes, run}},
		{"confidb-cas", []func(context.Context, *Cluster) error{reach}},
	} {
		var guard sync.Mutex // an informer asks from a goroutine of its own
		asked := map[string]clienttesting.Action{}
		work := func(refused string) (errs []error) {
			cluster, clientset := newFake(statefulSet("db", 1, 0), pod("db-0", terminated(1, patience)))
			starts(clientset, ended(corev1.PodSucceeded, 0))
			clientset.PrependReactor("*", "*", func(a clienttesting.Action) (bool, runtime.Object, error) {
				question := a.GetVerb() + " " + resourceOf(a)
				guard.Lock()
				defer guard.Unlock()
				asked[question] = a
				return question == refused, nil, refuse(a.GetVerb(), a.GetResource().Group, resourceOf(a), a.GetNamespace())
			})
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			for _, do := range c.do {
				errs = append(errs, do(ctx, cluster))
			}
			return errs
		}
		work("")
		i := slices.IndexFunc(roles(), func(r role) bool { return r.name == c.work })
		guard.Lock()
		first := maps.Clone(asked)
		guard.Unlock()
		for question, a := range first {
			if !roles()[i].has(a.GetVerb(), a.GetResource().Group, resourceOf(a)) {
				t.Errorf("%s: %s is no part of the role", c.work, question)
			}
			if slices.Contains([]string{"list events", "delete jobs", "get pods/log", "watch pods"}, question) {
				continue // goes on without, or tries again until its time is over
			}
			shown := false
			for _, err := range work(question) {
				var missing *ForbiddenError
				shown = shown || errors.As(Explain(err), &missing) && gives(t, missing.Hint(), a.GetVerb(), a.GetResource().Group, resourceOf(a), namespace)
			}
			if !shown {
				t.Errorf("%s: without the right to %s no role is shown", c.work, question)
			}
		}
	}
}

func resourceOf(a clienttesting.Action) string {
	resource := a.GetResource().Resource
	if a.GetSubresource() != "" {
		resource += "/" + a.GetSubresource()
	}
	return resource
}
