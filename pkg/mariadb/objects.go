package mariadb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/mysql"
	"github.com/confidb/confidb/pkg/promise"
)

// plugin is a row of information_schema.PLUGINS.
type plugin struct {
	name, kind, status, library, loadOption string
}

// object is something that is stored in a database: a table, view, trigger, routine or event.
type object struct {
	kind, schema, name string
	definer, security  string // of what runs as somebody: user@host, and DEFINER or INVOKER
	digest             string // of its text, or the engine of a table
}

func (o object) String() string { return fmt.Sprintf("%s %q.%q", o.kind, o.schema, o.name) }

// The kinds of objects that are told apart; those of routines are MariaDB's words.
const (
	kindTable   = "TABLE"
	kindView    = "VIEW"
	kindTrigger = "TRIGGER"
	kindEvent   = "EVENT"
)

// objects are what is stored, and what is connected.
type objects struct {
	system    []object // in the databases of the server's own
	others    []object // in other databases, without tables
	databases []string
	// loadable are the names in mysql.plugin and mysql.func, servers those in mysql.servers.
	loadable, servers []string
	// functions counts the statements that made a function of a library since the start.
	functions string
	// sources are what the server replicates from, replicas who replicates from it.
	sources, replicas []string
	users             []string // of all connections
	outside           []string // files of tables outside the data directory
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
		all = append(all, plugin{r[0].Text, r[1].Text, r[2].Text, r[3].Text, r[4].Text})
	}
	return answer[[]plugin]{value: all}
}

// objectSources are where objects are listed, each with its kind, schema, name, definer,
// security and digest. A table of Aria has the digest of its engine.
func objectSources() []struct{ columns, from string } {
	return []struct{ columns, from string }{
		{`IF(TABLE_TYPE = 'VIEW', 'VIEW', 'TABLE'), TABLE_SCHEMA, TABLE_NAME, '', '', COALESCE(ENGINE, '')`,
			`information_schema.TABLES WHERE BINARY TABLE_SCHEMA IN ('mysql', 'sys') AND TABLE_TYPE <> 'VIEW'`},
		{`'VIEW', TABLE_SCHEMA, TABLE_NAME, DEFINER, SECURITY_TYPE, ''`, `information_schema.VIEWS`},
		{`'TRIGGER', TRIGGER_SCHEMA, TRIGGER_NAME, DEFINER, 'DEFINER', SHA2(CONCAT_WS('|', EVENT_OBJECT_SCHEMA, EVENT_OBJECT_TABLE, ACTION_TIMING, EVENT_MANIPULATION, ACTION_STATEMENT), 256)`, `information_schema.TRIGGERS`},
		{`type, db, name, definer, security_type, SHA2(CONCAT_WS('|', param_list, returns, body), 256)`, `mysql.proc`},
		{`'EVENT', db, name, definer, 'DEFINER', ''`, `mysql.event`},
	}
}

func askObjects(ctx context.Context, server Querier) answer[objects] {
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
			o := object{strings.ToUpper(r[0].Text), r[1].Text, r[2].Text, r[3].Text, r[4].Text, r[5].Text}
			if isSystem(o.schema) {
				found.system = append(found.system, o)
			} else {
				found.others = append(found.others, o)
			}
		}
	}
	if err := countViews(ctx, server, &found); err != nil {
		return answer[objects]{err: err}
	}
	return answer[objects]{value: found, err: askAround(ctx, server, &found)}
}

// countViews sees that the list of views is whole: a view that does not open could be left out.
func countViews(ctx context.Context, server Querier, found *objects) error {
	want, err := count(ctx, server, "information_schema.TABLES WHERE TABLE_TYPE = 'VIEW'")
	if err != nil {
		return err
	}
	got := 0
	for _, o := range slices.Concat(found.system, found.others) {
		if o.kind == kindView {
			got++
		}
	}
	if got != want {
		return fmt.Errorf("%d views are listed with their definers, of %d", got, want)
	}
	return nil
}

// askAround asks for what is beside the objects.
func askAround(ctx context.Context, server Querier, found *objects) error {
	for _, one := range []struct {
		into          *[]string
		columns, from string
	}{
		{&found.databases, "SCHEMA_NAME", "information_schema.SCHEMATA"},
		{&found.loadable, "CONCAT('plugin ', name)", "mysql.plugin"},
		{&found.loadable, "CONCAT('function ', name)", "mysql.func"},
		{&found.servers, "Server_name", "mysql.servers"},
		{&found.outside, "CONCAT(NAME, ' in ', FILENAME)", `information_schema.INNODB_SYS_TABLESPACES WHERE BINARY LEFT(FILENAME, 2) <> './' AND LOCATE('/', NAME) > 0`},
	} {
		rows, err := list(ctx, server, one.columns, one.from)
		if err != nil {
			return err
		}
		for _, r := range rows.Values {
			*one.into = append(*one.into, r[0].Text)
		}
	}
	return askConnections(ctx, server, found)
}

func askConnections(ctx context.Context, server Querier, found *objects) error {
	status, err := server.Query(ctx, "SHOW GLOBAL STATUS WHERE Variable_name = 'Com_create_udf'")
	if err != nil {
		return err
	}
	if len(status.Values) != 1 || len(status.Columns) != 2 {
		return errors.New("the server does not say how many functions of libraries were made")
	}
	found.functions = status.Values[0][1].Text
	channels, err := server.Query(ctx, "SHOW ALL SLAVES STATUS")
	if err != nil {
		return err
	}
	if found.sources, err = texts(channels, "Connection_name", "Master_Host"); err != nil {
		return err
	}
	threads, err := server.Query(ctx, "SELECT USER, COMMAND, HOST FROM information_schema.PROCESSLIST")
	if err != nil {
		return err
	}
	if err := atLeastOne(threads, 3); err != nil { // our own is one
		return err
	}
	for _, r := range threads.Values {
		if found.users = append(found.users, r[0].Text); strings.HasPrefix(r[1].Text, "Binlog Dump") {
			found.replicas = append(found.replicas, fmt.Sprintf("%q from %s", r[0].Text, r[2].Text))
		}
	}
	return nil
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
	if err := errors.Join(o.answers.plugins.err, o.answers.variables.err, o.answers.objects.err, o.answers.session.err); err != nil {
		return unproven(err)
	}
	if reason := o.unpromised(); reason != "" {
		return skipped(reason)
	}
	want := expect(o.target.Promise.Settings, o.answers.variables.value, o.answers.plugins.value)
	known, _ := defaultsOf(o.answers.session.value.version)
	var deviations []string
	for _, p := range o.answers.plugins.value {
		if problem := p.problem(want, known); problem != "" {
			deviations = append(deviations, problem)
		}
	}
	for name, option := range want.plugins {
		if !slices.ContainsFunc(o.answers.plugins.value, func(p plugin) bool { return strings.EqualFold(p.name, name) }) && option != "OFF" {
			deviations = append(deviations, "plugin "+name+" is missing")
		}
	}
	found := o.answers.objects.value
	for _, name := range found.loadable {
		deviations = append(deviations, name+" is loaded at the next start")
	}
	if found.functions != "0" {
		deviations = append(deviations, found.functions+" functions of libraries were made since the start; the server does not list those that it has")
	}
	return noneOf(deviations, "the plugins of this version and of the session, each as the session sets it", fmt.Sprintf("%d plugins", len(o.answers.plugins.value)))
}

// problem says what is wrong with a plugin, or nothing.
func (p plugin) problem(want *expectations, known *defaults) string {
	said := fmt.Sprintf("plugin %s %s, %s", p.name, p.status, p.loadOption)
	option, set := want.plugins[strings.ToLower(p.name)]
	if p.library != "" && !slices.Contains(want.libraries, strings.TrimSuffix(p.library, ".so")) {
		return said + ", from " + p.library
	}
	if set {
		switch option {
		case "", "1", "TRUE":
			option = "ON"
		case "0", "FALSE":
			option = "OFF"
		}
		if p.loadOption != option || (p.status == "DISABLED") != (option == "OFF") {
			return said + ", want " + option
		}
		return ""
	}
	if p.library != "" || known == nil {
		return ""
	}
	if !slices.Contains(known.plugins, plugin{name: p.name, kind: p.kind, status: p.status, loadOption: p.loadOption}) {
		return said + ", not so in " + known.version
	}
	return ""
}

// decideNeighbours asks that nobody is connected, replicates or is replicated from but whom
// the session names: nobody, so far.
func decideNeighbours(o *Observation) conclusion {
	if err := o.answers.objects.err; err != nil {
		return unproven(err)
	}
	found := o.answers.objects.value
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
	own := []string{"system user", "event_scheduler", "unauthenticated user"}
	for _, a := range o.target.Promise.Accounts {
		own = append(own, a.Name.User)
	}
	var all []string
	for _, user := range o.answers.objects.value.users {
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
		return skipped(reason)
	}
	found := o.answers.objects.value
	known, exact := defaultsOf(o.answers.session.value.version)
	var deviations []string
	for _, one := range found.system {
		if problem := one.systemProblem(known, exact); problem != "" {
			deviations = append(deviations, problem)
		}
	}
	for _, one := range found.others {
		if problem := o.definerProblem(one); problem != "" {
			deviations = append(deviations, one.String()+problem)
		}
	}
	for _, database := range found.databases {
		if !isSystem(database) && !o.mayExist(database) {
			deviations = append(deviations, fmt.Sprintf("database %q: the session does not make it, and none of its accounts may", database))
		}
	}
	for _, file := range found.outside {
		deviations = append(deviations, "data outside the data directory: "+file)
	}
	if reason := o.blind("TRIGGER", "SHOW VIEW"); len(deviations) == 0 && reason != "" {
		return skipped(reason)
	}
	reason := fmt.Sprintf("%d objects", len(found.system)+len(found.others))
	if known == nil {
		reason += "; those of this version are not known, and judged by their definer alone"
	}
	return noneOf(deviations, "objects of this version, and of accounts that may have made them", reason)
}

// systemProblem says what is wrong with an object in one of the server's own databases. One
// that is missing runs nothing.
func (o object) systemProblem(known *defaults, exact bool) string {
	if known == nil {
		if o.kind != kindTable && o.definer != systemDefiner {
			return o.String() + " of " + o.definer
		}
		return ""
	}
	at := slices.IndexFunc(known.objects, func(k object) bool { return k.kind == o.kind && k.schema == o.schema && k.name == o.name })
	switch {
	case at < 0:
		return o.String() + " is not of " + known.version
	case known.objects[at].definer != o.definer || known.objects[at].security != o.security:
		return fmt.Sprintf("%s runs as %s (%s), want %s (%s)", o, o.definer, o.security, known.objects[at].definer, known.objects[at].security)
	case exact && known.objects[at].digest != o.digest:
		return o.String() + " is not as in " + known.version
	}
	return ""
}

// systemDefiner is the account, which nobody can use, of what MariaDB makes itself.
const systemDefiner = "mariadb.sys@localhost"

// definerProblem asks whether the definer of an object may have made it. The asker's own
// account makes nothing.
func (o *Observation) definerProblem(one object) string {
	needs := map[string]string{kindView: "CREATE VIEW", kindTrigger: "TRIGGER", kindEvent: "EVENT"}[one.kind]
	if needs == "" {
		needs = "CREATE ROUTINE"
	}
	at := strings.LastIndexByte(one.definer, '@')
	if at < 0 {
		return fmt.Sprintf(" runs as %q", one.definer)
	}
	name := promise.Name{User: one.definer[:at], Host: one.definer[at+1:]}
	account := o.target.Promise.Account(name)
	switch {
	case account == nil:
		return " runs as " + name.String() + ", which is no account of the session"
	case name.User == o.target.Account || !account.Has(needs, one.schema, one.name):
		return " runs as " + name.String() + ", which cannot have made it"
	}
	return ""
}

// mayExist reports whether the session makes a database, or gives an account the right to.
func (o *Observation) mayExist(database string) bool {
	return slices.Contains(o.target.Promise.Databases, database) ||
		slices.ContainsFunc(o.target.Promise.Accounts, func(a promise.Account) bool { return a.Has("CREATE", database, "") })
}
