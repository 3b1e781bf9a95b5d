package confidb

import (
	"context"
	"os"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/flags"
	"github.com/confidb/confidb/plugin/internal/verbs"
)

func newInstallCommand(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	o := verbs.NewInstall(os.LookupEnv, time.Now)
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "install NAME",
		Short: "Install a MariaDB in an enclave, and prove it",
		Long: `Finds the platforms, attests the CAS, creates the sessions (security policies),
installs the chart with Helm, waits until the database runs, and verifies it.
Nothing is created before the CAS is proven and the rendered chart is checked.

Run it again after a failure, or when it was killed: it continues where it
stopped. What it knows is kept in $CONFIDB_HOME (default ~/.confidb), 0600.

$SCONE_CAS_ADDR, $CAS_MRENCLAVE, $DBSESSION, $DBCLIENT and $PLATFORMS are
defaults, as in SCONE's own recipe; flags win, and the report says what was used.

` + cli.Glossary + `

Needs the RBAC verbs of platforms and attest cas, and in the namespace: get, list,
watch, create, update, patch, delete of secrets, services and statefulsets; get,
list, watch, delete of pods; get pods/log; create and delete of jobs.`,
		Example: `  # with the reference values of whoever built the images
  kubectl confidb install db1 --policy policy.yaml --collateral collateral/ \
    --bootstrap-sql bootstrap.sql --values values.yaml

  # what would be created, without asking the CAS
  kubectl confidb install db1 … --dry-run=client

  # another chart
  kubectl confidb install db1 … --chart sconeapps/mariadb`,
		Args: cli.Exactly(1, "the name of one release"),
		RunE: func(c *cobra.Command, arguments []string) error {
			o.Name = arguments[0]
			if err := cli.CheckFormat(o.Verify.Output); err != nil {
				return err
			}
			if err := flags.CheckDryRun(o.DryRun); err != nil {
				return err
			}
			return cli.Bounded(c, timeout, func(ctx context.Context, home string) error {
				o.SetHome(home)
				o.SetHelm(verbs.HelmPlaces())
				return o.Run(ctx, getter, streams)
			})
		},
	}
	o.AddFlags(c.Flags())
	o.Chart.AddFlags(c.Flags())
	c.Flags().StringVar(&o.Chart.Chart, "chart", "", "another chart: a folder, a .tgz file, oci://… or REPOSITORY/CHART (default: the one that is built in)")
	flags.AddDryRun(c.Flags(), &o.DryRun, "none, client (print what would be created) or server (also ask the CAS and the API server; create nothing)")
	flags.AddResult(c.Flags(), &o.Verify.Output, &o.Verify.AcceptSimulated)
	c.Flags().DurationVar(&timeout, "timeout", 10*time.Minute, "how long to wait at most, for all of it")
	return c
}

func newVerifyCommand(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	o := verbs.NewVerify(os.LookupEnv, time.Now)
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "verify NAME",
		Short: "Prove a running database, link by link",
		Long: `Asks everything anew: the nodes' platform IDs, the CAS (nonce, quote, TLS peer),
the sessions it holds, the Helm release and its pods, and the database itself
through an attested client, which also tries what must be refused. What could
not be shown is said, and makes the verdict none.

Needs the RBAC verbs of platforms and attest cas, and in the namespace: list
secrets, get statefulsets, get, list and watch pods, get pods/log, create and
delete jobs. A check that lacks them is skipped, and says so.`,
		Example: `  kubectl confidb verify db1
  kubectl confidb verify db1 -o json | jq .verdict`,
		Args: cli.Exactly(1, "the name of one release"),
		RunE: func(c *cobra.Command, arguments []string) error {
			o.Name = arguments[0]
			if err := cli.CheckFormat(o.Output); err != nil {
				return err
			}
			return cli.Bounded(c, timeout, func(ctx context.Context, home string) error {
				o.Home = home
				return o.Run(ctx, getter, streams)
			})
		},
	}
	o.Platforms.AddFlags(c.Flags())
	flags.AddResult(c.Flags(), &o.Output, &o.AcceptSimulated)
	c.Flags().DurationVar(&timeout, "timeout", 5*time.Minute, "how long to wait at most")
	return c
}
