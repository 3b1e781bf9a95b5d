// Package scone is the command tree of helm scone: Helm's own flags around what
// kubectl confidb does. Helm takes its global flags, such as --namespace, before a
// plugin sees them, and passes them on in HELM_* variables.
package scone

import (
	_ "embed"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // every kubeconfig works

	"github.com/confidb/confidb/pkg/release"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/verbs"
)

// page is the help of all commands.
//
//go:embed help.md
var page string

// Main runs a command line and returns the exit code. lookupEnv reads the
// environment; KUBECONFIG alone is read by client-go itself.
func Main(arguments []string, lookupEnv func(string) (string, bool), streams genericiooptions.IOStreams) int {
	help, err := readHelp()
	if err != nil {
		return cli.Report(cli.Helm, err, streams.ErrOut)
	}
	around := newEnvironment(lookupEnv)
	env := &cli.Env{Program: cli.Helm, Help: help, Getter: around, IOStreams: streams, LookupEnv: lookupEnv, Now: time.Now}
	env.Helm = func() (release.Settings, error) { return around.settings(streams.ErrOut) }
	return env.Main(newRootCommand(env), arguments)
}

func readHelp() (cli.Help, error) {
	return cli.ReadHelp(page, map[string]string{"glossary": cli.Glossary})
}

func newRootCommand(env *cli.Env) *cobra.Command {
	return env.Root(
		newInstallCommand(env),
		newUpgradeCommand(env),
		verbs.NewTemplate(env, nameAndChart()),
		newUninstallCommand(env),
		verbs.NewVerify(env),
		env.Version(cli.Exactly(0, "none")),
	)
}

func nameAndChart() cobra.PositionalArgs {
	return cli.Between(1, 2, "the name of one release, and perhaps a chart")
}

func newInstallCommand(env *cli.Env) *cobra.Command {
	c, _ := verbs.NewInstall(env, "install", nameAndChart())
	addWaitFlag(c)
	return c
}

func newUpgradeCommand(env *cli.Env) *cobra.Command {
	c, o := verbs.NewInstall(env, "upgrade", nameAndChart())
	addWaitFlag(c)
	o.MustExist = true
	c.Flags().BoolVarP(&o.OrInstall, "install", "i", false, "install the release if it does not exist")
	return c
}

// addWaitFlag accepts Helm's --wait.
func addWaitFlag(c *cobra.Command) {
	wait := c.Flags().Bool("wait", true, "no effect: we always wait until the database runs")
	c.PreRunE = func(*cobra.Command, []string) error {
		if !*wait {
			return cli.NewUsageError("--wait: got false, want true: what does not run cannot be verified")
		}
		return nil
	}
}
