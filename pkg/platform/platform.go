// Package platform decides what is known of the machines with SGX of a cluster and of
// their platform IDs: it appraises what the sources say (Observation.Appraise), and
// reads what users and LAS write about machines. It does no I/O and knows nothing of
// Kubernetes' own types; package machines fills the observation. What a cluster says
// about its own machines is a claim and nothing here proves it; an attested CAS that
// enforces the IDs, or a verified quote, does.
package platform

import (
	"slices"

	"github.com/confidb/confidb/pkg/attest"
)

// Source is where a platform ID was read.
type Source string

// The sources that are bound to nodes, the strongest first.
const (
	// SourceQuote is a verified quote of the node.
	SourceQuote Source = "quote"
	// SourceFile is a file of the user's.
	SourceFile Source = "file"
	// SourceResource is the LAS custom resource of SCONE's operator.
	SourceResource Source = "las-resource"
	// SourceLog is the log of a LAS pod.
	SourceLog Source = "las-log"
)

// Node is one machine of the cluster. The zero Node has no SGX and no ID.
type Node struct {
	Name string
	// SGX is true if a label or a resource of the node says so.
	SGX bool
	// Usable is true if nothing is known that keeps an enclave from starting and
	// being attested there now; Reason says what does. An unusable node keeps its ID.
	Usable bool
	Reason string
	// ID is the zero PlatformID if no source knows it.
	ID         attest.PlatformID
	Provenance attest.Provenance
	// Sources are those that agree on ID.
	Sources []Source
	// LASPods are namespace/name of the LAS pods there.
	LASPods []string
	// Resources are the SGX resources as name=allocatable/capacity.
	Resources []string
	// Quote is what Intel's collateral says of the machine; nil unless ID is quoted.
	Quote *Quote
	System
}

// System is what a Node object says of what runs there. It changes with updates of
// firmware and kernel, and is a claim of the node's kubelet.
type System struct {
	KernelVersion string `json:"kernelVersion"`
	OSImage       string `json:"osImage"`
	// BootID is another one after each start of the machine.
	BootID string `json:"bootID"`
}

// Inventory is what a cluster has. It comes from Appraise, which returns none that
// contradicts itself, or from Tolerate. The zero Inventory has no IDs, so it admits no
// machine.
type Inventory struct {
	// Nodes are all nodes by name, also those without SGX.
	Nodes []Node
	// Declared are the IDs of a plain list, which are not bound to nodes.
	Declared []attest.PlatformID
	// Warnings are what the user should know although it is no error.
	Warnings []string
	// Problems are contradictions that whoever asked can live with. There are none
	// unless they were tolerated by name.
	Problems []Problem
}

// IDs returns the distinct platform IDs of nodes with SGX, or the declared list,
// sorted. A node that is cordoned or down is among them: it comes back, and the
// sessions must admit it then.
func (i *Inventory) IDs() []attest.PlatformID {
	ids := slices.Clone(i.Declared)
	for _, n := range i.Nodes {
		if n.SGX && n.ID != (attest.PlatformID{}) {
			ids = append(ids, n.ID)
		}
	}
	return distinct(ids)
}

// Unidentified returns the names of the nodes with SGX whose ID is not known.
func (i *Inventory) Unidentified() []string {
	var names []string
	for _, n := range i.Nodes {
		if n.SGX && n.ID == (attest.PlatformID{}) {
			names = append(names, n.Name)
		}
	}
	return names
}

// WithoutSGX counts the nodes without SGX.
func (i *Inventory) WithoutSGX() int {
	count := 0
	for _, n := range i.Nodes {
		if !n.SGX {
			count++
		}
	}
	return count
}

// Known counts the nodes with SGX and with a platform ID, by how it is known.
func (i *Inventory) Known() map[attest.Provenance]int {
	known := map[attest.Provenance]int{}
	for _, n := range i.Nodes {
		if n.SGX && n.ID != (attest.PlatformID{}) {
			known[n.Provenance]++
		}
	}
	return known
}

// Node returns the node of a name, or nil.
func (i *Inventory) Node(name string) *Node {
	at := slices.IndexFunc(i.Nodes, func(n Node) bool { return n.Name == name })
	if at < 0 {
		return nil
	}
	return &i.Nodes[at]
}

func distinct(ids []attest.PlatformID) []attest.PlatformID {
	slices.SortFunc(ids, attest.PlatformID.Compare)
	return slices.Compact(ids)
}

// Declare returns the inventory of a plain list of the user's.
func Declare(ids []attest.PlatformID) (*Inventory, error) {
	i := &Inventory{Declared: distinct(slices.Clone(ids))}
	var p problems
	p.empty(i)
	p.mixedList(i.Declared)
	return p.conclude(i, nil)
}
