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
	ids                []string
	file, lasNamespace string
	// Quotes is a folder with quotes of nodes, or empty.
	Quotes    string
	lookupEnv func(string) (string, bool)
}

// NewPlatforms returns flags without values. lookupEnv reads the environment.
func NewPlatforms(lookupEnv func(string) (string, bool)) *Platforms {
	return &Platforms{lookupEnv: lookupEnv}
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

// PlatformOptions are what the flags, the environment and the file say.
type PlatformOptions struct {
	// Options have as Origin --platform, $PLATFORMS, --platforms-file (and the cluster),
	// or cluster.
	machines.Options
	// Simulated is true if quotes are trusted that do not rest on Intel's root.
	Simulated bool
}

// Resolve reads the flags, the environment and the file. Flags win.
func (f *Platforms) Resolve() (PlatformOptions, error) {
	o := PlatformOptions{Options: machines.Options{Origin: "cluster", LASNamespace: f.lasNamespace}}
	variable, _ := f.lookupEnv("PLATFORMS")
	switch {
	case len(f.ids) > 0 && f.file != "":
		return o, cli.NewUsageError("got --platform and --platforms-file, want only one of them")
	case len(f.ids) > 0:
		return o.withList("--platform", f.ids...)
	case f.file != "":
		return o.withFile(f.file)
	case variable != "":
		return o.withList("$PLATFORMS", variable)
	}
	return o, nil
}

func (o PlatformOptions) withList(origin string, lists ...string) (PlatformOptions, error) {
	o.Origin = origin
	for _, text := range lists {
		ids, err := platform.ParseList(text)
		if err != nil {
			return o, fmt.Errorf("%s: %w", origin, err)
		}
		o.IDs = append(o.IDs, ids...)
	}
	return o, nil
}

func (o PlatformOptions) withFile(path string) (PlatformOptions, error) {
	o.Origin = "--platforms-file"
	text, err := files.Read(path)
	if err != nil {
		return o, fmt.Errorf("--platforms-file: %w", err)
	}
	o.File, err = parsePlatformsFile(path, text)
	return o, err
}

// parsePlatformsFile reads an inventory, or what platform.ParseFile reads.
func parsePlatformsFile(path string, text []byte) ([]platform.Claim, error) {
	if !inventory.IsFile(text) {
		return platform.ParseFile(path, text)
	}
	f, err := inventory.Parse(path, text)
	if err != nil {
		return nil, err
	}
	return f.Claims(path), nil
}
