package ask

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/baseline"
	"github.com/confidb/confidb/pkg/mysql"
	"github.com/confidb/confidb/pkg/promise"
)

type (
	plugin = baseline.Plugin
	object = baseline.Object
)

// Objects are what is stored.
type Objects struct {
	System    []object // in the databases of the server's own
	Others    []object // in other databases, without tables
	Databases []promise.Database
	Outside   []string // files of tables outside the data directory
}

// Loadable is what comes from libraries, beside plugins.
type Loadable struct {
	// Names are those in mysql.plugin and mysql.func.
	Names []string
	// Made and Installed count the statements that made a function of a library, or loaded a
	// plugin, since the start.
	Made, Installed string
}

// Neighbours are who is connected.
type Neighbours struct {
	Servers []string // in mysql.servers
	// Sources are what the server replicates from, Replicas who replicates from it.
	Sources, Replicas []string
	Users             []string // of all connections but the server's own threads
}

// systemDatabases are MariaDB's own.
func systemDatabases() []string {
	return []string{"mysql", "sys", "performance_schema", "information_schema"}
}

// IsSystem reports whether a database is one of MariaDB's own.
func IsSystem(database string) bool { return slices.Contains(systemDatabases(), database) }

func askPlugins(ctx context.Context, server Querier) Answer[[]plugin] {
	rows, err := list(ctx, server, "PLUGIN_NAME, PLUGIN_TYPE, PLUGIN_STATUS, COALESCE(PLUGIN_LIBRARY, ''), LOAD_OPTION", "information_schema.PLUGINS")
	if err == nil {
		err = atLeastOne(rows, 5)
	}
	if err != nil {
		return Answer[[]plugin]{Err: err}
	}
	var all []plugin
	for _, r := range rows.Values {
		all = append(all, plugin{Name: r[0].Text, Kind: r[1].Text, Status: r[2].Text, Library: r[3].Text, LoadOption: r[4].Text})
	}
	return Answer[[]plugin]{Value: all}
}

// objectSources are where objects are listed, each with its kind, schema, name, definer,
// security and digest. A table of Aria has the digest of its engine.
func objectSources() []struct{ columns, from string } {
	return []struct{ columns, from string }{
		{`IF(TABLE_TYPE = 'VIEW', 'VIEW', 'TABLE'), TABLE_SCHEMA, TABLE_NAME, '', '', COALESCE(ENGINE, '')`,
			`information_schema.TABLES WHERE BINARY TABLE_SCHEMA IN ('mysql', 'sys') AND TABLE_TYPE <> 'VIEW'`},
		{`'VIEW', TABLE_SCHEMA, TABLE_NAME, DEFINER, SECURITY_TYPE, IF(VIEW_DEFINITION = '', '', SHA2(VIEW_DEFINITION, 256))`, `information_schema.VIEWS`}, // hidden without SELECT
		{`'TRIGGER', TRIGGER_SCHEMA, TRIGGER_NAME, DEFINER, 'DEFINER', SHA2(CONCAT_WS('|', EVENT_OBJECT_SCHEMA, EVENT_OBJECT_TABLE, ACTION_TIMING, EVENT_MANIPULATION, ACTION_STATEMENT), 256)`, `information_schema.TRIGGERS`},
		{`type, db, name, definer, security_type, SHA2(CONCAT_WS('|', param_list, returns, body), 256)`, `mysql.proc`},
		{`'EVENT', db, name, definer, 'DEFINER', ''`, `mysql.event`},
	}
}

// askObjects asks for what is stored, once more if views came or went meanwhile.
func askObjects(ctx context.Context, server Querier) Answer[Objects] {
	for try := 1; ; try++ {
		found := askObjectsOnce(ctx, server)
		if try == tries || !errors.Is(found.Err, errViews) {
			return found
		}
	}
}

// errViews means that the number of views differs from that of their definers.
var errViews = errors.New("not all views are listed with their definers")

func askObjectsOnce(ctx context.Context, server Querier) Answer[Objects] {
	var found Objects
	for _, source := range objectSources() {
		rows, err := list(ctx, server, source.columns, source.from)
		if err != nil {
			return Answer[Objects]{Err: err}
		}
		if len(rows.Columns) != 6 {
			return Answer[Objects]{Err: errors.New("a list of objects does not have six columns")}
		}
		for _, r := range rows.Values {
			o := object{Kind: strings.ToUpper(r[0].Text), Schema: r[1].Text, Name: r[2].Text, Definer: r[3].Text, Security: r[4].Text, Digest: r[5].Text}
			if IsSystem(o.Schema) {
				found.System = append(found.System, o)
			} else {
				found.Others = append(found.Others, o)
			}
		}
	}
	if err := countViews(ctx, server, &found); err != nil {
		return Answer[Objects]{Err: err}
	}
	var err error
	if found.Databases, err = askDatabases(ctx, server); err != nil {
		return Answer[Objects]{Err: err}
	}
	found.Outside, err = askNames(ctx, server, "CONCAT(NAME, ' in ', FILENAME)", `information_schema.INNODB_SYS_TABLESPACES WHERE BINARY LEFT(FILENAME, 2) <> './' AND LOCATE('/', NAME) > 0`)
	return Answer[Objects]{Value: found, Err: err}
}

// countViews sees that the list of views is whole: a view that does not open could be left out.
func countViews(ctx context.Context, server Querier, found *Objects) error {
	want, err := count(ctx, server, "information_schema.TABLES WHERE TABLE_TYPE = 'VIEW'")
	if err != nil {
		return err
	}
	got := 0
	for _, o := range slices.Concat(found.System, found.Others) {
		if o.Kind == baseline.View {
			got++
		}
	}
	if got != want {
		return fmt.Errorf("%w: %d of %d", errViews, got, want)
	}
	return nil
}

func askDatabases(ctx context.Context, server Querier) ([]promise.Database, error) {
	rows, err := list(ctx, server, "SCHEMA_NAME, DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME", "information_schema.SCHEMATA")
	if err != nil {
		return nil, err
	}
	if len(rows.Columns) != 3 {
		return nil, errors.New("the list of databases does not have three columns")
	}
	var all []promise.Database
	for _, r := range rows.Values {
		all = append(all, promise.Database{Name: r[0].Text, CharacterSet: r[1].Text, Collation: r[2].Text})
	}
	return all, nil
}

// askNames asks for one column.
func askNames(ctx context.Context, server Querier, column, from string) ([]string, error) {
	rows, err := list(ctx, server, column, from)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, r := range rows.Values {
		names = append(names, r[0].Text)
	}
	return names, nil
}

func askLoadable(ctx context.Context, server Querier) Answer[Loadable] {
	plugins, err := askNames(ctx, server, "CONCAT('plugin ', name)", "mysql.plugin")
	if err != nil {
		return Answer[Loadable]{Err: err}
	}
	functions, err := askNames(ctx, server, "CONCAT('function ', name)", "mysql.func")
	if err != nil {
		return Answer[Loadable]{Err: err}
	}
	status, err := server.Query(ctx, "SHOW GLOBAL STATUS WHERE Variable_name IN ('Com_create_udf', 'Com_install_plugin')") // in this order
	if err == nil && (len(status.Values) != 2 || len(status.Columns) != 2) {
		err = errors.New("the server does not say how many functions and plugins of libraries were made")
	}
	if err != nil {
		return Answer[Loadable]{Err: err}
	}
	return Answer[Loadable]{Value: Loadable{append(plugins, functions...), status.Values[0][1].Text, status.Values[1][1].Text}}
}

func askNeighbours(ctx context.Context, server Querier) Answer[Neighbours] {
	var found Neighbours
	err := found.ask(ctx, server)
	return Answer[Neighbours]{Value: found, Err: err}
}

func (found *Neighbours) ask(ctx context.Context, server Querier) (err error) {
	if found.Servers, err = askNames(ctx, server, "Server_name", "mysql.servers"); err != nil {
		return err
	}
	channels, err := server.Query(ctx, "SHOW ALL SLAVES STATUS")
	if err != nil {
		return err
	}
	if found.Sources, err = texts(channels, "Connection_name", "Master_Host"); err != nil {
		return err
	}
	threads, err := server.Query(ctx, "SELECT USER, COMMAND, HOST, STATE FROM information_schema.PROCESSLIST")
	if err != nil {
		return err
	}
	if err := atLeastOne(threads, 4); err != nil { // our own is one
		return err
	}
	for _, r := range threads.Values {
		if notYetSomebody(r[0].Text, r[1].Text, r[3].Text) || ownThread(r[0].Text, r[2].Text) {
			continue
		}
		if found.Users = append(found.Users, r[0].Text); strings.HasPrefix(r[1].Text, "Binlog Dump") {
			found.Replicas = append(found.Replicas, fmt.Sprintf("%q from %s", r[0].Text, r[2].Text))
		}
	}
	return nil
}

// notYetSomebody says that a thread has not logged in: a login that is refused says any name,
// and ours does. Measured under load: until its end it is Connect in any state, and for a
// moment Busy or Killed. Who logs in again from a session, to hide, is "Change user".
func notYetSomebody(user, command, state string) bool {
	switch command {
	case "Connect":
		return user != "system user" // which older versions call Connect, and which replicates
	case "Busy", "Killed":
		return state == "login" || user == "unauthenticated user"
	}
	return false
}

// ownThread says that a thread is the server's: it comes from no address. Whoever is called
// the same comes from one.
func ownThread(user, host string) bool {
	return (user == "system user" || user == "event_scheduler" && host == "localhost") && !strings.Contains(host, ":")
}

// texts joins columns of each row.
func texts(rows *mysql.Rows, columns ...string) ([]string, error) {
	var all []string
	for _, values := range rows.Values {
		r := &row{columns: rows.Columns, values: values}
		var parts []string
		for _, column := range columns {
			parts = append(parts, fmt.Sprintf("%q", r.text(column)))
		}
		if r.missing {
			return nil, errors.New("an answer lacks a column")
		}
		all = append(all, strings.Join(parts, " at "))
	}
	return all, nil
}
