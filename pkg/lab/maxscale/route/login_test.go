package route_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/lab/maxscale/accounts"
	"github.com/confidb/confidb/pkg/lab/maxscale/backend"
	"github.com/confidb/confidb/pkg/lab/maxscale/route"
	"github.com/confidb/confidb/pkg/lab/maxscale/wire"
	"github.com/confidb/confidb/pkg/mariadb/mariadbtest"
	"github.com/confidb/confidb/pkg/mysql"
)

// try logs in with the product's own client.
func (p *proxy) try(t *testing.T, user, password string, change func(*tls.Config)) mysql.Attempt {
	t.Helper()
	end := p.end(t, user)
	if change != nil {
		change(end)
	}
	return mysql.Try(t.Context(), mysql.Login{Address: p.address, Account: user, Password: password, TLS: end, AwaitAlert: true, Timeout: 10 * time.Second})
}

// TestGreeting has what was measured of greetings.
func TestGreeting(t *testing.T) {
	p := start(t, shared)
	for number := uint32(1); number < 4; number++ {
		conn := p.dial(t, as("app"))
		g := conn.Greeting
		if g.ConnectionID != number || g.Capabilities != wire.Plain || g.Charset != 8 || !strings.HasPrefix(g.Version, "5.5.5-10.11.") {
			t.Errorf("%+v, want the number %d", g, number)
		}
		if id := ask(t, conn, "SELECT CONNECTION_ID()"); id == fmt.Sprint(number) {
			t.Errorf("the server has the number of the greeting, %s", id)
		}
	}
}

// TestCertificates is the table of certificates as it was measured, in both versions of TLS.
func TestCertificates(t *testing.T) {
	p := start(t, shared)
	other, err := mariadbtest.NewAuthority("other")
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := other.Client("app")
	served, wrong := p.set.CA.Server("app", "app")
	expired, failed := p.set.CA.ClientUntil("app", time.Now().Add(-time.Hour))
	if err := errors.Join(err, wrong, failed); err != nil {
		t.Fatal(err)
	}
	show := func(certificates ...tls.Certificate) func(*tls.Config) {
		return func(c *tls.Config) {
			c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				if len(certificates) == 0 {
					return new(tls.Certificate), nil
				}
				return &certificates[0], nil
			}
		}
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for name, c := range map[string]struct {
			change func(*tls.Config)
			alert  string
		}{
			"none": {show(), map[uint16]string{tls.VersionTLS12: "handshake failure", tls.VersionTLS13: "certificate required"}[version]}, "of another CA": {show(foreign), "unknown certificate authority"},
			"of a server": {show(served), "bad certificate"}, "expired": {show(expired), "expired certificate"},
		} {
			attempt := p.try(t, "app", "pw-app", func(end *tls.Config) {
				end.MinVersion, end.MaxVersion = version, version
				c.change(end)
			})
			if attempt.Err == nil || !strings.Contains(attempt.Err.Error(), c.alert) {
				t.Errorf("%x, %s: %v, want %q", version, name, attempt.Err, c.alert)
			}
		}
		if attempt := p.try(t, "app", "pw-app", func(end *tls.Config) { end.MinVersion, end.MaxVersion = version, version }); attempt.Err != nil {
			t.Errorf("%x: %v", version, attempt.Err)
		}
	}
}

// TestLogin is the table of accounts as it was measured.
func TestLogin(t *testing.T) {
	p := start(t, shared)
	for name, c := range map[string]struct{ user, password string }{"unknown user": {"nobody", "x"}, "wrong password": {"app", "x"}, "no password": {"app", ""}} {
		if attempt := p.try(t, c.user, c.password, nil); !attempt.Denied() {
			t.Errorf("%s: %+v, want 1045 inside TLS", name, attempt)
		}
	}
	nowhere := as("app")
	nowhere.Database = "nothing"
	var refused *wire.Error
	if _, err := backend.Dial(t.Context(), backend.Server{Address: p.address, TLS: p.end(t, "app")}, nowhere); !errors.As(err, &refused) || refused.Error() != "1049 (42000): Unknown database 'nothing'" {
		t.Errorf("an unknown database: %v", err)
	}
	if attempt := mysql.Try(t.Context(), mysql.Login{Address: p.address, Account: "app", Password: "pw-app"}); attempt.Err == nil || !strings.Contains(attempt.Err.Error(), "1045") {
		t.Errorf("in clear: %v, want 1045", attempt.Err)
	}
	in := as("app")
	in.Database = "lab"
	if got := ask(t, p.dial(t, in), "SELECT COUNT(*) FROM person"); got != "2" {
		t.Errorf("the database of the login has %s persons", got)
	}
	x := p.dial(t, backendAs("x509", "pw-x"))
	if got := ask(t, x, "SELECT COUNT(*) FROM lab.person"); got != "2" {
		t.Errorf("REQUIRE X509: %s", got)
	}
}

func backendAs(user, password string) backend.Identity {
	who, h := as(user), wire.HashPassword(password)
	who.Password = &h
	return who
}

// TestOwnSubject: an account that demands the client's own certificate logs in, and its
// first statement is answered by the end of the connection.
func TestOwnSubject(t *testing.T) {
	p := start(t, shared)
	closed(t, p.dial(t, as("own")), "SELECT 1")
	if !p.said("All backends are now permanently unusable, closing session.") || !p.said("1045") {
		t.Errorf("the log says %q", p.lines)
	}
}

func TestBlocked(t *testing.T) {
	p := start(t, shared, func(o *route.Options) { o.Blocker = &accounts.Blocker{Most: 3, Now: time.Now} })
	for range 20 { // which are no logins
		conn, err := net.Dial("tcp", p.address)
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
	for range 3 {
		if attempt := p.try(t, "app", "x", nil); !attempt.Denied() {
			t.Errorf("%+v", attempt)
		}
	}
	attempt := p.try(t, "other", "pw-other", nil)
	var refused *mysql.ServerError
	if !errors.As(attempt.Err, &refused) || refused.Code != 1129 || refused.Message != "Host '127.0.0.1' is temporarily blocked due to too many authentication failures." {
		t.Errorf("after three failures: %v", attempt.Err)
	}
}

func TestMaxConnections(t *testing.T) {
	p := start(t, shared, func(o *route.Options) { o.MaxConnections = 2 })
	p.dial(t, as("app"))
	p.dial(t, as("app"))
	attempt := p.try(t, "app", "pw-app", nil)
	var refused *mysql.ServerError
	if !errors.As(attempt.Err, &refused) || refused.Code != 1040 || attempt.TLS != nil {
		t.Errorf("the third: %v, want 1040 before TLS", attempt.Err)
	}
}

// TestMariaDBsOwnClient runs the program mariadb.
func TestMariaDBsOwnClient(t *testing.T) {
	program, err := exec.LookPath("mariadb")
	if err != nil {
		t.Skip("the program mariadb is not installed")
	}
	p := start(t, shared)
	folder := t.TempDir()
	show, err := shared.CA.Client("app")
	if err != nil {
		t.Fatal(err)
	}
	certificate, key, err := mariadbtest.PEM(show)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"ca": shared.CA.PEM(), "crt": certificate, "key": key} {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	host, port, _ := net.SplitHostPort(p.address)
	run := func(sql string) string {
		command := exec.Command(program, "--no-defaults", "--batch", "--skip-column-names", "-h", host, "-P", port, "-u", "app", "--ssl-ca="+folder+"/ca", "--ssl-cert="+folder+"/crt", "--ssl-key="+folder+"/key", "lab", "-e", sql)
		command.Env = append(os.Environ(), "MYSQL_PWD=pw-app")
		output, err := command.CombinedOutput()
		if err != nil {
			return err.Error() + ": " + string(output)
		}
		return string(output)
	}
	for sql, want := range map[string]string{
		"SELECT id, name, born FROM person ORDER BY id": "1\tAlice\t1980-01-02\n2\tNULL\tNULL\n",
		"CALL three()":                         "1\n2\t3\n",
		"USE lab; SELECT DATABASE(); SELECT 2": "lab\n2\n",
		"SET @a=5; SELECT @a":                  "5\n",
		"PREPARE p FROM 'SELECT ?+1'; SET @x=4; EXECUTE p USING @x": "5\n",
		"SELECT REPEAT('x', 3000000) = REPEAT('x', 3000000)":        "1\n",
		"SELECT nothing":    "ERROR 1054 (42S22) at line 1: Unknown column 'nothing'",
		"SET @maxscale.x=1": "ERROR 1193 (HY000) at line 1: Attempt to set unknown MaxScale user variable",
		"LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE t": "ERROR 4166",
	} {
		if got := run(sql); got != want && !(strings.HasPrefix(want, "ERROR") && strings.Contains(got, want)) {
			t.Errorf("%s\nsays %q\nwant %q", sql, got, want)
		}
	}
}
