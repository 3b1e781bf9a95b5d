package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

// AtMost makes a command refuse more than n arguments as a usage error.
func AtMost(n int) cobra.PositionalArgs { return Between(0, n, fmt.Sprintf("at most %d", n)) }

// Exactly makes a command want n arguments; wanted says what they are.
func Exactly(n int, wanted string) cobra.PositionalArgs { return Between(n, n, wanted) }

// Between makes a command want a number of arguments; wanted says what they are.
func Between(least, most int, wanted string) cobra.PositionalArgs {
	return func(c *cobra.Command, arguments []string) error {
		if len(arguments) < least || len(arguments) > most {
			return NewUsageError("got %d arguments, want %s (%s --help)", len(arguments), wanted, c.CommandPath())
		}
		return nil
	}
}
