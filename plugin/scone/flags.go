package scone

import (
	"github.com/spf13/cobra"

	"github.com/confidb/confidb/plugin/internal/cli"
)

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
