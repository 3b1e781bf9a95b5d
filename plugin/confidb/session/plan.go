package session

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/pkg/change"
	"github.com/confidb/confidb/pkg/diff"
	"github.com/confidb/confidb/pkg/files"
	"github.com/confidb/confidb/pkg/rollout"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/flags"
	"github.com/confidb/confidb/plugin/internal/printers"
	"github.com/confidb/confidb/plugin/internal/verbs"
)

func newPlanCommand(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	o := planning{update: update{creation: creation{casFlags: newCASFlags()}}}
	return cli.Timed(&cobra.Command{
		Use:   "plan FILE --to PLAN",
		Short: "Write an update down, for others to sign",
		Long: `Does what update does, and writes the update to a file instead of uploading it. Others
look at it and sign it (session sign), and session apply carries it out if CAS still
has the version that it was made for. Which signers count is said by the session in
CAS, in access_policy.update: that is what makes it a rule of two persons. With a
signed upload CREATOR stands for the signers afterwards: name readers by their keys.

Needs the RBAC verbs of attest cas.`,
		Example: `  kubectl confidb session plan db.yaml --use-env --to plan.json
  kubectl confidb session sign plan.json --key alice.pem
  kubectl confidb session sign plan.json --key bob.pem
  kubectl confidb session apply plan.json --signers 2`,
		Args: cli.Exactly(1, "the name of one file, or -"),
	}, time.Minute, &o.Output, func(flags *pflag.FlagSet) {
		o.AddTemplateFlags(flags)
		o.update.AddFlags(flags)
		o.AddFlags(flags)
	}, func(ctx context.Context, home string, arguments []string) error {
		o.Home, o.File = home, arguments[0]
		return o.run(ctx, getter, streams)
	})
}

// planning are the options of writing an update down.
type planning struct {
	update
	// To is the file of the plan.
	To string
}

// AddFlags registers the flags that update does not have.
func (o *planning) AddFlags(set *pflag.FlagSet) {
	set.StringVar(&o.To, "to", "", "file for the plan (required)")
}

// Run shows what the update would do and writes the plan.
func (o planning) run(ctx context.Context, getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) error {
	if o.To == "" {
		return cli.NewUsageError("--to: want the file for the plan")
	}
	u, connection, err := o.open(ctx, getter, streams)
	if err != nil {
		return err
	}
	defer connection.Close()
	if u.Verdict == diff.Equal {
		fmt.Fprintf(streams.ErrOut, "session %q: nothing to plan\n", u.To.Name)
		return nil
	}
	for _, s := range []*session.Session{u.Held.Session, u.To} { // a plan goes to others
		if err := verbs.RefuseWrittenSecrets(s); err != nil {
			return err
		}
	}
	if err := files.ReplaceJSON(o.To, change.NewPlan(connection.Appraisal.Pin.Address, u, o.AllowReissue), files.Private); err != nil {
		return err
	}
	fmt.Fprintf(streams.ErrOut, "wrote %s; next: kubectl confidb session sign %s --key KEY.pem, then session apply\n", o.To, o.To)
	return nil
}

func newSignCommand(streams genericiooptions.IOStreams) *cobra.Command {
	var o signing
	return cli.Timed(&cobra.Command{
		Use:   "sign PLAN --key KEY.pem",
		Short: "Look at a plan and sign it",
		Long: `Works out anew what a plan does, prints it and adds a signature with your key. The
signature is over the text of the new session. What a real CAS wants signed is not
public: have SCONE's program make that message (scone session sign FILE
generate-message-to-be-signed) and give it with --message.

Asks nobody: needs no cluster, no CAS and no RBAC verbs.`,
		Example: "  kubectl confidb session sign plan.json --key alice.pem",
		Args:    cli.Exactly(1, "the name of one plan"),
	}, time.Minute, &o.Output, o.AddFlags, func(_ context.Context, _ string, arguments []string) error {
		o.Plan = arguments[0]
		return o.run(streams)
	})
}

// signing are the options of signing a plan.
type signing struct {
	// Plan is the file, Key that of the private key, and Message that of what SCONE's
	// program wants signed instead of the text; empty for the text.
	Plan, Key, Message string
	// Output is one of cli.Formats, or empty.
	Output string
}

// AddFlags registers the flags.
func (o *signing) AddFlags(set *pflag.FlagSet) {
	set.StringVar(&o.Key, "key", "", "private key in PEM (PKCS#8): Ed25519 or P-384 (required)")
	set.StringVar(&o.Message, "message", "", "file with the message to be signed, as scone session sign makes it (default: the text of the session)")
	flags.AddOutput(set, &o.Output)
}

// Run shows what the plan does, and adds a signature to it.
func (o signing) run(streams genericiooptions.IOStreams) error {
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
	if err := files.ReplaceJSON(o.Plan, plan, files.Private); err != nil {
		return err
	}
	fmt.Fprintf(streams.ErrOut, "signed %s: %s\n", o.Plan, printers.Count(len(plan.Signatures), "signature"))
	return nil
}

func readPlan(path string) (*change.Plan, error) {
	text, err := files.Read(path)
	if err != nil {
		return nil, fmt.Errorf("reading the plan: %w", err)
	}
	return change.ReadPlan(path, text)
}

func newApplyCommand(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	o := application{casFlags: newCASFlags()}
	return cli.Timed(&cobra.Command{
		Use:   "apply PLAN",
		Short: "Carry a signed plan out, unless CAS has moved",
		Long: `Checks the signatures of a plan and uploads the session, if CAS still has exactly the
version for which the plan was made. A plan that was carried out before is left alone.

Needs the RBAC verbs of attest cas.`,
		Example: "  kubectl confidb session apply plan.json --signers 2",
		Args:    cli.Exactly(1, "the name of one plan"),
	}, time.Minute, &o.Output, o.AddFlags, func(ctx context.Context, home string, arguments []string) error {
		o.Home, o.Plan = home, arguments[0]
		return o.run(ctx, getter, streams)
	})
}

// application are the options of carrying a plan out.
type application struct {
	casFlags
	// Plan is the file.
	Plan string
	// Signers is how many different people must have signed.
	Signers int
	// Output is one of cli.Formats, or empty.
	Output string
}

// AddFlags registers the flags.
func (o *application) AddFlags(set *pflag.FlagSet) {
	o.casFlags.AddFlags(set)
	set.IntVar(&o.Signers, "signers", 1, "how many different keys must have signed the plan; 0 uploads it as yourself")
	flags.AddOutput(set, &o.Output)
}

// Run carries a plan out, unless CAS has moved since it was made. Who must sign is
// also said by the session that CAS has, in access_policy.update, and CAS enforces it.
func (o application) run(ctx context.Context, getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) error {
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
	defer connection.Close()
	if err := plan.For(connection.Appraisal.Pin.Address); err != nil {
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
	if err := printers.Print(streams.Out, o.Output, updateDocument(plan.Name(), o.Plan, plan.Change, connection.Appraisal.Simulated)); err != nil {
		return err
	}
	hash, err := rollout.ApplyPlan(ctx, connection, plan)
	if err != nil {
		return err
	}
	fmt.Fprintf(streams.ErrOut, "session %q was updated: hash %s\n", plan.Name(), hash)
	return nil
}

func newHistoryCommand(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	o := history{casFlags: newCASFlags()}
	return cli.Timed(&cobra.Command{
		Use:   "history NAME",
		Short: "List the versions of a session, and what each changed",
		Long: `Follows the predecessors of a session in a CAS that was attested before, and says
what each version changed.

Needs the RBAC verbs of attest cas.`,
		Example: "  kubectl confidb session history shop/db",
		Args:    cli.Exactly(1, "the name of one session"),
	}, time.Minute, &o.Output, o.AddFlags, func(ctx context.Context, home string, arguments []string) error {
		o.Home, o.Name = home, arguments[0]
		return o.run(ctx, getter, streams)
	})
}

// history are the options of listing the versions of a session.
type history struct {
	casFlags
	Name string
	// Output is one of cli.Formats, or empty.
	Output string
}

// AddFlags registers the flags.
func (o *history) AddFlags(set *pflag.FlagSet) {
	o.casFlags.AddFlags(set)
	flags.AddOutput(set, &o.Output)
}

// Run prints the versions, newest first.
func (o history) run(ctx context.Context, getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) error {
	connection, err := o.connect(ctx, getter)
	if err != nil {
		return err
	}
	defer connection.Close()
	versions, err := rollout.History(ctx, connection, o.Name)
	if err != nil {
		return err
	}
	return printers.Print(streams.Out, o.Output, printers.SessionHistory{
		Head: printers.Head{Kind: "confidb.session-history/v1", Simulated: connection.Appraisal.Simulated}, Name: o.Name, Versions: versions,
	})
}
