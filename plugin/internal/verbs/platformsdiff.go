package verbs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/inventory"
	"github.com/confidb/confidb/pkg/machines"
	"github.com/confidb/confidb/pkg/platform"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/pkg/watch"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/printers"
)

// PlatformsDiff are the options of comparing the machines with what the sessions of a
// release admit.
type PlatformsDiff struct {
	Flags  *PlatformFlags
	Quotes ProvenanceFlags
	// Name is the release.
	Name string
	// Inventory is the path of an inventory, or empty.
	Inventory string
	// Home is the folder of the user's records.
	Home string
	// Output is one of cli.Formats, or empty.
	Output string
	// AcceptSimulated makes a simulated result a success.
	AcceptSimulated bool
	// Watch goes on until the context ends.
	Watch bool
	// Timeout bounds each look.
	Timeout time.Duration
	// Now is the clock, and Pace says when a watcher looks again.
	Now  func() time.Time
	Pace machines.Pace
}

// Run compares, prints the result and ends with its code.
func (o PlatformsDiff) Run(ctx context.Context, getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) error {
	if o.Watch && o.Output != "" {
		return cli.NewUsageError("--watch: want it without -o: it prints a line for each change")
	}
	options, file, err := o.inputs(ctx)
	if err != nil {
		return err
	}
	release, err := OpenRelease(getter, o.Home, o.Name)
	if err != nil {
		return err
	}
	d := differ{o, release, getter, options, file, streams}
	if o.Watch {
		return d.watch(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	document, err := d.compare(ctx)
	if err != nil {
		return err
	}
	if err := printers.Print(streams.Out, o.Output, document); err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	return cli.Conclude(document.Verdict, document.Simulated, o.AcceptSimulated)
}

// inputs are what flags and files say. file is nil without an inventory.
func (o PlatformsDiff) inputs(ctx context.Context) (options PlatformOptions, file *inventory.File, err error) {
	if options, err = o.Flags.Resolve(); err != nil {
		return options, nil, err
	}
	if len(options.IDs) > 0 {
		return options, nil, cli.NewUsageError("got a list of platform IDs (from %s), want the nodes of the cluster: sessions are compared with them", options.Origin)
	}
	if err := o.Quotes.resolve(ctx, &options, o.Now); err != nil {
		return options, nil, err
	}
	if o.Inventory == "" {
		return options, nil, nil
	}
	file, err = readInventory(o.Inventory)
	return options, file, err
}

// differ compares as often as it is asked to.
type differ struct {
	PlatformsDiff
	release *OpenedRelease
	getter  genericclioptions.RESTClientGetter
	options PlatformOptions
	file    *inventory.File
	streams genericiooptions.IOStreams
}

// compare looks at the nodes and the sessions.
func (d *differ) compare(ctx context.Context) (*printers.PlatformsDiff, error) {
	nodes, problems, err := d.nodes(ctx)
	if err != nil {
		return nil, err
	}
	services, simulated, err := d.services(ctx)
	if err != nil {
		return nil, err
	}
	difference := inventory.Comparison{Nodes: nodes, Problems: problems, Services: services, File: d.file}.Compare()
	for i := range difference.Changes {
		difference.Changes[i].Do = cli.Kubectl.Say(difference.Changes[i].Do)
	}
	known := map[attest.Provenance]int{}
	for _, n := range nodes {
		if n.SGX && n.ID != (attest.PlatformID{}) {
			known[n.Provenance]++
		}
	}
	return &printers.PlatformsDiff{
		Head:    printers.Head{Kind: "confidb.platforms-diff/v1", Simulated: simulated || d.options.Simulated},
		Subject: "platforms of release " + d.release.Promised.Namespace + "/" + d.Name,
		Verdict: difference.Verdict(), Difference: difference, Nodes: known,
	}, nil
}

// nodes returns what the cluster has, and in which way it contradicts itself. What is
// refused, and a file of the user's that names strangers, is an error: nothing that
// is compared then would be right.
func (d *differ) nodes(ctx context.Context) ([]platform.Node, []platform.Problem, error) {
	found, err := machines.Find(ctx, d.getter, d.options.Options)
	var inconsistent *platform.InconsistentError
	if !errors.As(err, &inconsistent) {
		if err != nil {
			return nil, nil, err
		}
		printers.Warn(d.streams.ErrOut, found.Warnings...)
		return found.Nodes, nil, nil
	}
	for _, p := range inconsistent.Problems {
		if p.Kind == platform.Stranger || p.Kind == platform.Refused {
			return nil, nil, err
		}
	}
	if err := platform.Require(inconsistent.Seen, d.options.Require); err != nil {
		return nil, nil, err
	}
	printers.Warn(d.streams.ErrOut, inconsistent.Seen.Warnings...)
	return inconsistent.Seen.Nodes, inconsistent.Problems, nil
}

// services attests the CAS and reads what both sessions admit.
func (d *differ) services(ctx context.Context) (all []inventory.Service, simulated bool, err error) {
	promised := d.release.Promised
	c, err := connectCAS(ctx, d.getter, d.release.Store, promised.CASAddress, promised.Trust, d.Now)
	if err != nil {
		return nil, false, err
	}
	defer c.close()
	for _, s := range []struct {
		which string
		topology.Session
	}{{"client", promised.Session(topology.Client)}, {"database", promised.Session(topology.Database)}} {
		services, err := d.session(ctx, c, s.which, s.Session)
		if err != nil {
			return nil, false, err
		}
		all = append(all, services...)
	}
	return all, c.attested.Simulated, nil
}

func (d *differ) session(ctx context.Context, c *connection, which string, promised topology.Session) ([]inventory.Service, error) {
	if promised.Name == "" {
		return nil, &UnknownReleaseError{Namespace: d.release.Promised.Namespace, Name: d.Name}
	}
	stored, err := c.Session(ctx, promised.Name)
	if err != nil {
		return nil, err
	}
	if promised.Hash != "" && !strings.EqualFold(stored.Hash, promised.Hash) {
		printers.Warn(d.streams.ErrOut, fmt.Sprintf("session %s in CAS is not the one that was created: kubectl confidb verify %s", promised.Name, d.Name))
	}
	parsed, err := session.Parse(promised.Name, []byte(stored.Text))
	if err != nil {
		return nil, fmt.Errorf("session %q in CAS: %w", promised.Name, err)
	}
	services := inventory.Services(which, parsed)
	if len(services) == 0 {
		return nil, fmt.Errorf("session %q in CAS: got no service, want those that admit machines", promised.Name)
	}
	return services, nil
}

// watch prints the difference, and then a line for each change until ctx ends.
func (d *differ) watch(ctx context.Context) error {
	var last *printers.PlatformsDiff
	err := watchNodes(ctx, d.getter, d.Pace, watch.Options{
		Say: printers.Stamped(d.streams.Out, d.Now), Timeout: d.Timeout,
		Look: func(ctx context.Context, first bool) (watch.Picture, error) {
			document, err := d.compare(ctx)
			if err != nil {
				return nil, err
			}
			if last = document; first {
				err = printers.Print(d.streams.Out, "", document)
			}
			return pictureDiff(document), err
		},
	})
	if err != nil || last == nil {
		return err
	}
	return cli.Conclude(last.Verdict, last.Simulated, d.AcceptSimulated)
}

// pictureDiff says of each change that it is there, and what all of it means.
func pictureDiff(d *printers.PlatformsDiff) watch.Picture {
	p := watch.Picture{"verdict": {{Name: "is", Value: string(d.Verdict)}}}
	for _, c := range d.Changes {
		subject := string(c.Kind)
		if c.Node != "" {
			subject += " " + c.Node
		}
		if c.ID != "" {
			subject += " " + printers.ShortID(c.ID)
		}
		p[subject] = nil
	}
	return p
}
