package verbs

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/pkg/lint"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/printers"
)

// LintSession are the options of looking for what is dangerous in sessions.
type LintSession struct {
	SessionFlags
	// UseEnv and Variables are those of CreateSession. Without both a file is read as
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
func (o *LintSession) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.CAS, "cas", "", "address of a CAS that was attested before: look at the sessions of these names there")
	flags.BoolVar(&o.UseEnv, "use-env", false, "replace the variables of templates from the environment")
	flags.StringArrayVarP(&o.Variables, "env", "e", nil, "VAR=VALUE for templates, which wins over the environment; may be repeated")
	flags.StringVarP(&o.Output, "output", "o", "", "output format: text (default), json, sarif or junit")
	flags.StringVar(&o.FailOn, "fail-on", string(lint.Error), "least severity that makes exit code 3: fatal, error, warning or note")
	flags.BoolVar(&o.List, "list", false, "list the rules")
}

// Check finds usage errors.
func (o *LintSession) Check(arguments []string) error {
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
func (o LintSession) Run(ctx context.Context, getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams, arguments []string) error {
	rules, err := lint.Rules()
	if err != nil {
		return err
	}
	if o.List {
		return printers.Print(streams.Out, strings.TrimPrefix(o.Output, "text"), printers.NewLintRules(rules))
	}
	result := lint.Result{Rules: rules, FailOn: lint.Severity(o.FailOn)}
	if o.CAS == "" {
		err = o.lintFiles(&result, streams.In, arguments)
	} else {
		err = o.lintStored(ctx, &result, getter, arguments)
	}
	if err != nil {
		return err
	}
	result.Sort()
	if err := printers.Lint(streams.Out, o.Output, result, cli.Version()); err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	if result.Failed() {
		return &cli.VerdictError{Code: cli.Contraindicated}
	}
	return nil
}

func (o LintSession) lintFiles(result *lint.Result, in io.Reader, files []string) error {
	var sessions []*session.Session
	for _, file := range files {
		name := displayName(file)
		text, err := o.read(file, in)
		result.Sessions = append(result.Sessions, name)
		if err == nil {
			var s *session.Session
			if s, err = session.Parse(name, text); err == nil {
				sessions = append(sessions, s)
				continue
			}
		}
		problems := lint.Unreadable(err)
		if len(problems) == 0 {
			return err
		}
		result.Problems = append(result.Problems, problems...)
	}
	found, err := lint.Check(sessions, o.Now())
	result.Problems = append(result.Problems, found...)
	return err
}

// read returns a file as it would be uploaded.
func (o LintSession) read(file string, in io.Reader) (text []byte, err error) {
	if !o.UseEnv && len(o.Variables) == 0 {
		text, _, err = readDocument(in, file)
		return text, err
	}
	template := CreateSession{SessionFlags: o.SessionFlags, File: file, UseEnv: o.UseEnv, Variables: o.Variables}
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

func (o LintSession) lintStored(ctx context.Context, result *lint.Result, getter genericclioptions.RESTClientGetter, names []string) error {
	connection, err := o.connect(ctx, getter)
	if err != nil {
		return err
	}
	defer connection.close()
	result.Simulated = connection.attested.Simulated
	var sessions []*session.Session
	for _, name := range names {
		stored, err := connection.Session(ctx, name)
		if err != nil {
			return err
		}
		result.Sessions = append(result.Sessions, name)
		s, err := session.Parse(name, []byte(stored.Text))
		if err == nil {
			sessions = append(sessions, s)
			continue
		}
		problems := lint.Unreadable(err)
		if len(problems) == 0 {
			return err
		}
		result.Problems = append(result.Problems, problems...)
	}
	found, err := lint.CheckStored(sessions, o.Now())
	result.Problems = append(result.Problems, found...)
	return err
}
