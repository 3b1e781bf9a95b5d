package confidb

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/flags"
	"github.com/confidb/confidb/plugin/internal/verbs"
)

func newSessionCommand(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	return cli.Group("session", "Create, read, compare and change sessions, the policies that CAS enforces",
		newSessionCreateCommand(getter, streams), newSessionGetCommand(getter, streams), newSessionTemplateCommand(streams), newSessionSchemaCommand(streams),
		newSessionLintCommand(getter, streams), newSessionDiffCommand(getter, streams), newSessionUpdateCommand(getter, streams), newSessionHistoryCommand(getter, streams),
		newSessionPlanCommand(getter, streams), newSessionSignCommand(streams), newSessionApplyCommand(getter, streams))
}

func newSessionCreateCommand(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	o := verbs.CreateSession{SessionFlags: verbs.SessionFlags{LookupEnv: os.LookupEnv, Now: time.Now}}
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "create FILE",
		Short: "Create a session from a template",
		Long: `Fills in the variables of a template as the SCONE CLI does, checks the document and
creates the session at a CAS that was attested before. $NAME and ${NAME} in values
are replaced; $$SCONE::…$$ and \@\@NAME stay. A variable without value is an error
with its place, and nothing is uploaded. When CAS has a session of that name and
meaning already, its hash is printed; another one is an error.

Needs the RBAC verbs of attest cas.`,
		Example: `  kubectl confidb session create dbsession.yml --use-env --name shop/db
  kubectl confidb session create dbsession.yml -e PLATFORMS=INTEL_QE_ID:00… -e DBSESSION=db --dry-run=client`,
		Args: func(c *cobra.Command, arguments []string) error {
			if len(arguments) != 1 {
				return cli.NewUsageError("got %d arguments, want one file, or - (%s --help)", len(arguments), c.CommandPath())
			}
			return nil
		},
		RunE: func(c *cobra.Command, arguments []string) error {
			o.File = arguments[0]
			if err := flags.CheckDryRun(o.DryRun); err != nil {
				return err
			}
			return cli.Bounded(c, timeout, func(ctx context.Context, home string) error {
				o.Home = home
				return o.Run(ctx, getter, streams)
			})
		},
	}
	o.AddTemplateFlags(c.Flags())
	flags.AddDryRun(c.Flags(), &o.DryRun, "none, client (print the document) or server (ask CAS; create nothing)")
	c.Flags().DurationVar(&timeout, "timeout", time.Minute, "how long to wait at most")
	return c
}

func newSessionGetCommand(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	o := verbs.GetSession{SessionFlags: verbs.SessionFlags{LookupEnv: os.LookupEnv, Now: time.Now}}
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "get NAME",
		Short: "Print a session as CAS holds it",
		Long: `Reads a session from a CAS that was attested before. Generated secrets are not part
of it: CAS gives those to enclaves only. A session in which somebody wrote secrets
is not shown.

Needs the RBAC verbs of attest cas.`,
		Example: "  kubectl confidb session get shop/db -o json",
		Args: func(c *cobra.Command, arguments []string) error {
			if len(arguments) != 1 {
				return cli.NewUsageError("got %d arguments, want the name of one session (%s --help)", len(arguments), c.CommandPath())
			}
			return nil
		},
		RunE: func(c *cobra.Command, arguments []string) error {
			o.Name = arguments[0]
			if !slices.Contains([]string{"", "yaml", "json"}, o.Output) {
				return cli.NewUsageError("-o: got %q, want yaml or json", o.Output)
			}
			return cli.Bounded(c, timeout, func(ctx context.Context, home string) error {
				o.Home = home
				return o.Run(ctx, getter, streams)
			})
		},
	}
	o.AddFlags(c.Flags())
	c.Flags().StringVarP(&o.Output, "output", "o", "", "output format: yaml (default) or json")
	c.Flags().DurationVar(&timeout, "timeout", time.Minute, "how long to wait at most")
	return c
}

func newSessionTemplateCommand(streams genericiooptions.IOStreams) *cobra.Command {
	names := []string{"namespace", "client", "database"}
	return &cobra.Command{
		Use:       "template namespace|client|database",
		Short:     "Print one of the templates that install uses",
		ValidArgs: names,
		Args: func(c *cobra.Command, arguments []string) error {
			if len(arguments) != 1 || !slices.Contains(names, arguments[0]) {
				return cli.NewUsageError("got %q, want namespace, client or database (%s --help)", arguments, c.CommandPath())
			}
			return nil
		},
		RunE: func(_ *cobra.Command, arguments []string) error {
			text, err := topology.Template(arguments[0])
			if err != nil {
				return fmt.Errorf("reading the template: %w", err)
			}
			_, err = streams.Out.Write(text)
			return err
		},
	}
}

func newSessionSchemaCommand(streams genericiooptions.IOStreams) *cobra.Command {
	return &cobra.Command{
		Use:     "schema",
		Short:   "Print a JSON Schema of the session language, for editors",
		Example: "  kubectl confidb session schema >session.schema.json",
		Args:    cli.AtMost(0),
		RunE: func(*cobra.Command, []string) error {
			_, err := streams.Out.Write(session.Schema())
			return err
		},
	}
}
