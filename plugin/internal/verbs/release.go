package verbs

import (
	"context"

	"github.com/confidb/confidb/pkg/charts"
	"github.com/confidb/confidb/pkg/kube"
	"github.com/confidb/confidb/pkg/manifest"
	"github.com/confidb/confidb/pkg/record"
	"github.com/confidb/confidb/pkg/release"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/plugin/internal/cli"
)

// Place is where the user's releases are.
type Place struct {
	Store   record.Store
	Cluster *kube.Cluster
	Helm    *release.Helm
}

// Open finds the place. It asks the cluster nothing. Without a home nothing is recorded.
func Open(env *cli.Env) (*Place, error) {
	home, missing := env.Home()
	settings, err := env.Helm()
	if err != nil {
		return nil, err
	}
	settings.Own = charts.For
	cluster, err := kube.New(env.Getter)
	if err != nil {
		return nil, err
	}
	helm, err := release.New(env.Getter, cluster.Namespace(), settings)
	return &Place{record.Store{Dir: home, Missing: missing}, cluster, helm}, err
}

// OpenedRelease is a release that this user installed.
type OpenedRelease struct {
	*Place
	// ID is that of the cluster in records.
	ID       string
	Promised *topology.Release
}

// OpenRelease reads what was promised for a release. It asks the cluster nothing.
func OpenRelease(env *cli.Env, name string) (*OpenedRelease, error) {
	p, err := Open(env)
	if err != nil {
		return nil, err
	}
	id, err := p.Cluster.ID()
	if err != nil {
		return nil, err
	}
	promised, err := p.Store.Promised(id, p.Cluster.Namespace(), name)
	return &OpenedRelease{p, id, promised}, err
}

// Workloads are what makes the pods of the release, as it was installed; for a record
// that does not say that, as Helm has it.
func (o *OpenedRelease) Workloads(ctx context.Context) ([]topology.Workload, error) {
	recorded, err := manifest.Recorded(o.Promised.Installed)
	if err != nil || len(recorded) > 0 {
		return recorded.Workloads(), err
	}
	r, err := o.Helm.Get(ctx, o.Promised.Name)
	if err != nil {
		return nil, err
	}
	return manifest.Workloads([]byte(r.Manifest))
}
