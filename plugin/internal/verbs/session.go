package verbs

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/pkg/deploy"
	"github.com/confidb/confidb/pkg/record"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/plugin/internal/cli"
	flagvalues "github.com/confidb/confidb/plugin/internal/flags"
	"github.com/confidb/confidb/plugin/internal/printers"
)

// SessionFlags say which CAS holds the sessions.
type SessionFlags struct {
	// CAS is the address; empty means $SCONE_CAS_ADDR or the usual one.
	CAS       string
	LookupEnv func(string) (string, bool)
	Home      string
	Now       func() time.Time
}

// AddFlags registers the flags.
func (f *SessionFlags) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&f.CAS, "cas", "", "address of a CAS that was attested before (default $SCONE_CAS_ADDR, else "+flagvalues.DefaultCAS+")")
}

func (f *SessionFlags) connect(ctx context.Context, getter genericclioptions.RESTClientGetter) (*connection, error) {
	address, _ := flagvalues.First(f.LookupEnv, "cas", f.CAS, "SCONE_CAS_ADDR", flagvalues.DefaultCAS)
	return reconnectCAS(ctx, getter, record.Store{Dir: f.Home}, address, f.Now)
}

// CreateSession are the options of creating a session from a template.
type CreateSession struct {
	SessionFlags
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
func (o *CreateSession) AddTemplateFlags(flags *pflag.FlagSet) {
	o.SessionFlags.AddFlags(flags)
	flags.BoolVar(&o.UseEnv, "use-env", false, "take variables from the environment")
	flags.StringArrayVarP(&o.Variables, "env", "e", nil, "VAR=VALUE, which wins over the environment; may be repeated")
	flags.StringVar(&o.Name, "name", "", "name that replaces the one in the template")
}

// Run renders the template, and creates the session unless CAS has the same one.
func (o CreateSession) Run(ctx context.Context, getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) error {
	text, name, err := o.render(streams.In)
	if err != nil {
		return err
	}
	if o.DryRun == DryRunClient {
		return printSession(streams.Out, name, text)
	}
	connection, err := o.connect(ctx, getter)
	if err != nil {
		return err
	}
	defer connection.close()
	wanted := &topology.Session{Name: name, Text: string(text)}
	if o.DryRun == DryRunServer {
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

func (o CreateSession) render(in io.Reader) (text []byte, name string, err error) {
	source, file, err := readDocument(in, o.File)
	if err != nil {
		return nil, "", err
	}
	variables := map[string]string{}
	for i, v := range o.Variables {
		name, value, ok := strings.Cut(v, "=")
		if !ok || name == "" { // the rest may be a secret, so it is not shown
			return nil, "", cli.NewUsageError("-e: number %d is not VAR=VALUE", i+1)
		}
		variables[name] = value
	}
	text, err = session.Render(file, source, func(name string) (string, bool) {
		if value, ok := variables[name]; ok || !o.UseEnv {
			return value, ok
		}
		return o.LookupEnv(name)
	}, o.Name)
	if err != nil {
		return nil, "", err
	}
	parsed, err := session.Parse(file, text)
	if err != nil {
		return nil, "", err
	}
	return text, parsed.Name, nil
}

// GetSession are the options of reading a session.
type GetSession struct {
	SessionFlags
	Name string
	// Output is yaml or json; empty means yaml.
	Output string
}

// Run prints the session as CAS holds it. It holds no generated secret: CAS gives
// those to enclaves only.
func (o GetSession) Run(ctx context.Context, getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) error {
	connection, err := o.connect(ctx, getter)
	if err != nil {
		return err
	}
	defer connection.close()
	stored, err := connection.Session(ctx, o.Name)
	if err != nil {
		return err
	}
	if o.Output == "json" {
		if err := refuseWrittenSecrets(o.Name, []byte(stored.Text)); err != nil {
			return err
		}
		return printers.Encode(streams.Out, o.Output, map[string]any{
			"kind": "confidb.session/v1", "name": o.Name, "hash": stored.Hash, "session": stored.Text, "simulated": connection.attested.Simulated,
		})
	}
	fmt.Fprintf(streams.ErrOut, "session %q, hash %s\n", o.Name, stored.Hash)
	return printSession(streams.Out, o.Name, []byte(stored.Text))
}

func printSession(out io.Writer, name string, text []byte) error {
	if err := refuseWrittenSecrets(name, text); err != nil {
		return err
	}
	_, err := out.Write(text)
	return err
}

// refuseWrittenSecrets keeps a document from being shown that holds secrets
// instead of letting CAS generate them. One that cannot be read may hold some.
func refuseWrittenSecrets(name string, text []byte) error {
	parsed, err := session.Parse(name, text)
	if err != nil {
		return fmt.Errorf("session %q is not shown, since it may hold secrets: %w", name, err)
	}
	if written := session.WrittenSecrets(parsed); len(written) > 0 {
		return fmt.Errorf("session %q is not shown: the values of its secrets %s are written in it", name, strings.Join(written, ", "))
	}
	return nil
}
