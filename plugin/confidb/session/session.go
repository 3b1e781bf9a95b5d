// Package session is the command tree of kubectl confidb session: one file a verb, or
// a few that belong together.
package session

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

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
func NewCommand(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	return cli.Group("session", "Create, read, compare and change sessions, the policies that CAS enforces",
		newCreateCommand(getter, streams), newGetCommand(getter, streams), newTemplateCommand(streams), newSchemaCommand(streams),
		newLintCommand(getter, streams), newDiffCommand(getter, streams), newUpdateCommand(getter, streams), newHistoryCommand(getter, streams),
		newPlanCommand(getter, streams), newSignCommand(streams), newApplyCommand(getter, streams))
}

// casFlags say which CAS holds the sessions.
type casFlags struct {
	// CAS is the address; empty means $SCONE_CAS_ADDR or the usual one.
	CAS       string
	LookupEnv func(string) (string, bool)
	Home      string
	Now       func() time.Time
}

func newCASFlags() casFlags { return casFlags{LookupEnv: os.LookupEnv, Now: time.Now} }

// AddFlags registers the flags.
func (f *casFlags) AddFlags(set *pflag.FlagSet) {
	set.StringVar(&f.CAS, "cas", "", "address of a CAS that was attested before (default $SCONE_CAS_ADDR, else "+flags.DefaultCAS+")")
}

func (f *casFlags) connect(ctx context.Context, getter genericclioptions.RESTClientGetter) (*contact.Connection, error) {
	address, _ := flags.First(f.LookupEnv, "cas", f.CAS, "SCONE_CAS_ADDR", flags.DefaultCAS)
	return verbs.NewDesk(getter, f.Home, f.Now).Reconnect(ctx, address)
}

func newCreateCommand(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	o := creation{casFlags: newCASFlags()}
	return cli.Timed(&cobra.Command{
		Use:   "create FILE",
		Short: "Create a session from a template",
		Long: `Fills in the variables of a template as the SCONE CLI does, checks the document and
creates the session at a CAS that was attested before. $NAME and ${NAME} in values
are replaced; $$SCONE::…$$ and \@\@NAME stay. A variable without value is an error
with its place, and nothing is uploaded. When CAS has a session of that name and
meaning already, its hash is printed; another one is an error.

Needs the RBAC verbs of attest cas.`,
		Example: `  kubectl confidb session create dbsession.yml --use-env --name shop/db
  kubectl confidb session create dbsession.yml -e PLATFORMS=INTEL_QE_ID:00… -e DBSESSION=db --dry-run=client`,
		Args: cli.Exactly(1, "one file, or -"),
	}, time.Minute, nil, func(set *pflag.FlagSet) {
		o.AddTemplateFlags(set)
		flags.AddDryRun(set, &o.DryRun, "none, client (print the document) or server (ask CAS; create nothing)")
	}, func(ctx context.Context, home string, arguments []string) error {
		if err := flags.CheckDryRun(o.DryRun); err != nil {
			return err
		}
		o.Home, o.File = home, arguments[0]
		return o.run(ctx, getter, streams)
	})
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
func (o creation) run(ctx context.Context, getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) error {
	document, err := o.render(streams.In)
	if err != nil {
		return err
	}
	name := document.Name
	if o.DryRun == string(deploy.Client) {
		return verbs.ShowSession(streams.Out, document)
	}
	connection, err := o.connect(ctx, getter)
	if err != nil {
		return err
	}
	defer connection.Close()
	wanted := &topology.Session{Name: name, Text: string(document.Source())}
	if o.DryRun == string(deploy.Server) {
		what, err := deploy.InspectSession(ctx, connection, wanted)
		if err == nil {
			fmt.Fprintf(streams.ErrOut, "session %q %s (dry run)\n", name, what)
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
	fmt.Fprintf(streams.ErrOut, "session %q %s\n", name, done)
	_, err = fmt.Fprintln(streams.Out, wanted.Hash)
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
		return o.LookupEnv(name)
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

func newGetCommand(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	o := reading{casFlags: newCASFlags()}
	return cli.Timed(&cobra.Command{
		Use:   "get NAME",
		Short: "Print a session as CAS holds it",
		Long: `Reads a session from a CAS that was attested before. Generated secrets are not part
of it: CAS gives those to enclaves only. A session in which somebody wrote secrets
is not shown.

Needs the RBAC verbs of attest cas.`,
		Example: "  kubectl confidb session get shop/db -o json",
		Args:    cli.Exactly(1, "the name of one session"),
	}, time.Minute, nil, func(set *pflag.FlagSet) {
		o.AddFlags(set)
		set.StringVarP(&o.Output, "output", "o", "", "output format: yaml (default) or json")
	}, func(ctx context.Context, home string, arguments []string) error {
		if !slices.Contains([]string{"", "yaml", "json"}, o.Output) {
			return cli.NewUsageError("-o: got %q, want yaml or json", o.Output)
		}
		o.Home, o.Name = home, arguments[0]
		return o.run(ctx, getter, streams)
	})
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
func (o reading) run(ctx context.Context, getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) error {
	connection, err := o.connect(ctx, getter)
	if err != nil {
		return err
	}
	defer connection.Close()
	held, err := rollout.Read(ctx, connection, o.Name)
	if err != nil {
		return err
	}
	if o.Output != "json" {
		fmt.Fprintf(streams.ErrOut, "session %q, hash %s\n", o.Name, held.Hash)
		return verbs.ShowSession(streams.Out, held.Session)
	}
	if err := verbs.RefuseWrittenSecrets(held.Session); err != nil {
		return err
	}
	return printers.Print(streams.Out, o.Output, printers.Session{
		Head: printers.Head{Kind: "confidb.session/v1", Simulated: connection.Appraisal.Simulated}, Name: o.Name, Hash: held.Hash, Source: held.Text(),
	})
}

func newTemplateCommand(streams genericiooptions.IOStreams) *cobra.Command {
	names := []string{"namespace", "client", "database"}
	return &cobra.Command{
		Use:       "template namespace|client|database",
		Short:     "Print one of the templates that install uses",
		ValidArgs: names,
		Args: func(c *cobra.Command, arguments []string) error {
			if len(arguments) != 1 || !slices.Contains(names, arguments[0]) {
				return cli.NewUsageError("got %q, want namespace, client or database (%s --help)", arguments, c.CommandPath())
			}
			return nil
		},
		RunE: func(_ *cobra.Command, arguments []string) error {
			text, err := topology.Template(arguments[0])
			if err != nil {
				return fmt.Errorf("reading the template: %w", err)
			}
			_, err = streams.Out.Write(text)
			return err
		},
	}
}

func newSchemaCommand(streams genericiooptions.IOStreams) *cobra.Command {
	return &cobra.Command{
		Use:     "schema",
		Short:   "Print a JSON Schema of the session language, for editors",
		Example: "  kubectl confidb session schema >session.schema.json",
		Args:    cli.AtMost(0),
		RunE: func(*cobra.Command, []string) error {
			_, err := streams.Out.Write(session.Schema())
			return err
		},
	}
}
