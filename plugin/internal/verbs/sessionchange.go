package verbs

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	flagvalues "github.com/confidb/confidb/plugin/internal/flags"

	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/pkg/change"
	"github.com/confidb/confidb/pkg/diff"
	"github.com/confidb/confidb/pkg/rollout"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/printers"
)

// fromCAS begins the name of a session that is read from the CAS.
const fromCAS = "cas:"

// DiffSession are the options of comparing two sessions.
type DiffSession struct {
	SessionFlags
	// From and To are files, - for standard input, or cas:NAME.
	From, To string
	// Output is one of cli.Formats, or empty.
	Output string
	// FailOn is a verdict that ends with an exit code, or empty.
	FailOn string
}

// AddFlags registers the flags.
func (o *DiffSession) AddFlags(flags *pflag.FlagSet) {
	o.SessionFlags.AddFlags(flags)
	flagvalues.AddOutput(flags, &o.Output)
	flags.StringVar(&o.FailOn, "fail-on", "", "exit 3 when the change is widened (or incomparable), or any change at all: widened or changed")
}

// Run prints what changes from one session to the other.
func (o DiffSession) Run(ctx context.Context, getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) error {
	if !slices.Contains([]string{"", "widened", "changed"}, o.FailOn) {
		return cli.NewUsageError("--fail-on: got %q, want widened or changed", o.FailOn)
	}
	if o.From == "-" && o.To == "-" {
		return cli.NewUsageError("got - twice, want standard input once")
	}
	document := printers.SessionChange{Head: printers.Head{Kind: "confidb.session-diff/v1"}, From: o.From, To: o.To}
	var sessions [2]*session.Session
	for i, name := range []string{o.From, o.To} {
		s, simulated, err := o.read(ctx, getter, streams.In, name)
		if err != nil {
			return err
		}
		sessions[i], document.Simulated = s, document.Simulated || simulated
	}
	document.Change = change.New(sessions[0], sessions[1])
	if err := printers.Print(streams.Out, o.Output, document); err != nil {
		return err
	}
	widens := document.Verdict == diff.Widened || document.Verdict == diff.Incomparable
	if o.FailOn == "widened" && widens || o.FailOn == "changed" && document.Verdict != diff.Equal {
		return &cli.VerdictError{Code: cli.Contraindicated}
	}
	return nil
}

// read reads a session from a file or a CAS, which may be simulated.
func (o DiffSession) read(ctx context.Context, getter genericclioptions.RESTClientGetter, in io.Reader, name string) (s *session.Session, simulated bool, err error) {
	stored, remote := strings.CutPrefix(name, fromCAS)
	if !remote {
		text, file, err := readDocument(in, name)
		if err != nil {
			return nil, false, err
		}
		s, err = session.Parse(file, text)
		return s, false, err
	}
	connection, err := o.connect(ctx, getter)
	if err != nil {
		return nil, false, err
	}
	defer connection.close()
	held, err := rollout.Read(ctx, connection, stored)
	return held.Session, connection.attested.Simulated, err
}

// UpdateSession are the options of replacing a session.
type UpdateSession struct {
	CreateSession
	// AllowReissue goes on although what runs now will break.
	AllowReissue bool
	// Output is one of cli.Formats, or empty.
	Output string
}

// AddFlags registers the flags that create does not have.
func (o *UpdateSession) AddFlags(flags *pflag.FlagSet) {
	flags.BoolVar(&o.AllowReissue, "allow-reissue", false, "go on although secrets are lost that something uses now")
	flagvalues.AddOutput(flags, &o.Output)
}

// Run shows what the update does, and replaces the session unless that would break
// what runs.
func (o UpdateSession) Run(ctx context.Context, getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) error {
	u, connection, err := o.open(ctx, getter, streams)
	if err != nil {
		return err
	}
	defer connection.close()
	if o.DryRun != DryRunNone || u.Verdict == diff.Equal {
		fmt.Fprintf(streams.ErrOut, "session %q: nothing was changed\n", u.To.Name)
		return nil
	}
	hash, err := rollout.Update(ctx, connection, u)
	if err != nil {
		return err
	}
	fmt.Fprintf(streams.ErrOut, "session %q was updated: hash %s\n", u.To.Name, hash)
	return nil
}

// open works out an update, shows it, and refuses one that would break what runs.
func (o UpdateSession) open(ctx context.Context, getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) (*change.Update, *connection, error) {
	wanted, err := o.render(streams.In)
	if err != nil {
		return nil, nil, err
	}
	connection, err := o.connect(ctx, getter)
	if err != nil {
		return nil, nil, err
	}
	u, err := o.show(ctx, connection, wanted, streams.Out)
	if err != nil {
		connection.close()
		return nil, nil, err
	}
	return u, connection, nil
}

func (o UpdateSession) show(ctx context.Context, c *connection, wanted *session.Session, out io.Writer) (*change.Update, error) {
	u, err := rollout.PlanUpdate(ctx, c, wanted)
	if err != nil {
		return nil, err
	}
	if err := printers.Print(out, o.Output, updateDocument(wanted.Name, o.File, u.Change, c.attested.Simulated)); err != nil {
		return nil, err
	}
	if o.AllowReissue {
		return u, nil
	}
	return u, u.Refuse()
}

func updateDocument(name, file string, c change.Change, simulated bool) printers.SessionChange {
	return printers.SessionChange{Head: printers.Head{Kind: "confidb.session-update/v1", Simulated: simulated}, From: fromCAS + name, To: file, Change: c}
}
