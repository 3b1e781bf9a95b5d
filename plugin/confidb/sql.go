package confidb

import (
	"os"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/verbs"
)

func newSQLCommand(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	o := verbs.SQL{}
	c := &cobra.Command{
		Use:   "sql NAME [-- -e STATEMENT]",
		Short: "Open a shell at the database, as the attested client",
		Long: `Starts mariadb as an enclave under the client session and connects it to this
terminal, or runs one statement. The client checks that it speaks to the database
of the session. What you type and see passes through the Kubernetes API server in
clear; the connection from the client to the database does not.

Needs the RBAC verbs, in the namespace: list secrets, get statefulsets, create and
delete jobs, list and watch pods, create pods/attach, get pods/log.`,
		Example: `  kubectl confidb sql db1
  kubectl confidb sql db1 -- -e 'select 1'
  kubectl confidb sql db1 <script.sql`,
		Args: func(c *cobra.Command, arguments []string) error {
			if dash := c.ArgsLenAtDash(); len(arguments) == 0 || dash == 0 || dash > 1 || dash < 0 && len(arguments) > 1 {
				return cli.NewUsageError("got %q, want the name of one release, and after -- perhaps -e STATEMENT (%s --help)", arguments, c.CommandPath())
			}
			return nil
		},
		RunE: func(c *cobra.Command, arguments []string) error {
			o.Name, o.Arguments = arguments[0], arguments[1:]
			var err error
			if o.Home, err = cli.Home(os.LookupEnv); err != nil {
				return err
			}
			return o.Run(c.Context(), getter, streams)
		},
	}
	c.Flags().DurationVar(&o.Lifetime, "lifetime", time.Hour, "end the client after this time")
	return c
}

func newEnvCommand(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	o := verbs.Env{}
	return &cobra.Command{
		Use:   "env NAME",
		Short: "Print a release's names as variables for scripts",
		Long: `Prints SCONE_CAS_ADDR, CAS_MRENCLAVE, DBSESSION, DBCLIENT and PLATFORMS of a release,
the variables of SCONE's own recipe. None of them is a secret.

Needs no RBAC verb.`,
		Example: `  eval "$(kubectl confidb env db1)"`,
		Args:    cli.Exactly(1, "the name of one release"),
		RunE: func(_ *cobra.Command, arguments []string) error {
			o.Name = arguments[0]
			var err error
			if o.Home, err = cli.Home(os.LookupEnv); err != nil {
				return err
			}
			return o.Run(getter, streams)
		},
	}
}
