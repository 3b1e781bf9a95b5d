// Package scone is the command tree of helm scone: Helm's own flags around what
// kubectl confidb does. Helm takes its global flags, such as --namespace, before a
// plugin sees them, and passes them on in HELM_* variables.
package scone

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // every kubeconfig works

	"github.com/confidb/confidb/plugin/internal/cli"
)

// Main runs a command line and returns the exit code. lookupEnv reads the
// environment; KUBECONFIG alone is read by client-go itself.
func Main(arguments []string, lookupEnv func(string) (string, bool), streams genericiooptions.IOStreams) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := newRootCommand(newEnvironment(lookupEnv), streams)
	root.SetArgs(arguments)
	return cli.Report(cli.Helm, root.ExecuteContext(ctx), streams.ErrOut)
}

func newRootCommand(env *environment, streams genericiooptions.IOStreams) *cobra.Command {
	root := &cobra.Command{
		Use:         "helm-scone",
		Annotations: map[string]string{cobra.CommandDisplayNameAnnotation: "helm scone"},
		Short:       "Install a MariaDB in SGX enclaves, and prove what runs",
		Long: `Installs, upgrades, verifies and removes a MariaDB that runs in Intel SGX enclaves
with SCONE. What it leaves is an ordinary Helm release: helm list, status, history
and rollback work. kubectl confidb has more verbs on the same releases.

Helm's global flags (--namespace, --kube-context, --kubeconfig, --debug, …) work.

` + cli.Glossary,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.ErrOut)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return cli.NewUsageError("%w (%s --help)", err, c.CommandPath())
	})
	root.AddCommand(
		newInstallCommand(env, streams),
		newUpgradeCommand(env, streams),
		newTemplateCommand(env, streams),
		newUninstallCommand(env, streams),
		newVerifyCommand(env, streams),
		newVersionCommand(streams),
	)
	return root
}

// between makes a command want a number of arguments, which are named.
func between(least, most int, names string) cobra.PositionalArgs {
	return func(c *cobra.Command, arguments []string) error {
		if len(arguments) < least || len(arguments) > most {
			return cli.NewUsageError("got %d arguments, want %s (%s --help)", len(arguments), names, c.CommandPath())
		}
		return nil
	}
}
