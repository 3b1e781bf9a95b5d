package verbs

import (
	"context"
	"maps"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/evidence"
	"github.com/confidb/confidb/pkg/machines"
	"github.com/confidb/confidb/pkg/observe"
	"github.com/confidb/confidb/pkg/verify"
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
}

func (o *verification) addFlags(set *pflag.FlagSet) {
	o.trust.AddJudgeFlags(set)
	o.platforms.AddFlags(set)
	o.result.AddFlags(set)
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
	observer.Step = progress.Step
	result := verify.Appraise(known.Promised, memory, observer.Observe(ctx, known.Promised))
	progress.Done()
	origins := map[string]string{"platforms now": origin}
	maps.Copy(origins, result.Origins)
	verdict := result.Findings.Verdict()
	return printers.Conclude(o.env.Out, o.result, printers.Result{
		Head: printers.Head{Kind: "confidb.verification/v1", Simulated: result.Simulated}, Subject: "release " + known.Promised.Namespace + "/" + name, Verdict: verdict,
		Findings: o.env.Program.Findings(result.Findings), Origins: origins, Limitations: result.Limitations,
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
			found, err := machines.Find(ctx, o.env.Getter, options)
			if err != nil {
				return nil, nil, err
			}
			return found.IDs(), found.Unidentified(), nil
		},
		Desk:    desk,
		Cluster: known.Cluster,
		Helm: func(ctx context.Context, name string) (evidence.HelmRelease, []byte, error) {
			r, err := known.Helm.Get(ctx, name)
			if err != nil {
				return evidence.HelmRelease{}, nil, err
			}
			return evidence.HelmRelease{Status: r.Status, Revision: r.Revision}, []byte(r.Manifest), nil
		},
	}, options.Origin, err
}
