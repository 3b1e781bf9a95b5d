package session

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/change"
	"github.com/confidb/confidb/pkg/diff"
	"github.com/confidb/confidb/pkg/files"
	"github.com/confidb/confidb/pkg/rollout"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/printers"
	"github.com/confidb/confidb/plugin/internal/verbs"
)

func newPlanCommand(env *cli.Env) *cobra.Command {
	o := planning{update: update{creation: creation{casFlags: casFlags{env: env}}}}
	return env.Command(cli.Verb{Name: "session plan", Args: cli.Exactly(1, "the name of one file, or -"), Patience: time.Minute, Flags: func(set *pflag.FlagSet) {
		o.AddTemplateFlags(set)
		o.update.AddFlags(set)
		o.AddFlags(set)
	}, Run: func(ctx context.Context, arguments []string) error {
		o.File = arguments[0]
		return o.run(ctx)
	}})
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
func (o planning) run(ctx context.Context) error {
	if o.To == "" {
		return cli.NewUsageError("--to: want the file for the plan")
	}
	u, connection, err := o.open(ctx)
	if err != nil {
		return err
	}
	defer connection.Close()
	if u.Verdict == diff.Equal {
		fmt.Fprintf(o.env.ErrOut, "session %q: nothing to plan\n", u.To.Name)
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
	fmt.Fprintf(o.env.ErrOut, "wrote %s; next: kubectl confidb session sign %s --key KEY.pem, then session apply\n", o.To, o.To)
	return nil
}

func newSignCommand(env *cli.Env) *cobra.Command {
	o := signing{env: env}
	return env.Command(cli.Verb{Name: "session sign", Args: cli.Exactly(1, "the name of one plan"), Patience: time.Minute, Flags: o.AddFlags, Run: func(ctx context.Context, arguments []string) error {
		o.Plan = arguments[0]
		return o.run(ctx)
	}})
}

// signing are the options of signing a plan.
type signing struct {
	env *cli.Env
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
	cli.AddOutput(set, &o.Output)
}

// Run shows what the plan does, and adds a signature to it.
func (o signing) run(context.Context) error {
	if o.Key == "" {
		return cli.NewUsageError("--key: want the file of a private key")
	}
	plan, err := readPlan(o.Plan)
	if err != nil {
		return err
	}
	if err := printers.Print(o.env.Out, o.Output, updateDocument(plan.Name(), o.Plan, plan.Change, false)); err != nil {
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
	fmt.Fprintf(o.env.ErrOut, "signed %s: %s\n", o.Plan, printers.Count(len(plan.Signatures), "signature"))
	return nil
}

func readPlan(path string) (*change.Plan, error) {
	text, err := files.Read(path)
	if err != nil {
		return nil, fmt.Errorf("reading the plan: %w", err)
	}
	return change.ReadPlan(path, text)
}

func newApplyCommand(env *cli.Env) *cobra.Command {
	o := application{casFlags: casFlags{env: env}}
	return env.Command(cli.Verb{Name: "session apply", Args: cli.Exactly(1, "the name of one plan"), Patience: time.Minute, Flags: o.AddFlags, Run: func(ctx context.Context, arguments []string) error {
		o.Plan = arguments[0]
		return o.run(ctx)
	}})
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
	cli.AddOutput(set, &o.Output)
}

// Run carries a plan out, unless CAS has moved since it was made. Who must sign is
// also said by the session that CAS has, in access_policy.update, and CAS enforces it.
func (o application) run(ctx context.Context) error {
	plan, err := readPlan(o.Plan)
	if err != nil {
		return err
	}
	if err := plan.Refuse(o.Signers); err != nil {
		return err
	}
	connection, err := o.connect(ctx)
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
		fmt.Fprintf(o.env.ErrOut, "session %q: the plan was carried out before\n", plan.Name())
		return nil
	}
	if err := printers.Print(o.env.Out, o.Output, updateDocument(plan.Name(), o.Plan, plan.Change, connection.Appraisal.Simulated)); err != nil {
		return err
	}
	hash, err := rollout.ApplyPlan(ctx, connection, plan)
	if err != nil {
		return err
	}
	fmt.Fprintf(o.env.ErrOut, "session %q was updated: hash %s\n", plan.Name(), hash)
	return nil
}

func newHistoryCommand(env *cli.Env) *cobra.Command {
	o := history{casFlags: casFlags{env: env}}
	return env.Command(cli.Verb{Name: "session history", Args: cli.Exactly(1, "the name of one session"), Patience: time.Minute, Flags: o.AddFlags, Run: func(ctx context.Context, arguments []string) error {
		o.Name = arguments[0]
		return o.run(ctx)
	}})
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
	cli.AddOutput(set, &o.Output)
}

// Run prints the versions, newest first.
func (o history) run(ctx context.Context) error {
	connection, err := o.connect(ctx)
	if err != nil {
		return err
	}
	defer connection.Close()
	versions, err := rollout.History(ctx, connection, o.Name)
	if err != nil {
		return err
	}
	return printers.Print(o.env.Out, o.Output, printers.SessionHistory{
		Head: printers.Head{Kind: "confidb.session-history/v1", Simulated: connection.Appraisal.Simulated}, Name: o.Name, Versions: versions,
	})
}
