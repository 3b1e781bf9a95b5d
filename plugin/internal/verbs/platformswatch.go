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

	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	kubeprinters "k8s.io/cli-runtime/pkg/printers"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/machines"
	"github.com/confidb/confidb/pkg/platform"
	"github.com/confidb/confidb/plugin/internal/cli"
)

// picture is what was seen at one look: what is said of each subject, in parts.
type picture map[string][]statement

// statement is one thing that is said, such as the state of a node.
type statement struct{ name, value string }

// changes has one line for each subject of which something else is said than before.
func (p picture) changes(before picture) []string {
	subjects := maps.Clone(p)
	maps.Copy(subjects, before)
	var lines []string
	for _, subject := range slices.Sorted(maps.Keys(subjects)) {
		was, had := before[subject]
		is, has := p[subject]
		switch {
		case !had:
			lines = append(lines, "new: "+subject+said(is))
		case !has:
			lines = append(lines, "gone: "+subject+said(was))
		default:
			if words := differences(was, is); len(words) > 0 {
				lines = append(lines, subject+": "+strings.Join(words, "; "))
			}
		}
	}
	return lines
}

func said(parts []statement) string {
	var words []string
	for _, p := range parts {
		if p.value != "" {
			words = append(words, p.value)
		}
	}
	if len(words) == 0 {
		return ""
	}
	return ": " + strings.Join(words, ", ")
}

func differences(was, is []statement) (words []string) {
	for i, p := range is {
		if old := was[i].value; old != p.value {
			words = append(words, fmt.Sprintf("%s %s, was %s", p.name, orNone(p.value), orNone(old)))
		}
	}
	return words
}

func orNone(text string) string {
	if text == "" {
		return "<none>"
	}
	return text
}

// watcher prints what changes from one look to the next.
type watcher struct {
	out     io.Writer
	now     func() time.Time
	timeout time.Duration
	// look returns the next picture; first is true at the first look, which prints
	// what there is.
	look func(ctx context.Context, first bool) (picture, error)

	started bool
	before  picture
	failed  string
}

// watch looks until ctx ends. After the first look a failure is told and looked past,
// unless a right is missing.
func (w *watcher) watch(ctx context.Context, getter genericclioptions.RESTClientGetter, pace machines.Pace) error {
	cluster, err := machines.New(getter)
	if err != nil {
		return err
	}
	return cluster.Watch(ctx, pace, w.step)
}

func (w *watcher) step(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	seen, err := w.look(bounded, !w.started)
	var forbidden *platform.ForbiddenError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil && (!w.started || errors.As(err, &forbidden)):
		return err
	case err != nil:
		if text := err.Error(); text != w.failed {
			w.failed = text
			return w.print("could not look: " + text)
		}
		return nil
	}
	before, first := w.before, !w.started
	w.before, w.started, w.failed = seen, true, ""
	if first {
		return nil
	}
	return w.print(seen.changes(before)...)
}

func (w *watcher) print(lines ...string) error {
	for _, line := range lines {
		line = strings.Join(strings.Fields(line), " ")
		if _, err := fmt.Fprintf(w.out, "%s %s\n", w.now().UTC().Format(time.RFC3339), kubeprinters.EscapeTerminal(line)); err != nil {
			return err
		}
	}
	return nil
}

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
	w := &watcher{out: streams.Out, now: o.Now, timeout: o.Timeout}
	w.look = func(ctx context.Context, first bool) (picture, error) {
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
	}
	if err := w.watch(ctx, getter, o.Pace); err != nil {
		return err
	}
	return concludeSimulated(options.Simulated, o.AcceptSimulated)
}

// showFirst prints what there is before anything changes.
func showFirst(streams genericiooptions.IOStreams, found *platform.Inventory, options PlatformOptions) error {
	remark(streams.ErrOut, found, options.Origin, "")
	warnSimulated(streams, "", options.Simulated)
	return printPlatformTable(streams.Out, found, about{})
}

// picturePlatforms says of each node what the table says, and names what is wrong.
func picturePlatforms(found *platform.Inventory, inconsistent *platform.InconsistentError) picture {
	p := picture{}
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
			id = shortID(n.ID.String())
		}
		p["node "+n.Name] = []statement{{"ID", id}, {"provenance", string(n.Provenance)}, {"state", state}}
	}
	if inconsistent == nil {
		return p
	}
	for _, problem := range inconsistent.Problems {
		p["problem: "+problem.Text] = nil
	}
	return p
}
