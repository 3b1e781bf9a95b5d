package scone

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/plugin/internal/verbs"
)

// templateTimeout bounds the fetching of a chart and of values.
const templateTimeout = 5 * time.Minute

func newTemplateCommand(env *environment, streams genericiooptions.IOStreams) *cobra.Command {
	o := verbs.NewInstall(env.lookupEnv, time.Now)
	c := &cobra.Command{
		Use:   "template NAME [CHART]",
		Short: "Print the chart's manifests, with the sessions' names filled in",
		Long: `Prints the manifests that install would send to Kubernetes, checked as install checks
them, and nothing else. It asks neither a CAS nor the cluster.

The name of the database session and the CAS are those of the release, if it is
installed; else --database-session and --cas, or $DBSESSION and $SCONE_CAS_ADDR. The
pods start only when CAS has that session: create it first, with helm scone install
or kubectl confidb session create. Flags of install that the manifests do not depend
on are accepted, and have no effect.

Needs no RBAC verb.`,
		Example: `  helm scone template db1 -f values.yaml --database-session shop/db >db1.yaml`,
		Args:    between(1, 2, "the name of one release, and perhaps a chart"),
		RunE: func(c *cobra.Command, arguments []string) error {
			if err := take(o, env, streams, arguments); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(c.Context(), templateTimeout)
			defer cancel()
			return o.Template(ctx, env, streams)
		},
	}
	o.AddFlags(c.Flags())
	o.Chart.AddFlags(c.Flags())
	return c
}
