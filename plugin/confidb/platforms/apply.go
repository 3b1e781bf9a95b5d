package platforms

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/change"
	"github.com/confidb/confidb/pkg/files"
	"github.com/confidb/confidb/pkg/release"
	"github.com/confidb/confidb/pkg/rollout"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/verbs"
)

func newApply(s search) *cobra.Command {
	o := application{search: s, helm: verbs.HelmPlaces()}
	return cli.Timed(&cobra.Command{
		Use:   "apply NAME PLAN",
		Short: "Make a release's sessions admit the machines of a plan",
		Long: `Carries a plan out that platforms plan wrote, if the machines and the sessions in CAS
are still those of the plan: uploads both sessions, restarts the database and waits
until it runs. If it does not come back, the sessions are set back and it is started
again as before. Keys survive, so clients that trust the CA go on. A run that was
killed is continued by the same command.

Needs the RBAC verbs of platforms, attest cas and verify, and delete pods; with
create events it leaves an event at the workload.`,
		Example: "  kubectl confidb platforms apply db1 plan.json",
		Args:    cli.Exactly(2, "a release and a plan"),
	}, 15*time.Minute, nil, o.addFlags, func(ctx context.Context, home string, arguments []string) error {
		return o.run(ctx, home, arguments[0], arguments[1])
	})
}

// application carries a plan out.
type application struct {
	search
	helm release.Settings
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
func (o *application) run(ctx context.Context, home, name, file string) error {
	text, err := files.Read(file)
	if err != nil {
		return fmt.Errorf("reading the plan: %w", err)
	}
	plan, err := change.ReadPlatformsPlan(file, text)
	if err != nil {
		return err
	}
	progress := cli.NewProgress(o.streams.ErrOut, o.now)
	defer progress.Done()
	progress.Step("attesting the CAS, and comparing the machines with the plan")
	m, err := o.open(ctx, home, name)
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

func (d *database) workloads(ctx context.Context) ([]topology.Workload, error) {
	_, workloads, err := d.Installed(ctx, d.how.getter, d.how.helm)
	return workloads, err
}

func (d *database) Restart(ctx context.Context) error {
	workloads, err := d.workloads(ctx)
	if err != nil {
		return err
	}
	return d.Cluster.Restart(ctx, d.Promised.Namespace, workloads)
}

func (d *database) AwaitReady(ctx context.Context, detail func(string)) error {
	workloads, err := d.workloads(ctx)
	if err != nil {
		return err
	}
	return d.Cluster.AwaitReady(ctx, d.Promised.Namespace, workloads, detail)
}

func (d *database) Announce(ctx context.Context, reason, message string) error {
	workloads, err := d.workloads(ctx)
	if err != nil {
		return err
	}
	return d.Cluster.Announce(ctx, d.Promised.Namespace, workloads, reason, message, d.how.now())
}
