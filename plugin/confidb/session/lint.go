package session

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/contact"
	"github.com/confidb/confidb/pkg/lint"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/printers"
)

func newLint(env *cli.Env) *cobra.Command {
	o := linting{template: template{desk: desk{Env: env}}, failOn: string(lint.Error)}
	c := o.verb("lint", o.check, o.addFlags, o.run)
	c.Flags().Lookup("timeout").Usage = "how long to wait for a CAS at most"
	return c
}

// linting looks for what is dangerous in sessions: in files, or those of a CAS.
type linting struct {
	template
	// failOn is the least severity that makes the command fail.
	failOn string
	// list asks for the rules.
	list bool
}

func (o *linting) addFlags(set *pflag.FlagSet) {
	set.StringVar(&o.address, "cas", "", "address of a CAS that was attested before: look at the sessions of these names there")
	o.variables.addFlags(set)
	cli.AddFormat(set, &o.output, []string{"text", "json", "sarif", "junit"}, "output format: text (default), json, sarif or junit")
	set.Var(&cli.Choice{Flag: "--fail-on", Value: &o.failOn, Words: []string{"fatal", "error", "warning", "note"}}, "fail-on",
		"least severity that makes exit code 3: fatal, error, warning or note")
	set.BoolVar(&o.list, "list", false, "list the rules")
}

// check finds usage errors.
func (o *linting) check(_ *cobra.Command, arguments []string) error {
	switch {
	case o.list && len(arguments) > 0:
		return cli.NewUsageError("got --list and something to look at, want one of them")
	case o.list && (o.output == "sarif" || o.output == "junit"):
		return cli.NewUsageError("-o: got %s with --list, want text or json", o.output)
	case !o.list && len(arguments) == 0:
		return cli.NewUsageError("got nothing to look at, want files, or --cas ADDRESS and names")
	case o.address != "" && o.replaces():
		return cli.NewUsageError("got variables and --cas: sessions in a CAS have none")
	}
	return sessions(0, "")(nil, arguments)
}

// replaces reports whether variables of templates are replaced.
func (o *linting) replaces() bool {
	return o.useEnv || o.file != "" || len(o.given)+len(o.set) > 0
}

// run prints the problems, and ends with exit code 3 when one of them weighs as much as
// failOn.
func (o *linting) run(ctx context.Context, arguments []string) error {
	rules, err := lint.Rules()
	if err != nil {
		return err
	}
	if o.list {
		return printers.Print(o.Out, strings.TrimPrefix(o.output, "text"), printers.NewLintRules(rules))
	}
	result := lint.Result{Rules: rules, FailOn: lint.Severity(o.failOn)}
	if err := o.look(ctx, &result, arguments); err != nil {
		return err
	}
	return o.conclude(result)
}

func (o *linting) conclude(result lint.Result) error {
	if err := printers.Lint(o.Out, o.output, result, cli.Version()); err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	if result.Failed() {
		return &cli.VerdictError{Code: cli.Contraindicated}
	}
	return nil
}

// look looks at files as they would be uploaded, or at sessions as a CAS holds them.
func (o *linting) look(ctx context.Context, result *lint.Result, names []string) error {
	if o.address == "" {
		return result.Look(o.documents(names), false, o.Now())
	}
	return o.ask(ctx, func(c *contact.Connection) error {
		documents, err := stored(ctx, c, names)
		if err != nil {
			return err
		}
		result.Simulated = c.Appraisal.Simulated
		return result.Look(documents, true, o.Now())
	})
}

// documents reads files as they would be uploaded.
func (o *linting) documents(names []string) []lint.Document {
	var all []lint.Document
	for _, name := range names {
		for _, s := range o.open(o.Env, name) {
			all = append(all, lint.Document{Name: s.File, Session: s.Session, Err: s.Err})
		}
	}
	return all
}

func stored(ctx context.Context, c *contact.Connection, names []string) ([]lint.Document, error) {
	var all []lint.Document
	for _, name := range names {
		held, err := c.Session(ctx, name)
		if err != nil {
			return nil, err
		}
		d := lint.Document{Name: name}
		d.Session, d.Err = session.Read(name, []byte(held.Text))
		all = append(all, d)
	}
	return all, nil
}
