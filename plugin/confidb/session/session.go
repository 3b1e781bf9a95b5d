// Package session is the command tree of kubectl confidb session: one file a verb, or
// a few that belong together.
package session

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/contact"
	"github.com/confidb/confidb/pkg/deploy"
	"github.com/confidb/confidb/pkg/files"
	"github.com/confidb/confidb/pkg/rollout"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/flags"
	"github.com/confidb/confidb/plugin/internal/printers"
	"github.com/confidb/confidb/plugin/internal/verbs"
)

// NewCommand returns the command session.
func NewCommand(env *cli.Env) *cobra.Command {
	return env.Group("session",
		newCreateCommand(env), newGetCommand(env), newTemplateCommand(env), newSchemaCommand(env), newLintCommand(env), newDiffCommand(env),
		newUpdateCommand(env), newHistoryCommand(env), newPlanCommand(env), newSignCommand(env), newApplyCommand(env))
}

// casFlags say which CAS holds the sessions.
type casFlags struct {
	env *cli.Env
	// CAS is the address; empty means $SCONE_CAS_ADDR or the usual one.
	CAS string
}

// AddFlags registers the flags.
func (f *casFlags) AddFlags(set *pflag.FlagSet) {
	set.StringVar(&f.CAS, "cas", "", "address of a CAS that was attested before (default $SCONE_CAS_ADDR, else "+flags.DefaultCAS+")")
}

func (f *casFlags) connect(ctx context.Context) (*contact.Connection, error) {
	address, _ := flags.First(f.env.LookupEnv, "cas", f.CAS, "SCONE_CAS_ADDR", flags.DefaultCAS)
	desk, err := verbs.NewDesk(f.env)
	if err != nil {
		return nil, err
	}
	return desk.Reconnect(ctx, address)
}

func newCreateCommand(env *cli.Env) *cobra.Command {
	o := creation{casFlags: casFlags{env: env}}
	return env.Command(cli.Verb{Name: "session create", Args: cli.Exactly(1, "one file, or -"), Patience: time.Minute, Flags: func(set *pflag.FlagSet) {
		o.AddTemplateFlags(set)
		flags.AddDryRun(set, &o.DryRun, "none, client (print the document) or server (ask CAS; create nothing)")
	}, Run: func(ctx context.Context, arguments []string) error {
		o.File = arguments[0]
		return o.run(ctx)
	}})
}

// creation are the options of creating a session from a template.
type creation struct {
	casFlags
	// File is the template; - is standard input.
	File string
	// UseEnv takes variables from the environment, Variables are VAR=VALUE.
	UseEnv    bool
	Variables []string
	// Name replaces the name in the template, after the variables are in.
	Name string
	// DryRun is none, client or server.
	DryRun string
}

// AddTemplateFlags registers where the session is and how variables are filled in.
func (o *creation) AddTemplateFlags(set *pflag.FlagSet) {
	o.casFlags.AddFlags(set)
	set.BoolVar(&o.UseEnv, "use-env", false, "take variables from the environment")
	set.StringArrayVarP(&o.Variables, "env", "e", nil, "VAR=VALUE, which wins over the environment; may be repeated")
	set.StringVar(&o.Name, "name", "", "name that replaces the one in the template")
}

// Run renders the template, and creates the session unless CAS has the same one.
func (o creation) run(ctx context.Context) error {
	document, err := o.render(o.env.In)
	if err != nil {
		return err
	}
	name := document.Name
	if o.DryRun == string(deploy.Client) {
		return verbs.ShowSession(o.env.Out, document)
	}
	connection, err := o.connect(ctx)
	if err != nil {
		return err
	}
	defer connection.Close()
	wanted := &topology.Session{Name: name, Text: string(document.Source())}
	if o.DryRun == string(deploy.Server) {
		what, err := deploy.InspectSession(ctx, connection, wanted)
		if err == nil {
			fmt.Fprintf(o.env.ErrOut, "session %q %s (dry run)\n", name, what)
		}
		return err
	}
	created, err := deploy.EnsureSession(ctx, connection, wanted)
	if err != nil {
		return err
	}
	done := "was there already, with the same meaning"
	if created {
		done = "created"
	}
	fmt.Fprintf(o.env.ErrOut, "session %q %s\n", name, done)
	_, err = fmt.Fprintln(o.env.Out, wanted.Hash)
	return err
}

// render reads the template and fills in its variables.
func (o creation) render(in io.Reader) (*session.Session, error) {
	source, file, err := readDocument(in, o.File)
	if err != nil {
		return nil, err
	}
	variables := map[string]string{}
	for i, v := range o.Variables {
		name, value, ok := strings.Cut(v, "=")
		if !ok || name == "" { // the rest may be a secret, so it is not shown
			return nil, cli.NewUsageError("-e: number %d is not VAR=VALUE", i+1)
		}
		variables[name] = value
	}
	text, err := session.Render(file, source, func(name string) (string, bool) {
		if value, ok := variables[name]; ok || !o.UseEnv {
			return value, ok
		}
		return o.env.LookupEnv(name)
	}, o.Name)
	if err != nil {
		return nil, err
	}
	return session.Parse(file, text)
}

// readDocument reads a file, or standard input when its name is -.
func readDocument(in io.Reader, name string) (text []byte, file string, err error) {
	if text, file, err = files.ReadInput(name, in); err != nil {
		return nil, "", fmt.Errorf("reading the document: %w", err)
	}
	return text, file, nil
}

func newGetCommand(env *cli.Env) *cobra.Command {
	o := reading{casFlags: casFlags{env: env}}
	return env.Command(cli.Verb{Name: "session get", Args: cli.Exactly(1, "the name of one session"), Patience: time.Minute, Flags: func(set *pflag.FlagSet) {
		o.AddFlags(set)
		cli.AddFormat(set, &o.Output, []string{"yaml", "json"}, "output format: yaml (default) or json")
	}, Run: func(ctx context.Context, arguments []string) error {
		o.Name = arguments[0]
		return o.run(ctx)
	}})
}

// reading are the options of reading a session.
type reading struct {
	casFlags
	Name string
	// Output is yaml or json; empty means yaml.
	Output string
}

// Run prints the session as CAS holds it. It holds no generated secret: CAS gives
// those to enclaves only.
func (o reading) run(ctx context.Context) error {
	connection, err := o.connect(ctx)
	if err != nil {
		return err
	}
	defer connection.Close()
	held, err := rollout.Read(ctx, connection, o.Name)
	if err != nil {
		return err
	}
	if o.Output != "json" {
		fmt.Fprintf(o.env.ErrOut, "session %q, hash %s\n", o.Name, held.Hash)
		return verbs.ShowSession(o.env.Out, held.Session)
	}
	if err := verbs.RefuseWrittenSecrets(held.Session); err != nil {
		return err
	}
	return printers.Print(o.env.Out, o.Output, printers.Session{
		Head: printers.Head{Kind: "confidb.session/v1", Simulated: connection.Appraisal.Simulated}, Name: o.Name, Hash: held.Hash, Source: held.Text(),
	})
}

func newTemplateCommand(env *cli.Env) *cobra.Command {
	names := []string{"namespace", "client", "database"}
	c := env.Command(cli.Verb{Name: "session template", Args: func(c *cobra.Command, arguments []string) error {
		if len(arguments) != 1 || !slices.Contains(names, arguments[0]) {
			return cli.NewUsageError("got %q, want namespace, client or database (%s --help)", arguments, c.CommandPath())
		}
		return nil
	}, Run: func(_ context.Context, arguments []string) error {
		text, err := topology.Template(arguments[0])
		if err != nil {
			return fmt.Errorf("reading the template: %w", err)
		}
		_, err = env.Out.Write(text)
		return err
	}})
	c.ValidArgs = names
	return c
}

func newSchemaCommand(env *cli.Env) *cobra.Command {
	return env.Command(cli.Verb{Name: "session schema", Args: cli.AtMost(0), Run: func(context.Context, []string) error {
		_, err := env.Out.Write(session.Schema())
		return err
	}})
}
