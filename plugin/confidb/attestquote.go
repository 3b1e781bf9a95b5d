package confidb

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/files"
	"github.com/confidb/confidb/pkg/pcs"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/flags"
	"github.com/confidb/confidb/plugin/internal/printers"
)

func newAttestQuoteCommand(env *cli.Env) *cobra.Command {
	o := attestQuote{env: env}
	return env.Command(cli.Verb{Name: "attest quote", Args: cli.Exactly(1, "the name of one file with a quote"), Flags: o.addFlags, Run: o.run})
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
	a := attest.AppraiseQuote(in.quote, in.collateral, in.options, in.policy)
	verdict := a.Findings.Verdict()
	return printers.Conclude(o.env.Out, o.result, printers.Result{
		Head: printers.Head{Kind: "confidb.appraisal/v1", Simulated: a.Simulated}, Subject: "quote " + arguments[0], Verdict: verdict,
		Findings: o.env.Program.Findings(a.Findings), Claims: a.Claims,
	}, verdict)
}

// quoteInputs are what an appraisal of a quote depends on.
type quoteInputs struct {
	quote      []byte
	collateral map[string][]byte
	options    sgx.Options
	policy     attest.Policy
}

func (o *attestQuote) resolve(path string) (in quoteInputs, err error) {
	if in.options, err = o.when.Resolve(o.env.Now()); err != nil {
		return in, err
	}
	if in.policy, err = o.enclave.Resolve(); err != nil {
		return in, err
	}
	if in.quote, _, err = files.ReadInput(path, o.env.In); err != nil || o.collateral == "" {
		return in, err
	}
	if in.collateral, err = pcs.ReadFiles(o.collateral); err != nil {
		return in, fmt.Errorf("--collateral: %w", err)
	}
	return in, nil
}
