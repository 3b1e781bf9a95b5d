package verbs

import (
	"context"
	"fmt"
	"strings"
	"time"

	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/pkg/kube"
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
	c, err := kube.New(getter)
	if err != nil {
		return err
	}
	id, err := c.ID()
	if err != nil {
		return err
	}
	helm, err := release.New(getter, c.Namespace(), o.Helm)
	if err != nil {
		return err
	}
	store := record.Store{Dir: o.Home}
	unlock, err := store.LockRelease(id, c.Namespace(), o.Name)
	if err != nil {
		return err
	}
	defer unlock()
	found, err := existing(ctx, helm, c.Namespace(), o.Name)
	if err != nil {
		return err
	}
	known, err := store.Earlier(id, c.Namespace(), o.Name)
	if err != nil {
		return err
	}
	if known == nil || known.HelmStarted.IsZero() {
		return &NotOursError{Namespace: c.Namespace(), Name: o.Name, Chart: found.Chart}
	}
	if o.DryRun == DryRunNone {
		if err := o.remove(ctx, helm, store, id, known); err != nil {
			return err
		}
	}
	return o.tell(streams, known)
}

// remove uninstalls, and then forgets that the Helm release is ours: whoever takes
// the name next may be somebody else.
func (o Uninstall) remove(ctx context.Context, helm *release.Helm, store record.Store, clusterID string, known *topology.Release) error {
	if err := helm.Uninstall(ctx, o.Name, o.Timeout); err != nil {
		return err
	}
	known.HelmStarted, known.HelmPending = time.Time{}, false
	if err := store.SaveRelease(clusterID, known); err != nil {
		return fmt.Errorf("keeping the record of the release: %w", err)
	}
	return nil
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

// NotOursError means that this user's records do not know a release as theirs.
type NotOursError struct{ Namespace, Name, Chart string }

func (e *NotOursError) Error() string {
	return fmt.Sprintf("release %s/%s (chart %s) was not installed with the records of this user", e.Namespace, e.Name, e.Chart)
}

// Hint says how to go on.
func (e *NotOursError) Hint() string {
	return fmt.Sprintf("set CONFIDB_HOME to the folder with its records; or remove it with helm uninstall %s --namespace %s", e.Name, e.Namespace)
}
