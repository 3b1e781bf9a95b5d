package ask

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

// Answer is what the server said to one question, or why it did not. The zero value is an
// empty answer.
type Answer[T any] struct {
	Value T
	Err   error
}

func ask[T any](ctx context.Context, server Querier, statement string, read func(*mysql.Rows) (T, error)) Answer[T] {
	rows, err := server.Query(ctx, statement)
	if err != nil {
		return Answer[T]{Err: err}
	}
	value, err := read(rows)
	return Answer[T]{Value: value, Err: err}
}

// Answers are everything the server said about itself.
type Answers struct {
	Session     Answer[Session]
	Started     Answer[Start]
	Status      Answer[map[string]string] // of this session, by name
	Variables   Answer[map[string]variable]
	Plugins     Answer[[]plugin]
	Granted     Answer[Granted]
	Tablespaces Answer[Spaces]
	Tables      Answer[Tables]
	Binlogs     Answer[[]Binlog]
	Objects     Answer[Objects]
	Loadable    Answer[Loadable]
	Neighbours  Answer[Neighbours]
	// Replication is asked for where the database is promised to be one of several.
	Replication Answer[Twice]
}

// Session is the connection over which the server was asked, by the server's words.
type Session struct {
	ConnectionID uint64
	Version      string
	Number       int // the version as MariaDB writes it in numbers: 101119
}

// Spaces count InnoDB's tablespaces; Clear and Moving name some of those that are
// not encrypted or that are being changed.
type Spaces struct {
	Total         int
	Clear, Moving []string
}

// Tables count the tables. Outside names those that MariaDB does not encrypt, and Doubtful
// those of which it does not say whether it does.
type Tables struct {
	Total             int
	Outside, Doubtful []string
}

// Binlog is a binary log; SecondEvent is empty if it has less than two.
type Binlog struct{ Name, SecondEvent string }

const (
	sessionQuery = `SELECT CONNECTION_ID(), VERSION()`
	statusQuery  = `SHOW SESSION STATUS WHERE Variable_name IN ('Ssl_version','Ssl_cipher','Ssl_server_not_after')`
	binlogsQuery = `SHOW BINARY LOGS`
)

// Collect asks everything. It only reads, and needs the grants PROCESS, BINLOG MONITOR,
// SLAVE MONITOR, SHOW VIEW and TRIGGER, and SELECT on mysql.*.
func Collect(ctx context.Context, server Querier, promised *promise.Promise) Answers {
	seen := Answers{
		Session:     ask(ctx, server, sessionQuery, readSession), // first: it is about this connection
		Replication: askBegin(ctx, server, promised),
		Started:     ask(ctx, server, startedQuery, readStarted),
		Status:      ask(ctx, server, statusQuery, readStatus),
		Variables:   askVariables(ctx, server),
		Plugins:     askPlugins(ctx, server),
		Tablespaces: askSpaces(ctx, server),
		Tables:      askTables(ctx, server),
		Binlogs:     askBinlogs(ctx, server),
		Objects:     askObjects(ctx, server),
		Loadable:    askLoadable(ctx, server),
		Neighbours:  askNeighbours(ctx, server),
	}
	var accounts []promise.Account
	if promised != nil {
		accounts = promised.Accounts
	}
	seen.Granted.Value, seen.Granted.Err = askGranted(ctx, server, seen.Session.Value.Number, accounts)
	seen.again(ctx, server)
	seen.Replication = askEnd(ctx, server, seen.Replication)
	return seen
}

// again asks once more, in the end, for what could have been changed and changed back
// while the rest was asked.
func (a *Answers) again(ctx context.Context, server Querier) {
	if a.Variables.Err != nil {
		return
	}
	last := askVariables(ctx, server)
	if last.Err != nil {
		a.Variables.Err = last.Err
		return
	}
	for name, v := range a.Variables.Value {
		if w := last.Value[name]; v.Value != w.Value && !strings.HasPrefix(name, "gtid_") || v.Origin != w.Origin {
			a.Variables.Err = fmt.Errorf("the variable %s changed while the server was asked", name)
		}
	}
}

// Unanswered is what there is when no question could be put.
func Unanswered(reason error) Answers {
	return Answers{
		Session:     Answer[Session]{Err: reason},
		Started:     Answer[Start]{Err: reason},
		Status:      Answer[map[string]string]{Err: reason},
		Variables:   Answer[map[string]variable]{Err: reason},
		Plugins:     Answer[[]plugin]{Err: reason},
		Granted:     Answer[Granted]{Err: reason},
		Tablespaces: Answer[Spaces]{Err: reason},
		Tables:      Answer[Tables]{Err: reason},
		Binlogs:     Answer[[]Binlog]{Err: reason},
		Objects:     Answer[Objects]{Err: reason},
		Loadable:    Answer[Loadable]{Err: reason},
		Neighbours:  Answer[Neighbours]{Err: reason},
		Replication: Answer[Twice]{Err: reason},
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

func readSession(rows *mysql.Rows) (Session, error) {
	if err := atLeastOne(rows, 2); err != nil {
		return Session{}, err
	}
	id, err := strconv.ParseUint(rows.Values[0][0].Text, 10, 64)
	if err != nil {
		return Session{}, fmt.Errorf("reading the connection's number: %w", err)
	}
	version := rows.Values[0][1].Text
	return Session{ConnectionID: id, Version: check.Said(version), Number: baseline.Number(version)}, nil
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
func askBinlogs(ctx context.Context, server Querier) Answer[[]Binlog] {
	names := ask(ctx, server, binlogsQuery, readBinlogNames)
	if names.Err != nil {
		return Answer[[]Binlog]{Err: names.Err}
	}
	var logs []Binlog
	for _, name := range names.Value {
		second := ask(ctx, server, "SHOW BINLOG EVENTS IN "+literal(name)+" LIMIT 2", readSecondEvent)
		if second.Err != nil {
			if left := ask(ctx, server, binlogsQuery, readBinlogNames); left.Err == nil && !slices.Contains(left.Value, name) {
				continue
			}
			return Answer[[]Binlog]{Err: fmt.Errorf("asking for the events of %q: %w", name, second.Err)}
		}
		logs = append(logs, Binlog{Name: name, SecondEvent: second.Value})
	}
	return Answer[[]Binlog]{Value: logs}
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
