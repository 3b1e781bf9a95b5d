// Package platforms is the verb platforms of kubectl confidb, and those below it.
package platforms

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/machines"
	"github.com/confidb/confidb/pkg/platform"
	"github.com/confidb/confidb/pkg/watch"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/flags"
	"github.com/confidb/confidb/plugin/internal/printers"
)

// NewCommand returns the verb that lists the machines with SGX, and those below it.
func NewCommand(env *cli.Env) *cobra.Command { return NewCommandAt(env, machines.NewPace()) }

// NewCommandAt is NewCommand with a pace that says when a watcher looks again.
func NewCommandAt(env *cli.Env, pace machines.Pace) *cobra.Command {
	s := search{Env: env, where: flags.Platforms{LookupEnv: env.LookupEnv}}
	w := watcher{search: s, pace: pace}
	o := listing{watcher: w}
	c := env.Command(cli.Verb{Name: "platforms", Args: cli.AtMost(0), Flags: o.addFlags, Run: o.run})
	c.AddCommand(newInventory(s), newDiff(w), newPlan(s), newApply(s), newRevoked(s))
	return c
}

// RightsTable is the part of the help that says what the cluster must allow.
func RightsTable(watch bool) string {
	var b strings.Builder
	b.WriteString("Needs in the whole cluster (RBAC):\n")
	for _, r := range platform.Rights(false) {
		resource := r.Resource
		if r.Group != "" {
			resource += "." + r.Group
		}
		fmt.Fprintf(&b, "  %-5s %-21s %s\n", strings.Join(r.Verbs, ", "), resource, r.For)
	}
	if watch {
		fmt.Fprintf(&b, "  %-5s %-21s %s\n", "watch", "nodes", "only with --watch")
	}
	return b.String()
}

// listing prints the machines with SGX.
type listing struct {
	watcher
	// output is one of printers.PlatformFormats, or empty for the table.
	output          string
	acceptSimulated bool
	print           printers.PrintPlatforms
	options         machines.Options
}

func (o *listing) addFlags(set *pflag.FlagSet) {
	o.watcher.addFlags(set)
	set.StringVarP(&o.output, "output", "o", "",
		"output format: wide, json, yaml, name, session, jsonpath=…, go-template=… or custom-columns=… (default: a table)")
	set.BoolVar(&o.acceptSimulated, "accept-simulated", false, "exit 0 also when quotes do not rest on Intel's root")
}

func (o *listing) run(ctx context.Context, _ []string) (err error) {
	if o.print, err = printers.Platforms(o.output); err != nil {
		return err
	}
	return o.begin(ctx, o.output, o.list)
}

func (o *listing) list(ctx context.Context) (err error) {
	if o.options, err = o.resolve(ctx, ""); err != nil {
		return err
	}
	if o.watch && len(o.options.IDs) > 0 {
		return cli.NewUsageError("--watch: want it without a list of platform IDs (from %s): the cluster is not asked then", o.options.Origin)
	}
	if err := o.follow(ctx, o.look); err != nil {
		return err
	}
	return cli.Conclude(check.Affirming, o.options.Simulated, o.acceptSimulated)
}

// look shows the machines and their platform IDs. A list of machines that contradict each
// other is not fit for use, so that it is an error unless changes of it are watched.
func (o *listing) look(ctx context.Context, first bool) (watch.Picture, error) {
	var tolerated []platform.ProblemKind
	if o.watch {
		tolerated = platform.ProblemKinds()
	}
	found, err := machines.Find(ctx, o.Getter, o.options, tolerated...)
	if err != nil {
		return nil, o.showContradiction(err)
	}
	if first {
		printers.Remark(o.ErrOut, found, o.options.Origin, o.output)
		err = o.print(o.IOStreams, found, o.options.Origin, o.options.Simulated)
	}
	return watch.Machines(found), err
}

// showContradiction prints the table also of machines that contradict each other, because
// it shows where, but no other format.
func (o *listing) showContradiction(err error) error {
	e, ok := errors.AsType[*platform.InconsistentError](err)
	if !ok || !slices.Contains([]string{"", "wide"}, o.output) || len(e.Seen.Nodes) == e.Seen.WithoutSGX() {
		return err
	}
	printers.Remark(o.ErrOut, e.Seen, "", "")
	return errors.Join(o.print(o.IOStreams, e.Seen, "", o.options.Simulated), err)
}
