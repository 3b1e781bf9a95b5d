package scone

import (
	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/plugin/internal/cli"
)

func newUpgradeCommand(env *environment, streams genericiooptions.IOStreams) *cobra.Command {
	c, o := newInstallation(env, streams)
	var install bool
	c.Use = "upgrade NAME [CHART]"
	c.Short = "Change a release, and prove it again"
	c.Long = `Does what install does, to a release that exists. What is not said now is taken from
the last run: the CAS, whom to trust, the chart. The values, too, if none are given;
otherwise those given now are all there are. The sessions keep their names and, once
CAS has them, their meaning. When nothing has changed, no revision is made, and the
release is verified.

` + cli.Glossary + "\n\n" + rightsOfInstall
	c.Example = `  helm scone upgrade db1 -f values.yaml --set podAnnotations.team=shop
  helm scone upgrade db1 --install --policy policy.yaml --collateral collateral/ \
    --bootstrap-sql bootstrap.sql -f values.yaml`
	c.Flags().BoolVarP(&install, "install", "i", false, "install the release if it does not exist")
	c.PreRun = func(*cobra.Command, []string) { o.MustExist = !install }
	return c
}
