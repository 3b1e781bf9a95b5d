package cluster

import (
	"context"
	"fmt"
	"time"
)

// operate does what a monitor does by itself. One that has the locks and is passive keeps
// them, and does nothing.
func (m *Monitor) operate(ctx context.Context) {
	if !m.may() {
		return
	}
	m.automaticFailover(ctx)
	if !m.may() {
		return
	}
	m.automaticRejoin(ctx)
	m.enforce(ctx)
}

// astray reports whether a server is to be made a replica of the primary: it replicates from
// nobody (alone), or from somebody else. One that was stopped is left as it is.
func (m *Monitor) astray(k Known) (alone, wrong bool) {
	if !k.Answered || k.Name == m.memory.Primary || k.Bits&Maintenance != 0 {
		return false, false
	}
	switch len(k.Slaves) {
	case 0:
		return true, false
	case 1:
		c := k.Slaves[0]
		return false, c.IORunning != "No" && m.memory.masterOf(c) != m.memory.Primary
	}
	m.unmeasured("a server with several replication connections is left alone")
	return false, false
}

// master is the primary, if it is Master.
func (m *Monitor) master() *Known {
	k := m.memory.Server(m.memory.Primary)
	if k == nil || k.Bits&Master == 0 {
		return nil
	}
	return k
}

// automaticRejoin makes servers that are astray replicas of the primary.
func (m *Monitor) automaticRejoin(ctx context.Context) {
	primary := m.master()
	if !m.settings.AutoRejoin || primary == nil {
		return
	}
	joined := 0
	for _, k := range m.memory.Servers {
		alone, wrong := m.astray(k)
		if !alone && !wrong {
			m.forget("rejoin " + k.Name)
			continue
		}
		if reason := unfit(k, *primary); reason != "" {
			m.sayOnce("rejoin "+k.Name, Error, fmt.Sprintf("Automatic rejoin was not attempted on server '%s' even though it is a valid candidate. "+
				"Will keep retrying with this message suppressed. Errors: %s", k.Name, reason))
			continue
		}
		if err := m.join(ctx, k, alone); err != nil {
			m.fault("%s", err)
			m.pause(m.settings.Failcount)
			continue
		}
		joined++
	}
	if joined > 0 {
		m.notice("%d server(s) redirected or rejoined the cluster.", joined)
	}
}

// unfit says why a server cannot become replica of the primary, or nothing. Only sequence
// numbers are compared.
func unfit(k, primary Known) string {
	switch {
	case len(k.Current) == 0:
		return fmt.Sprintf("'%s' does not have a valid gtid_current_pos.", k.Name)
	case !k.Current.Within(primary.Binlog):
		return fmt.Sprintf("gtid_current_pos of '%s' (%s) is incompatible with gtid_binlog_pos of '%s' (%s).", k.Name, k.Current, primary.Name, primary.Binlog)
	}
	return ""
}

// join makes a server a replica of the primary. It runs inside of a tick: for as long as a
// server that stands alone does not become read-only, nothing else is looked at.
func (m *Monitor) join(ctx context.Context, k Known, alone bool) error {
	until := m.env.Now().Add(m.settings.SwitchoverTimeout)
	if !alone {
		m.publish("Rejoining slave servers")
		m.notice("Server '%s' is replicating from a server other than '%s', redirecting it to '%s'.", k.Name, m.memory.Primary, m.memory.Primary)
		return m.follow(ctx, k.Name, m.memory.Primary, until)
	}
	m.publish("Rejoining slave servers", k.Name)
	m.notice("Directing standalone server '%s' to replicate from '%s'.", k.Name, m.memory.Primary)
	if err := m.prepare(ctx, k.Name, until); err != nil {
		m.fault("%s", err)
		return fmt.Errorf("Failed to prepare (demote) standalone server '%s' for rejoin.", k.Name)
	}
	return m.follow(ctx, k.Name, m.memory.Primary, until)
}

// prepare makes a server read-only, and runs the file of SQL for that.
func (m *Monitor) prepare(ctx context.Context, server string, until time.Time) error {
	if err := m.run(ctx, server, readOnlyOn, until); err != nil {
		return err
	}
	return m.runFile(ctx, server, m.settings.DemotionSQLFile, until)
}

// enforce sets read_only as the settings want it. A primary is opened again only if it was
// Master before, and the SQL of a promotion is not run: semi-synchronous replication stays as
// the server began.
func (m *Monitor) enforce(ctx context.Context) {
	until := m.env.Now().Add(m.settings.FailoverTimeout)
	for _, k := range m.memory.Servers {
		switch {
		case m.settings.EnforceReadOnlySlaves && k.Bits&Slave != 0 && k.Answered && !k.ReadOnly && k.Name != m.memory.Primary:
			if err := m.run(ctx, k.Name, readOnlyOn, until); err != nil {
				m.fault("Setting read_only on replica %s failed. Error: %s", k.Name, err)
				continue
			}
			m.notice("read_only set to ON on replica %s.", k.Name)
		case m.settings.EnforceWritableMaster && k.Name == m.memory.Primary && m.memory.WasMaster && k.Answered && k.ReadOnly && k.Bits&Maintenance == 0 && m.memory.upstream(k) == "":
			if err := m.run(ctx, k.Name, readOnlyOff, until); err != nil {
				m.fault("Disabling read_only on primary '%s' failed: %s", k.Name, err)
				continue
			}
			m.notice("read_only set to OFF on '%s'.", k.Name)
		}
	}
}
