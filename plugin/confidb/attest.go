package confidb

import (
	"context"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/contact"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/flags"
	"github.com/confidb/confidb/plugin/internal/printers"
	"github.com/confidb/confidb/plugin/internal/verbs"
)

func newAttestCommand(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	return cli.Group("attest", "Prove what a CAS is, or whose a quote is", newAttestCASCommand(getter, streams), newAttestQuoteCommand(streams))
}

func newAttestCASCommand(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	o := attestCAS{trust: flags.NewTrust(os.LookupEnv)}
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "cas [ADDRESS]",
		Short: "Attest a CAS: genuine, current, the expected enclave, and this TLS peer",
		Long: `Asks a CAS for a quote about itself with a fresh nonce, verifies the quote and
compares it with the policy. The evidence of an accepted CAS is kept, and
appraised again at every use.

--evidence says where the quote comes from, and so what it binds:
  report           the CAS itself, for a fresh nonce: key, nonce, session
  custom-resource  SCONE's operator, for a fresh nonce: key, nonce, session
  file             a saved --report and its --nonce: key, nonce, session; age unknown
  ra-tls           the CAS's TLS certificate: key, session; age unknown (a warning)
  scone-cli        nothing is verified here: scone cas attest does it (a warning)
  pinned-ca        nothing is attested: the verdict is at best none

Needs the RBAC verbs: get services, list pods, create pods/portforward in the
namespace of the CAS; none when ADDRESS is outside the cluster. With --evidence
custom-resource also get, list, watch and patch cas.services.scone.cloud there.`,
		Example: `  # the CAS of the cluster, which must have this measurement
  kubectl confidb attest cas --cas-mrenclave 0123…cdef --collateral collateral/

  # a CAS elsewhere, by a policy
  kubectl confidb attest cas cas.example.org:8081 --policy policy.yaml --collateral collateral/

  # a report that was saved, answering a nonce that you sent
  kubectl confidb attest cas cas.example.org --evidence file --report report.json \
    --nonce 00112233445566778899aabbccddeeff --policy policy.yaml --collateral collateral/`,
		Args: cli.AtMost(1),
		RunE: func(c *cobra.Command, arguments []string) error {
			if err := cli.CheckFormat(o.output); err != nil {
				return err
			}
			if len(arguments) == 1 {
				o.address = arguments[0]
			}
			return cli.Bounded(c, timeout, func(ctx context.Context, home string) error {
				return o.run(ctx, getter, verbs.NewDesk(getter, home, time.Now), streams.Out)
			})
		},
	}
	o.trust.AddFlags(c.Flags())
	o.evidence.AddFlags(c.Flags())
	flags.AddResult(c.Flags(), &o.output, &o.acceptSimulated)
	c.Flags().DurationVar(&timeout, "timeout", time.Minute, "how long to wait at most")
	return c
}

// attestCAS is what the user gave.
type attestCAS struct {
	trust           *flags.Trust
	evidence        flags.CASEvidence
	address         string // the argument; empty means that of the flags
	output          string
	acceptSimulated bool
}

// run attests the CAS, prints the result and keeps the evidence of a CAS that is
// accepted.
func (o *attestCAS) run(ctx context.Context, getter genericclioptions.RESTClientGetter, desk contact.Desk, out io.Writer) error {
	from, evidence, err := o.resolve(getter)
	if err != nil {
		return err
	}
	a, err := desk.AttestBy(ctx, from.CAS, from.Trust, evidence)
	if err != nil {
		return err
	}
	verdict := a.Findings.Verdict()
	if err := printers.Print(out, o.output, printers.Result{
		Head: printers.Head{Kind: "confidb.attestation/v1", Simulated: a.Simulated}, Subject: "CAS " + from.CAS, Verdict: verdict,
		Findings: cli.Kubectl.Findings(a.Findings), Origins: from.Origins, Evidence: a.Label(), Claims: claims(a),
	}); err != nil {
		return err
	}
	if verdict.Accepted() {
		if err := desk.Keep(a); err != nil {
			return err
		}
	}
	return cli.Conclude(verdict, a.Simulated, o.acceptSimulated)
}

// resolve says which CAS is attested, whom to believe, and by which evidence. A saved
// report is appraised alone when nobody named a CAS.
func (o *attestCAS) resolve(getter genericclioptions.RESTClientGetter) (*flags.Trusted, contact.Evidence, error) {
	evidence, err := o.evidence.Resolve()
	if err != nil {
		return nil, evidence, err
	}
	o.trust.NoQuote = o.evidence.NoQuote()
	from, err := o.trust.Resolve(nil)
	if err != nil {
		return nil, evidence, err
	}
	if o.address != "" {
		from.CAS, from.Origins["cas"] = o.address, "argument"
	}
	evidence.Alone = from.Origins["cas"] == flags.ByDefault
	evidence.Resource = verbs.AskOperator(getter)
	return from, evidence, nil
}

// claims are what the quote says of a CAS, if there is one.
func claims(a *attest.Appraisal) *attest.Claims {
	if a.Result == nil {
		return nil
	}
	return attest.ClaimsOf(a.Result)
}
