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
	"github.com/confidb/confidb/plugin/internal/flags"
	"github.com/confidb/confidb/plugin/internal/printers"
)

func newPlan(s search) *cobra.Command {
	o := planning{search: s}
	return cli.Timed(&cobra.Command{
		Use:   "plan NAME --to PLAN",
		Short: "Plan that a release's sessions admit the machines of today",
		Long: `Compares the machines with the two sessions of a release, attests the CAS, and writes
the update of both sessions to a file for review. Nothing is changed. A session that
somebody else changed in CAS is refused.

Needs the RBAC verbs of platforms and of attest cas.`,
		Example: "  kubectl confidb platforms plan db1 --to plan.json",
		Args:    cli.Exactly(1, "the name of one release"),
	}, time.Minute, &o.output, o.addFlags, func(ctx context.Context, home string, arguments []string) error {
		return o.run(ctx, home, arguments[0])
	})
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
	flags.AddOutput(set, &o.output)
}

func (o *planning) run(ctx context.Context, home, name string) error {
	if o.to == "" {
		return cli.NewUsageError("--to: want the file for the plan")
	}
	m, err := o.open(ctx, home, name)
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
	if err := printers.Print(o.streams.Out, o.output, printers.NewPlatformsPlan(plan, m.Appraisal.Simulated)); err != nil {
		return err
	}
	if plan.Empty() {
		fmt.Fprintf(o.streams.ErrOut, "release %s/%s: the sessions admit these machines already\n", plan.Namespace, plan.Name)
		return nil
	}
	if err := files.ReplaceJSON(o.to, plan, files.Private); err != nil {
		return err
	}
	fmt.Fprintf(o.streams.ErrOut, "wrote %s; next: kubectl confidb platforms apply %s %s\n", o.to, name, o.to)
	return nil
}
