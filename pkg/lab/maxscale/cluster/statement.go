package cluster

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

const readOnlyOn, readOnlyOff = "SET GLOBAL read_only=1", "SET GLOBAL read_only=0"

// run runs a statement of an operation on a server. The server itself ends it after the read
// timeout; then it is tried again until the operation has no time left.
func (m *Monitor) run(ctx context.Context, server, sql string, until time.Time) error {
	return m.runHiding(ctx, server, sql, sql, until)
}

// runHiding is run for a statement that is printed in other words, as it holds a password.
func (m *Monitor) runHiding(ctx context.Context, server, sql, shown string, until time.Time) error {
	limit := m.settings.ReadTimeout
	prefix := "SET STATEMENT max_statement_time=" + strconv.FormatFloat(limit.Seconds(), 'f', -1, 64) + " FOR "
	l := m.link(server)
	for {
		if err := l.open(ctx); err != nil {
			return fmt.Errorf("connection to '%s' failed: %s", server, err)
		}
		_, err := l.within(ctx, prefix+sql+";", limit+grace)
		if err == nil {
			return nil
		}
		var r *Refusal
		left := until.Sub(m.env.Now())
		if !errors.As(err, &r) || r.Code != timedOut || left <= 0 || ctx.Err() != nil {
			return broken(server, prefix+shown+";", err)
		}
		m.warn("Query '%s' timed out on '%s'. Retrying with %.1f seconds left.", prefix+shown+";", server, left.Seconds())
	}
}

// broken is the text about a statement that failed. It has the server's words as they came.
func broken(server, sql string, err error) error {
	text := fmt.Sprintf("Query '%s' failed on '%s': %s", sql, server, err)
	var r *Refusal
	if errors.As(err, &r) {
		text += fmt.Sprintf(" (%d).", r.Code)
	}
	if denied(err) {
		text += " Monitor lacks the required privileges for the operation."
	}
	return &failure{text: text, cause: err}
}

// plain runs a statement that SET STATEMENT cannot begin, or whose answer is of use.
func (m *Monitor) plain(ctx context.Context, server, sql string) ([]Row, error) {
	l := m.link(server)
	if err := l.open(ctx); err != nil {
		return nil, fmt.Errorf("connection to '%s' failed: %s", server, err)
	}
	rows, err := l.query(ctx, sql)
	if err != nil {
		return nil, broken(server, sql+";", err)
	}
	return rows, nil
}

// runAll runs statements in order, up to the first that fails.
func (m *Monitor) runAll(ctx context.Context, server string, until time.Time, statements ...string) error {
	for _, sql := range statements {
		if err := m.run(ctx, server, sql, until); err != nil {
			return err
		}
	}
	return nil
}

// runFile runs the statements of a file, one in each line. Lines that are empty or begin with #
// are none. The empty name is no file.
func (m *Monitor) runFile(ctx context.Context, server, file string, until time.Time) error {
	if file == "" {
		return nil
	}
	m.notice("Executing sql queries from file '%s' on server '%s'.", file, server)
	text, err := m.env.ReadFile(file)
	if err != nil {
		return fmt.Errorf("could not read file '%s': %w", file, err)
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSuffix(strings.TrimSpace(line), ";"); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := m.run(ctx, server, line, until); err != nil {
			return err
		}
	}
	return nil
}

// changeMaster is the statement that makes a server a replica of another one, and the same
// with the password hidden. Options are put in as they are given, whatever they are.
func (m *Monitor) changeMaster(server, primary string, connection string) (sql, shown string) {
	s, to := m.settings, Server{}
	to, _ = s.server(primary)
	options := s.ReplicationCustomOptions
	if own, _ := s.server(server); own.ReplicationCustomOptions != "" {
		options = own.ReplicationCustomOptions
	}
	parts := []string{"MASTER_HOST=" + literal(to.Host), "MASTER_PORT=" + strconv.Itoa(to.Port), "MASTER_USE_GTID = current_pos"}
	if s.ReplicationMasterSSL {
		parts = append(parts, "MASTER_SSL = 1")
	}
	if options != "" {
		parts = append(parts, options)
	}
	parts = append(parts, "MASTER_USER="+literal(s.ReplicationUser), "MASTER_PASSWORD=")
	sql = "CHANGE MASTER " + literal(connection) + " TO " + strings.Join(parts, ", ")
	return sql + literal(s.ReplicationPassword), sql + "'******'"
}

// literal is a string of SQL.
func literal(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", "''").Replace(text) + "'"
}

// follow makes a server replicate from the primary. What it replicated from before is stopped.
func (m *Monitor) follow(ctx context.Context, server, primary string, until time.Time) error {
	k := m.memory.Server(server)
	for _, c := range k.Slaves {
		if err := m.run(ctx, server, "STOP SLAVE "+literal(c.Name), until); err != nil {
			return err
		}
	}
	connection := ""
	if len(k.Slaves) > 0 {
		connection = k.Slaves[0].Name
	}
	sql, shown := m.changeMaster(server, primary, connection)
	if err := m.runHiding(ctx, server, sql, shown, until); err != nil {
		return err
	}
	return m.run(ctx, server, "START SLAVE "+literal(connection), until)
}

// promote opens a replica that is to be primary.
func (m *Monitor) promote(ctx context.Context, server string, until time.Time) error {
	for _, c := range m.memory.Server(server).Slaves {
		if err := m.runAll(ctx, server, until, "STOP SLAVE "+literal(c.Name), "RESET SLAVE "+literal(c.Name)+" ALL"); err != nil {
			return err
		}
	}
	if err := m.run(ctx, server, readOnlyOff, until); err != nil {
		return err
	}
	return m.runFile(ctx, server, m.settings.PromotionSQLFile, until)
}
