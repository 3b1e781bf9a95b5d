package verbs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/pkg/cas"
	"github.com/confidb/confidb/pkg/diff"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/printers"
)

// change is what replacing one version of a session by another means.
type change struct {
	diff.Diff
	// Effects are what it does to secrets, the kept ones too.
	Effects []diff.Effect `json:"effects"`
}

func newChange(from, to *session.Session) change {
	return change{diff.Compare(from, to), append([]diff.Effect{}, diff.Impact(from, to)...)}
}

// breaks are the secrets without which what runs now cannot go on.
func (c change) breaks() []string {
	var names []string
	for _, e := range c.Effects {
		if e.Breaks {
			names = append(names, e.Secret)
		}
	}
	return names
}

// changeDocument is a change for programs.
type changeDocument struct {
	Kind string `json:"kind"`
	From string `json:"from"`
	To   string `json:"to"`
	change
}

func (d changeDocument) print(out io.Writer, format string) error {
	if format != "" {
		return printers.Encode(out, format, d)
	}
	_, err := io.WriteString(out, d.text())
	return err
}

func (d changeDocument) text() string {
	var b strings.Builder
	for _, kind := range []diff.Kind{diff.Gain, diff.Loss, diff.Other} {
		for _, c := range d.Changes {
			if c.Kind == kind {
				printers.Wrap(&b, fmt.Sprintf("%-9s ", kind), c.Who+" "+c.What)
			}
		}
	}
	kept := 0
	for _, e := range d.Effects {
		if e.Fate == diff.Kept {
			kept++
			continue
		}
		label := string(e.Fate)
		if e.Breaks {
			label = "BREAKS"
		}
		printers.Wrap(&b, fmt.Sprintf("%-9s ", label), e.Secret+": "+e.Why+hit(e))
	}
	fmt.Fprintf(&b, "%s kept\n\n%s: %s\n", counted(kept, "secret"), d.To, d.Verdict)
	return b.String()
}

func hit(e diff.Effect) string {
	if len(e.Hit) == 0 {
		return "; nobody uses it"
	}
	return "; used by " + strings.Join(e.Hit, ", ")
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// fromCAS begins the name of a session that is read from the CAS.
const fromCAS = "cas:"

// DiffSession are the options of comparing two sessions.
type DiffSession struct {
	SessionFlags
	// From and To are files, - for standard input, or cas:NAME.
	From, To string
	// Output is one of printers.Formats, or empty.
	Output string
	// FailOn is a verdict that ends with an exit code, or empty.
	FailOn string
}

// AddFlags registers the flags.
func (o *DiffSession) AddFlags(flags *pflag.FlagSet) {
	o.SessionFlags.AddFlags(flags)
	flags.StringVarP(&o.Output, "output", "o", "", "output format: "+strings.Join(printers.Formats(), " or ")+" (default: text)")
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
	var documents [2]*session.Session
	for i, name := range []string{o.From, o.To} {
		var err error
		if documents[i], err = o.read(ctx, getter, streams.In, name); err != nil {
			return err
		}
	}
	d := changeDocument{"confidb.session-diff/v1", o.From, o.To, newChange(documents[0], documents[1])}
	if err := d.print(streams.Out, o.Output); err != nil {
		return err
	}
	widens := d.Verdict == diff.Widened || d.Verdict == diff.Incomparable
	if o.FailOn == "widened" && widens || o.FailOn == "changed" && d.Verdict != diff.Equal {
		return &cli.VerdictError{Code: cli.Contraindicated}
	}
	return nil
}

func (o DiffSession) read(ctx context.Context, getter genericclioptions.RESTClientGetter, in io.Reader, name string) (*session.Session, error) {
	stored, remote := strings.CutPrefix(name, fromCAS)
	if !remote {
		text, file, err := readDocument(in, name)
		if err != nil {
			return nil, err
		}
		return session.Parse(file, text)
	}
	connection, err := o.connect(ctx, getter)
	if err != nil {
		return nil, err
	}
	defer connection.close()
	_, parsed, err := fetchSession(ctx, connection.Client, stored)
	return parsed, err
}

// readDocument reads a file, or standard input when its name is -.
func readDocument(in io.Reader, name string) (text []byte, file string, err error) {
	file = name
	if name == "-" {
		file = "standard input"
		text, err = io.ReadAll(io.LimitReader(in, maxInput))
	} else {
		text, err = readBounded(name)
	}
	if err != nil {
		return nil, "", fmt.Errorf("reading the document: %w", err)
	}
	return text, file, nil
}

func fetchSession(ctx context.Context, c *cas.Client, name string) (*session.Stored, *session.Session, error) {
	stored, err := c.Session(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	parsed, err := session.Parse(name, []byte(stored.Text))
	if err != nil {
		return nil, nil, fmt.Errorf("reading the session that CAS holds: %w", err)
	}
	return stored, parsed, nil
}

// UpdateSession are the options of replacing a session.
type UpdateSession struct {
	CreateSession
	// AllowReissue goes on although what runs now will break.
	AllowReissue bool
	// Output is one of printers.Formats, or empty.
	Output string
}

// AddFlags registers the flags that create does not have.
func (o *UpdateSession) AddFlags(flags *pflag.FlagSet) {
	flags.BoolVar(&o.AllowReissue, "allow-reissue", false, "go on although secrets are lost that something uses now")
	flags.StringVarP(&o.Output, "output", "o", "", "output format: "+strings.Join(printers.Formats(), " or ")+" (default: text)")
}

// ReissueError means that an update would break what runs now.
type ReissueError struct{ Secrets []string }

func (e *ReissueError) Error() string {
	return fmt.Sprintf("nothing was changed: the update would replace %s, which something uses now", strings.Join(e.Secrets, ", "))
}

// Hint says how to keep them, or to go on.
func (e *ReissueError) Hint() string {
	return "keep private keys with migrate: true in both versions, and kinds and sizes as they are; if it is meant so: --allow-reissue"
}

// Run shows what the update does, and replaces the session unless that would break
// what runs.
func (o UpdateSession) Run(ctx context.Context, getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) error {
	u, err := o.open(ctx, getter, streams)
	if err != nil {
		return err
	}
	defer u.close()
	if o.DryRun != DryRunNone || u.Verdict == diff.Equal {
		fmt.Fprintf(streams.ErrOut, "session %q: nothing was changed\n", u.name)
		return nil
	}
	hash, err := u.apply(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(streams.ErrOut, "session %q was updated: hash %s\n", u.name, hash)
	return nil
}

// open works out an update, shows it, and refuses one that would break what runs.
func (o UpdateSession) open(ctx context.Context, getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) (*update, error) {
	text, name, err := o.render(streams.In)
	if err != nil {
		return nil, err
	}
	connection, err := o.connect(ctx, getter)
	if err != nil {
		return nil, err
	}
	u := &update{connection: connection, name: name, text: text, allowReissue: o.AllowReissue}
	if err = u.plan(ctx); err == nil {
		err = changeDocument{"confidb.session-update/v1", fromCAS + name, o.File, u.change}.print(streams.Out, o.Output)
	}
	if err == nil {
		err = u.refuse()
	}
	if err != nil {
		connection.close()
		return nil, err
	}
	return u, nil
}

// update replaces one session.
type update struct {
	*connection
	name         string
	text         []byte
	allowReissue bool

	stored   *session.Stored
	document []byte // with the predecessor
	change
}

// plan reads what CAS holds now, and what the update would do to it.
func (u *update) plan(ctx context.Context) error {
	stored, from, err := fetchSession(ctx, u.Client, u.name)
	if errors.Is(err, cas.ErrNotFound) {
		return &NoSessionError{u.name}
	}
	if err != nil {
		return err
	}
	to, err := session.Parse(u.name, u.text)
	if err != nil {
		return err
	}
	if err := to.DropCreator(); err != nil { // of a document that session get printed
		return err
	}
	if err := to.SetPredecessor(stored.Hash); err != nil {
		return err
	}
	u.stored, u.document, u.change = stored, to.Source(), newChange(from, to)
	return nil
}

// NoSessionError means that there is nothing to update.
type NoSessionError struct{ Name string }

func (e *NoSessionError) Error() string {
	return fmt.Sprintf("CAS has no session %q that you may read", e.Name)
}

// Hint says how to make one.
func (e *NoSessionError) Hint() string {
	return "check the name; kubectl confidb session create makes a new one"
}

func (u *update) refuse() error {
	if broken := u.breaks(); len(broken) > 0 && !u.allowReissue {
		return &ReissueError{broken}
	}
	return nil
}

// maxRaces bounds how often a lost race is run again.
const maxRaces = 3

// apply uploads. When somebody else was faster, it goes on only if the update still
// does exactly what was shown.
func (u *update) apply(ctx context.Context) (hash string, err error) {
	for range maxRaces {
		hash, err = u.CreateSession(ctx, u.document)
		if !errors.Is(err, cas.ErrMoved) {
			return hash, err
		}
		shown := u.change
		if err := u.plan(ctx); err != nil {
			return "", err
		}
		if !sameChange(shown, u.change) {
			return "", &MovedError{u.name}
		}
	}
	return "", err
}

func sameChange(a, b change) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}

// MovedError means that a session is not what it was when somebody looked.
type MovedError struct{ Name string }

func (e *MovedError) Error() string {
	return fmt.Sprintf("session %q was changed meanwhile, so the update would do something else than was shown: nothing was changed", e.Name)
}

// Hint says how to go on.
func (e *MovedError) Hint() string {
	return "look at the new difference and decide again: kubectl confidb session diff"
}
