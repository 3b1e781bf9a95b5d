package release

import (
	"context"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/kube"
	"helm.sh/helm/v3/pkg/storage/driver"
)

// NewWith returns a Helm that keeps releases in the given records and talks to the
// given client instead of a cluster.
func NewWith(namespace string, settings Settings, records driver.Driver, client kube.Interface, capabilities *chartutil.Capabilities) *Helm {
	open := func() (driver.Driver, kube.Interface, error) { return records, client, nil }
	return &Helm{namespace: namespace, settings: settings, open: open, capabilities: capabilities}
}

// Configuration is what an operation of h works with.
func (h *Helm) Configuration(ctx context.Context) (*action.Configuration, error) { return h.start(ctx) }
