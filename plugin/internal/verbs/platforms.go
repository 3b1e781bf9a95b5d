package verbs

import (
	"context"
	"errors"
	"time"

	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/pkg/machines"
	"github.com/confidb/confidb/pkg/platform"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/flags"
	"github.com/confidb/confidb/plugin/internal/printers"
)

// PlatformFlags and PlatformOptions are those of package flags.
type (
	PlatformFlags   = flags.Platforms
	PlatformOptions = flags.PlatformOptions
)

// NewPlatformFlags returns flags without values. lookupEnv reads the environment.
func NewPlatformFlags(lookupEnv func(string) (string, bool)) *PlatformFlags {
	return flags.NewPlatforms(lookupEnv)
}

// Platforms are the options of listing the machines with SGX.
type Platforms struct {
	// Flags say where to look.
	Flags *PlatformFlags
	// Quotes say which quotes there are, and what provenance is wanted.
	Quotes ProvenanceFlags
	// Output is one of printers.PlatformFormats, or empty for the table.
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

// Run prints the machines with SGX and their platform IDs. If they contradict each
// other the table is printed too, because it shows where, but no other format is.
func (o Platforms) Run(ctx context.Context, getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) error {
	print, err := printers.Platforms(o.Output)
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

func (o Platforms) list(ctx context.Context, getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams, options PlatformOptions, print printers.PrintPlatforms) error {
	found, err := machines.Find(ctx, getter, options.Options)
	var inconsistent *platform.InconsistentError
	if errors.As(err, &inconsistent) && (o.Output == "" || o.Output == "wide") {
		return errors.Join(showContradiction(streams, print, inconsistent.Seen, options.Simulated), err)
	}
	if err != nil {
		return err
	}
	printers.Remark(streams.ErrOut, found, options.Origin, o.Output)
	if err := print(streams, found, options.Origin, options.Simulated); err != nil {
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

// showContradiction prints the nodes of an inventory that is not fit for use.
func showContradiction(streams genericiooptions.IOStreams, print printers.PrintPlatforms, seen *platform.Inventory, simulated bool) error {
	if len(seen.Nodes) == seen.WithoutSGX() {
		return nil
	}
	printers.Remark(streams.ErrOut, seen, "", "")
	return print(streams, seen, "", simulated)
}
