package deploy

import (
	"cmp"
	"context"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/topology"
)

// Template are the options of making the manifests of a release. They depend on the
// CASAddress, DatabaseSession, Chart and Values of a plan only; an empty address or
// name is that of an earlier run.
type Template struct {
	Name string
	// CAS is the address where nobody says another.
	CAS string
	// Inputs are those of Install.
	Inputs func(earlier *topology.Release) (*Inputs, error)
}

// Manifests are those of a release.
type Manifests struct {
	Text []byte
	// Invented is true if the name of the database session was made up: it is another
	// one the next time.
	Invented bool
}

// Template returns the manifests that Install would send, and creates nothing. It
// asks neither a CAS nor the cluster: all that the manifests need is the names of the
// database session and of the CAS.
func (s *Site) Template(ctx context.Context, o Template) (*Manifests, error) {
	clusterID, err := s.Cluster.ID()
	if err != nil {
		return nil, err
	}
	earlier, err := s.Store.Earlier(clusterID, s.Cluster.Namespace(), o.Name)
	if err != nil {
		return nil, err
	}
	inputs, err := o.Inputs(earlier)
	if err != nil {
		return nil, err
	}
	spec := Install{Name: o.Name}.spec(inputs.Plan)
	chart, err := s.Helm.Load(spec)
	if err != nil {
		return nil, err
	}
	r, invented, err := s.named(o, inputs.Plan, earlier)
	if err != nil {
		return nil, err
	}
	made, err := s.render(ctx, s.Helm.Render, spec, chart, r, inputs)
	if err != nil {
		return nil, err
	}
	return &Manifests{made.manifests, invented}, nil
}

// named returns as much of a record as the manifests show. What a former run
// recorded cannot be changed, as in an installation.
func (s *Site) named(o Template, plan topology.Plan, earlier *topology.Release) (r *topology.Release, invented bool, err error) {
	known := earlier
	if known == nil {
		known = &topology.Release{}
	}
	recorded := known.Session(topology.Database).Name
	database := topology.Session{Name: cmp.Or(plan.DatabaseSession, recorded)}
	r = &topology.Release{
		Name: o.Name, Namespace: s.Cluster.Namespace(), Architecture: cmp.Or(plan.Architecture, known.Architecture), Chart: plan.Chart, CASAddress: cmp.Or(plan.CASAddress, known.CASAddress, o.CAS), AllowedKinds: plan.AllowedKinds,
		Trust: attest.Trust{Deviations: attest.Deviations()}, // nothing is installed, so nothing needs to be accepted
	}
	for _, p := range []struct{ what, got, want string }{
		{"database session", database.Name, recorded},
		{"CAS", r.CASAddress, known.CASAddress},
	} {
		if p.want != "" && p.got != p.want {
			return nil, false, &topology.ChangedError{What: p.what, Got: p.got, Want: p.want}
		}
	}
	if client := cmp.Or(plan.ClientSession, known.Session(topology.Client).Name); client != "" {
		r.SetSession(topology.Client, topology.Session{Name: client})
	}
	proxy, several := known.Session(topology.MaxScale), r.Architecture != topology.Single
	if len(plan.Sessions) == 0 && (database.Name == "" || several && proxy.Name == "") {
		token, err := s.token()
		if err != nil {
			return nil, false, err
		}
		owner := topology.OwnerName(o.Name, token)
		database.Name, proxy.Name, invented = cmp.Or(database.Name, topology.DatabaseName(owner)), topology.MaxScaleName(owner), true
	}
	if several {
		r.SetSession(topology.MaxScale, proxy)
		database.Text, database.Next = known.Session(topology.Database).Text, known.Session(topology.Database).Next
	}
	if database.Name != "" {
		r.SetSession(topology.Database, database)
	}
	for _, m := range plan.Sessions {
		r.SetSession(m.Role, m.Session)
	}
	return r, invented, nil
}
