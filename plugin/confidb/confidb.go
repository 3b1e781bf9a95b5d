// Package confidb is the command tree of kubectl confidb.
package confidb

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/confidb/confidb/plugin/confidb/session"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // every kubeconfig works

	"github.com/confidb/confidb/plugin/confidb/platforms"
	"github.com/confidb/confidb/plugin/internal/cli"
)

// Main runs a command line and returns the exit code.
func Main(arguments []string, streams genericiooptions.IOStreams) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := newRootCommand(streams)
	root.SetArgs(arguments)
	return cli.Report(cli.Kubectl, root.ExecuteContext(ctx), streams.ErrOut)
}

func newRootCommand(streams genericiooptions.IOStreams) *cobra.Command {
	flags := genericclioptions.NewConfigFlags(true)
	root := &cobra.Command{
		Use:           "kubectl-confidb",
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl confidb"},
		Short:         "Install a MariaDB in SGX enclaves, and prove what runs",
		Long:          "Installs a MariaDB that runs in Intel SGX enclaves with SCONE, and proves link by\nlink that it is what was promised. What is not proven is said.\n\n" + cli.Glossary,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	flags.AddFlags(root.PersistentFlags())
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.ErrOut)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return cli.NewUsageError("%w (%s --help)", err, c.CommandPath())
	})
	root.AddCommand(
		platforms.NewCommand(flags, streams),
		newAttestCommand(flags, streams),
		session.NewCommand(flags, streams),
		newInstallCommand(flags, streams),
		newVerifyCommand(flags, streams),
		newSQLCommand(flags, streams),
		newEnvCommand(flags, streams),
		newTCBCommand(flags, streams),
		newCollateralCommand(streams),
		newPolicyCommand(streams),
		newExplainCommand(streams),
		newVersionCommand(streams),
	)
	return root
}

func newVersionCommand(streams genericiooptions.IOStreams) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cli.AtMost(0),
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(streams.Out, cli.Version())
			return err
		},
	}
}
