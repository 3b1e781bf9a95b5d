// Package observe fetches everything that a proof of a release looks at: the machines,
// the CAS and what it holds, the Helm release and its pods, and what the attested client
// says of the database. What cannot be fetched is kept as the reason. It judges nothing;
// only pkg/contact decides whether a CAS may be asked further.
package observe

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/cas"
	"github.com/confidb/confidb/pkg/contact"
	"github.com/confidb/confidb/pkg/evidence"
	"github.com/confidb/confidb/pkg/kube"
	"github.com/confidb/confidb/pkg/manifest"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/pkg/witness"
)

// Platforms says which machines there are, and the names of those whose ID is not known.
type Platforms func(ctx context.Context) (ids []attest.PlatformID, unidentified []string, err error)

// Helm says what is installed: Helm's own words, and the manifests.
type Helm func(ctx context.Context, release string) (evidence.HelmRelease, []byte, error)

// Cluster shows the pods of a release, and runs the probe; *kube.Cluster is one.
type Cluster interface {
	Pods(ctx context.Context, namespace string) ([]evidence.Pod, error)
	Object(ctx context.Context, namespace, kind, name string) (json.RawMessage, error)
	Endpoints(ctx context.Context, namespace, service string) ([]evidence.Endpoint, error)
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
	// Full has the volumes read from outside the enclaves, too.
	Full bool
	// Demand is for which mark of an earlier run the probe looks.
	Demand witness.Demand
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
	if o.Full { // last: a pod that mounts a volume of the release would be taken for a thief
		o.readVolumes(ctx, promised, &seen)
	}
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
	held := make([]evidence.Fetched[session.Stored], len(promised.Members))
	cas.SideBySide(len(held), func(i int) { held[i] = stored(c.Session(ctx, promised.Members[i].Session.Name)) })
	seen.Sessions = map[string]evidence.Fetched[session.Stored]{}
	for i, m := range promised.Members {
		seen.Sessions[m.Session.Name] = held[i]
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

// look reads what Helm keeps of the release, and everything in the cluster that is or
// could be taken for a part of it. What that is comes from the record. It returns the
// machines that run the database.
func (o Observer) look(ctx context.Context, promised *topology.Release, seen *evidence.Observation) (nodes []string) {
	seen.Release = got(o.helm(ctx, promised.Name))
	seen.PodsBefore = got(o.Cluster.Pods(ctx, promised.Namespace))
	defer func() { seen.Pods = got(o.Cluster.Pods(ctx, promised.Namespace)) }()
	seen.Objects, seen.Endpoints = map[string]evidence.Fetched[json.RawMessage]{}, map[string]evidence.Fetched[[]evidence.Endpoint]{}
	recorded, err := manifest.Recorded(promised.InstalledAs(seen.Release.Value.Digest))
	if err != nil {
		return nil // what cannot be read is a finding of whoever judges
	}
	for _, w := range recorded.Watched() {
		seen.Objects[w.String()] = got(o.Cluster.Object(ctx, promised.Namespace, w.Kind, w.Name))
		if w.Kind == "Service" {
			seen.Endpoints[w.Name] = got(o.Cluster.Endpoints(ctx, promised.Namespace, w.Name))
		}
	}
	nodes, err = o.Cluster.Nodes(ctx, promised.Namespace, recorded.Workloads())
	if err != nil {
		return nil // the probe runs anywhere then
	}
	return nodes
}

func (o Observer) helm(ctx context.Context, name string) (evidence.HelmRelease, error) {
	installed, text, err := o.Helm(ctx, name)
	if err != nil {
		return evidence.HelmRelease{}, err
	}
	if kept, err := manifest.Read(text); err == nil {
		installed.Digest = kept.Digest()
	}
	return installed, nil
}

// probeLifetime bounds one run of the probe.
const probeLifetime = 4 * time.Minute

// probe runs the attested client with a fresh nonce.
func (o Observer) probe(ctx context.Context, promised *topology.Release, nodes []string, seen *evidence.Observation) {
	instances := promised.Instances(topology.Database)
	statements := make([]evidence.Fetched[[]byte], len(instances))
	nonce, err := o.nonce()
	if err != nil {
		seen.Statement = evidence.Missing[[]byte](err.Error())
		return
	}
	seen.Nonce, seen.Demand = nonce, o.Demand
	front := evidence.Fetched[[]byte]{}
	cas.SideBySide(len(instances)+1, func(n int) {
		if n == len(instances) {
			if promised.Architecture != topology.Single {
				front = o.run(ctx, promised, nodes, topology.ServiceFront, map[string]string{"CONFIDB_NONCE": nonce, "CONFIDB_WAYS": ways(seen.Endpoints[promised.Name].Value)})
			}
			return
		}
		demand := o.Demand
		if promised.Architecture == topology.Sharded {
			demand = demand.Of(instances[n].Name)
		}
		statements[n] = o.ask(ctx, promised, instances[n], nodes, nonce, demand.Line.Last.Digest)
	})
	if promised.Architecture == topology.Single {
		seen.Statement = statements[0]
		return
	}
	// what one of them has taken must be in those that follow it
	if left, at := written(promised, seen, statements); at >= 0 && promised.Architecture == topology.Replicated {
		o.step("the attested client looks for what it has left, at the others")
		cas.SideBySide(len(instances), func(n int) {
			if n != at {
				statements[n] = o.ask(ctx, promised, instances[n], nodes, nonce, left)
			}
		})
	}
	seen.Statements = map[string]evidence.Fetched[[]byte]{topology.ServiceFront: front}
	for n, i := range instances {
		seen.Statements[i.Name] = statements[n]
	}
}

// written is the digest of the mark that the only one of several databases has taken, and
// which of them that is; -1 if it is not exactly one. It is for the next question only:
// whoever judges the statements reads it from them.
func written(promised *topology.Release, seen *evidence.Observation, statements []evidence.Fetched[[]byte]) (digest string, at int) {
	at = -1
	for n, s := range statements {
		said, err := evidence.VerifyStatement(s.Value, []byte(seen.StatementKey.Value), seen.Nonce, promised.Session(topology.Database).Name)
		if err != nil || said.Witness == nil || said.Witness.Written.Digest == "" {
			continue
		}
		if at >= 0 {
			return "", -1
		}
		digest, at = said.Witness.Written.Digest, n
	}
	return digest, at
}

// mostWays bounds how many ways the attested client is told of. One more is not known.
const mostWays = 32

// ways are the ends of a Service as the attested client is told of them; none says so.
func ways(ends []evidence.Endpoint) string {
	var all []string
	for _, e := range ends {
		for _, way := range e.Ways() {
			if len(all) < mostWays && !slices.Contains(all, way) {
				all = append(all, way)
			}
		}
	}
	return cmp.Or(strings.Join(all, ","), "none")
}

// ask runs the attested client that looks at one database, and for a mark in it.
func (o Observer) ask(ctx context.Context, promised *topology.Release, i topology.Instance, nodes []string, nonce, mark string) evidence.Fetched[[]byte] {
	return o.run(ctx, promised, nodes, i.Probe(), map[string]string{"CONFIDB_NONCE": nonce, "CONFIDB_VERIFIER": o.Demand.Verifier, "CONFIDB_MARK": mark})
}

// run runs the attested client as a service of its session.
func (o Observer) run(ctx context.Context, promised *topology.Release, nodes []string, service string, environment map[string]string) evidence.Fetched[[]byte] {
	environment["SCONE_CONFIG_ID"] = promised.Session(topology.Client).Name + "/" + service
	output, err := o.Cluster.Run(ctx, kube.Client{
		Name: "confidb-probe", Namespace: promised.Namespace, How: promised.Pod, Nodes: nodes, Program: topology.ProgramProbe, Lifetime: probeLifetime,
		Tell:        func(text string) { o.step("the attested client does not start yet: %s", text) },
		Environment: environment,
	})
	return got(evidence.StatementIn(output), err)
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
