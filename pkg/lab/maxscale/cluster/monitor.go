package cluster

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Env is what a monitor needs of the world.
type Env struct {
	Dial Dial
	// Log writes a line of the log. The text has the mark of the module where MaxScale's has it.
	// Errors of servers stand in it as they came, passwords that they quote included.
	Log func(level Level, text string)
	Now func() time.Time
	// Wait returns when a time has passed, or ctx has ended.
	Wait func(ctx context.Context, d time.Duration)
	// Random returns a number from 0 to n-1.
	Random func(n int) int
	// ReadFile reads the files of SQL. It is called when they are run.
	ReadFile func(name string) ([]byte, error)
	// Sessions is how many client sessions use a server. Nil means none.
	Sessions func(server string) int
	// Lost is told of each server that goes down, once. Nil means nobody.
	Lost func(server string)
}

// Monitor watches the servers of one configuration. Its methods may be called at the same time.
type Monitor struct {
	settings *Settings
	env      Env
	links    []*link
	view     atomic.Pointer[View]

	turn   sync.Mutex // held by a tick, and by a command between two ticks
	memory Memory
	locks  locks
	ticks  int64
	events map[string]lastEvent
	resume int64 // the first tick that may operate by itself
	failed map[string]bool
	heard  map[string]heard

	small  sync.Mutex // held for a moment
	manual map[string]Bits
	notes  map[string]bool
	result result
}

type lastEvent struct{ name, at string }

// New makes a monitor that has not begun. What an earlier monitor of the same name remembers
// is given on, as MaxScale's journal does; the zero Remembered is none.
func New(settings Settings, env Env, remembered Remembered) *Monitor {
	s := settings.withDefaults()
	if env.Sessions == nil {
		env.Sessions = func(string) int { return 0 }
	}
	if env.Lost == nil {
		env.Lost = func(string) {}
	}
	m := &Monitor{settings: &s, env: env, locks: locks{mode: s.Locks, held: map[string]uint64{}}, events: map[string]lastEvent{}, failed: map[string]bool{},
		heard: map[string]heard{}, manual: map[string]Bits{}, notes: map[string]bool{}}
	m.memory = remembered.memory(s)
	for _, server := range s.Servers {
		m.links = append(m.links, &link{server: server, dial: env.Dial, settings: m.settings})
	}
	m.view.Store(&View{State: "Idle", Passive: s.Passive})
	return m
}

// Settings are those of the monitor, with defaults filled in.
func (m *Monitor) Settings() Settings { return *m.settings }

// Run ticks until ctx ends, and closes its connections then.
func (m *Monitor) Run(ctx context.Context) {
	for ctx.Err() == nil {
		begun := m.env.Now()
		m.Tick(ctx)
		if rest := m.settings.Interval - m.env.Now().Sub(begun); rest > 0 {
			m.env.Wait(ctx, rest)
		}
	}
	m.turn.Lock()
	defer m.turn.Unlock()
	for _, l := range m.links {
		l.close()
	}
}

// Tick asks every server, judges, and does what is to be done by itself.
func (m *Monitor) Tick(ctx context.Context) {
	m.turn.Lock()
	defer m.turn.Unlock()
	m.look(ctx)
	if ctx.Err() == nil {
		m.operate(ctx)
		m.publish("Monitoring servers")
	}
}

// look is a tick without operations.
func (m *Monitor) look(ctx context.Context) {
	m.ticks++
	rows := m.poll(ctx)
	if ctx.Err() != nil {
		return
	}
	m.cooperate(ctx, rows)
	m.judge(rows)
	m.listen()
	m.mark(ctx)
	m.publish("Monitoring servers")
}

// judge turns rows into states, and tells of the changes.
func (m *Monitor) judge(rows []Status) {
	old := m.memory
	next, events := Judge(old, Input{Rows: rows, Failcount: m.settings.Failcount, Locks: m.settings.Locks != NoLocks, Holder: m.locks.holder, Manual: m.byHand()})
	m.memory = next
	m.say(events...)
	for _, k := range next.Servers {
		if before := old.Server(k.Name); k.Down == 1 && (before == nil || before.up()) {
			m.env.Lost(k.Name)
		}
	}
}

// say writes lines, and remembers the last change of each server.
func (m *Monitor) say(events ...Event) {
	for _, e := range events {
		text := "[mariadbmon] " + e.Text
		if e.Server != "" && e.Name == "" && e.Level == Error || e.Name != "" {
			text = e.Text // the core of MaxScale says it, not the module
		}
		if e.Name != "" {
			m.events[e.Server] = lastEvent{e.Name, m.env.Now().UTC().Format(time.RFC1123)}
		}
		m.env.Log(e.Level, text)
	}
}

func (m *Monitor) notice(format string, values ...any) {
	m.env.Log(Notice, "[mariadbmon] "+fmt.Sprintf(format, values...))
}

func (m *Monitor) warn(format string, values ...any) {
	m.env.Log(Warning, "[mariadbmon] "+fmt.Sprintf(format, values...))
}

func (m *Monitor) fault(format string, values ...any) {
	m.env.Log(Error, "[mariadbmon] "+fmt.Sprintf(format, values...))
}

// sayOnce writes a line if none of that key has been written since forget.
func (m *Monitor) sayOnce(key string, level Level, text string) {
	m.small.Lock()
	before := m.notes[key]
	m.notes[key] = true
	m.small.Unlock()
	if !before {
		m.env.Log(level, "[mariadbmon] "+text)
	}
}

// unmeasured says once that nobody has measured something.
func (m *Monitor) unmeasured(what string) {
	m.sayOnce("unmeasured "+what, Warning, Unmeasured+": "+what)
}

func (m *Monitor) said(key string) bool {
	m.small.Lock()
	defer m.small.Unlock()
	return m.notes[key]
}

func (m *Monitor) forget(key string) {
	m.small.Lock()
	defer m.small.Unlock()
	delete(m.notes, key)
}

func (m *Monitor) byHand() map[string]Bits {
	m.small.Lock()
	defer m.small.Unlock()
	manual := map[string]Bits{}
	for name, bits := range m.manual {
		manual[name] = bits
	}
	return manual
}

// Set puts a server into Maintenance or Drain, or ends that. It shows at the next tick.
func (m *Monitor) Set(server string, bit Bits, on bool) error {
	if _, ok := m.settings.server(server); !ok {
		return fmt.Errorf("server %q is not monitored", server)
	}
	if bit != Maintenance && bit != Drain {
		return fmt.Errorf("server %q is monitored so only maintenance and drain status can be altered manually", server)
	}
	if on && bit == Maintenance && m.View().Master == server {
		m.unmeasured("a primary in maintenance is nobody's Master, and is not replaced")
	}
	m.small.Lock()
	defer m.small.Unlock()
	if on {
		m.manual[server] |= bit
	} else {
		m.manual[server] &^= bit
	}
	return nil
}

func (m *Monitor) link(server string) *link {
	for _, l := range m.links {
		if l.server.Name == server {
			return l
		}
	}
	return &link{server: Server{Name: server}, settings: m.settings}
}

// pause keeps the monitor from operating by itself for some ticks.
func (m *Monitor) pause(ticks int) { m.resume = m.ticks + int64(ticks) }

// may reports whether the monitor may operate by itself in this tick.
func (m *Monitor) may() bool {
	return (m.settings.Locks == NoLocks || m.locks.holder) && m.ticks >= m.resume && !m.settings.Passive
}
