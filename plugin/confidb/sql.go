package confidb

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/kubectl/pkg/util/term"

	"github.com/confidb/confidb/pkg/console"
	"github.com/confidb/confidb/pkg/kube"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/printers"
	"github.com/confidb/confidb/plugin/internal/verbs"
)

func newSQLCommand(env *cli.Env) *cobra.Command {
	o := sqlShell{env: env}
	return env.Command(cli.Verb{Name: "sql", Args: nameAndStatement, Flags: o.addFlags, Run: o.run})
}

func nameAndStatement(c *cobra.Command, arguments []string) error {
	if dash := c.ArgsLenAtDash(); len(arguments) == 0 || dash == 0 || dash > 1 || dash < 0 && len(arguments) > 1 {
		return cli.NewUsageError("got %q, want the name of one release, and after -- perhaps -e STATEMENT (%s --help)", arguments, c.CommandPath())
	}
	return nil
}

// sqlShell are the options of a shell at the database.
type sqlShell struct {
	env *cli.Env
	// lifetime ends the shell whatever happens.
	lifetime time.Duration
}

func (o *sqlShell) addFlags(set *pflag.FlagSet) {
	set.DurationVar(&o.lifetime, "lifetime", time.Hour, "end the client after this time")
}

// sqlStatement returns what the arguments after -- say, which are -e STATEMENT or nothing,
// and whether there is a statement.
func sqlStatement(arguments []string) (string, bool, error) {
	switch {
	case len(arguments) == 0:
		return "", false, nil
	case len(arguments) == 2 && (arguments[0] == "-e" || arguments[0] == "--execute"):
		return arguments[1], true, nil
	case len(arguments) == 1 && strings.HasPrefix(arguments[0], "--execute="):
		return strings.TrimPrefix(arguments[0], "--execute="), true, nil
	}
	return "", false, cli.NewUsageError("arguments after --: got %q, want -e STATEMENT: the session decides about every other option, so that none turns a check off", arguments)
}

// run starts the attested client and connects it to the streams.
func (o *sqlShell) run(ctx context.Context, arguments []string) error {
	statement, given, err := sqlStatement(arguments[1:])
	if err != nil {
		return err
	}
	known, err := verbs.OpenRelease(o.env, arguments[0])
	if err != nil {
		return err
	}
	workloads, err := known.Workloads(ctx)
	if err != nil {
		return err
	}
	nodes, err := known.Cluster.Nodes(ctx, known.Promised.Namespace, workloads)
	if err != nil {
		return err
	}
	d := kube.Client{
		Name: "confidb-sql", Namespace: known.Promised.Namespace, How: known.Promised.Pod, Nodes: nodes, Program: topology.ProgramSQL,
		Environment: map[string]string{"SCONE_CONFIG_ID": known.Promised.Session(topology.Client).Name + "/"},
		Interactive: true, Lifetime: o.lifetime,
	}
	streams := o.env.IOStreams
	if given {
		streams.In = strings.NewReader(statement + "\n")
	}
	ctx, cancel := context.WithTimeout(ctx, o.lifetime)
	defer cancel()
	if tty := (term.TTY{In: streams.In, Out: streams.Out, Raw: true}); !given && tty.IsTerminalIn() && tty.IsTerminalOut() {
		d.Environment["SCONE_CONFIG_ID"] += topology.ServiceSQL
		shell := console.Terminal{In: tty.In, Out: tty.Out}
		if size := tty.GetSize(); size != nil {
			shell.Width, shell.Height = int(size.Width), int(size.Height)
		}
		return tty.Safe(func() error {
			return console.Talk(ctx, shell, func(ctx context.Context, typed io.Reader, show io.Writer) error {
				d.Tell = func(text string) { fmt.Fprintln(show, text) }
				return kube.Exec(ctx, known.Cluster, d, remotecommand.StreamOptions{Stdin: typed, Stdout: show, Stderr: show})
			})
		})
	}
	d.Environment["SCONE_CONFIG_ID"] += topology.ServiceSQLBatch
	d.Tell = func(text string) { printers.Warn(o.env.ErrOut, text) }
	return kube.Exec(ctx, known.Cluster, d, remotecommand.StreamOptions{Stdin: streams.In, Stdout: streams.Out, Stderr: streams.ErrOut})
}
