package rollout

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/evidence"
	"github.com/confidb/confidb/pkg/inventory"
	"github.com/confidb/confidb/pkg/kube"
	"github.com/confidb/confidb/pkg/record"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/pkg/verify"
)

// Admission is what the sessions of a release admit in CAS.
type Admission struct {
	Services []inventory.Service
	// Changed are the names of sessions that are not the version that was recorded.
	Changed []string
}

// Admitted reads which machines the services of a release admit. A session without
// services, and a release of which the session of a client or of a database is not
// recorded, are errors: whatever is compared with them would look right.
func Admitted(ctx context.Context, c Reader, r *topology.Release) (*Admission, error) {
	if r.Session(topology.Client).Name == "" || r.Session(topology.Database).Name == "" {
		return nil, &record.UnknownReleaseError{Namespace: r.Namespace, Name: r.Name}
	}
	var a Admission
	for _, m := range r.Members {
		if m.Role == topology.Namespace {
			continue
		}
		held, err := Read(ctx, c, m.Session.Name)
		if err != nil {
			return nil, err
		}
		if m.Session.Hash != "" && !held.Is(m.Session.Hash) {
			a.Changed = append(a.Changed, m.Session.Name)
		}
		services := inventory.Services(string(m.Role), held.Session)
		if len(services) == 0 {
			return nil, fmt.Errorf("session %q in CAS: got no service, want those that admit machines", m.Session.Name)
		}
		a.Services = append(a.Services, services...)
	}
	return &a, nil
}

// Pods is where the pods of a release are, and where a client of it can be started.
type Pods interface {
	// Occupied lists the machines on which pods may have what CAS gave them.
	Occupied(ctx context.Context) ([]string, error)
	// Run returns what a client wrote. One that ended with a failure is a *kube.ExitError.
	Run(ctx context.Context, client kube.Client) ([]byte, error)
}

// Revocation fetches what shows that a machine is no longer admitted by a release.
type Revocation struct {
	CAS      Reader
	Pods     Pods
	Progress Progress
	Release  *topology.Release
}

// Observe reads the sessions, and tries a start of the attested client on the node;
// verify.Revoked judges what it returns. Sessions that cannot be read are an error, and
// what the cluster does not say is kept as the reason.
func (r Revocation) Observe(ctx context.Context, id attest.PlatformID, node string) (verify.Revocation, error) {
	seen := verify.Revocation{ID: id, Node: node}
	for _, s := range r.Release.Admitting() {
		held, err := Read(ctx, r.CAS, s.Name)
		if err != nil {
			return verify.Revocation{}, err
		}
		seen.Sessions = append(seen.Sessions, held.Session)
	}
	seen.Nodes = evidence.Got(r.Pods.Occupied(ctx))
	r.Progress.Step("trying a start on node %s", node)
	seen.Start = r.start(ctx, node)
	return seen, nil
}

// startLifetime bounds the client that is tried.
const startLifetime = 4 * time.Minute

// start tries a start of the attested client on the node. Nothing that it says is used, so
// that its nonce need not be a fresh one.
func (r Revocation) start(ctx context.Context, node string) verify.Start {
	_, err := r.Pods.Run(ctx, kube.Client{
		Name: "confidb-revoked", How: r.Release.Pod, Nodes: []string{node}, Program: topology.ProgramProbe, Lifetime: startLifetime,
		Environment: map[string]string{"SCONE_CONFIG_ID": r.Release.Session(topology.Client).Name + "/" + r.Release.Instances(topology.Database)[0].Probe(), "CONFIDB_NONCE": strings.Repeat("0", 32)},
	})
	if err == nil {
		return verify.Start{Ran: true}
	}
	start := verify.Start{Problem: err.Error()}
	if ended, ok := errors.AsType[*kube.ExitError](err); ok {
		start.Output = ended.Output
	}
	return start
}
