package flags

import (
	"fmt"

	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/files"
	"github.com/confidb/confidb/pkg/inventory"
	"github.com/confidb/confidb/pkg/machines"
	"github.com/confidb/confidb/pkg/platform"
	"github.com/confidb/confidb/plugin/internal/cli"
)

// Platforms are the flags by which the user says which machines there are.
type Platforms struct {
	// LookupEnv reads the environment.
	LookupEnv          func(string) (string, bool)
	ids                []string
	file, lasNamespace string
	// Quotes is a folder with quotes of nodes, or empty.
	Quotes string
}

// AddFlags registers the flags.
func (f *Platforms) AddFlags(flags *pflag.FlagSet) {
	flags.StringArrayVar(&f.ids, "platform", nil, "platform ID of a machine, or a list of them; repeat it for more. The cluster is not asked then (default $PLATFORMS)")
	flags.StringVar(&f.file, "platforms-file", "", "file with the platform IDs of nodes, which must agree with the cluster: lines of NODE ID, or a YAML or JSON map")
	flags.StringVar(&f.lasNamespace, "las-namespace", "", "namespace of the LAS pods (default: all)")
}

// AddQuotesFlag registers quotes, for commands that have collateral for the CAS anyway.
func (f *Platforms) AddQuotesFlag(flags *pflag.FlagSet) {
	flags.StringVar(&f.Quotes, "quotes", "", "folder with one quote for each node (NODE.bin, NODE.quote or NODE.dat), which prove platform IDs with --collateral; require-provenance of the policy may demand them")
}

// Resolve reads the flags, the environment and the file. Flags win. Origin is then
// --platform, $PLATFORMS, --platforms-file (and the cluster), or cluster.
func (f *Platforms) Resolve() (machines.Options, error) {
	o := machines.Options{Origin: "cluster", LASNamespace: f.lasNamespace}
	variable, _ := f.LookupEnv("PLATFORMS")
	lists := f.ids
	switch {
	case len(f.ids) > 0 && f.file != "":
		return o, cli.NewUsageError("got --platform and --platforms-file, want only one of them")
	case len(f.ids) > 0:
		o.Origin = "--platform"
	case f.file != "":
		o.Origin = "--platforms-file"
		text, err := files.Read(f.file)
		if err != nil {
			return o, fmt.Errorf("--platforms-file: %w", err)
		}
		o.File, err = inventory.ReadClaims(f.file, text)
		return o, err
	case variable != "":
		o.Origin, lists = "$PLATFORMS", []string{variable}
	}
	for _, text := range lists {
		ids, err := platform.ParseList(text)
		if err != nil {
			return o, fmt.Errorf("%s: %w", o.Origin, err)
		}
		o.IDs = append(o.IDs, ids...)
	}
	return o, nil
}
