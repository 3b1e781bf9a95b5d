package confidb

import (
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/pkg/files"
	"github.com/confidb/confidb/pkg/policy"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/printers"
)

func newPolicyCommand(streams genericiooptions.IOStreams) *cobra.Command {
	return cli.Group("policy", "Check the file that says what you accept", newPolicyCheckCommand(streams), newPolicyExampleCommand(streams))
}

func newPolicyCheckCommand(streams genericiooptions.IOStreams) *cobra.Command {
	var o policyCheck
	c := &cobra.Command{
		Use:   "check FILE",
		Short: "Say what a policy accepts and where it is weak",
		Long: `Reads the file that other commands take with --policy, - for standard input. Says in
words which CAS, enclaves, states of a platform and ages of collateral it accepts,
then where it accepts more than it should. A file that cannot be used is an error
with line and column. Weaknesses are no error: --strict makes them exit 3.

Asks nobody: needs no cluster, no CAS and no RBAC verbs.`,
		Example: `  kubectl confidb policy check policy.yaml
  kubectl confidb policy check policy.yaml --strict -o json`,
		Args: cli.Exactly(1, "the name of one file, or -"),
		RunE: func(_ *cobra.Command, arguments []string) error { return o.run(arguments[0], streams) },
	}
	c.Flags().StringVarP(&o.output, "output", "o", "", "output format: json or yaml (default: text)")
	c.Flags().BoolVar(&o.strict, "strict", false, "exit 3 when the policy is weak somewhere")
	return c
}

// policyCheck are the options of checking a policy file.
type policyCheck struct {
	output string
	// strict makes weaknesses the exit code of something contraindicated.
	strict bool
}

// run prints what a policy accepts and where it is weak; - is standard input.
func (o policyCheck) run(path string, streams genericiooptions.IOStreams) error {
	if err := cli.CheckFormat(o.output); err != nil {
		return err
	}
	text, name, err := files.ReadInput(path, streams.In)
	if err != nil {
		return fmt.Errorf("reading the policy: %w", err)
	}
	p, err := policy.Parse(name, text)
	if err != nil {
		return err
	}
	document := printers.NewPolicy(name, p)
	if err := printers.Print(streams.Out, o.output, document); err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	if o.strict && len(document.Weaknesses) > 0 {
		return &cli.VerdictError{Code: cli.Contraindicated}
	}
	return nil
}

func newPolicyExampleCommand(streams genericiooptions.IOStreams) *cobra.Command {
	return &cobra.Command{
		Use:     "example",
		Short:   "Print a policy with all keys, each explained",
		Example: "  kubectl confidb policy example >policy.yaml",
		Args:    cli.AtMost(0),
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprint(streams.Out, policy.Example())
			return err
		},
	}
}
