package confidb

import (
	"context"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/flags"
	"github.com/confidb/confidb/plugin/internal/verbs"
)

func newSessionFlags() verbs.SessionFlags {
	return verbs.SessionFlags{LookupEnv: os.LookupEnv, Now: time.Now}
}

func newSessionDiffCommand(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	o := verbs.DiffSession{SessionFlags: newSessionFlags()}
	return cli.Timed(&cobra.Command{
		Use:   "diff FROM TO",
		Short: "Say in words what changes from one session to another",
		Long: `Compares two sessions by what they mean: which enclaves, machines, people and
sessions gain or lose what, and what an update would do to secrets. FROM and TO are
files, - for standard input, or cas:NAME for what a CAS holds that was attested
before. The last line is the verdict: equal, widened, narrowed or incomparable.

Needs no rights in a cluster for files; for cas:NAME the RBAC verbs of attest cas.`,
		Example: `  kubectl confidb session diff cas:shop/db db.yaml
  kubectl confidb session diff old.yaml new.yaml --fail-on widened -o json`,
		Args: func(c *cobra.Command, arguments []string) error {
			if len(arguments) != 2 {
				return cli.NewUsageError("got %d arguments, want two sessions (%s --help)", len(arguments), c.CommandPath())
			}
			return nil
		},
	}, time.Minute, &o.Output, o.AddFlags, func(ctx context.Context, home string, arguments []string) error {
		o.Home, o.From, o.To = home, arguments[0], arguments[1]
		return o.Run(ctx, getter, streams)
	})
}

func newSessionUpdateCommand(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	o := verbs.UpdateSession{CreateSession: verbs.CreateSession{SessionFlags: newSessionFlags()}}
	return cli.Timed(&cobra.Command{
		Use:   "update FILE",
		Short: "Replace a session, after saying what that does",
		Long: `Reads the session that CAS holds, says what the new version changes, which secrets
survive and which certificates are issued anew, and uploads it with the right
predecessor. An update that would lose secrets which something uses now is refused
without --allow-reissue. When somebody else was faster, it is tried again only if it
still does the same. Variables are filled in as session create does.

Running pods keep what they have until they start again. --dry-run=server asks CAS
for everything that it can be asked without an upload: it has no trial run.

Needs the RBAC verbs of attest cas.`,
		Example: `  kubectl confidb session update db.yaml --use-env --dry-run=server
  kubectl confidb session update db.yaml -e PLATFORMS="$PLATFORMS"`,
		Args: cli.Exactly(1, "the name of one file, or -"),
	}, time.Minute, &o.Output, func(set *pflag.FlagSet) {
		o.AddTemplateFlags(set)
		o.AddFlags(set)
		flags.AddDryRun(set, &o.DryRun, "none, client or server (both show the change and upload nothing)")
	}, func(ctx context.Context, home string, arguments []string) error {
		if err := flags.CheckDryRun(o.DryRun); err != nil {
			return err
		}
		o.Home, o.File = home, arguments[0]
		return o.Run(ctx, getter, streams)
	})
}

func newSessionPlanCommand(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	o := verbs.PlanSession{UpdateSession: verbs.UpdateSession{CreateSession: verbs.CreateSession{SessionFlags: newSessionFlags()}}}
	return cli.Timed(&cobra.Command{
		Use:   "plan FILE --to PLAN",
		Short: "Write an update down, for others to sign",
		Long: `Does what update does, and writes the update to a file instead of uploading it. Others
look at it and sign it (session sign), and session apply carries it out if CAS still
has the version that it was made for. Which signers count is said by the session in
CAS, in access_policy.update: that is what makes it a rule of two persons. With a
signed upload CREATOR stands for the signers afterwards: name readers by their keys.

Needs the RBAC verbs of attest cas.`,
		Example: `  kubectl confidb session plan db.yaml --use-env --to plan.json
  kubectl confidb session sign plan.json --key alice.pem
  kubectl confidb session sign plan.json --key bob.pem
  kubectl confidb session apply plan.json --signers 2`,
		Args: cli.Exactly(1, "the name of one file, or -"),
	}, time.Minute, &o.Output, func(flags *pflag.FlagSet) {
		o.AddTemplateFlags(flags)
		o.UpdateSession.AddFlags(flags)
		o.AddFlags(flags)
	}, func(ctx context.Context, home string, arguments []string) error {
		o.Home, o.File = home, arguments[0]
		return o.Run(ctx, getter, streams)
	})
}

func newSessionSignCommand(streams genericiooptions.IOStreams) *cobra.Command {
	var o verbs.SignPlan
	return cli.Timed(&cobra.Command{
		Use:   "sign PLAN --key KEY.pem",
		Short: "Look at a plan and sign it",
		Long: `Works out anew what a plan does, prints it and adds a signature with your key. The
signature is over the text of the new session. What a real CAS wants signed is not
public: have SCONE's program make that message (scone session sign FILE
generate-message-to-be-signed) and give it with --message.

Asks nobody: needs no cluster, no CAS and no RBAC verbs.`,
		Example: "  kubectl confidb session sign plan.json --key alice.pem",
		Args:    cli.Exactly(1, "the name of one plan"),
	}, time.Minute, &o.Output, o.AddFlags, func(_ context.Context, _ string, arguments []string) error {
		o.Plan = arguments[0]
		return o.Run(streams)
	})
}

func newSessionApplyCommand(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	o := verbs.ApplyPlan{SessionFlags: newSessionFlags()}
	return cli.Timed(&cobra.Command{
		Use:   "apply PLAN",
		Short: "Carry a signed plan out, unless CAS has moved",
		Long: `Checks the signatures of a plan and uploads the session, if CAS still has exactly the
version for which the plan was made. A plan that was carried out before is left alone.

Needs the RBAC verbs of attest cas.`,
		Example: "  kubectl confidb session apply plan.json --signers 2",
		Args:    cli.Exactly(1, "the name of one plan"),
	}, time.Minute, &o.Output, o.AddFlags, func(ctx context.Context, home string, arguments []string) error {
		o.Home, o.Plan = home, arguments[0]
		return o.Run(ctx, getter, streams)
	})
}

func newSessionHistoryCommand(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	o := verbs.SessionHistory{SessionFlags: newSessionFlags()}
	return cli.Timed(&cobra.Command{
		Use:   "history NAME",
		Short: "List the versions of a session, and what each changed",
		Long: `Follows the predecessors of a session in a CAS that was attested before, and says
what each version changed.

Needs the RBAC verbs of attest cas.`,
		Example: "  kubectl confidb session history shop/db",
		Args:    cli.Exactly(1, "the name of one session"),
	}, time.Minute, &o.Output, o.AddFlags, func(ctx context.Context, home string, arguments []string) error {
		o.Home, o.Name = home, arguments[0]
		return o.Run(ctx, getter, streams)
	})
}
