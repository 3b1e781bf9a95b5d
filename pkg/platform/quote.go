package platform

import (
	"slices"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/sgx"
)

// Quote is what a verified quote and Intel's collateral say of a node's machine.
// Which enclave made the quote does not matter: the ID is in the part of it that
// the quoting enclave signs. That the quote is of this node, and not of another
// machine, is what the name of the user's file says.
type Quote struct {
	Node string `json:"-"`
	// Origin is the quote's file.
	Origin string            `json:"-"`
	ID     attest.PlatformID `json:"-"`
	// FMSPC is the machine's family, in lower-case hexadecimal digits.
	FMSPC string `json:"fmspc"`
	// Status and EvaluationNumber are Intel's judgement, and the number of the
	// evaluation that it is from.
	Status           sgx.TCBStatus `json:"tcbStatus"`
	EvaluationNumber int           `json:"evaluationDataNumber"`
}

// withQuotes adds what quotes claim. A node that is known by a key of SCONE's own
// quoting enclave, as all are up to SCONE 6, gets nothing from a quote of Intel's:
// the key is not in it. Those nodes are returned.
func withQuotes(claims []Claim, quotes []Quote) (all []Claim, unquotable []string) {
	scone := map[string]bool{}
	for _, c := range claims {
		scone[c.Node] = scone[c.Node] || c.ID.Generation() == attest.SCONEQE
	}
	all = slices.Clone(claims)
	for _, q := range quotes {
		if scone[q.Node] {
			unquotable = append(unquotable, q.Node)
			continue
		}
		all = append(all, Claim{Node: q.Node, ID: q.ID, Source: SourceQuote, Origin: "quote " + q.Origin})
	}
	return all, unquotable
}

// quoted returns the quote that proves a node's ID, or nil.
func quoted(quotes []Quote, n Node) *Quote {
	if n.Provenance != attest.Quoted {
		return nil
	}
	at := slices.IndexFunc(quotes, func(q Quote) bool { return q.Node == n.Name })
	if at < 0 {
		return nil
	}
	return &quotes[at]
}

// warnUnquotable says for which nodes a quote proves nothing.
func (i *Inventory) warnUnquotable(nodes []string) {
	if len(nodes) > 0 {
		i.Warnings = append(i.Warnings, "platform IDs of SCONE up to 6 are not in Intel's quotes, so they can only be claimed or declared; the quotes prove nothing of: "+enumerate(nodes))
	}
}
