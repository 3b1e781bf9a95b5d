package change

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/topology"
)

// PlatformsPlanKind is the kind of a plan for machines.
const PlatformsPlanKind = "confidb.platforms-plan/v1"

// PlatformsPlan is a change of the machines that the sessions of a release admit,
// written down for review.
type PlatformsPlan struct {
	// Cluster tells clusters apart; it is a digest.
	Cluster string
	// Namespace and Name are those of the release.
	Namespace, Name string
	// Before and After are the machines, sorted.
	Before, After []attest.PlatformID
	// Sessions are uploaded in this order: clients first, so that an old client never
	// meets a machine that only the database admits.
	Sessions []PlannedSession
}

// PlannedSession is the update of one session.
type PlannedSession struct {
	// From is the version that is replaced, and To the document, with its predecessor.
	From Version
	To   *session.Session
	Change
}

// Name is that of the session.
func (p PlannedSession) Name() string { return p.To.Name }

// platformsFile is such a plan as it is written.
type platformsFile struct {
	Kind string `json:"kind"`
	WrittenPlan
}

// WrittenPlan is a plan for machines in the words of its file, without the kind. It is a
// part of documents of that kind, too.
type WrittenPlan struct {
	Cluster   string              `json:"cluster"`
	Namespace string              `json:"namespace"`
	Name      string              `json:"name"`
	Before    []attest.PlatformID `json:"before"`
	After     []attest.PlatformID `json:"after"`
	Sessions  []WrittenSession    `json:"sessions"`
}

// WrittenSession is the update of one session in such a file: the hash of the version
// that is replaced, and both texts.
type WrittenSession struct {
	Name        string `json:"name"`
	Predecessor string `json:"predecessor"`
	From        string `json:"from"`
	To          string `json:"to"`
}

// Written returns the plan in the words of its file.
func (p *PlatformsPlan) Written() WrittenPlan {
	w := WrittenPlan{p.Cluster, p.Namespace, p.Name, sorted(p.Before), sorted(p.After), nil}
	for _, s := range p.Sessions {
		w.Sessions = append(w.Sessions, WrittenSession{s.Name(), s.From.Hash, s.From.Text(), string(s.To.Source())})
	}
	return w
}

// MarshalJSON writes the plan; ReadPlatformsPlan reads it.
func (p *PlatformsPlan) MarshalJSON() ([]byte, error) {
	return json.Marshal(platformsFile{PlatformsPlanKind, p.Written()})
}

// ReadPlatformsPlan reads a plan. That it fits is judged by Fits.
func ReadPlatformsPlan(file string, text []byte) (*PlatformsPlan, error) {
	p, err := readPlatformsPlan(text)
	if err != nil {
		return nil, fmt.Errorf("reading the plan: %s: %w", file, err)
	}
	return p, nil
}

func readPlatformsPlan(text []byte) (*PlatformsPlan, error) {
	var f platformsFile
	if err := decode(text, &f); err != nil {
		return nil, err
	}
	if f.Kind != PlatformsPlanKind {
		return nil, fmt.Errorf("kind: got %q, want %q", f.Kind, PlatformsPlanKind)
	}
	p := &PlatformsPlan{Cluster: f.Cluster, Namespace: f.Namespace, Name: f.Name, Before: sorted(f.Before), After: sorted(f.After)}
	for i, s := range f.Sessions {
		planned, err := s.read()
		if err != nil {
			return nil, fmt.Errorf("sessions[%d]: %w", i, err)
		}
		if slices.ContainsFunc(p.Sessions, func(other PlannedSession) bool { return other.Name() == s.Name }) {
			return nil, fmt.Errorf("sessions[%d]: got session %q twice", i, s.Name)
		}
		p.Sessions = append(p.Sessions, planned)
	}
	return p, nil
}

func (f WrittenSession) read() (PlannedSession, error) {
	from, to, err := readTexts(f.From, f.To)
	if err != nil {
		return PlannedSession{}, err
	}
	switch {
	case from.Name != f.Name || to.Name != f.Name:
		return PlannedSession{}, fmt.Errorf("got the names %q, %q and %q, want one", f.Name, from.Name, to.Name)
	case f.Predecessor == "" || !strings.EqualFold(to.Predecessor, f.Predecessor):
		return PlannedSession{}, fmt.Errorf("predecessor: got %q in the new text, want %q", to.Predecessor, f.Predecessor)
	}
	return PlannedSession{Version{f.Predecessor, from}, to, New(from, to)}, nil
}

// sorted is a sorted copy, and never nil.
func sorted(ids []attest.PlatformID) []attest.PlatformID {
	all := append([]attest.PlatformID{}, ids...)
	slices.SortFunc(all, attest.PlatformID.Compare)
	return all
}

func words(ids []attest.PlatformID) string {
	var all []string
	for _, id := range ids {
		all = append(all, id.String())
	}
	return strings.Join(all, ", ")
}

func digest(cluster string) string {
	sum := sha256.Sum256([]byte(cluster))
	return hex.EncodeToString(sum[:8])
}

// NewPlatformsPlan works out the updates after which the sessions of a release admit
// these machines. held are the versions that CAS has, by the name of the session. A
// session that is not what was promised is not touched: somebody else changed it.
func NewPlatformsPlan(cluster string, r *topology.Release, held map[string]Version, after []attest.PlatformID) (*PlatformsPlan, error) {
	p := &PlatformsPlan{Cluster: digest(cluster), Namespace: r.Namespace, Name: r.Name, Before: sorted(r.Platforms), After: sorted(after)}
	for _, s := range r.Admitting() {
		version, ok := held[s.Name]
		if !ok {
			return nil, &NoSessionError{s.Name}
		}
		if err := topology.SameSession(*s, &session.Stored{Hash: version.Hash, Text: version.Text()}); err != nil {
			return nil, err
		}
		planned, err := planSession(version, after)
		if err != nil {
			return nil, err
		}
		if planned != nil {
			p.Sessions = append(p.Sessions, *planned)
		}
	}
	return p, nil
}

// Empty reports whether nothing is left to be done.
func (p *PlatformsPlan) Empty() bool {
	return len(p.Sessions) == 0 && slices.Equal(p.Before, p.After)
}

// planSession is the update after which each service admits exactly these machines; nil
// if it does already.
func planSession(from Version, after []attest.PlatformID) (*PlannedSession, error) {
	changed := *from.Session
	for _, v := range from.Session.Services {
		if len(v.PlatformSecrets) > 0 {
			return nil, fmt.Errorf("session %q: the platforms of service %s are in a secret, want them in the session", from.Session.Name, v.Name)
		}
		if err := changed.SetPlatforms(v.Name, after); err != nil {
			return nil, err
		}
	}
	if session.Equal(from.Session, &changed) {
		return nil, nil
	}
	to, err := from.successor(&changed)
	if err != nil {
		return nil, err
	}
	p := &PlannedSession{from, to, New(from.Session, to)}
	if err := p.refuse(); err != nil {
		return nil, err
	}
	return p, nil
}

// Fits is an error if the plan is for another release, for another day, or does
// anything else than such a plan may do: an edited one could do anything. machines are
// those that were found now.
func (p *PlatformsPlan) Fits(cluster string, r *topology.Release, machines []attest.PlatformID) error {
	if p.Cluster != digest(cluster) || p.Namespace != r.Namespace || p.Name != r.Name {
		return fmt.Errorf("the plan is for release %s/%s of another cluster or name, want %s/%s", p.Namespace, p.Name, r.Namespace, r.Name)
	}
	recorded := sorted(r.Platforms)
	if !slices.Equal(recorded, p.Before) && !slices.Equal(recorded, p.After) { // After: it was carried out before
		return fmt.Errorf("the plan begins with the machines %s, and the release admits %s: make the plan again", words(p.Before), words(recorded))
	}
	if now := sorted(machines); !slices.Equal(now, p.After) {
		return &ClusterMovedError{Got: now, Want: p.After}
	}
	for _, s := range p.Sessions {
		if !slices.ContainsFunc(r.Admitting(), func(known *topology.Session) bool { return known.Name == s.Name() }) {
			return fmt.Errorf("the plan changes session %q, which is not one of the release's", s.Name())
		}
		if _, err := s.replace(s.From, p.After); err != nil {
			return fmt.Errorf("session %q: %w", s.Name(), err)
		}
	}
	return nil
}

// Next says what is to be uploaded, given what CAS has. It is worked out from that, so
// that no text of the plan is uploaded; nil means that CAS has the planned version
// already, from a run that was killed. The error is a *MovedError if CAS has another
// version than the one that the plan replaces.
func (p PlannedSession) Next(held Version, after []attest.PlatformID) (*session.Session, error) {
	switch {
	case p.made(held):
		return nil, nil
	case !held.Is(p.From.Hash) || !session.Equal(held.Session, p.From.Session): // the plan's own word for it does not count
		return nil, p.Moved()
	}
	return p.replace(held, after)
}

// Again is Next for a plan that was carried out and undone: undone, which the newest
// version replaced, is what the plan made, and the newest means again what the plan began
// with. A roll back that was killed leaves that.
func (p PlannedSession) Again(held, undone Version, after []attest.PlatformID) (*session.Session, error) {
	if !undone.Is(held.Session.Predecessor) || !p.made(undone) || !session.Equal(held.Session, p.From.Session) {
		return nil, p.Moved()
	}
	return p.replace(held, after)
}

// made reports whether a version is what the plan makes.
func (p PlannedSession) made(v Version) bool {
	return p.From.Is(v.Session.Predecessor) && session.Equal(v.Session, p.To)
}

// replace is the update of a version after which it admits just these machines. It is
// an error if that is not all that the plan does.
func (p PlannedSession) replace(held Version, after []attest.PlatformID) (*session.Session, error) {
	next, err := planSession(held, after)
	if err != nil {
		return nil, err
	}
	if next == nil || !session.Equal(next.To, p.To) {
		return nil, errors.New("the plan changes something else than platforms: make it again")
	}
	return next.To, nil
}

// Moved is what is wrong when CAS has another version than the one that the plan
// replaces.
func (p PlannedSession) Moved() error { return &MovedError{p.Name(), "{platforms plan}"} }

// Back is the document that makes a session what it was before a change of its
// platforms. current is what CAS has, and earlier what it answered when it was asked for
// the version with the hash previous. The text is that of the earlier version, service
// by service: neither a plan nor a record says who is admitted. Whatever does not hold
// together is refused, so that nothing is admitted that was not admitted before.
func Back(current, earlier Version, previous string) (*session.Session, error) {
	name := current.Session.Name
	switch {
	case previous == "" || !strings.EqualFold(current.Session.Predecessor, previous):
		return nil, fmt.Errorf("session %q: got the predecessor %q, want %q", name, current.Session.Predecessor, previous)
	case !earlier.Is(previous):
		return nil, fmt.Errorf("session %q: asked CAS for the version %s, got %q", name, previous, earlier.Hash)
	case !session.Equal(admittingAs(earlier.Session, current.Session), current.Session):
		return nil, fmt.Errorf("session %q: the version %s differs from its successor in more than platforms", name, previous)
	}
	return current.successor(earlier.Session)
}

// admittingAs is a session that admits the machines of another one, service by service.
func admittingAs(s, other *session.Session) *session.Session {
	as := *s
	as.Services = slices.Clone(s.Services)
	for i := range as.Services {
		v := &as.Services[i]
		if j := slices.IndexFunc(other.Services, func(o session.Service) bool { return o.Name == v.Name }); j >= 0 {
			v.Platforms, v.PlatformSecrets = other.Services[j].Platforms, other.Services[j].PlatformSecrets
		}
	}
	return &as
}

// ClusterMovedError means that the machines are not those of the plan.
type ClusterMovedError struct{ Got, Want []attest.PlatformID }

func (e *ClusterMovedError) Error() string {
	return fmt.Sprintf("the machines have changed since the plan was made: got %s, want %s; nothing was changed", words(e.Got), words(e.Want))
}

// Hint says how to go on.
func (e *ClusterMovedError) Hint() string {
	return "Look at the machines ({platforms}) and make the plan again: {platforms plan}."
}
