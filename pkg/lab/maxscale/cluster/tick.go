package cluster

import (
	"context"
	"errors"
	"strconv"
	"sync"
)

const (
	// lockName is taken on every server, masterLockName on the primary.
	lockName, masterLockName = "maxscale_mariadbmonitor", "maxscale_mariadbmonitor_master"

	askSlaves     = "SHOW ALL SLAVES STATUS"
	askPositions  = "SELECT @@gtid_current_pos AS gtid_current_pos, @@gtid_binlog_pos AS gtid_binlog_pos"
	askIdentity   = "SELECT @@global.server_id AS server_id, @@read_only AS read_only, @@global.gtid_domain_id AS gtid_domain_id"
	askEvents     = "SELECT COUNT(*) AS enabled FROM information_schema.EVENTS WHERE STATUS = 'ENABLED'"
	askLocks      = "SELECT IS_USED_LOCK('" + lockName + "') AS server_lock, IS_USED_LOCK('" + masterLockName + "') AS master_lock"
	askUptime     = "SHOW STATUS LIKE 'Uptime'"
	askVariables  = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('gtid_strict_mode', 'log_bin', 'log_slave_updates', 'rpl_semi_sync_master_enabled', 'rpl_semi_sync_master_timeout', 'rpl_semi_sync_master_wait_no_slave', 'rpl_semi_sync_slave_enabled', 'slave_parallel_threads', 'max_connections')"
	askSemiSync   = "SHOW STATUS LIKE 'Rpl_semi_sync_master_status'"
	askPermission = "SHOW SLAVE STATUS"
	askGrants     = "SHOW GRANTS"
)

// poll asks all servers at once, and ends when the slowest has answered or failed.
func (m *Monitor) poll(ctx context.Context) []Status {
	rows := make([]Status, len(m.links))
	var all sync.WaitGroup
	for i, l := range m.links {
		all.Go(func() { rows[i] = m.ask(ctx, l) })
	}
	all.Wait()
	return rows
}

// ask asks one server. A connection that fails is made again at once.
func (m *Monitor) ask(ctx context.Context, l *link) Status {
	fresh := l.session == nil
	s, err := m.examine(ctx, l)
	for n := again; n > 0 && err != nil && !fresh && l.session == nil; n-- {
		s, err = m.examine(ctx, l)
	}
	s.Name, s.Host, s.Port = l.server.Name, l.server.Host, l.server.Port
	if err != nil {
		s.Problem = err.Error()
		s.Denied = denied(err)
		if s.Denied && l.session == nil {
			m.unmeasured("the state of a server that refuses the login of the monitor")
		}
		if s.Denied && l.session != nil {
			m.sayOnce("denied "+l.server.Name, Error, "Error during monitor permissions test for server "+l.server.Name+": "+s.Problem)
		}
		return s
	}
	m.forget("denied " + l.server.Name)
	s.Answered = true
	return s
}

// examine runs the statements of a tick on one server, in MaxScale's order.
func (m *Monitor) examine(ctx context.Context, l *link) (s Status, err error) {
	fresh := l.session == nil
	if err := l.open(ctx); err != nil {
		return s, err
	}
	s.Own, s.Version = l.session.ID(), l.session.Version()
	if fresh || m.said("denied "+l.server.Name) {
		if err := m.permitted(ctx, l); err != nil {
			return s, err
		}
	}
	for _, step := range []func(context.Context, *link, *Status) error{askReplication, askPosition, askWho, m.askEvent, m.askLock, askRest} {
		if err := step(ctx, l, &s); err != nil {
			return s, err
		}
	}
	return s, nil
}

// permitted is the permissions test of a new connection.
func (m *Monitor) permitted(ctx context.Context, l *link) error {
	if _, err := l.query(ctx, askPermission); err != nil {
		return quoted(askPermission, err)
	}
	_, err := l.query(ctx, askGrants)
	return err
}

// quoted is the error of a statement as MaxScale prints it.
func quoted(sql string, err error) error {
	return &failure{text: "Query '" + sql + ";' failed: '" + err.Error() + "'.", cause: err}
}

// failure is an error with a text of its own.
type failure struct {
	text  string
	cause error
}

func (f *failure) Error() string { return f.text }
func (f *failure) Unwrap() error { return f.cause }

func askReplication(ctx context.Context, l *link, s *Status) error {
	rows, err := l.query(ctx, askSlaves)
	if err != nil {
		return quoted(askSlaves, err)
	}
	for _, r := range rows {
		c := SlaveConnection{Name: r["Connection_name"], MasterHost: r["Master_Host"], MasterPort: int(r.number("Master_Port")), MasterServerID: uint32(r.number("Master_Server_Id")),
			IORunning: r["Slave_IO_Running"], SQLRunning: r["Slave_SQL_Running"], LastIOError: r["Last_IO_Error"], LastSQError: r["Last_SQL_Error"], Behind: -1,
			UsingGTID: r["Using_Gtid"], Heartbeats: int64(r.number("Slave_received_heartbeats"))}
		if behind, err := strconv.ParseInt(r["Seconds_Behind_Master"], 10, 64); err == nil {
			c.Behind = behind
		}
		if c.IOPosition, err = ParsePosition(r["Gtid_IO_Pos"]); err != nil {
			return err
		}
		s.Slaves = append(s.Slaves, c)
	}
	return nil
}

func askPosition(ctx context.Context, l *link, s *Status) error {
	r, err := l.one(ctx, askPositions)
	if err != nil {
		return err
	}
	current, err1 := ParsePosition(r["gtid_current_pos"])
	binlog, err2 := ParsePosition(r["gtid_binlog_pos"])
	s.Current, s.Binlog = current, binlog
	return errors.Join(err1, err2)
}

func askWho(ctx context.Context, l *link, s *Status) error {
	r, err := l.one(ctx, askIdentity)
	if err != nil {
		return err
	}
	s.ServerID, s.ReadOnly, s.Domain = uint32(r.number("server_id")), r.on("read_only"), uint32(r.number("gtid_domain_id"))
	return nil
}

func (m *Monitor) askEvent(ctx context.Context, l *link, _ *Status) error {
	if m.settings.SkipEvents {
		return nil
	}
	r, err := l.one(ctx, askEvents)
	if err == nil && r.number("enabled") > 0 {
		m.sayOnce("events", Warning, Unmeasured+": events of servers are neither enabled nor disabled")
	}
	return err
}

func (m *Monitor) askLock(ctx context.Context, l *link, s *Status) error {
	r, err := l.one(ctx, askLocks)
	if err != nil {
		return err
	}
	s.Lock, s.MasterLock = r.number("server_lock"), r.number("master_lock")
	return nil
}

func askRest(ctx context.Context, l *link, s *Status) error {
	uptime, err := l.one(ctx, askUptime)
	if err != nil {
		return err
	}
	s.Uptime = int64(uptime.number("Value"))
	rows, err := l.query(ctx, askVariables)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if r["Variable_name"] == "log_slave_updates" {
			s.LogSlaveUpdates = r.on("Value")
		}
	}
	if len(s.Slaves) > 0 {
		return nil
	}
	semi, err := l.query(ctx, askSemiSync)
	s.SemiSyncMasterOff = len(semi) != 1 || semi[0]["Value"] != "ON"
	return err
}
