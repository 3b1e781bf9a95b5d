package session

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

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

func newDiffCommand(env *cli.Env) *cobra.Command {
	o := comparison{casFlags: casFlags{env: env}}
	return env.Command(cli.Verb{Name: "session diff", Args: cli.Exactly(2, "two sessions"), Patience: time.Minute, Flags: o.AddFlags, Run: func(ctx context.Context, arguments []string) error {
		o.From, o.To = arguments[0], arguments[1]
		return o.run(ctx)
	}})
}

// comparison are the options of comparing two sessions.
type comparison struct {
	casFlags
	// From and To are files, - for standard input, or cas:NAME.
	From, To string
	// Output is one of cli.Formats, or empty.
	Output string
	// FailOn is a verdict that ends with an exit code, or empty.
	FailOn string
}

// AddFlags registers the flags.
func (o *comparison) AddFlags(set *pflag.FlagSet) {
	o.casFlags.AddFlags(set)
	cli.AddOutput(set, &o.Output)
	set.StringVar(&o.FailOn, "fail-on", "", "exit 3 when the change is widened (or incomparable), or any change at all: widened or changed")
}

// Run prints what changes from one session to the other.
func (o comparison) run(ctx context.Context) error {
	if !slices.Contains([]string{"", "widened", "changed"}, o.FailOn) {
		return cli.NewUsageError("--fail-on: got %q, want widened or changed", o.FailOn)
	}
	if o.From == "-" && o.To == "-" {
		return cli.NewUsageError("got - twice, want standard input once")
	}
	document := printers.SessionChange{Head: printers.Head{Kind: "confidb.session-diff/v1"}, From: o.From, To: o.To}
	var sessions [2]*session.Session
	for i, name := range []string{o.From, o.To} {
		s, simulated, err := o.read(ctx, name)
		if err != nil {
			return err
		}
		sessions[i], document.Simulated = s, document.Simulated || simulated
	}
	document.Change = change.New(sessions[0], sessions[1])
	if err := printers.Print(o.env.Out, o.Output, document); err != nil {
		return err
	}
	widens := document.Verdict == diff.Widened || document.Verdict == diff.Incomparable
	if o.FailOn == "widened" && widens || o.FailOn == "changed" && document.Verdict != diff.Equal {
		return &cli.VerdictError{Code: cli.Contraindicated}
	}
	return nil
}

// read reads a session from a file or a CAS, which may be simulated.
func (o comparison) read(ctx context.Context, name string) (s *session.Session, simulated bool, err error) {
	stored, remote := strings.CutPrefix(name, fromCAS)
	if !remote {
		text, file, err := readDocument(o.env.In, name)
		if err != nil {
			return nil, false, err
		}
		s, err = session.Parse(file, text)
		return s, false, err
	}
	connection, err := o.connect(ctx)
	if err != nil {
		return nil, false, err
	}
	defer connection.Close()
	held, err := rollout.Read(ctx, connection, stored)
	return held.Session, connection.Appraisal.Simulated, err
}

func newUpdateCommand(env *cli.Env) *cobra.Command {
	o := update{creation: creation{casFlags: casFlags{env: env}}}
	return env.Command(cli.Verb{Name: "session update", Args: cli.Exactly(1, "the name of one file, or -"), Patience: time.Minute, Flags: func(set *pflag.FlagSet) {
		o.AddTemplateFlags(set)
		o.AddFlags(set)
		flags.AddDryRun(set, &o.DryRun, "none, client or server (both show the change and upload nothing)")
	}, Run: func(ctx context.Context, arguments []string) error {
		o.File = arguments[0]
		return o.run(ctx)
	}})
}

// update are the options of replacing a session.
type update struct {
	creation
	// AllowReissue goes on although what runs now will break.
	AllowReissue bool
	// Output is one of cli.Formats, or empty.
	Output string
}

// AddFlags registers the flags that create does not have.
func (o *update) AddFlags(set *pflag.FlagSet) {
	set.BoolVar(&o.AllowReissue, "allow-reissue", false, "go on although secrets are lost that something uses now")
	cli.AddOutput(set, &o.Output)
}

// Run shows what the update does, and replaces the session unless that would break
// what runs.
func (o update) run(ctx context.Context) error {
	u, connection, err := o.open(ctx)
	if err != nil {
		return err
	}
	defer connection.Close()
	if o.DryRun != string(deploy.None) || u.Verdict == diff.Equal {
		fmt.Fprintf(o.env.ErrOut, "session %q: nothing was changed\n", u.To.Name)
		return nil
	}
	hash, err := rollout.Update(ctx, connection, u)
	if err != nil {
		return err
	}
	fmt.Fprintf(o.env.ErrOut, "session %q was updated: hash %s\n", u.To.Name, hash)
	return nil
}

// open works out an update, shows it, and refuses one that would break what runs.
func (o update) open(ctx context.Context) (*change.Update, *contact.Connection, error) {
	wanted, err := o.render(o.env.In)
	if err != nil {
		return nil, nil, err
	}
	connection, err := o.connect(ctx)
	if err != nil {
		return nil, nil, err
	}
	u, err := o.show(ctx, connection, wanted, o.env.Out)
	if err != nil {
		connection.Close()
		return nil, nil, err
	}
	return u, connection, nil
}

func (o update) show(ctx context.Context, c *contact.Connection, wanted *session.Session, out io.Writer) (*change.Update, error) {
	u, err := rollout.PlanUpdate(ctx, c, wanted)
	if err != nil {
		return nil, err
	}
	if err := printers.Print(out, o.Output, updateDocument(wanted.Name, o.File, u.Change, c.Appraisal.Simulated)); err != nil {
		return nil, err
	}
	if o.AllowReissue {
		return u, nil
	}
	return u, u.Refuse()
}

func updateDocument(name, file string, c change.Change, simulated bool) printers.SessionChange {
	return printers.SessionChange{Head: printers.Head{Kind: "confidb.session-update/v1", Simulated: simulated}, From: fromCAS + name, To: file, Change: c}
}
