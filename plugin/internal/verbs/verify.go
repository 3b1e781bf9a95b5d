package verbs

import (
	"context"
	"maps"
	"time"

	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/evidence"
	"github.com/confidb/confidb/pkg/machines"
	"github.com/confidb/confidb/pkg/observe"
	"github.com/confidb/confidb/pkg/release"
	"github.com/confidb/confidb/pkg/verify"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/flags"
	"github.com/confidb/confidb/plugin/internal/printers"
)

// Verify are the options of proving a release.
type Verify struct {
	// Program is what the user typed; it begins the commands in hints.
	Program   cli.Program
	Name      string
	Platforms *flags.Platforms
	// Home is the folder of the user's records.
	Home string
	// Output is one of cli.Formats, or empty.
	Output string
	// AcceptSimulated makes a simulated result a success.
	AcceptSimulated bool
	Helm            release.Settings
	Now             func() time.Time
}

// Run proves the release link by link and prints what was found.
func (o Verify) Run(ctx context.Context, getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) error {
	progress := cli.NewProgress(streams.ErrOut, o.Now)
	defer progress.Done()
	return o.run(ctx, getter, streams, progress)
}

func (o Verify) run(ctx context.Context, getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams, progress *cli.Progress) error {
	known, err := OpenRelease(getter, o.Home, o.Name)
	if err != nil {
		return err
	}
	memory, err := known.Store.Memory() // before this run adds to it
	if err != nil {
		return err
	}
	observer, origin := o.observer(getter, known)
	observer.Step = progress.Step
	result := verify.Appraise(known.Promised, memory, observer.Observe(ctx, known.Promised))
	progress.Done()
	origins := map[string]string{"platforms now": origin}
	maps.Copy(origins, result.Origins)
	verdict := result.Findings.Verdict()
	if err := printers.Print(streams.Out, o.Output, printers.Result{
		Head: printers.Head{Kind: "confidb.verification/v1", Simulated: result.Simulated}, Subject: "release " + known.Promised.Namespace + "/" + o.Name, Verdict: verdict,
		Findings: o.Program.Findings(result.Findings), Origins: origins, Limitations: result.Limitations,
	}); err != nil {
		return err
	}
	return cli.Conclude(verdict, result.Simulated, o.AcceptSimulated)
}

// observer is how a release is looked at with these options. It returns where the
// platform IDs come from, too.
func (o Verify) observer(getter genericclioptions.RESTClientGetter, known *OpenedRelease) (observe.Observer, string) {
	options, wrong := o.Platforms.Resolve()
	return observe.Observer{
		Platforms: func(ctx context.Context) ([]attest.PlatformID, error) {
			if wrong != nil {
				return nil, wrong
			}
			found, err := machines.Find(ctx, getter, options.Options)
			if err != nil {
				return nil, err
			}
			return found.IDs(), nil
		},
		Desk:    NewDesk(getter, o.Home, o.Now),
		Cluster: known.Cluster,
		Helm: func(ctx context.Context, name string) (evidence.HelmRelease, []byte, error) {
			helm, err := release.New(getter, known.Promised.Namespace, o.Helm)
			if err != nil {
				return evidence.HelmRelease{}, nil, err
			}
			r, err := helm.Get(ctx, name)
			if err != nil {
				return evidence.HelmRelease{}, nil, err
			}
			return evidence.HelmRelease{Status: r.Status, Revision: r.Revision}, []byte(r.Manifest), nil
		},
	}, options.Origin
}
