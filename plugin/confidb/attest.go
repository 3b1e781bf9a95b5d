package confidb

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/contact"
	"github.com/confidb/confidb/pkg/kube"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/flags"
	"github.com/confidb/confidb/plugin/internal/printers"
	"github.com/confidb/confidb/plugin/internal/verbs"
)

func newAttestCASCommand(env *cli.Env) *cobra.Command {
	o := attestCAS{env: env, trust: &flags.Trust{LookupEnv: env.LookupEnv}}
	return env.Command(cli.Verb{Name: "attest cas", Args: cli.AtMost(1), Flags: o.addFlags, Patience: time.Minute, Run: o.run})
}

// attestCAS is what the user gave.
type attestCAS struct {
	env      *cli.Env
	trust    *flags.Trust
	evidence flags.CASEvidence
	result   cli.Result
}

func (o *attestCAS) addFlags(set *pflag.FlagSet) {
	o.trust.AddFlags(set)
	o.evidence.AddFlags(set)
	o.result.AddFlags(set)
}

// run attests the CAS, prints the result and keeps the evidence of a CAS that is
// accepted.
func (o *attestCAS) run(ctx context.Context, arguments []string) error {
	from, evidence, err := o.resolve(arguments)
	if err != nil {
		return err
	}
	desk, err := verbs.NewDesk(o.env)
	if err != nil {
		return err
	}
	a, err := desk.AttestBy(ctx, from.CASAddress, from.Trust, evidence)
	if err != nil {
		return err
	}
	verdict := a.Findings.Verdict()
	if err := printers.Print(o.env.Out, o.result.Output, printers.Result{
		Head: printers.Head{Kind: "confidb.attestation/v1", Simulated: a.Simulated}, Subject: "CAS " + from.CASAddress, Verdict: verdict,
		Findings: o.env.Program.Findings(a.Findings), Origins: from.Origins, Evidence: a.Label(), Claims: a.Claims(),
	}); err != nil {
		return err
	}
	if verdict.Accepted() {
		if err := desk.Keep(a); err != nil {
			return err
		}
	}
	return cli.Conclude(verdict, a.Simulated, o.result.AcceptSimulated)
}

// resolve says which CAS is attested, whom to believe, and by which evidence. A saved
// report is appraised alone when nobody named a CAS.
func (o *attestCAS) resolve(arguments []string) (*topology.Plan, contact.Evidence, error) {
	evidence, err := o.evidence.Resolve()
	if err != nil {
		return nil, evidence, err
	}
	o.trust.NoQuote = o.evidence.NoQuote()
	from, err := o.trust.Resolve(nil)
	if err != nil {
		return nil, evidence, err
	}
	if len(arguments) > 0 && arguments[0] != "" {
		from.CASAddress, from.Origins["cas"] = arguments[0], "argument"
	}
	evidence.Alone = from.Origins["cas"] == flags.ByDefault
	evidence.Resource = o.askOperator
	return from, evidence, nil
}

// askOperator has SCONE's operator answer a nonce, through the custom resource that has
// the name of the CAS's Service.
func (o *attestCAS) askOperator(ctx context.Context, address string, nonce [16]byte) ([]byte, error) {
	name, namespace, inCluster := kube.ServiceAddress(address)
	if !inCluster {
		return nil, cli.NewUsageError("--evidence %s: got the address %s, want NAME.NAMESPACE.svc, the name of the custom resource", attest.BackendResource, address)
	}
	c, err := kube.New(o.env.Getter)
	if err != nil {
		return nil, err
	}
	return c.CASReport(ctx, namespace, name, nonce)
}
