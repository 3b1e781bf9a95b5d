package mysql_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/mariadb/mariadbtest"
	"github.com/confidb/confidb/pkg/mysql"
)

// TestARealServer speaks to MariaDB itself: what a stand-in of ours accepts proves little.
func TestARealServer(t *testing.T) {
	server, err := mariadbtest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Stop() })
	t.Run("logins", func(t *testing.T) { testLogins(t, server) })
	t.Run("prepared", func(t *testing.T) { testPrepared(t, server.Admin) })
	t.Run("answers", func(t *testing.T) { testAnswers(t, server.Admin) })
	t.Run("a cancelled query", func(t *testing.T) { testCancelled(t, server) })
}

// login is that of the account that the server knows.
func login(server *mariadbtest.Server) mysql.Login {
	roots := x509.NewCertPool()
	roots.AddCert(server.CA.Certificate)
	return mysql.Login{Address: server.Address, Account: mariadbtest.Account, Password: mariadbtest.Password,
		TLS: &tls.Config{RootCAs: roots, ServerName: mariadbtest.ServerName, Certificates: []tls.Certificate{server.Verify}}}
}

func testLogins(t *testing.T, server *mariadbtest.Server) {
	for name, c := range map[string]struct {
		change func(*mysql.Login)
		stage  mysql.Stage
		denied bool
	}{
		"the account":       {func(*mysql.Login) {}, mysql.LoggedIn, false},
		"another password":  {func(l *mysql.Login) { l.Password = "wrong" }, mysql.LoggingIn, true},
		"no password":       {func(l *mysql.Login) { l.Password = "" }, mysql.LoggingIn, true},
		"another account":   {func(l *mysql.Login) { l.Account = "nobody" }, mysql.LoggingIn, true},
		"no certificate":    {func(l *mysql.Login) { l.TLS.Certificates = nil }, mysql.LoggingIn, true},
		"in clear":          {func(l *mysql.Login) { l.TLS = nil }, mysql.LoggingIn, false},
		"another authority": {func(l *mysql.Login) { l.TLS.RootCAs = x509.NewCertPool() }, mysql.Securing, false},
		"another name":      {func(l *mysql.Login) { l.TLS.ServerName = "x" }, mysql.Securing, false},
	} {
		t.Run(name, func(t *testing.T) {
			try := login(server)
			c.change(&try)
			attempt := mysql.Try(t.Context(), try)
			if attempt.Stage != c.stage {
				t.Errorf("got stage %d and %v, want %d", attempt.Stage, attempt.Err, c.stage)
			}
			if attempt.Denied() != c.denied {
				t.Errorf("denied: got %v (%v), want %v", attempt.Denied(), attempt.Err, c.denied)
			}
			if attempt.Greeting == nil || !strings.Contains(attempt.Greeting.Version, "MariaDB") || attempt.Greeting.ConnectionID == 0 {
				t.Errorf("got the greeting %+v, want version and number", attempt.Greeting)
			}
		})
	}
}

func testAnswers(t *testing.T, admin *mysql.Conn) {
	if _, err := admin.Query(t.Context(), "SELECT @@no_such_variable"); err == nil || !strings.Contains(err.Error(), "1193") {
		t.Errorf("got %v, want ERROR 1193", err)
	}
	if _, err := admin.Query(t.Context(), "LOAD DATA LOCAL INFILE '/etc/hostname' INTO TABLE app.t"); err == nil {
		t.Error("got no error for a local file")
	}
	rows, err := admin.Query(t.Context(), "SELECT NULL AS a, '' AS b, REPEAT('x', 70000) AS c")
	if err != nil {
		t.Fatal(err)
	}
	row := rows.Values[0]
	if !row[0].Null || row[1].Null || len(row[2].Text) != 70000 {
		t.Errorf("got %v, %v and %d bytes, want NULL, empty and 70000", row[0], row[1], len(row[2].Text))
	}
	if many, err := admin.Query(t.Context(), "SELECT seq FROM mysql.seq_1_to_30000"); err != nil || len(many.Values) != 30000 {
		t.Errorf("got %v, want 30,000 rows", err)
	}
	if _, err := admin.Query(t.Context(), "SELECT REPEAT('x', 2000000) AS c"); err == nil {
		t.Error("got no error for a packet beyond the limit")
	}
}

func testCancelled(t *testing.T, server *mariadbtest.Server) {
	conn, attempt := mysql.Connect(t.Context(), login(server))
	if conn == nil {
		t.Fatal(attempt.Err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	started := time.Now()
	if _, err := conn.Query(ctx, "SELECT SLEEP(30)"); err == nil {
		t.Error("got no error from a query that was cancelled")
	}
	if took := time.Since(started); took > 5*time.Second {
		t.Errorf("took %v, want less than 5s", took)
	}
}

// testPrepared: what comes in binary rows is what comes in text.
func testPrepared(t *testing.T, admin *mysql.Conn) {
	for _, statement := range []string{
		"SELECT NULL, '', 'text', 1, -1, 18446744073709551615, CAST(1.5 AS DECIMAL(5,2)), 2.5e0, DATE'1970-01-02', TIMESTAMP'1970-01-02 03:04:05', TIMESTAMP'1970-01-02 00:00:00', x'00ff', REPEAT('x', 70000)",
		"SELECT seq FROM mysql.seq_1_to_300", "SELECT -seq, seq > 1 FROM mysql.seq_1_to_3", "SELECT * FROM mysql.db", "DO 1",
	} {
		text, err := admin.Query(t.Context(), statement)
		if err != nil {
			t.Fatal(err)
		}
		binary, err := admin.QueryPrepared(t.Context(), statement)
		if err != nil || fmt.Sprint(text) != fmt.Sprint(binary) {
			t.Errorf("%s:\n%.300v\n%.300v, %v", statement, text, binary, err)
		}
	}
	if rows, err := admin.QueryPrepared(t.Context(), "SELECT CONCAT(?, ':', ?)", "a", "b"); err != nil || rows.Values[0][0].Text != "a:b" {
		t.Errorf("got %v, %v", rows, err)
	}
	for _, statement := range []string{"SELECT nothing", "SELECT ?"} {
		if rows, err := admin.QueryPrepared(t.Context(), statement); err == nil {
			t.Errorf("%s: got %v", statement, rows)
		}
	}
	if _, err := admin.QueryPrepared(t.Context(), "SELECT (SELECT seq FROM mysql.seq_1_to_2)"); err == nil || !strings.Contains(err.Error(), "1242") {
		t.Errorf("got %v, want ERROR 1242", err)
	}
	if _, err := admin.Query(t.Context(), "SELECT 1"); err != nil {
		t.Errorf("after what was refused: %v", err)
	}
}
