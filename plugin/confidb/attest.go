package confidb

import (
	"context"
	"os"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/plugin/internal/verbs"
)

func newAttestCommand(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	return newGroup("attest", "Prove what a CAS is, or whose a quote is", newAttestCASCommand(getter, streams), newAttestQuoteCommand(streams))
}

func newAttestCASCommand(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	o := verbs.AttestCAS{Trust: verbs.NewTrust(os.LookupEnv), Now: time.Now}
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
		Args: atMost(1),
		RunE: func(c *cobra.Command, arguments []string) error {
			if err := verbs.CheckFormat(o.Output); err != nil {
				return err
			}
			if len(arguments) == 1 {
				o.Address = arguments[0]
			}
			return bounded(c, timeout, func(ctx context.Context, home string) error {
				o.Home = home
				return o.Run(ctx, getter, streams)
			})
		},
	}
	o.Trust.AddFlags(c.Flags())
	o.Evidence.AddFlags(c.Flags())
	verbs.AddResultFlags(c.Flags(), &o.Output, &o.AcceptSimulated)
	c.Flags().DurationVar(&timeout, "timeout", time.Minute, "how long to wait at most")
	return c
}
