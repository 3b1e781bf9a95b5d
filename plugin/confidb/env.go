package confidb

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/verbs"
)

// newEnvCommand prints the variables of SCONE's recipe, to be evaluated by a shell.
func newEnvCommand(env *cli.Env) *cobra.Command {
	return env.Command(cli.Verb{Name: "env", Args: cli.Exactly(1, "the name of one release"), Run: func(_ context.Context, arguments []string) error {
		known, err := verbs.OpenRelease(env, arguments[0])
		if err != nil {
			return err
		}
		for _, v := range known.Promised.Variables() {
			if _, err := fmt.Fprintln(env.Out, v.Export()); err != nil {
				return err
			}
		}
		return nil
	}})
}
