package platforms

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/change"
	"github.com/confidb/confidb/pkg/files"
	"github.com/confidb/confidb/pkg/rollout"
	"github.com/confidb/confidb/plugin/internal/cli"
)

func newApply(s search) *cobra.Command {
	o := application{search: s}
	return s.env.Command(cli.Verb{Name: "platforms apply", Args: cli.Exactly(2, "a release and a plan"), Patience: 15 * time.Minute, Flags: o.addFlags, Run: func(ctx context.Context, arguments []string) error {
		return o.run(ctx, arguments[0], arguments[1])
	}})
}

// application carries a plan out.
type application struct {
	search
	// noRestart leaves the database running: that it comes back is not shown.
	noRestart bool
	// patience bounds how long the database may take to come back.
	patience time.Duration
}

func (o *application) addFlags(set *pflag.FlagSet) {
	o.search.addFlags(set)
	set.BoolVar(&o.noRestart, "no-restart", false, "do not restart the database; that it starts under the new sessions is then not shown")
	set.DurationVar(&o.patience, "patience", 3*time.Minute, "how long the database may take to come back before the sessions are set back")
}

// run updates the sessions in step, restarts the database, and sets the sessions back
// if it does not come back. A second run goes on where the first stopped.
func (o *application) run(ctx context.Context, name, file string) error {
	text, err := files.Read(file)
	if err != nil {
		return fmt.Errorf("reading the plan: %w", err)
	}
	plan, err := change.ReadPlatformsPlan(file, text)
	if err != nil {
		return err
	}
	progress := o.env.Progress()
	defer progress.Done()
	progress.Step("attesting the CAS, and comparing the machines with the plan")
	m, err := o.open(ctx, name)
	if err != nil {
		return err
	}
	defer m.close()
	now, err := o.ids(ctx, m)
	if err != nil {
		return err
	}
	moving := rollout.Platforms{
		CAS: m.Client, Cluster: &database{m, o}, Store: m.Store, Progress: progress,
		ClusterID: m.id, Release: m.Promised, NoRestart: o.noRestart, Patience: o.patience,
	}
	return moving.Apply(ctx, plan, now)
}

// database is that of a release, where it runs, as Helm installed it.
type database struct {
	*move
	how *application
}

func (d *database) Restart(ctx context.Context) error {
	workloads, err := d.Workloads(ctx)
	if err != nil {
		return err
	}
	return d.Cluster.Restart(ctx, d.Promised.Namespace, workloads)
}

func (d *database) AwaitReady(ctx context.Context, detail func(string)) error {
	workloads, err := d.Workloads(ctx)
	if err != nil {
		return err
	}
	return d.Cluster.AwaitReady(ctx, d.Promised.Namespace, workloads, detail)
}

func (d *database) Announce(ctx context.Context, reason, message string) error {
	workloads, err := d.Workloads(ctx)
	if err != nil {
		return err
	}
	return d.Cluster.Announce(ctx, d.Promised.Namespace, workloads, reason, message, d.how.env.Now())
}
