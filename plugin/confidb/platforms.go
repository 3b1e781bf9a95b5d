package confidb

import (
	"context"
	"os"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/plugin/internal/verbs"
)

func newPlatformsCommand(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	o := verbs.Platforms{Flags: verbs.NewPlatformFlags(os.LookupEnv)}
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "platforms",
		Short: "List the machines with SGX and their platform IDs",
		Long: `Lists the nodes with SGX and the platform IDs by which a session admits them.
All sources that there are must agree: the custom resource of LAS, the logs of
the LAS pods and --platforms-file. A contradiction, a usable node without ID, two
generations of IDs or an empty list is an error: no list is printed then.

Columns:
  NODE         name of the node; <none> for an ID of a list, which names no node
  PLATFORM ID  as it is written into platforms: of a session
  GENERATION   scone-qe up to SCONE 6, intel-qe-id from SCONE 7
  PROVENANCE   declared: you say so. claimed: the cluster says so, which nobody
               proved; a session that admits the ID still enforces it
  STATE        usable, or what keeps enclaves from starting there now; a node
               that is cordoned or down keeps its ID in the list
  SOURCE       (wide) where the ID was read: file, las-resource, las-log, list
  LAS POD      (wide) namespace and name
  SGX RESOURCE (wide) allocatable and capacity

-o json, yaml and the templates see kind, origin, platforms, withoutSGX, warnings
and items with name, usable, reason, platformID, generation, provenance, sources,
lasPods, sgxResources. -o session prints the one line that a session needs.

$PLATFORMS, if it is set, is used like --platform: the cluster is not asked.

Needs the RBAC verbs, in the whole cluster: list nodes, list pods, get pods/log,
list las.base.scone.cloud. None with --platform. Without get pods/log or without
list las one source is missing, and a warning says so.`,
		Example: `  # all machines with SGX
  kubectl confidb platforms

  # the line for a session
  kubectl confidb platforms -o session

  # a file to compare with later, then the comparison
  kubectl confidb platforms -o jsonpath='{range .items[*]}{.name} {.platformID}{"\n"}{end}' >platforms.txt
  kubectl confidb platforms --platforms-file platforms.txt`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(c.Context(), timeout)
			defer cancel()
			return o.Run(ctx, getter, streams)
		},
	}
	o.Flags.AddFlags(c.Flags())
	c.Flags().StringVarP(&o.Output, "output", "o", "", "output format: wide, json, yaml, name, session, jsonpath=…, go-template=… or custom-columns=… (default: a table)")
	c.Flags().DurationVar(&timeout, "timeout", time.Minute, "how long to wait at most")
	return c
}
