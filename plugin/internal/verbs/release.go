package verbs

import (
	"context"
	"time"

	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/confidb/confidb/pkg/kube"
	"github.com/confidb/confidb/pkg/record"
	"github.com/confidb/confidb/pkg/release"
	"github.com/confidb/confidb/pkg/topology"
)

// probeLifetime bounds one run of the attested client.
const probeLifetime = 4 * time.Minute

// openedRelease is a release that this user installed.
type openedRelease struct {
	cluster  *kube.Cluster
	store    record.Store
	promised *topology.Release
}

func openRelease(getter genericclioptions.RESTClientGetter, home, name string) (*openedRelease, error) {
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
	return &openedRelease{c, store, promised}, nil
}

// UnknownReleaseError is that of the records.
type UnknownReleaseError = record.UnknownReleaseError

// release reads what Helm has of a release, and what makes its pods.
func (o *openedRelease) release(ctx context.Context, getter genericclioptions.RESTClientGetter, settings release.Settings) (*release.Release, []topology.Workload, error) {
	helm, err := release.New(getter, o.promised.Namespace, settings)
	if err != nil {
		return nil, nil, err
	}
	r, err := helm.Get(ctx, o.promised.Name)
	if err != nil {
		return nil, nil, err
	}
	workloads, err := topology.Workloads([]byte(r.Manifest))
	return r, workloads, err
}
