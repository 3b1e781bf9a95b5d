// Package platforms is the verb platforms of kubectl confidb, and those below it.
package platforms

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/pkg/machines"
	"github.com/confidb/confidb/pkg/platform"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/flags"
	"github.com/confidb/confidb/plugin/internal/printers"
)

// NewCommand returns the verb that lists the machines with SGX, and those below it.
func NewCommand(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	return NewCommandAt(getter, streams, time.Now, machines.NewPace())
}

// NewCommandAt is NewCommand with a clock; pace says when a watcher looks again.
func NewCommandAt(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams, now func() time.Time, pace machines.Pace) *cobra.Command {
	s := search{getter: getter, streams: streams, now: now, where: *flags.NewPlatforms(os.LookupEnv)}
	w := watcher{pace: pace}
	o := listing{search: s, watcher: w}
	c := &cobra.Command{
		Use:   "platforms",
		Short: "List the machines with SGX and their platform IDs",
		Long: `Lists the nodes with SGX and the platform IDs by which a session admits them.
All sources that there are must agree: the custom resource of LAS, the logs of
the LAS pods, --platforms-file and --quotes. A contradiction, a usable node
without ID, two generations of IDs or an empty list is an error: no list is
printed then.

Columns:
  NODE         name of the node; <none> for an ID of a list, which names no node
  PLATFORM ID  as it is written into platforms: of a session; its beginning and
               end where the whole does not fit (-o wide has it)
  PROVENANCE   quoted: it is in a quote of the node that verifies against
               Intel's collateral. declared: you say so. claimed: the cluster
               says so, which nobody proved; a session still enforces the ID
  STATE        usable, or what keeps enclaves from starting there now; a node
               that is cordoned or down keeps its ID in the list
  GENERATION   (wide) scone-qe up to SCONE 6, intel-qe-id from SCONE 7
  SOURCE       (wide) where the ID was read: quote, file, las-resource, las-log,
               list
  LAS POD      (wide) namespace and name
  SGX RESOURCE (wide) allocatable and capacity
  TCB          (wide) Intel's word for the machine's state, if the ID is quoted

--quotes makes IDs quoted: NODE.bin, NODE.quote or NODE.dat holds a quote of any
enclave on NODE. It proves that there is such a machine; that it is this node is
what the name of your file says. A quote that does not verify, or has another ID
than the cluster claims, is an error. IDs of SCONE up to 6 are in no quote of
Intel's: they can only be claimed or declared.

--watch prints the table, and then a line for each change until you stop it.

-o json, yaml and the templates see kind, origin, simulated, platforms,
withoutSGX, warnings and items with name, usable, reason, platformID,
generation, provenance, sources, lasPods, sgxResources, quote (fmspc, tcbStatus,
evaluationDataNumber), kernelVersion, osImage and bootID. -o session prints the
one line that a session needs.

$PLATFORMS, if it is set, is used like --platform: the cluster is not asked.

` + rightsTable(true) + `
None with --platform. Without get pods/log or list las one source is missing,
and a warning says so.`,
		Example: `  # all machines with SGX
  kubectl confidb platforms

  # the line for a session, of IDs that quotes prove
  kubectl confidb platforms -o session --require-provenance quoted \
    --quotes quotes/ --collateral collateral/

  # a file to review and to compare with later
  kubectl confidb platforms inventory machines.yaml --write
  kubectl confidb platforms --platforms-file machines.yaml`,
		Args: cli.AtMost(0),
		RunE: func(c *cobra.Command, _ []string) error { return o.run(c.Context()) },
	}
	o.addFlags(c.Flags())
	c.AddCommand(newInventory(s), newDiff(s, w), newPlan(s), newApply(s), newRevoked(s))
	return c
}

// rightsTable is the part of the help that says what the cluster must allow.
func rightsTable(watch bool) string {
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

func (o *listing) run(ctx context.Context) (err error) {
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
	found, err := machines.Find(ctx, o.getter, options.Options)
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
	printers.Remark(o.streams.ErrOut, found, options.Origin, o.output)
	return o.print(o.streams, found, options.Origin, options.Simulated)
}

// showContradiction prints the nodes of an inventory that is not fit for use.
func (o *listing) showContradiction(seen *platform.Inventory, simulated bool) error {
	if len(seen.Nodes) == seen.WithoutSGX() {
		return nil
	}
	printers.Remark(o.streams.ErrOut, seen, "", "")
	return o.print(o.streams, seen, "", simulated)
}

// concludeSimulated makes a simulated result a success only if the user says so.
func concludeSimulated(simulated, accepted bool) error {
	if simulated && !accepted {
		return &cli.VerdictError{Code: cli.Simulated}
	}
	return nil
}
