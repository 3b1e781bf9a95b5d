package platforms

import (
	"context"
	"time"

	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/machines"
	"github.com/confidb/confidb/pkg/watch"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/printers"
)

// watcher is a verb that looks at machines once, or goes on until its context ends.
type watcher struct {
	search
	watch bool
	// timeout bounds each look.
	timeout time.Duration
	// pace says when to look again.
	pace machines.Pace
}

func (w *watcher) addFlags(set *pflag.FlagSet) {
	w.search.addFlags(set)
	set.BoolVarP(&w.watch, "watch", "w", false, "go on, and print a line for each change")
	set.DurationVar(&w.timeout, "timeout", time.Minute, "how long to wait at most; with --watch, for each look")
}

// begin bounds what is done once, and refuses to watch in a format: changes are lines.
func (w *watcher) begin(ctx context.Context, output string, do func(context.Context) error) error {
	if !w.watch {
		ctx, cancel := context.WithTimeout(ctx, w.timeout)
		defer cancel()
		return do(ctx)
	}
	if output != "" {
		return cli.NewUsageError("--watch: want it without -o: it prints a line for each change")
	}
	return do(ctx)
}

// follow looks at what the nodes of the cluster have to do with; look prints what it sees
// first. With --watch it goes on, and says what changes.
func (w *watcher) follow(ctx context.Context, look func(ctx context.Context, first bool) (watch.Picture, error)) error {
	if !w.watch {
		_, err := look(ctx, true)
		return err
	}
	cluster, err := machines.New(w.Getter)
	if err != nil {
		return err
	}
	return watch.Run(ctx, func(ctx context.Context, again func(context.Context) error) error {
		return cluster.Watch(ctx, w.pace, again)
	}, watch.Options{Look: look, Say: printers.Stamped(w.Out, w.Now), Timeout: w.timeout})
}
