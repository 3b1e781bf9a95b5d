package fleet

import (
	"context"
	"fmt"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/platform"
	"github.com/confidb/confidb/pkg/sgx"
)

// Quoted returns what the quotes of machines prove of their platform IDs. A quote that
// proves nothing is a *QuoteError.
func (a *Appraiser) Quoted(ctx context.Context, machines []Machine) ([]platform.Quote, error) {
	nodes, err := a.Nodes(ctx, machines)
	if err != nil {
		return nil, err
	}
	var quotes []platform.Quote
	for i, n := range nodes {
		if f := n.unproven(); f != nil {
			return nil, &QuoteError{n.Node, machines[i].Origin, *f}
		}
		id, err := attest.ParsePlatformID("INTEL_QE_ID:" + n.Claims.Platform.QEID)
		if err != nil {
			return nil, fmt.Errorf("quote of node %q: %w", n.Node, err)
		}
		quotes = append(quotes, platform.Quote{
			Node: n.Node, Origin: machines[i].Origin, ID: id, FMSPC: n.Claims.Platform.FMSPC,
			Status: n.Claims.TCB.Status, EvaluationNumber: n.Claims.TCB.EvaluationDataNumber,
		})
	}
	return quotes, nil
}

// unproven returns why a node's quote does not prove its platform ID, or nil. The TCB
// status does not matter, with one exception: whoever holds the keys of a revoked
// machine can put any ID into a quote.
func (n *Node) unproven() *check.Finding {
	for _, f := range n.Findings {
		if !isJudgement(f) && (f.Outcome == check.Fail || f.Outcome == check.Skip) {
			return &f
		}
	}
	switch {
	case n.Claims == nil || n.Claims.Platform == nil || n.Claims.TCB == nil || n.Claims.TCB.Status == "":
		return &check.Finding{ID: "tcb-status", Reason: "the collateral does not say the status of the machine", Hint: "Fetch current collateral with {collateral fetch}."}
	case n.Claims.TCB.Status == sgx.Revoked:
		return &check.Finding{ID: "tcb-status", Reason: "Intel revoked the keys of this machine: anybody may have made the quote", Hint: "Take this machine out of the cluster; {tcb} says more."}
	}
	return nil
}

// QuoteError means that a quote does not prove the platform ID of its node.
type QuoteError struct {
	Node, Origin string
	Finding      check.Finding
}

func (e *QuoteError) Error() string {
	return fmt.Sprintf("quote of node %q (%s) proves nothing: %s: %s", e.Node, e.Origin, e.Finding.ID, e.Finding.Reason)
}

// Hint is that of what is wrong.
func (e *QuoteError) Hint() string { return e.Finding.Hint }
