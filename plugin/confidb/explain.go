package confidb

import (
	"context"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/explain"
	"github.com/confidb/confidb/pkg/files"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/printers"
)

// newExplainCommand asks no cluster: it is for the moment when nothing else works.
func newExplainCommand(env *cli.Env) *cobra.Command {
	o := explanation{env: env}
	c := env.Command(cli.Verb{Name: "explain", Flags: o.addFlags, AtOnce: true, Run: o.run})
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

// run looks up the arguments as one text, as people forget the quotes around a line, or
// standard input when there is only a dash.
func (o *explanation) run(_ context.Context, arguments []string) error {
	if o.list && len(arguments) > 0 {
		return cli.NewUsageError("got --list and something to explain, want one of them")
	}
	text := strings.Join(arguments, " ")
	if text == files.Dash {
		in, _, err := files.ReadInput(text, o.env.In)
		if err != nil {
			return err
		}
		text = string(in)
	}
	pages, err := explain.Pages()
	if len(arguments) > 0 {
		pages, err = explain.Lookup(text)
	}
	if err != nil {
		return err
	}
	return printers.Print(o.env.Out, o.output, printers.NewExplanation(text, pages))
}
