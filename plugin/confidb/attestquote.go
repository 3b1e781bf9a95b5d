package confidb

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/files"
	"github.com/confidb/confidb/pkg/pcs"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/flags"
	"github.com/confidb/confidb/plugin/internal/printers"
)

func newAttestQuoteCommand(env *cli.Env) *cobra.Command {
	o := attestQuote{env: env}
	return env.Command(cli.Verb{Name: "attest quote", Args: cli.Exactly(1, "the name of one file with a quote"), Flags: o.addFlags, AtOnce: true, Run: o.run})
}

// attestQuote are the options of appraising a quote in a file.
type attestQuote struct {
	env        *cli.Env
	result     cli.Result
	collateral string
	when       flags.Verification
	enclave    flags.Enclave
}

func (o *attestQuote) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.collateral, "collateral", "", "folder or bundle.json with Intel's TCB info, QE identity, certificate chains and CRLs")
	o.when.AddFlags(f)
	o.when.AddMinimum(f)
	o.enclave.AddFlags(f)
	o.result.AddFlags(f)
}

// run appraises the quote in a file, or on standard input when the name is -.
func (o *attestQuote) run(_ context.Context, arguments []string) error {
	in, err := o.resolve(arguments[0])
	if err != nil {
		return err
	}
	a, err := attest.AppraiseQuote(in)
	if err != nil {
		return fmt.Errorf("%s: %w", arguments[0], err)
	}
	verdict := a.Findings.Verdict()
	return printers.Conclude(o.env.Out, o.result, printers.Result{
		Head: printers.Head{Kind: "confidb.appraisal/v1", Simulated: a.Simulated}, Subject: "quote " + arguments[0], Verdict: verdict,
		Findings: o.env.Program.Findings(a.Findings), Claims: a.Claims,
	}, verdict)
}

func (o *attestQuote) resolve(path string) (in attest.QuoteInputs, err error) {
	if in.Options, err = o.when.Resolve(o.env.Now()); err != nil {
		return in, err
	}
	if in.Policy, err = o.enclave.Resolve(); err != nil {
		return in, err
	}
	if in.Text, _, err = files.ReadInput(path, o.env.In); err != nil || o.collateral == "" {
		return in, err
	}
	if in.Collateral, err = pcs.ReadFiles(o.collateral); err != nil {
		return in, fmt.Errorf("--collateral: %w", err)
	}
	return in, nil
}
