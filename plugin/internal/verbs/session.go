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
	"github.com/confidb/confidb/pkg/files"
	"github.com/confidb/confidb/pkg/record"
	"github.com/confidb/confidb/pkg/rollout"
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
	document, err := o.render(streams.In)
	if err != nil {
		return err
	}
	name := document.Name
	if o.DryRun == DryRunClient {
		return showSession(streams.Out, document)
	}
	connection, err := o.connect(ctx, getter)
	if err != nil {
		return err
	}
	defer connection.close()
	wanted := &topology.Session{Name: name, Text: string(document.Source())}
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

// render reads the template and fills in its variables.
func (o CreateSession) render(in io.Reader) (*session.Session, error) {
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
	held, err := rollout.Read(ctx, connection, o.Name)
	if err != nil {
		return err
	}
	if o.Output != "json" {
		fmt.Fprintf(streams.ErrOut, "session %q, hash %s\n", o.Name, held.Hash)
		return showSession(streams.Out, held.Session)
	}
	if err := refuseWrittenSecrets(held.Session); err != nil {
		return err
	}
	return printers.Print(streams.Out, o.Output, printers.Session{
		Head: printers.Head{Kind: "confidb.session/v1", Simulated: connection.attested.Simulated}, Name: o.Name, Hash: held.Hash, Source: held.Text(),
	})
}

// showSession writes a document as it is, unless it holds secrets.
func showSession(out io.Writer, s *session.Session) error {
	if err := refuseWrittenSecrets(s); err != nil {
		return err
	}
	_, err := out.Write(s.Source())
	return err
}

// printSession shows a document that may be one that cannot be read: it may hold secrets.
func printSession(out io.Writer, name string, text []byte) error {
	parsed, err := session.Parse(name, text)
	if err != nil {
		return fmt.Errorf("session %q is not shown, since it may hold secrets: %w", name, err)
	}
	return showSession(out, parsed)
}

// refuseWrittenSecrets keeps a document from being shown that holds secrets
// instead of letting CAS generate them.
func refuseWrittenSecrets(s *session.Session) error {
	if written := session.WrittenSecrets(s); len(written) > 0 {
		return fmt.Errorf("session %q is not shown: the values of its secrets %s are written in it", s.Name, strings.Join(written, ", "))
	}
	return nil
}

// readDocument reads a file, or standard input when its name is -.
func readDocument(in io.Reader, name string) (text []byte, file string, err error) {
	if text, file, err = files.ReadInput(name, in); err != nil {
		return nil, "", fmt.Errorf("reading the document: %w", err)
	}
	return text, file, nil
}
