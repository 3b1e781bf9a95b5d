package scone

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/plugin/internal/flags"
	"github.com/confidb/confidb/plugin/internal/verbs"
)

func newUninstallCommand(env *environment, streams genericiooptions.IOStreams) *cobra.Command {
	o := verbs.Uninstall{}
	c := &cobra.Command{
		Use:   "uninstall NAME",
		Short: "Remove a release; sessions and data stay",
		Long: `Removes the Helm release and its objects, as helm uninstall does, and waits until
they are gone. Volumes that a StatefulSet claimed stay, as the data of our own chart;
so do the sessions, since CAS does not delete sessions, and the record of them in
$CONFIDB_HOME. A later install of the same name continues with all of them.

Needs the RBAC verbs, in the namespace: get, list, update, delete of secrets; get,
list, watch, delete of services and statefulsets.`,
		Example: `  helm scone uninstall db1
  helm scone uninstall db1 --dry-run`,
		Args: between(1, 1, "the name of one release"),
		RunE: func(c *cobra.Command, arguments []string) error {
			o.Name = arguments[0]
			if err := flags.CheckDryRun(o.DryRun); err != nil {
				return err
			}
			if err := env.fill(&o.Helm, &o.Home, streams.ErrOut); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(c.Context(), o.Timeout)
			defer cancel()
			return o.Run(ctx, env, streams)
		},
	}
	flags.AddDryRun(c.Flags(), &o.DryRun, "none, client or server: say what would be removed; both look whether the release exists")
	c.Flags().DurationVar(&o.Timeout, "timeout", 5*time.Minute, "how long to wait at most")
	return c
}
