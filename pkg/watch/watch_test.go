package watch_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/platform"
	"github.com/confidb/confidb/pkg/watch"
)

func node(id, state string) []watch.Statement { return []watch.Statement{{"ID", id}, {"state", state}} }

func TestChanges(t *testing.T) {
	for name, c := range map[string]struct {
		before, after watch.Picture
		want          []string
	}{
		"nothing":           {watch.Picture{"n1": node("a", "usable")}, watch.Picture{"n1": node("a", "usable")}, nil},
		"from nothing":      {nil, watch.Picture{"n1": node("a", "usable")}, []string{"new: n1: a, usable"}},
		"to nothing":        {watch.Picture{"n1": node("a", "usable")}, nil, []string{"gone: n1: a, usable"}},
		"without statement": {nil, watch.Picture{"problem": nil}, []string{"new: problem"}},
		"an unknown ID":     {watch.Picture{"n1": node("a", "usable")}, watch.Picture{"n1": node("", "cordoned")}, []string{"n1: ID <none>, was a; state cordoned, was usable"}},
		"in order": {watch.Picture{"b": nil}, watch.Picture{"c": nil, "a": nil},
			[]string{"new: a", "gone: b", "new: c"}},
		"another part": {watch.Picture{"n1": nil}, watch.Picture{"n1": node("a", "")}, []string{"n1: ID a, was <none>"}},
	} {
		if diff := cmp.Diff(c.want, c.after.Changes(c.before)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// look is what one look gives.
type look struct {
	seen watch.Picture
	err  error
}

// run watches these looks, one after the other, and returns what was said.
func run(t *testing.T, looks ...look) (said []string, firsts []bool, err error) {
	t.Helper()
	next := 0
	nodes := func(ctx context.Context, look func(context.Context) error) error {
		for next < len(looks) {
			if err := look(ctx); err != nil {
				return err
			}
		}
		return nil
	}
	err = watch.Run(t.Context(), nodes, watch.Options{
		Look: func(ctx context.Context, first bool) (watch.Picture, error) {
			if _, bounded := ctx.Deadline(); !bounded {
				t.Error("a look has no time limit")
			}
			firsts = append(firsts, first)
			next++
			return looks[next-1].seen, looks[next-1].err
		},
		Say:     func(line string) error { said = append(said, line); return nil },
		Timeout: time.Minute,
	})
	return said, firsts, err
}

func TestRun(t *testing.T) {
	late, gone := errors.New("too late"), errors.New("no route")
	one, two := watch.Picture{"n1": nil}, watch.Picture{"n1": nil, "n2": nil}
	for name, c := range map[string]struct {
		looks []look
		want  []string
		err   error
	}{
		"the first look says nothing":     {[]look{{one, nil}}, nil, nil},
		"a change":                        {[]look{{one, nil}, {two, nil}}, []string{"new: n2"}, nil},
		"the first look fails":            {[]look{{nil, late}, {one, nil}}, nil, late},
		"a failure is said once":          {[]look{{one, nil}, {nil, late}, {nil, late}, {two, nil}}, []string{"could not look: too late", "new: n2"}, nil},
		"each failure is said":            {[]look{{one, nil}, {nil, late}, {nil, gone}}, []string{"could not look: too late", "could not look: no route"}, nil},
		"a failure comes back":            {[]look{{one, nil}, {nil, late}, {one, nil}, {nil, late}}, []string{"could not look: too late", "could not look: too late"}, nil},
		"what was seen before is kept":    {[]look{{two, nil}, {nil, late}, {one, nil}}, []string{"could not look: too late", "gone: n2"}, nil},
		"a missing right ends everything": {[]look{{one, nil}, {nil, &platform.ForbiddenError{Doing: "listing nodes", Err: late}}, {two, nil}}, nil, late},
	} {
		t.Run(name, func(t *testing.T) {
			said, firsts, err := run(t, c.looks...)
			if !errors.Is(err, c.err) {
				t.Errorf("got %v, want %v", err, c.err)
			}
			if diff := cmp.Diff(c.want, said); diff != "" {
				t.Error(diff)
			}
			if !firsts[0] {
				t.Error("the first look is not called so")
			}
			if len(firsts) > 1 && firsts[1] {
				t.Error("the second look is called the first")
			}
		})
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	nodes := func(ctx context.Context, look func(context.Context) error) error { return look(ctx) }
	err := watch.Run(ctx, nodes, watch.Options{
		Look:    func(context.Context, bool) (watch.Picture, error) { cancel(); return nil, nil },
		Say:     func(string) error { t.Error("something was said"); return nil },
		Timeout: time.Minute,
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestRunEndsWhenNobodyListens(t *testing.T) {
	closed := errors.New("closed")
	looks := 0
	nodes := func(ctx context.Context, look func(context.Context) error) error {
		return errors.Join(look(ctx), look(ctx))
	}
	err := watch.Run(t.Context(), nodes, watch.Options{
		Look: func(context.Context, bool) (watch.Picture, error) {
			looks++
			if looks == 1 {
				return nil, nil
			}
			return watch.Picture{"n1": nil}, nil
		},
		Say:     func(string) error { return closed },
		Timeout: time.Minute,
	})
	if !errors.Is(err, closed) {
		t.Errorf("got %v", err)
	}
}
