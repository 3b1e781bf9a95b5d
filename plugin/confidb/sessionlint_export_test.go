package confidb

import (
	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// SessionLintCommand is the command alone, for tests from outside.
func SessionLintCommand(streams genericiooptions.IOStreams) *cobra.Command {
	return newSessionLintCommand(genericclioptions.NewConfigFlags(true), streams)
}
