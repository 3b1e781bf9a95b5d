package cluster

import "slices"

// View is what a monitor says at one moment. It is never changed.
type View struct {
	// State is what the monitor does, as "Monitoring servers" or "Rejoining slave servers".
	State string
	// Primary says whether this monitor has the majority of the locks; nil without locks.
	Primary *bool
	// Master is the server that is Master, empty if none is.
	Master string
	Domain uint32 // gtid_domain_id of the primary
	Ticks  int64
	// Passive is the setting, which says nothing of who is active.
	Passive bool
	Servers []ServerView // in the order of the configuration
}

// ServerView is one server in a View. A server that is down keeps what it last said.
type ServerView struct {
	Status
	Bits  Bits
	State string // as printed
	// LockHeld is nil for a server that is down, and without locks.
	LockHeld *bool
	// MasterID is the server id of the primary of the first replication connection, -1 for none.
	MasterID int64
	// Lag is in seconds, -1 if it is unknown or the server is down.
	Lag int64
	// LastEvent is the name of the last change of state, as master_down.
	LastEvent string
	// Triggered is when that was, as the log prints times; empty if there was none.
	Triggered string
}

// Server is a server of the view by its name, nil if there is none.
func (v *View) Server(name string) *ServerView {
	if v == nil {
		return nil
	}
	i := slices.IndexFunc(v.Servers, func(s ServerView) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return &v.Servers[i]
}

// View is what the monitor said last. Before its first tick it has no servers.
func (m *Monitor) View() *View { return m.view.Load() }

// publish makes what the monitor knows its View. Servers named in draining are shown without
// a role: they are being demoted.
func (m *Monitor) publish(state string, draining ...string) {
	v := &View{State: state, Ticks: m.ticks, Passive: m.settings.Passive, Servers: make([]ServerView, 0, len(m.memory.Servers))}
	if m.settings.Locks != NoLocks {
		holder := m.locks.holder
		v.Primary = &holder
	}
	for _, k := range m.memory.Servers {
		if slices.Contains(draining, k.Name) {
			k.Bits = k.Bits&^(Master|Slave|Relay) | Drain
		}
		s := m.show(k)
		if k.Bits&Master != 0 {
			v.Master, v.Domain = k.Name, k.Domain
		}
		v.Servers = append(v.Servers, s)
	}
	m.view.Store(v)
}

func (m *Monitor) show(k Known) ServerView {
	s := ServerView{Status: k.Status, Bits: k.Bits, MasterID: -1, Lag: -1, LastEvent: m.events[k.Name].name, Triggered: m.events[k.Name].at}
	if len(k.Slaves) > 0 {
		s.MasterID = int64(k.Slaves[0].MasterServerID)
	}
	if k.Answered && len(k.Slaves) > 0 {
		s.Lag = k.Slaves[0].Behind
	} else if k.Bits&Master != 0 {
		s.Lag = 0
	}
	if m.settings.Locks != NoLocks && k.up() {
		held := m.locks.holds(k.Name)
		s.LockHeld = &held
	}
	s.State = k.Bits.Text(m.env.Sessions(k.Name))
	return s
}
