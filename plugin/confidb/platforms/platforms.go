// Package platforms is the verb platforms of kubectl confidb, and those below it.
package platforms

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/machines"
	"github.com/confidb/confidb/pkg/platform"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/flags"
	"github.com/confidb/confidb/plugin/internal/printers"
)

// NewCommand returns the verb that lists the machines with SGX, and those below it.
func NewCommand(env *cli.Env) *cobra.Command { return NewCommandAt(env, machines.NewPace()) }

// NewCommandAt is NewCommand with a pace that says when a watcher looks again.
func NewCommandAt(env *cli.Env, pace machines.Pace) *cobra.Command {
	s := search{env: env, where: *flags.NewPlatforms(env.LookupEnv)}
	w := watcher{pace: pace}
	o := listing{search: s, watcher: w}
	c := env.Command(cli.Verb{Name: "platforms", Args: cli.AtMost(0), Flags: o.addFlags, Run: o.run})
	c.AddCommand(newInventory(s), newDiff(s, w), newPlan(s), newApply(s), newRevoked(s))
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
	search
	watcher
	// output is one of printers.PlatformFormats, or empty for the table.
	output          string
	acceptSimulated bool
	print           printers.PrintPlatforms
}

func (o *listing) addFlags(set *pflag.FlagSet) {
	o.search.addFlags(set)
	o.watcher.addFlags(set)
	set.StringVarP(&o.output, "output", "o", "", "output format: wide, json, yaml, name, session, jsonpath=…, go-template=… or custom-columns=… (default: a table)")
	set.BoolVar(&o.acceptSimulated, "accept-simulated", false, "exit 0 also when quotes do not rest on Intel's root")
}

func (o *listing) run(ctx context.Context, _ []string) (err error) {
	if o.print, err = printers.Platforms(o.output); err != nil {
		return err
	}
	list := o.list
	if o.watch {
		list = o.follow
	}
	options, err := list(ctx)
	if err != nil {
		return err
	}
	return concludeSimulated(options.Simulated, o.acceptSimulated)
}

// list prints the machines and their platform IDs. If they contradict each other the
// table is printed too, because it shows where, but no other format is.
func (o *listing) list(ctx context.Context) (flags.PlatformOptions, error) {
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	options, err := o.resolve(ctx, "")
	if err != nil {
		return options, err
	}
	found, err := machines.Find(ctx, o.env.Getter, options.Options)
	var inconsistent *platform.InconsistentError
	if errors.As(err, &inconsistent) && (o.output == "" || o.output == "wide") {
		return options, errors.Join(o.showContradiction(inconsistent.Seen, options.Simulated), err)
	}
	if err != nil {
		return options, err
	}
	return options, o.show(found, options)
}

func (o *listing) show(found *platform.Inventory, options flags.PlatformOptions) error {
	printers.Remark(o.env.ErrOut, found, options.Origin, o.output)
	return o.print(o.env.IOStreams, found, options.Origin, options.Simulated)
}

// showContradiction prints the nodes of an inventory that is not fit for use.
func (o *listing) showContradiction(seen *platform.Inventory, simulated bool) error {
	if len(seen.Nodes) == seen.WithoutSGX() {
		return nil
	}
	printers.Remark(o.env.ErrOut, seen, "", "")
	return o.print(o.env.IOStreams, seen, "", simulated)
}

// concludeSimulated makes a simulated result a success only if the user says so.
func concludeSimulated(simulated, accepted bool) error {
	if simulated && !accepted {
		return &cli.VerdictError{Code: cli.Simulated}
	}
	return nil
}
