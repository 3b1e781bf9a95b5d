package verbs

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/platform"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/plugin/internal/cli"
)

// ProvenanceFlags are the flags by which the user proves platform IDs, and says how
// well they must be known.
type ProvenanceFlags struct {
	quoteFlags
	require string
}

// AddFlags registers the flags.
func (f *ProvenanceFlags) AddFlags(flags *pflag.FlagSet) {
	f.quoteFlags.addFlags(flags)
	flags.Lookup("policy").Usage = "file that says how fresh collateral must be (default: its own dates count)"
	flags.StringVar(&f.require, "require-provenance", "", "refuse platform IDs that are known less well: quoted or declared (default: none is refused)")
}

// resolve adds to the options what quotes prove, and what is required.
func (f *ProvenanceFlags) resolve(ctx context.Context, o *PlatformOptions, now func() time.Time) error {
	var err error
	if o.Require, err = platform.ParseProvenance(f.require); err != nil {
		return cli.NewUsageError("--require-provenance: %w", err)
	}
	if f.quotes == "" {
		return f.unused()
	}
	if len(o.IDs) > 0 {
		return cli.NewUsageError("--quotes: want it without a list of platform IDs (from %s), which names no nodes", o.Origin)
	}
	if f.collateral == "" {
		return cli.NewUsageError("--quotes: want --collateral as well: a quote that is not verified proves nothing")
	}
	files := map[string]string{}
	if err := readQuotesFolder(files, f.quotes); err != nil {
		return err
	}
	appraiser, err := f.appraiser(now)
	if err != nil {
		return err
	}
	o.Simulated = !appraiser.options.Roots.Intel()
	o.Quotes, err = appraiser.quotes(ctx, files)
	return err
}

// unused refuses flags that would do nothing.
func (f *ProvenanceFlags) unused() error {
	for _, flag := range []struct{ name, value string }{{"collateral", f.collateral}, {"policy", f.policy}, {"sgx-root-ca", f.rootCA}, {"at", f.at}} {
		if flag.value != "" {
			return cli.NewUsageError("--%s: want --quotes as well: it says what quotes are compared with", flag.name)
		}
	}
	return nil
}

// quotes verifies the quotes of nodes. One that does not verify is an error.
func (a *tcbAppraiser) quotes(ctx context.Context, files map[string]string) ([]platform.Quote, error) {
	var machines []machine
	for _, name := range slices.Sorted(maps.Keys(files)) {
		machines = append(machines, machine{name: name, file: files[name]})
	}
	nodes, err := a.fleet(ctx, machines)
	if err != nil {
		return nil, err
	}
	var quotes []platform.Quote
	for i, n := range nodes {
		if f := n.unproven(); f != nil {
			return nil, &QuoteError{n.Node, machines[i].file, *f}
		}
		id, err := attest.ParsePlatformID("INTEL_QE_ID:" + n.Claims.Platform.QEID)
		if err != nil {
			return nil, fmt.Errorf("quote of node %q: %w", n.Node, err)
		}
		quotes = append(quotes, platform.Quote{
			Node: n.Node, Origin: machines[i].file, ID: id, FMSPC: n.Claims.Platform.FMSPC,
			Status: n.Claims.TCB.Status, EvaluationNumber: n.Claims.TCB.EvaluationDataNumber,
		})
	}
	return quotes, nil
}

// unproven returns why a node's quote does not prove its platform ID, or nil. Which
// status a machine has is no reason, but for one: whoever has the keys of a revoked
// machine can write any ID into a quote.
func (n *tcbNode) unproven() *check.Finding {
	for _, f := range n.Findings {
		judgement := f.ID == "tcb-status" || f.ID == "tcb-advisories"
		if !judgement && (f.Outcome == check.Fail || f.Outcome == check.Skip) {
			return &f
		}
	}
	switch {
	case n.Claims == nil || n.Claims.Platform == nil || n.Claims.TCB == nil || n.Claims.TCB.Status == "":
		return &check.Finding{ID: "tcb-status", Reason: "the collateral does not say the status of the machine", Hint: "fetch current collateral: kubectl confidb collateral fetch"}
	case n.Claims.TCB.Status == sgx.Revoked:
		return &check.Finding{ID: "tcb-status", Reason: "Intel revoked the keys of this machine: anybody may have made the quote", Hint: "take this machine out of the cluster; kubectl confidb tcb says more"}
	}
	return nil
}

// QuoteError means that a quote does not prove the platform ID of its node.
type QuoteError struct {
	Node, File string
	Finding    check.Finding
}

func (e *QuoteError) Error() string {
	return fmt.Sprintf("quote of node %q (%s) proves nothing: %s: %s", e.Node, e.File, e.Finding.ID, e.Finding.Reason)
}

// Hint is that of what is wrong.
func (e *QuoteError) Hint() string { return e.Finding.Hint }
