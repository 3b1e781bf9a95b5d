package verbs

import (
	"context"
	"fmt"
	"time"

	flagvalues "github.com/confidb/confidb/plugin/internal/flags"

	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/change"
	"github.com/confidb/confidb/pkg/files"
	"github.com/confidb/confidb/pkg/machines"
	"github.com/confidb/confidb/pkg/platform"
	"github.com/confidb/confidb/pkg/release"
	"github.com/confidb/confidb/pkg/rollout"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/printers"
)

// PlanPlatforms are the options of planning.
type PlanPlatforms struct {
	Name      string
	Platforms *PlatformFlags
	// Quotes prove platform IDs.
	Quotes ProvenanceFlags
	// To is the file of the plan.
	To   string
	Home string
	// Output is one of cli.Formats, or empty.
	Output string
	Now    func() time.Time
}

// AddFlags registers the flags.
func (o *PlanPlatforms) AddFlags(flags *pflag.FlagSet) {
	o.Platforms.AddFlags(flags)
	o.Quotes.AddFlags(flags)
	flags.StringVar(&o.To, "to", "", "file for the plan (required)")
	flagvalues.AddOutput(flags, &o.Output)
}

// Run compares the machines with the sessions and writes what would make them agree.
func (o PlanPlatforms) Run(ctx context.Context, getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) error {
	if o.To == "" {
		return cli.NewUsageError("--to: want the file for the plan")
	}
	m, err := openMove(ctx, getter, o.Home, o.Name, o.Now)
	if err != nil {
		return err
	}
	defer m.close()
	after, err := m.findIDs(ctx, o.Platforms, &o.Quotes)
	if err != nil {
		return err
	}
	plan, err := rollout.PlanPlatforms(ctx, m.Client, m.id, m.Promised, after)
	if err != nil {
		return err
	}
	if err := printers.Print(streams.Out, o.Output, printers.NewPlatformsPlan(plan, m.attested.Simulated)); err != nil {
		return err
	}
	if plan.Empty() {
		fmt.Fprintf(streams.ErrOut, "release %s/%s: the sessions admit these machines already\n", plan.Namespace, plan.Name)
		return nil
	}
	if err := files.ReplaceJSON(o.To, plan, files.Private); err != nil {
		return err
	}
	fmt.Fprintf(streams.ErrOut, "wrote %s; next: kubectl confidb platforms apply %s %s\n", o.To, o.Name, o.To)
	return nil
}

// findIDs asks for the machines. They must be known as well as the policy of the
// installation says, and as the flags say.
func (m *move) findIDs(ctx context.Context, flags *PlatformFlags, quotes *ProvenanceFlags) ([]attest.PlatformID, error) {
	options, err := flags.Resolve()
	if err != nil {
		return nil, err
	}
	if err := quotes.resolve(ctx, &options, m.now); err != nil {
		return nil, err
	}
	inventory, err := machines.Find(ctx, m.getter, options.Options)
	if err != nil {
		return nil, err
	}
	if err := platform.Require(inventory, m.Promised.Trust.RequireProvenance); err != nil {
		return nil, err
	}
	return inventory.IDs(), nil
}

// move is a release whose sessions are to admit other machines.
type move struct {
	*OpenedRelease
	*connection
	getter genericclioptions.RESTClientGetter
	id     string
	now    func() time.Time
	unlock func()
}

// openMove attests the CAS of a release afresh, and keeps other processes from it.
func openMove(ctx context.Context, getter genericclioptions.RESTClientGetter, home, name string, now func() time.Time) (*move, error) {
	known, err := OpenRelease(getter, home, name)
	if err != nil {
		return nil, err
	}
	id, err := known.Cluster.ID()
	if err != nil {
		return nil, err
	}
	unlock, err := known.Store.LockRelease(id, known.Promised.Namespace, name)
	if err != nil {
		return nil, err
	}
	c, err := connectCAS(ctx, getter, known.Store, known.Promised.CASAddress, known.Promised.Trust, now)
	if err != nil {
		unlock()
		return nil, err
	}
	return &move{known, c, getter, id, now, unlock}, nil
}

func (m *move) close() { m.connection.close(); m.unlock() }

// ApplyPlatforms are the options of carrying a plan out.
type ApplyPlatforms struct {
	Name, Plan string
	Platforms  *PlatformFlags
	// Quotes prove platform IDs.
	Quotes ProvenanceFlags
	Home   string
	Helm   release.Settings
	// NoRestart leaves the database running: that it comes back is not shown.
	NoRestart bool
	// Patience bounds how long the database may take to come back.
	Patience time.Duration
	Now      func() time.Time
}

// AddFlags registers the flags.
func (o *ApplyPlatforms) AddFlags(flags *pflag.FlagSet) {
	o.Platforms.AddFlags(flags)
	o.Quotes.AddFlags(flags)
	flags.BoolVar(&o.NoRestart, "no-restart", false, "do not restart the database; that it starts under the new sessions is then not shown")
	flags.DurationVar(&o.Patience, "patience", 3*time.Minute, "how long the database may take to come back before the sessions are set back")
}

// Run updates the sessions in step, restarts the database, and sets the sessions back
// if it does not come back. A second run goes on where the first stopped.
func (o ApplyPlatforms) Run(ctx context.Context, getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) error {
	text, err := files.Read(o.Plan)
	if err != nil {
		return fmt.Errorf("reading the plan: %w", err)
	}
	plan, err := change.ReadPlatformsPlan(o.Plan, text)
	if err != nil {
		return err
	}
	progress := cli.NewProgress(streams.ErrOut, o.Now)
	defer progress.Done()
	progress.Step("attesting the CAS, and comparing the machines with the plan")
	m, err := openMove(ctx, getter, o.Home, o.Name, o.Now)
	if err != nil {
		return err
	}
	defer m.close()
	now, err := m.findIDs(ctx, o.Platforms, &o.Quotes)
	if err != nil {
		return err
	}
	moving := rollout.Platforms{
		CAS: m.Client, Cluster: &releaseCluster{m, o.Helm}, Store: m.Store, Progress: progress,
		ClusterID: m.id, Release: m.Promised, NoRestart: o.NoRestart, Patience: o.Patience,
	}
	return moving.Apply(ctx, plan, now)
}

// releaseCluster is where the database of a release runs, as Helm installed it.
type releaseCluster struct {
	*move
	helm release.Settings
}

func (c *releaseCluster) workloads(ctx context.Context) ([]topology.Workload, error) {
	_, workloads, err := c.Installed(ctx, c.getter, c.helm)
	return workloads, err
}

func (c *releaseCluster) Restart(ctx context.Context) error {
	workloads, err := c.workloads(ctx)
	if err != nil {
		return err
	}
	return c.Cluster.Restart(ctx, c.Promised.Namespace, workloads)
}

func (c *releaseCluster) AwaitReady(ctx context.Context, detail func(string)) error {
	workloads, err := c.workloads(ctx)
	if err != nil {
		return err
	}
	return c.Cluster.AwaitReady(ctx, c.Promised.Namespace, workloads, detail)
}

func (c *releaseCluster) Announce(ctx context.Context, reason, message string) error {
	workloads, err := c.workloads(ctx)
	if err != nil {
		return err
	}
	return c.Cluster.Announce(ctx, c.Promised.Namespace, workloads, reason, message, c.now())
}
