package rollout

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/cas"
	"github.com/confidb/confidb/pkg/change"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/topology"
)

// Cluster is where the database of the release runs.
type Cluster interface {
	// Restart starts the database anew. Where there is one, it returns when nothing of it
	// runs any more; several are started one after the other, and detail is told what is
	// waited for.
	Restart(ctx context.Context, detail func(string)) error
	// AwaitReady waits until the database runs. detail is told what is waited for.
	AwaitReady(ctx context.Context, detail func(string)) error
	// Announce tells whoever looks at the database.
	Announce(ctx context.Context, reason, message string) error
}

// Store keeps what was promised for a release.
type Store interface {
	SaveRelease(cluster string, r *topology.Release) error
}

// Progress tells the user what is being done.
type Progress interface {
	Step(format string, arguments ...any)
	Detail(text string)
}

// Platforms makes the sessions of a release admit other machines.
type Platforms struct {
	CAS      CAS
	Cluster  Cluster
	Store    Store
	Progress Progress
	// ClusterID names the cluster in records.
	ClusterID string
	// Release is what was promised. It changes, and is saved at every step.
	Release *topology.Release
	// NoRestart leaves the database running: that it comes back is not shown.
	NoRestart bool
	// Patience bounds how long the database may take to come back.
	Patience time.Duration
}

// PlanPlatforms works out what makes the sessions of a release admit these machines. It
// changes nothing.
func PlanPlatforms(ctx context.Context, c Reader, cluster string, r *topology.Release, after []attest.PlatformID) (*change.PlatformsPlan, error) {
	held := map[string]change.Version{}
	for _, s := range r.Admitting() {
		var err error
		if held[s.Name], err = Read(ctx, c, s.Name); err != nil {
			return nil, err
		}
	}
	return change.NewPlatformsPlan(cluster, r, held, after)
}

// Apply carries a plan out for the machines that were found now: it updates the sessions
// in step, restarts the database, and sets the sessions back if it does not come back,
// which is a *RolledBackError. A run that was killed is continued by the next one: until
// the plan has come to its end, the record says which versions it replaced.
func (m *Platforms) Apply(ctx context.Context, p *change.PlatformsPlan, machines []attest.PlatformID) error {
	if err := p.Fits(m.ClusterID, m.Release, machines); err != nil {
		return err
	}
	if err := m.check(ctx, p); err != nil {
		return err
	}
	for _, s := range p.Sessions {
		m.Progress.Step("session %s", s.Name())
		if err := m.update(ctx, s, p.After); err != nil {
			return m.stop(ctx, p, err)
		}
	}
	if !m.NoRestart {
		m.Progress.Step("restarting the database")
		if err := m.restart(ctx); err != nil {
			return m.rollBack(ctx, p, err)
		}
	}
	if err := m.finish(machines); err != nil {
		return err
	}
	m.announce(ctx, "PlatformsUpdated", "the sessions admit "+machinesOf(len(p.After)))
	return nil
}

// check asks CAS about every session before the first is changed: sessions of which only
// some can be changed stay as they are.
func (m *Platforms) check(ctx context.Context, p *change.PlatformsPlan) error {
	for _, s := range p.Sessions {
		held, err := Read(ctx, m.CAS, s.Name())
		if err != nil {
			return err
		}
		if _, err := m.next(ctx, s, held, p.After); err != nil {
			return err
		}
	}
	return nil
}

// stop ends a run that cannot go on. When somebody changed a session since it was
// checked, no further run can: those that this plan has changed are set back, so that all
// stay in step.
func (m *Platforms) stop(ctx context.Context, p *change.PlatformsPlan, cause error) error {
	var moved *change.MovedError
	if !errors.As(cause, &moved) {
		return cause
	}
	m.Progress.Step("a session was changed meanwhile: setting the others back")
	ways, err := m.waysBack(ctx, p)
	if err == nil {
		err = m.goBack(ctx, ways)
	}
	if err != nil {
		return fmt.Errorf("setting the sessions back after %w: %w", cause, err)
	}
	return cause
}

func machinesOf(n int) string {
	if n == 1 {
		return "1 machine"
	}
	return fmt.Sprintf("%d machines", n)
}

// finish records that the plan has come to its end: from now on there is no way back.
func (m *Platforms) finish(machines []attest.PlatformID) error {
	m.Release.Platforms = machines
	for _, s := range m.Release.Admitting() {
		s.Previous = ""
	}
	return m.save()
}

// recorded is what is known of a session of the release, which Fits has seen.
func (m *Platforms) recorded(name string) *topology.Session {
	for _, s := range m.Release.Admitting() {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// update makes CAS hold the planned version.
func (m *Platforms) update(ctx context.Context, p change.PlannedSession, after []attest.PlatformID) error {
	held, err := Read(ctx, m.CAS, p.Name())
	if err != nil {
		return err
	}
	next, err := m.next(ctx, p, held, after)
	if err != nil {
		return err
	}
	s := m.recorded(p.Name())
	if next == nil {
		return m.keep(s, p, held)
	}
	s.Previous = held.Hash // before the upload: whatever happens, the way back is known
	if err := m.save(); err != nil {
		return err
	}
	hash, err := m.CAS.CreateSession(ctx, next.Source())
	if errors.Is(err, cas.ErrMoved) {
		s.Previous = "" // CAS did not take it, so there is nothing to go back from
		return errors.Join(p.Moved(), m.save())
	}
	if err != nil {
		return err
	}
	s.Text, s.Hash = string(next.Source()), hash
	return m.save()
}

// next says what is to be uploaded. Where CAS has another version than the one that the
// plan replaces, the plan may have been carried out and set back.
func (m *Platforms) next(ctx context.Context, p change.PlannedSession, held change.Version, after []attest.PlatformID) (*session.Session, error) {
	next, err := p.Next(held, after)
	var moved *change.MovedError
	if !errors.As(err, &moved) || held.Session.Predecessor == "" {
		return next, err
	}
	undone, failed := readVersion(ctx, m.CAS, p.Name(), held.Session.Predecessor)
	if errors.Is(failed, cas.ErrNotFound) {
		return nil, err
	}
	if failed != nil {
		return nil, failed
	}
	return p.Again(held, undone, after)
}

// keep records a version that CAS has already. A way back that the record names for
// another version is none.
func (m *Platforms) keep(s *topology.Session, p change.PlannedSession, held change.Version) error {
	s.Text, s.Hash = string(p.To.Source()), held.Hash
	if !strings.EqualFold(s.Previous, held.Session.Predecessor) {
		s.Previous = ""
	}
	return m.save()
}

func (m *Platforms) save() error {
	if err := m.Store.SaveRelease(m.ClusterID, m.Release); err != nil {
		return fmt.Errorf("keeping the record of the release: %w", err)
	}
	return nil
}

func (m *Platforms) restart(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, m.Patience)
	defer cancel()
	if err := m.Cluster.Restart(ctx, m.Progress.Detail); err != nil {
		return err
	}
	return m.Cluster.AwaitReady(ctx, m.Progress.Detail)
}

// announce leaves a word at the database. Without the right to it nobody is told.
func (m *Platforms) announce(ctx context.Context, reason, message string) {
	if err := m.Cluster.Announce(ctx, reason, message); err != nil {
		m.Progress.Detail("no event was left: " + err.Error())
	}
}

// rollBack makes the sessions admit what they admitted before this plan, and no more.
func (m *Platforms) rollBack(ctx context.Context, p *change.PlatformsPlan, cause error) error {
	m.Progress.Step("the database does not come back: setting the sessions back")
	ways, err := m.waysBack(ctx, p)
	if err == nil && len(ways) == 0 {
		return fmt.Errorf("the database does not come back; this plan was carried out before, so no session is set back: %w", cause)
	}
	if err == nil {
		err = m.goBack(ctx, ways)
	}
	if err == nil {
		err = m.restart(ctx)
	}
	if err != nil {
		return fmt.Errorf("setting the sessions back after %w: %w", cause, err)
	}
	m.announce(ctx, "PlatformsRolledBack", "the database did not start under the new sessions, which were set back")
	return &RolledBackError{cause}
}

// way is the way back of one session.
type way struct {
	session *topology.Session
	to      *session.Session
}

// waysBack are those of the sessions that this plan changed and that the record says
// are not at their end. All are known before the first is taken.
func (m *Platforms) waysBack(ctx context.Context, p *change.PlatformsPlan) ([]way, error) {
	var all []way
	for _, planned := range p.Sessions {
		s := m.recorded(planned.Name())
		if s.Previous == "" {
			continue
		}
		current, err := Read(ctx, m.CAS, s.Name)
		if err != nil {
			return nil, err
		}
		if !current.Is(s.Hash) {
			return nil, planned.Moved()
		}
		earlier, err := readVersion(ctx, m.CAS, s.Name, s.Previous)
		if err != nil {
			return nil, err
		}
		to, err := change.Back(current, earlier, s.Previous)
		if err != nil {
			return nil, err
		}
		all = append(all, way{s, to})
	}
	return all, nil
}

// goBack takes the ways back in the order against that of the plan: only states occur
// that occurred on the way.
func (m *Platforms) goBack(ctx context.Context, ways []way) error {
	for _, w := range slices.Backward(ways) {
		hash, err := m.CAS.CreateSession(ctx, w.to.Source())
		if err != nil {
			return err
		}
		w.session.Text, w.session.Hash, w.session.Previous = string(w.to.Source()), hash, ""
		if err := m.save(); err != nil {
			return err
		}
	}
	return nil
}

// RolledBackError means that the database runs as before the plan.
type RolledBackError struct{ cause error }

func (e *RolledBackError) Error() string {
	return fmt.Sprintf("the sessions were set back, and the database runs again as before: %v", e.cause)
}

// Hint says what to look at.
func (e *RolledBackError) Hint() string {
	return "The pod or its volume may be bound to a machine that the plan removes; look at: kubectl get pods -o wide."
}

func (e *RolledBackError) Unwrap() error { return e.cause }
