// Package verbs holds what both plugins do: install and verify, and how they reach a CAS
// and a release. The plugins themselves only give it flags in their own style.
package verbs

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/deploy"
	"github.com/confidb/confidb/pkg/envelope"
	"github.com/confidb/confidb/pkg/machines"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/flags"
	"github.com/confidb/confidb/plugin/internal/printers"
)

// Install are the options of installing a database, or changing its release.
type Install struct {
	// What says what is installed.
	What flags.Installation
	// MustExist refuses a release that Helm does not have, unless OrInstall: an upgrade.
	MustExist, OrInstall bool

	env       *cli.Env
	trust     *flags.Trust
	platforms *flags.Platforms
	result    cli.Result
	dryRun    string
}

func newInstall(env *cli.Env) *Install {
	return &Install{env: env, trust: &flags.Trust{LookupEnv: env.LookupEnv}, platforms: &flags.Platforms{LookupEnv: env.LookupEnv}, What: flags.Installation{LookupEnv: env.LookupEnv}}
}

// NewInstall returns a command that installs a database or, as the caller sets the
// options, changes one. Its arguments are the name of the release and perhaps a chart.
func NewInstall(env *cli.Env, name string, arguments cobra.PositionalArgs) (*cobra.Command, *Install) {
	o := newInstall(env)
	c := env.Command(cli.Verb{Name: name, Args: arguments, Patience: 10 * time.Minute, Run: o.run, Flags: func(set *pflag.FlagSet) {
		o.addFlags(set)
		flags.AddDryRun(set, &o.dryRun, "none, client (print what would be created) or server (also ask the CAS and the API server; create nothing)")
		o.result.AddFlags(set)
	}})
	c.Flags().Lookup("timeout").Usage += ", for all of it"
	return c, o
}

func (o *Install) addFlags(set *pflag.FlagSet) {
	o.trust.AddFlags(set)
	o.platforms.AddFlags(set)
	o.platforms.AddQuotesFlag(set)
	o.What.AddFlags(set)
}

// run installs the database and proves it. It continues where an earlier run stopped.
func (o *Install) run(ctx context.Context, arguments []string) error {
	progress := o.env.Progress()
	defer progress.Done()
	name, site, err := o.site(arguments, progress)
	if err != nil {
		return err
	}
	if site.Platforms, err = o.finder(); err != nil {
		return err
	}
	done, err := site.Install(ctx, deploy.Install{
		Name: name, DryRun: deploy.DryRun(o.dryRun), MustExist: o.MustExist && !o.OrInstall, CreateNamespace: o.What.CreateNamespace, Inputs: o.inputs,
	})
	if err != nil {
		return err
	}
	return o.show(done)
}

// site is what the stories of deploy work with: the cluster, Helm, and the user's records.
// It returns the name of the release as well.
func (o *Install) site(arguments []string, progress *cli.Progress) (string, *deploy.Site, error) {
	name := arguments[0]
	if len(arguments) > 1 {
		o.What.Chart = arguments[1]
	}
	if err := topology.CheckName(name); err != nil {
		return "", nil, cli.NewUsageError("%w", err)
	}
	p, err := Open(o.env)
	if err != nil {
		return "", nil, err
	}
	proof := verification{env: o.env, platforms: o.platforms, result: o.result}
	return name, &deploy.Site{
		Cluster: p.Cluster, Helm: p.Helm, Store: p.Store, Progress: progress, Random: rand.Reader, Now: o.env.Now,
		Owner: func() (string, error) { return p.Store.Owner(o.env.Now()) },
		Connect: func(ctx context.Context, address string, trust attest.Trust) (deploy.CAS, func(), error) {
			c, err := Connect(ctx, o.env, address, trust)
			if err != nil {
				return nil, nil, err
			}
			return c, c.Close, nil
		},
		Warn:   func(text string) { printers.Warn(o.env.ErrOut, text) },
		Verify: func(ctx context.Context) error { return proof.prove(ctx, name, progress) },
	}, nil
}

// inputs are what the flags, the files and the environment say.
func (o *Install) inputs(earlier *topology.Release) (*deploy.Inputs, error) {
	trusted, err := o.trust.Resolve(earlier)
	if err != nil {
		return nil, err
	}
	return o.What.Resolve(trusted, earlier)
}

// finder finds the machines that the flags name.
func (o *Install) finder() (*platformFinder, error) {
	options, err := o.platforms.Resolve()
	return &platformFinder{o, options}, err
}

// platformFinder finds machines for an installation.
type platformFinder struct {
	*Install
	options machines.Options
}

// Origin is where the IDs come from.
func (f *platformFinder) Origin() string { return f.options.Origin }

// Find returns the platform IDs that the user or the cluster names, and quotes prove.
func (f *platformFinder) Find(ctx context.Context, least attest.Provenance) ([]attest.PlatformID, error) {
	options := f.options
	proof := flags.Provenance{Require: string(least)}
	if f.platforms.Quotes != "" {
		proof.Quotes = flags.Quotes{Folder: f.platforms.Quotes, Collateral: f.trust.Collateral, Policy: f.trust.Policy, When: flags.Verification{RootCA: f.trust.RootCA}}
	}
	if err := proof.Resolve(ctx, &options, f.env.Now()); err != nil {
		return nil, err
	}
	found, err := machines.Find(ctx, f.env.Getter, options)
	if err != nil {
		return nil, err
	}
	printers.Remark(f.env.ErrOut, found, options.Origin, "wide")
	return found.IDs(), nil
}

// show prints what a dry run ends with: for the user, the sessions and the chart's objects;
// from the API server, the latter as it would have them.
func (o *Install) show(done *deploy.Installed) error {
	switch deploy.DryRun(o.dryRun) {
	case deploy.Client:
		return showPlan(o.env, done)
	case deploy.Server:
		_, err := o.env.Out.Write(done.Manifests)
		return err
	}
	return nil
}

func showPlan(env *cli.Env, planned *deploy.Installed) error {
	for _, m := range planned.Release.Members {
		s := m.Session
		fmt.Fprintf(env.Out, "---\n# session %s\n", s.Name)
		if err := envelope.ShowText(env.Out, s.Name, s.Text); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(env.Out, "---\n# chart %s %s\n%s", planned.Chart.Name, planned.Chart.Version, bytes.TrimPrefix(planned.Manifests, []byte("---\n")))
	return err
}
