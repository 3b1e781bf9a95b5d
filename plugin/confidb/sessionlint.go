package confidb

import (
	"context"
	"os"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/verbs"
)

func newSessionLintCommand(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	o := verbs.LintSession{SessionFlags: verbs.SessionFlags{LookupEnv: os.LookupEnv, Now: time.Now}}
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "lint FILE… | --cas ADDRESS NAME…",
		Short: "Find what is dangerous, deprecated or pointless in sessions",
		Long: `Looks at session documents, or at sessions in a CAS that was attested before, and
says for each problem where it is, what to write instead, and where an attack is
explained. Sessions that are given together are also held against each other: what
one exports another should import. The file - is standard input. $VAR in templates
is replaced with --use-env and -e only, as in session create.

A problem is accepted by a comment before or beside what it is about, or at the top
of the file for all of it, until the day that it names:

  # confidb:ignore CDB4005 until=2027-06-30 reason="one operator until then"

Ends with exit code 3 when a problem weighs as much as --fail-on says. With --cas
needs the RBAC verbs of attest cas.`,
		Example: `  kubectl confidb session lint dbsession.yml dbclient.yml --use-env
  kubectl confidb session lint --cas cas:8081 shop/db shop/client --fail-on warning
  kubectl confidb session lint sessions/*.yml -o sarif >lint.sarif`,
		RunE: func(c *cobra.Command, arguments []string) error {
			if err := o.Check(arguments); err != nil {
				return err
			}
			return cli.Bounded(c, timeout, func(ctx context.Context, home string) error {
				o.Home = home
				return o.Run(ctx, getter, streams, arguments)
			})
		},
	}
	o.AddFlags(c.Flags())
	c.Flags().DurationVar(&timeout, "timeout", time.Minute, "how long to wait for a CAS at most")
	return c
}
