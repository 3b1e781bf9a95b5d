package watch

import (
	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/inventory"
	"github.com/confidb/confidb/pkg/platform"
)

// Machines says of each node with SGX what the table of machines says, and names what is
// wrong.
func Machines(found *platform.Inventory) Picture {
	p := Picture{}
	for _, n := range found.Nodes {
		if !n.SGX {
			continue
		}
		p["node "+n.Name] = []Statement{{"ID", attest.ShortID(n.ID.String())}, {"provenance", string(n.Provenance)}, {"state", n.State()}}
	}
	for _, problem := range found.Problems {
		p["problem: "+problem.Text] = nil
	}
	return p
}

// Difference says of each change that it is there, and what all of it means.
func Difference(d *inventory.Difference) Picture {
	p := Picture{"verdict": {{"is", string(d.Verdict())}}}
	for _, c := range d.Changes {
		subject := string(c.Kind)
		if c.Node != "" {
			subject += " " + c.Node
		}
		if c.ID != "" {
			subject += " " + attest.ShortID(c.ID)
		}
		p[subject] = nil
	}
	return p
}
