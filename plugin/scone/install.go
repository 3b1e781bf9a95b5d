package scone

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/pkg/release"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/flags"
	"github.com/confidb/confidb/plugin/internal/verbs"
)

// rightsOfInstall are the RBAC verbs that install and upgrade need.
const rightsOfInstall = `Needs the RBAC verbs, in the whole cluster: list nodes, list pods, get pods/log,
list las.base.scone.cloud (none with --platform); where the CAS is: get services,
list pods, create pods/portforward; in the namespace of the release: get, list,
watch, create, update, patch, delete of secrets, services and statefulsets; get,
list, watch, delete of pods; get pods/log; create and delete of jobs.`

func newInstallCommand(env *environment, streams genericiooptions.IOStreams) *cobra.Command {
	c, _ := newInstallation(env, streams)
	c.Use = "install NAME [CHART]"
	c.Short = "Install a MariaDB in an enclave, and prove it"
	c.Long = `Finds the platforms, attests the CAS, creates the sessions (security policies),
installs the chart, waits until the database runs, and verifies it. Nothing is
created before the CAS is proven and the rendered chart is checked. CHART is as for
helm install: a folder, a .tgz file, oci://… or REPOSITORY/CHART; without it, the
chart that is built in.

Run it again after a failure, or when it was killed: it continues where it
stopped. What it knows is kept in $CONFIDB_HOME (default ~/.confidb), 0600.

$SCONE_CAS_ADDR, $CAS_MRENCLAVE, $DBSESSION, $DBCLIENT and $PLATFORMS are
defaults, as in SCONE's own recipe; flags win, and the report says what was used.

` + cli.Glossary + "\n\n" + rightsOfInstall
	c.Example = `  # with the reference values of whoever built the images
  helm scone install db1 --policy policy.yaml --collateral collateral/ \
    --bootstrap-sql bootstrap.sql -f values.yaml

  # what would be created, without asking the CAS
  helm scone install db1 … --dry-run

  # another chart
  helm scone install db1 sconeapps/mariadb …`
	return c
}

// newInstallation is what install and upgrade have in common.
func newInstallation(env *environment, streams genericiooptions.IOStreams) (*cobra.Command, *verbs.Install) {
	o := verbs.NewInstall(env.lookupEnv, time.Now)
	o.Verify.Program = cli.Helm
	var timeout time.Duration
	c := &cobra.Command{
		Args: between(1, 2, "the name of one release, and perhaps a chart"),
		RunE: func(c *cobra.Command, arguments []string) error {
			for _, err := range []error{cli.CheckFormat(o.Verify.Output), flags.CheckDryRun(o.DryRun), checkWait(c), take(o, env, streams, arguments)} {
				if err != nil {
					return err
				}
			}
			ctx, cancel := context.WithTimeout(c.Context(), timeout)
			defer cancel()
			return o.Run(ctx, env, streams)
		},
	}
	o.AddFlags(c.Flags())
	o.Chart.AddFlags(c.Flags())
	flags.AddDryRun(c.Flags(), &o.DryRun, "none, client (print what would be created) or server (also ask the CAS and the API server; create nothing)")
	flags.AddResult(c.Flags(), &o.Verify.Output, &o.Verify.AcceptSimulated)
	addWaitFlag(c)
	c.Flags().DurationVar(&timeout, "timeout", 10*time.Minute, "how long to wait at most, for all of it")
	return c, o
}

// take fills in the arguments and what Helm's environment says.
func take(o *verbs.Install, env *environment, streams genericiooptions.IOStreams, arguments []string) error {
	o.Name = arguments[0]
	if len(arguments) > 1 {
		o.Chart.Chart = arguments[1]
	}
	var settings release.Settings
	var home string
	if err := env.fill(&settings, &home, streams.ErrOut); err != nil {
		return err
	}
	o.SetHelm(settings)
	o.SetHome(home)
	return nil
}
