package printers

import (
	"fmt"

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
		p.Wrap(fmt.Sprintf("%-9s ", e.What), e.Node)
		for _, line := range [][2]string{{"was", e.Was}, {"is", e.Is}, {"needs", needs(e)}} {
			if line[1] != "" {
				p.Wrap(fmt.Sprintf("          %-6s", line[0]), line[1])
			}
		}
	}
	if len(i.Entries) == 0 {
		p.Line("no difference")
	}
}

func needs(e inventory.Entry) string {
	if e.Needs == "" {
		return ""
	}
	return "--accept-change " + e.Node + ": " + e.Needs
}
