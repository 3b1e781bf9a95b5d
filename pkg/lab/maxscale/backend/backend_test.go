package backend_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/lab/maxscale/backend"
	"github.com/confidb/confidb/pkg/lab/maxscale/wire"
	"github.com/confidb/confidb/pkg/mariadb/mariadbtest"
)

var (
	set   *mariadbtest.Set
	proxy tls.Certificate
)

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if set, err = mariadbtest.StartSet(1,
			"CREATE USER u IDENTIFIED BY 'pw-u' REQUIRE SUBJECT '/CN=maxscale'", "GRANT ALL ON lab.* TO u", "CREATE DATABASE lab",
			"CREATE USER empty@'%' REQUIRE SSL", "CREATE USER own IDENTIFIED BY 'pw-u' REQUIRE SUBJECT '/CN=own'", "CREATE TABLE lab.t (id INT PRIMARY KEY, text VARCHAR(40))"); err != nil {
			fmt.Println(err)
			return 1
		}
		defer set.Stop()
		if proxy, err = set.CA.Client("maxscale"); err != nil {
			fmt.Println(err)
			return 1
		}
		return m.Run()
	}())
}

func server() backend.Server {
	return backend.Server{Name: "db1", Address: set.Members[0].Address, TLS: set.Trust(&proxy)}
}

func identity(user, password string) backend.Identity {
	who := backend.Identity{User: user, Charset: 45, Capabilities: wire.Plain &^ wire.NoSchema, MaxPacket: 1 << 24}
	if password != "" {
		h := wire.HashPassword(password)
		who.Password = &h
	}
	return who
}

func dial(t *testing.T, who backend.Identity) *backend.Conn {
	t.Helper()
	conn, err := backend.Dial(t.Context(), server(), who)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func one(t *testing.T, conn *backend.Conn, sql string) string {
	t.Helper()
	result, err := conn.Query(t.Context(), sql)
	if err != nil || len(result.Rows) != 1 {
		t.Fatalf("%s: %v, %v", sql, result, err)
	}
	return result.Rows[0][0].Text
}

// TestLogin logs in by the hash of a password only.
func TestLogin(t *testing.T) {
	in := identity("u", "pw-u")
	in.Database = "lab"
	conn := dial(t, in)
	if got := one(t, conn, "SELECT CONCAT(CURRENT_USER(), ' ', DATABASE())"); got != "u@% lab" {
		t.Errorf("logged in as %s", got)
	}
	if !strings.HasPrefix(conn.Greeting.Version, "5.5.5-10.") || conn.Agreed.Has(wire.LongPassword) || !conn.Agreed.Has(wire.CacheMetadata) {
		t.Errorf("greeting %+v, agreed on %#x", conn.Greeting, uint64(conn.Agreed))
	}
	none := dial(t, identity("empty", ""))
	if got := one(t, none, "SELECT CURRENT_USER()"); got != "empty@%" {
		t.Errorf("logged in as %s", got)
	}
}

func TestRefused(t *testing.T) {
	nowhere := identity("u", "pw-u")
	nowhere.Database = "nothing"
	for name, c := range map[string]struct {
		who  backend.Identity
		code uint16
	}{
		"another password":          {identity("u", "pw-v"), 1045},
		"no password":               {identity("u", ""), 1045},
		"a password too many":       {identity("empty", "x"), 1045},
		"the client's own subject":  {identity("own", "pw-u"), 1045},
		"a database without rights": {nowhere, 1044},
	} {
		conn, err := backend.Dial(t.Context(), server(), c.who)
		var refused *wire.Error
		if conn != nil || !errors.As(err, &refused) || refused.Code != c.code {
			t.Errorf("%s: %v, want %d", name, err, c.code)
		}
	}
}

func TestTLS(t *testing.T) {
	for name, change := range map[string]func(*backend.Server){
		"another name of the server": func(s *backend.Server) { s.TLS.ServerName = "other" },
		"another CA":                 func(s *backend.Server) { s.TLS.RootCAs = nil },
		"nobody there":               func(s *backend.Server) { s.Address = "127.0.0.1:1" },
	} {
		s := server()
		s.TLS = s.TLS.Clone()
		change(&s)
		if conn, err := backend.Dial(t.Context(), s, identity("u", "pw-u")); conn != nil || err == nil {
			t.Errorf("%s: logged in", name)
		}
	}
	clear := server()
	clear.TLS = nil
	var refused *wire.Error
	if _, err := backend.Dial(t.Context(), clear, identity("u", "pw-u")); !errors.As(err, &refused) {
		t.Errorf("in clear: %v", err)
	}
	many := identity("u", "pw-u")
	many.Capabilities |= 1 << 63
	if _, err := backend.Dial(t.Context(), server(), many); !errors.Is(err, backend.ErrCapability) {
		t.Errorf("a capability that no server has: %v", err)
	}
}

func TestQuery(t *testing.T) {
	for name, agreed := range map[string]wire.Capabilities{"plain": wire.Plain, "rewriting": wire.Rewriting, "of MySQL": wire.LongPassword | wire.Plain&0xffffffff, "least": 0} {
		t.Run(name, func(t *testing.T) {
			who := identity("u", "pw-u")
			who.Capabilities = agreed &^ wire.NoSchema
			conn := dial(t, who)
			result, err := conn.Query(t.Context(), "SELECT 1 AS a, NULL AS b, '' AS c, REPEAT('x', 70000) AS d UNION ALL SELECT 2, 3, 'z', 'y'")
			if err != nil || strings.Join(result.Columns, "") != "abcd" || len(result.Rows) != 2 {
				t.Fatalf("%v: %v", result, err)
			}
			first := result.Rows[0]
			if first[0].Text != "1" || !first[1].Null || first[2].Null || first[2].Text != "" || len(first[3].Text) != 70000 {
				t.Errorf("%.100v", result.Rows)
			}
			var refused *wire.Error
			if _, err := conn.Query(t.Context(), "SELECT * FROM lab.none"); !errors.As(err, &refused) || refused.Code != 1146 || refused.State != "42S02" {
				t.Errorf("%v, want 1146", err)
			}
			if result, err := conn.Query(t.Context(), "INSERT INTO lab.t VALUES (1,'a'),(2,'b')"); err != nil || result.OK.Affected != 2 || !strings.Contains(result.OK.Info, "Records: 2") {
				t.Errorf("%+v: %v", result, err)
			}
			if result, err := conn.Query(t.Context(), "DELETE FROM lab.t"); err != nil || result.OK.Affected != 2 {
				t.Errorf("%+v: %v", result, err)
			}
		})
	}
}

// TestTracking: what a server says of its variables is read.
func TestTracking(t *testing.T) {
	conn := dial(t, identity("u", "pw-u"))
	if _, err := conn.Query(t.Context(), "SET SESSION session_track_system_variables='last_gtid,sql_mode'"); err != nil {
		t.Fatal(err)
	}
	result, err := conn.Query(t.Context(), "SET sql_mode='ANSI_QUOTES'")
	if err != nil || len(result.OK.Tracked) != 1 || result.OK.Tracked[0] != (wire.Variable{Name: "sql_mode", Value: "ANSI_QUOTES"}) {
		t.Errorf("%+v: %v", result, err)
	}
	if result, err = conn.Query(t.Context(), "INSERT INTO lab.t VALUES (9,'z')"); err != nil || len(result.OK.Tracked) == 0 || result.OK.Tracked[0].Name != "last_gtid" || !strings.HasPrefix(result.OK.Tracked[0].Value, "0-1-") {
		t.Errorf("%+v: %v", result, err)
	}
	one(t, conn, "SELECT COUNT(*) FROM lab.t")
}

func TestChangeUser(t *testing.T) {
	conn := dial(t, identity("u", "pw-u"))
	for _, to := range []struct{ user, password, database, is string }{{"empty", "", "", "empty@% "}, {"u", "pw-u", "lab", "u@% lab"}, {"u", "pw-u", "", "u@% "}} {
		who := identity(to.user, to.password)
		who.Database = to.database
		if err := conn.ChangeUser(t.Context(), who); err != nil {
			t.Fatalf("%+v: %v", to, err)
		}
		if got := one(t, conn, "SELECT CONCAT(CURRENT_USER(), ' ', COALESCE(DATABASE(), ''))"); got != to.is {
			t.Errorf("changed to %q, want %q", got, to.is)
		}
	}
	var refused *wire.Error
	if err := conn.ChangeUser(t.Context(), identity("u", "pw-v")); !errors.As(err, &refused) || refused.Code != 1045 {
		t.Errorf("%v, want 1045", err)
	}
}

// TestTime: a question ends with its context.
func TestTime(t *testing.T) {
	conn := dial(t, identity("u", "pw-u"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := conn.Query(ctx, "SELECT SLEEP(60)"); err == nil {
		t.Error("an answer after the end")
	}
}
