package mariadb_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/charts"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/mariadb"
	"github.com/confidb/confidb/pkg/mariadb/mariadbtest"
	"github.com/confidb/confidb/pkg/mysql"
	"github.com/confidb/confidb/pkg/topology"
)

// What a host does with files that nothing protects: they are changed while the database
// is down. Each time the database ends before anybody can log in, or what was planted is
// gone, or a check names it.

// planted is an account with every right in the tables that are planted.
const planted = "planted_one"

// host has the files of a database that is down.
type host struct {
	t       *testing.T
	server  *mariadbtest.Server
	foreign string // a data directory that somebody else made, without encryption
}

func newHost(t *testing.T) *host {
	t.Helper()
	s, err := mariadbtest.Start()
	if err != nil {
		t.Fatal(err)
	}
	shared := server
	server = s
	t.Cleanup(func() {
		s.Stop()
		server = shared
	})
	h := &host{t: t, server: s}
	h.must(s.Exec("CREATE TABLE app.t (a int primary key)"), s.Exec("INSERT INTO app.t VALUES (1)"),
		s.Exec("CREATE DEFINER='confidb_app'@'%' VIEW app.v AS SELECT a FROM app.t"), s.Shut(), os.WriteFile(s.Path("enclave/accounts.sql"), []byte(s.File("accounts.sql")), 0o600), h.copy(s.Path(""), s.Path("tmp/kept")))
	return h
}

func (h *host) must(errs ...error) {
	h.t.Helper()
	if err := errors.Join(errs...); err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) copy(from, to string) error {
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	if output, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		return fmt.Errorf("copying: %w: %s", err, output)
	}
	return nil
}

// clean puts everything back as it was when the database was stopped.
func (h *host) clean() {
	h.t.Helper()
	h.must(h.server.Shut(), h.copy(h.server.Path("tmp/kept"), strings.TrimSuffix(h.server.Path(""), "/")))
}

// write writes a file in the data directory, which must be absent or a file.
func (h *host) write(name, content string) {
	h.t.Helper()
	h.must(os.WriteFile(h.server.Path(name), []byte(content), 0o600), h.server.Own(h.server.Path(name)))
}

// stranger makes a data directory without encryption, and fills it by SQL.
func (h *host) stranger() {
	h.t.Helper()
	h.foreign = h.server.Path("tmp/foreign")
	h.must(os.Mkdir(h.foreign, 0o700), h.server.Own(h.foreign))
	if output, err := h.server.Program("mariadb-install-db", "--no-defaults", "--datadir="+h.foreign, "--auth-root-authentication-method=normal", "--skip-test-db").CombinedOutput(); err != nil {
		h.t.Fatalf("%v: %s", err, output)
	}
	const rights = `{"access":18446744073709551615,"plugin":"mysql_native_password","authentication_string":"`
	var plants string
	for _, statement := range []string{
		"INSERT INTO mysql.global_priv VALUES ('%', '" + planted + "', CONCAT('" + rights + "', PASSWORD('" + mariadbtest.Password + `'), '"}'))`,
		"INSERT INTO mysql.db (Host, Db, User, Select_priv) VALUES ('%', '%', '', 'Y')",
		"INSERT IGNORE INTO mysql.tables_priv VALUES ('%', 'app', '', 't', '', now(), 'Select', '')",
		"INSERT INTO mysql.columns_priv VALUES ('%', 'app', '', 't', 'a', now(), 'Select')",
		"INSERT INTO mysql.procs_priv VALUES ('%', 'app', 'confidb_app', 'p', 'PROCEDURE', '', 'Execute', now())",
		"INSERT INTO mysql.proxies_priv VALUES ('%', 'confidb_app', '%', 'root', 1, '', now())",
		"INSERT INTO mysql.roles_mapping VALUES ('%', 'confidb_app', 'r', 'Y')",
		"INSERT INTO mysql.servers VALUES ('s', '192.0.2.1', '', 'x', '', 0, '', 'mysql', '')",
		"INSERT IGNORE INTO mysql.event (db, name, body, definer, execute_at, created, body_utf8, status) VALUES ('app', 'e', 'SET GLOBAL local_infile=1', 'root@localhost', now(), now(), 'SET GLOBAL local_infile=1', 'ENABLED')",
		"INSERT INTO mysql.plugin VALUES ('DISKS', 'disks.so')",
		"INSERT INTO mysql.func VALUES ('planted', 2, 'file_key_management.so', 'function')",
		"CREATE DATABASE app", "CREATE TABLE app.t (a int primary key)", "INSERT INTO app.t VALUES (666)",
		"CREATE DEFINER=root@localhost PROCEDURE app.p() SET GLOBAL local_infile=1",
		"CREATE DATABASE confidb", "CREATE TABLE confidb.made (mark char(64) primary key) ENGINE=InnoDB",
	} {
		plants += statement + ";\n"
	}
	fill := h.server.Program("mariadbd", "--no-defaults", "--datadir="+h.foreign, "--bootstrap")
	fill.Stdin = strings.NewReader(plants)
	if output, err := fill.CombinedOutput(); err != nil {
		h.t.Fatalf("%v: %s", err, output)
	}
}

// swap puts tables of the stranger in the place of the database's own.
func (h *host) swap(tables ...string) {
	h.t.Helper()
	for _, table := range tables {
		for _, end := range []string{".frm", ".MAI", ".MAD"} {
			h.must(h.copy(filepath.Join(h.foreign, "mysql", table+end), h.server.Path("mysql/"+table+end)))
		}
	}
}

// triggers plants one for each moment on a table of mysql, which does what is told.
func (h *host) triggers(table, does string) {
	h.t.Helper()
	var statements, modes, definers, charsets, collations, databases []string
	for _, timing := range []string{"BEFORE", "AFTER"} {
		for _, event := range []string{"INSERT", "UPDATE", "DELETE"} {
			name := strings.ToLower("g_" + table + timing + event)
			statements = append(statements, fmt.Sprintf("'CREATE DEFINER=`root`@`localhost` TRIGGER mysql.%s %s %s ON mysql.%s FOR EACH ROW %s'", name, timing, event, table, strings.ReplaceAll(does, "'", `\'`)))
			modes, definers = append(modes, "0"), append(definers, "'root@localhost'")
			charsets, collations, databases = append(charsets, "'utf8mb3'"), append(collations, "'utf8mb3_general_ci'"), append(databases, "'utf8mb4_general_ci'")
			h.write("mysql/"+name+".TRN", "TYPE=TRIGGERNAME\ntrigger_table="+table+"\n")
		}
	}
	h.write("mysql/"+table+".TRG", "TYPE=TRIGGERS\ntriggers="+strings.Join(statements, " ")+"\nsql_modes="+strings.Join(modes, " ")+"\ndefiners="+strings.Join(definers, " ")+
		"\nclient_cs_names="+strings.Join(charsets, " ")+"\nconnection_cl_names="+strings.Join(collations, " ")+"\ndb_cl_names="+strings.Join(databases, " ")+"\n")
}

// view is the definition file of a view that calls a function with every right.
func view(definer string) string {
	return "TYPE=VIEW\nquery=select 1 AS `a`\nmd5=f512c846953af7231ff10b8896688192\nupdatable=0\nalgorithm=0\ndefiner_user=" + definer + "\ndefiner_host=%\nsuid=1\nwith_check_option=0\ntimestamp=0001795761652946651\n" +
		"create-version=2\nsource=SELECT 1 AS a\nclient_cs_name=latin1\nconnection_cl_name=latin1_swedish_ci\nview_body_utf8=select 1 AS `a`\nmariadb-version=101119\n"
}

// stormed tries to log in as the planted account, and as nobody, until it is told to stop,
// and says how often that worked.
func (h *host) stormed(ctx context.Context) <-chan int {
	logins := make(chan int, 1)
	roots := x509.NewCertPool()
	roots.AddCert(h.server.CA.Certificate)
	go func() {
		n := 0
		for ctx.Err() == nil {
			for _, account := range []string{planted, "root", ""} {
				login := mysql.Login{Address: h.server.Address, Account: account, Password: mariadbtest.Password, TLS: &tls.Config{RootCAs: roots, ServerName: mariadbtest.ServerName}}
				if conn, _ := mysql.Connect(ctx, login); conn != nil {
					n++
					conn.Close()
				}
			}
			select {
			case <-ctx.Done():
			case <-time.After(5 * time.Millisecond):
			}
		}
		logins <- n
	}()
	return logins
}

// problems are the checks that do not pass, of a server that serves.
func problems(t *testing.T) []string {
	t.Helper()
	conn, attempt := mysql.Connect(t.Context(), mysql.Login{Address: server.Address, Account: mariadbtest.Account, Password: mariadbtest.Password,
		TLS: &tls.Config{RootCAs: roots(), ServerName: mariadbtest.ServerName, Certificates: []tls.Certificate{server.Verify}}})
	if conn == nil {
		return []string{"the attested client cannot log in: " + attempt.Err.Error()}
	}
	conn.Close()
	var all []string
	seen := mariadb.Ask(t.Context(), t, goodTarget())
	for _, id := range mariadb.Asked() {
		if outcome, said, more := seen.Conclude(id); outcome != check.Pass {
			all = append(all, id+": "+said+strings.Join(more, "; "))
		}
	}
	return all
}

func roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(server.CA.Certificate)
	return pool
}

// Outcomes of a start.
const (
	ends  = "ends"  // before anybody can log in
	heals = "heals" // what was planted is gone, and every check passes
	named = "named" // a check does not pass
	hangs = "hangs" // before anybody can log in, so that it never becomes ready
)

// ready asks the server as the chart's startup probe does.
func (h *host) ready(ctx context.Context) bool {
	h.t.Helper()
	script, err := fs.ReadFile(charts.MariaDB(), "files/ready.sh")
	h.must(err)
	_, port, err := net.SplitHostPort(h.server.Address)
	h.must(err)
	return exec.CommandContext(ctx, "sh", "-c", strings.ReplaceAll(string(script), "3306", port)).Run() == nil
}

// readied asks until it is told to stop, and says how often the server was ready.
func (h *host) readied(ctx context.Context) <-chan int {
	times := make(chan int, 1)
	go func() {
		n := 0
		for ctx.Err() == nil {
			if h.ready(ctx) {
				n++
			}
		}
		times <- n
	}()
	return times
}

// boot starts the database and demands one of some outcomes, and what the log or a check
// says. It reports whether the database is ready.
func (h *host) boot(name, mention string, outcomes ...string) (ready bool) {
	h.t.Helper()
	ctx, stop := context.WithCancel(h.t.Context())
	logins, readied := h.stormed(ctx), h.readied(ctx)
	serves, log, err := h.server.Begin()
	stop()
	if n := <-logins; n > 0 {
		h.t.Errorf("%s: %d logins of strangers", name, n)
	}
	times := <-readied
	got, said := ends, log
	switch {
	case errors.Is(err, mariadbtest.ErrHangs):
		got = hangs
	case err != nil:
		h.t.Fatal(err)
	case serves:
		got = heals
		if all := problems(h.t); len(all) > 0 {
			got, said = named, strings.Join(all, "\n")
		}
	}
	if !strings.Contains(strings.Join(outcomes, " "), got) || !strings.Contains(said, mention) {
		h.t.Errorf("%s: it %s, want %v that says %q; %s", name, got, outcomes, mention, said)
	}
	for _, secret := range []string{mariadbtest.Password, mariadbtest.StartSecret} {
		if strings.Contains(log, secret) {
			h.t.Errorf("%s: a secret is in the log", name)
		}
	}
	ready = serves && h.ready(h.t.Context())
	if got == heals && !ready || !serves && times > 0 {
		h.t.Errorf("%s: it %s, and was ready %d times", name, got, times)
	}
	return ready || times > 0
}

const notOurs = "was not made under this session"

// TestAForeignTablespaceStaysInClear: the database does not encrypt what it refuses, or it
// would take it for its own at a later start.
func TestAForeignTablespaceStaysInClear(t *testing.T) {
	h := newHost(t)
	h.stranger()
	h.must(h.copy(h.foreign, strings.TrimSuffix(h.server.Path(""), "/")))
	for range 3 {
		h.boot("a whole data directory", notOurs+": it is not encrypted", ends)
	}
	if said := strings.Join(lies(t).Clear, "\n"); !strings.Contains(said, "ibdata1 (tablespace of InnoDB in clear)") {
		t.Errorf("the first tablespace was encrypted: %s", said)
	}
}

func TestPlantedFiles(t *testing.T) {
	h := newHost(t)
	h.stranger()
	renewed := topology.SystemTables()
	for _, c := range []struct {
		name    string
		plant   func()
		mention string
		want    []string
	}{
		{"nothing", func() {}, "", []string{heals}},
		// H1
		{"H1: master.info and relay logs", func() {
			h.write("master.info", "33\nbinlog.000001\n4\n192.0.2.1\nx\nx\n3306\n60\n0\n\n\n\n\n\n0\n60.000\n\n0\n\n\n\nusing_gtid=0\nEND_MARKER\n")
			h.write("relay-log.info", "5\n./relay.000001\n4\nbinlog.000001\n4\n0\n")
			h.write("mariadbd-relay-bin.index", "./mariadbd-relay-bin.000001\n")
			h.write("mariadbd-relay-bin.000001", "\xfebin")
		}, "", []string{named, ends}},
		{"H1: a named source", func() {
			h.write("multi-master.info", "x\n")
			h.write("master-x.info", "33\nbinlog.000001\n4\n192.0.2.1\nx\nx\n3306\n60\n0\n\n\n\n\n\n0\n60.000\n\n0\n\n\n\nusing_gtid=0\nEND_MARKER\n")
			h.write("relay-log-x.info", "5\n./relay.000001\n4\nbinlog.000001\n4\n0\n")
		}, "", []string{named, ends}},
		// H2
		{"H2: tables of a stranger", func() {
			h.swap("global_priv", "db", "tables_priv", "columns_priv", "procs_priv", "proxies_priv", "roles_mapping", "servers", "event")
		}, "", []string{heals}},
		{"H2: routines of a stranger", func() { h.swap("proc") }, "", []string{named, ends}},
		{"H2: a trigger on mysql.plugin", func() { h.triggers("plugin", "SET GLOBAL local_infile=1") }, "", []string{heals}},
		// H3
		{"H3: a whole data directory", func() { h.must(h.copy(h.foreign, strings.TrimSuffix(h.server.Path(""), "/"))) }, notOurs, []string{ends}},
		{"H3: with the mark's file", func() {
			h.must(h.copy(h.foreign, strings.TrimSuffix(h.server.Path(""), "/")), h.copy(h.server.Path("tmp/kept/confidb/made.ibd"), h.server.Path("confidb/made.ibd")))
		}, "", []string{ends}},
		// H4
		{"H4: triggers that fail", func() {
			for _, table := range renewed {
				h.triggers(table, "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT='planted'")
			}
		}, "", []string{heals}},
		{"triggers that stay", func() { h.triggers("time_zone", "SET GLOBAL local_infile=1") }, "trigger on a system table", []string{ends}},
		{"triggers on what is new", func() {
			h.triggers("proc", "SET GLOBAL local_infile=1")
			h.must(h.copy(h.server.Path("mysql/proc.TRG"), h.server.Path("confidb/proc.TRG")))
		}, "", []string{ends, heals}},
		{"tables of a stranger with triggers", func() {
			h.swap("global_priv", "db", "func", "event", "servers")
			for _, table := range renewed {
				h.triggers(table, "INSERT INTO app.t VALUES (666)")
			}
		}, "a library was loaded", []string{ends}},
		// H5
		{"H5: a table of the application in clear", func() {
			for _, end := range []string{".frm", ".MAI", ".MAD"} {
				h.must(h.copy(filepath.Join(h.foreign, "mysql", "help_topic"+end), h.server.Path("app/x"+end)))
			}
		}, "enc-05", []string{named}},
		// H6
		{"H6: a plugin", func() { h.swap("plugin") }, "a library was loaded", []string{ends}},
		{"H6: a function of a library", func() { h.swap("func") }, "a library was loaded", []string{ends}},
		// others
		{"a forged definer of a view", func() {
			text, err := os.ReadFile(h.server.Path("app/v.frm"))
			h.must(err)
			h.write("app/v.frm", strings.ReplaceAll(string(text), "definer_user=confidb_app", "definer_user=root"))
		}, "obj-03", []string{named}},
		{"another view", func() { h.write("app/w.frm", view("root")) }, "obj-03", []string{named}},
		{"a symlinked CSV", func() {
			for _, end := range []string{".frm", ".CSM"} {
				h.must(h.copy(filepath.Join(h.foreign, "mysql", "general_log"+end), h.server.Path("mysql/general_log"+end)))
			}
			h.must(os.Symlink(h.server.Path("tmp/elsewhere"), h.server.Path("mysql/general_log.CSV")), os.WriteFile(h.server.Path("tmp/elsewhere"), nil, 0o666))
		}, "", []string{heals}},
		{"a symlinked table", func() {
			for _, end := range []string{".MAD", ".MAI"} {
				h.must(os.Rename(h.server.Path("mysql/plugin"+end), h.server.Path("tmp/plugin"+end)), os.Symlink(h.server.Path("tmp/plugin"+end), h.server.Path("mysql/plugin"+end)))
			}
		}, "", []string{heals, ends}},
		{"no mark", func() { h.must(os.Remove(h.server.Path("confidb/made.frm"))) }, notOurs, []string{ends}},
		{"a view in the place of the mark", func() { h.write("confidb/made.frm", view("root")) }, notOurs, []string{ends}},
		{"no database for the mark", func() { h.must(os.RemoveAll(h.server.Path("confidb"))) }, "", []string{ends}},
	} {
		h.clean()
		c.plant()
		h.boot(c.name, c.mention, c.want...)
	}
	// what was loaded is not loaded again
	h.clean()
	h.swap("plugin", "func")
	h.boot("H6: the first start", "a library was loaded", ends)
	h.boot("H6: the second start", "", heals)
}

// Each system table is broken in each way: no stranger logs in, and what does not serve
// is never ready. (A folder in the place of a definition makes the server hang.)
func TestBrokenSystemTables(t *testing.T) {
	h := newHost(t)
	tables := append(topology.SystemTables(), "time_zone", "table_stats")
	if !exhaustive() {
		tables = []string{"procs_priv", "func"}
	}
	for _, table := range tables {
		for name, plant := range map[string]func(){
			"a view":          func() { h.write("mysql/"+table+".frm", view("root")) },
			"garbage":         func() { h.write("mysql/"+table+".frm", "garbage") },
			"missing":         func() { h.must(os.Remove(h.server.Path("mysql/" + table + ".frm"))) },
			"data of another": func() { h.must(h.copy(h.server.Path("mysql/help_relation.MAI"), h.server.Path("mysql/"+table+".MAI"))) },
			"a folder instead": func() {
				h.must(os.Remove(h.server.Path("mysql/"+table+".frm")), os.Mkdir(h.server.Path("mysql/"+table+".frm"), 0o777))
			},
		} {
			h.clean()
			plant()
			h.boot(table+": "+name, "", ends, heals, named, hangs)
		}
	}
}

// An init file in which something does not work, wherever that is: the server ends, or it
// is named. A statement that works otherwise is no case of this.
func TestInitFileThatStops(t *testing.T) {
	h := newHost(t)
	file := h.server.Path("enclave/accounts.sql")
	whole := h.server.File("accounts.sql")
	lines := strings.Split(whole, "\n")
	step := 11
	if exhaustive() {
		step = 1
	}
	for i := 0; i < len(lines); i += step {
		line := strings.TrimSpace(lines[i])
		if line == "" || line[0] == '#' || strings.HasPrefix(line, "BEGIN") || strings.HasPrefix(line, "END") || strings.HasPrefix(line, "DELIMITER") || strings.Contains(line, "127.0.0.1") {
			continue
		}
		for name, instead := range map[string]string{"fails": "SIGNAL SQLSTATE '45000';", "is not understood": "this is no statement;"} {
			if strings.HasPrefix(line, "DECLARE") && name == "fails" {
				continue
			}
			changed := append([]string{}, lines...)
			changed[i] = instead
			h.clean()
			h.must(os.WriteFile(file, []byte(strings.Join(changed, "\n")), 0o600), h.server.Own(file))
			want := []string{ends}
			if name != "fails" || strings.HasPrefix(line, "SET SESSION") {
				want = []string{named}
			}
			if h.boot(fmt.Sprintf("line %d %s: %.60s", i+1, name, line), "", want...) {
				t.Errorf("line %d %s: %.60s: it becomes ready", i+1, name, line)
			}
		}
	}
}

// What somebody has read at one start is worth nothing at another, and the mark of another
// session is none.
func TestTheMarkOfAStart(t *testing.T) {
	fresh(t)
	wantClean(t, "at the first start")
	rows, err := server.Admin.Query(t.Context(), "SELECT @@GLOBAL.wsrep_cluster_name")
	if err != nil || len(rows.Values[0][0].Text) != 64 {
		t.Fatalf("got %v, %v", rows, err)
	}
	time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second))) // a start is known by its second
	restart(t)
	wantClean(t, "at the second start")
	for _, mark := range []string{rows.Values[0][0].Text, "my_wsrep_cluster", mariadbtest.StartSecret} {
		execute(t, "SET GLOBAL wsrep_cluster_name='"+mark+"'")
		if outcome, said, _ := mariadb.Ask(t.Context(), t, goodTarget()).Conclude("boot-01"); outcome != check.Fail || strings.Contains(said, mariadbtest.StartSecret) {
			t.Errorf("mark %q: got %v (%s), want fail", mark, outcome, said)
		}
	}
	restart(t)
	for secret, want := range map[string]check.Outcome{"": check.Skip, "another": check.Fail} {
		target := goodTarget()
		target.StartSecret = secret
		if outcome, _, _ := mariadb.Ask(t.Context(), t, target).Conclude("boot-01"); outcome != want {
			t.Errorf("secret %q: got %v, want %v", secret, outcome, want)
		}
	}
	// the insider takes the mark away, which is what the next start asks for
	execute(t, "UPDATE confidb.made SET mark='x'")
	if err := server.Shut(); err != nil {
		t.Fatal(err)
	}
	if serves, log, err := server.Begin(); serves || err != nil || !strings.Contains(log, "another mark") {
		t.Errorf("with another mark: serves %v, %v: %s", serves, err, log)
	}
}

// A start that is killed, wherever that is, is no obstacle to the next one, and routines stay.
func TestKilledAtTheStart(t *testing.T) {
	h := newHost(t)
	n := 4
	if exhaustive() {
		n = 24
	}
	for i := range n {
		// the file is cut after some of its statements, as if the server was killed there
		lines := strings.SplitAfter(h.server.File("accounts.sql"), ";\n")
		first := func(text string) int {
			return slices.IndexFunc(lines, func(line string) bool { return strings.Contains(line, text) })
		}
		begin, until := first("SET @loaded")+1, first("DELETE FROM mysql.global_priv")
		at := begin + i*(until-begin)/n
		text := strings.Join(lines[:at], "") + fmt.Sprintf("CREATE TABLE confidb.reached%d (a int);\nDO SLEEP(60);\nEND//\n", i)
		h.must(os.WriteFile(h.server.Path("enclave/accounts.sql"), []byte(text), 0o600), h.server.Own(h.server.Path("enclave/accounts.sql")))
		h.must(h.server.Killed(h.server.Path(fmt.Sprintf("confidb/reached%d.frm", i))))
		h.must(os.WriteFile(h.server.Path("enclave/accounts.sql"), []byte(h.server.File("accounts.sql")), 0o600))
		h.boot(fmt.Sprintf("killed after statement %d", at), "", heals)
		h.must(h.server.Shut())
	}
}

// exhaustive reports whether every case is to be tried, which takes a quarter of an hour.
func exhaustive() bool { return os.Getenv("CONFIDB_EXHAUSTIVE") != "" }

// Only an empty folder is made a database.
func TestInitOfAFolderThatIsNotEmpty(t *testing.T) {
	h := newHost(t)
	h.stranger()
	for name, plant := range map[string]func(){
		"a stranger's": func() { h.must(h.copy(h.foreign, h.server.Path("new"))) },
		"a stranger's InnoDB": func() {
			h.must(h.copy(h.foreign, h.server.Path("new")), os.RemoveAll(h.server.Path("new/mysql")), os.RemoveAll(h.server.Path("new/sys")), os.RemoveAll(h.server.Path("new/app")), os.RemoveAll(h.server.Path("new/confidb")))
		},
		"a database of its own": func() {
			h.must(os.RemoveAll(h.server.Path("new")), os.MkdirAll(h.server.Path("new/x"), 0o700), h.server.Own(h.server.Path("new")))
		},
	} {
		plant()
		output, err := h.server.Program("mariadbd", "--defaults-file="+h.server.Path("enclave/init.cnf")).CombinedOutput()
		if _, made := os.Stat(h.server.Path("new/confidb/made.ibd")); made == nil && !strings.Contains(name, "stranger's") || !strings.Contains(string(output), "is not empty") {
			t.Errorf("%s: %v: %s", name, err, output)
		}
	}
}
