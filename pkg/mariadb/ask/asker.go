package ask

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/confidb/confidb/pkg/mysql"
)

// Querier runs a statement and returns its whole result; a *mysql.Conn is one.
type Querier interface {
	Query(ctx context.Context, statement string) (*mysql.Rows, error)
}

// maxConnections bounds how often a broken connection is replaced.
const maxConnections = 4

// Asker asks over a connection whose session it has set up itself. A connection that
// breaks is not used again: the question that broke it has no answer, and the next one
// is put over a new one.
type Asker struct {
	// Connect makes a connection.
	Connect func(context.Context) (Connection, error)
	conn    Connection
	tried   int
	reason  error // why there is no connection
}

// Connection is what a *mysql.Conn is.
type Connection interface {
	Querier
	Close() error
}

// Query puts a question. An error that is not the server's answer ends the connection.
func (a *Asker) Query(ctx context.Context, statement string) (*mysql.Rows, error) {
	if a.conn == nil {
		if err := a.reconnect(ctx); err != nil {
			return nil, err
		}
	}
	rows, err := a.conn.Query(ctx, statement)
	if err != nil && !Answered(err) {
		a.Close()
	}
	return rows, err
}

// Answered reports whether an error is what the server said.
func Answered(err error) bool {
	_, ok := errors.AsType[*mysql.ServerError](err)
	return ok
}

// Close ends the connection, if there is one.
func (a *Asker) Close() {
	if a.conn != nil {
		a.conn.Close()
		a.conn = nil
	}
}

func (a *Asker) reconnect(ctx context.Context) error {
	if a.tried == maxConnections {
		return fmt.Errorf("the connection broke %d times: %w", maxConnections, a.reason)
	}
	a.tried++
	conn, err := a.Connect(ctx)
	if err == nil {
		if err = Prepare(ctx, conn); err != nil {
			conn.Close()
		}
	}
	if err != nil {
		a.reason = err
		return err
	}
	a.conn = conn
	return nil
}

// sessionSetting is a variable of the asker's own session.
type sessionSetting struct{ name, value string }

// sessionSettings are what could bend an answer: each has a global default that somebody
// may have changed.
func sessionSettings() []sessionSetting {
	return []sessionSetting{
		{"sql_mode", "''"}, {"sql_select_limit", "18446744073709551615"}, {"max_join_size", "18446744073709551615"}, {"sql_big_selects", "1"},
		{"max_statement_time", "0"}, {"group_concat_max_len", "1048576"}, {"lock_wait_timeout", "1"}, {"innodb_lock_wait_timeout", "5"},
		{"sql_auto_is_null", "0"}, {"sql_quote_show_create", "1"}, {"sql_safe_updates", "0"}, {"max_session_mem_used", "9223372036854775807"},
		{"autocommit", "1"}, {"wait_timeout", "600"}, {"net_read_timeout", "60"}, {"net_write_timeout", "60"},
		{"character_set_client", "'utf8mb4'"}, {"character_set_results", "'utf8mb4'"}, {"collation_connection", "'utf8mb4_bin'"},
		{"time_zone", "'+00:00'"},
	}
}

// Prepare sets the session up, and reads back that it is.
func Prepare(ctx context.Context, server Querier) error {
	if _, err := server.Query(ctx, "SET SESSION optimizer_switch='default'"); err != nil {
		return fmt.Errorf("setting up the session: %w", err)
	}
	settings := sessionSettings()
	set, read := make([]string, len(settings)), make([]string, len(settings))
	for i, s := range settings {
		set[i], read[i] = s.name+"="+s.value, "@@SESSION."+s.name
	}
	if _, err := server.Query(ctx, "SET SESSION "+strings.Join(set, ",")); err != nil {
		return fmt.Errorf("setting up the session: %w", err)
	}
	rows, err := server.Query(ctx, "SELECT "+strings.Join(read, ","))
	if err != nil {
		return fmt.Errorf("setting up the session: %w", err)
	}
	if len(rows.Values) != 1 || len(rows.Columns) != len(settings) {
		return errors.New("setting up the session: no answer of one row")
	}
	for i, s := range settings {
		if got := rows.Values[0][i].Text; !sameValue(got, strings.Trim(s.value, "'")) {
			return fmt.Errorf("setting up the session: %s is %q, want %s", s.name, got, s.value)
		}
	}
	return nil
}

// sameValue compares what was set with what is read back, where 0 may be 0.000000.
func sameValue(got, want string) bool {
	if got == want {
		return true
	}
	a, err := strconv.ParseFloat(got, 64)
	b, err2 := strconv.ParseFloat(want, 64)
	return err == nil && err2 == nil && a == b && strings.Contains(got, ".")
}

// tries bounds how often a list is asked for that changes while it is read, as one of
// tables does under an application that makes some.
const tries = 5

// errCut means that an answer is not as long as it says.
var errCut = errors.New("an answer is not whole, or changes while it is read")

// list asks for rows of a table or view, and in the same statement for their number, so
// that nothing has cut the answer.
func list(ctx context.Context, server Querier, columns, from string) (*mysql.Rows, error) {
	for try := 1; ; try++ {
		rows, err := server.Query(ctx, "SELECT "+columns+", COUNT(*) OVER () FROM "+from)
		if err == nil {
			err = locked(ctx, server, from)
		}
		if err == nil {
			err = whole(ctx, server, rows, from)
		}
		if errors.Is(err, errLocked) && try < patient || errors.Is(err, errCut) && try < tries {
			continue
		}
		if err != nil {
			return nil, err
		}
		return rows, nil
	}
}

// whole takes the number of rows off each row, and compares them. No row bears none: those
// are counted.
func whole(ctx context.Context, server Querier, rows *mysql.Rows, from string) error {
	last := len(rows.Columns) - 1
	if last < 1 {
		return errors.New("an answer does not have the columns that were asked for")
	}
	rows.Columns = rows.Columns[:last]
	if len(rows.Values) == 0 {
		if counted, err := count(ctx, server, from); err != nil || counted == 0 {
			return err
		}
		return errCut
	}
	for i, row := range rows.Values {
		if row[last].Text != strconv.Itoa(len(rows.Values)) {
			return fmt.Errorf("%w: it has %d rows, and should have %s", errCut, len(rows.Values), row[last].Text)
		}
		rows.Values[i] = row[:last]
	}
	return nil
}

// patient bounds how often a list is asked for in which locks leave rows out.
const patient = 3

// errLocked means that the server could not look into a table.
var errLocked = errors.New("a table is locked, so that not everything can be seen (ALTER TABLE, CREATE TABLE ... SELECT, or somebody who hides something)")

// codeLockTimeout is the warning in the place of what a locked table has (ER_LOCK_WAIT_TIMEOUT).
const codeLockTimeout = "1205"

// locked asks whether a list that opens tables had to leave one out, which is a warning.
func locked(ctx context.Context, server Querier, from string) error {
	if !strings.HasPrefix(from, "information_schema.T") {
		return nil // TABLES and TRIGGERS; those of VIEWS are counted
	}
	rows, err := server.Query(ctx, "SHOW WARNINGS")
	if err != nil {
		return err
	}
	at, err := rows.Column("Code")
	for i := 0; err == nil && i < len(rows.Values); i++ {
		if rows.Values[i][at].Text == codeLockTimeout {
			err = errLocked
		}
	}
	return err
}

func count(ctx context.Context, server Querier, from string) (int, error) {
	rows, err := server.Query(ctx, "SELECT COUNT(*) FROM "+from)
	if err != nil {
		return 0, err
	}
	if len(rows.Columns) != 1 || len(rows.Values) != 1 {
		return 0, errors.New("counting rows: want one number")
	}
	n, err := strconv.Atoi(rows.Values[0][0].Text)
	if err != nil || n < 0 {
		return 0, errors.New("counting rows: want one number")
	}
	return n, nil
}

// literal writes a text as it stands in a statement under the asker's sql_mode.
func literal(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(text) + "'"
}
