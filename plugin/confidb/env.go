package confidb

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/verbs"
)

func newEnvCommand(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	o := releaseEnv{}
	return &cobra.Command{
		Use:   "env NAME",
		Short: "Print a release's names as variables for scripts",
		Long: `Prints SCONE_CAS_ADDR, CAS_MRENCLAVE, DBSESSION, DBCLIENT and PLATFORMS of a release,
the variables of SCONE's own recipe. None of them is a secret.

Needs no RBAC verb.`,
		Example: `  eval "$(kubectl confidb env db1)"`,
		Args:    cli.Exactly(1, "the name of one release"),
		RunE: func(_ *cobra.Command, arguments []string) error {
			o.Name = arguments[0]
			var err error
			if o.Home, err = cli.Home(os.LookupEnv); err != nil {
				return err
			}
			return o.run(getter, streams)
		},
	}
}

// releaseEnv are the options of printing a release's names for scripts.
type releaseEnv struct{ Name, Home string }

// Run prints the variables of SCONE's recipe, to be evaluated by a shell.
func (o releaseEnv) run(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) error {
	known, err := verbs.OpenRelease(getter, o.Home, o.Name)
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
		if _, err := fmt.Fprintf(streams.Out, "export %s=%s\n", l[0], quoteForShell(l[1])); err != nil {
			return err
		}
	}
	return nil
}

// quoteForShell makes one word of any text.
func quoteForShell(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
