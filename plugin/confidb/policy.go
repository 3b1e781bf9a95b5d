package confidb

import (
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/pkg/policy"
	"github.com/confidb/confidb/plugin/internal/verbs"
)

func newPolicyCommand(streams genericiooptions.IOStreams) *cobra.Command {
	return newGroup("policy", "Check the file that says what you accept", newPolicyCheckCommand(streams), newPolicyExampleCommand(streams))
}

func newPolicyCheckCommand(streams genericiooptions.IOStreams) *cobra.Command {
	var o verbs.PolicyCheck
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
		Args: exactlyOne("file, or -"),
		RunE: func(_ *cobra.Command, arguments []string) error {
			o.File = arguments[0]
			if err := verbs.CheckFormat(o.Output); err != nil {
				return err
			}
			return o.Run(streams)
		},
	}
	c.Flags().StringVarP(&o.Output, "output", "o", "", "output format: json or yaml (default: text)")
	c.Flags().BoolVar(&o.Strict, "strict", false, "exit 3 when the policy is weak somewhere")
	return c
}

func newPolicyExampleCommand(streams genericiooptions.IOStreams) *cobra.Command {
	return &cobra.Command{
		Use:     "example",
		Short:   "Print a policy with all keys, each explained",
		Example: "  kubectl confidb policy example >policy.yaml",
		Args:    noArguments,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprint(streams.Out, policy.Example())
			return err
		},
	}
}
