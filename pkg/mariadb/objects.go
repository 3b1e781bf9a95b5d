package mariadb

import (
	"cmp"
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

// objects are what is stored.
type objects struct {
	system    []object // in the databases of the server's own
	others    []object // in other databases, without tables
	databases []promise.Database
	outside   []string // files of tables outside the data directory
}

// loadable is what comes from libraries, beside plugins.
type loadable struct {
	// names are those in mysql.plugin and mysql.func.
	names []string
	// made and installed count the statements that made a function of a library, or loaded a
	// plugin, since the start.
	made, installed string
}

// neighbours are who is connected.
type neighbours struct {
	servers []string // in mysql.servers
	// sources are what the server replicates from, replicas who replicates from it.
	sources, replicas []string
	users             []string // of all connections but the server's own threads
}

// systemDatabases are MariaDB's own.
func systemDatabases() []string {
	return []string{"mysql", "sys", "performance_schema", "information_schema"}
}

func isSystem(database string) bool { return slices.Contains(systemDatabases(), database) }

func askPlugins(ctx context.Context, server Querier) answer[[]plugin] {
	rows, err := list(ctx, server, "PLUGIN_NAME, PLUGIN_TYPE, PLUGIN_STATUS, COALESCE(PLUGIN_LIBRARY, ''), LOAD_OPTION", "information_schema.PLUGINS")
	if err == nil {
		err = atLeastOne(rows, 5)
	}
	if err != nil {
		return answer[[]plugin]{err: err}
	}
	var all []plugin
	for _, r := range rows.Values {
		all = append(all, plugin{Name: r[0].Text, Kind: r[1].Text, Status: r[2].Text, Library: r[3].Text, LoadOption: r[4].Text})
	}
	return answer[[]plugin]{value: all}
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
func askObjects(ctx context.Context, server Querier) answer[objects] {
	for try := 1; ; try++ {
		found := askObjectsOnce(ctx, server)
		if try == tries || !errors.Is(found.err, errViews) {
			return found
		}
	}
}

// errViews means that the number of views differs from that of their definers.
var errViews = errors.New("not all views are listed with their definers")

func askObjectsOnce(ctx context.Context, server Querier) answer[objects] {
	var found objects
	for _, source := range objectSources() {
		rows, err := list(ctx, server, source.columns, source.from)
		if err != nil {
			return answer[objects]{err: err}
		}
		if len(rows.Columns) != 6 {
			return answer[objects]{err: errors.New("a list of objects does not have six columns")}
		}
		for _, r := range rows.Values {
			o := object{Kind: strings.ToUpper(r[0].Text), Schema: r[1].Text, Name: r[2].Text, Definer: r[3].Text, Security: r[4].Text, Digest: r[5].Text}
			if isSystem(o.Schema) {
				found.system = append(found.system, o)
			} else {
				found.others = append(found.others, o)
			}
		}
	}
	if err := countViews(ctx, server, &found); err != nil {
		return answer[objects]{err: err}
	}
	var err error
	if found.databases, err = askDatabases(ctx, server); err != nil {
		return answer[objects]{err: err}
	}
	found.outside, err = askNames(ctx, server, "CONCAT(NAME, ' in ', FILENAME)", `information_schema.INNODB_SYS_TABLESPACES WHERE BINARY LEFT(FILENAME, 2) <> './' AND LOCATE('/', NAME) > 0`)
	return answer[objects]{value: found, err: err}
}

// countViews sees that the list of views is whole: a view that does not open could be left out.
func countViews(ctx context.Context, server Querier, found *objects) error {
	want, err := count(ctx, server, "information_schema.TABLES WHERE TABLE_TYPE = 'VIEW'")
	if err != nil {
		return err
	}
	got := 0
	for _, o := range slices.Concat(found.system, found.others) {
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

func askLoadable(ctx context.Context, server Querier) answer[loadable] {
	plugins, err := askNames(ctx, server, "CONCAT('plugin ', name)", "mysql.plugin")
	if err != nil {
		return answer[loadable]{err: err}
	}
	functions, err := askNames(ctx, server, "CONCAT('function ', name)", "mysql.func")
	if err != nil {
		return answer[loadable]{err: err}
	}
	status, err := server.Query(ctx, "SHOW GLOBAL STATUS WHERE Variable_name IN ('Com_create_udf', 'Com_install_plugin')") // in this order
	if err == nil && (len(status.Values) != 2 || len(status.Columns) != 2) {
		err = errors.New("the server does not say how many functions and plugins of libraries were made")
	}
	if err != nil {
		return answer[loadable]{err: err}
	}
	return answer[loadable]{value: loadable{append(plugins, functions...), status.Values[0][1].Text, status.Values[1][1].Text}}
}

func askNeighbours(ctx context.Context, server Querier) answer[neighbours] {
	var found neighbours
	err := found.ask(ctx, server)
	return answer[neighbours]{value: found, err: err}
}

func (found *neighbours) ask(ctx context.Context, server Querier) (err error) {
	if found.servers, err = askNames(ctx, server, "Server_name", "mysql.servers"); err != nil {
		return err
	}
	channels, err := server.Query(ctx, "SHOW ALL SLAVES STATUS")
	if err != nil {
		return err
	}
	if found.sources, err = texts(channels, "Connection_name", "Master_Host"); err != nil {
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
		if found.users = append(found.users, r[0].Text); strings.HasPrefix(r[1].Text, "Binlog Dump") {
			found.replicas = append(found.replicas, fmt.Sprintf("%q from %s", r[0].Text, r[2].Text))
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

// decidePlugins compares the plugins with those of the version and of the session.
func decidePlugins(o *Observation) conclusion {
	if err := errors.Join(o.answers.plugins.err, o.answers.variables.err, o.answers.loadable.err, o.answers.session.err); err != nil {
		return unproven(err)
	}
	if reason := o.unpromised(); reason != "" {
		return unpromisedHere(reason)
	}
	want := baseline.Expect(o.target.Promise.Settings, o.answers.variables.value, o.answers.plugins.value)
	known, _ := baseline.Of(o.answers.session.value.version)
	deviations := want.Plugins(o.answers.plugins.value, known)
	found := o.answers.loadable.value
	for _, name := range found.names {
		deviations = append(deviations, name+" is loaded at the next start")
	}
	if found.made != "0" {
		deviations = append(deviations, found.made+" functions of libraries were made since the start; the server does not list those that it has")
	}
	if found.installed != "0" {
		deviations = append(deviations, found.installed+" plugins were loaded since the start: what their code did stays, also when they are gone")
	}
	reason := fmt.Sprintf("%d plugins", len(o.answers.plugins.value))
	if known == nil {
		reason += "; those that are built into this version are not known"
	}
	return noneOf(deviations, "the plugins of this version and of the session, each as the session sets it", reason)
}

// decideNeighbours asks that nobody is connected, replicates or is replicated from but whom
// the session names: nobody, so far.
func decideNeighbours(o *Observation) conclusion {
	if err := o.answers.neighbours.err; err != nil {
		return unproven(err)
	}
	found := o.answers.neighbours.value
	var deviations []string
	for _, s := range found.sources {
		deviations = append(deviations, "replicates from "+s)
	}
	for _, r := range found.replicas {
		deviations = append(deviations, "is replicated by "+r)
	}
	for _, s := range found.servers {
		deviations = append(deviations, fmt.Sprintf("server %q", s))
	}
	reason := cmp.Or(o.unpromised(), o.blind("PROCESS"))
	if reason == "" {
		deviations = append(deviations, o.strangers()...)
	}
	if len(deviations) == 0 && reason != "" {
		return skipped(reason)
	}
	return noneOf(deviations, "no replication, no other server, and connections of the session's accounts only", fmt.Sprintf("%d connections", len(found.users)))
}

// strangers are connections that are of none of the session's accounts: an account that was
// dropped keeps what it may do for as long as it is connected.
func (o *Observation) strangers() []string {
	var own []string
	for _, a := range o.target.Promise.Accounts {
		own = append(own, a.Name.User)
	}
	var all []string
	for _, user := range o.answers.neighbours.value.users {
		if !slices.Contains(own, user) {
			all = append(all, fmt.Sprintf("a connection of %q, which is no account of the session", user))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// decideObjects asks that what runs by itself or with somebody else's rights is of the
// version or of the application.
func decideObjects(o *Observation) conclusion {
	if err := errors.Join(o.answers.objects.err, o.answers.session.err); err != nil {
		return unproven(err)
	}
	if reason := o.unpromised(); reason != "" {
		return unpromisedHere(reason)
	}
	found := o.answers.objects.value
	known, exact := baseline.Of(o.answers.session.value.version)
	deviations := known.Deviating(found.system, exact)
	for _, one := range found.others {
		if problem := o.definerProblem(one); problem != "" {
			deviations = append(deviations, one.String()+problem)
		}
	}
	deviations = append(deviations, o.databaseProblems(found.databases)...)
	for _, file := range found.outside {
		deviations = append(deviations, "data outside the data directory: "+file)
	}
	if reason := o.blind("TRIGGER", "SHOW VIEW"); len(deviations) == 0 && reason != "" {
		return skipped(reason)
	}
	reason := fmt.Sprintf("%d objects", len(found.system)+len(found.others))
	switch {
	case known == nil:
		reason += "; those of this version are not known, and judged by their definer alone"
	case !exact:
		reason += "; they are those of " + known.Version + ", and their texts are not compared"
	}
	return noneOf(deviations, "objects of this version, and of accounts that may have made them", reason)
}

// definerProblem asks whether the definer of an object may have made it. The asker's own
// account makes nothing.
func (o *Observation) definerProblem(one object) string {
	needs := map[string]string{baseline.View: "CREATE VIEW", baseline.Trigger: "TRIGGER", baseline.Event: "EVENT"}[one.Kind]
	if needs == "" {
		needs = "CREATE ROUTINE"
	}
	at := strings.LastIndexByte(one.Definer, '@')
	if at < 0 {
		return fmt.Sprintf(" runs as %q", one.Definer)
	}
	name := promise.Name{User: one.Definer[:at], Host: one.Definer[at+1:]}
	account := o.target.Promise.Account(name)
	switch {
	case account == nil:
		return " runs as " + name.String() + ", which is no account of the session"
	case name.User == o.target.Account || !account.Has(needs, one.Schema, one.Name):
		return " runs as " + name.String() + ", which cannot have made it"
	}
	return ""
}

// databaseProblems says in which way the databases are not those of the session.
func (o *Observation) databaseProblems(found []promise.Database) []string {
	var all []string
	for _, d := range found {
		if !isSystem(d.Name) && d.Name != lostAndFound && !o.mayExist(d.Name) {
			all = append(all, fmt.Sprintf("database %q: the session does not make it, and none of its accounts may", d.Name))
		}
	}
	for _, want := range o.target.Promise.Databases {
		at := slices.IndexFunc(found, func(d promise.Database) bool { return d.Name == want.Name })
		switch {
		case at < 0:
			all = append(all, fmt.Sprintf("database %q: the session makes it, and it is not there", want.Name))
		case want.CharacterSet != "" && want.CharacterSet != found[at].CharacterSet:
			all = append(all, fmt.Sprintf("database %q: character set %s, want %s", want.Name, found[at].CharacterSet, want.CharacterSet))
		case want.Collation != "" && want.Collation != found[at].Collation:
			all = append(all, fmt.Sprintf("database %q: collation %s, want %s", want.Name, found[at].Collation, want.Collation))
		}
	}
	return all
}

// lostAndFound is how MariaDB calls a folder that file systems have at their root.
const lostAndFound = "#mysql50#lost+found"

// mayExist reports whether the session makes a database, or gives an account the right to.
func (o *Observation) mayExist(database string) bool {
	return slices.ContainsFunc(o.target.Promise.Databases, func(d promise.Database) bool { return d.Name == database }) ||
		slices.ContainsFunc(o.target.Promise.Accounts, func(a promise.Account) bool { return a.Has("CREATE", database, "") })
}
