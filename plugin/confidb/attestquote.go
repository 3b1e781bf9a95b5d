package confidb

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/files"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/flags"
	"github.com/confidb/confidb/plugin/internal/printers"
)

// attestQuote are the options of appraising a quote in a file.
type attestQuote struct {
	output          string
	acceptSimulated bool
	collateral      string
	when            flags.Verification
	enclave         flags.Enclave
}

func newAttestQuoteCommand(streams genericiooptions.IOStreams) *cobra.Command {
	o := &attestQuote{}
	c := &cobra.Command{
		Use:   "quote FILE",
		Short: "Appraise an SGX quote in a file: genuine, current, the expected enclave",
		Long: `Verifies an SGX quote (ECDSA, version 3; with or without the header of Open
Enclave) with Intel's collateral, and compares the enclave with what you expect.
Nothing is fetched: without collateral nothing is known of the platform's TCB.

FILE holds the quote's bytes; - reads standard input. The folder of --collateral
holds tcbInfo.json, qeIdentity.json, tcbSignChain.pem, rootCaCrl.der and
pckCaCrl.der, for quotes without them pckCert.pem and pckSignChain.pem, or
bundles as kubectl confidb collateral fetch writes them.

Needs no rights in a cluster.`,
		Example: `  # which enclave is this, and what does Intel say of its platform?
  kubectl confidb attest quote quote.bin --collateral collateral/

  # accept one measurement, and one deviation of the TCB by name
  kubectl confidb attest quote quote.bin --collateral bundle.json --mrenclave 0123…cdef \
    --accept-tcb SWHardeningNeeded --accept-advisory INTEL-SA-00615,INTEL-SA-00657`,
		Args: cli.Exactly(1, "the name of one file with a quote"),
		RunE: func(_ *cobra.Command, arguments []string) error { return o.run(arguments[0], time.Now(), streams) },
	}
	o.addFlags(c.Flags())
	return c
}

func (o *attestQuote) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.collateral, "collateral", "", "folder or bundle.json with Intel's TCB info, QE identity, certificate chains and CRLs")
	o.when.AddFlags(f)
	o.when.Freshness.AddMinimum(f)
	o.enclave.AddFlags(f)
	flags.AddResult(f, &o.output, &o.acceptSimulated)
}

// run appraises the quote in a file, or on standard input when the name is -.
func (o *attestQuote) run(path string, now time.Time, streams genericiooptions.IOStreams) error {
	in, err := o.resolve(path, now, streams)
	if err != nil {
		return err
	}
	a := attest.AppraiseQuote(in.quote, in.collateral, in.options, in.policy)
	verdict := a.Findings.Verdict()
	if err := printers.Print(streams.Out, o.output, printers.Result{
		Head: printers.Head{Kind: "confidb.appraisal/v1", Simulated: a.Simulated}, Subject: "quote " + path, Verdict: verdict, Findings: cli.Kubectl.Findings(a.Findings), Claims: a.Claims,
	}); err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	return cli.Conclude(verdict, a.Simulated, o.acceptSimulated)
}

// quoteInputs are what an appraisal of a quote depends on.
type quoteInputs struct {
	quote      []byte
	collateral map[string][]byte
	options    sgx.Options
	policy     attest.Policy
}

func (o *attestQuote) resolve(path string, now time.Time, streams genericiooptions.IOStreams) (in quoteInputs, err error) {
	if err = cli.CheckFormat(o.output); err != nil {
		return in, err
	}
	if in.options, err = o.when.Resolve(now); err != nil {
		return in, err
	}
	if in.policy, err = o.enclave.Resolve(); err != nil {
		return in, err
	}
	if in.quote, _, err = files.ReadInput(path, streams.In); err != nil || o.collateral == "" {
		return in, err
	}
	if in.collateral, err = flags.ReadCollateral(o.collateral); err != nil {
		return in, fmt.Errorf("--collateral: %w", err)
	}
	return in, nil
}
