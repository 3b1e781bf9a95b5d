package scone

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/flags"
	"github.com/confidb/confidb/plugin/internal/verbs"
)

func newVerifyCommand(env *environment, streams genericiooptions.IOStreams) *cobra.Command {
	o := verbs.NewVerify(env.lookupEnv, time.Now)
	o.Program = cli.Helm
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "verify NAME",
		Short: "Prove a running database, link by link",
		Long: `Asks everything anew: the nodes' platform IDs, the CAS (nonce, quote, TLS peer),
the sessions it holds, the Helm release and its pods, and the database itself
through an attested client, which also tries what must be refused. What could
not be shown is said, and makes the verdict none.

Needs the RBAC verbs, in the whole cluster: list nodes, list pods, get pods/log,
list las.base.scone.cloud (none with --platform); where the CAS is: get services,
list pods, create pods/portforward; in the namespace of the release: list secrets,
get statefulsets, get, list and watch pods, get pods/log, create and delete jobs. A
check that lacks them is skipped, and says so.`,
		Example: `  helm scone verify db1
  helm scone verify db1 -o json | jq .verdict`,
		Args: between(1, 1, "the name of one release"),
		RunE: func(c *cobra.Command, arguments []string) error {
			o.Name = arguments[0]
			if err := cli.CheckFormat(o.Output); err != nil {
				return err
			}
			if err := env.fill(&o.Helm, &o.Home, streams.ErrOut); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(c.Context(), timeout)
			defer cancel()
			return o.Run(ctx, env, streams)
		},
	}
	o.Platforms.AddFlags(c.Flags())
	flags.AddResult(c.Flags(), &o.Output, &o.AcceptSimulated)
	c.Flags().DurationVar(&timeout, "timeout", 5*time.Minute, "how long to wait at most")
	return c
}
