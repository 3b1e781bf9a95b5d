package verbs

import (
	"fmt"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/topology"

	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// Env are the options of printing a release's names for scripts.
type Env struct{ Name, Home string }

// Run prints the variables of SCONE's recipe, to be evaluated by a shell.
func (o Env) Run(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) error {
	known, err := OpenRelease(getter, o.Home, o.Name)
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
