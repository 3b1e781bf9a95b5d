package verbs

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/machines"
	"github.com/confidb/confidb/pkg/observe"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/pkg/verify"
	"github.com/confidb/confidb/pkg/witness"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/flags"
	"github.com/confidb/confidb/plugin/internal/printers"
)

// NewVerify returns the command that proves a release.
func NewVerify(env *cli.Env) *cobra.Command {
	o := verification{env: env, platforms: &flags.Platforms{LookupEnv: env.LookupEnv}}
	return env.Command(cli.Verb{Name: "verify", Args: cli.Exactly(1, "the name of one release"), Flags: o.addFlags, Patience: 5 * time.Minute, Run: o.run})
}

// verification are the options of proving a release.
type verification struct {
	env       *cli.Env
	platforms *flags.Platforms
	// trust is zero for a release that was installed right now: its record says it all.
	trust  flags.Trust
	result cli.Result
	accept string // why the last mark need not be there
	full   bool
}

func (o *verification) addFlags(set *pflag.FlagSet) {
	o.trust.AddJudgeFlags(set)
	o.platforms.AddFlags(set)
	o.result.AddFlags(set)
	set.Func("accept-restore", "the database is an older one or another, as you wanted it: the `REASON`, which each later result says", func(text string) (err error) {
		o.accept, err = witness.ParseReason(text)
		return err
	})
	set.Func("level", "how much is looked at: standard, or `full`, which reads the volumes from outside the enclaves, too (default standard)", func(text string) (err error) {
		o.full, err = observe.ParseLevel(text)
		return err
	})
}

// run proves the release link by link and prints what was found.
func (o *verification) run(ctx context.Context, arguments []string) error {
	progress := o.env.Progress()
	defer progress.Done()
	return o.prove(ctx, arguments[0], progress)
}

func (o *verification) prove(ctx context.Context, name string, progress *cli.Progress) error {
	known, err := OpenRelease(o.env, name)
	if err != nil {
		return err
	}
	if known.Promised, err = o.trust.Judge(known.Promised); err != nil {
		return err
	}
	memory, err := known.Store.Memory() // before this run adds to it
	if err != nil {
		return err
	}
	observer, origin, err := o.observer(known)
	if err != nil {
		return err
	}
	database := known.Promised.Session(topology.Database).Name
	if observer.Demand, err = known.Store.Demand(database, o.accept, o.env.Now()); err != nil {
		return err
	}
	observer.Step, observer.Full = progress.Step, o.full
	result := verify.Appraise(known.Promised, memory, observer.Observe(ctx, known.Promised))
	progress.Done()
	if err := known.Store.Advance(database, result.Line); err != nil {
		return err
	}
	result.Origins["platforms now"] = origin
	verdict := result.Findings.Verdict()
	return printers.Conclude(o.env.Out, o.result, printers.Result{
		Head: printers.Head{Kind: "confidb.verification/v1", Simulated: result.Simulated}, Subject: "release " + known.Promised.Namespace + "/" + name, Verdict: verdict,
		Findings: o.env.Program.Findings(result.Findings), Origins: result.Origins, Limitations: result.Limitations, Guests: result.Guests, Path: result.Path,
	}, verdict)
}

// observer is how a release is looked at with these options. It returns where the
// platform IDs come from, too.
func (o *verification) observer(known *OpenedRelease) (observe.Observer, string, error) {
	desk, err := NewDesk(o.env)
	options, wrong := o.platforms.Resolve()
	return observe.Observer{
		Platforms: func(ctx context.Context) ([]attest.PlatformID, []string, error) {
			if wrong != nil {
				return nil, nil, wrong
			}
			return machines.Identify(ctx, o.env.Getter, options)
		},
		Desk:    desk,
		Cluster: known.Cluster,
		Helm:    known.Helm.Observed,
	}, options.Origin, err
}
