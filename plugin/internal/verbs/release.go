package verbs

import (
	"context"

	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/confidb/confidb/pkg/kube"
	"github.com/confidb/confidb/pkg/record"
	"github.com/confidb/confidb/pkg/release"
	"github.com/confidb/confidb/pkg/topology"
)

// OpenedRelease is a release that this user installed.
type OpenedRelease struct {
	Cluster  *kube.Cluster
	Store    record.Store
	Promised *topology.Release
}

// OpenRelease reads what was promised for a release. It asks the cluster nothing.
func OpenRelease(getter genericclioptions.RESTClientGetter, home, name string) (*OpenedRelease, error) {
	c, err := kube.New(getter)
	if err != nil {
		return nil, err
	}
	id, err := c.ID()
	if err != nil {
		return nil, err
	}
	store := record.Store{Dir: home}
	promised, err := store.Promised(id, c.Namespace(), name)
	if err != nil {
		return nil, err
	}
	return &OpenedRelease{c, store, promised}, nil
}

// Installed reads what Helm has of a release, and what makes its pods.
func (o *OpenedRelease) Installed(ctx context.Context, getter genericclioptions.RESTClientGetter, settings release.Settings) (*release.Release, []topology.Workload, error) {
	helm, err := release.New(getter, o.Promised.Namespace, settings)
	if err != nil {
		return nil, nil, err
	}
	r, err := helm.Get(ctx, o.Promised.Name)
	if err != nil {
		return nil, nil, err
	}
	workloads, err := topology.Workloads([]byte(r.Manifest))
	return r, workloads, err
}
