package confidb

import (
	"context"
	"os"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/verbs"
)

func newPlatformsPlanCommand(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	o := verbs.PlanPlatforms{Platforms: verbs.NewPlatformFlags(os.LookupEnv), Now: time.Now}
	return cli.Timed(&cobra.Command{
		Use:   "plan NAME --to PLAN",
		Short: "Plan that a release's sessions admit the machines of today",
		Long: `Compares the machines with the two sessions of a release, attests the CAS, and writes
the update of both sessions to a file for review. Nothing is changed. A session that
somebody else changed in CAS is refused.

Needs the RBAC verbs of platforms and of attest cas.`,
		Example: "  kubectl confidb platforms plan db1 --to plan.json",
		Args:    cli.Exactly(1, "the name of one release"),
	}, time.Minute, &o.Output, o.AddFlags, func(ctx context.Context, home string, arguments []string) error {
		o.Home, o.Name = home, arguments[0]
		return o.Run(ctx, getter, streams)
	})
}

func newPlatformsApplyCommand(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	o := verbs.ApplyPlatforms{Platforms: verbs.NewPlatformFlags(os.LookupEnv), Helm: helmPlaces(), Now: time.Now}
	var none string
	return cli.Timed(&cobra.Command{
		Use:   "apply NAME PLAN",
		Short: "Make a release's sessions admit the machines of a plan",
		Long: `Carries a plan out that platforms plan wrote, if the machines and the sessions in CAS
are still those of the plan: uploads both sessions, restarts the database and waits
until it runs. If it does not come back, the sessions are set back and it is started
again as before. Keys survive, so clients that trust the CA go on. A run that was
killed is continued by the same command.

Needs the RBAC verbs of platforms, attest cas and verify, and delete pods; with
create events it leaves an event at the workload.`,
		Example: "  kubectl confidb platforms apply db1 plan.json",
		Args: func(c *cobra.Command, arguments []string) error {
			if len(arguments) != 2 {
				return cli.NewUsageError("got %d arguments, want a release and a plan (%s --help)", len(arguments), c.CommandPath())
			}
			return nil
		},
	}, 15*time.Minute, &none, o.AddFlags, func(ctx context.Context, home string, arguments []string) error {
		o.Home, o.Name, o.Plan = home, arguments[0], arguments[1]
		return o.Run(ctx, getter, streams)
	})
}

func newPlatformsRevokedCommand(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	o := verbs.RevokedPlatform{Platforms: verbs.NewPlatformFlags(os.LookupEnv), Helm: helmPlaces(), Now: time.Now}
	return cli.Timed(&cobra.Command{
		Use:   "revoked NAME NODE",
		Short: "Show that a node is no longer admitted",
		Long: `Reads the sessions of a release from the CAS, which is attested, and shows that they do
not admit the machine, and that no pod of the release runs there; then starts the
attested client on the node, where it must be refused. The first is the proof; the
others are the word of the cluster and of the node, which can only accuse. What a
machine got earlier it still has: rotate what it must not know.

Needs the RBAC verbs of platforms, attest cas and verify.`,
		Example: "  kubectl confidb platforms revoked db1 node-7",
		Args: func(c *cobra.Command, arguments []string) error {
			if len(arguments) != 2 {
				return cli.NewUsageError("got %d arguments, want a release and a node (%s --help)", len(arguments), c.CommandPath())
			}
			return nil
		},
	}, 3*time.Minute, &o.Output, o.AddFlags, func(ctx context.Context, home string, arguments []string) error {
		o.Home, o.Name, o.Node = home, arguments[0], arguments[1]
		return o.Run(ctx, getter, streams)
	})
}
