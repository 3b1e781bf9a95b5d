package verbs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	kubeprinters "k8s.io/cli-runtime/pkg/printers"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/machines"
	"github.com/confidb/confidb/pkg/nearest"
	"github.com/confidb/confidb/pkg/platform"
	"github.com/confidb/confidb/plugin/internal/cli"
)

// TCB are the options of saying in words what Intel knows of a fleet's machines.
type TCB struct {
	// Output is one of printers.Formats, or empty.
	Output string
	// AcceptSimulated makes a simulated result a success.
	AcceptSimulated bool
	// Now is the clock.
	Now func() time.Time

	quoteFlags
	selector string
	offline  bool
}

// AddFlags registers the flags.
func (o *TCB) AddFlags(flags *pflag.FlagSet) {
	o.quoteFlags.addFlags(flags)
	flags.BoolVar(&o.offline, "offline", false, "do not ask the cluster which nodes there are; a node without evidence is then not seen")
	flags.StringVarP(&o.selector, "selector", "l", "", "label selector: look at these nodes only")
}

// Run appraises the evidence of the fleet's nodes, which arguments and --quotes give.
func (o *TCB) Run(ctx context.Context, getter genericclioptions.RESTClientGetter, arguments []string, streams genericiooptions.IOStreams) error {
	files, err := o.evidence(arguments)
	if err != nil {
		return err
	}
	appraiser, err := o.appraiser(o.Now)
	if err != nil {
		return err
	}
	machines, err := o.machines(ctx, getter, files, streams.ErrOut)
	if err != nil {
		return err
	}
	nodes, err := appraiser.fleet(ctx, machines)
	if err != nil {
		return err
	}
	document, err := newTCBDocument(nodes, appraiser.policy, !appraiser.options.Roots.Intel())
	if err != nil {
		return err
	}
	if err := document.print(streams.Out, o.Output); err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	return cli.Conclude(document.Verdict, document.Simulated, o.AcceptSimulated)
}

// evidence returns the file with the quote of each node.
func (o *TCB) evidence(arguments []string) (map[string]string, error) {
	if o.offline && o.selector != "" {
		return nil, cli.NewUsageError("-l: only the cluster knows labels; want it without --offline")
	}
	if _, err := labels.Parse(o.selector); err != nil {
		return nil, cli.NewUsageError("-l: %w", err)
	}
	files := map[string]string{}
	for _, argument := range arguments {
		node, file, _ := strings.Cut(argument, "=")
		if node == "" || file == "" {
			return nil, cli.NewUsageError("got %q, want NODE=FILE", argument)
		}
		if err := addEvidence(files, node, file); err != nil {
			return nil, err
		}
	}
	if o.quotes != "" {
		if err := readQuotesFolder(files, o.quotes); err != nil {
			return nil, err
		}
	}
	if o.offline && len(files) == 0 {
		return nil, cli.NewUsageError("--offline: got no evidence, want NODE=FILE or --quotes DIR")
	}
	return files, nil
}

// machine is a node whose TCB is asked for.
type machine struct {
	name string
	// file holds its quote; empty without evidence.
	file string
	// id is what the cluster claims to be its platform ID, or zero.
	id attest.PlatformID
}

// machines are the nodes with SGX, and what else there is evidence of.
func (o *TCB) machines(ctx context.Context, getter genericclioptions.RESTClientGetter, files map[string]string, errOut io.Writer) ([]machine, error) {
	var all []machine
	if o.offline {
		for _, name := range slices.Sorted(maps.Keys(files)) {
			all = append(all, machine{name: name, file: files[name]})
		}
		return all, nil
	}
	inventory, err := findNodes(ctx, getter, errOut)
	if err != nil {
		return nil, err
	}
	if err := checkNodes(inventory, files); err != nil {
		return nil, err
	}
	selected, err := o.selected(ctx, getter)
	if err != nil {
		return nil, err
	}
	for _, n := range inventory.Nodes {
		if file := files[n.Name]; (n.SGX || file != "") && (o.selector == "" || selected[n.Name]) {
			all = append(all, machine{name: n.Name, file: file, id: n.ID})
		}
	}
	if len(all) == 0 {
		return nil, cli.NewUsageError("-l: got %q, which no node with SGX has", o.selector)
	}
	return all, nil
}

// findNodes lists the nodes as the command platforms does. Platform IDs that
// contradict each other are no reason to say nothing of the machines.
func findNodes(ctx context.Context, getter genericclioptions.RESTClientGetter, errOut io.Writer) (*platform.Inventory, error) {
	inventory, err := machines.Find(ctx, getter, machines.Options{Origin: "cluster"})
	var inconsistent *platform.InconsistentError
	if !errors.As(err, &inconsistent) {
		return inventory, err
	}
	seen := inconsistent.Seen
	if seen == nil || len(seen.Nodes) == seen.WithoutSGX() {
		return nil, err
	}
	problem, _, _ := strings.Cut(inconsistent.Problems[0].Text, "\n")
	fmt.Fprintf(errOut, "warning: platform IDs: %d problems, see kubectl confidb platforms: %s\n", len(inconsistent.Problems), kubeprinters.EscapeTerminal(problem))
	return seen, nil
}

// checkNodes refuses evidence of nodes that the cluster does not have.
func checkNodes(inventory *platform.Inventory, files map[string]string) error {
	var names []string
	known := map[string]bool{}
	for _, n := range inventory.Nodes {
		names, known[n.Name] = append(names, n.Name), true
	}
	for _, node := range slices.Sorted(maps.Keys(files)) {
		if known[node] {
			continue
		}
		return cli.NewUsageError("%s: got evidence of node %q, which the cluster does not have%s", files[node], node, didYouMean(node, names))
	}
	return nil
}

// didYouMean names the node whose name is nearest, unless none is near.
func didYouMean(got string, names []string) string {
	best := nearest.Word(got, names)
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// selected returns the names of the nodes that have the labels of -l, or nil without it.
func (o *TCB) selected(ctx context.Context, getter genericclioptions.RESTClientGetter) (map[string]bool, error) {
	if o.selector == "" {
		return nil, nil
	}
	cluster, err := machines.New(getter)
	if err != nil {
		return nil, err
	}
	return cluster.Labelled(ctx, o.selector)
}
