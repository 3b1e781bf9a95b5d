package mariadb_test

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/confidb/confidb/internal/loopback"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/mariadb"
	"github.com/confidb/confidb/pkg/mariadb/mariadbtest"
)

// server is the one mariadbd of this package's tests, which run one after the other.
var server *mariadbtest.Server

func TestMain(m *testing.M) {
	os.Exit(func() int {
		started, err := mariadbtest.Start()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer started.Stop()
		server = started
		return m.Run()
	}())
}

func goodTarget() mariadb.Target { return targetOf(server) }

func targetOf(server *mariadbtest.Server) mariadb.Target {
	return mariadb.Target{Address: server.Address, ServerName: mariadbtest.ServerName, CA: server.CA.Certificate,
		Account: mariadbtest.Account, Password: mariadbtest.Password, Certificate: server.Verify,
		Subject: mariadbtest.Subject, Issuer: mariadbtest.Issuer, KeyDirectory: server.KeyDirectory, Now: time.Now, Wait: wait, Random: rand.Reader,
		Promise: server.Promise, Passwords: server.Passwords, StartSecret: mariadbtest.StartSecret, Verifier: strings.Repeat("1a", 16)}
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func must[T any](t testing.TB) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func impostors(t *testing.T) mariadb.Impostors {
	t.Helper()
	return impostorsOf(t, server, time.Now().Add(-time.Hour))
}

// impostorsOf has a certificate that expires at notAfter.
func impostorsOf(t testing.TB, server *mariadbtest.Server, notAfter time.Time) mariadb.Impostors {
	t.Helper()
	certificate := must[tls.Certificate](t)
	foreignCA := must[*mariadbtest.Authority](t)(mariadbtest.NewAuthority("confidb-ca"))
	foreign := certificate(foreignCA.Client("confidb-verify"))
	expired := certificate(server.CA.ClientUntil("confidb-verify", notAfter))
	wrongRole := certificate(server.CA.Server("confidb-verify", "wrong-role.invalid"))
	stranger := certificate(server.CA.Client("confidb-stranger"))
	return mariadb.Impostors{Foreign: &foreign, Expired: &expired, WrongRole: &wrongRole, Stranger: &stranger}
}

func execute(t *testing.T, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if err := server.Exec(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

func observe(t *testing.T, target mariadb.Target) check.Report {
	t.Helper()
	return mariadb.Observe(t.Context(), target, impostors(t)).Report()
}

func wantOutcome(t *testing.T, report check.Report, id string, want check.Outcome, mention string) {
	t.Helper()
	finding, ok := report.Find(id)
	if !ok {
		t.Fatalf("no finding %q", id)
	}
	if text := finding.Got + " " + finding.Reason; finding.Outcome != want || !strings.Contains(text, mention) {
		t.Errorf("%s: got %v (%s), want %v that mentions %q", id, finding.Outcome, text, want, mention)
	}
	if finding.Outcome != check.Pass && finding.Hint == "" {
		t.Errorf("%s: %v without a hint", id, finding.Outcome)
	}
}

// TestAGoodServerPasses is first: TestChanges leaves a trace in the origins of variables.
func TestAGoodServerPasses(t *testing.T) {
	for _, finding := range observe(t, goodTarget()) {
		t.Logf("%-8s %v %s", finding.ID, finding.Outcome, finding.Reason)
		if finding.Outcome != check.Pass {
			t.Errorf("%s: got %v (got %q, want %q, reason %q), want pass", finding.ID, finding.Outcome, finding.Got, finding.Want, finding.Reason)
		}
	}
}

func TestAnUnreachableServerProvesNothing(t *testing.T) {
	port := must[*loopback.Port](t)(loopback.Hold())
	t.Cleanup(func() { port.Release() })
	target := goodTarget()
	target.Address = port.Address() // where nobody listens
	report := observe(t, target)
	if len(report) == 0 {
		t.Fatal("no findings")
	}
	for _, finding := range report {
		wantOutcome(t, report, finding.ID, check.Skip, "")
	}
}

func TestAServerThatHangsUp(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	target := goodTarget()
	target.Address = listener.Addr().String()
	report := observe(t, target)
	for _, finding := range report {
		wantOutcome(t, report, finding.ID, check.Skip, "")
	}
}

func TestWrongPeers(t *testing.T) {
	t.Run("a server of a foreign CA", func(t *testing.T) {
		target := goodTarget()
		target.CA = must[*mariadbtest.Authority](t)(mariadbtest.NewAuthority("confidb-ca")).Certificate
		report := observe(t, target)
		wantOutcome(t, report, "tls-01", check.Fail, "unknown authority")
		wantOutcome(t, report, "tls-02", check.Fail, "")
		wantOutcome(t, report, "mtls-01", check.Skip, "proves nothing")
		wantOutcome(t, report, "net-01", check.Skip, "")
		wantOutcome(t, report, "mtls-03", check.Skip, "not logged in")
		wantOutcome(t, report, "enc-01", check.Skip, "for the reason of mtls-03")
	})
	t.Run("another name", func(t *testing.T) {
		target := goodTarget()
		target.ServerName = "another-database"
		report := observe(t, target)
		wantOutcome(t, report, "tls-01", check.Fail, "another-database")
		wantOutcome(t, report, "tls-02", check.Skip, "")
	})
	t.Run("an expired server", func(t *testing.T) {
		target := goodTarget()
		target.Now = func() time.Time { return time.Now().Add(48 * time.Hour) }
		wantOutcome(t, observe(t, target), "tls-01", check.Fail, "expired")
	})
	t.Run("a control that is refused", func(t *testing.T) {
		target := goodTarget()
		target.Password = "wrong"
		report := observe(t, target)
		for _, id := range []string{"tls-03", "mtls-01", "mtls-02", "mtls-06", "net-01"} {
			wantOutcome(t, report, id, check.Skip, "")
		}
		wantOutcome(t, report, "tls-01", check.Pass, "")
	})
	t.Run("no impostors", func(t *testing.T) {
		report := mariadb.Observe(t.Context(), goodTarget(), mariadb.Impostors{}).Report()
		wantOutcome(t, report, "mtls-01", check.Skip, "no such certificate")
		wantOutcome(t, report, "mtls-06", check.Skip, "no such certificate")
		wantOutcome(t, report, "mtls-02", check.Pass, "")
	})
}

func TestChanges(t *testing.T) {
	const account = "weak@'%' IDENTIFIED BY 'x' "
	const required = "REQUIRE SUBJECT '/CN=weak' AND ISSUER '/CN=confidb-ca'"
	dropWeak := []string{"DROP USER weak@'%'"}
	weak := func(tail string) []string { return []string{"CREATE USER " + account + tail} }
	verify := "ALTER USER confidb_verify@'%' "
	pinned := []string{verify + "REQUIRE SUBJECT '/CN=confidb-verify' AND ISSUER '/CN=confidb-ca'"}
	for _, test := range []struct {
		name, id     string
		change, undo []string
		want         check.Outcome
		mention      string
	}{
		{"REQUIRE SSL", "mtls-03", weak("REQUIRE SSL"), dropWeak, check.Fail, `"weak"@"%"`},
		{"REQUIRE NONE", "mtls-03", weak(""), dropWeak, check.Fail, `"weak"@"%"`},
		{"REQUIRE X509", "mtls-04", weak("REQUIRE X509"), dropWeak, check.Fail, "no subject"},
		{"another issuer", "mtls-04", weak("REQUIRE SUBJECT '/CN=weak' AND ISSUER '/CN=x'"), dropWeak, check.Fail, `issuer "/CN=x"`},
		{"no issuer", "mtls-04", weak("REQUIRE SUBJECT '/CN=weak'"), dropWeak, check.Fail, `issuer ""`},
		{"a locked account", "mtls-03", weak("ACCOUNT LOCK"), dropWeak, check.Pass, ""},
		{"no password", "acc-01", []string{"CREATE USER weak@'%' " + required}, dropWeak, check.Fail, "no password"},
		{"anonymous", "acc-01", []string{"CREATE USER ''@'%' IDENTIFIED BY 'x' " + required}, []string{"DROP USER ''@'%'"}, check.Fail, "anonymous"},
		{"unix_socket second", "acc-02", append(weak(required), `UPDATE mysql.global_priv SET Priv=JSON_SET(Priv, '$.auth_or', JSON_EXTRACT('[{},{"plugin":"unix_socket"}]', '$')) WHERE User='weak'`), dropWeak, check.Fail, "unix_socket"},
		{"SUPER", "acc-03", append(weak(required), "GRANT SUPER, FILE ON *.* TO weak@'%'"), dropWeak, check.Fail, "FILE, SUPER"},
		{"GRANT OPTION", "acc-03", append(weak(required), "GRANT USAGE ON *.* TO weak@'%' WITH GRANT OPTION"), dropWeak, check.Fail, "GRANT OPTION"},
		{"a role", "acc-03", []string{"CREATE ROLE strong", "GRANT BINLOG REPLAY, SET USER, CONNECTION ADMIN, FEDERATED ADMIN, READ_ONLY ADMIN, REPLICATION SLAVE ADMIN, REPLICATION MASTER ADMIN, BINLOG ADMIN ON *.* TO strong"}, []string{"DROP ROLE strong"}, check.Fail,
			"SET USER, FEDERATED ADMIN, CONNECTION ADMIN, READ_ONLY ADMIN, REPLICATION SLAVE ADMIN, REPLICATION MASTER ADMIN, BINLOG ADMIN, BINLOG REPLAY"},
		{"writes to every table", "acc-03", append(weak(required), "GRANT INSERT, UPDATE, DELETE, DROP, ALTER, SHUTDOWN, CREATE USER ON *.* TO weak@'%'"), dropWeak, check.Fail, "INSERT, UPDATE, DELETE, DROP, SHUTDOWN, ALTER, CREATE USER"},
		{"harmless privileges", "acc-03", append(weak(required), "GRANT SELECT, CREATE, RELOAD, PROCESS, REFERENCES, INDEX, SHOW DATABASES, CREATE TEMPORARY TABLES, LOCK TABLES, EXECUTE, REPLICATION SLAVE, BINLOG MONITOR, CREATE VIEW, SHOW VIEW, CREATE ROUTINE, ALTER ROUTINE, EVENT, TRIGGER, CREATE TABLESPACE, DELETE HISTORY, SLAVE MONITOR ON *.* TO weak@'%'"), dropWeak, check.Pass, ""},
		{"no privilege for accounts", "mtls-03", []string{"REVOKE SELECT ON mysql.* FROM confidb_verify@'%'"}, []string{"GRANT SELECT ON mysql.* TO confidb_verify@'%'"}, check.Skip, "1142"},
		{"no privilege for tablespaces", "enc-01", []string{"REVOKE PROCESS ON *.* FROM confidb_verify@'%'"}, []string{"GRANT PROCESS ON *.* TO confidb_verify@'%'"}, check.Skip, "1227"},
		{"no privilege for triggers", "obj-03", []string{"REVOKE TRIGGER ON *.* FROM confidb_verify@'%'"}, []string{"GRANT TRIGGER ON *.* TO confidb_verify@'%'"}, check.Skip, "may not see everything"},
		{"no privilege for connections", "obj-02", []string{"REVOKE PROCESS ON *.* FROM confidb_verify@'%'"}, []string{"GRANT PROCESS ON *.* TO confidb_verify@'%'"}, check.Skip, "may not see everything"},
		{"no privilege for tables", "enc-05", []string{"REVOKE SHOW VIEW ON *.* FROM confidb_verify@'%'"}, []string{"GRANT SHOW VIEW ON *.* TO confidb_verify@'%'"}, check.Skip, "may not see everything"},
		{"no privilege for binlogs", "enc-04", []string{"REVOKE BINLOG MONITOR ON *.* FROM confidb_verify@'%'"}, []string{"GRANT BINLOG MONITOR ON *.* TO confidb_verify@'%'"}, check.Skip, "1227"},

		{"REQUIRE removed", "mtls-02", []string{verify + "REQUIRE NONE"}, pinned, check.Fail, "no certificate"},
		{"REQUIRE X509 for the asker", "mtls-06", []string{verify + "REQUIRE X509"}, pinned, check.Fail, "another subject"},
		{"REQUIRE X509 still wants one", "mtls-02", []string{verify + "REQUIRE X509"}, pinned, check.Pass, ""},
		{"clear text", "net-01", []string{verify + "REQUIRE NONE", "SET GLOBAL require_secure_transport=OFF"}, append(pinned, "SET GLOBAL require_secure_transport=ON"), check.Fail, "=OFF"},
		{"changed and changed back", "net-01", nil, nil, check.Fail, "from SQL"},
		{"clear text for others", "net-01", []string{"SET GLOBAL require_secure_transport=OFF"}, []string{"SET GLOBAL require_secure_transport=ON"}, check.Fail, "=OFF"},
		{"origins", "enc-03", nil, nil, check.Fail, "require_secure_transport from SQL"},

		{"a table in clear", "enc-01", []string{"SET GLOBAL innodb_encrypt_tables='ON'", "CREATE TABLE app.bare (a int) ENCRYPTED=NO"}, []string{"DROP TABLE app.bare", "SET GLOBAL innodb_encrypt_tables='FORCE'"}, check.Fail, "app/bare"},
		{"MyISAM", "enc-05", []string{"CREATE TABLE app.old (a int) ENGINE=MyISAM"}, []string{"DROP TABLE app.old"}, check.Fail, "app.old (engine MyISAM)"},
		{"a MyISAM sequence", "enc-05", []string{"CREATE SEQUENCE app.s ENGINE=MyISAM"}, []string{"DROP SEQUENCE app.s"}, check.Fail, "app.s (engine MyISAM)"},
		{"Aria DYNAMIC", "enc-05", []string{"CREATE TABLE app.old (a int) ENGINE=Aria TRANSACTIONAL=0 ROW_FORMAT=DYNAMIC"}, []string{"DROP TABLE app.old"}, check.Fail, "app.old (engine Aria Dynamic)"},
		{"system versioned MyISAM", "enc-05", []string{"CREATE TABLE app.old (a int) ENGINE=MyISAM WITH SYSTEM VERSIONING"}, []string{"DROP TABLE app.old"}, check.Fail, "app.old"},
		{"Aria in clear from now on", "enc-02", []string{"SET GLOBAL aria_encrypt_tables=OFF"}, []string{"SET GLOBAL aria_encrypt_tables=ON"}, check.Fail, "aria_encrypt_tables=OFF"},
		{"no threads", "enc-02", []string{"SET GLOBAL innodb_encryption_threads=0"}, []string{"SET GLOBAL innodb_encryption_threads=1"}, check.Fail, "=0"},
		{"general log", "log-01", []string{logTable, "SET GLOBAL general_log=ON"}, []string{"SET GLOBAL general_log=OFF", "DROP TABLE mysql.general_log"}, check.Fail, "general_log=ON"},
		{"log output", "log-01", []string{"SET GLOBAL log_output='FILE'"}, []string{"SET GLOBAL log_output='NONE'"}, check.Fail, "log_output=FILE"},
		{"error log plugin", "log-01", []string{"INSTALL SONAME 'sql_errlog'"}, []string{"UNINSTALL SONAME 'sql_errlog'"}, check.Fail, "sql_error_log"},
		{"local files", "file-01", []string{"SET GLOBAL local_infile=ON"}, []string{"SET GLOBAL local_infile=OFF"}, check.Fail, "local_infile=ON"},
	} {
		t.Run(test.name, func(t *testing.T) {
			execute(t, test.change...)
			wantOutcome(t, observe(t, goodTarget()), test.id, test.want, test.mention)
			if test.want == check.Fail {
				noPassThroughARelay(t, test.id)
			}
			execute(t, test.undo...)
		})
	}
}

// logTable is one that the init file has dropped: without it the log cannot be switched on.
const logTable = `CREATE TABLE mysql.general_log (event_time TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6), user_host MEDIUMTEXT NOT NULL,
	thread_id BIGINT(21) UNSIGNED NOT NULL, server_id INTEGER UNSIGNED NOT NULL, command_type VARCHAR(64) NOT NULL, argument MEDIUMTEXT NOT NULL) ENGINE=CSV CHARACTER SET utf8`

func TestKeysFromElsewhere(t *testing.T) {
	target := goodTarget()
	target.KeyDirectory = "/run/confidb/"
	wantOutcome(t, observe(t, target), "enc-06", check.Fail, "file_key_management_filename")
}
