package confidb

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	xterm "golang.org/x/term"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/kubectl/pkg/util/term"

	"github.com/confidb/confidb/pkg/kube"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/plugin/internal/cli"
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
		return tty.Safe(func() error { return converse(ctx, known.Cluster, d, tty) })
	}
	d.Environment["SCONE_CONFIG_ID"] += topology.ServiceSQLBatch
	return kube.Exec(ctx, known.Cluster, d, remotecommand.StreamOptions{Stdin: streams.In, Stdout: streams.Out, Stderr: streams.ErrOut})
}

// converse lets somebody at a terminal talk to the client. The line is edited here, in
// the user's program: the client gets whole lines and never a terminal, since what
// serves a terminal (editor, pager, history) reads files and runs programs.
func converse(ctx context.Context, c *kube.Cluster, d kube.Client, tty term.TTY) error {
	ctx, interrupt := context.WithCancel(ctx)
	defer interrupt()
	typed, lines := io.Pipe()
	defer typed.Close()
	keys := &keyboard{Reader: tty.In, Writer: tty.Out}
	editor := xterm.NewTerminal(keys, "sql> ")
	if size := tty.GetSize(); size != nil && size.Width >= 20 { // some terminals say 0; 80 is assumed then
		_ = editor.SetSize(int(size.Width), int(size.Height)) // of a width that it has not, lines only wrap badly
	}
	fmt.Fprintln(editor, "Statements end with ; and may go on over lines. Ctrl-D ends the shell, Ctrl-C breaks it off.")
	go func() {
		if keys.pass(editor, lines); keys.interrupted {
			interrupt()
		}
	}()
	screen, show := io.Pipe()
	shown := make(chan struct{})
	go func() { defer close(shown); showLines(editor, screen) }()
	err := kube.Exec(ctx, c, d, remotecommand.StreamOptions{Stdin: typed, Stdout: show, Stderr: show})
	show.Close()
	<-shown
	return err
}

// interruptKey is Ctrl-C at a terminal that makes no signal of it.
const interruptKey = 3

// keyboard remembers Ctrl-C, which the line editor does not tell from other ends.
type keyboard struct {
	io.Reader
	io.Writer
	interrupted bool
}

// Read reads keys.
func (k *keyboard) Read(p []byte) (int, error) {
	n, err := k.Reader.Read(p)
	k.interrupted = k.interrupted || bytes.IndexByte(p[:n], interruptKey) >= 0
	return n, err
}

// pass passes lines on until the user ends them or nobody reads them.
func (k *keyboard) pass(editor *xterm.Terminal, lines *io.PipeWriter) {
	defer lines.Close()
	for {
		line, err := editor.ReadLine()
		if err != nil {
			return
		}
		if _, err := io.WriteString(lines, line+"\n"); err != nil {
			return
		}
	}
}

// showLines shows what the client says, line by line, with nothing in it that a
// terminal obeys.
func showLines(editor io.Writer, said io.Reader) {
	lines := bufio.NewReader(said)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			fmt.Fprintln(editor, strings.Map(visible, strings.TrimSuffix(line, "\n")))
		}
		if err != nil {
			return
		}
	}
}

// visible leaves rows as they are but for what moves a terminal.
func visible(r rune) rune {
	if r != '\t' && !unicode.IsPrint(r) {
		return '?'
	}
	return r
}
