package platform

import (
	"fmt"

	"github.com/confidb/confidb/pkg/attest"
)

// ParseProvenance reads the least provenance that somebody asks for. Empty asks
// for none.
func ParseProvenance(text string) (attest.Provenance, error) {
	if text == "" {
		return "", nil
	}
	p, err := attest.ParseProvenance(text)
	if err != nil || p == attest.Claimed { // the cluster's word is what there is anyway
		return "", fmt.Errorf("provenance: got %.40q, want %s or %s", text, attest.Quoted, attest.Declared)
	}
	return p, nil
}

// strength orders provenances. What is not known at all is weakest, and what nobody
// defined is no stronger.
func strength(p attest.Provenance) int {
	switch p {
	case attest.Quoted:
		return 3
	case attest.Declared:
		return 2
	case attest.Claimed:
		return 1
	}
	return 0
}

// ProvenanceError means that IDs are known less well than somebody asks for.
type ProvenanceError struct {
	Least attest.Provenance
	// Weaker are the nodes, or the IDs of a plain list, each with how it is known.
	Weaker []string

	scone bool
}

func (e *ProvenanceError) Error() string {
	return fmt.Sprintf("platform IDs: want %s ones, got weaker: %s", e.Least, enumerate(e.Weaker))
}

// Hint says how to make them stronger.
func (e *ProvenanceError) Hint() string {
	switch {
	case e.Least == attest.Quoted && e.scone:
		return "IDs of SCONE up to 6 are not in Intel's quotes, so they are never quoted: ask for declared, or move to SCONE 7"
	case e.Least == attest.Quoted:
		return "Give a quote of each of these nodes: {platforms --quotes DIR --collateral DIR}."
	}
	return "Name the IDs yourself, by node, {platforms --platforms-file FILE}, or as a list, {platforms --platform ID}."
}

// Require refuses an inventory with an ID that is known less well than least. Nodes
// without ID and without SGX do not count: no session admits them.
func Require(i *Inventory, least attest.Provenance) error {
	e := &ProvenanceError{Least: least}
	weigh := func(name string, id attest.PlatformID, p attest.Provenance) {
		if strength(p) >= strength(least) && strength(least) > 0 {
			return
		}
		e.Weaker = append(e.Weaker, fmt.Sprintf("%s (%s)", name, p))
		e.scone = e.scone || id.Generation() == attest.SCONEQE
	}
	if least == "" {
		return nil
	}
	for _, id := range i.Declared {
		weigh(id.String(), id, attest.Declared)
	}
	for _, n := range i.Nodes {
		if n.SGX && n.ID != (attest.PlatformID{}) {
			weigh(n.Name, n.ID, n.Provenance)
		}
	}
	if len(e.Weaker) > 0 {
		return e
	}
	return nil
}
