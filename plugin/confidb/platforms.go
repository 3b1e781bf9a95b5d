package confidb

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/pkg/machines"
	"github.com/confidb/confidb/pkg/platform"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/flags"
	"github.com/confidb/confidb/plugin/internal/verbs"
)

func newPlatformsCommand(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	o := verbs.Platforms{Flags: verbs.NewPlatformFlags(os.LookupEnv), Now: time.Now, Pace: machines.NewPace()}
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
		RunE: func(c *cobra.Command, _ []string) error {
			return o.Run(c.Context(), getter, streams)
		},
	}
	o.Flags.AddFlags(c.Flags())
	c.Flags().StringVarP(&o.Output, "output", "o", "", "output format: wide, json, yaml, name, session, jsonpath=…, go-template=… or custom-columns=… (default: a table)")
	o.Quotes.AddFlags(c.Flags())
	c.Flags().BoolVar(&o.AcceptSimulated, "accept-simulated", false, "exit 0 also when quotes do not rest on Intel's root")
	c.Flags().BoolVarP(&o.Watch, "watch", "w", false, "go on, and print a line for each change")
	c.Flags().DurationVar(&o.Timeout, "timeout", time.Minute, "how long to wait at most; with --watch, for each look")
	c.AddCommand(newPlatformsInventoryCommand(getter, streams), newPlatformsDiffCommand(getter, streams),
		newPlatformsPlanCommand(getter, streams), newPlatformsApplyCommand(getter, streams),
		newPlatformsRevokedCommand(getter, streams))
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

func newPlatformsInventoryCommand(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	o := verbs.PlatformsInventory{Flags: verbs.NewPlatformFlags(os.LookupEnv), Now: time.Now}
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "inventory FILE",
		Short: "Merge the machines that are seen now into a file to review",
		Long: `Prints how the machines of the cluster differ from those in FILE, and with
--write brings FILE up to date. It is YAML (kind confidb.inventory/v1), sorted
and the same at each run of a day: keep it in git, and review what changes. A
file that is not there yet is empty. A node that is gone is not deleted, but
marked as retired.

What must not happen unseen has to be accepted by name, with --accept-change
NODE: a node with another platform ID, and an ID that another node has or had.
Until then nothing is written, and the exit code is 3.

provenance is the strongest by which this ID of the node was ever known; an ID
that was quoted once stays quoted. FILE itself is no source here, so what the
cluster claims stays claimed. As --platforms-file of the other commands it is
one: its IDs are then declared.

` + rightsTable(false),
		Example: `  kubectl confidb platforms inventory machines.yaml
  kubectl confidb platforms inventory machines.yaml --write \
    --quotes quotes/ --collateral collateral/
  kubectl confidb platforms inventory machines.yaml --write --accept-change n3`,
		Args: cli.Exactly(1, "the name of one file"),
		RunE: func(c *cobra.Command, arguments []string) error {
			o.File = arguments[0]
			return cli.Bounded(c, timeout, func(ctx context.Context, _ string) error { return o.Run(ctx, getter, streams) })
		},
	}
	o.Flags.AddFlags(c.Flags())
	o.Quotes.AddFlags(c.Flags())
	c.Flags().BoolVar(&o.Write, "write", false, "replace FILE")
	c.Flags().StringArrayVar(&o.AcceptChange, "accept-change", nil, "node whose new identity is right; repeat it for more")
	c.Flags().BoolVar(&o.AcceptSimulated, "accept-simulated", false, "write, and exit 0, also when quotes do not rest on Intel's root")
	c.Flags().DurationVar(&timeout, "timeout", time.Minute, "how long to wait at most")
	return c
}

func newPlatformsDiffCommand(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	o := verbs.PlatformsDiff{Flags: verbs.NewPlatformFlags(os.LookupEnv), Now: time.Now, Pace: machines.NewPace()}
	c := &cobra.Command{
		Use:   "diff NAME",
		Short: "Compare the machines with what the sessions of a release admit",
		Long: `Compares the nodes with SGX as they are now, and an inventory if there is one,
with what both sessions of release NAME admit in CAS, which is attested first.

Work to be done (exit 4):
  added          no session admits the node yet
  unlisted       the inventory does not have the node, or has it as retired
  renamed        the inventory has the machine under the name of a node that is
                 gone
  unknown        no source knows the ID of the node
  unattributed   the admitted ID may be that of a node whose ID is not known
Not as promised (exit 3):
  removed        sessions admit a machine that is no node: a way in for old ones
  id-changed     the node has another ID than in the inventory: microcode, LAS
                 or an SGX reset, or another machine under the name
  cloned         several nodes have one ID
  contradiction  the sources of IDs contradict each other
  generation     there are IDs of SCONE 6 and of SCONE 7
  out-of-step    some services admit the machine and others do not
  open           a service names no machine
Nothing of that: exit 0.

Sessions have IDs and no names: only with --inventory is it known which node a
removed ID was, and that a node has a new one.

` + rightsTable(true) + `
And what attest cas needs, if the CAS is reached through the cluster.`,
		Example: `  kubectl confidb platforms diff db1 --inventory machines.yaml
  kubectl confidb platforms diff db1 -o json | jq .changes
  kubectl confidb platforms diff db1 --watch`,
		Args: cli.Exactly(1, "the name of one release"),
		RunE: func(c *cobra.Command, arguments []string) error {
			if err := cli.CheckFormat(o.Output); err != nil {
				return err
			}
			home, err := cli.Home(os.LookupEnv)
			if err != nil {
				return err
			}
			o.Name, o.Home = arguments[0], home
			return o.Run(c.Context(), getter, streams)
		},
	}
	o.Flags.AddFlags(c.Flags())
	o.Quotes.AddFlags(c.Flags())
	flags.AddResult(c.Flags(), &o.Output, &o.AcceptSimulated)
	c.Flags().StringVar(&o.Inventory, "inventory", "", "file of platforms inventory to compare with as well")
	c.Flags().BoolVarP(&o.Watch, "watch", "w", false, "go on, and print a line for each change")
	c.Flags().DurationVar(&o.Timeout, "timeout", time.Minute, "how long to wait at most; with --watch, for each look")
	return c
}
