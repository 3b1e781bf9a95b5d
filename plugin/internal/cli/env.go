package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/pkg/release"
)

// Env is what every verb works with: the program that it belongs to, and what is around it.
type Env struct {
	Program Program
	Help    Help
	// Getter says how to reach the cluster. It builds no client before it is asked.
	Getter genericclioptions.RESTClientGetter
	genericiooptions.IOStreams
	LookupEnv func(string) (string, bool)
	Now       func() time.Time
	// Helm says where Helm's files are.
	Helm func() (release.Settings, error)
}

// Home is the folder of the user's records.
func (e *Env) Home() (string, error) { return Home(e.LookupEnv) }

// Verb is a command that does something.
type Verb struct {
	// Name is the path below the program, and the heading of its help.
	Name string
	// Args refuses arguments that are no use; nil accepts any.
	Args cobra.PositionalArgs
	// Flags registers the flags; nil registers none.
	Flags func(*pflag.FlagSet)
	// Patience is how long the verb takes at most, unless --timeout says otherwise; 0 is no
	// limit, and no flag.
	Patience time.Duration
	// AtOnce means that the verb has nothing to tidy up: when it is ended, nobody waits for
	// what it computes.
	AtOnce bool
	Run    func(ctx context.Context, arguments []string) error
}

// Command returns the command of a verb.
func (e *Env) Command(v Verb) *cobra.Command {
	c := e.Help.Command(v.Name)
	c.Args = v.Args
	if v.Flags != nil {
		v.Flags(c.Flags())
	}
	c.RunE = func(c *cobra.Command, arguments []string) error { return v.run(c.Context(), arguments) }
	if v.Patience > 0 {
		timeout := c.Flags().Duration("timeout", v.Patience, "how long to wait at most")
		c.RunE = func(c *cobra.Command, arguments []string) error {
			ctx, cancel := context.WithTimeout(c.Context(), *timeout)
			defer cancel()
			return ended(ctx, v.run(ctx, arguments))
		}
	}
	return c
}

// run runs the verb until it ends or, if it can be left at any time, is ended.
func (v Verb) run(ctx context.Context, arguments []string) error {
	if !v.AtOnce {
		return v.Run(ctx, arguments)
	}
	done := make(chan error, 1)
	go func() { done <- v.Run(ctx, arguments) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select { // what breaks off by itself says where it was
	case err := <-done:
		return err
	case <-time.After(leave):
		return ctx.Err()
	}
}

// leave is how long a verb has to say why it ended.
const leave = 200 * time.Millisecond

// Group returns a command that only holds others. Alone it prints its help; a name that
// it does not hold is a mistake.
func (e *Env) Group(name string, commands ...*cobra.Command) *cobra.Command {
	c := e.Help.Command(name)
	c.Args, c.RunE = onlyOwnCommands, func(c *cobra.Command, _ []string) error { return c.Help() }
	c.AddCommand(commands...)
	return c
}

func onlyOwnCommands(c *cobra.Command, arguments []string) error {
	if len(arguments) == 0 {
		return nil
	}
	c.SuggestionsMinimumDistance = 2
	return noSuchCommand(fmt.Sprintf("unknown command %q for %q", arguments[0], c.CommandPath()), c.SuggestionsFor(arguments[0]), c)
}

func noSuchCommand(sentence string, near []string, c *cobra.Command) error {
	if len(near) > 0 {
		sentence += ", did you mean " + near[0] + "?"
	}
	return NewUsageError("%s (%s --help)", sentence, c.CommandPath())
}

// Root returns the command of the program, which holds the others.
func (e *Env) Root(commands ...*cobra.Command) *cobra.Command {
	root := e.Help.Command("")
	root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: string(e.Program)}
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetIn(e.In)
	root.SetOut(e.Out)
	root.SetErr(e.ErrOut)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		if said, ok := errors.AsType[*UsageError](err); ok {
			return said
		}
		return NewUsageError("%w (%s --help)", err, c.CommandPath())
	})
	root.AddCommand(commands...)
	return root
}

// Main runs a command line and returns the exit code. SIGINT and SIGTERM end it.
func (e *Env) Main(root *cobra.Command, arguments []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root.SetArgs(arguments)
	return Report(e.Program, ended(ctx, execute(ctx, root, arguments)), e.ErrOut)
}

// execute runs a command line. cobra says nothing useful of a command that there is not.
func execute(ctx context.Context, root *cobra.Command, arguments []string) error {
	err := root.ExecuteContext(ctx)
	if err == nil {
		return nil
	}
	if _, _, unknown := root.Find(arguments); unknown != nil {
		sentence, near, _ := strings.Cut(unknown.Error(), "\n\nDid you mean this?\n\t")
		return noSuchCommand(sentence, strings.Fields(near), root)
	}
	return err
}

// Progress starts to tell on standard error what is being done.
func (e *Env) Progress() *Progress { return NewProgress(e.ErrOut, e.Now) }

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
