package confidb

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/files"
	"github.com/confidb/confidb/pkg/fleet"
	"github.com/confidb/confidb/pkg/machines"
	"github.com/confidb/confidb/pkg/platform"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/flags"
	"github.com/confidb/confidb/plugin/internal/printers"
)

func newTCBCommand(env *cli.Env) *cobra.Command {
	o := tcb{env: env}
	return env.Command(cli.Verb{Name: "tcb", Flags: o.addFlags, Patience: time.Minute, Run: o.run})
}

// tcb are the options of saying in words what Intel knows of a fleet's machines.
type tcb struct {
	env      *cli.Env
	result   cli.Result
	quotes   flags.Quotes
	selector string
	offline  bool
}

func (o *tcb) addFlags(f *pflag.FlagSet) {
	o.quotes.AddFlags(f)
	f.BoolVar(&o.offline, "offline", false, "do not ask the cluster which nodes there are; a node without evidence is then not seen")
	f.StringVarP(&o.selector, "selector", "l", "", "label selector: look at these nodes only")
	o.result.AddFlags(f)
}

// run appraises the evidence of the fleet's nodes, which arguments and --quotes give.
func (o *tcb) run(ctx context.Context, arguments []string) error {
	evidence, err := o.evidence(arguments)
	if err != nil {
		return err
	}
	appraiser, err := o.quotes.Resolve(o.env.Now())
	if err != nil {
		return err
	}
	machines, err := o.machines(ctx, evidence)
	if err != nil {
		return err
	}
	report, err := appraiser.Report(ctx, machines)
	if err != nil {
		return err
	}
	return printers.Conclude(o.env.Out, o.result, printers.NewTCB(report, appraiser.Simulated()), report.Verdict)
}

// evidence returns the file with the quote of each node.
func (o *tcb) evidence(arguments []string) (fleet.Evidence, error) {
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
func (o *tcb) machines(ctx context.Context, evidence fleet.Evidence) ([]fleet.Machine, error) {
	if o.offline {
		return evidence.Machines(files.Read)
	}
	chosen, err := o.choose(ctx, evidence)
	if err != nil {
		return nil, err
	}
	var all []fleet.Machine
	for _, n := range chosen {
		m, err := evidence.Machine(n.Name, n.ID, files.Read)
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

// choose asks the cluster for the nodes. Platform IDs that contradict each other are no
// reason to say nothing of the machines.
func (o *tcb) choose(ctx context.Context, evidence fleet.Evidence) ([]platform.Node, error) {
	inventory, err := machines.FindNodes(ctx, o.env.Getter)
	if err != nil {
		return nil, err
	}
	if found := inventory.Problems; len(found) > 0 {
		first, _, _ := strings.Cut(found[0].Text, "\n")
		printers.Warn(o.env.ErrOut, fmt.Sprintf("platform IDs: %d problems, see kubectl confidb platforms: %s", len(found), check.Said(first)))
	}
	selected, err := machines.Labelled(ctx, o.env.Getter, o.selector)
	if err != nil {
		return nil, err
	}
	chosen, err := fleet.Choose(inventory.Nodes, evidence, selected)
	switch {
	case err != nil:
		return nil, cli.NewUsageError("%w", err)
	case len(chosen) == 0:
		return nil, cli.NewUsageError("-l: got %q, which no node with SGX has", o.selector)
	}
	return chosen, nil
}
