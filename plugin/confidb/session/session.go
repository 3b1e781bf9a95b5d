// Package session is the command tree of kubectl confidb session: one file a verb, or
// a few that belong together.
package session

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/change"
	"github.com/confidb/confidb/pkg/contact"
	"github.com/confidb/confidb/pkg/deploy"
	"github.com/confidb/confidb/pkg/envelope"
	"github.com/confidb/confidb/pkg/rollout"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/flags"
	"github.com/confidb/confidb/plugin/internal/printers"
	"github.com/confidb/confidb/plugin/internal/verbs"
)

// NewCommand returns the command session.
func NewCommand(env *cli.Env) *cobra.Command {
	return env.Group("session", newCreate(env), newGet(env), newTemplate(env), newSchema(env), newLint(env), newDiff(env),
		newUpdate(env), newHistory(env), newPlan(env), newSign(env), newApply(env))
}

// desk is a verb that works with the sessions of a CAS that was attested before.
type desk struct {
	*cli.Env
	// address is that of the CAS; empty means $SCONE_CAS_ADDR or the usual one.
	address string
	// output is the format of the result; empty is the text for people.
	output string
}

func (d *desk) addFlags(set *pflag.FlagSet) {
	set.StringVar(&d.address, "cas", "", "address of a CAS that was attested before (default $SCONE_CAS_ADDR, else "+flags.DefaultCAS+")")
}

func (d *desk) addOutputFlags(set *pflag.FlagSet) {
	d.addFlags(set)
	cli.AddOutput(set, &d.output)
}

// verb returns the command of a verb that takes a minute at most.
func (d *desk) verb(
	name string, args cobra.PositionalArgs, addFlags func(*pflag.FlagSet), run func(context.Context, []string) error,
) *cobra.Command {
	return d.Command(cli.Verb{Name: "session " + name, Args: args, Flags: addFlags, Patience: time.Minute, AtOnce: true, Run: run})
}

// sessions makes a command want sessions, at least so many, and standard input only once.
func sessions(least int, wanted string) cobra.PositionalArgs {
	return func(c *cobra.Command, arguments []string) error {
		if stdin := slices.DeleteFunc(slices.Clone(arguments), func(a string) bool { return a != "-" }); len(stdin) > 1 {
			return cli.NewUsageError("got - more than once, want standard input once")
		}
		return cli.Between(least, math.MaxInt, wanted)(c, arguments)
	}
}

// ask does something with the CAS.
func (d *desk) ask(ctx context.Context, do func(c *contact.Connection) error) error {
	address, _ := flags.First(d.LookupEnv, "cas", d.address, "SCONE_CAS_ADDR", flags.DefaultCAS)
	meeting, err := verbs.NewDesk(d.Env)
	if err != nil {
		return err
	}
	c, err := meeting.Reconnect(ctx, address)
	if err != nil {
		return err
	}
	defer c.Close()
	return do(c)
}

// showUpdate prints what an update of the session of a name by what is in a file does.
func (d *desk) showUpdate(name, file string, c change.Change, simulated bool) error {
	head := printers.Head{Kind: "confidb.session-update/v1", Simulated: simulated}
	return printers.Print(d.Out, d.output, printers.SessionChange{Head: head, From: fromCAS + name, To: file, Change: c})
}

// tell says on standard error what was done with a session.
func (d *desk) tell(name, format string, arguments ...any) {
	fmt.Fprintf(d.ErrOut, "session %q%s\n", name, fmt.Sprintf(format, arguments...))
}

func newCreate(env *cli.Env) *cobra.Command {
	o := creation{template: template{desk: desk{Env: env}}}
	return o.verb("create", cli.Exactly(1, "one file, or -"), o.addFlags, o.run)
}

// creation creates the sessions of a file of templates.
type creation struct {
	template
	dryRun string
}

func (o *creation) addFlags(set *pflag.FlagSet) {
	o.template.addFlags(set)
	flags.AddDryRun(set, &o.dryRun, "none, client (print the document) or server (ask CAS; create nothing)")
}

func (o *creation) run(ctx context.Context, arguments []string) error {
	documents, err := o.readAll(arguments[0])
	if err != nil {
		return err
	}
	if o.dryRun == string(deploy.Client) {
		return o.show(documents)
	}
	return o.ask(ctx, func(c *contact.Connection) error { return o.createAll(ctx, c, documents) })
}

// show prints the documents.
func (o *creation) show(documents []*session.Session) error {
	for i, d := range documents {
		if i > 0 {
			fmt.Fprintln(o.Out, "---")
		}
		if err := envelope.Show(o.Out, d); err != nil {
			return err
		}
	}
	return nil
}

// createAll creates the sessions unless CAS has the same ones, and prints their hashes. CAS
// is asked for all of several before the first is created: half a set would remain.
func (o *creation) createAll(ctx context.Context, c *contact.Connection, documents []*session.Session) error {
	var wanted []*topology.Session
	for _, d := range documents {
		s := &topology.Session{Name: d.Name, Text: string(d.Source())}
		wanted = append(wanted, s)
		if len(documents) == 1 && o.dryRun != string(deploy.Server) {
			break
		}
		what, err := deploy.InspectSession(ctx, c, s)
		if err != nil {
			return err
		}
		if o.dryRun == string(deploy.Server) {
			o.tell(s.Name, " %s (dry run)", what)
		}
	}
	if o.dryRun == string(deploy.Server) {
		return nil
	}
	for _, s := range wanted {
		if err := o.create(ctx, c, s, len(wanted) > 1); err != nil {
			return err
		}
	}
	return nil
}

// create creates a session unless CAS has the same one, and prints its hash; of one of
// several the name as well.
func (o *creation) create(ctx context.Context, c *contact.Connection, wanted *topology.Session, named bool) error {
	did, err := deploy.EnsureSession(ctx, c, wanted)
	if err != nil {
		return err
	}
	done := "was there already, with the same meaning"
	if did == deploy.Created {
		done = "created"
	}
	o.tell(wanted.Name, " %s", done)
	line := wanted.Hash
	if named {
		line += "  " + wanted.Name
	}
	_, err = fmt.Fprintln(o.Out, line)
	return err
}

func newGet(env *cli.Env) *cobra.Command {
	o := reading{desk{Env: env}}
	return o.verb("get", cli.Exactly(1, "the name of one session"), o.addFlags, o.run)
}

// reading prints a session as CAS holds it. It holds no generated secret: CAS gives those
// to enclaves only.
type reading struct{ desk }

func (o *reading) addFlags(set *pflag.FlagSet) {
	o.desk.addFlags(set)
	cli.AddFormat(set, &o.output, []string{"yaml", "json"}, "output format: yaml (default) or json")
}

func (o *reading) run(ctx context.Context, arguments []string) error {
	return o.ask(ctx, func(c *contact.Connection) error {
		held, err := rollout.Read(ctx, c, arguments[0])
		if err != nil {
			return err
		}
		return o.show(held, c.Appraisal.Simulated)
	})
}

func (o *reading) show(held change.Version, simulated bool) error {
	if err := envelope.RefuseWritten(held.Session); err != nil { // it could be taken for what CAS holds
		return err
	}
	if o.output != "json" {
		o.tell(held.Session.Name, ", hash %s", held.Hash)
		return envelope.Show(o.Out, held.Session)
	}
	head := printers.Head{Kind: "confidb.session/v1", Simulated: simulated}
	return printers.Print(o.Out, o.output, printers.Session{Head: head, Name: held.Session.Name, Hash: held.Hash, Source: held.Text()})
}

func newHistory(env *cli.Env) *cobra.Command {
	o := history{desk{Env: env}}
	return o.verb("history", cli.Exactly(1, "the name of one session"), o.addOutputFlags, o.run)
}

// history lists the versions of a session, newest first.
type history struct{ desk }

func (o *history) run(ctx context.Context, arguments []string) error {
	return o.ask(ctx, func(c *contact.Connection) error {
		versions, err := rollout.History(ctx, c, arguments[0])
		if err != nil {
			return err
		}
		head := printers.Head{Kind: "confidb.session-history/v1", Simulated: c.Appraisal.Simulated}
		return printers.Print(o.Out, o.output, printers.SessionHistory{Head: head, Name: arguments[0], Versions: versions})
	})
}

func newTemplate(env *cli.Env) *cobra.Command {
	names := []string{"namespace", "client", "database"}
	c := env.Command(cli.Verb{Name: "session template", Args: func(c *cobra.Command, arguments []string) error {
		if len(arguments) != 1 || !slices.Contains(names, arguments[0]) {
			return cli.NewUsageError("got %q, want namespace, client or database (%s --help)", arguments, c.CommandPath())
		}
		return nil
	}, Run: func(_ context.Context, arguments []string) error {
		text, err := topology.Template(arguments[0])
		if err != nil {
			return fmt.Errorf("reading the template: %w", err)
		}
		_, err = env.Out.Write(text)
		return err
	}})
	c.ValidArgs = names
	return c
}

func newSchema(env *cli.Env) *cobra.Command {
	return env.Command(cli.Verb{Name: "session schema", Args: cli.AtMost(0), Run: func(context.Context, []string) error {
		_, err := env.Out.Write(session.Schema())
		return err
	}})
}
