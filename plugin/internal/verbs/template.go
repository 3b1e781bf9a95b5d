package verbs

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"

	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/pkg/record"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/flags"
)

// Template prints the manifests that Run would send, and no session. It asks
// neither a CAS nor the cluster: all that the manifests need is the names of the
// database session and of the CAS.
func (o Install) Template(ctx context.Context, getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) error {
	if err := topology.CheckName(o.Name); err != nil {
		return cli.NewUsageError("%w", err)
	}
	i := &installation{Install: o, getter: getter, streams: streams, store: record.Store{Dir: o.Home}}
	if err := i.gatherOffline(); err != nil {
		return err
	}
	r, err := i.named()
	if err != nil {
		return err
	}
	manifests, err := i.render(ctx, r)
	if err != nil {
		return err
	}
	_, err = streams.Out.Write(manifests)
	return err
}

// gatherOffline is as much of gather as needs no network.
func (i *installation) gatherOffline() error {
	if err := i.open(); err != nil {
		return err
	}
	var err error
	if i.earlier, err = i.store.Earlier(i.clusterID, i.cluster.Namespace(), i.Name); err != nil {
		return err
	}
	return i.loadChart()
}

// named returns as much of a record as the manifests show. What a former run
// recorded cannot be changed, as in an installation.
func (i *installation) named() (*topology.Release, error) {
	known := i.earlier
	if known == nil {
		known = &topology.Release{}
	}
	r := &topology.Release{Name: i.Name, Namespace: i.cluster.Namespace()}
	var database topology.Session
	database.Name, _ = flags.First(i.Sessions.LookupEnv, "database-session", i.Sessions.Database, "DBSESSION", known.Session(topology.Database).Name)
	r.CASAddress, _ = flags.First(i.Sessions.LookupEnv, "cas", i.Trust.CAS, "SCONE_CAS_ADDR", cmp.Or(known.CASAddress, flags.DefaultCAS))
	for _, p := range []struct{ what, got, want string }{
		{"database session", database.Name, known.Session(topology.Database).Name},
		{"CAS", r.CASAddress, known.CASAddress},
	} {
		if p.want != "" && p.got != p.want {
			return nil, &topology.ChangedError{What: p.what, Got: p.got, Want: p.want}
		}
	}
	if database.Name == "" {
		database.Name = inventedSession(i.Name)
		fmt.Fprintf(i.streams.ErrOut, "warning: the name of the database session is made up, and differs the next time: nothing is installed yet\nhint: name it with --database-session or $DBSESSION\n")
	}
	r.SetSession(topology.Database, database)
	return r, nil
}

// inventedSession is a name as an installation would choose one.
func inventedSession(release string) string {
	var token [16]byte
	rand.Read(token[:]) // never fails
	return topology.DatabaseName(topology.OwnerName(release, token))
}
