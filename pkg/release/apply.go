package release

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"helm.sh/helm/v3/pkg/action"
	helm "helm.sh/helm/v3/pkg/release"
)

// PendingError means that a release is in the middle of an operation that was
// not ours.
type PendingError struct {
	Namespace, Name, Status string
	Since                   time.Time
}

func (e *PendingError) Error() string {
	return fmt.Sprintf("release %s/%s is %s since %s: another helm is at work, or was killed", e.Namespace, e.Name, e.Status, e.Since.UTC().Format(time.RFC3339))
}

// Hint says how to go on.
func (e *PendingError) Hint() string {
	return fmt.Sprintf("Wait for it; if it was killed: helm rollback %[1]s --namespace %[2]s, or, for a first installation, helm uninstall %[1]s --namespace %[2]s", e.Name, e.Namespace)
}

// ForeignError means that the name belongs to a release of another chart.
type ForeignError struct{ Namespace, Name, Got, Want string }

func (e *ForeignError) Error() string {
	return fmt.Sprintf("release %s/%s exists: got chart %q, want %q", e.Namespace, e.Name, e.Got, e.Want)
}

// Hint says how to go on.
func (e *ForeignError) Hint() string { return "Use another release name." }

// OwnerError means that the release bears the mark of somebody else.
type OwnerError struct{ Namespace, Name string }

func (e *OwnerError) Error() string {
	return fmt.Sprintf("release %s/%s was installed by somebody else, with other keys", e.Namespace, e.Name)
}

// Hint says how to go on.
func (e *OwnerError) Hint() string {
	return "Use another release name; or, if it is yours, set CONFIDB_HOME to the folder with its records."
}

// StatusError means that a release is in a state from which nothing leads on.
type StatusError struct{ Namespace, Name, Got string }

func (e *StatusError) Error() string {
	return fmt.Sprintf("release %s/%s: got status %q, want one that Helm can go on from", e.Namespace, e.Name, e.Got)
}

// Hint says how to go on.
func (e *StatusError) Hint() string {
	return fmt.Sprintf("Look at it: helm status %s --namespace %s", e.Name, e.Namespace)
}

// Apply makes the release what spec and c say, and waits for no pod. It installs
// or upgrades, finishes an uninstallation first, and does nothing when the
// release is deployed with the same chart, values and manifest.
//
// A release that is pending since a moment that ours accepts was left by a run of
// ours that was killed. Its record is then dropped, its resources are taken over,
// and the end is that of a run that was not killed. Resources that the killed run
// made and this spec does not have stay, and Kubernetes may refuse to merge a spec
// that differs from the killed run's. Every other pending release is a PendingError.
func (h *Helm) Apply(ctx context.Context, spec Spec, c *Chart, ours func(pendingSince time.Time) bool) (*Release, error) {
	configuration, err := h.start(ctx)
	if err != nil {
		return nil, err
	}
	last, err := h.existing(configuration, spec, c)
	if err != nil {
		return nil, err
	}
	dropped := false
	if last != nil && last.Info.Status.IsPending() {
		if last, err = h.drop(configuration, last, ours); err != nil {
			return nil, err
		}
		dropped = true
	}
	did, err := h.bring(ctx, configuration, last, dropped, spec, c)
	if err != nil {
		return nil, err
	}
	return h.deployed(configuration, spec.Name, did)
}

// existing is the newest revision of the release, or nil, or an error when it is
// one of another chart.
func (h *Helm) existing(configuration *action.Configuration, spec Spec, c *Chart) (*helm.Release, error) {
	last, err := h.last(configuration, spec.Name)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	case spec.Owner != "" && last.Labels[ownerLabel] != "" && last.Labels[ownerLabel] != spec.Owner:
		return nil, &OwnerError{Namespace: h.namespace, Name: spec.Name}
	case chartName(last) != c.Name:
		return nil, &ForeignError{Namespace: h.namespace, Name: spec.Name, Got: chartName(last), Want: c.Name}
	case last.Info == nil:
		return nil, &StatusError{Namespace: h.namespace, Name: spec.Name}
	}
	return last, nil
}

// drop removes the record of a pending revision that is ours, and returns the
// revision before it, or nil. A rollback is never ours.
func (h *Helm) drop(configuration *action.Configuration, pending *helm.Release, ours func(time.Time) bool) (*helm.Release, error) {
	since := pending.Info.LastDeployed.Time
	if pending.Info.Status == helm.StatusPendingRollback || ours == nil || !ours(since) {
		return nil, &PendingError{Namespace: h.namespace, Name: pending.Name, Status: pending.Info.Status.String(), Since: since}
	}
	if _, err := configuration.Releases.Delete(pending.Name, pending.Version); err != nil {
		return nil, fmt.Errorf("dropping the unfinished revision %d of release %s/%s: %w", pending.Version, h.namespace, pending.Name, err)
	}
	last, err := h.last(configuration, pending.Name)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err == nil && last.Info.Status.IsPending() {
		return h.drop(configuration, last, ours)
	}
	return last, err
}

// upgradable are the states from which Helm upgrades.
func upgradable(status helm.Status) bool {
	return status == helm.StatusDeployed || status == helm.StatusFailed || status == helm.StatusSuperseded
}

// bring leads the release from its newest revision to what spec says. When a
// revision was dropped, the cluster may be half-way to another one, whatever the
// newest revision says: then it is upgraded in any case.
func (h *Helm) bring(ctx context.Context, configuration *action.Configuration, last *helm.Release, dropped bool, spec Spec, c *Chart) (Did, error) {
	install := action.NewInstall(configuration)
	install.CreateNamespace = spec.CreateNamespace
	switch {
	case last == nil:
	case last.Info.Status == helm.StatusUninstalled:
		install.Replace = true // uninstalled with its history kept: go on counting
	case last.Info.Status == helm.StatusUninstalling:
		if err := h.uninstall(configuration, spec.Name, spec.timeout()); err != nil {
			return "", err
		}
	case upgradable(last.Info.Status):
		if last.Info.Status == helm.StatusDeployed && !dropped && !spec.Again {
			if same, err := h.same(ctx, configuration, last, spec, c); same || err != nil {
				return Unchanged, err
			}
		}
		_, err := h.upgrade(ctx, h.newUpgrade(configuration, spec), spec, c)
		return Upgraded, err
	default:
		return "", &StatusError{Namespace: h.namespace, Name: spec.Name, Got: last.Info.Status.String()}
	}
	_, err := h.install(ctx, install, spec, c)
	return Installed, err
}

// deployed reads the release back: Helm only logs when it cannot record that an
// installation has ended.
func (h *Helm) deployed(configuration *action.Configuration, name string, did Did) (*Release, error) {
	last, err := h.last(configuration, name)
	if err != nil {
		return nil, err
	}
	if last.Info.Status != helm.StatusDeployed {
		return nil, fmt.Errorf("recording release %s/%s: got status %q, want %q", h.namespace, name, last.Info.Status, helm.StatusDeployed)
	}
	out := newRelease(last)
	out.Did = did
	return out, nil
}

// same reports whether the deployed revision is what spec and c would make again.
func (h *Helm) same(ctx context.Context, configuration *action.Configuration, last *helm.Release, spec Spec, c *Chart) (bool, error) {
	install := dryInstall(configuration)
	install.IsUpgrade = last.Version > 1
	wanted, err := h.install(ctx, install, spec, c)
	if err != nil {
		return false, err
	}
	if !bytes.Equal(manifests(wanted), manifests(last)) {
		return false, nil
	}
	for _, pair := range [][2]any{{wanted.Chart.Metadata, last.Chart.Metadata}, {notNil(spec.Values), notNil(last.Config)}} {
		equal, err := equalJSON(pair[0], pair[1])
		if err != nil || !equal {
			return false, err
		}
	}
	return true, nil
}

func notNil(values map[string]any) map[string]any {
	if values == nil {
		return map[string]any{}
	}
	return values
}

// equalJSON compares as the release store would: one side comes from there.
func equalJSON(a, b any) (bool, error) {
	one, err := json.Marshal(a)
	if err != nil {
		return false, err
	}
	other, err := json.Marshal(b)
	return bytes.Equal(one, other), err
}
