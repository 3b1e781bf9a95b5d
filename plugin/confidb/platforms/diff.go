package platforms

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/inventory"
	"github.com/confidb/confidb/pkg/machines"
	"github.com/confidb/confidb/pkg/rollout"
	"github.com/confidb/confidb/pkg/watch"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/printers"
	"github.com/confidb/confidb/plugin/internal/verbs"
)

func newDiff(w watcher) *cobra.Command {
	o := difference{watcher: w}
	return w.verb("diff", cli.Exactly(1, "the name of one release"), 0, o.addFlags, o.run)
}

// difference compares the machines with what the sessions of a release admit.
type difference struct {
	watcher
	result cli.Result
	// inventory is the path of one, or empty, and file what it holds, or nil.
	inventory string
	file      *inventory.File
	options   machines.Options
	release   *verbs.OpenedRelease
	// last is what was seen last; nil before the first look.
	last *printers.PlatformsDiff
}

func (o *difference) addFlags(set *pflag.FlagSet) {
	o.watcher.addFlags(set)
	o.result.AddFlags(set)
	set.StringVar(&o.inventory, "inventory", "", "file of platforms inventory to compare with as well")
}

// run compares, prints the result and ends with its code.
func (o *difference) run(ctx context.Context, arguments []string) error {
	err := o.begin(ctx, o.result.Output, func(ctx context.Context) error {
		if err := o.open(ctx, arguments[0]); err != nil {
			return err
		}
		return o.follow(ctx, o.look)
	})
	if err != nil || o.last == nil {
		return err
	}
	return cli.Conclude(o.last.Verdict, o.last.Simulated, o.result.AcceptSimulated)
}

// open reads what is compared, but for the cluster and the CAS.
func (o *difference) open(ctx context.Context, name string) (err error) {
	if o.options, err = o.resolve(ctx, "the nodes of the cluster: sessions are compared with them"); err != nil {
		return err
	}
	if o.inventory != "" {
		if o.file, err = readInventory(o.inventory); err != nil {
			return err
		}
	}
	o.release, err = verbs.OpenRelease(o.Env, name)
	return err
}

func (o *difference) look(ctx context.Context, first bool) (watch.Picture, error) {
	document, err := o.compare(ctx)
	if err != nil {
		return nil, err
	}
	o.last = document
	if first {
		if err := printers.Print(o.Out, o.result.Output, document); err != nil {
			return nil, fmt.Errorf("printing: %w", err)
		}
	}
	return watch.Difference(document.Difference), nil
}

// compare looks at the nodes, and at what the sessions admit.
func (o *difference) compare(ctx context.Context) (*printers.PlatformsDiff, error) {
	nodes, err := o.nodes(ctx, o.options, inventory.Tolerable()...)
	if err != nil {
		return nil, err
	}
	services, simulated, err := o.admitted(ctx)
	if err != nil {
		return nil, err
	}
	found := inventory.Comparison{Nodes: nodes.Nodes, Problems: nodes.Problems, Services: services, File: o.file}.Compare()
	for i := range found.Changes {
		found.Changes[i].Do = o.Program.Say(found.Changes[i].Do)
	}
	return &printers.PlatformsDiff{
		Head:    printers.Head{Kind: "confidb.platforms-diff/v1", Simulated: simulated || o.options.Simulated},
		Subject: "platforms of release " + o.release.Promised.Namespace + "/" + o.release.Promised.Name,
		Verdict: found.Verdict(), Difference: found, Nodes: nodes.Known(),
	}, nil
}

// admitted attests the CAS and reads what the sessions admit.
func (o *difference) admitted(ctx context.Context) (services []inventory.Service, simulated bool, err error) {
	promised := o.release.Promised
	c, err := verbs.Connect(ctx, o.Env, promised.CASAddress, promised.Trust)
	if err != nil {
		return nil, false, err
	}
	defer c.Close()
	admitted, err := rollout.Admitted(ctx, c, promised)
	if err != nil {
		return nil, false, err
	}
	for _, name := range admitted.Changed {
		printers.Warn(o.ErrOut, fmt.Sprintf("session %s in CAS is not the one that was created: %s verify %s", name, o.Program, promised.Name))
	}
	return admitted.Services, c.Appraisal.Simulated, nil
}
