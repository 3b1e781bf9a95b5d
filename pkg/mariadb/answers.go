package mariadb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/confidb/confidb/pkg/baseline"
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
	started     answer[started]
	status      answer[map[string]string] // of this session, by name
	variables   answer[map[string]variable]
	plugins     answer[[]plugin]
	granted     answer[granted]
	tablespaces answer[spaces]
	tables      answer[tables]
	binlogs     answer[[]binlog]
	objects     answer[objects]
	loadable    answer[loadable]
	neighbours  answer[neighbours]
}

type sessionFacts struct {
	connectionID uint64
	version      string
	number       int // the version as MariaDB writes it in numbers: 101119
}

// spaces count InnoDB's tablespaces; clear and moving name some of those that are
// not encrypted or that are being changed.
type spaces struct {
	total         int
	clear, moving []string
}

// tables count the tables. outside names those that MariaDB does not encrypt, and doubtful
// those of which it does not say whether it does.
type tables struct {
	total             int
	outside, doubtful []string
}

// binlog is a binary log; secondEvent is empty if it has less than two.
type binlog struct{ name, secondEvent string }

const (
	sessionQuery = `SELECT CONNECTION_ID(), VERSION()`
	statusQuery  = `SHOW SESSION STATUS WHERE Variable_name IN ('Ssl_version','Ssl_cipher','Ssl_server_not_after')`
	binlogsQuery = `SHOW BINARY LOGS`
)

// collect asks everything. It only reads, and needs the grants PROCESS, BINLOG MONITOR,
// SLAVE MONITOR, SHOW VIEW and TRIGGER, and SELECT on mysql.*.
func collect(ctx context.Context, server Querier, promised *promise.Promise) answers {
	seen := answers{
		session:     ask(ctx, server, sessionQuery, readSession), // first: it is about this connection
		started:     ask(ctx, server, startedQuery, readStarted),
		status:      ask(ctx, server, statusQuery, readStatus),
		variables:   askVariables(ctx, server),
		plugins:     askPlugins(ctx, server),
		tablespaces: askSpaces(ctx, server),
		tables:      askTables(ctx, server),
		binlogs:     askBinlogs(ctx, server),
		objects:     askObjects(ctx, server),
		loadable:    askLoadable(ctx, server),
		neighbours:  askNeighbours(ctx, server),
	}
	var accounts []promise.Account
	if promised != nil {
		accounts = promised.Accounts
	}
	seen.granted.value, seen.granted.err = askGranted(ctx, server, seen.session.value.number, accounts)
	seen.again(ctx, server)
	return seen
}

// again asks once more, in the end, for what could have been changed and changed back
// while the rest was asked.
func (a *answers) again(ctx context.Context, server Querier) {
	if a.variables.err != nil {
		return
	}
	last := askVariables(ctx, server)
	if last.err != nil {
		a.variables.err = last.err
		return
	}
	for name, v := range a.variables.value {
		if w := last.value[name]; v.Value != w.Value && !strings.HasPrefix(name, "gtid_") || v.Origin != w.Origin {
			a.variables.err = fmt.Errorf("the variable %s changed while the server was asked", name)
		}
	}
}

// unanswered is what there is when no question could be put.
func unanswered(reason error) answers {
	return answers{
		session:     answer[sessionFacts]{err: reason},
		started:     answer[started]{err: reason},
		status:      answer[map[string]string]{err: reason},
		variables:   answer[map[string]variable]{err: reason},
		plugins:     answer[[]plugin]{err: reason},
		granted:     answer[granted]{err: reason},
		tablespaces: answer[spaces]{err: reason},
		tables:      answer[tables]{err: reason},
		binlogs:     answer[[]binlog]{err: reason},
		objects:     answer[objects]{err: reason},
		loadable:    answer[loadable]{err: reason},
		neighbours:  answer[neighbours]{err: reason},
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
	return sessionFacts{connectionID: id, version: check.Said(version), number: baseline.Number(version)}, nil
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

// askBinlogs asks for the type of the second event of each binary log. One that is purged
// meanwhile is left out.
func askBinlogs(ctx context.Context, server Querier) answer[[]binlog] {
	names := ask(ctx, server, binlogsQuery, readBinlogNames)
	if names.err != nil {
		return answer[[]binlog]{err: names.err}
	}
	var logs []binlog
	for _, name := range names.value {
		second := ask(ctx, server, "SHOW BINLOG EVENTS IN "+literal(name)+" LIMIT 2", readSecondEvent)
		if second.err != nil {
			if left := ask(ctx, server, binlogsQuery, readBinlogNames); left.err == nil && !slices.Contains(left.value, name) {
				continue
			}
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
	if len(rows.Values) == 0 {
		return nil, errNoRows
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
