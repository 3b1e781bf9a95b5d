package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// heard is when a replica last had something new from its primary.
type heard struct {
	position   string
	heartbeats int64
	at         time.Time // zero if nothing has come since it was first seen
}

// listen notes what the replicas have got from the primary.
func (m *Monitor) listen() {
	for _, k := range m.memory.Servers {
		c, ok := m.connection(k, m.memory.Primary)
		if !ok || !k.Answered {
			continue
		}
		now := heard{position: c.IOPosition.String(), heartbeats: c.Heartbeats}
		before, known := m.heard[k.Name]
		now.at = before.at
		if known && (now.position != before.position || now.heartbeats != before.heartbeats) {
			now.at = m.env.Now()
		}
		m.heard[k.Name] = now
	}
}

// connection is the replication connection of a server from another one.
func (m *Monitor) connection(k Known, master string) (SlaveConnection, bool) {
	i := slices.IndexFunc(k.Slaves, func(c SlaveConnection) bool { return m.memory.masterOf(c) == master })
	if i < 0 {
		return SlaveConnection{}, false
	}
	return k.Slaves[i], true
}

// alive says of the first replica that has heard of the primary lately, or nothing.
func (m *Monitor) alive() string {
	for _, k := range m.memory.Servers {
		c, ok := m.connection(k, m.memory.Primary)
		at := m.heard[k.Name].at
		if !ok || !k.Answered || c.IORunning != "Yes" || at.IsZero() {
			continue
		}
		if ago := m.env.Now().Sub(at); ago < m.settings.MasterFailureTimeout {
			return fmt.Sprintf("Slave '%s' is still connected to '%s' and received a new gtid or heartbeat event %.1f seconds ago. Delaying failover for at least %.1f seconds.",
				k.Name, m.memory.Primary, ago.Seconds(), (m.settings.MasterFailureTimeout - ago).Seconds())
		}
	}
	return ""
}

// change is a change of the primary that may be carried out.
type change struct {
	old, new string
	others   []string // replicas that are to follow
}

// automaticFailover replaces a primary that has been down for long enough.
func (m *Monitor) automaticFailover(ctx context.Context) {
	k := m.memory.Server(m.memory.Primary)
	if !m.settings.AutoFailover || k == nil || k.up() {
		m.forget("failing")
		m.forget("no failover")
		m.forget("alive")
		return
	}
	if left := m.settings.Failcount - k.Down; left > 0 {
		m.sayOnce("failing", Warning, fmt.Sprintf("Primary has failed. If primary does not return in %d monitor tick(s), failover begins.", left))
		return
	}
	if text := m.alive(); text != "" && !m.settings.SkipVerifyMasterFailure {
		m.sayOnce("alive", Warning, text)
		return
	}
	c, err := m.planFailover()
	if err != nil {
		m.refuseFailover(err)
		return
	}
	m.notice("Performing automatic failover to replace failed primary '%s'.", c.old)
	if err := m.failover(ctx, c); err != nil {
		m.fault("Failover '%s' -> '%s' failed: %s", c.old, c.new, err)
		m.warn("Automatic operations are paused for %d monitor ticks.", m.settings.Failcount)
		m.pause(m.settings.Failcount)
	}
}

// refuseFailover says once why nothing is done.
func (m *Monitor) refuseFailover(err error) {
	if m.said("no failover") {
		return
	}
	for line := range strings.Lines(err.Error()) {
		m.fault("%s", strings.TrimSpace(line))
	}
	m.sayOnce("no failover", Error, "Not performing automatic failover. Will keep retrying with most error messages suppressed.")
}

// planFailover asks whether the primary may be replaced, and by whom.
func (m *Monitor) planFailover() (change, error) {
	k := m.memory.Server(m.memory.Primary)
	cannot := "Can not select '%s' as a demotion target for failover because %s."
	switch {
	case k == nil:
		return change{}, errors.New("Can not autoselect a demotion target for failover: cluster does not have a primary.")
	case k.up():
		return change{}, fmt.Errorf(cannot, k.Name, "it is running")
	case len(k.Binlog) == 0:
		return change{}, fmt.Errorf(cannot, k.Name, "it does not have a 'gtid_binlog_pos' and unsafe failover is disabled")
	}
	candidates := m.replicasOf(k.Name)
	if len(candidates) == 0 {
		return change{}, fmt.Errorf("'%s' does not have any slaves to promote.\nCould not autoselect promotion target for failover.", k.Name)
	}
	if !m.said("no failover") {
		m.notice("Selecting a server to promote and replace '%s'. Candidates are: %s.", k.Name, listed(candidates))
	}
	selected := m.promotable(candidates, *k)
	if selected == "" {
		return change{}, errors.New("Could not autoselect promotion target for failover.")
	}
	if !m.said("no failover") {
		m.notice("Selected '%s'.", selected)
	}
	if err := m.applied(selected, k.Name); err != nil {
		return change{}, err
	}
	return change{k.Name, selected, slices.DeleteFunc(candidates, func(n string) bool { return n == selected })}, nil
}

// replicasOf are the servers that replicate from one, or look for it.
func (m *Monitor) replicasOf(primary string) []string {
	var names []string
	for _, k := range m.memory.Servers {
		if c, ok := m.connection(k, primary); ok && k.Answered && k.Name != primary && c.IORunning != "No" && c.SQLRunning == "Yes" {
			names = append(names, k.Name)
		}
	}
	return names
}

// promotable is the best of the candidates: it has received most, applied most, keeps a log of
// what it applies, and comes first.
func (m *Monitor) promotable(candidates []string, old Known) string {
	best, found := Known{}, false
	for _, name := range candidates {
		k := *m.memory.Server(name)
		if slices.Contains(m.settings.ServersNoPromotion, name) || k.Bits&(Maintenance|Drain) != 0 || len(k.Current) == 0 {
			continue
		}
		if !found || m.better(k, best, old) {
			best, found = k, true
		}
	}
	return best.Name
}

func (m *Monitor) better(a, b Known, old Known) bool {
	received := func(k Known) uint64 {
		c, _ := m.connection(k, old.Name)
		return c.IOPosition.Sequence(old.Domain)
	}
	applied := func(k Known) uint64 { return k.Current.Sequence(old.Domain) }
	switch {
	case received(a) != received(b):
		return received(a) > received(b)
	case applied(a) != applied(b):
		return applied(a) > applied(b)
	}
	return a.LogSlaveUpdates && !b.LogSlaveUpdates
}

// applied returns an error while a replica has received what it has not applied.
func (m *Monitor) applied(replica, primary string) error {
	k := m.memory.Server(replica)
	c, _ := m.connection(*k, primary)
	if c.IOPosition.Within(k.Current) {
		return nil
	}
	m.unmeasured("a replica whose relay log is not applied is not promoted before it is")
	return fmt.Errorf("The relay log of '%s' has events that it has not processed.", replica)
}

func listed(names []string) string {
	quoted := make([]string, 0, len(names))
	for _, n := range names {
		quoted = append(quoted, "'"+n+"'")
	}
	return strings.Join(quoted, ", ")
}

// failover carries a failover out.
func (m *Monitor) failover(ctx context.Context, c change) error {
	until := m.env.Now().Add(m.settings.FailoverTimeout)
	m.publish("Promoting candidate primary")
	if err := m.promote(ctx, c.new, until); err != nil {
		return err
	}
	m.moved(ctx, c, until)
	m.notice("Failover '%s' -> '%s' performed.", c.old, c.new)
	return nil
}

// moved makes the others follow a primary that has been promoted. It is primary whatever they say.
func (m *Monitor) moved(ctx context.Context, c change, until time.Time) {
	var redirected []string
	failed := 0
	for _, name := range c.others {
		m.notice("Redirecting '%s' to replicate from '%s' instead of '%s'.", name, c.new, c.old)
		if err := m.follow(ctx, name, c.new, until); err != nil {
			m.fault("%s", err)
			failed++
			continue
		}
		redirected = append(redirected, name)
	}
	switch {
	case failed > 0:
		m.warn("%d of %d redirects failed.", failed, len(c.others))
	case len(c.others) > 0:
		m.notice("All redirects successful.")
	}
	m.publish("Confirming that replication works")
	m.confirm(ctx, redirected, c.new, until)
	m.memory.set(c.new)
}

// confirm waits until replicas have begun, or one has failed.
func (m *Monitor) confirm(ctx context.Context, replicas []string, primary string, until time.Time) {
	if len(replicas) == 0 {
		return
	}
	waiting := slices.Clone(replicas)
	for len(waiting) > 0 && ctx.Err() == nil && m.env.Now().Before(until) {
		var lost bool
		waiting = slices.DeleteFunc(waiting, func(name string) bool {
			done, err := m.replicates(ctx, name)
			if err != nil {
				m.fault("'%s' cannot start replication because of %s", name, err)
				lost = true
			}
			return done
		})
		if lost {
			return
		}
		if len(waiting) > 0 {
			m.env.Wait(ctx, 200*time.Millisecond)
		}
	}
	if len(waiting) == 0 {
		m.notice("All redirected slaves successfully started replication from '%s'.", primary)
	} else {
		m.warn("Replicas that did not start replication from '%s' in time: %s.", primary, listed(waiting))
	}
}

// replicates reports whether a replica has both of its threads running.
func (m *Monitor) replicates(ctx context.Context, name string) (bool, error) {
	rows, err := m.plain(ctx, name, askSlaves)
	if err != nil || len(rows) == 0 {
		return false, errors.Join(err, nil)
	}
	r := rows[0]
	if text := r["Last_IO_Error"] + r["Last_SQL_Error"]; text != "" && (r["Slave_IO_Running"] == "No" || r["Slave_SQL_Running"] == "No") {
		return false, errors.New(text)
	}
	return r["Slave_IO_Running"] == "Yes" && r["Slave_SQL_Running"] == "Yes", nil
}
