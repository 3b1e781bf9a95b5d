package seed_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/mariadb/mariadbtest"
	"github.com/confidb/confidb/pkg/mariadb/seed"
	"github.com/confidb/confidb/pkg/mysql"
)

// servers are a primary and a server that is filled, as our sessions run them.
var servers *mariadbtest.Several

func TestMain(m *testing.M) {
	code := 1
	var err error
	if servers, err = mariadbtest.StartReplicated(2); err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else {
		code = m.Run()
		servers.Stop()
	}
	os.Exit(code)
}

// connect logs in as who copies.
func connect(t *testing.T, i int, account string) *mysql.Conn {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(servers.CA.Certificate)
	pair, err := servers.CA.Client("confidb-seed")
	if err != nil {
		t.Fatal(err)
	}
	conn, attempt := mysql.Connect(t.Context(), mysql.Login{Address: servers.Servers[i].Address, Account: account, Password: servers.Password("seed_password"),
		TLS: &tls.Config{RootCAs: roots, ServerName: mariadbtest.ServerName, Certificates: []tls.Certificate{pair}}})
	if conn == nil {
		t.Fatal(attempt.Err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func run(t *testing.T, i int, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if err := servers.Servers[i].Admin.Each(t.Context(), []byte(s), nil); err != nil {
			t.Fatalf("server %d: %.200s: %v", i, s, err)
		}
	}
}

func answers(t *testing.T, i int, question string) (all []string) {
	t.Helper()
	rows, err := servers.Servers[i].Admin.Query(t.Context(), question)
	if err != nil {
		t.Fatalf("server %d: %s: %v", i, question, err)
	}
	for _, row := range rows.Values {
		var words []string
		for _, v := range row {
			words = append(words, v.Text)
		}
		all = append(all, strings.Join(words, "|"))
	}
	return all
}

// equal holds all tables, definitions and programs of both servers against each other.
func equal(t *testing.T, databases ...string) {
	t.Helper()
	for i := range 2 {
		run(t, i, "SET NAMES utf8mb4, time_zone = '+00:00'")
	}
	of := "('" + strings.Join(databases, "','") + "')"
	questions := []string{
		"SELECT SCHEMA_NAME, DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME NOT IN ('confidb_seeded') ORDER BY 1",
		"SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, COLUMN_TYPE, COLLATION_NAME, COLUMN_DEFAULT, EXTRA, GENERATION_EXPRESSION FROM information_schema.COLUMNS WHERE TABLE_SCHEMA IN " + of + " ORDER BY 1, 2, ORDINAL_POSITION",
		"SELECT TABLE_SCHEMA, TABLE_NAME, VIEW_DEFINITION, DEFINER, SECURITY_TYPE, CHARACTER_SET_CLIENT, COLLATION_CONNECTION FROM information_schema.VIEWS WHERE TABLE_SCHEMA IN " + of + " ORDER BY 1, 2",
		"SELECT TRIGGER_SCHEMA, TRIGGER_NAME, EVENT_OBJECT_TABLE, ACTION_ORDER, ACTION_STATEMENT, DEFINER, SQL_MODE, CHARACTER_SET_CLIENT, COLLATION_CONNECTION, DATABASE_COLLATION FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA IN " + of + " ORDER BY 1, 2",
		"SELECT db, name, type, HEX(body), definer, sql_mode, character_set_client, collation_connection, db_collation, HEX(body_utf8) FROM mysql.proc WHERE db IN " + of + " ORDER BY 1, 2, 3",
	}
	for _, q := range questions {
		if a, b := answers(t, 0, q), answers(t, 1, q); !slices.Equal(a, b) {
			t.Errorf("%s\n%q\n%q", q, a, b)
		}
	}
	tables := answers(t, 0, "SELECT CONCAT('`', REPLACE(TABLE_SCHEMA, '`', '``'), '`.`', REPLACE(TABLE_NAME, '`', '``'), '`') FROM information_schema.TABLES WHERE TABLE_TYPE <> 'VIEW' AND TABLE_SCHEMA IN "+of)
	if len(tables) == 0 {
		t.Error("there are no tables")
	}
	for _, name := range tables {
		for _, column := range answers(t, 0, "SELECT CONCAT('`', REPLACE(COLUMN_NAME, '`', '``'), '`') FROM information_schema.COLUMNS WHERE CONCAT('`', REPLACE(TABLE_SCHEMA, '`', '``'), '`.`', REPLACE(TABLE_NAME, '`', '``'), '`') = BINARY \""+strings.ReplaceAll(name, "\"", "\"\"")+"\"") {
			q := "SELECT COUNT(*), COUNT(" + column + "), BIT_XOR(CRC32(" + column + ")), SUM(CRC32(HEX(" + column + "))) FROM " + name
			if a, b := answers(t, 0, q), answers(t, 1, q); !slices.Equal(a, b) {
				t.Errorf("%s:\n%q\n%q", q, a, b)
			}
		}
		for _, q := range []string{"CHECKSUM TABLE " + name + " EXTENDED", "SHOW CREATE TABLE " + name} {
			if a, b := answers(t, 0, q), answers(t, 1, q); !slices.Equal(a, b) {
				t.Errorf("%s:\n%q\n%q", q, a, b)
			}
		}
	}
}

// empty is what a new server has, which is filled.
func empty(t *testing.T) (from, to *mysql.Conn) {
	t.Helper()
	run(t, 1, "SET GLOBAL read_only = 0", "SET GLOBAL max_allowed_packet = 1073741824", "GRANT ALL ON *.* TO 'confidb_seed'@'%' WITH GRANT OPTION", "STOP SLAVE", "RESET SLAVE ALL", "RESET MASTER", "SET GLOBAL gtid_slave_pos = ''")
	run(t, 0, "SET GLOBAL read_only = 0")
	return connect(t, 0, "confidb_seed"), connect(t, 1, "confidb_seed")
}

// again starts the server that was filled as the service volume leaves it.
func again(t *testing.T) {
	t.Helper()
	mark := servers.Servers[1].Path(seed.Mark)
	if _, err := os.Stat(mark + "/db.opt"); err != nil {
		t.Error("the copy has no mark:", err)
	}
	if err := errors.Join(os.RemoveAll(mark), servers.Servers[1].Restart()); err != nil {
		t.Fatal(err)
	}
}

// kinds is a table with a column of each type.
const kinds = `CREATE TABLE app.kinds (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, f FLOAT, d DOUBLE, n DECIMAL(30,10), b BIT(64), e ENUM('a','', 'ä'), s SET('x','y','z'),
	c CHAR(9) CHARACTER SET latin1, u VARCHAR(50) CHARACTER SET utf16, j JSON, bl LONGBLOB, bi BINARY(4), da DATE, ti TIME(6), dt DATETIME(3), ts TIMESTAMP(6) NULL, y YEAR, g POINT, uu UUID, i6 INET6, i4 INET4,
	inv INT INVISIBLE DEFAULT 7, gen INT AS (inv+1) STORED, vir VARCHAR(20) AS (CONCAT("v", inv)) VIRTUAL, CHECK (inv > 0)) ENGINE=InnoDB AUTO_INCREMENT=1000`

// What MariaDB has of InnoDB is the same on the copy: values of every type, also those that
// have two forms, definitions in the character sets in which they were written, and the place
// in the history.
func TestEverythingIsCopied(t *testing.T) {
	from, to := empty(t)
	run(t, 0, "SET NAMES utf8mb4", "CREATE DATABASE IF NOT EXISTS app", "CREATE DATABASE `o d``d` CHARACTER SET latin1 COLLATE latin1_german1_ci",
		"SET sql_mode='ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO', time_zone='+02:00', foreign_key_checks=0", kinds,
		"INSERT INTO app.kinds (id) VALUES (0)",
		`INSERT INTO app.kinds (f,d,n,b,e,s,c,u,j,bl,bi,da,ti,dt,ts,y,g,uu,i6,i4,inv) VALUES (0.1,1e-300/3,-1.5,b'1000000000000000000000000000000000000000000000000000000000000001','','x,z','äöü','日本','{"a": "ü\\\\"}',X'00275C0A1A22',X'00','2026-02-31','-838:59:59.000001','0000-00-00','2026-10-25 02:30:00.000001',2026,POINT(1,-2.5),UUID(),'fe80::1','10.0.0.1',3)`,
		"INSERT IGNORE INTO app.kinds (e, s) VALUES (99, '')", "SET sql_mode=''",
		"CREATE TABLE app.`it's \"a``b\" ü` (`select` INT, `q``'` TEXT) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COMMENT='AUTO_INCREMENT=5 it''s'", "INSERT INTO app.`it's \"a``b\" ü` VALUES (1, 'x'), (1, 'x'), (NULL, NULL)",
		"CREATE TABLE app.T (a INT)", "CREATE TABLE app.t (b TEXT)", "INSERT INTO app.t VALUES ('small')",
		"CREATE TABLE app.parent (id INT PRIMARY KEY)", "CREATE TABLE app.child (id INT, FOREIGN KEY (id) REFERENCES parent (id))", "INSERT INTO app.child VALUES (5)",
		"CREATE TABLE app.parts (id INT PRIMARY KEY AUTO_INCREMENT, v INT) PARTITION BY HASH(id) PARTITIONS 3", "INSERT INTO app.parts (v) VALUES (1),(2),(3),(4)",
		"CREATE SEQUENCE app.counter START WITH 10 INCREMENT BY 3", "DO NEXTVAL(app.counter)",
		"CREATE TABLE `o d``d`.log (t TEXT)", "CREATE VIEW app.z AS SELECT 'ü' AS u, id FROM app.kinds", "CREATE DEFINER=nobody@nowhere SQL SECURITY INVOKER VIEW app.a AS SELECT * FROM app.z",
		"SET sql_mode='ANSI_QUOTES'", `CREATE TRIGGER app.first BEFORE INSERT ON app.t FOR EACH ROW SET NEW.b = CONCAT(NEW."b", ' ü')`, "SET sql_mode=''",
		"CREATE TRIGGER app.second BEFORE INSERT ON app.t FOR EACH ROW PRECEDES first SET NEW.b = 'second'",
		"SET NAMES latin1", "CREATE PROCEDURE `o d``d`.p(a VARCHAR(9)) BEGIN SELECT '\xfc', a; END", "CREATE FUNCTION app.f() RETURNS TEXT DETERMINISTIC RETURN '\xe4'", "SET NAMES utf8mb4",
		"ALTER DATABASE `o d``d` COLLATE latin1_swedish_ci")
	random := rand.New(rand.NewPCG(1, 2))
	for range 40 {
		var values []string
		for range 50 {
			blob := make([]byte, random.IntN(300))
			for i := range blob {
				blob[i] = byte(random.Uint32())
			}
			values = append(values, fmt.Sprintf("(%v,%v,%d,X'%x',FROM_UNIXTIME(%d.%06d))", math.Float32frombits(random.Uint32N(0x7f000000)), math.Float64frombits(random.Uint64N(0x7fe0000000000000)), random.Uint64(), blob, random.Uint32N(1<<31-1), random.Uint32N(1_000_000)))
		}
		run(t, 0, "INSERT INTO app.kinds (f,d,b,bl,ts) VALUES "+strings.Join(values, ","))
	}
	run(t, 0, "INSERT INTO app.kinds (bl) VALUES (REPEAT(X'00ff27', 5000000))", "SET GLOBAL max_allowed_packet = 1073741824")
	large := connect(t, 0, "confidb_seed")
	if err := large.Each(t.Context(), []byte("SELECT REPEAT('x', 40000000)"), func(values []mysql.Value) error {
		if len(values[0].Text) != 40_000_000 {
			return fmt.Errorf("got %d bytes", len(values[0].Text))
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	want := answers(t, 0, "SELECT @@global.gtid_binlog_pos")
	position, err := seed.Copy(t.Context(), from, to, func(said string) { t.Log(said) })
	if err != nil {
		t.Fatal(err)
	}
	if position != want[0] {
		t.Errorf("got the place %s, want %s", position, want[0])
	}
	again(t)
	equal(t, "app", "o d`d")
	if got := answers(t, 1, "SELECT @@global.gtid_slave_pos"); got[0] != position {
		t.Errorf("the copy is at %q, want %q", got[0], position)
	}
}

// A table that is changed before its turn ends the copy, and rows that come later are not in
// it. After an attempt that failed, another one begins from nothing.
func TestChangedMeanwhile(t *testing.T) {
	for name, c := range map[string]struct {
		do      string
		changed bool
	}{
		"a row more":         {"INSERT INTO meanwhile.b VALUES (2)", false},
		"emptied":            {"TRUNCATE meanwhile.b", true},
		"another column":     {"ALTER TABLE meanwhile.b ADD COLUMN later INT", true},
		"written anew":       {"ALTER TABLE meanwhile.b FORCE", true},
		"an index":           {"CREATE INDEX later ON meanwhile.b (id)", true},
		"gone":               {"DROP TABLE meanwhile.b", true},
		"made anew":          {"CREATE OR REPLACE TABLE meanwhile.b (id INT)", true},
		"a new table":        {"CREATE TABLE meanwhile.z (id INT)", false},
		"one that is copied": {"ALTER TABLE meanwhile.a ADD COLUMN later INT", false},
		"a trigger":          {"CREATE TRIGGER meanwhile.later BEFORE INSERT ON meanwhile.b FOR EACH ROW SET NEW.id = 9", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Cleanup(func() { servers.Servers[0].Exec("DROP DATABASE meanwhile") })
			from, to := empty(t)
			run(t, 0, "CREATE DATABASE meanwhile", "CREATE TABLE meanwhile.a (id INT)", "INSERT INTO meanwhile.a VALUES (1)", "CREATE TABLE meanwhile.b (id INT)", "INSERT INTO meanwhile.b VALUES (1)")
			before := answers(t, 0, "SELECT @@global.gtid_binlog_pos")[0]
			position, err := seed.Copy(t.Context(), from, to, func(said string) {
				if strings.HasPrefix(said, "table meanwhile.a:") {
					run(t, 0, c.do)
				}
			})
			if c.changed {
				if !errors.Is(err, seed.ErrChanged) {
					t.Errorf("got %q, %v; want that it was changed", position, err)
				}
				if got := answers(t, 1, "SHOW DATABASES LIKE '"+seed.Mark+"'"); len(got) > 0 {
					t.Error("a copy that ended has the mark of a whole one")
				}
				if _, err = seed.Copy(t.Context(), connect(t, 0, "confidb_seed"), to, func(string) {}); err != nil {
					t.Fatal(err)
				}
				again(t)
				equal(t, "meanwhile")
				return
			}
			if err != nil || position != before {
				t.Fatalf("got %q, %v; want %q", position, err, before)
			}
			again(t)
			if got := answers(t, 1, "SELECT (SELECT GROUP_CONCAT(id) FROM meanwhile.b), (SELECT COUNT(*) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = 'meanwhile'), (SELECT COUNT(*) FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = 'meanwhile')"); got[0] != "1|2|0" {
				t.Errorf("got %q, want what was there when the copy began", got)
			}
		})
	}
}

// What cannot be copied as it was at one moment, or from one that is not written to, is
// refused by its name.
func TestWhatIsNotCopied(t *testing.T) {
	_, to := empty(t)
	run(t, 0, "CREATE DATABASE other")
	for want, c := range map[string]struct{ do, undo string }{
		"`other`.`t` is BASE TABLE of MyISAM":       {"CREATE TABLE other.t (id INT) ENGINE=MyISAM", "DROP TABLE other.t"},
		"`other`.`t` is SYSTEM VERSIONED of InnoDB": {"CREATE TABLE other.t (id INT) WITH SYSTEM VERSIONING", "DROP TABLE other.t"},
		"view other.v":        {"CREATE VIEW other.v AS SELECT 1 AS one", "DROP VIEW other.v"},
		"is not written to":   {"SET GLOBAL read_only = 1", "SET GLOBAL read_only = 0"},
		"which is not copied": {"CREATE PACKAGE other.p AS PROCEDURE q(); END", "DROP PACKAGE other.p"},
	} {
		if want == "view other.v" {
			run(t, 0, "CREATE TABLE other.base (one INT)", "CREATE OR REPLACE VIEW other.v AS SELECT one FROM other.base", "DROP TABLE other.base")
		} else {
			run(t, 0, "SET sql_mode = 'ORACLE'", c.do, "SET sql_mode = ''")
		}
		from := connect(t, 0, "confidb_seed")
		_, err := seed.Copy(t.Context(), from, to, func(string) {})
		from.Close()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
		run(t, 0, "SET sql_mode = 'ORACLE'", c.undo, "SET sql_mode = ''")
	}
}

// follow makes a server replicate from another one by the place where it is.
func follow(t *testing.T, i, primary int) {
	t.Helper()
	_, port, err := net.SplitHostPort(servers.Servers[primary].Address)
	if err != nil {
		t.Fatal(err)
	}
	keys := servers.Servers[i].KeyDirectory
	run(t, i, "STOP SLAVE", fmt.Sprintf("CHANGE MASTER TO MASTER_HOST='%s', MASTER_PORT=%s, MASTER_USE_GTID=current_pos, MASTER_SSL=1, MASTER_SSL_CA='%sca.crt', MASTER_SSL_CERT='%srepl.crt', MASTER_SSL_KEY='%srepl.key', MASTER_SSL_VERIFY_SERVER_CERT=1, MASTER_CONNECT_RETRY=1, MASTER_USER='confidb_repl', MASTER_PASSWORD='%s'",
		mariadbtest.Near, port, keys, keys, keys, servers.Password("repl_password")), "START SLAVE")
}

// await waits until a server has the place of another one.
func await(t *testing.T, i, primary int) {
	t.Helper()
	want := answers(t, primary, "SELECT @@global.gtid_binlog_pos")[0]
	for begun := time.Now(); answers(t, i, "SELECT @@global.gtid_current_pos")[0] != want; time.Sleep(20 * time.Millisecond) {
		if time.Since(begun) > 20*time.Second {
			t.Fatalf("server %d is not at %s: %q", i, want, answers(t, i, "SHOW ALL SLAVES STATUS"))
		}
	}
}

// Copied while somebody writes, from a server whose old binary logs are gone, the copy goes on
// with exactly what came after it: nothing is lost, and nothing is there twice. When it
// becomes the primary, the one that was copied follows it.
func TestFollowsWithoutOldLogs(t *testing.T) {
	t.Cleanup(func() { servers.Servers[0].Exec("DROP DATABASE ledger") })
	from, to := empty(t)
	run(t, 0, "CREATE DATABASE ledger", "USE ledger", "CREATE TABLE ledger.without (id INT)", "CREATE TABLE ledger.a (id INT AUTO_INCREMENT PRIMARY KEY, v INT)", "INSERT INTO ledger.a (v) SELECT seq FROM seq_1_to_30000", "INSERT INTO ledger.without SELECT seq FROM seq_1_to_30000",
		"FLUSH BINARY LOGS", "INSERT INTO ledger.a (v) VALUES (1)", "FLUSH BINARY LOGS")
	logs := answers(t, 0, "SHOW BINARY LOGS")
	last, _, _ := strings.Cut(logs[len(logs)-1], "|")
	for begun := time.Now(); len(answers(t, 0, "SHOW BINARY LOGS")) > 1; run(t, 0, "PURGE BINARY LOGS TO '"+last+"'") {
		if time.Since(begun) > 20*time.Second { // InnoDB may still need them
			t.Fatal("the old logs are not removed")
		}
	}
	var writing sync.WaitGroup
	stop := make(chan struct{})
	writing.Go(func() {
		for v := 0; ; v++ {
			select {
			case <-stop:
				return
			default:
			}
			for _, s := range []string{"BEGIN", fmt.Sprintf("INSERT INTO ledger.a (v) VALUES (%d)", v), fmt.Sprintf("INSERT INTO ledger.without VALUES (%d)", v), "COMMIT"} {
				if err := servers.Servers[0].Exec(s); err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	position, err := seed.Copy(t.Context(), from, to, func(string) {})
	close(stop)
	writing.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if now := answers(t, 0, "SELECT @@global.gtid_binlog_pos")[0]; now == position {
		t.Errorf("nothing was written after %s: nothing is tried", position)
	}
	again(t)
	follow(t, 1, 0)
	await(t, 1, 0)
	equal(t, "ledger")

	run(t, 1, "STOP SLAVE", "RESET SLAVE ALL", "SET GLOBAL read_only = 0")
	follow(t, 0, 1)
	run(t, 1, "INSERT INTO ledger.without VALUES (-1)")
	await(t, 0, 1)
	equal(t, "ledger")
	run(t, 0, "STOP SLAVE", "RESET SLAVE ALL", "SET GLOBAL read_only = 0")
}

// A copy that becomes the primary before anything was written since is followed as well.
func TestFirstWriteIsAtTheCopy(t *testing.T) {
	t.Cleanup(func() { servers.Servers[0].Exec("DROP DATABASE first") })
	from, to := empty(t)
	run(t, 0, "CREATE DATABASE first", "CREATE TABLE first.a (id INT)")
	if _, err := seed.Copy(t.Context(), from, to, func(string) {}); err != nil {
		t.Fatal(err)
	}
	again(t)
	run(t, 1, "SET GLOBAL read_only = 0")
	follow(t, 0, 1)
	run(t, 1, "INSERT INTO first.a VALUES (1)")
	await(t, 0, 1)
	equal(t, "first")
	run(t, 0, "STOP SLAVE", "RESET SLAVE ALL", "SET GLOBAL read_only = 0")
}
