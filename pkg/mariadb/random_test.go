package mariadb_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/mariadb"
	"github.com/confidb/confidb/pkg/promise"
)

// change is one thing that an insider changes. Of two with the same key, only one is made
// at a time.
type change struct {
	what, key string
	do, undo  []string
	// id is the check that must name mention.
	id, mention string
}

// insider makes random changes. n makes their names different.
type insider struct {
	*rand.Rand
	n         int
	variables []dynamic // those that were not changed yet
}

// dynamic is a variable that can be set while the server runs.
type dynamic struct{ name, value, other string }

func pick[T any](i *insider, all ...T) T { return all[i.IntN(len(all))] }

func (i *insider) name(prefix string) string {
	i.n++
	return prefix + strconv.Itoa(i.n)
}

// host is a random part of an account's name.
func (i *insider) host() string { return pick(i, "%", "localhost", "10.%", "db.example", "::1") }

// tail is what a random account demands.
func (i *insider) tail() string {
	return pick(i, "", appTail, " REQUIRE SSL", " REQUIRE X509", " ACCOUNT LOCK", " PASSWORD EXPIRE NEVER", " WITH MAX_USER_CONNECTIONS 3", appTail+" ACCOUNT LOCK")
}

func (i *insider) newAccount() change {
	name, host := i.name("evil"), i.host()
	account := fmt.Sprintf("'%s'@'%s'", name, host)
	c := change{what: "an account", key: name, id: "acc-04", mention: fmt.Sprintf("%q@%q", name, host), undo: []string{"DROP USER IF EXISTS " + account, flush}}
	c.do = []string{"CREATE USER " + account + pick(i, "", " IDENTIFIED BY 'x'", " IDENTIFIED BY PASSWORD '*0D3CED9BEC10A777AEC23CCC353A8C08A633045E'") + i.tail()}
	if i.IntN(2) == 0 {
		c.do = append(c.do, "GRANT "+pick(i, "ALL ON *.*", "SELECT ON app.*", "SUPER ON *.*", "EXECUTE ON PROCEDURE sys.ps_setup_save", "SELECT (user) ON mysql.db")+" TO "+account)
	}
	if i.IntN(3) == 0 { // a ghost
		c.what, c.mention = "a ghost", fmt.Sprintf("'%s'@'%s'", name, host)
		for _, table := range []string{"global_priv", "db", "tables_priv", "columns_priv", "procs_priv"} {
			c.do = append(c.do, "DELETE FROM mysql."+table+" WHERE User='"+name+"'")
		}
		c.undo = []string{flush}
	}
	return c
}

func (i *insider) newRole() change {
	name := i.name("role")
	c := change{what: "a role", key: name, id: "acc-04", mention: fmt.Sprintf("role %q", name), undo: []string{"DROP ROLE " + name}}
	c.do = []string{"CREATE ROLE " + name + pick(i, "", " WITH ADMIN "+appAccount)}
	if i.IntN(2) == 0 {
		c.do = append(c.do, "GRANT "+pick(i, "ALL ON *.*", "SELECT ON app.*")+" TO "+name)
	}
	return c
}

// held reports whether the session gives an account a right.
func held(a promise.Account, r promise.Right) bool { return slices.Contains(a.Rights, r) }

func (i *insider) right() change {
	a := pick(i, server.Promise.Accounts...)
	account := fmt.Sprintf("'%s'@'%s'", a.Name.User, a.Name.Host)
	privilege := pick(i, "SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "INDEX", "ALTER", "CREATE VIEW", "SHOW VIEW", "TRIGGER", "REFERENCES", "DELETE HISTORY")
	r := promise.Right{Kind: promise.Global, Privilege: privilege}
	on := "*.*"
	switch i.IntN(4) {
	case 0:
		r.Privilege = pick(i, promise.GlobalPrivileges()...)
	case 1:
		r.Kind, r.Database = promise.OnDatabase, pick(i, "app", "mysql", "sys", "app%", "other", `app\\_x`)
		on = "`" + r.Database + "`.*"
	case 2:
		r.Kind, r.Database, r.Object = promise.OnTable, "mysql", pick(i, "db", "global_priv", "proc", "servers")
		on = "mysql." + r.Object
	case 3:
		r.Kind, r.Database, r.Object, r.Column, r.Privilege = promise.OnColumn, "mysql", "db", pick(i, "user", "db"), pick(i, "SELECT", "INSERT", "UPDATE")
		on = "mysql.db"
	}
	words := r.Privilege
	if r.Kind == promise.OnColumn {
		words += " (" + r.Column + ")"
	}
	c := change{what: "a right", key: account + on, id: "acc-04", mention: "has " + r.String()}
	if r.Privilege == promise.GrantOption {
		words = "USAGE"
		c.do = []string{"GRANT USAGE ON *.* TO " + account + " WITH GRANT OPTION"}
		c.undo = []string{"REVOKE GRANT OPTION ON *.* FROM " + account}
		return c
	}
	c.do, c.undo = []string{"GRANT " + words + " ON " + on + " TO " + account}, []string{"REVOKE " + words + " ON " + on + " FROM " + account}
	if held(a, r) {
		c.do, c.undo, c.mention = c.undo, c.do, "lacks "+r.String()
	}
	return c
}

// demand changes what the application's account demands.
func (i *insider) demand() change {
	c := account("", pick(i, "REQUIRE NONE", "REQUIRE SSL", "REQUIRE X509", "REQUIRE SUBJECT '/CN=x' AND ISSUER '/CN=confidb-ca'", "REQUIRE CIPHER 'x'", "IDENTIFIED BY 'x'", "IDENTIFIED BY ''",
		"ACCOUNT LOCK", "PASSWORD EXPIRE", "PASSWORD EXPIRE NEVER", "PASSWORD EXPIRE INTERVAL 4 DAY", "WITH MAX_QUERIES_PER_HOUR 3", "WITH MAX_USER_CONNECTIONS 9", "WITH MAX_STATEMENT_TIME 0.5"), `"confidb_app"@"%"`)
	return change{what: "a demand", key: "json", do: c.do, undo: c.undo, id: c.id, mention: c.mention}
}

// edit changes a row of mysql.global_priv, for now or for the next start.
func (i *insider) edit() change {
	set := pick(i, `JSON_SET(Priv, '$.access', 1+access)`, `JSON_SET(Priv, '$.account_locked', true)`, `JSON_SET(Priv, '$.ssl_type', 2)`, `JSON_SET(Priv, '$.ssl_type', 1)`,
		`JSON_SET(Priv, '$.x509_subject', '/CN=x')`, `JSON_SET(Priv, '$.x509_issuer', '')`, `JSON_SET(Priv, '$.authentication_string', '*1')`, `JSON_SET(Priv, '$.plugin', 'ed25519')`,
		`JSON_SET(Priv, '$.Access', 1)`, `JSON_SET(Priv, '$.is_role', true)`, `JSON_SET(Priv, '$.version_id', 100100)`, `JSON_SET(Priv, '$.default_role', 'x')`, `JSON_REMOVE(Priv, '$.version_id')`,
		`JSON_SET(Priv, '$.max_user_connections', 1)`, `JSON_SET(Priv, '$.password_lifetime', 1)`, `REPLACE(Priv, '}', ',"access":1}')`, `JSON_SET(Priv, '$.max_connections', 2)`)
	set = strings.ReplaceAll(set, "1+access", strconv.FormatUint(i.Uint64N(1<<39-1)+1, 10))
	c := change{what: "a row of global_priv", key: "json", id: "acc-04", mention: `"confidb_ap`, do: []string{"UPDATE mysql.global_priv SET Priv = " + set + " WHERE User = 'confidb_app'"}}
	c.undo = restoreGrants("global_priv")
	return c
}

// restoreGrants puts a grant table back to the copy that was made in the beginning.
func restoreGrants(table string) []string {
	return []string{"DELETE FROM mysql." + table, "INSERT INTO mysql." + table + " SELECT * FROM app.kept_" + table, flush}
}

// editOther changes a row of another grant table.
func (i *insider) editOther() change {
	name := i.name("x")
	c := pick(i,
		change{key: "db", mention: `EVENT ON "app".*`, do: []string{"UPDATE mysql.db SET Event_priv='Y' WHERE User='confidb_app'"}},
		change{key: "db", mention: "lacks", do: []string{"DELETE FROM mysql.db WHERE User='confidb_app'"}},
		change{key: "db", mention: `"` + name + `".*`, do: []string{"INSERT INTO mysql.db (Host,Db,User,Select_priv) VALUES ('%','" + name + "','confidb_app','Y')"}},
		change{key: "tables_priv", mention: `"` + name + `"`, do: []string{"INSERT INTO mysql.tables_priv VALUES ('%','app','confidb_app','" + name + "','',now(),'Select','')"}},
		change{key: "tables_priv", mention: `"` + name + `"`, do: []string{"INSERT INTO mysql.tables_priv VALUES ('%','app','confidb_app','" + name + "','',now(),'','Select')"}},
		change{key: "columns_priv", mention: `"` + name + `"`, do: []string{"INSERT INTO mysql.columns_priv VALUES ('%','app','confidb_app','t','" + name + "',now(),'Select')"}},
		change{key: "procs_priv", mention: `"` + name + `"`, do: []string{"INSERT INTO mysql.procs_priv VALUES ('%','app','confidb_app','" + name + "','FUNCTION','','Execute',now())"}},
		change{key: "proxies_priv", mention: `"` + name + `"`, do: []string{"INSERT INTO mysql.proxies_priv VALUES ('%','confidb_app','%','" + name + "',0,'',now())"}},
		change{key: "roles_mapping", mention: `"` + name + `"`, do: []string{"INSERT INTO mysql.roles_mapping VALUES ('%','confidb_app','" + name + "','N')"}},
	)
	c.what, c.id, c.undo = "a row of "+c.key, "acc-04", restoreGrants(c.key)
	if i.IntN(2) == 0 && c.key != "roles_mapping" {
		c.do = append(c.do, flush)
	}
	return c
}

func (i *insider) setting() change {
	at := i.IntN(len(i.variables))
	v := i.variables[at]
	i.variables = slices.Delete(i.variables, at, at+1)
	do, back := v.other, v.value
	if i.IntN(4) == 0 {
		do = v.value // what it was already: the trace stays
	}
	return change{what: "a setting", key: v.name, do: []string{"SET GLOBAL " + v.name + "=" + do}, undo: []string{"SET GLOBAL " + v.name + "=" + back}, id: "set-01", mention: v.name + "="}
}

func (i *insider) object() change {
	name := i.name("o")
	definer := pick(i, "confidb_verify@'%'", "nobody@'%'", "confidb_app@localhost", "`mariadb.sys`@localhost")
	quoted := fmt.Sprintf("%q", name)
	c := pick(i,
		change{do: []string{"CREATE DEFINER=" + definer + " VIEW app." + name + " AS SELECT 1 AS a"}, undo: []string{"DROP VIEW app." + name}},
		change{do: []string{"CREATE DEFINER=" + definer + " SQL SECURITY INVOKER VIEW app." + name + " AS SELECT * FROM mysql.db"}, undo: []string{"DROP VIEW app." + name}},
		change{do: []string{"CREATE DEFINER=" + definer + " TRIGGER app." + name + " AFTER DELETE ON app.kept_db FOR EACH ROW SET @a=1"}, undo: []string{"DROP TRIGGER app." + name}},
		change{do: []string{"CREATE DEFINER=" + pick(i, definer, "confidb_app@'%'") + " PROCEDURE app." + name + "() SELECT 1"}, undo: []string{"DROP PROCEDURE app." + name}},
		change{do: []string{"INSERT IGNORE INTO mysql.event (db, name, body, definer, interval_value, interval_field, created, body_utf8, status) VALUES ('app', '" + name + "', 'SELECT 1', '" + pick(i, "root@localhost", "confidb_app@%") + "', 1, 'DAY', now(), 'SELECT 1', 'ENABLED')"}, undo: []string{"DELETE FROM mysql.event"}},
		change{do: []string{"CREATE TABLE " + pick(i, "mysql.", "sys.") + name + " (a int)"}, undo: []string{"DROP TABLE IF EXISTS mysql." + name + ", sys." + name}},
		change{do: []string{"CREATE VIEW " + pick(i, "mysql.", "sys.") + name + " AS SELECT 1 AS a"}, undo: []string{"DROP VIEW IF EXISTS mysql." + name + ", sys." + name}},
		change{do: []string{"CREATE PROCEDURE sys." + name + "() SELECT 1"}, undo: []string{"DROP PROCEDURE sys." + name}},
		change{do: []string{"CREATE DATABASE " + name}, undo: []string{"DROP DATABASE " + name}},
	)
	c.what, c.key, c.id, c.mention = "an object", name, "obj-03", quoted
	return c
}

func (i *insider) other() change {
	name := i.name("n")
	c := pick(i,
		change{id: "obj-02", mention: fmt.Sprintf("%q", name), do: []string{"CHANGE MASTER '" + name + "' TO MASTER_HOST='192.0.2.1', MASTER_USER='x'"}, undo: []string{"RESET SLAVE '" + name + "' ALL"}},
		change{id: "obj-02", mention: fmt.Sprintf("%q", name), do: []string{"CREATE SERVER " + name + " FOREIGN DATA WRAPPER mysql OPTIONS (HOST 'h')"}, undo: []string{"DROP SERVER " + name}},
		change{id: "obj-01", mention: "plugin " + name, do: []string{"INSERT INTO mysql.plugin VALUES ('" + name + "','x.so')"}, undo: []string{"DELETE FROM mysql.plugin WHERE name='" + name + "'"}},
		change{id: "obj-01", mention: "function " + name, do: []string{"INSERT INTO mysql.func VALUES ('" + name + "',0,'x.so','function')"}, undo: []string{"DELETE FROM mysql.func WHERE name='" + name + "'"}},
		change{id: "enc-05", mention: "app." + name, do: []string{"CREATE TABLE app." + name + " (a int not null) ENGINE=" + pick(i, "MyISAM", "CSV", "MRG_MyISAM", "Aria TRANSACTIONAL=0 ROW_FORMAT=FIXED")}, undo: []string{"DROP TABLE app." + name}},
	)
	c.what, c.key = "something else", name
	if i.IntN(5) == 0 {
		library := pick(i, "disks", "query_response_time", "metadata_lock_info", "sql_errlog", "server_audit", "locales", "auth_ed25519", "ha_blackhole")
		plugin := map[string]string{"sql_errlog": "SQL_ERROR_LOG", "auth_ed25519": "ed25519", "ha_blackhole": "BLACKHOLE"}[library]
		if plugin == "" {
			plugin = strings.ToUpper(library)
		}
		c = change{what: "a plugin", key: library, id: "obj-01", mention: "plugin " + plugin, do: []string{"INSTALL SONAME '" + library + "'"}, undo: []string{"UNINSTALL SONAME '" + library + "'"}}
	}
	return c
}

func (i *insider) change() change {
	kinds := []func() change{i.newAccount, i.newRole, i.right, i.right, i.demand, i.edit, i.editOther, i.object, i.object, i.other}
	if len(i.variables) > 0 {
		kinds = append(kinds, i.setting, i.setting, i.setting)
	}
	return pick(i, kinds...)()
}

// dynamicVariables are those that can be set, with another value for each. Those by which
// this test itself would wait for a replica, or could not go on, are left out.
func dynamicVariables(t *testing.T) []dynamic {
	t.Helper()
	rows, err := server.Admin.Query(t.Context(), "SELECT LOWER(VARIABLE_NAME), GLOBAL_VALUE, VARIABLE_TYPE, COALESCE(ENUM_VALUE_LIST,''), COALESCE(NUMERIC_MIN_VALUE,'') FROM information_schema.SYSTEM_VARIABLES WHERE READ_ONLY='NO' AND GLOBAL_VALUE IS NOT NULL AND VARIABLE_SCOPE <> 'SESSION ONLY' ORDER BY 1")
	if err != nil {
		t.Fatal(err)
	}
	var all []dynamic
	for _, r := range rows.Values {
		name, value := r[0].Text, r[1].Text
		switch {
		case strings.HasPrefix(name, "rpl_semi_sync"), strings.HasPrefix(name, "wsrep"), strings.HasSuffix(name, "_now"), strings.HasPrefix(name, "gtid_"), strings.HasPrefix(name, "init_"), strings.HasPrefix(name, "innodb_monitor"),
			slices.Contains([]string{"max_allowed_packet", "max_connections", "require_secure_transport", "innodb_encrypt_tables", "innodb_encryption_threads", "max_user_connections", "max_statement_time", "read_only", "innodb_read_only_compressed", "innodb_buffer_pool_load_abort", "innodb_buffer_pool_evict", "autocommit"}, name):
			continue
		}
		v := dynamic{name: name, value: "'" + strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(value) + "'"}
		v.other = v.value
		switch kind := r[2].Text; {
		case kind == "BOOLEAN":
			v.value, v.other = value, map[string]string{"ON": "OFF", "OFF": "ON"}[value]
		case strings.Contains(kind, "INT"):
			n, _ := strconv.ParseInt(value, 10, 64)
			v.value, v.other = value, strconv.FormatInt(n/2+1, 10)
		case kind == "DOUBLE":
			v.value, v.other = value, value
		case kind == "ENUM":
			for _, word := range strings.Split(r[3].Text, ",") {
				if !strings.EqualFold(word, value) && word != "" {
					v.other = "'" + word + "'"
				}
			}
		}
		all = append(all, v)
	}
	return all
}

// TestRandomChanges: of 500 random changes by an insider with every right, each is named,
// and when they are undone nothing is left that the checks do not name.
func TestRandomChanges(t *testing.T) {
	const wanted, batch = 500, 10
	seed := uint64(time.Now().UnixNano())
	if given, err := strconv.ParseUint(os.Getenv("CONFIDB_SEED"), 10, 64); err == nil {
		seed = given
	}
	t.Logf("CONFIDB_SEED=%d", seed)
	fresh(t)
	execute(t, "SET SESSION sql_log_bin=0")
	for _, table := range promise.GrantTables() {
		execute(t, "CREATE TABLE app.kept_"+table+" ENGINE=InnoDB SELECT * FROM mysql."+table)
	}
	i := &insider{Rand: rand.New(rand.NewPCG(seed, 1)), variables: dynamicVariables(t)}
	made, kinds := 0, map[string]int{}
	for made < wanted && !t.Failed() {
		changes := i.apply(t, batch)
		seen := mariadb.Ask(t.Context(), t, goodTarget())
		for _, c := range changes {
			outcome, said, all := seen.Conclude(c.id)
			hidden := outcome != check.Pass && c.id != "acc-04" && slices.ContainsFunc(changes, blinds)
			if unseen := hidden || outcome == check.Skip && (strings.Contains(said, "may not see everything") || strings.Contains(said, "denied")); !unseen && !strings.Contains(said+"\n"+strings.Join(all, "\n"), c.mention) {
				t.Errorf("%s: %s does not name %s after %q: %v (%s)", c.what, c.id, c.mention, c.do, outcome, said)
			}
			kinds[c.what]++
		}
		undo(t, changes)
		if made += len(changes); t.Failed() {
			t.Logf("in one batch: %+v", changes)
		}
		wantCleanButTraces(t, changes)
	}
	t.Logf("%d changes: %v", made, kinds)
	execute(t, flush)
	restart(t)
	wantClean(t, "after all was undone and a restart")
}

// blinds reports whether a change takes a right of the asker, which then does not see
// everything. That it lacks the right is named.
func blinds(c change) bool {
	return strings.Contains(c.key, "confidb_verify") && strings.HasPrefix(c.mention, "lacks")
}

// spoils reports whether one change takes another one back: what is in memory only is gone
// when the grant tables are read again, and a GRANT writes the row anew that was edited.
func (c change) spoils(other change) bool {
	edited := other.key == "json" || slices.Contains(promise.GrantTables(), other.key)
	return slices.Contains(c.do, flush) && other.what == "a ghost" || edited && c.what == "a right"
}

// undo takes changes back. One may have taken another one back already; whether nothing is
// left is asked afterwards.
func undo(t *testing.T, changes []change) {
	t.Helper()
	for _, c := range slices.Backward(changes) {
		for _, statement := range c.undo {
			if err := server.Exec(statement); err != nil {
				t.Logf("undoing %s: %s: %v", c.what, statement, err)
			}
		}
	}
	for _, table := range promise.GrantTables() {
		execute(t, restoreGrants(table)...)
	}
}

// apply makes up to n changes with different keys. What the server refuses is no change.
func (i *insider) apply(t *testing.T, n int) []change {
	t.Helper()
	var made []change
	for tries := 0; len(made) < n && tries < 10*n; tries++ {
		c := i.change()
		if slices.ContainsFunc(made, func(other change) bool { return other.key == c.key || other.spoils(c) || c.spoils(other) }) {
			continue
		}
		if err := server.Exec(c.do[0]); err != nil {
			continue
		}
		execute(t, c.do[1:]...)
		made = append(made, c)
	}
	return made
}

// wantCleanButTraces demands that everything passes but what a setting or a plugin leaves
// behind until the next restart.
func wantCleanButTraces(t *testing.T, changes []change) {
	t.Helper()
	seen := mariadb.Ask(t.Context(), t, goodTarget())
	for _, id := range mariadb.Asked() {
		outcome, said, _ := seen.Conclude(id)
		if outcome != check.Pass && id != "set-01" && id != "enc-03" && !(id == "obj-01" && onlyTrace(said)) {
			t.Errorf("after these were undone: %s: got %v (%s); %+v", id, outcome, said, changes)
		}
	}
}

// onlyTrace reports whether all that is wrong with plugins is that some were there.
func onlyTrace(said string) bool {
	return !strings.Contains(said, ";") && strings.Contains(said, "plugins were loaded since the start")
}
