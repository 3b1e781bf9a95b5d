package platform

import "github.com/confidb/confidb/pkg/attest"

// Listing is what programs get of an inventory. It is a part of documents of the kind
// confidb.platforms/v1.
type Listing struct {
	// Origin is where the IDs come from, in the user's words.
	Origin string `json:"origin"`
	// Platforms are the IDs that sessions should admit.
	Platforms []attest.PlatformID `json:"platforms"`
	// Items are the nodes with SGX, or one item without name for each ID of a list.
	Items      []Item   `json:"items"`
	WithoutSGX int      `json:"withoutSGX"`
	Warnings   []string `json:"warnings"`

	// Nodes are the items and the nodes without SGX, for people.
	Nodes []Node `json:"-"`
}

// Item is a node, or an ID of a plain list, in a Listing.
type Item struct {
	Name       string            `json:"name"`
	SGX        bool              `json:"sgx"`
	Usable     bool              `json:"usable"`
	Reason     string            `json:"reason"`
	PlatformID attest.PlatformID `json:"platformID"`
	Generation attest.Generation `json:"generation"`
	Provenance attest.Provenance `json:"provenance"`
	Sources    []Source          `json:"sources"`
	LASPods    []string          `json:"lasPods"`
	Resources  []string          `json:"sgxResources"`
	// Quote is what Intel's collateral says of the machine; null unless quoted.
	Quote *Quote `json:"quote"`
	System
}

const (
	// declaredSource is the source of an ID of a plain list.
	declaredSource Source = "list"
	// declaredReason says why an ID of a plain list is not said to be usable.
	declaredReason = "not bound to a node"
)

// Listing returns the inventory for programs. origin is where its IDs come from.
func (i *Inventory) Listing(origin string) Listing {
	l := Listing{Origin: origin, Platforms: i.IDs(), Items: []Item{}, WithoutSGX: i.WithoutSGX(), Warnings: list(i.Warnings)}
	for _, id := range i.Declared {
		l.Nodes = append(l.Nodes, Node{SGX: true, Reason: declaredReason, ID: id, Provenance: attest.Declared, Sources: []Source{declaredSource}})
	}
	l.Nodes = append(l.Nodes, i.Nodes...)
	for _, n := range l.Nodes {
		if n.SGX {
			l.Items = append(l.Items, n.item())
		}
	}
	return l
}

func (n Node) item() Item {
	return Item{
		Name: n.Name, SGX: n.SGX, Usable: n.Usable, Reason: n.Reason, PlatformID: n.ID, Generation: n.ID.Generation(), Provenance: n.Provenance,
		Sources: list(n.Sources), LASPods: list(n.LASPods), Resources: list(n.Resources), Quote: n.Quote, System: n.System,
	}
}

// list makes a list without entries one that programs can read: [] instead of null.
func list[T any](all []T) []T { return append([]T{}, all...) }

// State is usable, or why the node is not.
func (n Node) State() string {
	if n.Usable {
		return "usable"
	}
	return n.Reason
}
