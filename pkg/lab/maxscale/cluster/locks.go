package cluster

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// released is for how long release-locks keeps a monitor from taking locks again.
const released = time.Minute

// locks are the cooperative locks as one monitor sees them. It decides, and asks no server.
type locks struct {
	mode LockMode
	// held are the connections that hold a lock of ours, by server.
	held map[string]uint64
	// holder says that we have the majority.
	holder bool
	// wait is how many ticks pass before we try again.
	wait int
	// until is when locks may be taken again after release-locks.
	until time.Time
	// master is the server on which we hold the lock of the primary, by the connection masterOwn.
	master    string
	masterOwn uint64
}

// holds reports whether the lock of a server is ours.
func (l *locks) holds(server string) bool { return l.held[server] != 0 }

// need is how many locks are the majority.
func (l *locks) need(rows []Status) int {
	total := len(rows)
	if l.mode == MajorityOfRunning {
		total = 0
		for _, r := range rows {
			if r.Answered {
				total++
			}
		}
	}
	return total/2 + 1
}

// confirm compares what we believe with what the servers say.
func (l *locks) confirm(rows []Status) []Event {
	var events []Event
	for _, r := range rows {
		own := l.held[r.Name]
		switch {
		case own == 0:
		case !r.Answered && r.Own != own:
			delete(l.held, r.Name) // with its connection
		case r.Answered && r.Lock != own:
			delete(l.held, r.Name)
			events = append(events, lostLock(lockName, r.Name, r.Lock))
		}
		if r.Name == l.master && (r.Answered && r.MasterLock != l.masterOwn || !r.Answered && r.Own != l.masterOwn) {
			l.master, l.masterOwn = "", 0
			if r.Answered {
				events = append(events, lostLock(masterLockName, r.Name, r.MasterLock))
			}
		}
	}
	return events
}

func lostLock(lock, server string, owner uint64) Event {
	text := fmt.Sprintf("Lost the lock '%s' on server '%s' without releasing it.", lock, server)
	if owner != 0 {
		text += fmt.Sprintf(" The lock is now owned by connection %d.", owner)
	}
	return Event{Level: Warning, Server: server, Text: text}
}

// wants are the servers whose locks we try to take: none if they would not make a majority.
func (l *locks) wants(rows []Status, now time.Time) []string {
	if l.mode == NoLocks || now.Before(l.until) {
		return nil
	}
	if l.wait > 0 {
		l.wait--
		return nil
	}
	var free []string
	for _, r := range rows {
		if r.Answered && r.Lock == 0 {
			free = append(free, r.Name)
		}
	}
	if len(l.held)+len(free) < l.need(rows) {
		return nil
	}
	return free
}

// conclude notes the locks that were got, by server. It says which must be given back: a
// minority helps nobody. A monitor that has got too few waits for some ticks of its own choice.
func (l *locks) conclude(s *Settings, rows []Status, got map[string]uint64, random func(int) int) (back []string, events []Event) {
	if l.mode == NoLocks {
		return nil, nil
	}
	if l.held == nil {
		l.held = map[string]uint64{}
	}
	maps.Copy(l.held, got)
	was := l.holder
	l.holder = len(l.held) >= l.need(rows)
	switch {
	case l.holder && !was:
		events = append(events, Event{Level: Notice, Text: fmt.Sprintf("'%s' acquired the exclusive lock on a majority of its servers. "+
			"Configured automatic cluster manipulation operations (e.g. failover) can be performed in %d monitor ticks.", s.Name, s.Failcount)})
	case !l.holder && was:
		events = append(events, Event{Level: Warning, Text: fmt.Sprintf("'%s' lost the exclusive lock on a majority of its servers. "+
			"Configured automatic cluster manipulation operations (e.g. failover) can not be performed.", s.Name)})
	}
	if l.holder {
		return nil, events
	}
	if len(got) > 0 {
		l.wait = 1 + random(max(1, len(rows)))
	}
	return l.drop(), events
}

// drop forgets all locks, and returns where they were held.
func (l *locks) drop() []string {
	back := slices.Sorted(maps.Keys(l.held))
	if l.master != "" && !slices.Contains(back, l.master) {
		back = append(back, l.master)
	}
	l.held, l.holder, l.master, l.masterOwn = map[string]uint64{}, false, "", 0
	return back
}

// cooperate takes, keeps and gives back locks in a tick.
func (m *Monitor) cooperate(ctx context.Context, rows []Status) {
	if m.settings.Locks == NoLocks {
		return
	}
	m.say(m.locks.confirm(rows)...)
	got := map[string]uint64{}
	for _, name := range m.locks.wants(rows, m.env.Now()) {
		if own := m.take(ctx, name, lockName); own != 0 {
			got[name] = own
		}
	}
	was := m.locks.holder
	back, events := m.locks.conclude(m.settings, rows, got, m.env.Random)
	m.say(events...)
	for _, name := range back {
		m.giveBack(ctx, name, lockName, masterLockName)
	}
	if m.locks.holder && !was {
		m.pause(m.settings.Failcount)
	}
}

// take takes a lock without waiting, and returns the number of the connection that has it, 0
// if we have not got it.
func (m *Monitor) take(ctx context.Context, server, lock string) uint64 {
	l := m.link(server)
	row, err := l.one(ctx, "SELECT GET_LOCK('"+lock+"', 0) AS got")
	if err != nil || !row.on("got") || l.session == nil {
		return 0
	}
	return l.session.ID()
}

// giveBack gives locks back, whether we have them or not.
func (m *Monitor) giveBack(ctx context.Context, server string, locks ...string) {
	for _, lock := range locks {
		if _, err := m.link(server).query(ctx, "SELECT RELEASE_LOCK('"+lock+"') AS released"); err != nil {
			return // the lock goes with the connection
		}
	}
}

// mark moves the lock of the primary to where it is.
func (m *Monitor) mark(ctx context.Context) {
	if !m.locks.holder || m.locks.master == m.memory.Primary {
		return
	}
	if old := m.locks.master; old != "" {
		m.locks.master, m.locks.masterOwn = "", 0
		m.giveBack(ctx, old, masterLockName)
	}
	k := m.memory.Server(m.memory.Primary)
	if k == nil || k.Bits&Master == 0 {
		return
	}
	if own := m.take(ctx, k.Name, masterLockName); own != 0 {
		m.locks.master, m.locks.masterOwn = k.Name, own
	}
}
