package verbs

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/deploy"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/flags"
	"github.com/confidb/confidb/plugin/internal/printers"
)

// templateTimeout bounds the fetching of a chart and of values.
const templateTimeout = 5 * time.Minute

// NewTemplate returns the command that prints the manifests which install would send.
func NewTemplate(env *cli.Env, arguments cobra.PositionalArgs) *cobra.Command {
	o := newInstall(env)
	return env.Command(cli.Verb{Name: "template", Args: arguments, Run: o.template, Flags: func(set *pflag.FlagSet) {
		o.addFlags(set)
		o.What.AddSessionsFlag(set)
	}})
}

// template prints the manifests that run would send, and no session.
func (o *Install) template(ctx context.Context, arguments []string) error {
	ctx, cancel := context.WithTimeout(ctx, templateTimeout)
	defer cancel()
	name, site, err := o.site(arguments, nil)
	if err != nil {
		return err
	}
	manifests, err := site.Template(ctx, deploy.Template{Name: name, CAS: flags.DefaultCAS, Inputs: o.names})
	if err != nil {
		return err
	}
	if manifests.Invented {
		printers.Warn(o.env.ErrOut, "the name of the database session is made up, and differs the next time: nothing is installed yet")
		fmt.Fprintln(o.env.ErrOut, "hint: name it with --database-session or $DBSESSION")
	}
	_, err = o.env.Out.Write(manifests.Text)
	return err
}

// names are as much of the inputs as manifests show.
func (o *Install) names(earlier *topology.Release) (*deploy.Inputs, error) {
	in, err := o.What.Names(earlier)
	if err != nil {
		return nil, err
	}
	in.Plan.CASAddress, _ = o.trust.Address()
	return in, nil
}
