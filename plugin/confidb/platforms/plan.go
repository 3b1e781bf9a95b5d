package platforms

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/change"
	"github.com/confidb/confidb/pkg/rollout"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/flags"
	"github.com/confidb/confidb/plugin/internal/printers"
)

func newPlan(s search) *cobra.Command {
	o := planning{search: s}
	return s.verb("plan", cli.Exactly(1, "the name of one release"), time.Minute, o.addFlags, o.run)
}

// planning writes down what makes the sessions of a release admit the machines of today.
type planning struct {
	search
	plan   flags.Plan
	output string
}

func (o *planning) addFlags(set *pflag.FlagSet) {
	o.search.addFlags(set)
	o.plan.AddFlags(set)
	cli.AddOutput(set, &o.output)
}

func (o *planning) run(ctx context.Context, arguments []string) error {
	if err := o.plan.Check(); err != nil {
		return err
	}
	return o.with(ctx, arguments[0], func(m *move) error { return o.write(ctx, m) })
}

// write prints a plan, and writes it down unless it would do nothing.
func (o *planning) write(ctx context.Context, m *move) error {
	after, err := o.ids(ctx, m)
	if err != nil {
		return err
	}
	plan, err := rollout.PlanPlatforms(ctx, m.Client, m.ID, m.Promised, after)
	if err != nil {
		return err
	}
	if err := printers.Print(o.Out, o.output, printers.NewPlatformsPlan(plan, m.Appraisal.Simulated)); err != nil {
		return err
	}
	if plan.Empty() {
		fmt.Fprintf(o.ErrOut, "release %s/%s: the sessions admit these machines already\n", plan.Namespace, plan.Name)
		return nil
	}
	return o.plan.Write(o.Env, plan, "{platforms apply "+plan.Name+" FILE}")
}

func newApply(s search) *cobra.Command {
	o := application{search: s}
	return s.verb("apply", cli.Exactly(2, "a release and a plan"), 15*time.Minute, o.addFlags, o.run)
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
func (o *application) run(ctx context.Context, arguments []string) error {
	plan, err := flags.ReadPlan(arguments[1], change.ReadPlatformsPlan)
	if err != nil {
		return err
	}
	progress := o.Progress()
	defer progress.Done()
	progress.Step("attesting the CAS, and comparing the machines with the plan")
	return o.with(ctx, arguments[0], func(m *move) error { return o.apply(ctx, m, plan, progress) })
}

func (o *application) apply(ctx context.Context, m *move, plan *change.PlatformsPlan, progress *cli.Progress) error {
	now, err := o.ids(ctx, m)
	if err != nil {
		return err
	}
	moving := rollout.Platforms{
		CAS: m.Client, Cluster: m.pods, Store: m.Store, Progress: progress,
		ClusterID: m.ID, Release: m.Promised, NoRestart: o.noRestart, Patience: o.patience,
	}
	return moving.Apply(ctx, plan, now)
}
