package platform

import "fmt"

// ForbiddenError means that the cluster does not let this user read something.
type ForbiddenError struct {
	// Doing is what was refused, in the gerund.
	Doing string
	Err   error
}

func (e *ForbiddenError) Error() string { return fmt.Sprintf("%s: %v", e.Doing, e.Err) }

// Unwrap returns the cluster's answer.
func (e *ForbiddenError) Unwrap() error { return e.Err }

// Hint is the role that is missing.
func (e *ForbiddenError) Hint() string {
	return "ask an administrator to apply this role and to bind it to you\n" +
		"(kubectl create clusterrolebinding confidb-platforms --clusterrole confidb-platforms --user NAME):\n" + ClusterRole()
}

// ClusterRole returns the YAML of the role that discovery needs.
func ClusterRole() string {
	return `apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: confidb-platforms
rules:
- apiGroups: [""]
  resources: [nodes, pods]
  verbs: [list]
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
- apiGroups: [base.scone.cloud]
  resources: [las]
  verbs: [list]
`
}
