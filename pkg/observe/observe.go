// Package observe fetches everything that a proof of a release looks at: the machines,
// the CAS and what it holds, the Helm release and its pods, and what the attested client
// says of the database. What cannot be fetched is kept as the reason. It judges nothing;
// only pkg/contact decides whether a CAS may be asked further.
package observe

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"time"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/contact"
	"github.com/confidb/confidb/pkg/evidence"
	"github.com/confidb/confidb/pkg/kube"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/topology"
)

// Platforms says which machines there are, and the names of those whose ID is not known.
type Platforms func(ctx context.Context) (ids []attest.PlatformID, unidentified []string, err error)

// Helm says what is installed: Helm's own words, and the manifests.
type Helm func(ctx context.Context, release string) (evidence.HelmRelease, []byte, error)

// Cluster shows the pods of a release, and runs the probe; *kube.Cluster is one.
type Cluster interface {
	Containers(ctx context.Context, namespace string, workloads []topology.Workload) ([]evidence.Container, error)
	Nodes(ctx context.Context, namespace string, workloads []topology.Workload) ([]string, error)
	Run(ctx context.Context, client kube.Client) ([]byte, error)
}

// Observer fetches. Platforms, Desk, Helm and Cluster are needed.
type Observer struct {
	Platforms Platforms
	// Desk is where the CAS is met; its clock is also that of the observation.
	Desk    contact.Desk
	Helm    Helm
	Cluster Cluster
	// Rand is where the nonce of the probe comes from; nil means crypto/rand.
	Rand io.Reader
	// Step is told what begins, in the gerund; nil means nobody is.
	Step func(format string, arguments ...any)
}

// Observe fetches everything about a release. What to look at comes from what was
// promised.
func (o Observer) Observe(ctx context.Context, promised *topology.Release) evidence.Observation {
	var seen evidence.Observation
	o.step("asking for the platforms")
	ids, unidentified, err := o.Platforms(ctx)
	seen.Platforms, seen.Unidentified = got(ids, err), unidentified
	o.step("attesting the CAS %s, and reading the sessions", promised.CASAddress)
	o.askCAS(ctx, promised, &seen)
	o.step("reading the Helm release and its pods")
	nodes := o.look(ctx, promised, &seen)
	o.step("the attested client looks at the database")
	o.probe(ctx, promised, nodes, &seen)
	seen.At = o.Desk.Now()
	return seen
}

// got is evidence.Got, with the role that is missing where the cluster refused something.
func got[T any](value T, err error) evidence.Fetched[T] {
	return evidence.Got(value, kube.Explain(err))
}

func (o Observer) step(format string, arguments ...any) {
	if o.Step != nil {
		o.Step(format, arguments...)
	}
}

// askCAS keeps the evidence of the CAS, and reads what it holds if it is accepted.
func (o Observer) askCAS(ctx context.Context, promised *topology.Release, seen *evidence.Observation) {
	met, err := o.Desk.Meet(ctx, promised.CASAddress, promised.Trust)
	if err != nil {
		seen.CAS = got(evidence.CAS{}, err)
		unasked(promised, seen, err)
		return
	}
	defer met.Close()
	seen.CAS = evidence.Got(evidence.CAS{Pin: met.Appraisal.Pin, Peer: met.Peer}, nil)
	c, err := met.Connect()
	if err != nil {
		unasked(promised, seen, err)
		return
	}
	defer c.Client.Close()
	seen.Sessions = map[string]evidence.Fetched[session.Stored]{}
	for _, m := range promised.Members {
		seen.Sessions[m.Session.Name] = stored(c.Session(ctx, m.Session.Name))
	}
	database, client := promised.Session(topology.Database), promised.Session(topology.Client)
	seen.DatabaseCA = evidence.Got(c.PublicValue(ctx, database.Name, database.Hash, topology.SecretCA))
	seen.StatementKey = evidence.Got(c.PublicValue(ctx, client.Name, client.Hash, topology.SecretStatementKey))
}

// unasked notes why the CAS was not asked for anything.
func unasked(promised *topology.Release, seen *evidence.Observation, err error) {
	seen.Sessions = map[string]evidence.Fetched[session.Stored]{}
	for _, m := range promised.Members {
		seen.Sessions[m.Session.Name] = evidence.Missing[session.Stored](err.Error())
	}
	seen.DatabaseCA, seen.StatementKey = evidence.Missing[string](err.Error()), evidence.Missing[string](err.Error())
}

func stored(s *session.Stored, err error) evidence.Fetched[session.Stored] {
	if err != nil {
		return evidence.Missing[session.Stored](err.Error())
	}
	return evidence.Got(*s, nil)
}

// look reads the Helm release and its pods, and returns the machines that run them.
func (o Observer) look(ctx context.Context, promised *topology.Release, seen *evidence.Observation) (nodes []string) {
	installed, manifests, err := o.Helm(ctx, promised.Name)
	var workloads []topology.Workload
	if err == nil {
		workloads, err = topology.Workloads(manifests)
	}
	if err != nil {
		seen.Release, seen.Containers = got(evidence.HelmRelease{}, err), got([]evidence.Container(nil), err)
		return nil
	}
	seen.Release = evidence.Got(installed, nil)
	seen.Containers = got(o.Cluster.Containers(ctx, promised.Namespace, workloads))
	nodes, err = o.Cluster.Nodes(ctx, promised.Namespace, workloads)
	if err != nil {
		return nil // the probe runs anywhere then
	}
	return nodes
}

// probeLifetime bounds one run of the probe.
const probeLifetime = 4 * time.Minute

// probe runs the attested client with a fresh nonce.
func (o Observer) probe(ctx context.Context, promised *topology.Release, nodes []string, seen *evidence.Observation) {
	nonce, err := o.nonce()
	if err != nil {
		seen.Statement = evidence.Missing[[]byte](err.Error())
		return
	}
	seen.Nonce = nonce
	output, err := o.Cluster.Run(ctx, kube.Client{
		Name: "confidb-probe", Namespace: promised.Namespace, How: promised.Pod, Nodes: nodes, Program: topology.ProgramProbe, Lifetime: probeLifetime,
		Tell:        func(text string) { o.step("the attested client does not start yet: %s", text) },
		Environment: map[string]string{"SCONE_CONFIG_ID": promised.Session(topology.Client).Name + "/" + topology.ServiceProbe, "CONFIDB_NONCE": nonce},
	})
	seen.Statement = got(evidence.StatementIn(output), err)
}

func (o Observer) nonce() (string, error) {
	source := o.Rand
	if source == nil {
		source = rand.Reader
	}
	var nonce [16]byte
	if _, err := io.ReadFull(source, nonce[:]); err != nil {
		return "", fmt.Errorf("making a nonce: %w", err)
	}
	return hex.EncodeToString(nonce[:]), nil
}
