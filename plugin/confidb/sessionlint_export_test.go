package confidb

import (
	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/plugin/confidb/session"
)

// SessionLintCommand is the command alone, for tests from outside.
func SessionLintCommand(streams genericiooptions.IOStreams) *cobra.Command {
	c, _, err := session.NewCommand(genericclioptions.NewConfigFlags(true), streams).Find([]string{"lint"})
	if err != nil {
		panic(err)
	}
	c.Parent().RemoveCommand(c) // or cobra runs the parent
	return c
}
