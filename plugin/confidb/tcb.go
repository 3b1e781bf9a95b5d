package confidb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/document"
	"github.com/confidb/confidb/pkg/fleet"
	"github.com/confidb/confidb/pkg/machines"
	"github.com/confidb/confidb/pkg/platform"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/flags"
	"github.com/confidb/confidb/plugin/internal/printers"
)

func newTCBCommand(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	o := &tcb{getter: getter}
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "tcb [NODE=FILE ...]",
		Short: "Say in words what Intel knows of the fleet's machines, and what to do",
		Long: `Verifies a quote of each node with SGX, and says what Intel's collateral says of
the machine: status, advisories, end of servicing, what it means and what to do.
Names the deviations that a policy and a session would have to tolerate and that
--policy does not accept yet; run it without --policy to see all of them. Nodes of
which the same is to be said share one paragraph, the worst first.

Evidence is a quote in a file, given as NODE=FILE or in the folder of --quotes with
the name NODE.bin, NODE.quote or NODE.dat. Which enclave made it is not judged. A
quote in a file has no date: it shows the TCB of the day on which it was made.

A node without evidence is unknown, and never fine. Evidence of one machine under
two names is refused, as is that of a machine with another Intel QE ID than the
cluster claims. PPID and platform instance ID are personal data: only their hashes
are printed.

Needs the RBAC verbs, in the whole cluster: list nodes, list pods, get pods/log,
list las.base.scone.cloud. None with --offline, when nodes without evidence are not
seen.`,
		Example: `  # the whole fleet, with the quotes node-1.bin, node-2.bin and so on
  kubectl confidb tcb --quotes quotes/ --collateral collateral/

  # what is left beside what the policy accepts, of some nodes
  kubectl confidb tcb --quotes quotes/ --collateral collateral/ --policy policy.yaml \
    -l topology.kubernetes.io/zone=a

  # two nodes, without a cluster
  kubectl confidb tcb node-1=1.bin node-2=2.bin --collateral bundle.json --offline`,
		RunE: func(c *cobra.Command, arguments []string) error {
			ctx, cancel := context.WithTimeout(c.Context(), timeout)
			defer cancel()
			return o.run(ctx, arguments, time.Now(), streams)
		},
	}
	o.addFlags(c.Flags())
	c.Flags().DurationVar(&timeout, "timeout", time.Minute, "how long to wait at most")
	return c
}

// tcb are the options of saying in words what Intel knows of a fleet's machines.
type tcb struct {
	getter          genericclioptions.RESTClientGetter
	output          string
	acceptSimulated bool
	quotes          flags.Quotes
	selector        string
	offline         bool
}

func (o *tcb) addFlags(f *pflag.FlagSet) {
	o.quotes.AddFlags(f)
	f.BoolVar(&o.offline, "offline", false, "do not ask the cluster which nodes there are; a node without evidence is then not seen")
	f.StringVarP(&o.selector, "selector", "l", "", "label selector: look at these nodes only")
	flags.AddResult(f, &o.output, &o.acceptSimulated)
}

// run appraises the evidence of the fleet's nodes, which arguments and --quotes give.
func (o *tcb) run(ctx context.Context, arguments []string, now time.Time, streams genericiooptions.IOStreams) error {
	evidence, err := o.evidence(arguments)
	if err != nil {
		return err
	}
	appraiser, err := o.quotes.Resolve(now)
	if err != nil {
		return err
	}
	machines, err := o.machines(ctx, evidence, streams.ErrOut)
	if err != nil {
		return err
	}
	report, err := appraiser.Report(ctx, machines)
	if err != nil {
		return err
	}
	if err := printers.Print(streams.Out, o.output, printers.NewTCB(report, appraiser.Simulated())); err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	return cli.Conclude(report.Verdict, appraiser.Simulated(), o.acceptSimulated)
}

// evidence returns the file with the quote of each node.
func (o *tcb) evidence(arguments []string) (flags.Evidence, error) {
	if err := cli.CheckFormat(o.output); err != nil {
		return nil, err
	}
	if o.offline && o.selector != "" {
		return nil, cli.NewUsageError("-l: only the cluster knows labels; want it without --offline")
	}
	if _, err := labels.Parse(o.selector); err != nil {
		return nil, cli.NewUsageError("-l: %w", err)
	}
	evidence, err := o.quotes.Evidence(arguments...)
	if err == nil && o.offline && len(evidence) == 0 {
		return nil, cli.NewUsageError("--offline: got no evidence, want NODE=FILE or --quotes DIR")
	}
	return evidence, err
}

// machines are the nodes with SGX, and what else there is evidence of.
func (o *tcb) machines(ctx context.Context, evidence flags.Evidence, errOut io.Writer) ([]fleet.Machine, error) {
	if o.offline {
		return evidence.Machines()
	}
	inventory, err := findNodes(ctx, o.getter, errOut)
	if err != nil {
		return nil, err
	}
	if err := checkNodes(inventory, evidence); err != nil {
		return nil, err
	}
	selected, err := o.selected(ctx)
	if err != nil {
		return nil, err
	}
	var all []fleet.Machine
	for _, n := range inventory.Nodes {
		if !n.SGX && evidence[n.Name] == "" || o.selector != "" && !selected[n.Name] {
			continue
		}
		m, err := evidence.Machine(n.Name, n.ID)
		if err != nil {
			return nil, err
		}
		all = append(all, m)
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
	fmt.Fprintf(errOut, "warning: platform IDs: %d problems, see kubectl confidb platforms: %s\n", len(inconsistent.Problems), check.Said(problem))
	return seen, nil
}

// checkNodes refuses evidence of nodes that the cluster does not have.
func checkNodes(inventory *platform.Inventory, evidence flags.Evidence) error {
	var names []string
	for _, n := range inventory.Nodes {
		names = append(names, n.Name)
	}
	for _, node := range evidence.Nodes() {
		if !slices.Contains(names, node) {
			return cli.NewUsageError("%s: got evidence of node %q, which the cluster does not have%s", evidence[node], node, didYouMean(node, names))
		}
	}
	return nil
}

// didYouMean names the node whose name is nearest, unless none is near.
func didYouMean(got string, names []string) string {
	best := document.Nearest(got, names)
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// selected returns the names of the nodes that have the labels of -l, or nil without it.
func (o *tcb) selected(ctx context.Context) (map[string]bool, error) {
	if o.selector == "" {
		return nil, nil
	}
	cluster, err := machines.New(o.getter)
	if err != nil {
		return nil, err
	}
	return cluster.Labelled(ctx, o.selector)
}
