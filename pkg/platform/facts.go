package platform

import (
	"fmt"

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
}

func (p PodFacts) String() string { return fmt.Sprintf("%s/%s", p.Namespace, p.Name) }

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

// SGXResources are the names under which device plugins offer SGX: Intel's, and
// those of older SCONE plugins. A node with SGX has one of them, and a container
// that is to run an enclave asks for one.
func SGXResources() []string {
	return []string{"sgx.intel.com/enclave", "sgx.k8s.io/sgx", "sgx.intel.com/epc", "sgx.k8s.io/dcap"}
}

// SGXLabels are the labels of a node with SGX, whose value is then true: that of
// Intel's device plugin, and that of SCONE's operator.
func SGXLabels() []string { return []string{"sgx.intel.com/capable", "las.scontain.com/ok"} }
