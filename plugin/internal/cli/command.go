package cli

import (
	"context"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Group returns a command that only holds others. Alone it prints its help; a name that
// it does not hold is a mistake.
func Group(use, short string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Args: noSuchCommand, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	c.AddCommand(commands...)
	return c
}

func noSuchCommand(c *cobra.Command, arguments []string) error {
	if len(arguments) == 0 {
		return nil
	}
	hint := ""
	c.SuggestionsMinimumDistance = 2
	if near := c.SuggestionsFor(arguments[0]); len(near) > 0 {
		hint = ", did you mean " + near[0] + "?"
	}
	return NewUsageError("unknown command %q for %q%s (%s --help)", arguments[0], c.CommandPath(), hint, c.CommandPath())
}

// AtMost makes a command refuse more than n arguments as a usage error.
func AtMost(n int) cobra.PositionalArgs {
	return func(c *cobra.Command, arguments []string) error {
		if len(arguments) > n {
			return NewUsageError("got %d arguments, want at most %d (%s --help)", len(arguments), n, c.CommandPath())
		}
		return nil
	}
}

// Exactly makes a command want n arguments; wanted says what they are.
func Exactly(n int, wanted string) cobra.PositionalArgs {
	return func(c *cobra.Command, arguments []string) error {
		if len(arguments) != n {
			return NewUsageError("got %d arguments, want %s (%s --help)", len(arguments), wanted, c.CommandPath())
		}
		return nil
	}
}

// Formats lists the output formats of every result; the empty one is the text for people.
func Formats() []string { return []string{"json", "yaml"} }

// CheckFormat refuses an unknown output format.
func CheckFormat(output string) error {
	if output != "" && !slices.Contains(Formats(), output) {
		return NewUsageError("-o: got %q, want %s", output, strings.Join(Formats(), " or "))
	}
	return nil
}

// Run is what a command does, with the folder of the user's records and its arguments.
type Run func(ctx context.Context, home string, arguments []string) error

// Timed completes a command that does not take for ever: patience is how long it may
// take unless --timeout says otherwise. output is the format of its result; nil for a
// command that checks its formats itself.
func Timed(c *cobra.Command, patience time.Duration, output *string, addFlags func(*pflag.FlagSet), run Run) *cobra.Command {
	var timeout time.Duration
	addFlags(c.Flags())
	c.Flags().DurationVar(&timeout, "timeout", patience, "how long to wait at most")
	c.RunE = func(c *cobra.Command, arguments []string) error {
		if output != nil {
			if err := CheckFormat(*output); err != nil {
				return err
			}
		}
		return Bounded(c, timeout, func(ctx context.Context, home string) error { return run(ctx, home, arguments) })
	}
	return c
}

// Bounded calls run with the folder of the user's records, for so long at most.
func Bounded(c *cobra.Command, timeout time.Duration, run func(ctx context.Context, home string) error) error {
	home, err := Home(os.LookupEnv)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Context(), timeout)
	defer cancel()
	return run(ctx, home)
}
