package verbs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	kubeprinters "k8s.io/cli-runtime/pkg/printers"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/inventory"
	"github.com/confidb/confidb/pkg/machines"
	"github.com/confidb/confidb/pkg/platform"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/topology"
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
	// Output is one of printers.Formats, or empty.
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
	release, err := openRelease(getter, o.Home, o.Name)
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
	if err := document.print(streams.Out, o.Output); err != nil {
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
	release *openedRelease
	getter  genericclioptions.RESTClientGetter
	options PlatformOptions
	file    *inventory.File
	streams genericiooptions.IOStreams
}

// diffDocument is the result.
type diffDocument struct {
	Kind      string        `json:"kind"`
	Subject   string        `json:"subject"`
	Verdict   check.Verdict `json:"verdict"`
	Simulated bool          `json:"simulated"`
	*inventory.Difference
	// Nodes counts the nodes with a platform ID, by how it is known.
	Nodes map[attest.Provenance]int `json:"nodes"`
}

// compare looks at the nodes and the sessions.
func (d *differ) compare(ctx context.Context) (*diffDocument, error) {
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
	return &diffDocument{
		Kind: "confidb.platforms-diff/v1", Subject: "platforms of release " + d.release.promised.Namespace + "/" + d.Name,
		Verdict: difference.Verdict(), Simulated: simulated || d.options.Simulated, Difference: difference, Nodes: known,
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
		warn(d.streams.ErrOut, found.Warnings...)
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
	warn(d.streams.ErrOut, inconsistent.Seen.Warnings...)
	return inconsistent.Seen.Nodes, inconsistent.Problems, nil
}

func warn(errOut io.Writer, warnings ...string) {
	for _, w := range warnings {
		fmt.Fprintf(errOut, "warning: %s\n", kubeprinters.EscapeTerminal(w))
	}
}

// services attests the CAS and reads what both sessions admit.
func (d *differ) services(ctx context.Context) (all []inventory.Service, simulated bool, err error) {
	promised := d.release.promised
	c, err := connectCAS(ctx, d.getter, d.release.store, promised.CASAddress, promised.Trust, d.Now)
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
		return nil, &UnknownReleaseError{Namespace: d.release.promised.Namespace, Name: d.Name}
	}
	stored, err := c.Session(ctx, promised.Name)
	if err != nil {
		return nil, err
	}
	if promised.Hash != "" && !strings.EqualFold(stored.Hash, promised.Hash) {
		warn(d.streams.ErrOut, fmt.Sprintf("session %s in CAS is not the one that was created: kubectl confidb verify %s", promised.Name, d.Name))
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
	w := &watcher{out: d.streams.Out, now: d.Now, timeout: d.Timeout}
	var last *diffDocument
	w.look = func(ctx context.Context, first bool) (picture, error) {
		document, err := d.compare(ctx)
		if err != nil {
			return nil, err
		}
		if last = document; first {
			err = document.print(d.streams.Out, "")
		}
		return document.picture(), err
	}
	if err := w.watch(ctx, d.getter, d.Pace); err != nil || last == nil {
		return err
	}
	return cli.Conclude(last.Verdict, last.Simulated, d.AcceptSimulated)
}

// picture says of each change that it is there, and what all of it means.
func (d *diffDocument) picture() picture {
	p := picture{"verdict": {{"is", string(d.Verdict)}}}
	for _, c := range d.Changes {
		subject := string(c.Kind)
		if c.Node != "" {
			subject += " " + c.Node
		}
		if c.ID != "" {
			subject += " " + shortID(c.ID)
		}
		p[subject] = nil
	}
	return p
}

func (d *diffDocument) print(out io.Writer, format string) error {
	if format != "" {
		return printers.Encode(out, format, d)
	}
	_, err := io.WriteString(out, d.text())
	return err
}

// text is for people, in 80 columns.
func (d *diffDocument) text() string {
	var b strings.Builder
	if d.Simulated {
		b.WriteString(simulatedBanner)
	}
	for _, c := range d.Changes {
		printers.Wrap(&b, fmt.Sprintf("%-13s ", c.Kind), c.Node)
		for _, line := range []struct{ label, text string }{{"id", c.ID}, {"was", c.Was}, {"means", c.Meaning}, {"do", c.Do}} {
			if line.text != "" {
				printers.Wrap(&b, fmt.Sprintf("  %-6s", line.label), line.text)
			}
		}
		b.WriteString("\n")
	}
	if len(d.Changes) == 0 {
		b.WriteString("The sessions admit exactly the machines that the cluster has.\n")
	}
	if claimed := d.Nodes[attest.Claimed]; claimed > 0 {
		printers.Wrap(&b, "", fmt.Sprintf("The platform IDs of %d nodes are claims of the cluster, which nobody proved.", claimed))
	}
	fmt.Fprintf(&b, "\n%s: %s\n", d.Subject, printers.Words(d.Verdict, d.Simulated))
	return b.String()
}
