package verbs

import (
	"context"
	"errors"

	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/machines"
	"github.com/confidb/confidb/pkg/platform"
	"github.com/confidb/confidb/pkg/watch"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/printers"
)

// watch prints the table, and then a line for each change until ctx ends.
func (o Platforms) watch(ctx context.Context, getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) error {
	if o.Output != "" {
		return cli.NewUsageError("--watch: want it without -o: it prints a line for each change")
	}
	options, err := o.options(ctx)
	if err != nil {
		return err
	}
	if len(options.IDs) > 0 {
		return cli.NewUsageError("--watch: want it without a list of platform IDs (from %s): the cluster is not asked then", options.Origin)
	}
	err = watchNodes(ctx, getter, o.Pace, watch.Options{
		Say: printers.Stamped(streams.Out, o.Now), Timeout: o.Timeout,
		Look: func(ctx context.Context, first bool) (watch.Picture, error) {
			found, err := machines.Find(ctx, getter, options.Options)
			var inconsistent *platform.InconsistentError
			if errors.As(err, &inconsistent) {
				found, err = inconsistent.Seen, nil
			}
			if err != nil {
				return nil, err
			}
			if first {
				err = showFirst(streams, found, options)
			}
			return picturePlatforms(found, inconsistent), err
		},
	})
	if err != nil {
		return err
	}
	return concludeSimulated(options.Simulated, o.AcceptSimulated)
}

// watchNodes watches what the nodes of the cluster behind getter have to do with.
func watchNodes(ctx context.Context, getter genericclioptions.RESTClientGetter, pace machines.Pace, o watch.Options) error {
	cluster, err := machines.New(getter)
	if err != nil {
		return err
	}
	return watch.Run(ctx, func(ctx context.Context, look func(context.Context) error) error {
		return cluster.Watch(ctx, pace, look)
	}, o)
}

// showFirst prints what there is before anything changes.
func showFirst(streams genericiooptions.IOStreams, found *platform.Inventory, options PlatformOptions) error {
	print, err := printers.Platforms("")
	if err != nil {
		return err
	}
	printers.Remark(streams.ErrOut, found, options.Origin, "")
	return print(streams, found, options.Origin, options.Simulated)
}

// picturePlatforms says of each node what the table says, and names what is wrong.
func picturePlatforms(found *platform.Inventory, inconsistent *platform.InconsistentError) watch.Picture {
	p := watch.Picture{}
	for _, n := range found.Nodes {
		if !n.SGX {
			continue
		}
		state := "usable"
		if !n.Usable {
			state = n.Reason
		}
		id := ""
		if n.ID != (attest.PlatformID{}) {
			id = printers.ShortID(n.ID.String())
		}
		p["node "+n.Name] = []watch.Statement{{Name: "ID", Value: id}, {Name: "provenance", Value: string(n.Provenance)}, {Name: "state", Value: state}}
	}
	if inconsistent == nil {
		return p
	}
	for _, problem := range inconsistent.Problems {
		p["problem: "+problem.Text] = nil
	}
	return p
}
