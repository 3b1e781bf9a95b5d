package printers

import (
	"fmt"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/inventory"
)

// Inventory is how an inventory differs from what is seen now.
type Inventory struct {
	Head
	Entries []inventory.Entry
}

// Text writes a paragraph for each node.
func (i Inventory) Text(p *Page) {
	for _, e := range i.Entries {
		needs := ""
		if e.Needs != "" {
			needs = "--accept-change " + e.Node + ": " + e.Needs
		}
		p.Wrap(fmt.Sprintf("%-9s ", e.What), e.Node)
		p.Parts("          %-6s", "was", e.Was, "is", e.Is, "needs", needs)
	}
	if len(i.Entries) == 0 {
		p.Line("no difference")
	}
}

// PlatformsDiff is how the machines differ from what the sessions of a release admit.
type PlatformsDiff struct {
	Head
	Subject string        `json:"subject"`
	Verdict check.Verdict `json:"verdict"`
	*inventory.Difference
	// Nodes counts the nodes with a platform ID, by how it is known.
	Nodes map[attest.Provenance]int `json:"nodes"`
}

// Text writes a paragraph for each change.
func (d *PlatformsDiff) Text(p *Page) {
	for _, c := range d.Changes {
		p.Wrap(fmt.Sprintf("%-13s ", c.Kind), c.Node)
		p.Parts("  %-6s", "id", c.ID, "was", c.Was, "means", c.Meaning, "do", c.Do)
		p.Gap()
	}
	if len(d.Changes) == 0 {
		p.Line("The sessions admit exactly the machines that the cluster has.")
	}
	if claimed := d.Nodes[attest.Claimed]; claimed > 0 {
		p.Wrap("", fmt.Sprintf("The platform IDs of %d nodes are claims of the cluster, which nobody proved.", claimed))
	}
	p.Verdict(d.Subject, d.Verdict, d.Simulated)
}
