package confidb

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/explain"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/printers"
)

// newExplainCommand asks no cluster: it is for the moment when nothing else works.
func newExplainCommand(env *cli.Env) *cobra.Command {
	o := explanation{env: env}
	c := env.Command(cli.Verb{Name: "explain", Flags: o.addFlags, Run: o.run})
	c.ValidArgsFunction = completeCodes
	return c
}

// explanation are the options of looking something up.
type explanation struct {
	env *cli.Env
	// output is json or yaml; empty means text.
	output string
	// list asks for all codes.
	list bool
}

func (o *explanation) addFlags(set *pflag.FlagSet) {
	cli.AddOutput(set, &o.output)
	set.BoolVar(&o.list, "list", false, "list all codes (default without an argument)")
}

// completeCodes offers the codes with their titles; other names would be too many.
func completeCodes(_ *cobra.Command, arguments []string, begun string) ([]string, cobra.ShellCompDirective) {
	pages, err := explain.Pages()
	if err != nil || len(arguments) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var offers []string
	for _, p := range pages {
		if strings.HasPrefix(strings.ToLower(p.Code), strings.ToLower(begun)) {
			offers = append(offers, cobra.CompletionWithDesc(p.Code, p.Title))
		}
	}
	return offers, cobra.ShellCompDirectiveNoFileComp
}

// run looks up the arguments as one text: people forget the quotes around a line.
func (o *explanation) run(_ context.Context, arguments []string) error {
	if o.list && len(arguments) > 0 {
		return cli.NewUsageError("got --list and something to explain, want one of them")
	}
	var pages []explain.Page
	var err error
	if len(arguments) == 0 {
		pages, err = explain.Pages()
	} else {
		pages, err = explain.Lookup(strings.Join(arguments, " "))
	}
	if errors.Is(err, explain.ErrEmpty) || errors.Is(err, explain.ErrTooLong) {
		return cli.NewUsageError("%w", err)
	}
	if err != nil {
		return err
	}
	return printers.Print(o.env.Out, o.output, printers.NewExplanation(strings.Join(arguments, " "), pages))
}
