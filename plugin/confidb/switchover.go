package confidb

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/rollout"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/printers"
	"github.com/confidb/confidb/plugin/internal/verbs"
)

func newSwitchoverCommand(env *cli.Env) *cobra.Command {
	o := switchover{env: env}
	return env.Command(cli.Verb{Name: "switchover", Args: cli.Exactly(1, "the name of one release"), Flags: o.addFlags, Patience: 3 * time.Minute, Run: o.run})
}

// switchover are the options of a planned change of the primary.
type switchover struct {
	env *cli.Env
	// to is the database that shall be the primary; empty is any other one.
	to string
}

func (o *switchover) addFlags(set *pflag.FlagSet) {
	set.StringVar(&o.to, "to", "", "database that shall be the primary, such as mariadb-1, or its pod (default: the one that is best)")
}

func (o *switchover) run(ctx context.Context, arguments []string) error {
	known, err := verbs.OpenRelease(o.env, arguments[0])
	if err != nil {
		return err
	}
	change := rollout.Switchover{Release: known.Promised, To: o.to, Pods: known.Cluster, Tell: func(text string) { printers.Warn(o.env.ErrOut, text) }}
	if workloads, err := known.Workloads(ctx); err == nil {
		change.Nodes, _ = known.Cluster.Nodes(ctx, known.Promised.Namespace, workloads) // where it may run, if that is known
	}
	primary, err := change.Do(ctx)
	if err == nil {
		fmt.Fprintln(o.env.Out, primary+" is the primary")
	}
	return err
}
