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

	"github.com/confidb/confidb/pkg/lint"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/printers"
)

func newLintCommand(env *cli.Env) *cobra.Command {
	o := linting{casFlags: casFlags{env: env}}
	c := env.Command(cli.Verb{Name: "session lint", Flags: o.AddFlags, Patience: time.Minute, Run: func(ctx context.Context, arguments []string) error {
		if err := o.Check(arguments); err != nil {
			return err
		}
		return o.run(ctx, arguments)
	}})
	c.Flags().Lookup("timeout").Usage = "how long to wait for a CAS at most"
	return c
}

// linting are the options of looking for what is dangerous in sessions.
type linting struct {
	casFlags
	// UseEnv and Variables are those of creation. Without both a file is read as
	// it is, and no variable is replaced.
	UseEnv    bool
	Variables []string
	// Output is text, json, sarif or junit; empty means text.
	Output string
	// FailOn is the least severity that makes the command fail.
	FailOn string
	// List asks for the rules.
	List bool
}

// AddFlags registers the flags.
func (o *linting) AddFlags(set *pflag.FlagSet) {
	set.StringVar(&o.CAS, "cas", "", "address of a CAS that was attested before: look at the sessions of these names there")
	set.BoolVar(&o.UseEnv, "use-env", false, "replace the variables of templates from the environment")
	set.StringArrayVarP(&o.Variables, "env", "e", nil, "VAR=VALUE for templates, which wins over the environment; may be repeated")
	set.StringVarP(&o.Output, "output", "o", "", "output format: text (default), json, sarif or junit")
	set.StringVar(&o.FailOn, "fail-on", string(lint.Error), "least severity that makes exit code 3: fatal, error, warning or note")
	set.BoolVar(&o.List, "list", false, "list the rules")
}

// Check finds usage errors.
func (o *linting) Check(arguments []string) error {
	formats := []string{"", "text", "json", "sarif", "junit"}
	stdin := slices.DeleteFunc(slices.Clone(arguments), func(a string) bool { return a != "-" })
	switch {
	case !slices.Contains(formats, o.Output):
		return cli.NewUsageError("-o: got %q, want text, json, sarif or junit", o.Output)
	case !slices.Contains(lint.Severities(), lint.Severity(o.FailOn)):
		return cli.NewUsageError("--fail-on: got %q, want fatal, error, warning or note", o.FailOn)
	case o.List && len(arguments) > 0:
		return cli.NewUsageError("got --list and something to look at, want one of them")
	case o.List && (o.Output == "sarif" || o.Output == "junit"):
		return cli.NewUsageError("-o: got %s with --list, want text or json", o.Output)
	case !o.List && len(arguments) == 0:
		return cli.NewUsageError("got nothing to look at, want files, or --cas ADDRESS and names")
	case o.CAS != "" && (o.UseEnv || len(o.Variables) > 0):
		return cli.NewUsageError("got variables and --cas: sessions in a CAS have none")
	case len(stdin) > 1:
		return cli.NewUsageError("got - more than once")
	}
	return nil
}

// Run prints the problems of files, or of sessions in a CAS, and ends with exit
// code 3 when one of them weighs as much as FailOn.
func (o linting) run(ctx context.Context, arguments []string) error {
	rules, err := lint.Rules()
	if err != nil {
		return err
	}
	if o.List {
		return printers.Print(o.env.Out, strings.TrimPrefix(o.Output, "text"), printers.NewLintRules(rules))
	}
	result := lint.Result{Rules: rules, FailOn: lint.Severity(o.FailOn)}
	var documents []lint.Document
	if o.CAS == "" {
		documents = o.documents(o.env.In, arguments)
	} else {
		documents, result.Simulated, err = o.stored(ctx, arguments)
	}
	if err == nil {
		err = result.Look(documents, o.CAS != "", o.env.Now())
	}
	if err != nil {
		return err
	}
	if err := printers.Lint(o.env.Out, o.Output, result, cli.Version()); err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	if result.Failed() {
		return &cli.VerdictError{Code: cli.Contraindicated}
	}
	return nil
}

// documents reads files as they would be uploaded.
func (o linting) documents(in io.Reader, files []string) []lint.Document {
	var all []lint.Document
	for _, file := range files {
		d := lint.Document{Name: displayName(file)}
		var text []byte
		if text, d.Err = o.read(file, in); d.Err == nil {
			d.Session, d.Err = session.Parse(d.Name, text)
		}
		all = append(all, d)
	}
	return all
}

// read returns a file as it would be uploaded.
func (o linting) read(file string, in io.Reader) (text []byte, err error) {
	if !o.UseEnv && len(o.Variables) == 0 {
		text, _, err = readDocument(in, file)
		return text, err
	}
	template := creation{casFlags: o.casFlags, File: file, UseEnv: o.UseEnv, Variables: o.Variables}
	rendered, err := template.render(in)
	if err != nil {
		return nil, err
	}
	return rendered.Source(), nil
}

// displayName is what a file is called in positions.
func displayName(file string) string {
	if file == "-" {
		return "standard input"
	}
	return file
}

// stored reads sessions from a CAS, which may be simulated.
func (o linting) stored(ctx context.Context, names []string) (all []lint.Document, simulated bool, err error) {
	connection, err := o.connect(ctx)
	if err != nil {
		return nil, false, err
	}
	defer connection.Close()
	for _, name := range names {
		stored, err := connection.Session(ctx, name)
		if err != nil {
			return nil, false, err
		}
		d := lint.Document{Name: name}
		d.Session, d.Err = session.Parse(name, []byte(stored.Text))
		all = append(all, d)
	}
	return all, connection.Appraisal.Simulated, nil
}
