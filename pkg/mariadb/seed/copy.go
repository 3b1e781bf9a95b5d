package seed

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/confidb/confidb/pkg/mysql"
)

const (
	// batch is how many bytes of rows are written by one statement, unless one row has more.
	batch = 512 << 10
	// stalled is for how long nothing may come before the copy is given up.
	stalled = 10 * time.Minute
)

// Mark is a database that a copy makes last. A folder of a server that has it is whole; the
// server must not be used with it.
const Mark = "confidb_seeded"

// Copy copies all from one server to another, which is new and used by nobody else, and
// returns the place in the history up to which the copy has everything. To shuts down when all
// is there. The server that is copied must be one that is written to. Say is told what is
// copied.
func Copy(ctx context.Context, from, to *mysql.Conn, say func(string)) (position string, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(stalled, func() { cancel(errors.New("nothing came any more")) })
	defer watch.Stop()
	c := &copier{ctx: ctx, from: from, to: to, alive: func() { watch.Reset(stalled) }}
	if position, err = c.run(say); err != nil && context.Cause(ctx) != nil {
		err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
	}
	return position, err
}

type copier struct {
	ctx      context.Context
	from, to *mysql.Conn
	alive    func()
}

func (c *copier) run(say func(string)) (string, error) {
	if err := c.prepare(); err != nil {
		return "", err
	}
	position, all, err := c.moment()
	if err != nil {
		return "", err
	}
	say(fmt.Sprintf("copying %d objects as they were at %s", len(all.objects), position))
	for _, o := range all.objects {
		if o.kind > table {
			break
		}
		if err := c.table(o, say); err != nil {
			return "", fmt.Errorf("%s: %w", o.label(), err)
		}
	}
	if err := c.programs(all.objects); err != nil {
		return "", err
	}
	// Before this the copy is at the beginning of the history, and after it at its place.
	if err := c.write("SET GLOBAL gtid_slave_pos = '"+position+"'", "CREATE DATABASE "+Mark, "SHUTDOWN"); err != nil {
		return "", err
	}
	return position, nil
}

// prepare makes both sessions say the same by the same text.
func (c *copier) prepare() error {
	const both = "SET NAMES utf8mb4, time_zone = '+00:00', sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES', max_statement_time = 0, wait_timeout = 28800, net_write_timeout = 600, net_read_timeout = 600"
	// A session that writes a binary log keeps the lock of a table that it has read until its
	// transaction ends; another one gives it up with the savepoint.
	if err := c.ask("SET SESSION sql_log_bin = 0", both+", sql_quote_show_create = 1, lock_wait_timeout = 60", "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ"); err != nil {
		return err
	}
	if err := c.write("SET SESSION sql_log_bin = 0", both+", foreign_key_checks = 0, check_constraint_checks = 0, innodb_strict_mode = 0, autocommit = 1"); err != nil {
		return err
	}
	// what an earlier copy has left, and the first database of a new server
	r := &reader{ctx: c.ctx, conn: c.to}
	for _, row := range r.rows("SELECT SCHEMA_NAME AS d FROM information_schema.SCHEMATA WHERE SCHEMA_NAME NOT IN " + own) {
		if err := c.write("DROP DATABASE " + quote(row["d"])); err != nil {
			return err
		}
	}
	return r.err
}

func (c *copier) ask(statements ...string) error {
	for _, s := range statements {
		if _, err := c.from.Query(c.ctx, s); err != nil {
			return fmt.Errorf("at the server that is copied: %w", gone(err))
		}
	}
	c.alive()
	return nil
}

func (c *copier) write(statements ...string) error {
	for _, s := range statements {
		if err := c.to.Each(c.ctx, []byte(s), nil); err != nil {
			return fmt.Errorf("at the copy: %w", err)
		}
	}
	c.alive()
	return nil
}

// moment begins to look at one moment, and returns its place in the history and the
// definitions of all that there was then. A definition is shown only after the statement that
// changed it is in the binary log, so those that are the same before and after are of the
// moment.
func (c *copier) moment() (position string, s schema, err error) {
	before, err := read(c.ctx, c.from)
	if err != nil {
		return "", s, err
	}
	if err := c.ask("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"); err != nil {
		return "", s, err
	}
	r := &reader{ctx: c.ctx, conn: c.from}
	place := map[string]string{}
	for _, row := range r.rows("SHOW STATUS LIKE 'Binlog_snapshot_%'") {
		place[strings.ToLower(row["Variable_name"])] = row["Value"]
	}
	file := place["binlog_snapshot_file"]
	if r.err == nil && strings.Trim(file, "abcdefghijklmnopqrstuvwxyz-_0123456789.") != "" {
		return "", s, fmt.Errorf("a binary log %.40q", file)
	}
	found := r.one(fmt.Sprintf("SELECT BINLOG_GTID_POS('%s', %s) AS logged, @@global.gtid_slave_pos AS applied, @@global.read_only AS readonly", file, "0"+place["binlog_snapshot_position"]))
	if r.err != nil {
		return "", s, r.err
	}
	if found["readonly"] != "0" {
		return "", s, errors.New("the server that is copied is not written to")
	}
	if position = found["logged"]; position == "" { // it has written nothing since it was a replica
		position = found["applied"]
	}
	if parts := strings.Split(position, "-"); len(parts) != 3 || strings.Trim(position, "0123456789-") != "" {
		return "", s, fmt.Errorf("the place %.60q in the history: want one GTID", position)
	}
	// Reading locks definitions: nobody waits for that longer than for a table to be copied.
	if err := c.ask("SAVEPOINT defined"); err != nil {
		return "", s, err
	}
	if s, err = read(c.ctx, c.from); err == nil && !s.equal(before) {
		err = ErrChanged
	}
	return position, s, errors.Join(err, c.ask("ROLLBACK TO SAVEPOINT defined"))
}

// table makes a database or a table, and copies what it has.
func (c *copier) table(o object, say func(string)) error {
	if o.kind == database {
		return c.write(o.statement)
	}
	if err := c.write("USE "+quote(o.database), o.statement); err != nil {
		return err
	}
	if err := c.ask("SAVEPOINT copied"); err != nil {
		return err
	}
	n, err := c.rows(o)
	if err != nil {
		return err
	}
	// Nobody can change it until the lock is given up that reading has taken.
	now := &reader{ctx: c.ctx, conn: c.from}
	now.table(o.database, o.name)
	if now.err != nil {
		return now.err
	}
	if !(schema{objects: []object{o}}).equal(schema{objects: now.made}) {
		return ErrChanged
	}
	if err := c.ask("ROLLBACK TO SAVEPOINT copied"); err != nil {
		return err
	}
	say(fmt.Sprintf("%s: %d rows", o.label(), n))
	return nil
}

// rows copies the rows of a table.
func (c *copier) rows(o object) (n int, err error) {
	begin := "INSERT INTO " + path(o.database, o.name) + " (" + o.written + ") VALUES "
	var statement bytes.Buffer
	flush := func() error {
		if statement.Len() == 0 {
			return nil
		}
		err := c.to.Each(c.ctx, statement.Bytes(), nil)
		statement.Reset()
		if err != nil {
			return fmt.Errorf("at the copy: %w", err)
		}
		return nil
	}
	err = c.from.Each(c.ctx, []byte("SELECT "+o.read+" FROM "+path(o.database, o.name)), func(values []mysql.Value) error {
		c.alive()
		n++
		if statement.Len() == 0 {
			statement.WriteString(begin)
		} else {
			statement.WriteByte(',')
		}
		for i, v := range values {
			statement.WriteByte("(,"[min(i, 1)])
			if err := literal(&statement, v, rune(o.forms[i])); err != nil {
				return err
			}
		}
		statement.WriteByte(')')
		if statement.Len() < batch {
			return nil
		}
		return flush()
	})
	if err == nil {
		err = flush()
	}
	return n, gone(err)
}

// literal writes a value as SQL. Nothing in it can be taken for anything but a value.
func literal(to *bytes.Buffer, v mysql.Value, form rune) error {
	switch {
	case v.Null:
		to.WriteString("NULL")
	case form == asBytes:
		to.WriteString("X'")
		_, _ = hex.NewEncoder(to).Write([]byte(v.Text)) // to memory
		to.WriteByte('\'')
	case form == asNumber && v.Text != "" && strings.Trim(v.Text, "0123456789+-.e") == "":
		to.WriteString(v.Text)
	case form == asText && strings.Trim(v.Text, "0123456789abcdefABCDEF+-.: ") == "":
		to.WriteString("_latin1'" + v.Text + "'")
	default:
		return fmt.Errorf("a value of %d bytes that is none of its type", len(v.Text))
	}
	return nil
}

// programs makes routines, views and triggers. A view is made when those are there that it
// shows.
func (c *copier) programs(objects []object) error {
	if err := c.definers(); err != nil {
		return err
	}
	waiting := slices.DeleteFunc(slices.Clone(objects), func(o object) bool { return o.kind <= table })
	for len(waiting) > 0 {
		var later []object
		var missing error
		for _, o := range waiting {
			var refusal *mysql.ServerError
			switch err := c.program(o, objects); {
			case err == nil:
			case o.kind == view && errors.As(err, &refusal):
				later, missing = append(later, o), fmt.Errorf("%s: %w", o.label(), err)
			default:
				return fmt.Errorf("%s: %w", o.label(), err)
			}
		}
		if len(later) == len(waiting) {
			return missing
		}
		waiting = later
	}
	return nil
}

// definers makes the accounts in whose names views show something: a view of views is made
// only where there are those. Nobody can log in as one of them, and none is left when the copy
// starts as a member.
func (c *copier) definers() error {
	r := &reader{ctx: c.ctx, conn: c.from}
	escaped := strings.NewReplacer("'", "''", `\`, `\\`)
	for _, row := range r.rows("SELECT DISTINCT DEFINER AS d FROM information_schema.VIEWS WHERE TABLE_SCHEMA NOT IN " + own) {
		at := strings.LastIndexByte(row["d"], '@')
		if at < 0 || at == len(row["d"])-1 {
			continue // a role
		}
		account := "'" + escaped.Replace(row["d"][:at]) + "'@'" + escaped.Replace(row["d"][at+1:]) + "'"
		if err := c.write("CREATE USER IF NOT EXISTS "+account+" IDENTIFIED VIA mysql_native_password USING 'invalid' ACCOUNT LOCK", "GRANT ALL ON *.* TO "+account); err != nil {
			return err
		}
	}
	return r.err
}

// program makes one of them as it was made.
func (c *copier) program(o object, objects []object) error {
	if err := c.write("USE "+quote(o.database), "SET character_set_client = "+o.client+", collation_connection = "+o.collation, "SET sql_mode = '"+strings.ReplaceAll(o.mode, "'", "")+"'"); err != nil {
		return err
	}
	if o.databaseCollation != "" {
		if err := c.write("ALTER DATABASE " + quote(o.database) + " COLLATE " + o.databaseCollation); err != nil {
			return err
		}
	}
	made := c.write(o.statement)
	return errors.Join(made, c.restore(o, objects))
}

// restore undoes what program has set.
func (c *copier) restore(o object, objects []object) error {
	if err := c.write("SET NAMES utf8mb4"); err != nil || o.databaseCollation == "" {
		return err
	}
	at := slices.IndexFunc(objects, func(d object) bool { return d.kind == database && d.database == o.database })
	_, how, _ := strings.Cut(objects[at].statement, "/*!40100 ")
	how, _, _ = strings.Cut(how, "*/")
	return c.write("ALTER DATABASE " + quote(o.database) + " " + how)
}
