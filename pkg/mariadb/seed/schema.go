package seed

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/mysql"
)

// own are the databases of a server, and of its session: a new server has its own.
const own = "('mysql', 'information_schema', 'performance_schema', 'sys', 'confidb')"

// kind is what an object is, in the order in which objects are made.
type kind int

const (
	database kind = iota
	table
	routine
	view
	trigger
)

// object is one thing that a statement makes, with what the statement rests on.
type object struct {
	kind           kind
	database, name string
	// statement makes it.
	statement string
	// mode is its sql_mode; client, collation and databaseCollation are those of who made it.
	mode, client, collation, databaseCollation string
	// columns are those of a table that have values of their own: a list for SELECT, and one
	// for INSERT, which belong together, and how each value is written.
	read, written string
	forms         string
}

// label is how an object is called where people read of it.
func (o object) label() string {
	if o.name == "" {
		return "database " + o.database
	}
	return [...]string{"database", "table", "routine", "view", "trigger"}[o.kind] + " " + o.database + "." + o.name
}

// Forms of values: how they are read and written.
const (
	asBytes  = 'b' // as they are, as a hexadecimal string
	asNumber = 'n'
	asText   = 't' // ASCII
)

// schema is all that is to be made, in that order, and what tells one state of it from another.
type schema struct {
	objects []object
	// tables are the numbers that InnoDB gives to tables: a table that is emptied or written
	// anew has another.
	tables []string
}

// equal reports whether two readings saw the same.
func (s schema) equal(other schema) bool {
	return slices.Equal(s.tables, other.tables) && slices.EqualFunc(s.objects, other.objects, func(a, b object) bool {
		a.statement, b.statement = withoutCounter(a.statement), withoutCounter(b.statement)
		return a == b
	})
}

// counter is the next number of a table, which changes with its rows.
var counter = regexp.MustCompile(`(?m)^(\) ENGINE=\w+)( AUTO_INCREMENT=\d+)`)

func withoutCounter(statement string) string { return counter.ReplaceAllString(statement, "$1") }

// reader reads the definitions of a server.
type reader struct {
	ctx  context.Context
	conn *mysql.Conn
	made []object
	err  error
}

// rows are those of an answer, by columns.
func (r *reader) rows(statement string) (all []map[string]string) {
	if r.err != nil {
		return nil
	}
	answer, err := r.conn.Query(r.ctx, statement)
	if r.err = gone(err); r.err != nil {
		return nil
	}
	for _, values := range answer.Values {
		row := map[string]string{}
		for i, column := range answer.Columns {
			row[column] = values[i].Text
		}
		all = append(all, row)
	}
	return all
}

// one is the only row of an answer.
func (r *reader) one(statement string) map[string]string {
	all := r.rows(statement)
	if r.err == nil && len(all) != 1 {
		r.err = fmt.Errorf("%.60s: an answer of %d rows, want 1", statement, len(all))
	}
	if r.err != nil {
		return nil
	}
	return all[0]
}

// read is the whole schema of a server.
func read(ctx context.Context, conn *mysql.Conn) (s schema, err error) {
	r := &reader{ctx: ctx, conn: conn}
	for _, row := range r.rows("SELECT SCHEMA_NAME AS d FROM information_schema.SCHEMATA WHERE SCHEMA_NAME NOT IN " + own + " ORDER BY BINARY SCHEMA_NAME") {
		r.add(object{kind: database, database: row["d"], statement: r.one("SHOW CREATE DATABASE " + quote(row["d"]))["Create Database"]})
	}
	for _, row := range r.rows("SELECT TABLE_SCHEMA AS d, TABLE_NAME AS t, TABLE_TYPE AS k, COALESCE(ENGINE, '') AS e FROM information_schema.TABLES WHERE TABLE_SCHEMA NOT IN " + own + " ORDER BY BINARY TABLE_SCHEMA, BINARY TABLE_NAME") {
		switch {
		case row["k"] == "VIEW":
			r.program(view, row["d"], row["t"], "SHOW CREATE VIEW "+path(row["d"], row["t"]), "Create View")
		case row["k"] != "BASE TABLE" && row["k"] != "SEQUENCE" || row["e"] != "InnoDB":
			return s, fmt.Errorf("%s is %s of %s, of which no copy of one moment can be made: want tables of InnoDB without versions", path(row["d"], row["t"]), row["k"], row["e"])
		default:
			r.table(row["d"], row["t"])
		}
	}
	for _, row := range r.rows("SELECT ROUTINE_SCHEMA AS d, ROUTINE_NAME AS n, ROUTINE_TYPE AS k FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA NOT IN " + own + " ORDER BY BINARY ROUTINE_SCHEMA, BINARY ROUTINE_NAME, ROUTINE_TYPE") {
		word := map[string]string{"PROCEDURE": "Procedure", "FUNCTION": "Function"}[row["k"]]
		if word == "" {
			return s, fmt.Errorf("%s is a %s, which is not copied", path(row["d"], row["n"]), row["k"])
		}
		r.program(routine, row["d"], row["n"], "SHOW CREATE "+row["k"]+" "+path(row["d"], row["n"]), "Create "+word)
	}
	for _, row := range r.rows("SELECT TRIGGER_SCHEMA AS d, TRIGGER_NAME AS n FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA NOT IN " + own + " ORDER BY BINARY TRIGGER_SCHEMA, BINARY EVENT_OBJECT_TABLE, ACTION_TIMING, EVENT_MANIPULATION, ACTION_ORDER") {
		r.program(trigger, row["d"], row["n"], "SHOW CREATE TRIGGER "+path(row["d"], row["n"]), "SQL Original Statement")
	}
	for _, row := range r.rows("SELECT CONCAT(NAME, ' ', TABLE_ID) AS t FROM information_schema.INNODB_SYS_TABLES WHERE NAME LIKE '%/%' AND NAME NOT LIKE '%/#sql%' AND NAME NOT LIKE 'mysql/%' ORDER BY 1") {
		s.tables = append(s.tables, row["t"])
	}
	slices.SortStableFunc(r.made, func(a, b object) int { return int(a.kind - b.kind) })
	s.objects = r.made
	return s, r.err
}

func (r *reader) add(o object) {
	if o.statement == "" && r.err == nil {
		r.err = fmt.Errorf("%s: the server does not say how it was made", o.label())
	}
	r.made = append(r.made, o)
}

// table notes a table and its columns.
func (r *reader) table(of, name string) {
	o := object{kind: table, database: of, name: name}
	row := r.one("SHOW CREATE TABLE " + path(of, name))
	if o.statement = row["Create Table"]; r.err != nil {
		return
	}
	var from, into []string
	for _, c := range r.rows(fmt.Sprintf("SELECT COLUMN_NAME AS c, DATA_TYPE AS t, IS_GENERATED AS g FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = _utf8mb4 X'%[1]x' AND BINARY TABLE_SCHEMA = X'%[1]x' AND TABLE_NAME = _utf8mb4 X'%[2]x' AND BINARY TABLE_NAME = X'%[2]x' ORDER BY ORDINAL_POSITION", of, name)) {
		if c["g"] == "ALWAYS" {
			continue
		}
		name, form := quote(c["c"]), asText
		into = append(into, name)
		switch kind := strings.ToLower(c["t"]); kind {
		case "char", "varchar", "tinytext", "text", "mediumtext", "longtext": // in the character set of the column
			form, name = asBytes, "CAST("+name+" AS BINARY)"
		case "binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob",
			"geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon", "geometrycollection":
			form = asBytes
		case "enum", "set", "bit": // as the number that is kept: two may have the same text
			form, name = asNumber, "CAST("+name+" AS UNSIGNED)"
		case "float": // as text it has fewer digits than it has
			form, name = asNumber, "CAST("+name+" AS DOUBLE)"
		case "tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "double", "date", "time", "datetime", "timestamp", "year", "uuid", "inet6", "inet4":
		default:
			r.err = fmt.Errorf("column %s of %s: values of the type %.20q are not copied", quote(c["c"]), path(of, o.name), kind)
		}
		from, o.forms = append(from, name), o.forms+string(form)
	}
	o.read, o.written = strings.Join(from, ", "), strings.Join(into, ", ")
	r.add(o)
}

// program notes what has a text of its own, in the character set in which it was written.
func (r *reader) program(kind kind, of, name, statement, column string) {
	o := object{kind: kind, database: of, name: name}
	row := r.one(statement)
	o.mode, o.client, o.collation, o.databaseCollation = row["sql_mode"], row["character_set_client"], row["collation_connection"], row["Database Collation"]
	if r.err == nil && !word(o.client, o.collation, o.databaseCollation) {
		r.err = fmt.Errorf("%s: it does not say in which character set it was written", o.label())
	}
	if o.client != "utf8mb4" && r.err == nil {
		r.rows("SET character_set_results = " + o.client)
		row = r.one(statement)
		r.rows("SET character_set_results = utf8mb4")
	}
	o.statement = row[column]
	r.add(o)
}

// word reports whether names are those of character sets and collations, or empty.
func word(names ...string) bool {
	return !slices.ContainsFunc(names, func(name string) bool {
		return strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != ""
	})
}

// quote is a name in SQL.
func quote(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

func path(of, name string) string { return quote(of) + "." + quote(name) }

// ErrChanged means that something was defined anew while it was copied. A copy that is begun
// again may come through.
var ErrChanged = errors.New("it was changed while it was copied")

// Codes of MariaDB: of what is not there any more, and of a table that is not the one of the
// moment that is copied (ER_BAD_DB_ERROR, ER_NO_SUCH_TABLE, ER_SP_DOES_NOT_EXIST,
// ER_TRG_DOES_NOT_EXIST and ER_TABLE_DEF_CHANGED).
const codeTableChanged = 1412

func gone(err error) error {
	var refusal *mysql.ServerError
	if errors.As(err, &refusal) && slices.Contains([]uint16{1049, 1146, 1305, 1360, codeTableChanged}, refusal.Code) {
		return fmt.Errorf("%w: %w", ErrChanged, err)
	}
	return err
}
