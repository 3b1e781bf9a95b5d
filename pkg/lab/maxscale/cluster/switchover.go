package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// locked returns an error on a monitor that may not operate because another one has the locks.
func (m *Monitor) locked() error {
	if m.settings.Locks == NoLocks || m.locks.holder {
		return nil
	}
	return errors.New("Cannot perform cluster operation because this MaxScale does not have exclusive locks on a majority of servers.")
}

// Failover replaces a primary that is down.
func (m *Monitor) Failover(ctx context.Context) error {
	m.turn.Lock()
	defer m.turn.Unlock()
	if err := m.locked(); err != nil {
		return err
	}
	m.forget("no failover")
	c, err := m.planFailover()
	if err != nil {
		return err
	}
	return m.end(m.failover(ctx, c))
}

// Switchover makes a replica the primary, and the primary its replica. Empty names are chosen.
// With force what goes wrong on the old primary does not stop it.
func (m *Monitor) Switchover(ctx context.Context, to, from string, force bool) error {
	m.turn.Lock()
	defer m.turn.Unlock()
	if err := m.locked(); err != nil {
		return err
	}
	c, err := m.planSwitchover(to, from, force)
	if err != nil {
		return err
	}
	return m.end(m.switchover(ctx, c, force))
}

// Rejoin makes one server a replica of the primary.
func (m *Monitor) Rejoin(ctx context.Context, server string) error {
	m.turn.Lock()
	defer m.turn.Unlock()
	if err := m.locked(); err != nil {
		return err
	}
	primary, k := m.master(), m.memory.Server(server)
	switch {
	case primary == nil:
		return errors.New("Rejoin is not possible because the cluster does not have a primary.")
	case k == nil || !k.Answered:
		return fmt.Errorf("Server '%s' is not monitored, or down.", server)
	}
	alone, wrong := m.astray(*k)
	if !alone && !wrong {
		return fmt.Errorf("Server '%s' is already connected or trying to connect to the correct primary server.", server)
	}
	if reason := unfit(*k, *primary); reason != "" {
		return errors.New(reason)
	}
	return m.end(m.join(ctx, *k, alone))
}

// ReleaseLocks gives all locks back, and takes none for a minute.
func (m *Monitor) ReleaseLocks(ctx context.Context) error {
	m.turn.Lock()
	defer m.turn.Unlock()
	m.locks.until = m.env.Now().Add(released)
	for _, name := range m.locks.drop() {
		m.giveBack(ctx, name, lockName, masterLockName)
	}
	m.publish("Monitoring servers")
	return nil
}

// end shows the view again after a command.
func (m *Monitor) end(err error) error {
	if err != nil {
		m.fault("%s", err)
	}
	m.publish("Monitoring servers")
	return err
}

func (m *Monitor) planSwitchover(to, from string, force bool) (change, error) {
	k := m.memory.Server(m.memory.Primary)
	cannot := "Can not select '%s' as a demotion target for switchover because %s."
	switch {
	case k == nil:
		return change{}, errors.New("Can not autoselect a demotion target for switchover: cluster does not have a primary.")
	case from != "" && from != k.Name:
		return change{}, fmt.Errorf(cannot, from, "it is not the current primary")
	case !force && k.Bits&Master == 0:
		return change{}, fmt.Errorf(cannot, k.Name, "it is not a running primary")
	}
	candidates := m.replicasOf(k.Name)
	if len(candidates) == 0 {
		return change{}, fmt.Errorf("'%s' does not have any slaves to promote.", k.Name)
	}
	if to == "" {
		if to = m.promotable(candidates, *k); to == "" {
			return change{}, errors.New("Could not autoselect promotion target for switchover.")
		}
	}
	if !slices.Contains(candidates, to) {
		return change{}, fmt.Errorf("'%s' is not a valid promotion target for switchover because it is not replicating from '%s'.", to, k.Name)
	}
	return change{k.Name, to, slices.DeleteFunc(candidates, func(n string) bool { return n == to })}, nil
}

// switchover carries a switchover out. What fails before the new primary is open is undone.
func (m *Monitor) switchover(ctx context.Context, c change, force bool) error {
	until := m.env.Now().Add(m.settings.SwitchoverTimeout)
	m.publish("Demoting old primary", c.old)
	position, err := m.demote(ctx, c.old, until)
	if err == nil {
		m.publish("Promoting candidate primary", c.old)
		err = m.catchUp(ctx, c.new, position, until)
	}
	if err != nil && force {
		m.warn("Switchover goes on although demoting '%s' failed: %s", c.old, err)
		m.link(c.old).close() // and with it the locks that its tables may have
		err = nil
	}
	if err == nil {
		err = m.promote(ctx, c.new, until)
	}
	if err != nil && m.memory.Server(c.old).Bits&Master != 0 {
		return errors.Join(err, m.undo(ctx, c.old))
	}
	if err != nil {
		return err
	}
	if k := m.memory.Server(c.old); k.up() {
		c.others = append(c.others, c.old)
	}
	m.moved(ctx, c, until)
	m.notice("Switchover '%s' -> '%s' performed.", c.old, c.new)
	return nil
}

// demote closes a primary, and returns the position at which it stands still.
func (m *Monitor) demote(ctx context.Context, server string, until time.Time) (string, error) {
	m.kick(ctx, server)
	if err := m.run(ctx, server, readOnlyOn, until); err != nil {
		return "", err
	}
	if _, err := m.plain(ctx, server, "SET @@session.sql_log_bin=0"); err != nil {
		return "", err
	}
	if err := m.runFile(ctx, server, m.settings.DemotionSQLFile, until); err != nil {
		return "", err
	}
	if err := m.runAll(ctx, server, until, "FLUSH TABLES WITH READ LOCK", "FLUSH LOGS"); err != nil {
		return "", err
	}
	for _, sql := range []string{"UNLOCK TABLES", "SET @@session.sql_log_bin=1"} {
		if _, err := m.plain(ctx, server, sql); err != nil {
			return "", err
		}
	}
	return m.still(ctx, server, until)
}

// still is the position of a server that has been the same twice.
func (m *Monitor) still(ctx context.Context, server string, until time.Time) (string, error) {
	for last := ""; ; {
		rows, err := m.plain(ctx, server, askPositions)
		if err != nil {
			return "", err
		}
		if len(rows) == 1 && rows[0]["gtid_binlog_pos"] == last && last != "" {
			return last, nil
		}
		if len(rows) != 1 || !m.env.Now().Before(until) || ctx.Err() != nil {
			return "", fmt.Errorf("gtid_binlog_pos of '%s' did not come to rest.", server)
		}
		last = rows[0]["gtid_binlog_pos"]
		m.env.Wait(ctx, 200*time.Millisecond)
	}
}

// askSupers lists the sessions of users who may write in spite of read_only. Whoever may not see
// processes, or the rights of others, sees none.
const askSupers = "SELECT DISTINCT P.ID AS id FROM information_schema.PROCESSLIST P JOIN information_schema.USER_PRIVILEGES U" +
	" ON U.GRANTEE LIKE CONCAT('''', REPLACE(P.USER, '_', '\\\\_'), '''@%') WHERE U.PRIVILEGE_TYPE IN ('SUPER', 'READ_ONLY ADMIN', 'READ ONLY ADMIN')" +
	" AND P.COMMAND NOT IN ('Binlog Dump', 'Daemon', 'Slave_IO', 'Slave_SQL') AND P.ID <> CONNECTION_ID() AND P.USER <> SUBSTRING_INDEX(USER(), '@', 1)"

// kick ends the sessions of users who may write in spite of read_only. Without the rights to
// see them it goes on.
func (m *Monitor) kick(ctx context.Context, server string) {
	rows, err := m.plain(ctx, server, askSupers)
	if err != nil {
		m.warn("%s", err)
		return
	}
	if len(rows) == 0 {
		return
	}
	m.warn("Detected %d super or read_only admin users logged in on %s. Kicking them out.", len(rows), server)
	for _, r := range rows {
		if _, err := m.plain(ctx, server, "KILL SOFT CONNECTION "+strconv.FormatUint(r.number("id"), 10)); err != nil {
			m.warn("%s", err)
		}
	}
}

// catchUp waits until a replica has applied a position.
func (m *Monitor) catchUp(ctx context.Context, server, position string, until time.Time) error {
	for {
		seconds := min(until.Sub(m.env.Now()).Seconds(), m.settings.ReadTimeout.Seconds()/2)
		rows, err := m.plain(ctx, server, fmt.Sprintf("SELECT MASTER_GTID_WAIT(%s, %.1f) AS waited", literal(position), max(0, seconds)))
		switch {
		case err != nil:
			return err
		case len(rows) == 1 && rows[0]["waited"] == "0":
			return nil
		case !m.env.Now().Before(until) || ctx.Err() != nil:
			return fmt.Errorf("'%s' did not catch up with %s in time.", server, position)
		}
	}
}

// undo opens an old primary again. Whether MaxScale runs the SQL of a promotion then is not
// known; without it the server may not wait for its replicas any more.
func (m *Monitor) undo(ctx context.Context, server string) error {
	l := m.link(server)
	if _, err := l.query(ctx, "UNLOCK TABLES"); err != nil {
		l.close()
	}
	_, _ = l.query(ctx, "SET @@session.sql_log_bin=1") // a session without the right has not set it
	if err := m.run(ctx, server, readOnlyOff, m.env.Now().Add(m.settings.ReadTimeout)); err != nil {
		return fmt.Errorf("restoring '%s' failed: %w", server, err)
	}
	if m.settings.DemotionSQLFile != "" {
		m.unmeasured("the SQL of a demotion that is undone stays in force")
	}
	return nil
}
