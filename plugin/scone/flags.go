package scone

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/printers"
	"github.com/confidb/confidb/plugin/internal/verbs"
)

func addResultFlags(c *cobra.Command, output *string, acceptSimulated *bool) {
	c.Flags().StringVarP(output, "output", "o", "", "output format: "+strings.Join(printers.Formats(), " or ")+" (default: a table)")
	c.Flags().BoolVar(acceptSimulated, "accept-simulated", false, "exit 0 also when nothing rests on Intel's root")
}

func checkFormat(output string) error {
	if output != "" && !slices.Contains(printers.Formats(), output) {
		return cli.NewUsageError("-o: got %q, want %s", output, strings.Join(printers.Formats(), " or "))
	}
	return nil
}

// dryRuns are the values of --dry-run.
func dryRuns() []string { return []string{verbs.DryRunNone, verbs.DryRunClient, verbs.DryRunServer} }

func addDryRunFlag(c *cobra.Command, value *string, what string) {
	c.Flags().StringVar(value, "dry-run", verbs.DryRunNone, what)
	c.Flags().Lookup("dry-run").NoOptDefVal = verbs.DryRunClient
}

func checkDryRun(value string) error {
	if !slices.Contains(dryRuns(), value) {
		return cli.NewUsageError("--dry-run: got %q, want none, client or server", value)
	}
	return nil
}

// addWaitFlag accepts Helm's --wait.
func addWaitFlag(c *cobra.Command) {
	c.Flags().Bool("wait", true, "no effect: we always wait until the database runs")
}

func checkWait(c *cobra.Command) error {
	if wait, err := c.Flags().GetBool("wait"); err != nil || !wait {
		return cli.NewUsageError("--wait: got false, want true: what does not run cannot be verified")
	}
	return nil
}
