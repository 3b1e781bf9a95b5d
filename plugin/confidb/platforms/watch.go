package platforms

import (
	"context"
	"time"

	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/machines"
	"github.com/confidb/confidb/pkg/platform"
	"github.com/confidb/confidb/pkg/watch"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/flags"
	"github.com/confidb/confidb/plugin/internal/printers"
)

// watcher is a verb that goes on, if it is asked to, until its context ends.
type watcher struct {
	watch bool
	// timeout bounds each look.
	timeout time.Duration
	// pace says when to look again.
	pace machines.Pace
}

func (w *watcher) addFlags(set *pflag.FlagSet) {
	set.BoolVarP(&w.watch, "watch", "w", false, "go on, and print a line for each change")
	set.DurationVar(&w.timeout, "timeout", time.Minute, "how long to wait at most; with --watch, for each look")
}

// refuse says that changes are lines, in no other format.
func (w *watcher) refuse(output string) error {
	if w.watch && output != "" {
		return cli.NewUsageError("--watch: want it without -o: it prints a line for each change")
	}
	return nil
}

// follow looks at what the nodes of the cluster have to do with, and says what changes.
func (w *watcher) follow(ctx context.Context, s *search, look func(context.Context, bool) (watch.Picture, error)) error {
	cluster, err := machines.New(s.env.Getter)
	if err != nil {
		return err
	}
	return watch.Run(ctx, func(ctx context.Context, look func(context.Context) error) error {
		return cluster.Watch(ctx, w.pace, look)
	}, watch.Options{Look: look, Say: printers.Stamped(s.env.Out, s.env.Now), Timeout: w.timeout})
}

// follow prints the table, and then a line for each change until ctx ends.
func (o *listing) follow(ctx context.Context) (flags.PlatformOptions, error) {
	if err := o.refuse(o.output); err != nil {
		return flags.PlatformOptions{}, err
	}
	options, err := o.resolve(ctx, "")
	if err != nil {
		return options, err
	}
	if len(options.IDs) > 0 {
		return options, cli.NewUsageError("--watch: want it without a list of platform IDs (from %s): the cluster is not asked then", options.Origin)
	}
	return options, o.watcher.follow(ctx, &o.search, func(ctx context.Context, first bool) (watch.Picture, error) {
		found, err := machines.Find(ctx, o.env.Getter, options.Options, platform.ProblemKinds()...)
		if err != nil {
			return nil, err
		}
		if first {
			err = o.show(found, options)
		}
		return watch.Machines(found), err
	})
}
