package cluster

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Row is a row of a result, by the names of its columns as the server gives them. A column
// that is NULL is absent.
type Row map[string]string

// Session is one connection to a server, logged in as the monitor. It is used by one caller
// at a time.
type Session interface {
	// Query runs one statement, and reads its result to the end. What the server refuses is a
	// *Refusal; after any other error the session is of no more use. It ends with ctx.
	Query(ctx context.Context, sql string) ([]Row, error)
	// ID is the server's number of the connection.
	ID() uint64
	// Version is what the server called itself in its greeting.
	Version() string
	Close() error
}

// Dial connects to a server by its name in the configuration, and logs in. Over TLS it
// verifies the chain, and never the name: MaxScale's monitor does not.
type Dial func(ctx context.Context, server string) (Session, error)

// Refusal is an error that the server has sent.
type Refusal struct {
	Code    uint16
	Message string // as the server sent it, even if it quotes a password
}

func (r *Refusal) Error() string { return r.Message }

const (
	// accessDenied, needsPrivilege and timedOut are codes of MariaDB.
	accessDenied, needsPrivilege, timedOut = 1045, 1227, 1969
	// again is how often a connection is tried that is lost in a tick, each time for
	// connect_timeout. With it the round in which a primary begins to hang, and those after it,
	// last as long as was measured.
	again = 2
	// grace is for how long the answer of a statement may come after the limit that the server
	// itself was given for it.
	grace = 500 * time.Millisecond
)

// denied reports whether a server refused for want of rights.
func denied(err error) bool {
	var r *Refusal
	return errors.As(err, &r) && (r.Code == accessDenied || r.Code == needsPrivilege || r.Code == 1142 || r.Code == 1044 || r.Code == 1698)
}

// link is the monitor's connection to one server, made when it is needed.
type link struct {
	server   Server
	dial     Dial
	settings *Settings
	session  Session
}

func (l *link) close() {
	if l.session != nil {
		l.session.Close() // of no more use, whatever it says
		l.session = nil
	}
}

// open connects, and does what is done once for a connection.
func (l *link) open(ctx context.Context) error {
	if l.session != nil {
		return nil
	}
	within, cancel := context.WithTimeout(ctx, l.settings.ConnectTimeout)
	defer cancel()
	session, err := l.dial(within, l.server.Name)
	if err != nil {
		return err
	}
	l.session = session
	_, err = l.query(ctx, "SET @@session.wait_timeout="+strconv.Itoa(l.settings.waitTimeout()))
	return err
}

// query runs a statement of a tick. An error that is no refusal closes the connection.
func (l *link) query(ctx context.Context, sql string) ([]Row, error) {
	return l.within(ctx, sql, l.settings.ReadTimeout)
}

func (l *link) within(ctx context.Context, sql string, limit time.Duration) ([]Row, error) {
	if l.session == nil {
		return nil, errors.New("not connected")
	}
	within, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	rows, err := l.session.Query(within, sql)
	var refused *Refusal
	if err != nil && !errors.As(err, &refused) {
		l.close()
	}
	return rows, err
}

// one runs a statement that answers with one row.
func (l *link) one(ctx context.Context, sql string) (Row, error) {
	rows, err := l.query(ctx, sql)
	switch {
	case err != nil:
		return nil, err
	case len(rows) != 1:
		return nil, fmt.Errorf("%d rows for %s", len(rows), sql)
	}
	return rows[0], nil
}

// number reads a column, 0 if it is NULL.
func (r Row) number(column string) uint64 {
	n, err := strconv.ParseUint(r[column], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// on reads a column that is ON or OFF, or a number.
func (r Row) on(column string) bool {
	v := strings.ToUpper(r[column])
	return v == "ON" || v == "1"
}
