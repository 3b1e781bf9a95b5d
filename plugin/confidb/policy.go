package confidb

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/files"
	"github.com/confidb/confidb/pkg/policy"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/printers"
)

func newPolicyCheckCommand(env *cli.Env) *cobra.Command {
	o := policyCheck{env: env}
	return env.Command(cli.Verb{Name: "policy check", Args: cli.Exactly(1, "the name of one file, or -"), Flags: o.addFlags, AtOnce: true, Run: o.run})
}

// policyCheck are the options of checking a policy file.
type policyCheck struct {
	env    *cli.Env
	output string
	// strict makes weaknesses the exit code of something contraindicated.
	strict bool
}

func (o *policyCheck) addFlags(set *pflag.FlagSet) {
	cli.AddOutput(set, &o.output)
	set.BoolVar(&o.strict, "strict", false, "exit 3 when the policy is weak somewhere")
}

// run prints what a policy accepts and where it is weak; - is standard input.
func (o *policyCheck) run(_ context.Context, arguments []string) error {
	text, name, err := files.ReadInput(arguments[0], o.env.In)
	if err != nil {
		return fmt.Errorf("reading the policy: %w", err)
	}
	p, err := policy.Parse(name, text)
	if err != nil {
		return err
	}
	document := printers.NewPolicy(name, p)
	if err := printers.Print(o.env.Out, o.output, document); err != nil {
		return err
	}
	if o.strict && len(document.Weaknesses) > 0 {
		return &cli.VerdictError{Code: cli.Contraindicated}
	}
	return nil
}

func newPolicyExampleCommand(env *cli.Env) *cobra.Command {
	return env.Command(cli.Verb{Name: "policy example", Args: cli.AtMost(0), Run: func(context.Context, []string) error {
		_, err := fmt.Fprint(env.Out, policy.Example())
		return err
	}})
}
