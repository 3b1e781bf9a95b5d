package session

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/change"
	"github.com/confidb/confidb/pkg/contact"
	"github.com/confidb/confidb/pkg/diff"
	"github.com/confidb/confidb/pkg/envelope"
	"github.com/confidb/confidb/pkg/files"
	"github.com/confidb/confidb/pkg/rollout"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/flags"
)

func newPlan(env *cli.Env) *cobra.Command {
	o := planning{successor: successor{template: template{desk: desk{Env: env}}}}
	return o.verb("plan", cli.Exactly(1, "the name of one file, or -"), o.addFlags, o.run)
}

// planning writes an update down.
type planning struct {
	successor
	plan flags.Plan
}

func (o *planning) addFlags(set *pflag.FlagSet) {
	o.successor.addFlags(set)
	o.plan.AddFlags(set)
}

func (o *planning) run(ctx context.Context, arguments []string) error {
	if err := o.plan.Check(); err != nil {
		return err
	}
	return o.shown(ctx, arguments[0], o.write)
}

func (o *planning) write(c *contact.Connection, u *change.Update) error {
	if u.Verdict == diff.Equal {
		o.tell(u.To.Name, ": nothing to plan")
		return nil
	}
	if err := envelope.RefuseWritten(u.Held.Session, u.To); err != nil { // a plan goes to others
		return err
	}
	plan := change.NewPlan(c.Appraisal.Pin.Address, u, o.allowReissue)
	return o.plan.Write(o.Env, plan, "{session sign FILE --key KEY.pem}, then session apply")
}

func newSign(env *cli.Env) *cobra.Command {
	o := signing{desk: desk{Env: env}}
	return o.verb("sign", cli.Exactly(1, "the name of one plan"), o.addFlags, o.run)
}

// signing shows what a plan does, and adds a signature to it.
type signing struct {
	desk
	// key is the file of the private key, and message that of what SCONE's program wants
	// signed instead of the text; empty for the text.
	key, message string
}

func (o *signing) addFlags(set *pflag.FlagSet) {
	set.StringVar(&o.key, "key", "", "private key in PEM (PKCS#8): Ed25519 or P-384 (required)")
	set.StringVar(&o.message, "message", "",
		"file with the message to be signed, as scone session sign makes it (default: the text of the session)")
	cli.AddOutput(set, &o.output)
}

func (o *signing) run(_ context.Context, arguments []string) error {
	if o.key == "" {
		return cli.NewUsageError("--key: want the file of a private key")
	}
	file := arguments[0]
	plan, err := flags.ReadPlan(file, change.ReadPlan)
	if err != nil {
		return err
	}
	if err := o.showUpdate(plan.Name(), file, plan.Change, false); err != nil {
		return err
	}
	return o.sign(plan, file)
}

func (o *signing) sign(plan *change.Plan, file string) (err error) {
	var message []byte
	if o.message != "" {
		if message, err = files.Read(o.message); err != nil {
			return fmt.Errorf("--message: %w", err)
		}
	}
	key, err := files.Read(o.key)
	if err != nil {
		return fmt.Errorf("--key: %w", err)
	}
	if err := plan.Sign(rand.Reader, key, message); err != nil {
		return fmt.Errorf("--key: %s: %w", o.key, err)
	}
	if err := files.ReplaceJSON(file, plan, files.Private); err != nil {
		return err
	}
	fmt.Fprintf(o.ErrOut, "signed %s: %s\n", file, plan.Signed())
	return nil
}

func newApply(env *cli.Env) *cobra.Command {
	o := application{desk: desk{Env: env}}
	return o.verb("apply", cli.Exactly(1, "the name of one plan"), o.addFlags, o.run)
}

// application carries a plan out, unless CAS has moved since it was made. Who must sign is
// also said by the session that CAS has, in access_policy.update, and CAS enforces it.
type application struct {
	desk
	// signers is how many different people must have signed.
	signers int
}

func (o *application) addFlags(set *pflag.FlagSet) {
	o.addOutputFlags(set)
	set.IntVar(&o.signers, "signers", 1, "how many different keys must have signed the plan; 0 uploads it as yourself")
}

func (o *application) run(ctx context.Context, arguments []string) error {
	plan, err := flags.ReadPlan(arguments[0], change.ReadPlan)
	if err != nil {
		return err
	}
	if err := plan.Refuse(o.signers); err != nil {
		return err
	}
	return o.ask(ctx, func(c *contact.Connection) error { return o.apply(ctx, c, plan, arguments[0]) })
}

func (o *application) apply(ctx context.Context, c *contact.Connection, plan *change.Plan, file string) error {
	done, err := rollout.JudgePlan(ctx, c, c.Appraisal.Pin.Address, plan)
	if err != nil {
		return err
	}
	if done {
		o.tell(plan.Name(), ": the plan was carried out before")
		return nil
	}
	if err := o.showUpdate(plan.Name(), file, plan.Change, c.Appraisal.Simulated); err != nil {
		return err
	}
	if plan.Unchecked() > 0 {
		fmt.Fprintf(o.ErrOut, "the plan has %s\n", plan.Signed())
	}
	hash, err := rollout.ApplyPlan(ctx, c, plan)
	if err == nil {
		o.tell(plan.Name(), " was updated: hash %s", hash)
	}
	return err
}
