package session

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/change"
	"github.com/confidb/confidb/pkg/contact"
	"github.com/confidb/confidb/pkg/deploy"
	"github.com/confidb/confidb/pkg/diff"
	"github.com/confidb/confidb/pkg/envelope"
	"github.com/confidb/confidb/pkg/rollout"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/flags"
	"github.com/confidb/confidb/plugin/internal/printers"
)

// fromCAS begins the name of a session that is read from the CAS.
const fromCAS = "cas:"

func newDiff(env *cli.Env) *cobra.Command {
	o := comparison{desk: desk{Env: env}}
	return o.verb("diff", sessions(2, "two sessions, or files of several, and others to which they refer"), o.addFlags, o.run)
}

// comparison says what changes from one session to another.
type comparison struct {
	desk
	variables
	// failOn is a verdict that ends with an exit code, or empty.
	failOn string
}

func (o *comparison) addFlags(set *pflag.FlagSet) {
	o.addOutputFlags(set)
	o.variables.addFlags(set)
	set.Var(&cli.Choice{Flag: "--fail-on", Value: &o.failOn, Words: []string{"", "widened", "changed"}}, "fail-on",
		"exit 3 when the change is widened (or incomparable), or any change at all: widened or changed")
}

func (o *comparison) run(ctx context.Context, arguments []string) error {
	found, err := o.compare(ctx, arguments[0], arguments[1], arguments[2:])
	if err != nil {
		return err
	}
	if err := printers.Print(o.Out, o.output, found.Document()); err != nil {
		return err
	}
	if o.failOn == "widened" && found.Widens() || o.failOn == "changed" && found.Verdict != diff.Equal {
		return &cli.VerdictError{Code: cli.Contraindicated}
	}
	return nil
}

// compare reads both sides, and those to which they refer.
func (o *comparison) compare(ctx context.Context, from, to string, others []string) (found printers.SessionSets, err error) {
	found = printers.SessionSets{From: from, To: to}
	sides := make([][]*session.Session, 3) // old, new and the rest
	names := append([]string{from, to}, others...)
	kept, errs := o.readFiles(names)
	if err := errors.Join(errs...); err != nil {
		return found, err // before a CAS is asked
	}
	for i, name := range names {
		side := min(i, 2)
		stored, remote := strings.CutPrefix(name, fromCAS)
		if !remote {
			sides[side] = append(sides[side], kept[i]...)
			continue
		}
		held, simulated, err := o.held(ctx, stored)
		if err != nil {
			return found, err
		}
		sides[side], found.Simulated = append(sides[side], held), found.Simulated || simulated
	}
	found.Sets, err = change.Between(sides[0], sides[1], sides[2])
	return found, err
}

// held reads a session of a CAS, which may be simulated.
func (o *comparison) held(ctx context.Context, name string) (s *session.Session, simulated bool, err error) {
	err = o.ask(ctx, func(c *contact.Connection) error {
		held, err := rollout.Read(ctx, c, name)
		s, simulated = held.Session, c.Appraisal.Simulated
		return err
	})
	return s, simulated, err
}

// readFiles reads the sessions of those names that are files, at once: a large one takes a
// while, and there are two.
func (o *comparison) readFiles(names []string) (all [][]*session.Session, errs []error) {
	all, errs = make([][]*session.Session, len(names)), make([]error, len(names))
	var reading sync.WaitGroup
	for i, name := range names {
		if !strings.HasPrefix(name, fromCAS) {
			open := o.variables.opening(o.Env, name)
			reading.Go(func() { all[i], errs[i] = templates(open()) })
		}
	}
	reading.Wait()
	return all, errs
}

// templates are the sessions of a file. What has no value yet stays open.
func templates(opened []envelope.Opened) (all []*session.Session, err error) {
	var wrong []error
	for _, o := range opened {
		if o.Session == nil {
			wrong = append(wrong, o.Err)
			continue
		}
		_, err := o.Session.LeftOpen()
		all, wrong = append(all, o.Session), append(wrong, err)
	}
	return all, errors.Join(wrong...)
}

func newUpdate(env *cli.Env) *cobra.Command {
	o := update{successor: successor{template: template{desk: desk{Env: env}}}}
	return o.verb("update", cli.Exactly(1, "the name of one file, or -"), o.addFlags, o.run)
}

// successor is a document that is to replace what CAS holds.
type successor struct {
	template
	// allowReissue goes on although what runs now will break.
	allowReissue bool
}

func (s *successor) addFlags(set *pflag.FlagSet) {
	s.template.addFlags(set)
	set.BoolVar(&s.allowReissue, "allow-reissue", false, "go on although secrets are lost that something uses now")
	cli.AddOutput(set, &s.output)
}

// shown works an update out, shows it, and refuses one that would break what runs.
func (s *successor) shown(ctx context.Context, file string, then func(*contact.Connection, *change.Update) error) error {
	wanted, err := s.read(file)
	if err != nil {
		return err
	}
	return s.ask(ctx, func(c *contact.Connection) error {
		u, err := rollout.PlanUpdate(ctx, c, wanted)
		if err != nil {
			return err
		}
		if err := s.showUpdate(wanted.Name, file, u.Change, c.Appraisal.Simulated); err != nil {
			return err
		}
		if err := u.Refuse(); err != nil && !s.allowReissue {
			return err
		}
		return then(c, u)
	})
}

// update replaces a session.
type update struct {
	successor
	dryRun string
}

func (o *update) addFlags(set *pflag.FlagSet) {
	o.successor.addFlags(set)
	flags.AddDryRun(set, &o.dryRun, "none, client or server (both show the change and upload nothing)")
}

func (o *update) run(ctx context.Context, arguments []string) error {
	return o.shown(ctx, arguments[0], func(c *contact.Connection, u *change.Update) error {
		if o.dryRun != string(deploy.None) || u.Verdict == diff.Equal {
			o.tell(u.To.Name, ": nothing was changed")
			return nil
		}
		hash, err := rollout.Update(ctx, c, u)
		if err == nil {
			o.tell(u.To.Name, " was updated: hash %s", hash)
		}
		return err
	})
}
