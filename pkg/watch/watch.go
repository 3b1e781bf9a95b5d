// Package watch looks at something again and again, and says what has changed since
// the last look: at whatever makes a Picture, such as Machines. It has no clock of its
// own.
package watch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/confidb/confidb/pkg/platform"
)

// Picture is what was seen at one look: what is said of each subject, in parts. A
// subject has the same parts in every picture.
type Picture map[string][]Statement

// Statement is one thing that is said, such as the state of a node. An empty value says
// that nothing is known.
type Statement struct{ Name, Value string }

// Changes has one line for each subject of which something else is said than before,
// in the order of the subjects.
func (p Picture) Changes(before Picture) []string {
	subjects := maps.Clone(p)
	if subjects == nil {
		subjects = Picture{}
	}
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

func said(parts []Statement) string {
	var words []string
	for _, p := range parts {
		if p.Value != "" {
			words = append(words, p.Value)
		}
	}
	if len(words) == 0 {
		return ""
	}
	return ": " + strings.Join(words, ", ")
}

func differences(was, is []Statement) (words []string) {
	for i, p := range is {
		old := ""
		if i < len(was) {
			old = was[i].Value
		}
		if old != p.Value {
			words = append(words, fmt.Sprintf("%s %s, was %s", p.Name, orNone(p.Value), orNone(old)))
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

// Nodes calls look at once, and again whenever something may have changed, until ctx
// ends, which is no error, or look fails.
type Nodes func(ctx context.Context, look func(context.Context) error) error

// Options say what is looked at. All of them are needed.
type Options struct {
	// Look returns the next picture. first is true until a look has succeeded: that
	// look shows what there is.
	Look func(ctx context.Context, first bool) (Picture, error)
	// Say tells one line.
	Say func(line string) error
	// Timeout bounds each look.
	Timeout time.Duration
}

// Run looks until ctx ends, and says what changes from one look to the next. After the
// first look a failure is said once and looked past, unless a right is missing.
func Run(ctx context.Context, nodes Nodes, o Options) error {
	return nodes(ctx, (&watcher{Options: o}).step)
}

// watcher remembers the last look.
type watcher struct {
	Options
	started bool
	before  Picture
	failed  string
}

func (w *watcher) step(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, w.Timeout)
	defer cancel()
	seen, err := w.Look(bounded, !w.started)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return w.fail(err)
	}
	before, first := w.before, !w.started
	w.before, w.started, w.failed = seen, true, ""
	if first {
		return nil
	}
	return w.say(seen.Changes(before)...)
}

// fail returns what cannot be looked past, and says everything else once.
func (w *watcher) fail(err error) error {
	var forbidden *platform.ForbiddenError
	if !w.started || errors.As(err, &forbidden) {
		return err
	}
	text := err.Error()
	if text == w.failed {
		return nil
	}
	w.failed = text
	return w.say("could not look: " + text)
}

func (w *watcher) say(lines ...string) error {
	for _, line := range lines {
		if err := w.Say(line); err != nil {
			return err
		}
	}
	return nil
}
