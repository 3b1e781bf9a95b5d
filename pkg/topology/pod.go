package topology

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Pod says how a program of the client session is started in the cluster.
type Pod struct {
	Image       string   `json:"image"`
	PullSecrets []string `json:"pullSecrets"`
	// Command comes before the program's name: what starts an enclave in this image.
	Command []string `json:"command"`
	// Environment are settings of SCONE's runtime, none of them secret.
	Environment map[string]string `json:"environment"`
	// SGXResource is what gives a pod access to SGX.
	SGXResource string `json:"sgxResource"`
	// Placement is what the cluster asks of a pod before it runs it.
	Placement Placement `json:"placement"`
}

// Placement is what decides whether and where a pod may run, beside what it runs. The zero
// value asks for nothing.
type Placement struct {
	Tolerations    []corev1.Toleration         `json:"tolerations,omitempty"`
	NodeSelector   map[string]string           `json:"nodeSelector,omitempty"`
	NodeAffinity   *corev1.NodeAffinity        `json:"nodeAffinity,omitempty"`
	Scheduler      string                      `json:"scheduler,omitempty"`
	RuntimeClass   *string                     `json:"runtimeClass,omitempty"`
	PriorityClass  string                      `json:"priorityClass,omitempty"`
	ServiceAccount string                      `json:"serviceAccount,omitempty"`
	Resources      corev1.ResourceRequirements `json:"resources"`
}

// PlacementOf is that of a client beside a pod and its container: a quota, a taint or a
// class that concerns the database concerns its clients, too.
func PlacementOf(spec *corev1.PodSpec, c *corev1.Container) Placement {
	p := Placement{
		Tolerations: spec.Tolerations, NodeSelector: spec.NodeSelector, Scheduler: spec.SchedulerName, RuntimeClass: spec.RuntimeClassName,
		PriorityClass: spec.PriorityClassName, ServiceAccount: spec.ServiceAccountName, Resources: clientResources(c.Resources),
	}
	if spec.Affinity != nil {
		p.NodeAffinity = spec.Affinity.NodeAffinity
	}
	return p
}

// most is what a client takes at most of what a node shares out. It is small beside a
// database, and what it asks for must fit beside it.
func most(limit bool) map[corev1.ResourceName]string {
	if limit {
		return map[corev1.ResourceName]string{corev1.ResourceCPU: "1", corev1.ResourceMemory: "1Gi", corev1.ResourceEphemeralStorage: "100Mi"}
	}
	return map[corev1.ResourceName]string{corev1.ResourceCPU: "100m", corev1.ResourceMemory: "128Mi", corev1.ResourceEphemeralStorage: "10Mi"}
}

// clientResources names what the database names, as quotas want it, with as much of each
// as a client needs. SGX is given as to the database: it is the same enclave's loader.
func clientResources(database corev1.ResourceRequirements) corev1.ResourceRequirements {
	r := corev1.ResourceRequirements{Limits: share(database.Limits, true), Requests: share(database.Requests, false)}
	for name := range share(database.Limits, false) {
		if _, asked := r.Requests[name]; !asked { // the limit would count as the request
			if r.Requests == nil {
				r.Requests = corev1.ResourceList{}
			}
			r.Requests[name] = share(database.Limits, false)[name]
		}
	}
	return r
}

// share is a client's part of resources. Devices are left out, but for SGX.
func share(all corev1.ResourceList, limit bool) corev1.ResourceList {
	var part corev1.ResourceList
	for name, quantity := range all {
		bound, shared := most(limit)[name]
		if one := quantity.Value() == 1; !shared && (!strings.HasPrefix(string(name), "sgx.") || one) { // one is what a client gets anyway
			continue
		}
		if shared {
			if b := resource.MustParse(bound); quantity.Cmp(b) > 0 {
				quantity = b
			}
		}
		if part == nil {
			part = corev1.ResourceList{}
		}
		part[name] = quantity
	}
	return part
}
