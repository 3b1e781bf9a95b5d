package confidb

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/plugin/internal/verbs"
)

func newTCBCommand(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	o := &verbs.TCB{Now: time.Now}
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "tcb [NODE=FILE ...]",
		Short: "Say in words what Intel knows of the fleet's machines, and what to do",
		Long: `Verifies a quote of each node with SGX, and says what Intel's collateral says of
the machine: status, advisories, end of servicing, what it means and what to do.
Names the deviations that a policy and a session would have to tolerate and that
--policy does not accept yet; run it without --policy to see all of them. Nodes of
which the same is to be said share one paragraph, the worst first.

Evidence is a quote in a file, given as NODE=FILE or in the folder of --quotes with
the name NODE.bin, NODE.quote or NODE.dat. Which enclave made it is not judged. A
quote in a file has no date: it shows the TCB of the day on which it was made.

A node without evidence is unknown, and never fine. Evidence of one machine under
two names is refused, as is that of a machine with another Intel QE ID than the
cluster claims. PPID and platform instance ID are personal data: only their hashes
are printed.

Needs the RBAC verbs, in the whole cluster: list nodes, list pods, get pods/log,
list las.base.scone.cloud. None with --offline, when nodes without evidence are not
seen.`,
		Example: `  # the whole fleet, with the quotes node-1.bin, node-2.bin and so on
  kubectl confidb tcb --quotes quotes/ --collateral collateral/

  # what is left beside what the policy accepts, of some nodes
  kubectl confidb tcb --quotes quotes/ --collateral collateral/ --policy policy.yaml \
    -l topology.kubernetes.io/zone=a

  # two nodes, without a cluster
  kubectl confidb tcb node-1=1.bin node-2=2.bin --collateral bundle.json --offline`,
		RunE: func(c *cobra.Command, arguments []string) error {
			if err := verbs.CheckFormat(o.Output); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(c.Context(), timeout)
			defer cancel()
			return o.Run(ctx, getter, arguments, streams)
		},
	}
	o.AddFlags(c.Flags())
	verbs.AddResultFlags(c.Flags(), &o.Output, &o.AcceptSimulated)
	c.Flags().DurationVar(&timeout, "timeout", time.Minute, "how long to wait at most")
	return c
}
