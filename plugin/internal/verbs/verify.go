package verbs

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"time"

	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/evidence"
	"github.com/confidb/confidb/pkg/kube"
	"github.com/confidb/confidb/pkg/machines"
	"github.com/confidb/confidb/pkg/record"
	"github.com/confidb/confidb/pkg/release"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/pkg/verify"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/printers"
)

// Verify are the options of proving a release.
type Verify struct {
	Name      string
	Platforms *PlatformFlags
	// Home is the folder of the user's records.
	Home string
	// Output is one of printers.Formats, or empty.
	Output string
	// AcceptSimulated makes a simulated result a success.
	AcceptSimulated bool
	Helm            release.Settings
	Now             func() time.Time
}

// Run proves the release link by link and prints what was found.
func (o Verify) Run(ctx context.Context, getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) error {
	progress := cli.NewProgress(streams.ErrOut, o.Now)
	defer progress.Done()
	return o.run(ctx, getter, streams, progress)
}

func (o Verify) run(ctx context.Context, getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams, progress *cli.Progress) error {
	known, err := openRelease(getter, o.Home, o.Name)
	if err != nil {
		return err
	}
	v := &verification{Verify: o, openedRelease: known, getter: getter, progress: progress}
	memory, err := known.store.Memory() // before this run adds to it
	if err != nil {
		return err
	}
	seen, origin := v.observe(ctx)
	result := verify.Appraise(known.promised, memory, seen)
	progress.Done()
	origins := map[string]string{"platforms now": origin}
	maps.Copy(origins, result.Origins)
	verdict := result.Findings.Verdict()
	if err := printers.Print(streams.Out, o.Output, printers.Result{
		Head: printers.Head{Kind: "confidb.verification/v1", Simulated: result.Simulated}, Subject: "release " + known.promised.Namespace + "/" + o.Name, Verdict: verdict,
		Findings: cli.Kubectl.Findings(result.Findings), Origins: origins, Limitations: result.Limitations,
	}); err != nil {
		return err
	}
	return cli.Conclude(verdict, result.Simulated, o.AcceptSimulated)
}

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
	promised, err := store.Earlier(id, c.Namespace(), name)
	if err != nil {
		return nil, err
	}
	if promised == nil {
		return nil, &UnknownReleaseError{Namespace: c.Namespace(), Name: name}
	}
	return &openedRelease{c, store, promised}, nil
}

// UnknownReleaseError means that this user's records hold no such release.
type UnknownReleaseError struct{ Namespace, Name string }

func (e *UnknownReleaseError) Error() string {
	return fmt.Sprintf("nothing is recorded of a release %s/%s: it is not known what was promised", e.Namespace, e.Name)
}

// Hint says how to go on.
func (e *UnknownReleaseError) Hint() string {
	return "check the name and -n; install it with kubectl confidb install; or set CONFIDB_HOME to the folder of whoever did"
}

// verification is one run of Verify.
type verification struct {
	Verify
	*openedRelease
	getter   genericclioptions.RESTClientGetter
	progress *cli.Progress
	nodes    []string // that run the database
}

// observe fetches everything and judges nothing. It returns where the platform
// IDs came from, too.
func (v *verification) observe(ctx context.Context) (evidence.Observation, string) {
	var seen evidence.Observation
	v.progress.Step("asking for the platforms")
	origin := v.observePlatforms(ctx, &seen)
	v.progress.Step("attesting the CAS %s, and reading the sessions", v.promised.CASAddress)
	v.observeCAS(ctx, &seen)
	v.progress.Step("reading the Helm release and its pods")
	v.observeRelease(ctx, &seen)
	v.progress.Step("the attested client looks at the database")
	v.observeDatabase(ctx, &seen)
	seen.At = v.Now()
	return seen, origin
}

func (v *verification) observePlatforms(ctx context.Context, seen *evidence.Observation) string {
	options, err := v.Platforms.Resolve()
	if err != nil {
		seen.Platforms = evidence.Got[[]attest.PlatformID](nil, err)
		return options.Origin
	}
	inventory, err := machines.Find(ctx, v.getter, options.Options)
	if err != nil {
		seen.Platforms = evidence.Got[[]attest.PlatformID](nil, err)
		return options.Origin
	}
	seen.Platforms = evidence.Got(inventory.IDs(), nil)
	return options.Origin
}

func (v *verification) observeCAS(ctx context.Context, seen *evidence.Observation) {
	fail := func(problem string) {
		for _, m := range v.promised.Members {
			seen.Sessions[m.Session.Name] = evidence.Missing[session.Stored](problem)
		}
		seen.DatabaseCA, seen.StatementKey = evidence.Missing[string](problem), evidence.Missing[string](problem)
	}
	seen.Sessions = map[string]evidence.Fetched[session.Stored]{}
	met, err := NewDesk(v.getter, v.store.Dir, v.Now).Meet(ctx, v.promised.CASAddress, v.promised.Trust)
	if err != nil {
		seen.CAS = evidence.Missing[evidence.CAS](err.Error())
		fail(err.Error())
		return
	}
	defer met.Close()
	seen.CAS = evidence.Got(evidence.CAS{Pin: met.Appraisal.Pin, Peer: met.Peer}, nil)
	c, err := met.Connect()
	if err != nil {
		fail(err.Error())
		return
	}
	defer c.Client.Close()
	for _, m := range v.promised.Members {
		stored, err := c.Session(ctx, m.Session.Name)
		if err != nil {
			seen.Sessions[m.Session.Name] = evidence.Missing[session.Stored](err.Error())
			continue
		}
		seen.Sessions[m.Session.Name] = evidence.Got(*stored, nil)
	}
	database, client := v.promised.Session(topology.Database), v.promised.Session(topology.Client)
	seen.DatabaseCA = evidence.Got(c.PublicValue(ctx, database.Name, database.Hash, topology.SecretCA))
	seen.StatementKey = evidence.Got(c.PublicValue(ctx, client.Name, client.Hash, topology.SecretStatementKey))
}

func (v *verification) observeRelease(ctx context.Context, seen *evidence.Observation) {
	r, workloads, err := v.release(ctx, v.getter, v.Helm)
	if err != nil {
		seen.Release, seen.Containers = evidence.Missing[evidence.HelmRelease](err.Error()), evidence.Missing[[]evidence.Container](err.Error())
		return
	}
	seen.Release = evidence.Got(evidence.HelmRelease{Status: r.Status, Revision: r.Revision}, nil)
	seen.Containers = evidence.Got(v.cluster.Containers(ctx, v.promised.Namespace, workloads))
	v.nodes, _ = v.cluster.Nodes(ctx, v.promised.Namespace, workloads) // then the probe runs anywhere
}

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

// probeLifetime bounds one run of the probe.
const probeLifetime = 4 * time.Minute

func (v *verification) observeDatabase(ctx context.Context, seen *evidence.Observation) {
	var nonce [16]byte
	rand.Read(nonce[:]) // never fails
	seen.Nonce = hex.EncodeToString(nonce[:])
	output, err := v.cluster.Run(ctx, kube.Client{
		Name: "confidb-probe", Namespace: v.promised.Namespace, How: v.promised.Pod, Nodes: v.nodes, Program: topology.ProgramProbe, Lifetime: probeLifetime,
		Environment: map[string]string{"SCONE_CONFIG_ID": v.promised.Session(topology.Client).Name + "/" + topology.ServiceProbe, "CONFIDB_NONCE": seen.Nonce},
	})
	seen.Statement = evidence.Got(statementLine(output), err)
}

// statementLine is the line of the probe's output that could be its statement; the
// runtime of the enclave writes lines of its own.
func statementLine(output []byte) []byte {
	for line := range bytes.Lines(output) {
		if bytes.HasPrefix(line, []byte("{")) {
			return line
		}
	}
	return nil
}
