package confidb

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/accounts"
	"github.com/confidb/confidb/pkg/files"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/printers"
)

// newAccountsCommand is about the document that says which databases and accounts there are.
func newAccountsCommand(env *cli.Env) *cobra.Command {
	o := accountsCheck{env: env}
	return env.Group("accounts",
		env.Command(cli.Verb{Name: "accounts check", Args: cli.Exactly(1, "the name of one file, or -"), AtOnce: true, Run: o.run, Flags: func(set *pflag.FlagSet) { cli.AddOutput(set, &o.output) }}),
		env.Command(cli.Verb{Name: "accounts example", Args: cli.AtMost(0), Run: func(context.Context, []string) error {
			_, err := fmt.Fprint(env.Out, accounts.Example())
			return err
		}}),
		env.Command(cli.Verb{Name: "accounts schema", Args: cli.AtMost(0), Run: func(context.Context, []string) error {
			text, err := json.MarshalIndent(accounts.Schema(), "", "  ")
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(env.Out, "%s\n", text)
			return err
		}}),
	)
}

// accountsCheck are the options of checking an accounts document.
type accountsCheck struct {
	env    *cli.Env
	output string
}

// run says who may do what; - is standard input.
func (o *accountsCheck) run(_ context.Context, arguments []string) error {
	text, name, err := files.ReadInput(arguments[0], o.env.In)
	if err != nil {
		return fmt.Errorf("reading the accounts: %w", err)
	}
	d, err := accounts.Parse(name, text)
	if err != nil {
		return err
	}
	return printers.Print(o.env.Out, o.output, printers.NewAccounts(name, d))
}
