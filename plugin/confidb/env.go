package confidb

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/verbs"
)

func newEnvCommand(env *cli.Env) *cobra.Command {
	return env.Command(cli.Verb{Name: "env", Args: cli.Exactly(1, "the name of one release"), Run: func(_ context.Context, arguments []string) error {
		return printEnvironment(env, arguments[0])
	}})
}

// printEnvironment prints the variables of SCONE's recipe, to be evaluated by a shell.
func printEnvironment(env *cli.Env, name string) error {
	known, err := verbs.OpenRelease(env, name)
	if err != nil {
		return err
	}
	r := known.Promised
	var ids []string
	for _, id := range slices.SortedFunc(slices.Values(r.Platforms), attest.PlatformID.Compare) {
		ids = append(ids, id.String())
	}
	lines := [][2]string{{"SCONE_CAS_ADDR", r.CASAddress}}
	if m := r.Trust.CAS.ReferenceValues.MRENCLAVEs; len(m) == 1 {
		lines = append(lines, [2]string{"CAS_MRENCLAVE", m[0].String()})
	}
	lines = append(lines, [2]string{"DBSESSION", r.Session(topology.Database).Name}, [2]string{"DBCLIENT", r.Session(topology.Client).Name}, [2]string{"PLATFORMS", strings.Join(ids, ",")})
	for _, l := range lines {
		if _, err := fmt.Fprintf(env.Out, "export %s=%s\n", l[0], quoteForShell(l[1])); err != nil {
			return err
		}
	}
	return nil
}

// quoteForShell makes one word of any text.
func quoteForShell(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
