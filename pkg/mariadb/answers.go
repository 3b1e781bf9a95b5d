package mariadb

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/mysql"
	"github.com/confidb/confidb/pkg/promise"
)

// answer is what the server said to one question, or why it did not.
type answer[T any] struct {
	value T
	err   error
}

func ask[T any](ctx context.Context, server Querier, statement string, read func(*mysql.Rows) (T, error)) answer[T] {
	rows, err := server.Query(ctx, statement)
	if err != nil {
		return answer[T]{err: err}
	}
	value, err := read(rows)
	return answer[T]{value: value, err: err}
}

// answers are everything the server said about itself.
type answers struct {
	session     answer[sessionFacts]
	status      answer[map[string]string] // of this session, by name
	variables   answer[map[string]variable]
	plugins     answer[map[string]plugin]
	granted     answer[granted]
	tablespaces answer[spaces]
	tables      answer[tables]
	binlogs     answer[[]binlog]
}

type sessionFacts struct {
	connectionID uint64
	version      string
	number       int // the version as MariaDB writes it in numbers: 101119
}

type variable struct{ value, origin string }

type plugin struct{ status, loadOption string }

// spaces count InnoDB's tablespaces; clear and moving name some of those that are
// not encrypted or that are being changed.
type spaces struct {
	total         int
	clear, moving []string
}

// tables count the tables; outside names some that MariaDB does not encrypt.
type tables struct {
	total   int
	outside []string
}

// binlog is a binary log; secondEvent is empty if it has less than two.
type binlog struct{ name, secondEvent string }

const (
	sessionQuery   = `SELECT CONNECTION_ID(), VERSION()`
	statusQuery    = `SHOW SESSION STATUS WHERE Variable_name IN ('Ssl_version','Ssl_cipher','Ssl_server_not_after')`
	variablesQuery = `SELECT VARIABLE_NAME, GLOBAL_VALUE, GLOBAL_VALUE_ORIGIN FROM information_schema.SYSTEM_VARIABLES`
	pluginsQuery   = `SELECT PLUGIN_NAME, PLUGIN_STATUS, LOAD_OPTION FROM information_schema.PLUGINS`

	// A server that never encrypted has no row at all in INNODB_TABLESPACES_ENCRYPTION:
	// hence the outer join, the total, and "not known to be encrypted" as the question.
	// innodb_temporary never has a row; innodb_encrypt_temporary_tables is for it.
	spacesQuery = `SELECT s.NAME, COALESCE(e.ENCRYPTION_SCHEME = 1 AND e.MIN_KEY_VERSION > 0, 0) AS encrypted, COALESCE(e.ROTATING_OR_FLUSHING <> 0, 0) AS moving
 FROM information_schema.INNODB_SYS_TABLESPACES s LEFT JOIN information_schema.INNODB_TABLESPACES_ENCRYPTION e USING (SPACE) WHERE s.NAME <> 'innodb_temporary'`

	// The two tables of logs are CSV by MariaDB's making; log-01 is for them.
	tablesQuery = `SELECT TABLE_SCHEMA, TABLE_NAME, COALESCE(ENGINE, 'unknown'), COALESCE(ENGINE = 'InnoDB' OR (ENGINE = 'Aria' AND ROW_FORMAT = 'Page'), 0) AS covered, COALESCE(CREATE_OPTIONS REGEXP '(?i)encrypted[^a-z0-9]*=[^a-z0-9]*no', 0) AS declined
 FROM information_schema.TABLES WHERE TABLE_TYPE NOT IN ('VIEW', 'SYSTEM VIEW') AND TABLE_SCHEMA NOT IN ('information_schema', 'performance_schema')
 AND NOT (TABLE_SCHEMA = 'mysql' AND TABLE_NAME IN ('general_log', 'slow_log') AND ENGINE = 'CSV')`

	binlogsQuery = `SHOW BINARY LOGS`
	maxBinlogs   = 1000
)

// collect asks everything. It only reads, and needs the grants PROCESS, BINLOG MONITOR,
// SLAVE MONITOR, SHOW VIEW and TRIGGER, and SELECT on mysql.*.
func collect(ctx context.Context, server Querier, promised *promise.Promise) answers {
	seen := answers{
		session:     ask(ctx, server, sessionQuery, readSession), // first: it is about this connection
		status:      ask(ctx, server, statusQuery, readStatus),
		variables:   ask(ctx, server, variablesQuery, readVariables),
		plugins:     ask(ctx, server, pluginsQuery, readPlugins),
		tablespaces: ask(ctx, server, spacesQuery, readSpaces),
		tables:      ask(ctx, server, tablesQuery, readTables),
		binlogs:     askBinlogs(ctx, server),
	}
	var accounts []promise.Account
	if promised != nil {
		accounts = promised.Accounts
	}
	seen.granted.value, seen.granted.err = askGranted(ctx, server, seen.session.value.number, accounts)
	return seen
}

// unanswered is what there is when no question could be put.
func unanswered(reason error) answers {
	return answers{
		session:     answer[sessionFacts]{err: reason},
		status:      answer[map[string]string]{err: reason},
		variables:   answer[map[string]variable]{err: reason},
		plugins:     answer[map[string]plugin]{err: reason},
		granted:     answer[granted]{err: reason},
		tablespaces: answer[spaces]{err: reason},
		tables:      answer[tables]{err: reason},
		binlogs:     answer[[]binlog]{err: reason},
	}
}

var errNoRows = errors.New("the answer has no rows")

// atLeastOne checks that a result has rows, and exactly so many columns.
func atLeastOne(rows *mysql.Rows, columns int) error {
	if len(rows.Columns) != columns {
		return fmt.Errorf("answer with %d columns: want %d", len(rows.Columns), columns)
	}
	if len(rows.Values) == 0 {
		return errNoRows
	}
	return nil
}

func readSession(rows *mysql.Rows) (sessionFacts, error) {
	if err := atLeastOne(rows, 2); err != nil {
		return sessionFacts{}, err
	}
	id, err := strconv.ParseUint(rows.Values[0][0].Text, 10, 64)
	if err != nil {
		return sessionFacts{}, fmt.Errorf("reading the connection's number: %w", err)
	}
	version := rows.Values[0][1].Text
	return sessionFacts{connectionID: id, version: check.Said(version), number: versionNumber(version)}, nil
}

// versionNumber is 101119 for 10.11.19-MariaDB, and 0 for what it cannot read.
func versionNumber(version string) int {
	var major, minor, patch int
	if n, err := fmt.Sscanf(version, "%d.%d.%d", &major, &minor, &patch); n != 3 || err != nil {
		return 0
	}
	return major*10000 + minor*100 + patch
}

func readStatus(rows *mysql.Rows) (map[string]string, error) {
	if err := atLeastOne(rows, 2); err != nil {
		return nil, err
	}
	status := make(map[string]string, len(rows.Values))
	for _, row := range rows.Values {
		status[row[0].Text] = row[1].Text
	}
	return status, nil
}

func readVariables(rows *mysql.Rows) (map[string]variable, error) {
	if err := atLeastOne(rows, 3); err != nil {
		return nil, err
	}
	variables := make(map[string]variable, len(rows.Values))
	for _, row := range rows.Values {
		variables[strings.ToLower(row[0].Text)] = variable{value: row[1].Text, origin: row[2].Text}
	}
	return variables, nil
}

func readPlugins(rows *mysql.Rows) (map[string]plugin, error) {
	if err := atLeastOne(rows, 3); err != nil {
		return nil, err
	}
	plugins := make(map[string]plugin, len(rows.Values))
	for _, row := range rows.Values {
		plugins[strings.ToLower(row[0].Text)] = plugin{status: row[1].Text, loadOption: row[2].Text}
	}
	return plugins, nil
}

func readSpaces(rows *mysql.Rows) (spaces, error) {
	if err := atLeastOne(rows, 3); err != nil {
		return spaces{}, err
	}
	found := spaces{total: len(rows.Values)}
	for _, row := range rows.Values {
		switch name := row[0].Text; {
		case row[1].Text != "1":
			found.clear = append(found.clear, name)
		case row[2].Text != "0":
			found.moving = append(found.moving, name)
		}
	}
	return found, nil
}

func readTables(rows *mysql.Rows) (tables, error) {
	if err := atLeastOne(rows, 5); err != nil {
		return tables{}, err
	}
	found := tables{total: len(rows.Values)}
	for _, row := range rows.Values {
		name := row[0].Text + "." + row[1].Text
		switch {
		case row[3].Text != "1":
			found.outside = append(found.outside, name+" (engine "+row[2].Text+")")
		case row[4].Text != "0":
			found.outside = append(found.outside, name+" (ENCRYPTED=NO)")
		}
	}
	return found, nil
}

// askBinlogs asks for the type of the second event of each binary log.
func askBinlogs(ctx context.Context, server Querier) answer[[]binlog] {
	names := ask(ctx, server, binlogsQuery, readBinlogNames)
	if names.err != nil {
		return answer[[]binlog]{err: names.err}
	}
	var logs []binlog
	for _, name := range names.value {
		quoted := "'" + strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(name) + "'"
		second := ask(ctx, server, "SHOW BINLOG EVENTS IN "+quoted+" LIMIT 2", readSecondEvent)
		if second.err != nil {
			return answer[[]binlog]{err: fmt.Errorf("asking for the events of %q: %w", name, second.err)}
		}
		logs = append(logs, binlog{name: name, secondEvent: second.value})
	}
	return answer[[]binlog]{value: logs}
}

func readBinlogNames(rows *mysql.Rows) ([]string, error) {
	at, err := rows.Column("Log_name")
	if err != nil {
		return nil, err
	}
	if len(rows.Values) == 0 || len(rows.Values) > maxBinlogs {
		return nil, fmt.Errorf("%d binary logs: want 1 to %d", len(rows.Values), maxBinlogs)
	}
	var names []string
	for _, row := range rows.Values {
		names = append(names, row[at].Text)
	}
	return names, nil
}

func readSecondEvent(rows *mysql.Rows) (string, error) {
	at, err := rows.Column("Event_type")
	if err != nil {
		return "", err
	}
	if len(rows.Values) < 2 {
		return "", nil
	}
	return rows.Values[1][at].Text, nil
}
