package platform

import (
	"fmt"
	"strings"
)

// Right is something that discovery reads in the whole cluster.
type Right struct {
	Verbs           []string
	Group, Resource string
	// For says what it is read for.
	For string
}

// Rights are what discovery needs; the first is the only one without which nothing
// is known. To watch needs one verb more.
func Rights(watch bool) []Right {
	nodes := Right{[]string{"list"}, "", "nodes", "which machines there are"}
	if watch {
		nodes.Verbs = append(nodes.Verbs, "watch")
	}
	return []Right{
		nodes,
		{[]string{"list"}, "", "pods", "which of them run LAS"},
		{[]string{"get"}, "", "pods/log", "the IDs that LAS logs"},
		{[]string{"list"}, "base.scone.cloud", "las", "the IDs that SCONE's operator knows"},
	}
}

// ForbiddenError means that the cluster does not let this user read something.
type ForbiddenError struct {
	// Doing is what was refused, in the gerund.
	Doing string
	// Watch is true if it was needed to watch.
	Watch bool
	Err   error
}

func (e *ForbiddenError) Error() string { return fmt.Sprintf("%s: %v", e.Doing, e.Err) }

// Unwrap returns the cluster's answer.
func (e *ForbiddenError) Unwrap() error { return e.Err }

// Hint is the role that is missing.
func (e *ForbiddenError) Hint() string {
	return "Ask an administrator to apply this role and to bind it to you\n" +
		"(kubectl create clusterrolebinding confidb-platforms --clusterrole confidb-platforms --user NAME):\n" + role(e.Watch)
}

// ClusterRole returns the YAML of the role that discovery needs.
func ClusterRole() string { return role(false) }

func role(watch bool) string {
	var b strings.Builder
	b.WriteString("apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n  name: confidb-platforms\nrules:\n")
	for _, r := range Rights(watch) {
		group := r.Group
		if group == "" {
			group = `""`
		}
		fmt.Fprintf(&b, "- apiGroups: [%s]\n  resources: [%s]\n  verbs: [%s]\n", group, r.Resource, strings.Join(r.Verbs, ", "))
	}
	return b.String()
}
