package confidb

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/pkg/explain"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/printers"
)

// explanation are the options of looking something up.
type explanation struct {
	// output is json or yaml; empty means text.
	output string
	// list asks for all codes.
	list bool
}

// newExplainCommand asks no cluster: it is for the moment when nothing else works.
func newExplainCommand(streams genericiooptions.IOStreams) *cobra.Command {
	var o explanation
	c := &cobra.Command{
		Use:   "explain [CODE | MESSAGE]",
		Short: "Say what a code or an error message means, and what to do",
		Long: `Looks up the ID of a finding, the code that a reason begins with, a TCB status or an
advisory of Intel, an exit code (exit-3), or a line of an error message of SCONE or
of Intel's library, with all that varies in it. Says what it means, what an adversary
could be doing, and what to do next. Without an argument lists all codes.

Asks nobody: needs no cluster, no CAS and no RBAC verbs.`,
		Example: `  kubectl confidb explain cas-nonce
  kubectl confidb explain OutOfDateConfigurationNeeded
  kubectl confidb explain 'Caused by: The program enclave is not trustworthy'`,
		ValidArgsFunction: completeCodes,
		RunE: func(_ *cobra.Command, arguments []string) error {
			if err := cli.CheckFormat(o.output); err != nil {
				return err
			}
			return o.run(streams.Out, arguments)
		},
	}
	c.Flags().StringVarP(&o.output, "output", "o", "", "output format: json or yaml (default: text)")
	c.Flags().BoolVar(&o.list, "list", false, "list all codes (default without an argument)")
	return c
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
func (o explanation) run(out io.Writer, arguments []string) error {
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
	if err := printers.Print(out, o.output, printers.NewExplanation(strings.Join(arguments, " "), pages)); err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	return nil
}
