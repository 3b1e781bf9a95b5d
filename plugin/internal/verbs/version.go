package verbs

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/confidb/confidb/plugin/internal/cli"
)

// NewVersion returns the command that prints the version.
func NewVersion(env *cli.Env, arguments cobra.PositionalArgs) *cobra.Command {
	return env.Command(cli.Verb{Name: "version", Args: arguments, Run: func(context.Context, []string) error {
		_, err := fmt.Fprintln(env.Out, cli.Version())
		return err
	}})
}
