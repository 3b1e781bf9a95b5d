package verbs

import (
	"context"
	"time"

	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/printers"
)

// AttestCAS are the options of attesting a CAS.
type AttestCAS struct {
	// Trust says whom to believe and where the CAS is.
	Trust *Trust
	// Evidence says how it is attested.
	Evidence Evidence
	// Address overrides the address of Trust; it is the command's argument.
	Address string
	// Home is the folder of the user's records.
	Home string
	// Output is one of printers.Formats, or empty.
	Output string
	// AcceptSimulated makes a simulated result a success.
	AcceptSimulated bool
	// Now is the clock.
	Now func() time.Time
}

// Run attests the CAS, prints the result and keeps the evidence of a CAS that is
// accepted.
func (o AttestCAS) Run(ctx context.Context, getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) error {
	if err := o.Evidence.check(); err != nil {
		return err
	}
	o.Trust.noQuote = o.Evidence.noQuote()
	resolved, err := o.Trust.resolve(nil)
	if err != nil {
		return err
	}
	if o.Address != "" {
		resolved.cas, resolved.origins["cas"] = o.Address, "argument"
	}
	evidence, err := o.Evidence.resolve(getter, resolved.origins["cas"] == byDefault)
	if err != nil {
		return err
	}
	desk := NewDesk(getter, o.Home, o.Now)
	attested, err := desk.AttestBy(ctx, resolved.cas, resolved.trust, evidence)
	if err != nil {
		return err
	}
	verdict := attested.Findings.Verdict()
	if err := printers.Print(streams.Out, o.Output, printers.Result{
		Head: printers.Head{Kind: "confidb.attestation/v1", Simulated: attested.Simulated}, Subject: "CAS " + resolved.cas, Verdict: verdict,
		Findings: cli.Kubectl.Findings(attested.Findings), Origins: resolved.origins, Evidence: attested.Label(), Claims: claims(attested),
	}); err != nil {
		return err
	}
	if verdict.Accepted() {
		if err := desk.Keep(attested); err != nil {
			return err
		}
	}
	return cli.Conclude(verdict, attested.Simulated, o.AcceptSimulated)
}

// claims are what the quote says of a CAS, if there is one.
func claims(a *attest.Appraisal) *attest.Claims {
	if a.Result == nil {
		return nil
	}
	return attest.ClaimsOf(a.Result)
}
