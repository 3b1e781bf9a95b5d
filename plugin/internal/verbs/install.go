// Package verbs holds what both plugins do: install, verify and uninstall, and how they
// reach a CAS and a release. The plugins themselves only give it flags in their own style.
package verbs

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"time"

	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/deploy"
	"github.com/confidb/confidb/pkg/kube"
	"github.com/confidb/confidb/pkg/machines"
	"github.com/confidb/confidb/pkg/record"
	"github.com/confidb/confidb/pkg/release"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/flags"
	"github.com/confidb/confidb/plugin/internal/printers"
)

// Install are the options of installing a database, or changing its release.
type Install struct {
	Name      string
	Trust     *flags.Trust
	Platforms *flags.Platforms
	Chart     *flags.Chart
	Clients   *flags.Clients
	Sessions  *flags.Sessions
	// Helm says where Helm's files are.
	Helm release.Settings
	// DryRun is one of deploy's.
	DryRun string
	// MustExist refuses a release that Helm does not have: an upgrade.
	MustExist bool
	// Home is the folder of the user's records.
	Home string
	// Verify says how to prove the result.
	Verify Verify
	Now    func() time.Time
}

// Run installs the database and proves it. It continues where an earlier run stopped.
func (o Install) Run(ctx context.Context, getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) error {
	if err := topology.CheckName(o.Name); err != nil {
		return cli.NewUsageError("%w", err)
	}
	progress := cli.NewProgress(streams.ErrOut, o.Now)
	defer progress.Done()
	site, err := o.site(getter, streams, progress)
	if err != nil {
		return err
	}
	if site.Platforms, err = o.platforms(getter, streams); err != nil {
		return err
	}
	done, err := site.Install(ctx, deploy.Install{
		Name: o.Name, DryRun: deploy.DryRun(o.DryRun), MustExist: o.MustExist, CreateNamespace: o.Chart.CreateNamespace, Inputs: o.inputs,
	})
	if err != nil {
		return err
	}
	switch o.DryRun {
	case DryRunClient:
		return showPlan(streams, done)
	case DryRunServer:
		_, err = streams.Out.Write(done.Manifests)
	}
	return err
}

// site is what the stories of deploy work with: the cluster behind getter, Helm, and
// the user's records.
func (o Install) site(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams, progress *cli.Progress) (*deploy.Site, error) {
	cluster, helm, err := clusterAndHelm(getter, o.Helm)
	if err != nil {
		return nil, err
	}
	store := record.Store{Dir: o.Home}
	o.Verify.Name = o.Name
	return &deploy.Site{
		Cluster: cluster, Helm: helm, Store: store, Progress: progress, Random: rand.Reader, Now: o.Now,
		Connect: func(ctx context.Context, address string, trust attest.Trust) (deploy.CAS, func(), error) {
			c, err := NewDesk(getter, o.Home, o.Now).Connect(ctx, address, trust)
			if err != nil {
				return nil, nil, err
			}
			return c, c.Close, nil
		},
		Warn:   func(text string) { printers.Warn(streams.ErrOut, text) },
		Verify: func(ctx context.Context) error { return o.Verify.run(ctx, getter, streams, progress) },
	}, nil
}

func clusterAndHelm(getter genericclioptions.RESTClientGetter, settings release.Settings) (*kube.Cluster, *release.Helm, error) {
	cluster, err := kube.New(getter)
	if err != nil {
		return nil, nil, err
	}
	helm, err := release.New(getter, cluster.Namespace(), settings)
	return cluster, helm, err
}

// inputs are what the flags, the files and the environment say.
func (o Install) inputs(earlier *topology.Release) (*deploy.Inputs, error) {
	trusted, err := o.Trust.Resolve(earlier)
	if err != nil {
		return nil, err
	}
	chart, values, keys, err := o.Chart.Resolve(earlier)
	if err != nil {
		return nil, err
	}
	sql, err := o.Clients.BootstrapSQL(earlier)
	if err != nil {
		return nil, err
	}
	clients, err := o.Clients.Resolve()
	if err != nil {
		return nil, err
	}
	sessions, err := o.Sessions.Resolve(earlier)
	if err != nil {
		return nil, err
	}
	maps.Copy(trusted.Origins, sessions.Origins)
	return &deploy.Inputs{Keys: keys, Clients: clients.Clients, Plan: topology.Plan{
		CASAddress: trusted.CAS, DatabaseSession: sessions.Database, ClientSession: sessions.Client, Enclaves: trusted.Enclaves,
		Templates: sessions.Templates, BootstrapSQL: sql, Host: clients.Host, Trust: trusted.Trust, Chart: chart, Values: values, Origins: trusted.Origins,
	}}, nil
}

// platforms are the machines that the flags name.
func (o Install) platforms(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) (*platformFinder, error) {
	options, err := o.Platforms.Resolve()
	return &platformFinder{o, getter, streams, options}, err
}

// platformFinder finds machines for an installation.
type platformFinder struct {
	Install
	getter  genericclioptions.RESTClientGetter
	streams genericiooptions.IOStreams
	options flags.PlatformOptions
}

// Origin is where the IDs come from.
func (f *platformFinder) Origin() string { return f.options.Origin }

// Find returns the platform IDs that the user or the cluster names, and quotes prove.
func (f *platformFinder) Find(ctx context.Context, least attest.Provenance) ([]attest.PlatformID, error) {
	options := f.options
	proof := flags.Provenance{Require: string(least)}
	if f.Platforms.Quotes != "" {
		proof.Quotes = flags.Quotes{Folder: f.Platforms.Quotes, Collateral: f.Trust.Collateral, Policy: f.Trust.Policy, Root: flags.Root{File: f.Trust.RootCA}}
	}
	if err := Prove(ctx, &proof, &options, f.Now()); err != nil {
		return nil, err
	}
	found, err := machines.Find(ctx, f.getter, options.Options)
	if err != nil {
		return nil, err
	}
	printers.Remark(f.streams.ErrOut, found, options.Origin, "wide")
	return found.IDs(), nil
}

// showPlan prints what would be created: the sessions and the chart's objects.
func showPlan(streams genericiooptions.IOStreams, planned *deploy.Installed) error {
	for _, m := range planned.Release.Members {
		s := m.Session
		fmt.Fprintf(streams.Out, "---\n# session %s\n", s.Name)
		if err := printSession(streams.Out, s.Name, []byte(s.Text)); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(streams.Out, "---\n# chart %s %s\n%s", planned.Chart.Name, planned.Chart.Version, bytes.TrimPrefix(planned.Manifests, []byte("---\n")))
	return err
}

// Template prints the manifests that Run would send, and no session.
func (o Install) Template(ctx context.Context, getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) error {
	if err := topology.CheckName(o.Name); err != nil {
		return cli.NewUsageError("%w", err)
	}
	site, err := o.site(getter, streams, nil)
	if err != nil {
		return err
	}
	manifests, err := site.Template(ctx, deploy.Template{Name: o.Name, CAS: flags.DefaultCAS, Inputs: o.names})
	if err != nil {
		return err
	}
	if manifests.Invented {
		printers.Warn(streams.ErrOut, "the name of the database session is made up, and differs the next time: nothing is installed yet")
		fmt.Fprintln(streams.ErrOut, "hint: name it with --database-session or $DBSESSION")
	}
	_, err = streams.Out.Write(manifests.Text)
	return err
}

// names are as much of the inputs as manifests show.
func (o Install) names(earlier *topology.Release) (*deploy.Inputs, error) {
	chart, values, keys, err := o.Chart.Resolve(earlier)
	if err != nil {
		return nil, err
	}
	clients, err := o.Clients.Resolve()
	if err != nil {
		return nil, err
	}
	plan := topology.Plan{Chart: chart, Values: values}
	plan.CASAddress, _ = o.Trust.Address()
	plan.DatabaseSession, _ = o.Sessions.DatabaseName()
	return &deploy.Inputs{Plan: plan, Keys: keys, Clients: clients.Clients}, nil
}
