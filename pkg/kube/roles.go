package kube

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// role is what one kind of work needs at one place. Names of roles are those of the work.
type role struct {
	name string
	// cluster means that the rights are not those of a namespace.
	cluster bool
	rights  []right
}

// roles are all of them; of two that have a right, the smaller one comes first.
func roles() []role {
	return []role{
		{"confidb-namespaces", true, []right{{"", "namespaces", []string{"get", "create"}}}},
		{"confidb-cas-resource", false, []right{{"services.scone.cloud", "cas", []string{"get", "list", "watch", "patch"}}}},
		{"confidb-cas", false, []right{ // reaching a CAS through a port-forward
			{"", "services", []string{"get"}},
			{"", "pods", []string{"list"}},
			{"", "pods/portforward", []string{"create"}},
		}},
		{"confidb-sql", false, []right{
			{"", "secrets", []string{"list"}},
			{"apps", "statefulsets", []string{"get"}},
			{"", "pods", []string{"list", "watch"}},
			{"", "pods/attach", []string{"create"}},
			{"", "pods/log", []string{"get"}},
			{"", "events", []string{"list"}},
			{"batch", "jobs", []string{"create", "delete"}},
		}},
		{"confidb-verify", false, verifyRights()},
		{"confidb-install", false, rights()},
		{"confidb-announce", false, []right{{"", "events", []string{"create"}}}},
	}
}

// verifyRights are what a verification does in the namespace of the release.
func verifyRights() []right {
	return []right{
		{"", "pods", []string{"get", "list", "watch"}},
		{"", "pods/log", []string{"get"}},
		{"", "services", []string{"get"}},
		{"", "secrets", []string{"list"}},
		{"", "events", []string{"list"}},
		{"apps", "statefulsets", []string{"get"}},
		{"apps", "deployments", []string{"get"}},
		{"apps", "daemonsets", []string{"get"}},
		{"apps", "replicasets", []string{"get"}},
		{"", "replicationcontrollers", []string{"get"}},
		{"batch", "cronjobs", []string{"get"}},
		{"", "configmaps", []string{"get"}},
		{"networking.k8s.io", "networkpolicies", []string{"get"}},
		{"policy", "poddisruptionbudgets", []string{"get"}},
		{"discovery.k8s.io", "endpointslices", []string{"list"}},
		{"batch", "jobs", []string{"create", "delete"}},
	}
}

func (r role) has(verb, group, resource string) bool {
	return slices.ContainsFunc(r.rights, func(one right) bool {
		return one.group == group && one.resource == resource && slices.Contains(one.verbs, verb)
	})
}

// refusal is how the API server says that a right is missing (k8s.io/apiserver,
// pkg/endpoints/handlers/responsewriters).
func forbidden() *regexp.Regexp {
	return regexp.MustCompile(`cannot ([a-z]+) resource "([a-z/]+)" in API group "([a-z0-9.-]*)" (?:in the namespace "([a-z0-9.-]+)"|at the cluster scope)`)
}

// ForbiddenError means that this user may not do something in the cluster, and knows
// which role gives it.
type ForbiddenError struct {
	role      role
	namespace string
	err       error
}

func (e *ForbiddenError) Error() string { return e.err.Error() }

// Unwrap returns the cluster's answer.
func (e *ForbiddenError) Unwrap() error { return e.err }

// Hint is the role that is missing, with everything that the same work needs there.
func (e *ForbiddenError) Hint() string {
	return "Ask an administrator to apply this role:\n" + roleText(e.role.name, e.namespace, e.role.rights)
}

// Explain adds the role to an error by which the API server refused something that
// confidb does. No other error is changed, and no role holds rights that only the text
// of the error names: it is the word of a cluster that nobody proved.
func Explain(err error) error {
	if err == nil || errors.As(err, new(interface{ Hint() string })) {
		return err
	}
	said := forbidden().FindStringSubmatch(err.Error())
	if said == nil || !apierrors.IsForbidden(err) && !strings.Contains(err.Error(), "is forbidden: ") {
		return err
	}
	verb, resource, group, namespace := said[1], said[2], said[3], said[4]
	for _, r := range roles() {
		if r.cluster == (namespace == "") && r.has(verb, group, resource) {
			return &ForbiddenError{r, namespace, err}
		}
	}
	return err
}

// roleText writes a Role, or for no namespace a ClusterRole, and how it is given to somebody.
func roleText(name, namespace string, rights []right) string {
	var b strings.Builder
	kind, metadata, bind := "Role", fmt.Sprintf("{name: %s, namespace: %s}", name, namespace), fmt.Sprintf("kubectl create rolebinding %[1]s --role %[1]s --namespace %[2]s --user NAME", name, namespace)
	if namespace == "" {
		kind, metadata, bind = "ClusterRole", "{name: "+name+"}", fmt.Sprintf("kubectl create clusterrolebinding %[1]s --clusterrole %[1]s --user NAME", name)
	}
	fmt.Fprintf(&b, "apiVersion: rbac.authorization.k8s.io/v1\nkind: %s\nmetadata: %s\nrules:\n", kind, metadata)
	for _, r := range rights {
		fmt.Fprintf(&b, "- {apiGroups: [%q], resources: [%s], verbs: [%s]}\n", r.group, r.resource, strings.Join(r.verbs, ", "))
	}
	return b.String() + "# and to bind it to you: " + bind + "\n"
}
