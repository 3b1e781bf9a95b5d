package cluster

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Bits are what a monitor says of a server. The zero value is a server that is down.
type Bits uint16

// The states of a server, in the order in which they are printed, but for Running.
const (
	Maintenance Bits = 1 << iota // set by hand: no role
	Drain                        // set by hand, or while the server is demoted: no new sessions
	Master
	Relay
	Slave
	AuthError
	Running
)

// Text is the state as MaxScale prints it. Draining has become Drained when no session is open.
func (b Bits) Text(sessions int) string {
	var words []string
	add := func(bit Bits, word string) {
		if b&bit != 0 {
			words = append(words, word)
		}
	}
	add(Maintenance, "Maintenance")
	if sessions > 0 {
		add(Drain, "Draining")
	} else {
		add(Drain, "Drained")
	}
	add(Master, "Master")
	add(Relay, "Relay Master")
	add(Slave, "Slave")
	add(AuthError, "Auth Error")
	if b&Running == 0 {
		return strings.Join(append(words, "Down"), ", ")
	}
	return strings.Join(append(words, "Running"), ", ")
}

// SlaveConnection is a replication connection of a server (SHOW ALL SLAVES STATUS).
type SlaveConnection struct {
	Name                     string
	MasterHost               string
	MasterPort               int
	MasterServerID           uint32
	IORunning, SQLRunning    string // Yes, No, Connecting, Preparing
	LastIOError, LastSQError string
	Behind                   int64 // seconds, -1 if unknown
	UsingGTID                string
	IOPosition               Position
	Heartbeats               int64
}

// Status is what a server has answered in one tick. The zero value but for Name is one that
// could not be reached.
type Status struct {
	Name string
	Host string // as the configuration has it
	Port int

	Answered bool   // it was reached, and answered everything that its account may ask
	Denied   bool   // the monitor's account may not log in, or not ask
	Problem  string // why it has not answered

	ServerID, Domain  uint32
	ReadOnly          bool
	LogSlaveUpdates   bool
	Current, Binlog   Position
	Slaves            []SlaveConnection
	Uptime            int64 // seconds
	Version           string
	Own               uint64 // the number of the monitor's connection
	Lock, MasterLock  uint64 // the connections that hold the locks, 0 if nobody does
	SemiSyncMasterOff bool   // Rpl_semi_sync_master_status is not ON
}

// Known is what a monitor knows of a server. A server that is down keeps what it last said.
type Known struct {
	Status
	Bits Bits
	// Down counts the ticks in which it was not reached, without a break.
	Down int
	// Seen says whether it has answered once in the life of this monitor.
	Seen bool
	// Linked are the replication connections that have been running once, by primary.
	Linked map[string]bool
}

// Memory is what a monitor keeps from one tick to the next. The zero value is that of one that
// has just begun, without a journal.
type Memory struct {
	// Primary is the name of the current primary, which need not be up or valid. Empty means
	// that there is none.
	Primary string
	// WasMaster says that the primary has been writable in the life of this monitor.
	WasMaster bool
	// Replicating says that the primary replicated from a member when it was chosen.
	Replicating bool
	Servers     []Known
	said        string
}

// Server is what is known of a server, nil if there is none of that name.
func (m *Memory) Server(name string) *Known {
	for i := range m.Servers {
		if m.Servers[i].Name == name {
			return &m.Servers[i]
		}
	}
	return nil
}

// clone copies what a judgement changes.
func (m Memory) clone() Memory {
	m.Servers = slices.Clone(m.Servers)
	for i := range m.Servers {
		m.Servers[i].Linked = maps.Clone(m.Servers[i].Linked)
	}
	return m
}

// Event is a line of the log. Server and Name are those of a change of state, as master_down.
type Event struct {
	Level        Level
	Server, Name string
	Text         string
}

// Input is what one tick has seen. Rows has every server, in the order of the configuration.
type Input struct {
	Rows      []Status
	Failcount int
	// Locks says that there are cooperative locks, and Holder that this monitor has them.
	Locks, Holder bool
	// Manual are Maintenance and Drain, by server.
	Manual map[string]Bits
}

// Judge says what the servers are. It has no effects, and at most one server is Master.
func Judge(old Memory, in Input) (Memory, []Event) {
	next := old.clone()
	next.take(in)
	var events []Event
	events = append(events, next.choose(in)...)
	next.assign(in)
	return next, append(events, changes(old, next)...)
}

// take notes what was seen.
func (m *Memory) take(in Input) {
	before := m.Servers
	m.Servers = make([]Known, 0, len(in.Rows))
	for _, row := range in.Rows {
		k := Known{Status: row}
		if i := slices.IndexFunc(before, func(b Known) bool { return b.Name == row.Name }); i >= 0 {
			k = before[i]
		}
		k.see(row)
		m.Servers = append(m.Servers, k)
	}
	for i := range m.Servers {
		k := &m.Servers[i]
		for _, c := range k.Slaves {
			if k.Answered && c.IORunning == "Yes" {
				if k.Linked == nil {
					k.Linked = map[string]bool{}
				}
				k.Linked[m.masterOf(c)] = true
			}
		}
	}
}

// see takes over a row. One that says nothing leaves what is known, but for its locks.
func (k *Known) see(row Status) {
	if !row.Answered {
		k.Answered, k.Denied, k.Problem, k.Own, k.Lock, k.MasterLock = false, row.Denied, row.Problem, row.Own, 0, 0
		if row.Denied && row.Own != 0 {
			k.Down = 0
			return
		}
		k.Down++
		return
	}
	k.Status, k.Down, k.Seen = row, 0, true
}

// up reports whether a server was reached, be it that it told nothing.
func (k Known) up() bool { return k.Down == 0 }

// masterOf is the member from which a connection replicates, or host:port of a stranger.
func (m *Memory) masterOf(c SlaveConnection) string {
	for _, k := range m.Servers {
		if c.MasterServerID != 0 && k.Seen && k.ServerID == c.MasterServerID {
			return k.Name
		}
	}
	for _, k := range m.Servers {
		if k.Host == c.MasterHost && k.Port == c.MasterPort {
			return k.Name
		}
	}
	return fmt.Sprintf("%s:%d", c.MasterHost, c.MasterPort)
}

// live reports whether a connection counts as replication: it runs, or looks for a primary
// from which it has once replicated.
func (m *Memory) live(k Known, c SlaveConnection) bool {
	return c.SQLRunning == "Yes" && (c.IORunning == "Yes" || c.IORunning != "No" && k.Linked[m.masterOf(c)])
}

// upstream is the member from which a server replicates, empty if it does not.
func (m *Memory) upstream(k Known) string {
	for _, c := range k.Slaves {
		if master := m.masterOf(c); m.live(k, c) && m.Server(master) != nil && master != k.Name {
			return master
		}
	}
	return ""
}

// below are the servers that are up and replicate from one, in however many layers.
func (m *Memory) below(name string) []string {
	seen, order := map[string]bool{name: true}, []string{name}
	for i := 0; i < len(order); i++ {
		for _, k := range m.Servers {
			if !seen[k.Name] && m.upstream(k) == order[i] {
				seen[k.Name] = true
				order = append(order, k.Name)
			}
		}
	}
	return slices.DeleteFunc(order[1:], func(n string) bool { return !m.Server(n).up() })
}

// refuse says why a server may not become primary, or nothing.
func (m *Memory) refuse(k Known) string {
	switch {
	case !k.up():
		return "it's down"
	case !k.Answered || k.Denied:
		return "it could not be queried"
	case k.Bits&Maintenance != 0:
		return "it's in maintenance"
	case k.ReadOnly:
		return "it's read_only"
	case m.upstream(k) != "":
		return "it's replicating from another server in the cluster"
	}
	return ""
}

// best is the server with most replicas that may be primary, the first of equal ones, or nothing.
func (m *Memory) best() string {
	found, most := "", -1
	for _, k := range m.Servers {
		if n := len(m.below(k.Name)); m.refuse(k) == "" && n > most {
			found, most = k.Name, n
		}
	}
	return found
}

// invalid says why the current primary may not remain it, or nothing.
func (m *Memory) invalid(failcount int) string {
	k := m.Server(m.Primary)
	switch {
	case k == nil:
		return "it is not monitored"
	case !k.up() && k.Down > failcount && len(m.below(k.Name)) == 0:
		return fmt.Sprintf("it has been down over %d (failcount) monitor updates and it does not have any running slaves", failcount)
	case k.up() && k.Answered && k.ReadOnly:
		return "it is in read-only mode"
	case k.up() && k.Answered && !m.Replicating && m.upstream(*k) != "":
		return "it has started replicating from another server in the cluster"
	}
	return ""
}

// choose keeps the primary, or selects another one.
func (m *Memory) choose(in Input) []Event {
	for i := range m.Servers {
		m.Servers[i].Bits = m.Servers[i].Bits&^(Maintenance|Drain) | in.Manual[m.Servers[i].Name]
	}
	if m.Primary == "" {
		return m.first()
	}
	reason := m.invalid(in.Failcount)
	if reason == "" {
		m.said = ""
		return nil
	}
	if k := m.Server(m.Primary); k == nil || !k.up() {
		m.WasMaster = false
	}
	begin := fmt.Sprintf("The current primary server '%s' is no longer valid because %s", m.Primary, reason)
	next := m.best()
	if next == "" {
		return m.once(Event{Level: Warning, Text: begin + ", but there is no valid alternative to swap to."})
	}
	m.set(next)
	return []Event{{Level: Warning, Text: begin + ". Selecting new primary server."}, {Level: Notice, Text: "Setting '" + next + "' as primary."}}
}

// first selects a primary where there is none.
func (m *Memory) first() []Event {
	if next := m.best(); next != "" {
		m.set(next)
		return []Event{{Level: Notice, Text: "Setting '" + next + "' as primary."}}
	}
	var reasons []string
	for _, k := range m.Servers {
		reasons = append(reasons, fmt.Sprintf("'%s' is not a valid master candidate because %s.", k.Name, m.refuse(k)))
	}
	return m.once(Event{Level: Warning, Text: "No valid primary server found. " + strings.Join(reasons, " ")})
}

// once says a thing if it is not what was said last.
func (m *Memory) once(e Event) []Event {
	if m.said == e.Text {
		return nil
	}
	m.said = e.Text
	return []Event{e}
}

func (m *Memory) set(primary string) {
	m.Primary, m.WasMaster, m.said = primary, false, ""
	m.Replicating = m.upstream(*m.Server(primary)) != ""
}

// assign gives every server its bits.
func (m *Memory) assign(in Input) {
	below := []string{}
	if m.Primary != "" {
		below = m.below(m.Primary)
	}
	for i := range m.Servers {
		k := &m.Servers[i]
		k.Bits &= Maintenance | Drain
		if k.Denied {
			k.Bits |= AuthError
		}
		if k.up() {
			k.Bits |= Running
		}
		if !k.up() || k.Bits&Maintenance != 0 {
			continue
		}
		switch {
		case k.Name == m.Primary:
			m.crown(k, in)
		case slices.Contains(below, k.Name):
			k.Bits |= Slave
			if len(m.below(k.Name)) > 0 {
				k.Bits |= Relay
			}
		}
	}
}

// crown makes the primary Master, if it is valid: on a monitor without the locks only if the
// holder has marked it, else it can be read like a replica.
func (m *Memory) crown(k *Known, in Input) {
	if m.invalid(in.Failcount) != "" || !k.Answered || k.Denied {
		return
	}
	if in.Locks && !in.Holder && (k.MasterLock == 0 || k.MasterLock == k.Own) {
		k.Bits |= Slave
		return
	}
	k.Bits |= Master
	m.WasMaster = true
}
