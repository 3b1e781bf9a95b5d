package verbs

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"

	flagvalues "github.com/confidb/confidb/plugin/internal/flags"

	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/pkg/change"
	"github.com/confidb/confidb/pkg/diff"
	"github.com/confidb/confidb/pkg/files"
	"github.com/confidb/confidb/pkg/rollout"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/printers"
)

// PlanSession are the options of writing an update down.
type PlanSession struct {
	UpdateSession
	// To is the file of the plan.
	To string
}

// AddFlags registers the flags that update does not have.
func (o *PlanSession) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.To, "to", "", "file for the plan (required)")
}

// Run shows what the update would do and writes the plan.
func (o PlanSession) Run(ctx context.Context, getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) error {
	if o.To == "" {
		return cli.NewUsageError("--to: want the file for the plan")
	}
	u, connection, err := o.open(ctx, getter, streams)
	if err != nil {
		return err
	}
	defer connection.close()
	if u.Verdict == diff.Equal {
		fmt.Fprintf(streams.ErrOut, "session %q: nothing to plan\n", u.To.Name)
		return nil
	}
	for _, s := range []*session.Session{u.Held.Session, u.To} { // a plan goes to others
		if err := refuseWrittenSecrets(s); err != nil {
			return err
		}
	}
	if err := writeDocument(o.To, change.NewPlan(connection.attested.Pin.Address, u, o.AllowReissue)); err != nil {
		return err
	}
	fmt.Fprintf(streams.ErrOut, "wrote %s; next: kubectl confidb session sign %s --key KEY.pem, then session apply\n", o.To, o.To)
	return nil
}

// writeDocument replaces a file as a whole.
func writeDocument(path string, document any) error {
	text, err := json.MarshalIndent(document, "", "  ")
	if err == nil {
		err = files.Replace(path, append(text, '\n'), files.Private)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

func readPlan(path string) (*change.Plan, error) {
	text, err := files.Read(path)
	if err != nil {
		return nil, fmt.Errorf("reading the plan: %w", err)
	}
	return change.ReadPlan(path, text)
}

// SignPlan are the options of signing a plan.
type SignPlan struct {
	// Plan is the file, Key that of the private key, and Message that of what SCONE's
	// program wants signed instead of the text; empty for the text.
	Plan, Key, Message string
	// Output is one of cli.Formats, or empty.
	Output string
}

// AddFlags registers the flags.
func (o *SignPlan) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.Key, "key", "", "private key in PEM (PKCS#8): Ed25519 or P-384 (required)")
	flags.StringVar(&o.Message, "message", "", "file with the message to be signed, as scone session sign makes it (default: the text of the session)")
	flagvalues.AddOutput(flags, &o.Output)
}

// Run shows what the plan does, and adds a signature to it.
func (o SignPlan) Run(streams genericiooptions.IOStreams) error {
	if o.Key == "" {
		return cli.NewUsageError("--key: want the file of a private key")
	}
	plan, err := readPlan(o.Plan)
	if err != nil {
		return err
	}
	if err := printers.Print(streams.Out, o.Output, updateDocument(plan.Name(), o.Plan, plan.Change, false)); err != nil {
		return err
	}
	message := plan.To.Source()
	if o.Message != "" {
		if message, err = files.Read(o.Message); err != nil {
			return fmt.Errorf("--message: %w", err)
		}
	}
	key, err := files.Read(o.Key)
	if err != nil {
		return fmt.Errorf("--key: %w", err)
	}
	signature, err := change.Sign(rand.Reader, key, message)
	if err != nil {
		return fmt.Errorf("--key: %s: %w", o.Key, err)
	}
	signature.Foreign = o.Message != ""
	plan.Add(signature)
	if err := writeDocument(o.Plan, plan); err != nil {
		return err
	}
	fmt.Fprintf(streams.ErrOut, "signed %s: %s\n", o.Plan, printers.Count(len(plan.Signatures), "signature"))
	return nil
}

// ApplyPlan are the options of carrying a plan out.
type ApplyPlan struct {
	SessionFlags
	// Plan is the file.
	Plan string
	// Signers is how many different people must have signed.
	Signers int
	// Output is one of cli.Formats, or empty.
	Output string
}

// AddFlags registers the flags.
func (o *ApplyPlan) AddFlags(flags *pflag.FlagSet) {
	o.SessionFlags.AddFlags(flags)
	flags.IntVar(&o.Signers, "signers", 1, "how many different keys must have signed the plan; 0 uploads it as yourself")
	flagvalues.AddOutput(flags, &o.Output)
}

// Run carries a plan out, unless CAS has moved since it was made. Who must sign is
// also said by the session that CAS has, in access_policy.update, and CAS enforces it.
func (o ApplyPlan) Run(ctx context.Context, getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) error {
	plan, err := readPlan(o.Plan)
	if err != nil {
		return err
	}
	if err := plan.Refuse(o.Signers); err != nil {
		return err
	}
	connection, err := o.connect(ctx, getter)
	if err != nil {
		return err
	}
	defer connection.close()
	if err := plan.For(connection.attested.Pin.Address); err != nil {
		return err
	}
	held, err := rollout.Read(ctx, connection, plan.Name())
	if err != nil {
		return err
	}
	done, err := plan.Judge(held)
	if err != nil {
		return err
	}
	if done {
		fmt.Fprintf(streams.ErrOut, "session %q: the plan was carried out before\n", plan.Name())
		return nil
	}
	if err := printers.Print(streams.Out, o.Output, updateDocument(plan.Name(), o.Plan, plan.Change, connection.attested.Simulated)); err != nil {
		return err
	}
	hash, err := rollout.ApplyPlan(ctx, connection, plan)
	if err != nil {
		return err
	}
	fmt.Fprintf(streams.ErrOut, "session %q was updated: hash %s\n", plan.Name(), hash)
	return nil
}

// SessionHistory are the options of listing the versions of a session.
type SessionHistory struct {
	SessionFlags
	Name string
	// Output is one of cli.Formats, or empty.
	Output string
}

// AddFlags registers the flags.
func (o *SessionHistory) AddFlags(flags *pflag.FlagSet) {
	o.SessionFlags.AddFlags(flags)
	flagvalues.AddOutput(flags, &o.Output)
}

// Run prints the versions, newest first.
func (o SessionHistory) Run(ctx context.Context, getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) error {
	connection, err := o.connect(ctx, getter)
	if err != nil {
		return err
	}
	defer connection.close()
	versions, err := rollout.History(ctx, connection, o.Name)
	if err != nil {
		return err
	}
	return printers.Print(streams.Out, o.Output, printers.SessionHistory{
		Head: printers.Head{Kind: "confidb.session-history/v1", Simulated: connection.attested.Simulated}, Name: o.Name, Versions: versions,
	})
}
