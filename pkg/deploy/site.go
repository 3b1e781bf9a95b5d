package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/evidence"
	"github.com/confidb/confidb/pkg/release"
	"github.com/confidb/confidb/pkg/topology"
)

// Cluster is where the release runs, as far as an installation needs it.
type Cluster interface {
	// ID tells this cluster from others, and Namespace is that of the release.
	ID() (string, error)
	Namespace() string
	// CheckRights returns an error if this user may not do what an installation does.
	CheckRights(ctx context.Context, createNamespace bool) error
	// Pods lists all pods of a namespace, and Object reads one object, null if there is none.
	Pods(ctx context.Context, namespace string) ([]evidence.Pod, error)
	Object(ctx context.Context, namespace, kind, name string) (json.RawMessage, error)
	// Replace makes an object what it is in a manifest, and RestartPods ends pods whose
	// objects make them anew.
	Replace(ctx context.Context, namespace, kind string, object []byte) error
	RestartPods(ctx context.Context, namespace string, names []string) error
	// Restart ends all pods of the workloads, and returns when none runs any more.
	Restart(ctx context.Context, namespace string, workloads []topology.Workload, progress func(string)) error
	// RestartStuck deletes pods that would wait for long, and AwaitReady waits until
	// all pods of the workloads run.
	RestartStuck(ctx context.Context, namespace string, workloads []topology.Workload) error
	AwaitReady(ctx context.Context, namespace string, workloads []topology.Workload, progress func(string)) error
}

// Helm works on the releases of the namespace, as *release.Helm does.
type Helm interface {
	Load(spec release.Spec) (*release.Chart, error)
	Render(ctx context.Context, spec release.Spec, chart *release.Chart) ([]byte, error)
	DryRunServer(ctx context.Context, spec release.Spec, chart *release.Chart) ([]byte, error)
	Get(ctx context.Context, name string) (*release.Release, error)
	Apply(ctx context.Context, spec release.Spec, chart *release.Chart, ours func(pendingSince time.Time) bool) (*release.Release, error)
	Uninstall(ctx context.Context, name string, timeout time.Duration) error
}

// Store keeps what was promised, as record.Store does.
type Store interface {
	// LockRelease keeps other processes of this user from the same release.
	LockRelease(cluster, namespace, name string) (unlock func(), err error)
	// Earlier returns nil if nothing is known of the release.
	Earlier(cluster, namespace, name string) (*topology.Release, error)
	SaveRelease(cluster string, r *topology.Release) error
}

// Platforms finds the machines.
type Platforms interface {
	// Origin is where the IDs come from, in the user's words.
	Origin() string
	// Find returns the platform IDs, which must be known as well as least says.
	Find(ctx context.Context, least attest.Provenance) ([]attest.PlatformID, error)
}

// Progress tells what is being done.
type Progress interface {
	Step(format string, arguments ...any)
	Detail(text string)
}

// Connect attests the CAS at an address, and returns it only if it is proven. close
// ends the connection.
type Connect func(ctx context.Context, address string, trust attest.Trust) (c CAS, close func(), err error)

// Site is what a story works with. Uninstall needs Cluster, Helm, Store and Owner only,
// and Template also Random.
type Site struct {
	Cluster   Cluster
	Helm      Helm
	Store     Store
	Platforms Platforms
	Connect   Connect
	Progress  Progress
	// Owner is the mark by which a release in the cluster is known to be this user's.
	Owner func() (string, error)
	// Random is where names come from that nobody can guess.
	Random io.Reader
	Now    func() time.Time
	// Warn tells what the user should know although it is no error.
	Warn func(text string)
	// Verify proves the release when it runs.
	Verify func(ctx context.Context) error
}

// DryRun says how much is only tried. The zero value is none of them.
type DryRun string

// How much is only tried.
const (
	// None does everything.
	None DryRun = "none"
	// Client makes the documents and asks neither CAS nor API server about them.
	Client DryRun = "client"
	// Server asks the CAS and the API server what they would say.
	Server DryRun = "server"
)

// uninstalled is Helm's status of a release of which only the history is left.
const uninstalled = "uninstalled"

// existing reads a release that Helm has, or returns a NoReleaseError.
func (s *Site) existing(ctx context.Context, name string) (*release.Release, error) {
	r, err := s.Helm.Get(ctx, name)
	if errors.Is(err, release.ErrNotFound) || err == nil && r.Status == uninstalled {
		return nil, &NoReleaseError{Namespace: s.Cluster.Namespace(), Name: name}
	}
	return r, err
}

// ours reports whether a release bears this user's mark. One without any was made by
// Helm itself, or long ago: it is ours if it runs under our session.
func (s *Site) ours(r *release.Release, known *topology.Release) (bool, error) {
	mine, err := s.Owner()
	if err != nil {
		return false, err
	}
	if r.Owner != "" {
		return r.Owner == mine, nil
	}
	session := known.Session(topology.Database).Name
	return session != "" && strings.Contains(r.Manifest, session), nil
}

// save keeps the record of a release.
func (s *Site) save(clusterID string, r *topology.Release) error {
	if err := s.Store.SaveRelease(clusterID, r); err != nil {
		return fmt.Errorf("keeping the record of the release: %w", err)
	}
	return nil
}

// token returns a random one.
func (s *Site) token() (token [16]byte, err error) {
	if _, err = io.ReadFull(s.Random, token[:]); err != nil {
		return token, fmt.Errorf("choosing a name that nobody can guess: %w", err)
	}
	return token, nil
}

// NoReleaseError means that Helm has no release of this name.
type NoReleaseError struct{ Namespace, Name string }

func (e *NoReleaseError) Error() string {
	return fmt.Sprintf("release %s/%s not found", e.Namespace, e.Name)
}

// Hint says where to look.
func (e *NoReleaseError) Hint() string {
	return fmt.Sprintf("helm list --namespace %s shows the releases that there are.", e.Namespace)
}
