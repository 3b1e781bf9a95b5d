package verbs

import (
	"context"
	"fmt"
	"strings"
	"time"

	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/pkg/deploy"
	"github.com/confidb/confidb/pkg/record"
	"github.com/confidb/confidb/pkg/release"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/plugin/internal/cli"
)

// Uninstall are the options of removing a release.
type Uninstall struct {
	Name string
	Helm release.Settings
	// DryRun is none, client or server; the latter two only look.
	DryRun string
	// Timeout bounds the wait until the objects are gone.
	Timeout time.Duration
	// Home is the folder of the user's records.
	Home string
}

// Run removes the Helm release. Sessions cannot be deleted, so their record stays,
// and so do volumes that a StatefulSet claimed: a later installation of this name
// continues with them.
func (o Uninstall) Run(ctx context.Context, getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) error {
	if err := topology.CheckName(o.Name); err != nil {
		return cli.NewUsageError("%w", err)
	}
	cluster, helm, err := clusterAndHelm(getter, o.Helm)
	if err != nil {
		return err
	}
	site := deploy.Site{Cluster: cluster, Helm: helm, Store: record.Store{Dir: o.Home}}
	known, err := site.Uninstall(ctx, deploy.Uninstall{Name: o.Name, DryRun: deploy.DryRun(o.DryRun), Timeout: o.Timeout})
	if err != nil {
		return err
	}
	return o.tell(streams, known)
}

func (o Uninstall) tell(streams genericiooptions.IOStreams, known *topology.Release) error {
	done := "uninstalled"
	if o.DryRun != DryRunNone {
		done = "would be uninstalled (dry run)"
	}
	if _, err := fmt.Fprintf(streams.Out, "release %q %s\n", o.Name, done); err != nil {
		return err
	}
	var stays strings.Builder
	for _, m := range known.Members {
		fmt.Fprintf(&stays, "  session %s (CAS does not delete sessions)\n", m.Session.Name)
	}
	_, err := fmt.Fprintf(streams.ErrOut, `What stays:
%s  the record of them in %s
  volumes that a StatefulSet claimed: the data, whose keys the sessions hold
Installing %s again continues with all of them.
`, stays.String(), o.Home, o.Name)
	return err
}
