package session

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/change"
	"github.com/confidb/confidb/pkg/contact"
	"github.com/confidb/confidb/pkg/deploy"
	"github.com/confidb/confidb/pkg/diff"
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
	for i, name := range append([]string{from, to}, others...) {
		all, simulated, err := o.read(ctx, name)
		if err != nil {
			return found, err
		}
		side := min(i, 2)
		sides[side], found.Simulated = append(sides[side], all...), found.Simulated || simulated
	}
	found.Sets, err = change.Between(sides[0], sides[1], sides[2])
	return found, err
}

// read reads the sessions of a file, or that of cas:NAME from a CAS, which may be simulated.
func (o *comparison) read(ctx context.Context, name string) (all []*session.Session, simulated bool, err error) {
	stored, remote := strings.CutPrefix(name, fromCAS)
	if !remote {
		all, err = o.readTemplates(name)
		return all, false, err
	}
	err = o.ask(ctx, func(c *contact.Connection) error {
		held, err := rollout.Read(ctx, c, stored)
		all, simulated = []*session.Session{held.Session}, c.Appraisal.Simulated
		return err
	})
	return all, simulated, err
}

// readTemplates reads the sessions of a file. What has no value yet stays open.
func (o *comparison) readTemplates(name string) (all []*session.Session, err error) {
	var wrong []error
	for _, opened := range o.variables.open(o.Env, name) {
		if opened.Session == nil {
			wrong = append(wrong, opened.Err)
			continue
		}
		_, err := opened.Session.LeftOpen()
		all, wrong = append(all, opened.Session), append(wrong, err)
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
