package platforms

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/files"
	"github.com/confidb/confidb/pkg/rollout"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/printers"
)

func newPlan(s search) *cobra.Command {
	o := planning{search: s}
	return s.env.Command(cli.Verb{Name: "platforms plan", Args: cli.Exactly(1, "the name of one release"), Patience: time.Minute, Flags: o.addFlags, Run: func(ctx context.Context, arguments []string) error {
		return o.run(ctx, arguments[0])
	}})
}

// planning writes down what makes the sessions of a release admit the machines of today.
type planning struct {
	search
	// to is the file of the plan.
	to, output string
}

func (o *planning) addFlags(set *pflag.FlagSet) {
	o.search.addFlags(set)
	set.StringVar(&o.to, "to", "", "file for the plan (required)")
	cli.AddOutput(set, &o.output)
}

func (o *planning) run(ctx context.Context, name string) error {
	if o.to == "" {
		return cli.NewUsageError("--to: want the file for the plan")
	}
	m, err := o.open(ctx, name)
	if err != nil {
		return err
	}
	defer m.close()
	after, err := o.ids(ctx, m)
	if err != nil {
		return err
	}
	plan, err := rollout.PlanPlatforms(ctx, m.Client, m.id, m.Promised, after)
	if err != nil {
		return err
	}
	if err := printers.Print(o.env.Out, o.output, printers.NewPlatformsPlan(plan, m.Appraisal.Simulated)); err != nil {
		return err
	}
	if plan.Empty() {
		fmt.Fprintf(o.env.ErrOut, "release %s/%s: the sessions admit these machines already\n", plan.Namespace, plan.Name)
		return nil
	}
	if err := files.ReplaceJSON(o.to, plan, files.Private); err != nil {
		return err
	}
	fmt.Fprintf(o.env.ErrOut, "wrote %s; next: kubectl confidb platforms apply %s %s\n", o.to, name, o.to)
	return nil
}
