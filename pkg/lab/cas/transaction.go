package cas

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// transaction is a view of the state that may become the next state. Nothing of
// it stays when it ends with an error.
type transaction struct {
	state   state
	now     time.Time
	changed bool
}

// update runs one transaction at a time. What it changed is on the disk before
// update returns.
func (s *store) update(do func(*transaction) error) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	t := &transaction{state: state{s.state.Own, maps.Clone(s.state.Sessions), maps.Clone(s.state.Volumes)}, now: s.now()}
	if err := do(t); err != nil {
		return err
	}
	if !t.changed {
		return nil
	}
	if err := s.save(t.state); err != nil {
		return fmt.Errorf("writing the store: %w", err)
	}
	s.state = t.state
	return nil
}

// place is one version of one session.
type place struct {
	session string
	index   int
}

// newest finds the current version of a session.
func (t *transaction) newest(name string) (place, bool) {
	n := len(t.state.Sessions[name])
	return place{name, n - 1}, n > 0
}

// find finds a version by its hash, or the current one when the hash is empty.
func (t *transaction) find(name, hash string) (place, bool) {
	if hash == "" {
		return t.newest(name)
	}
	i := slices.IndexFunc(t.state.Sessions[name], func(v version) bool { return strings.EqualFold(v.Hash, hash) })
	return place{name, i}, i >= 0
}

func (t *transaction) at(p place) *version { return &t.state.Sessions[p.session][p.index] }

// current reports whether no later version has replaced this one.
func (t *transaction) current(p place) bool {
	return p.index == len(t.state.Sessions[p.session])-1
}

// append makes v the current version of its session.
func (t *transaction) append(v version) place {
	name := v.parsed.Name
	t.state.Sessions[name] = append(slices.Clone(t.state.Sessions[name]), v)
	t.changed = true
	p, _ := t.newest(name)
	return p
}

// keep stores the material of a secret in a version.
func (t *transaction) keep(p place, secret string, material []byte) {
	versions := slices.Clone(t.state.Sessions[p.session])
	materials := maps.Clone(versions[p.index].Materials)
	materials[secret] = material
	versions[p.index].Materials = materials
	t.state.Sessions[p.session] = versions
	t.changed = true
}
