package confidb

import (
	"context"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/kubectl/pkg/util/term"

	"github.com/confidb/confidb/pkg/kube"
	"github.com/confidb/confidb/pkg/release"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/verbs"
)

func newSQLCommand(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	o := sqlShell{}
	c := &cobra.Command{
		Use:   "sql NAME [-- -e STATEMENT]",
		Short: "Open a shell at the database, as the attested client",
		Long: `Starts mariadb as an enclave under the client session and connects it to this
terminal, or runs one statement. The client checks that it speaks to the database
of the session. What you type and see passes through the Kubernetes API server in
clear; the connection from the client to the database does not.

Needs the RBAC verbs, in the namespace: list secrets, get statefulsets, create and
delete jobs, list and watch pods, create pods/attach, get pods/log.`,
		Example: `  kubectl confidb sql db1
  kubectl confidb sql db1 -- -e 'select 1'
  kubectl confidb sql db1 <script.sql`,
		Args: func(c *cobra.Command, arguments []string) error {
			if dash := c.ArgsLenAtDash(); len(arguments) == 0 || dash == 0 || dash > 1 || dash < 0 && len(arguments) > 1 {
				return cli.NewUsageError("got %q, want the name of one release, and after -- perhaps -e STATEMENT (%s --help)", arguments, c.CommandPath())
			}
			return nil
		},
		RunE: func(c *cobra.Command, arguments []string) error {
			o.Name, o.Arguments = arguments[0], arguments[1:]
			var err error
			if o.Home, err = cli.Home(os.LookupEnv); err != nil {
				return err
			}
			return o.run(c.Context(), getter, streams)
		},
	}
	c.Flags().DurationVar(&o.Lifetime, "lifetime", time.Hour, "end the client after this time")
	return c
}

// sqlShell are the options of a shell at the database.
type sqlShell struct {
	Name string
	// Arguments are those after --: -e STATEMENT, or nothing for a shell.
	Arguments []string
	Home      string
	// Lifetime ends the shell whatever happens.
	Lifetime time.Duration
}

// statement returns what -e says, and whether there is one.
func (o sqlShell) statement() (string, bool, error) {
	switch {
	case len(o.Arguments) == 0:
		return "", false, nil
	case len(o.Arguments) == 2 && (o.Arguments[0] == "-e" || o.Arguments[0] == "--execute"):
		return o.Arguments[1], true, nil
	case len(o.Arguments) == 1 && strings.HasPrefix(o.Arguments[0], "--execute="):
		return strings.TrimPrefix(o.Arguments[0], "--execute="), true, nil
	}
	return "", false, cli.NewUsageError("arguments after --: got %q, want -e STATEMENT: the session decides about every other option, so that none turns a check off", o.Arguments)
}

// Run starts the attested client and connects it to the streams.
func (o sqlShell) run(ctx context.Context, getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) error {
	statement, given, err := o.statement()
	if err != nil {
		return err
	}
	known, err := verbs.OpenRelease(getter, o.Home, o.Name)
	if err != nil {
		return err
	}
	_, workloads, err := known.Installed(ctx, getter, release.Settings{})
	if err != nil {
		return err
	}
	nodes, err := known.Cluster.Nodes(ctx, known.Promised.Namespace, workloads)
	if err != nil {
		return err
	}
	d := kube.Client{
		Name: "confidb-sql", Namespace: known.Promised.Namespace, How: known.Promised.Pod, Nodes: nodes, Program: topology.ProgramSQL,
		Environment: map[string]string{"SCONE_CONFIG_ID": known.Promised.Session(topology.Client).Name + "/" + topology.ServiceSQL},
		Interactive: true, Lifetime: o.Lifetime,
	}
	if given {
		streams.In = strings.NewReader(statement + "\n")
	}
	tty := term.TTY{In: streams.In, Out: streams.Out}
	if d.Terminal = !given && tty.IsTerminalIn() && tty.IsTerminalOut(); !d.Terminal {
		return known.Cluster.Attach(ctx, d, remotecommand.StreamOptions{Stdin: streams.In, Stdout: streams.Out, Stderr: streams.ErrOut})
	}
	tty.Raw = true
	d.Environment["TERM"] = "xterm"
	sizes := tty.MonitorSize(tty.GetSize())
	return tty.Safe(func() error {
		return known.Cluster.Attach(ctx, d, remotecommand.StreamOptions{Stdin: streams.In, Stdout: streams.Out, Tty: true, TerminalSizeQueue: sizeQueue{sizes}})
	})
}

// sizeQueue passes on the sizes of the terminal.
type sizeQueue struct{ term.TerminalSizeQueue }

// Next waits for the next size.
func (q sizeQueue) Next() *remotecommand.TerminalSize {
	size := q.TerminalSizeQueue.Next()
	if size == nil {
		return nil
	}
	return &remotecommand.TerminalSize{Width: size.Width, Height: size.Height}
}
