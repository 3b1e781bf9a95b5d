package release

import "helm.sh/helm/v3/pkg/action"

// NewWith returns a Helm on the given configurations instead of a cluster.
func NewWith(namespace string, settings Settings, configuration func() (*action.Configuration, error)) *Helm {
	return &Helm{namespace: namespace, settings: settings, configuration: configuration}
}

// Configuration is what the operations of h work with.
func (h *Helm) Configuration() (*action.Configuration, error) { return h.configuration() }
