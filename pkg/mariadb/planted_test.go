package mariadb_test

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/confidb/confidb/pkg/baseline"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/mariadb"
	"github.com/confidb/confidb/pkg/mariadb/ask"
	"github.com/confidb/confidb/pkg/mariadb/mariadbtest"
	"github.com/confidb/confidb/pkg/mysql"
	"github.com/confidb/confidb/pkg/promise"
)

// fresh starts a server of its own for what cannot be undone without a restart.
func fresh(t *testing.T) {
	t.Helper()
	shared := server
	started, err := mariadbtest.Start()
	if err != nil {
		t.Fatal(err)
	}
	server = started
	t.Cleanup(func() {
		started.Stop()
		server = shared
	})
}

func restart(t *testing.T, lines ...string) {
	t.Helper()
	if err := server.Restart(lines...); err != nil {
		t.Fatal(err)
	}
}

// library is a plugin that Debian's package brings along.
const library = "sql_errlog"

func TestPlantedObjects(t *testing.T) {
	fresh(t)
	const locked = "definer_one@'%'"
	makeLocked := "CREATE USER " + locked + " ACCOUNT LOCK"
	dropLocked := "DROP USER " + locked
	execute(t, "CREATE TABLE app.t (a int)", "SET GLOBAL log_bin_trust_function_creators=1")
	restart(t) // the setting is no part of this
	execute(t, "SET SESSION sql_log_bin=0")
	row := func(name, mention string, do, undo string) plant {
		return plant{name: name, do: []string{do}, undo: []string{undo}, id: "obj-03", mention: mention}
	}
	testPlants(t, []plant{
		// D6: what runs with the rights of somebody else
		{name: "a view of a locked account", do: []string{makeLocked, "CREATE DEFINER=" + locked + " VIEW app.v AS SELECT * FROM mysql.global_priv"}, undo: []string{"DROP VIEW app.v", dropLocked}, id: "obj-03", mention: `VIEW "app"."v" runs as "definer_one"@"%"`},
		{name: "a procedure of a locked account", do: []string{makeLocked, "CREATE DEFINER=" + locked + " PROCEDURE app.p() SELECT 1"}, undo: []string{"DROP PROCEDURE app.p", dropLocked}, id: "obj-03", mention: `PROCEDURE "app"."p" runs as "definer_one"@"%"`},
		row("a view of nobody", `VIEW "app"."v"`, "CREATE DEFINER=nobody@'%' VIEW app.v AS SELECT 1 AS a", "DROP VIEW app.v"),
		row("a view that opens nothing", `VIEW "app"."v"`, "CREATE DEFINER=nobody@'%' VIEW app.v AS SELECT * FROM app.t", "DROP VIEW app.v"),
		row("a view of the attested client", `cannot have made it`, "CREATE DEFINER=confidb_verify@'%' VIEW app.v AS SELECT 1 AS a", "DROP VIEW app.v"),
		row("a trigger of nobody", `TRIGGER "app"."g"`, "CREATE DEFINER=nobody@'%' TRIGGER app.g BEFORE INSERT ON app.t FOR EACH ROW SET NEW.a=1", "DROP TRIGGER app.g"),
		row("a trigger of the attested client", `cannot have made it`, "CREATE DEFINER=confidb_verify@'%' TRIGGER app.g BEFORE INSERT ON app.t FOR EACH ROW SET NEW.a=1", "DROP TRIGGER app.g"),
		row("a procedure of the application", `cannot have made it`, "CREATE DEFINER=confidb_app@'%' PROCEDURE app.p() SELECT 1", "DROP PROCEDURE app.p"),
		row("a function", `FUNCTION "app"."f"`, "CREATE DEFINER=nobody@'%' FUNCTION app.f() RETURNS int DETERMINISTIC RETURN 1", "DROP FUNCTION app.f"),
		{name: "an event", do: []string{"INSERT IGNORE INTO mysql.event (db, name, body, definer, interval_value, interval_field, created, body_utf8, status) VALUES ('app', 'e', 'SELECT 1', 'confidb_app@%', 1, 'DAY', now(), 'SELECT 1', 'ENABLED')"},
			undo: []string{"DELETE FROM mysql.event"}, id: "obj-03", mention: `EVENT "app"."e"`},
		{name: "an event that sleeps", do: []string{"INSERT IGNORE INTO mysql.event (db, name, body, definer, interval_value, interval_field, created, body_utf8, status) VALUES ('app', 'e', 'SELECT 1', 'root@localhost', 1, 'DAY', now(), 'SELECT 1', 'DISABLED')"},
			undo: []string{"DELETE FROM mysql.event"}, id: "obj-03", mention: `EVENT "app"."e"`},
		// databases of the server's own
		row("a table in mysql", `TABLE "mysql"."x" is not of`, "CREATE TABLE mysql.x (a int)", "DROP TABLE mysql.x"),
		row("a view in sys", `VIEW "sys"."x" is not of`, "CREATE DEFINER=confidb_app@'%' VIEW sys.x AS SELECT 1 AS a", "DROP VIEW sys.x"),
		{name: "another body of a view", do: []string{"SET @kept=(SELECT VIEW_DEFINITION FROM information_schema.VIEWS WHERE TABLE_SCHEMA='sys' AND TABLE_NAME='version')", "CREATE OR REPLACE DEFINER='mariadb.sys'@'localhost' SQL SECURITY INVOKER VIEW sys.version AS SELECT 1 AS sys_version, 2 AS mysql_version"},
			undo: []string{"EXECUTE IMMEDIATE CONCAT('CREATE OR REPLACE DEFINER=''mariadb.sys''@''localhost'' SQL SECURITY INVOKER VIEW sys.version AS ', @kept)"}, id: "obj-03", mention: `VIEW "sys"."version" is not as in`},
		{name: "another body of the view of accounts", do: []string{"SET @kept=(SELECT VIEW_DEFINITION FROM information_schema.VIEWS WHERE TABLE_SCHEMA='mysql' AND TABLE_NAME='user')", "CREATE OR REPLACE DEFINER='mariadb.sys'@'localhost' SQL SECURITY DEFINER VIEW mysql.user AS SELECT 1 AS Host"},
			undo: []string{"EXECUTE IMMEDIATE CONCAT('CREATE OR REPLACE DEFINER=''mariadb.sys''@''localhost'' SQL SECURITY DEFINER VIEW mysql.user AS ', @kept)"}, id: "obj-03", mention: `VIEW "mysql"."user" is not as in`},
		row("a procedure in mysql", `PROCEDURE "mysql"."x" is not of`, "CREATE PROCEDURE mysql.x() SELECT 1", "DROP PROCEDURE mysql.x"),
		row("a trigger in sys", `TRIGGER "sys"."x" is not of`, "CREATE TRIGGER sys.x BEFORE INSERT ON sys.sys_config FOR EACH ROW SET @a=1", "DROP TRIGGER sys.x"),
		{name: "another body of a procedure", do: []string{"SET @kept=(SELECT body FROM mysql.proc WHERE name='AddGeometryColumn')", "UPDATE mysql.proc SET body='SELECT 1' WHERE name='AddGeometryColumn'"},
			undo: []string{"UPDATE mysql.proc SET body=@kept WHERE name='AddGeometryColumn'"}, id: "obj-03", mention: `PROCEDURE "mysql"."AddGeometryColumn" is not as in`},
		{name: "another definer of a procedure", do: []string{"UPDATE mysql.proc SET security_type='DEFINER', definer='confidb_verify@%' WHERE name='DropGeometryColumn'"},
			undo: []string{"UPDATE mysql.proc SET security_type='INVOKER', definer='mariadb.sys@localhost' WHERE name='DropGeometryColumn'"}, id: "obj-03", mention: `"DropGeometryColumn" runs as confidb_verify@% (DEFINER)`},
		{name: "a system table of another engine", do: []string{"ALTER TABLE mysql.time_zone ENGINE=InnoDB"}, undo: []string{"ALTER TABLE mysql.time_zone ENGINE=Aria TRANSACTIONAL=1"}, id: "obj-03", mention: `TABLE "mysql"."time_zone" is not as in`},
		row("a database", `database "stash"`, "CREATE DATABASE stash", "DROP DATABASE stash"),
		row("a database with an accent", `database "mysqĺ"`, "CREATE DATABASE `mysqĺ`", "DROP DATABASE `mysqĺ`"),
		row("a database in capitals", `database "MYSQL"`, "CREATE DATABASE MYSQL", "DROP DATABASE MYSQL"),
		// what is loaded, and who is there
		{name: "a plugin that comes with the next start", do: []string{"INSERT INTO mysql.plugin VALUES ('x', 'x.so')"}, undo: []string{"DELETE FROM mysql.plugin"}, id: "obj-01", mention: "plugin x is loaded at the next start"},
		{name: "a function that comes with the next start", do: []string{"INSERT INTO mysql.func VALUES ('x', 0, 'x.so', 'function')"}, undo: []string{"DELETE FROM mysql.func"}, id: "obj-01", mention: "function x is loaded at the next start"},
		{name: "a server", do: []string{"CREATE SERVER s FOREIGN DATA WRAPPER mysql OPTIONS (HOST '192.0.2.1', USER 'x', PASSWORD 'hunter2')"}, undo: []string{"DROP SERVER s"}, id: "obj-02", mention: `server "s"`},
		// D9
		{name: "replication", do: []string{"CHANGE MASTER TO MASTER_HOST='192.0.2.1', MASTER_USER='x', MASTER_PASSWORD='hunter2'"}, undo: []string{"RESET SLAVE ALL"}, id: "obj-02", mention: "replicates from"},
		{name: "replication that is called something", do: []string{"CHANGE MASTER 'x' TO MASTER_HOST='192.0.2.1', MASTER_USER='x'", "START SLAVE 'x' IO_THREAD"}, undo: []string{"STOP SLAVE 'x'", "RESET SLAVE 'x' ALL"}, id: "obj-02", mention: `replicates from "x"`},
		// D10 and others: not encrypted
		{name: "MyISAM in a database that differs by an accent", do: []string{"CREATE DATABASE `ínformation_schema`", "CREATE TABLE `ínformation_schema`.t (a int) ENGINE=MyISAM"}, undo: []string{"DROP DATABASE `ínformation_schema`"}, id: "enc-05", mention: "ínformation_schema.t (engine MyISAM)"},
		{name: "MyISAM called as a log", do: []string{"CREATE TABLE app.general_log (a int) ENGINE=MyISAM"}, undo: []string{"DROP TABLE app.general_log"}, id: "enc-05", mention: "app.general_log"},
		{name: "CSV in mysql", do: []string{"CREATE TABLE mysql.other_log (a int not null) ENGINE=CSV"}, undo: []string{"DROP TABLE mysql.other_log"}, id: "enc-05", mention: "mysql.other_log"},
		{name: "a table that was renamed to a log", do: []string{"CREATE TABLE app.c (a varchar(9) NOT NULL) ENGINE=CSV", "INSERT INTO app.c VALUES ('secret')", "RENAME TABLE app.c TO mysql.general_log"}, undo: []string{"DROP TABLE mysql.general_log"}, id: "enc-05", mention: "mysql.general_log (engine CSV, with 1 rows)"},
		{name: "the same as the other log", do: []string{"CREATE TABLE app.c (a varchar(9) NOT NULL) ENGINE=CSV", "INSERT INTO app.c VALUES ('secret'), ('more')", "RENAME TABLE app.c TO mysql.slow_log"}, undo: []string{"DROP TABLE mysql.slow_log"}, id: "enc-05", mention: "mysql.slow_log (engine CSV, with 2 rows)"},
		{name: "a log of MyISAM", do: []string{"CREATE TABLE mysql.general_log (a int) ENGINE=MyISAM"}, undo: []string{"DROP TABLE mysql.general_log"}, id: "enc-05", mention: "mysql.general_log (engine MyISAM)"},
		{name: "a sequence of MyISAM", do: []string{"CREATE SEQUENCE app.s ENGINE=MyISAM"}, undo: []string{"DROP SEQUENCE app.s"}, id: "enc-05", mention: "app.s (engine MyISAM)"},
		{name: "tables of MyISAM merged", do: []string{"CREATE TABLE app.m (a int) ENGINE=MRG_MyISAM"}, undo: []string{"DROP TABLE app.m"}, id: "enc-05", mention: "app.m (engine MRG_MyISAM)"},
		{name: "a partition of MyISAM", do: []string{"CREATE TABLE app.parts (a int) ENGINE=MyISAM PARTITION BY HASH (a) PARTITIONS 2"}, undo: []string{"DROP TABLE app.parts"}, id: "enc-05", mention: "app.parts"},
		// D11: no statement tells
		{name: "Aria", do: []string{"CREATE TABLE app.aria (a int) ENGINE=Aria"}, undo: []string{"DROP TABLE app.aria"}, id: "enc-05", mention: "app.aria", allowSkips: true},
	})
}

// Each of these leaves a trace until the next restart, so they are tried one after the
// other, and the check must name each of them.
func TestPlantedSettings(t *testing.T) {
	fresh(t)
	for _, p := range []plant{
		{name: "D3: a limit of rows", do: []string{"SET GLOBAL sql_select_limit=700"}, id: "set-01", mention: "sql_select_limit=700 from SQL"},
		{name: "D8: the monitor", do: []string{"SET GLOBAL innodb_status_output=ON"}, id: "log-01", mention: "innodb_status_output=ON"},
		{name: "D8: the monitor of locks", do: []string{"SET GLOBAL innodb_status_output_locks=ON"}, id: "set-01", mention: "innodb_status_output_locks=ON"},
		{name: "changed and changed back", do: []string{"SET GLOBAL max_connections=7", "SET GLOBAL max_connections=151"}, id: "set-01", mention: "max_connections=151 from SQL"},
		{name: "to its own value", do: []string{"SET GLOBAL local_infile=OFF"}, id: "set-01", mention: "local_infile=OFF from SQL"},
		{name: "another key cache", do: []string{"SET GLOBAL hot.key_buffer_size=8192"}, id: "set-01", mention: "key_buffer_size"},
		{name: "what each connection runs", do: []string{"SET GLOBAL init_connect='SET @a=1'"}, id: "set-01", mention: "init_connect=SET @a=1"},
		{name: "a filter of replication", do: []string{"SET GLOBAL replicate_do_db='a'"}, id: "set-01", mention: "replicate_do_db=a"},
		{name: "where replication is", do: []string{"SET GLOBAL gtid_slave_pos='0-9-9'"}, id: "set-01", mention: "gtid_slave_pos"},
		{name: "limits of time, size and memory", do: []string{"SET GLOBAL max_statement_time=0.001", "SET GLOBAL group_concat_max_len=4", "SET GLOBAL sql_mode='ANSI,PIPES_AS_CONCAT'", "SET GLOBAL optimizer_switch='derived_merge=off'",
			"SET GLOBAL lock_wait_timeout=0", "SET GLOBAL max_join_size=1", "SET GLOBAL sql_big_selects=0", "SET GLOBAL character_set_server='utf16'", "SET GLOBAL time_zone='+03:00'"}, id: "set-01", mention: "sql_mode"},
	} {
		execute(t, p.do...)
		outcome, said, all := mariadb.Ask(t.Context(), t, goodTarget()).Conclude(p.id)
		if outcome != check.Fail || !strings.Contains(said+strings.Join(all, "\n"), p.mention) {
			t.Errorf("%s: %s: got %v (%s), want fail that mentions %q", p.name, p.id, outcome, said, p.mention)
		}
	}
	// whatever the defaults of sessions are now, the probe's own are what it set
	seen := mariadb.Ask(t.Context(), t, goodTarget())
	for _, id := range mariadb.Asked() {
		if outcome, said, _ := seen.Conclude(id); outcome != check.Pass && id != "set-01" && id != "log-01" && id != "enc-03" {
			t.Errorf("%s: got %v (%s), want pass", id, outcome, said)
		}
	}
	execute(t, "SET GLOBAL gtid_slave_pos=''") // this one is kept on disk
	restart(t)
	wantClean(t, "after a restart")
}

// D12 and D13: what a configuration file that is not the session's brings.
func TestPlantedConfiguration(t *testing.T) {
	fresh(t)
	for _, c := range []struct{ line, id, mention string }{
		{"secure_file_priv = /", "set-01", "secure_file_priv=/, want"},
		{"secure_file_priv = /", "file-01", "holds"},
		{"proxy_protocol_networks = *", "set-01", "proxy_protocol_networks=*, want"},
		{"proxy_protocol_networks = *", "set-02", "proxy_protocol_networks=*"},
		{"event_scheduler = ON", "set-01", "event_scheduler=ON, want"}, // D7
		{"feedback = ON", "obj-01", "plugin FEEDBACK"},
		{"performance_schema = ON", "set-01", "performance_schema=ON from CONFIG"},
		{"sequence = OFF", "obj-01", "plugin SEQUENCE"},
	} {
		restart(t, c.line)
		if outcome, said, _ := mariadb.Ask(t.Context(), t, goodTarget()).Conclude(c.id); outcome != check.Fail || !strings.Contains(said, c.mention) {
			t.Errorf("%s: %s: got %v (%s), want fail that mentions %q", c.line, c.id, outcome, said, c.mention)
		}
	}
	// a library ends the server
	for _, line := range []string{"plugin-load-add = disks", "plugin-load-add = query_response_time", "plugin-load-add = metadata_lock_info", "plugin-load-add = ha_federatedx",
		"query_response_time = OFF\nplugin-load-add = query_response_time"} {
		if err := server.Restart(line); err == nil || !strings.Contains(err.Error(), "a library was loaded that the session does not load") {
			t.Errorf("%s: got %v, want that the server ends", line, err)
		}
	}
	restart(t, "symbolic_links = ON")
	execute(t, "CREATE TABLE app.far (a int) DATA DIRECTORY='"+server.Outside+"'")
	if outcome, said, _ := mariadb.Ask(t.Context(), t, goodTarget()).Conclude("obj-03"); outcome != check.Fail || !strings.Contains(said, "data outside the data directory: app/far") {
		t.Errorf("data elsewhere: got %v (%s), want fail", outcome, said)
	}
	execute(t, "DROP TABLE app.far")
	restart(t)
	wantClean(t, "after a restart")
	// a plugin that was installed and uninstalled again, and a function, at run time
	execute(t, "INSTALL SONAME '"+library+"'")
	if outcome, said, _ := mariadb.Ask(t.Context(), t, goodTarget()).Conclude("obj-01"); outcome != check.Fail || !strings.Contains(said, "SQL_ERROR_LOG") {
		t.Errorf("got %v (%s), want fail", outcome, said)
	}
	execute(t, "UNINSTALL SONAME '"+library+"'")
	if outcome, said, _ := mariadb.Ask(t.Context(), t, goodTarget()).Conclude("obj-01"); outcome != check.Fail || !strings.Contains(said, "1 plugins were loaded since the start") {
		t.Errorf("a plugin that is gone again: got %v (%s), want fail", outcome, said)
	}
	if err := server.Exec("CREATE FUNCTION nothing RETURNS INTEGER SONAME 'file_key_management.so'"); err == nil {
		t.Fatal("a function that is not in the library was made")
	}
	if outcome, said, _ := mariadb.Ask(t.Context(), t, goodTarget()).Conclude("obj-01"); outcome != check.Fail || !strings.Contains(said, "functions of libraries") {
		t.Errorf("got %v (%s), want fail", outcome, said)
	}
}

// What an application makes itself, with its own account in its own database, is fine.
func TestTheApplicationsOwnObjects(t *testing.T) {
	fresh(t)
	as := "CREATE DEFINER=confidb_app@'%' "
	execute(t, "CREATE TABLE app.t (a int primary key, b text)", "INSERT INTO app.t VALUES (1, 'x')", as+"VIEW app.v AS SELECT a FROM app.t", as+"SQL SECURITY INVOKER VIEW app.w AS SELECT b FROM app.t",
		as+"TRIGGER app.g BEFORE INSERT ON app.t FOR EACH ROW SET NEW.b = 'y'", "CREATE SEQUENCE app.s", "CREATE TABLE app.parts (a int) PARTITION BY HASH (a) PARTITIONS 3",
		"CREATE TABLE app.fleeting (a int) ENGINE=MEMORY",
		"CREATE TABLE app.words (w text, FULLTEXT (w))", "INSERT INTO app.t VALUES (2, 'x')", as+"VIEW app.broken AS SELECT * FROM app.words", "DROP TABLE app.words", "FLUSH BINARY LOGS")
	wantClean(t, "with objects of the application")
	restart(t)
	wantClean(t, "after a restart")
}

// TestWhileAnApplicationWorks: tables, views and logs that come and go are no alarm.
func TestWhileAnApplicationWorks(t *testing.T) {
	fresh(t)
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			for _, statement := range []string{"CREATE OR REPLACE TABLE app.t (a int)", "INSERT INTO app.t VALUES (1)", "ALTER TABLE app.t ADD b int, FORCE", "CREATE OR REPLACE DEFINER=confidb_app@'%' VIEW app.v AS SELECT 1 AS a",
				"FLUSH BINARY LOGS", "DROP VIEW app.v", "DROP TABLE app.t", "PURGE BINARY LOGS BEFORE NOW()"} {
				if err := server.Exec(statement); err != nil {
					stopped <- fmt.Errorf("%s: %w", statement, err)
					return
				}
			}
		}
	}()
	for range 10 {
		wantClean(t, "while tables come and go")
	}
	close(stop)
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
}

// D14: more than a fixed number of things is judged all the same.
func TestManyBinaryLogs(t *testing.T) {
	fresh(t)
	for range 1100 {
		execute(t, "FLUSH BINARY LOGS")
	}
	wantClean(t, "with 1,100 binary logs")
}

func TestVersionsAndTheirDefaults(t *testing.T) {
	target := goodTarget()
	seen := mariadb.Ask(t.Context(), t, target)
	for version, want := range map[string]string{"10.11.19-MariaDB": "", "10.11.3-MariaDB": "the defaults are those of 10.11.19", "11.8.2-MariaDB": "by its origin alone"} {
		other := seen.OfVersion(version)
		for _, id := range []string{"set-01", "obj-01", "obj-03"} {
			if outcome, said, _ := other.Conclude(id); outcome != check.Pass || id == "set-01" && !strings.Contains(said, want) {
				t.Errorf("%s: %s: got %v (%s), want pass that says %q", version, id, outcome, said, want)
			}
		}
	}
}

// TestTheBaselineOfThisServer: the file is what the script makes of this machine's server.
func TestTheBaselineOfThisServer(t *testing.T) {
	again := must[*baseline.Baseline](t)(ask.Tabulate(t.Context(), server.Admin))
	written, _ := baseline.Of(again.Version)
	if written == nil || len(written.Variables) < 500 || len(written.Objects) < 100 {
		t.Fatalf("got %+v", written)
	}
	written.Objects = slices.DeleteFunc(slices.Clone(written.Objects), func(o baseline.Object) bool { // which our init file drops
		return o.Schema == "mysql" && (o.Name == "general_log" || o.Name == "slow_log")
	})
	if diff := cmp.Diff(written.Objects, again.Objects, cmpopts.SortSlices(func(a, b baseline.Object) bool { return fmt.Sprint(a) < fmt.Sprint(b) })); diff != "" {
		t.Errorf("-file +server:\n%s", diff)
	}
	back, err := baseline.Parse(again.Text())
	if err != nil || len(back.Variables) != len(again.Variables) || !bytes.Equal(back.Text(), again.Text()) {
		t.Errorf("what was written is not what is read: %v", err)
	}
}

// Settings that the server shows in another form, or not at all.
func TestHowSettingsAreRead(t *testing.T) {
	target := goodTarget()
	seen := mariadb.Ask(t.Context(), t, target)
	for _, c := range []struct {
		setting promise.Setting
		want    check.Outcome
		mention string
	}{
		{promise.Setting{Name: "innodb_buffer_pool_size", Value: "16777216", Origin: "CONFIG"}, check.Pass, ""},
		{promise.Setting{Name: "innodb_buffer_pool_size", Value: "17M", Origin: "CONFIG"}, check.Fail, "innodb_buffer_pool_size"},
		{promise.Setting{Name: "general_log", Value: "false", Origin: "CONFIG"}, check.Pass, ""},
		{promise.Setting{Name: "skip_general_log", Bare: true, Origin: "CONFIG"}, check.Pass, ""},
		{promise.Setting{Name: "general_log", Bare: true, Origin: "CONFIG"}, check.Fail, "general_log=OFF"},
		{promise.Setting{Name: "general_log", Value: "OFF", Origin: "SQL"}, check.Fail, "general_log=OFF from CONFIG"},
		{promise.Setting{Name: "innodb_encrypt_tables", Value: "2", Origin: "CONFIG"}, check.Pass, ""},
		{promise.Setting{Name: "innodb_encrypt_tables", Value: "1", Origin: "CONFIG"}, check.Fail, "innodb_encrypt_tables"},
		{promise.Setting{Name: "tls_version", Value: "TLSv1.3,TLSv1.2", Origin: "CONFIG"}, check.Pass, ""},
		{promise.Setting{Name: "tls_version", Value: "TLSv1.3", Origin: "CONFIG"}, check.Fail, "tls_version"},
		{promise.Setting{Name: "max_connections", Value: "151", Origin: "CONFIG"}, check.Fail, "max_connections=151 from COMPILE-TIME"},
		{promise.Setting{Name: "ssl_cipher", Secret: true, Origin: "CONFIG"}, check.Pass, ""},
		{promise.Setting{Name: "symbolic_links", Value: "0", Origin: "CONFIG"}, check.Pass, ""},
		{promise.Setting{Name: "symbolic_links", Value: "1", Origin: "CONFIG"}, check.Fail, "have_symlink=DISABLED"},
		{promise.Setting{Name: "skip_slave_start", Bare: true, Origin: "CONFIG"}, check.Pass, "not visible by SQL"},
		{promise.Setting{Name: "loose_whatever", Bare: true, Origin: "CONFIG"}, check.Pass, "not visible by SQL"},
		{promise.Setting{Name: "whatever", Bare: true, Origin: "CONFIG"}, check.Skip, "whatever"},
		{promise.Setting{Name: "log_bin", Value: "other", Origin: "CONFIG"}, check.Fail, "log_bin_basename"},
	} {
		promised := *server.Promise
		promised.Settings = append(promised.Settings[:len(promised.Settings):len(promised.Settings)], c.setting)
		if outcome, said, _ := seen.Promised(&promised).Conclude("set-01"); outcome != c.want || !strings.Contains(said, c.mention) {
			t.Errorf("%+v: got %v (%s), want %v that mentions %q", c.setting, outcome, said, c.want, c.mention)
		}
	}
}

// D11 for tables of the server's own, which hold values of rows (statistics): they are in
// clear if they were made while aria_encrypt_tables was off, and no statement says so. A
// start writes each of them anew.
func TestSystemTablesInClear(t *testing.T) {
	fresh(t)
	all := must[*mysql.Rows](t)(server.Admin.Query(t.Context(), "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE ENGINE = 'Aria' AND TABLE_SCHEMA IN ('mysql', 'sys')"))
	if len(all.Values) < 20 {
		t.Fatalf("got %d tables", len(all.Values))
	}
	execute(t, "SET GLOBAL aria_encrypt_tables=OFF")
	for _, r := range all.Values {
		execute(t, "ALTER TABLE "+r[0].Text+"."+r[1].Text+" FORCE")
	}
	execute(t, "FLUSH TABLES", "CREATE TABLE app.t (a varchar(99) PRIMARY KEY)", "INSERT INTO app.t VALUES ('a secret of somebody')", "ANALYZE TABLE app.t PERSISTENT FOR ALL")
	inClear := func(want bool) {
		t.Helper()
		for _, r := range all.Values {
			index := must[[]byte](t)(os.ReadFile(server.Path(r[0].Text + "/" + r[1].Text + ".MAI")))
			if got := index[int(binary.BigEndian.Uint16(index[12:]))+91]&1 == 0; got != want { // share->base, of Aria's header
				t.Errorf("%s.%s: got in clear %v, want %v", r[0].Text, r[1].Text, got, want)
			}
		}
	}
	inClear(true)
	restart(t)
	inClear(false)
	if text := must[[]byte](t)(os.ReadFile(server.Path("mysql/column_stats.MAD"))); bytes.Contains(text, []byte("a secret")) {
		t.Error("statistics hold a value in clear")
	}
	if kept := must[*mysql.Rows](t)(server.Admin.Query(t.Context(), "SELECT min_value FROM mysql.column_stats")); len(kept.Values) != 1 {
		t.Errorf("got %d statistics, want that they are kept", len(kept.Values))
	}
	wantClean(t, "after a restart")
}

// Somebody who holds a table alone hides what is on it: the server waits, and leaves it out.
func TestALockedTableHidesNothing(t *testing.T) {
	fresh(t)
	execute(t, "USE app", "CREATE TABLE app.t (a int)", "INSERT INTO app.t SELECT 1 FROM seq_1_to_3000", "CREATE DEFINER=nobody@'%' TRIGGER app.g BEFORE INSERT ON app.t FOR EACH ROW SET NEW.a=1")
	holder := another(t, "confidb_app", server.Passwords["SCONE::app_password:hex"])
	defer holder.Close()
	// each row takes its time, while nobody else may look
	held := make(chan error)
	go func() {
		_, err := holder.Query(t.Context(), "ALTER TABLE app.t ADD b int DEFAULT (LENGTH(SHA2(REPEAT(a, 10000000), 512))), ALGORITHM=COPY, LOCK=EXCLUSIVE")
		held <- err
	}()
	const altering = "information_schema.PROCESSLIST WHERE INFO LIKE 'ALTER TABLE app.t%'"
	awaitCount(t, "1", altering+" AND STATE = 'copy to tmp table'")
	number := must[*mysql.Rows](t)(server.Admin.Query(t.Context(), "SELECT ID FROM "+altering)).Values[0][0].Text
	seen := mariadb.Ask(t.Context(), t, goodTarget())
	for _, id := range []string{"obj-03", "enc-05"} {
		if outcome, said, _ := seen.Conclude(id); outcome != check.Skip || !strings.Contains(said, "is locked") {
			t.Errorf("%s: got %v (%s), want skip", id, outcome, said)
		}
	}
	execute(t, "KILL "+number)
	<-held
}

// A connection of an account that is no more, under the name of one of the server's threads.
func TestNamesOfThreads(t *testing.T) {
	for _, name := range []string{"system user", "event_scheduler", "unauthenticated user", "Confidb_App"} {
		execute(t, "CREATE USER '"+name+"'@'%' IDENTIFIED BY 'x'")
		conn := another(t, name, "x")
		execute(t, "DROP USER '"+name+"'@'%'")
		if outcome, said, _ := mariadb.Ask(t.Context(), t, goodTarget()).Conclude("obj-02"); outcome != check.Fail || !strings.Contains(said, `a connection of "`+name+`"`) {
			t.Errorf("%s: got %v (%s), want fail", name, outcome, said)
		}
		conn.Close()
		awaitCount(t, "0", "information_schema.PROCESSLIST WHERE HOST LIKE '%:%' AND BINARY USER = '"+name+"'")
	}
}

// awaitCount waits until so many rows are there.
func awaitCount(t *testing.T, want, from string) {
	t.Helper()
	got := ""
	for range 5000 {
		if got = must[*mysql.Rows](t)(server.Admin.Query(t.Context(), "SELECT COUNT(*) FROM "+from)).Values[0][0].Text; got == want {
			return
		}
	}
	there := must[*mysql.Rows](t)(server.Admin.Query(t.Context(), "SELECT INFO, STATE FROM information_schema.PROCESSLIST"))
	t.Fatalf("got %s rows of %s, want %s; there are %v", got, from, want, there.Values)
}

// another logs in with the application's certificate.
func another(t *testing.T, account, password string) *mysql.Conn {
	t.Helper()
	certificate := must[tls.Certificate](t)(server.CA.Client("confidb-app"))
	conn, attempt := mysql.Connect(t.Context(), mysql.Login{Address: server.Address, Account: account, Password: password,
		TLS: &tls.Config{RootCAs: roots(), ServerName: mariadbtest.ServerName, Certificates: []tls.Certificate{certificate}}})
	if conn == nil {
		t.Fatal(attempt.Err)
	}
	return conn
}

// Tables in the folders of databases that have none on the disk can be read and written.
func TestTablesInVirtualDatabases(t *testing.T) {
	fresh(t)
	execute(t, "CREATE TABLE app.x (a int) ENGINE=MyISAM", "FLUSH TABLES")
	for _, database := range []string{"performance_schema", "information_schema", "lost+found"} {
		folder := server.Path(database)
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		if database == "lost+found" {
			continue // which file systems have, and which is empty
		}
		for _, extension := range []string{".frm", ".MYD", ".MYI"} {
			if err := os.WriteFile(folder+"/x"+extension, must[[]byte](t)(os.ReadFile(server.Path("app/x"+extension))), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := server.Own(folder); err != nil {
			t.Fatal(err)
		}
	}
	if err := server.Own(server.Path("lost+found")); err != nil {
		t.Fatal(err)
	}
	execute(t, "DROP TABLE app.x")
	outcome, said, _ := mariadb.Ask(t.Context(), t, goodTarget()).Conclude("enc-05")
	if outcome != check.Fail || !strings.Contains(said, "performance_schema.x (engine MyISAM)") || !strings.Contains(said, "information_schema.x (engine MyISAM)") {
		t.Errorf("got %v (%s), want fail", outcome, said)
	}
	for _, database := range []string{"performance_schema", "information_schema"} {
		for _, extension := range []string{".frm", ".MYD", ".MYI"} {
			if err := os.Remove(server.Path(database + "/x" + extension)); err != nil {
				t.Fatal(err)
			}
		}
	}
	execute(t, "FLUSH TABLES")
	wantClean(t, "with an empty folder")
}
