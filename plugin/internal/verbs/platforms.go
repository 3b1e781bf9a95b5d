package verbs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	kubeprinters "k8s.io/cli-runtime/pkg/printers"

	"github.com/confidb/confidb/pkg/inventory"
	"github.com/confidb/confidb/pkg/machines"
	"github.com/confidb/confidb/pkg/platform"
	"github.com/confidb/confidb/plugin/internal/cli"
)

// PlatformFlags are the flags by which the user says which machines there are.
type PlatformFlags struct {
	ids                []string
	file, lasNamespace string
	quotes             string
	lookupEnv          func(string) (string, bool)
}

// NewPlatformFlags returns flags without values. lookupEnv reads the environment.
func NewPlatformFlags(lookupEnv func(string) (string, bool)) *PlatformFlags {
	return &PlatformFlags{lookupEnv: lookupEnv}
}

// AddFlags registers the flags.
func (f *PlatformFlags) AddFlags(flags *pflag.FlagSet) {
	flags.StringArrayVar(&f.ids, "platform", nil, "platform ID of a machine, or a list of them; repeat it for more. The cluster is not asked then (default $PLATFORMS)")
	flags.StringVar(&f.file, "platforms-file", "", "file with the platform IDs of nodes, which must agree with the cluster: lines of NODE ID, or a YAML or JSON map")
	flags.StringVar(&f.lasNamespace, "las-namespace", "", "namespace of the LAS pods (default: all)")
}

// AddQuotesFlag registers quotes, for commands that have collateral for the CAS anyway.
func (f *PlatformFlags) AddQuotesFlag(flags *pflag.FlagSet) {
	flags.StringVar(&f.quotes, "quotes", "", "folder with one quote for each node (NODE.bin, NODE.quote or NODE.dat), which prove platform IDs with --collateral; require-provenance of the policy may demand them")
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
func (f *PlatformFlags) Resolve() (PlatformOptions, error) {
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
	text, err := readBounded(path)
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

// Platforms are the options of listing the machines with SGX.
type Platforms struct {
	// Flags say where to look.
	Flags *PlatformFlags
	// Quotes say which quotes there are, and what provenance is wanted.
	Quotes ProvenanceFlags
	// Output is one of PlatformFormats, or empty for the table.
	Output string
	// AcceptSimulated makes a list that rests on simulated quotes a success.
	AcceptSimulated bool
	// Watch goes on until the context ends.
	Watch bool
	// Timeout bounds each look at the cluster.
	Timeout time.Duration
	// Now is the clock, and Pace says when a watcher looks again.
	Now  func() time.Time
	Pace machines.Pace
}

// PlatformFormats lists the output formats; those that end in = want a template.
func PlatformFormats() []string {
	return []string{"wide", "json", "yaml", "name", "session", "jsonpath=", "go-template=", "custom-columns="}
}

// Run prints the machines with SGX and their platform IDs. If they contradict each
// other the table is printed too, because it shows where, but no other format is.
func (o Platforms) Run(ctx context.Context, getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) error {
	print, err := platformPrinter(o.Output)
	if err != nil {
		return err
	}
	if o.Watch {
		return o.watch(ctx, getter, streams)
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	options, err := o.options(ctx)
	if err != nil {
		return err
	}
	return o.list(ctx, getter, streams, options, print)
}

// options are what the flags say, and the quotes prove.
func (o Platforms) options(ctx context.Context) (PlatformOptions, error) {
	options, err := o.Flags.Resolve()
	if err != nil {
		return options, err
	}
	return options, o.Quotes.resolve(ctx, &options, o.Now)
}

func (o Platforms) list(ctx context.Context, getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams, options PlatformOptions, print printInventory) error {
	found, err := machines.Find(ctx, getter, options.Options)
	var inconsistent *platform.InconsistentError
	if errors.As(err, &inconsistent) && (o.Output == "" || o.Output == "wide") {
		return errors.Join(showContradiction(streams, print, inconsistent.Seen, options.Simulated), err)
	}
	if err != nil {
		return err
	}
	remark(streams.ErrOut, found, options.Origin, o.Output)
	warnSimulated(streams, o.Output, options.Simulated)
	if err := print(streams.Out, found, about{options.Origin, options.Simulated}); err != nil {
		return err
	}
	return concludeSimulated(options.Simulated, o.AcceptSimulated)
}

// concludeSimulated makes a simulated result a success only if the user says so.
func concludeSimulated(simulated, accepted bool) error {
	if simulated && !accepted {
		return &cli.VerdictError{Code: cli.Simulated}
	}
	return nil
}

// simulatedBanner is that of everything that rests on another root than Intel's.
const simulatedBanner = "SIMULATED: nothing here rests on Intel's root; no hardware protects anything.\n\n"

// warnSimulated says it where the format has no place for it.
func warnSimulated(streams genericiooptions.IOStreams, output string, simulated bool) {
	switch {
	case !simulated || output == "json" || output == "yaml":
	case output == "" || output == "wide":
		fmt.Fprint(streams.Out, simulatedBanner)
	default:
		fmt.Fprint(streams.ErrOut, simulatedBanner)
	}
}

// showContradiction prints the nodes of an inventory that is not fit for use.
func showContradiction(streams genericiooptions.IOStreams, print printInventory, seen *platform.Inventory, simulated bool) error {
	if len(seen.Nodes) == seen.WithoutSGX() {
		return nil
	}
	remark(streams.ErrOut, seen, "", "")
	warnSimulated(streams, "", simulated)
	return print(streams.Out, seen, about{simulated: simulated})
}

// remark tells on standard error what the result alone does not.
func remark(errOut io.Writer, i *platform.Inventory, origin, output string) {
	for _, w := range i.Warnings {
		fmt.Fprintf(errOut, "warning: %s\n", kubeprinters.EscapeTerminal(w))
	}
	if len(i.Declared) > 0 {
		fmt.Fprintf(errOut, "the platform IDs are from %s; the cluster was not asked\n", origin)
	}
	if without := i.WithoutSGX(); without > 0 && output == "" {
		fmt.Fprintf(errOut, "%d of %d nodes have no SGX (-o wide lists them)\n", without, len(i.Nodes))
	}
}
