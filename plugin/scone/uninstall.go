package scone

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/deploy"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/flags"
	"github.com/confidb/confidb/plugin/internal/verbs"
)

func newUninstallCommand(env *cli.Env) *cobra.Command {
	o := uninstall{env: env}
	return env.Command(cli.Verb{Name: "uninstall", Args: cli.Exactly(1, "the name of one release"), Patience: 5 * time.Minute, Run: o.run, Flags: func(set *pflag.FlagSet) {
		flags.AddDryRun(set, &o.dryRun, "none, client or server: say what would be removed; both look whether the release exists")
	}})
}

// uninstall are the options of removing a release.
type uninstall struct {
	env    *cli.Env
	dryRun string
}

// run removes the Helm release. Sessions cannot be deleted, so their record stays,
// and so do volumes that a StatefulSet claimed: a later installation of this name
// continues with them.
func (o *uninstall) run(ctx context.Context, arguments []string) error {
	name := arguments[0]
	if err := topology.CheckName(name); err != nil {
		return cli.NewUsageError("%w", err)
	}
	p, err := verbs.Open(o.env)
	if err != nil {
		return err
	}
	site := deploy.Site{Cluster: p.Cluster, Helm: p.Helm, Store: p.Store, Owner: func() (string, error) { return p.Store.Owner(o.env.Now()) }}
	until, _ := ctx.Deadline()
	known, err := site.Uninstall(ctx, deploy.Uninstall{Name: name, DryRun: deploy.DryRun(o.dryRun), Timeout: until.Sub(o.env.Now())})
	if err != nil {
		return err
	}
	return o.tell(known, p.Store.Dir)
}

func (o *uninstall) tell(known *topology.Release, home string) error {
	done := "uninstalled"
	if o.dryRun != string(deploy.None) {
		done = "would be uninstalled (dry run)"
	}
	if _, err := fmt.Fprintf(o.env.Out, "release %q %s\n", known.Name, done); err != nil {
		return err
	}
	var stays strings.Builder
	for _, m := range known.Members {
		fmt.Fprintf(&stays, "  session %s (CAS does not delete sessions)\n", m.Session.Name)
	}
	_, err := fmt.Fprintf(o.env.ErrOut, `What stays:
%s  the record of them in %s
  volumes that a StatefulSet claimed: the data, whose keys the sessions hold
Installing %s again continues with all of them.
`, stays.String(), home, known.Name)
	return err
}
