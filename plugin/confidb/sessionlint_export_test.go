package confidb

import (
	"os"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/plugin/confidb/session"
	"github.com/confidb/confidb/plugin/internal/cli"
)

// SessionLintCommand is the command alone, for tests from outside.
func SessionLintCommand(streams genericiooptions.IOStreams) *cobra.Command {
	c, _, err := session.NewCommand(&cli.Env{Getter: genericclioptions.NewConfigFlags(true), IOStreams: streams, LookupEnv: os.LookupEnv, Now: time.Now}).Find([]string{"lint"})
	if err != nil {
		panic(err)
	}
	c.Parent().RemoveCommand(c) // or cobra runs the parent
	return c
}
