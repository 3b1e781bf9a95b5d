package cluster

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"
)

// model is a small world of locks: servers whose lock is somebody's connection, and two
// monitors that take one step at a time. Every interleaving is gone through.
type model struct {
	settings *Settings
	owner    []uint64 // by server
	started  []uint64 // how often a server has begun
	monitors [2]modelMonitor
}

type modelMonitor struct {
	locks locks
	rows  []Status
	want  []string
	got   map[string]uint64
	step  int
	stale bool // a lock was lost, and no whole tick has been since
	heard bool // nothing was lost since it has asked
}

var modelServers = []string{"a", "b", "c", "d", "e"}

func (m model) clone() model {
	m.owner, m.started = slices.Clone(m.owner), slices.Clone(m.started)
	for i := range m.monitors {
		n := &m.monitors[i]
		n.locks.held, n.rows, n.want, n.got = maps.Clone(n.locks.held), slices.Clone(n.rows), slices.Clone(n.want), maps.Clone(n.got)
	}
	return m
}

// connection is that of a monitor to a server.
func (m *model) connection(who, server int) uint64 {
	return uint64(who+1)*1000 + uint64(server)*100 + m.started[server]
}

// advance is one step of a monitor: it asks, it takes one lock, or it concludes.
func (m *model) advance(who int) {
	n := &m.monitors[who]
	switch {
	case n.step == 0:
		n.heard, n.rows, n.got, n.step = true, nil, map[string]uint64{}, 1
		for i := range m.owner {
			n.rows = append(n.rows, Status{Name: modelServers[i], Answered: true, Lock: m.owner[i], Own: m.connection(who, i)})
		}
		n.locks.confirm(n.rows)
		n.want = n.locks.wants(n.rows, time.Time{})
	case len(n.want) > 0:
		i := slices.Index(modelServers, n.want[0])
		n.want = n.want[1:]
		if m.owner[i] == 0 {
			m.owner[i] = m.connection(who, i)
			n.got[modelServers[i]] = m.owner[i]
		}
	default:
		back, _ := n.locks.conclude(m.settings, n.rows, n.got, func(int) int { return 0 })
		for _, name := range back {
			if i := slices.Index(modelServers, name); m.owner[i] == m.connection(who, i) {
				m.owner[i] = 0
			}
		}
		n.step, n.stale = 0, n.stale && !n.heard
	}
}

// restart ends all connections of a server.
func (m *model) restart(server int) {
	for who := range m.monitors {
		n := &m.monitors[who]
		if m.owner[server] == m.connection(who, server) {
			n.stale, n.heard = true, false
		}
	}
	m.owner[server] = 0
	m.started[server]++
}

func newModel(servers int) model {
	m := model{settings: &Settings{Name: "Mon", Failcount: 3}, owner: make([]uint64, servers), started: make([]uint64, servers)}
	for i := range m.monitors {
		m.monitors[i].locks = locks{mode: MajorityOfAll, held: map[string]uint64{}}
	}
	return m
}

// explore goes through all interleavings of a length, with so many restarts at most. A state
// that was met before is not gone into again.
func explore(t *testing.T, m model, depth, restarts int, met map[string]bool, seen *int) {
	key := fmt.Sprint(m.owner, m.started, m.monitors, depth, restarts)
	if met[key] {
		return
	}
	met[key] = true
	if m.monitors[0].locks.holder && m.monitors[1].locks.holder && !m.monitors[0].stale && !m.monitors[1].stale {
		t.Fatalf("two monitors have the majority: %v", m.owner)
	}
	if m.monitors[0].locks.holder || m.monitors[1].locks.holder {
		*seen++
	}
	if depth == 0 {
		return
	}
	for who := range m.monitors {
		next := m.clone()
		next.advance(who)
		explore(t, next, depth-1, restarts, met, seen)
	}
	for server := range m.owner {
		if restarts > 0 && m.owner[server] != 0 {
			next := m.clone()
			next.restart(server)
			explore(t, next, depth-1, restarts-1, met, seen)
		}
	}
}

func TestNeverTwoHolders(t *testing.T) {
	for _, c := range []struct{ servers, depth, restarts int }{{3, 16, 0}, {3, 13, 2}, {2, 14, 2}, {5, 16, 0}} {
		seen := 0
		explore(t, newModel(c.servers), c.depth, c.restarts, map[string]bool{}, &seen)
		if seen == 0 {
			t.Errorf("%+v: nobody ever has the majority", c)
		}
	}
}

// pair are two monitors of one world.
func pair(w *world) (a, b *Monitor) {
	return w.monitor(w.settings()), w.monitor(w.settings())
}

func isHolder(m *Monitor) bool { return m.View().Primary != nil && *m.View().Primary }

func TestSecondary(t *testing.T) {
	w := newWorld(3)
	a, b := pair(w)
	w.ticks(2, a, b)
	if !isHolder(a) || isHolder(b) {
		t.Fatal("the first is not the holder, or both are")
	}
	wantStates(t, b, "Master, Running", "Slave, Running", "Slave, Running")
	if held := b.View().Server("db1").LockHeld; held == nil || *held {
		t.Errorf("the second has lock_held %v", held)
	}
	// Without the mark of the holder nobody is primary.
	delete(w.servers["db1"].locks, masterLockName)
	w.tick(b)
	wantStates(t, b, "Slave, Running", "Slave, Running", "Slave, Running")
}

func TestHolderDies(t *testing.T) {
	w := newWorld(3)
	a, b := pair(w)
	w.ticks(4, a, b)
	for _, l := range a.links {
		l.close()
	}
	w.tick(b)
	if !isHolder(b) {
		t.Fatal("the other has not taken over")
	}
	wantStates(t, b, "Master, Running", "Slave, Running", "Slave, Running")
}

// A holder that is frozen for longer than wait_timeout loses its locks to the other one, and
// says so when it goes on.
func TestHolderIsFrozen(t *testing.T) {
	w := newWorld(3)
	a, b := pair(w)
	w.ticks(2, a, b)
	w.ticks(5, b)
	if isHolder(b) {
		t.Fatal("the other took over within the wait_timeout")
	}
	w.ticks(4, b)
	if !isHolder(b) {
		t.Fatal("the other has not taken over")
	}
	w.tick(a, b)
	if isHolder(a) {
		t.Error("both have the majority")
	}
	w.tick(a, b)
	wantStates(t, a, "Master, Running", "Slave, Running", "Slave, Running")
	w.wantLog(t, "warning [mariadbmon] Lost the lock", "without releasing it. The lock is now owned by connection")
}

// The primary hangs with default timeouts: the round lasts longer than wait_timeout, so that
// the locks of the healthy servers are lost.
func TestStallLosesLocks(t *testing.T) {
	for _, c := range []struct {
		connect, read time.Duration
		kept          bool
	}{{0, 0, false}, {time.Second, 3 * time.Second, true}} {
		w := newWorld(3)
		s := w.settings()
		s.ConnectTimeout, s.ReadTimeout = c.connect, c.read
		a := w.monitor(s)
		w.ticks(2, a)
		before := w.servers["db2"].locks[lockName]
		w.servers["db1"].hung = true
		a.Tick(context.Background())
		a.Tick(context.Background())
		if got := w.servers["db2"].locks[lockName] == before; got != c.kept {
			t.Errorf("%v/%v: the lock of db2 is still that of before: %v, want %v", c.connect, c.read, got, c.kept)
		}
	}
}

func TestTwoServersHaveNoFailover(t *testing.T) {
	w := newWorld(2)
	m := w.monitor(w.settings())
	w.ticks(5, m)
	w.fail("db1")
	w.ticks(10, m)
	wantStates(t, m, "Down", "Slave, Running")
	if isHolder(m) || len(w.run) != 0 {
		t.Errorf("holder %v, run %q", isHolder(m), w.run)
	}
	// With the majority of those that run it happens.
	w = newWorld(2)
	s := w.settings()
	s.Locks = MajorityOfRunning
	m = w.monitor(s)
	w.ticks(5, m)
	w.fail("db1")
	w.ticks(5, m)
	wantStates(t, m, "Down", "Master, Running")
}

// Two of three servers are down: the holder gives its locks back, and the primary that lives is
// nobody's, until a second server is there.
func TestTwoOfThreeDown(t *testing.T) {
	w := newWorld(3)
	a, b := pair(w)
	w.ticks(5, a, b)
	w.fail("db2", "db3")
	w.ticks(3, a, b)
	wantStates(t, a, "Slave, Running", "Down", "Down")
	wantStates(t, b, "Slave, Running", "Down", "Down")
	if isHolder(a) || isHolder(b) || len(w.servers["db1"].locks) != 0 {
		t.Error("somebody has locks")
	}
	w.back("db2", true)
	w.ticks(3, a, b)
	wantStates(t, a, "Master, Running", "Slave, Running", "Down")
	wantStates(t, b, "Master, Running", "Slave, Running", "Down")
}

// A holder that is passive keeps the locks, does nothing, and lets nobody else do it.
func TestPassiveHolder(t *testing.T) {
	w := newWorld(3)
	s := w.settings()
	s.Passive = true
	a, b := w.monitor(s), w.monitor(w.settings())
	w.ticks(5, a, b)
	w.fail("db1")
	w.ticks(10, a, b)
	wantStates(t, a, "Down", "Slave, Running", "Slave, Running")
	if !isHolder(a) || isHolder(b) || len(w.run) != 0 {
		t.Errorf("holders %v %v, run %q", isHolder(a), isHolder(b), w.run)
	}
	if !a.View().Passive || b.View().Passive {
		t.Error("passive does not show the settings")
	}
}

func TestReleaseLocks(t *testing.T) {
	w := newWorld(3)
	a, b := pair(w)
	w.ticks(2, a, b)
	if err := a.ReleaseLocks(context.Background()); err != nil {
		t.Fatal(err)
	}
	if isHolder(a) || len(w.servers["db1"].locks) != 0 {
		t.Error("locks are held after their release")
	}
	w.ticks(30, a)
	if isHolder(a) {
		t.Error("locks are taken again within a minute")
	}
	w.ticks(31, a)
	if !isHolder(a) {
		t.Error("locks are not taken again after a minute")
	}
}
