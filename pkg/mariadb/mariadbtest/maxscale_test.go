package mariadbtest_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/confidb/confidb/internal/loopback"
	"github.com/confidb/confidb/pkg/lab/maxscale"
	"github.com/confidb/confidb/pkg/lab/maxscale/settings"
	"github.com/confidb/confidb/pkg/mariadb/mariadbtest"
	"github.com/confidb/confidb/pkg/mysql"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/pkg/topology"
)

// proxy is the lab's MaxScale, with the files of our session.
type proxy struct {
	address string
	folder  string
	command []string
	ended   chan int
	log     lines
}

// lines is a log that is read while it is written.
type lines struct {
	sync.Mutex
	text bytes.Buffer
}

// Write takes a line.
func (l *lines) Write(line []byte) (int, error) {
	l.Lock()
	defer l.Unlock()
	return l.text.Write(line)
}

// String is all of it.
func (l *lines) String() string {
	l.Lock()
	defer l.Unlock()
	return l.text.String()
}

// newProxy writes what CAS and the service `prepare` give. Only paths, addresses and ports
// are others, and the times, which are shorter.
func newProxy(t testing.TB, c *mariadbtest.Several) *proxy {
	t.Helper()
	p := &proxy{folder: t.TempDir(), ended: make(chan int, 1)}
	front, admin := hold(t), hold(t)
	p.address = front.Address()
	given := map[string]string{}
	own, err := mariadbtest.NewAuthority("confidb-admin-ca")
	must(t, err)
	given["$$SCONE::admin_ca:crt$$"] = string(own.PEM())
	issue := func(name string, pair tls.Certificate, err error) {
		must(t, err)
		certificate, key, err := mariadbtest.PEM(pair)
		must(t, err)
		given["$$SCONE::"+name+":crt$$"], given["$$SCONE::"+name+"_key:pem$$"] = string(certificate), string(key)
	}
	pair, err := c.CA.Server("db", c.Release.Host)
	issue("front", pair, err)
	pair, err = c.Client(topology.ProxySubject)
	issue("backend", pair, err)
	pair, err = own.Server("confidb-admin", "localhost")
	issue("admin", pair, err)
	files, command, err := c.Files(topology.MaxScale, topology.ServiceMaxScale, given)
	must(t, err)
	changes := []string{"/run/confidb", p.folder, "/var/lib/confidb-maxscale", p.folder, "port=4006", fmt.Sprintf("port=%d", front.Number), "admin_port=8989", fmt.Sprintf("admin_port=%d", admin.Number), "monitor_interval=1000ms", "monitor_interval=200ms"}
	for at, i := range c.Release.Instances(topology.Database) {
		_, port, _ := net.SplitHostPort(c.Servers[at].Address)
		changes = append(changes, "address="+i.Host+"\nport=3306", "address="+mariadbtest.Near+"\nport="+port)
	}
	moved := strings.NewReplacer(changes...)
	for path, content := range files {
		if strings.HasSuffix(path, ".cnf") {
			content = moved.Replace(content)
			// the databases read these files, each at its own place: here one for all of them
			content = strings.NewReplacer("'"+p.folder+"/repl", "'"+c.Servers[0].Moved("/run/confidb")+"/repl", "MASTER_SSL_CA='"+p.folder, "MASTER_SSL_CA='"+c.Servers[0].Moved("/run/confidb")).Replace(content)
		}
		must(t, os.WriteFile(moved.Replace(path), []byte(content), 0o600))
	}
	must(t, os.WriteFile(filepath.Join(p.folder, "made.crt"), []byte(given["$$SCONE::admin:crt$$"]), 0o600))
	for _, name := range []string{"data", "cache", "persist", "pid", "log"} {
		must(t, os.Mkdir(filepath.Join(p.folder, name), 0o700))
	}
	must(t, os.WriteFile(filepath.Join(p.folder, "data/passwd"), []byte("[]"), 0o600))
	for _, word := range command {
		p.command = append(p.command, moved.Replace(word))
	}
	return p
}

func hold(t testing.TB) *loopback.Port {
	t.Helper()
	port, err := loopback.Hold()
	must(t, err)
	t.Cleanup(func() { port.Release() })
	return port
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// run is one run of the program. It returns what ends it.
func (p *proxy) run() (stop context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		p.ended <- maxscale.Main(ctx, p.command[1:], settings.Host{Environment: func(string) (string, bool) { return "", false }, Now: time.Now, Out: &p.log})
	}()
	return cancel
}

// New databases, all of which begin at the same place, become a primary with its replicas as
// soon as one of them is opened, and survive its loss: by nothing but the files of our
// sessions. Each account comes in through MaxScale as its session says.
func TestMaxScaleLeadsNewDatabases(t *testing.T) {
	c, err := mariadbtest.StartReplicated(3)
	must(t, err)
	t.Cleanup(func() { must(t, c.Stop()) })
	p := newProxy(t, c)

	must(t, os.Rename(filepath.Join(p.folder, "made.crt"), filepath.Join(p.folder, "kept.crt")))
	p.run()
	if code := <-p.ended; code == 0 || !strings.Contains(p.log.String(), "made.crt") {
		t.Fatalf("before `prepare` has run, MaxScale ends with %d: %s", code, &p.log)
	}
	must(t, os.Rename(filepath.Join(p.folder, "kept.crt"), filepath.Join(p.folder, "made.crt")))

	for _, statement := range []string{"SET GLOBAL rpl_semi_sync_master_enabled = 1", "SET GLOBAL read_only = 0"} { // what the keeper does
		must(t, c.Servers[0].Exec(statement))
	}
	stop := p.run()
	defer func() {
		stop()
		if code := <-p.ended; code != 0 || t.Failed() {
			t.Errorf("MaxScale ends with %d: %s", code, &p.log)
		}
	}()
	app := p.awaitLogin(t, c, "confidb_app", c.Password("app_password"))
	query(t, app, "CREATE TABLE app.t (a int primary key)")
	query(t, app, "INSERT INTO app.t VALUES (1)")
	for at := range c.Servers {
		awaitServer(t, c, at, "SELECT CONCAT(@@gtid_current_pos, ' ', COUNT(*)) FROM app.t", "0-1-3 1")
	}
	app.Close()

	must(t, c.Servers[0].Down(syscall.SIGKILL))
	again := p.awaitWrite(t, c, "INSERT INTO app.t VALUES (2)")
	defer again.Close()
	if got := query(t, again, "SELECT GROUP_CONCAT(a ORDER BY a) FROM app.t"); got != "1,2" {
		t.Errorf("after the loss of the primary: got the rows %s, want 1,2", got)
	}
	writable := 0
	for _, s := range c.Servers[1:] {
		rows, err := s.Admin.Query(t.Context(), "SELECT @@read_only + 10 * @@rpl_semi_sync_master_enabled")
		must(t, err)
		switch rows.Values[0][0].Text {
		case "10":
			writable++
		case "1":
		default:
			t.Errorf("a database is neither a primary whose commits wait nor a replica: %s", rows.Values[0][0].Text)
		}
	}
	if writable != 1 {
		t.Errorf("%d databases are written to, want 1", writable)
	}
}

// Databases of applications are each on the shard that the accounts document gives, and
// MaxScale leads there: by nothing but the files of our sessions. What every shard has, no
// account sees twice.
func TestMaxScaleLeadsToShards(t *testing.T) {
	c, err := mariadbtest.StartSharded(2, topology.Applications{
		Accounts: `kind: confidb.accounts/v1
databases: [{name: Shop_eu}, {name: shop_us, shard: 1}]
accounts:
  - {name: web, client: web, privileges: [{database: Shop_eu, grant: [ALL PRIVILEGES]}, {database: shop_us, grant: [ALL PRIVILEGES]}]}
`,
		Clients: []topology.Application{{Name: "web", MRENCLAVEs: []sgx.Measurement{{9}}, Command: []string{"web"}, Files: topology.GivenByDefault()}},
	})
	must(t, err)
	t.Cleanup(func() { must(t, c.Stop()) })
	p := newProxy(t, c)
	stop := p.run()
	defer func() {
		stop()
		if code := <-p.ended; code != 0 || t.Failed() {
			t.Errorf("MaxScale ends with %d: %s", code, &p.log)
		}
	}()
	own, web := p.awaitLogin(t, c, "confidb_app", c.Password("app_password")), p.awaitLogin(t, c, "web", c.Password("account_web_password"))
	defer own.Close()
	defer web.Close()
	for _, one := range []struct {
		conn      *mysql.Conn
		databases string
		tables    []string
	}{{own, "app app1 information_schema", []string{"app.t", "app1.t"}}, {web, "information_schema shop_eu shop_us", []string{"Shop_eu.t", "shop_us.t"}}} {
		rows, err := one.conn.Query(t.Context(), "SHOW DATABASES")
		must(t, err)
		var seen []string
		for _, row := range rows.Values {
			seen = append(seen, row[0].Text)
		}
		if got := strings.Join(seen, " "); got != one.databases {
			t.Errorf("it sees %s, want %s", got, one.databases)
		}
		for at, table := range one.tables {
			query(t, one.conn, "CREATE TABLE "+table+" (a INT PRIMARY KEY)")
			query(t, one.conn, "INSERT INTO "+table+" VALUES (7)")
			awaitServer(t, c, at, "SELECT CONCAT(a, ' ', @@server_id) FROM "+table, fmt.Sprint("7 ", at+1))
		}
	}
	for _, statement := range []string{"SELECT * FROM confidb_verify.marks", "SELECT * FROM app.t", "USE confidb", "SELECT * FROM Shop_eu.t JOIN shop_us.t"} {
		if _, err := web.Query(t.Context(), statement); err == nil {
			t.Errorf("%s: it is done", statement)
		}
	}
	if text := p.log.String(); strings.Contains(text, "Duplicate tables") || strings.Contains(text, "lacks privileges") {
		t.Error("MaxScale finds a name twice, or lacks a right")
	}
}

// login is one through MaxScale, with a certificate of our CA.
func (p *proxy) login(t testing.TB, c *mariadbtest.Several, account, password string) (*mysql.Conn, error) {
	t.Helper()
	certificate, err := c.Client("confidb-app")
	must(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(c.CA.Certificate)
	conn, attempt := mysql.Connect(t.Context(), mysql.Login{Address: p.address, Account: account, Password: password, TLS: &tls.Config{RootCAs: roots, ServerName: c.Release.Host, Certificates: []tls.Certificate{certificate}}})
	return conn, attempt.Err
}

// awaitLogin waits until an account is let in: MaxScale knows accounts a moment after it
// listens. It does not try often, as ten failures block all clients of a machine.
func (p *proxy) awaitLogin(t testing.TB, c *mariadbtest.Several, account, password string) *mysql.Conn {
	t.Helper()
	for begun := time.Now(); ; time.Sleep(500 * time.Millisecond) {
		conn, err := p.login(t, c, account, password)
		if err == nil {
			return conn
		}
		if time.Since(begun) > 30*time.Second {
			t.Fatalf("%s is not let in: %v; the log: %s", account, err, &p.log)
		}
	}
}

// awaitWrite repeats a write, as a client does, until it is done.
func (p *proxy) awaitWrite(t testing.TB, c *mariadbtest.Several, statement string) *mysql.Conn {
	t.Helper()
	for begun := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		conn := p.awaitLogin(t, c, "confidb_app", c.Password("app_password"))
		_, err := conn.Query(t.Context(), statement)
		if err == nil {
			return conn
		}
		conn.Close()
		if time.Since(begun) > 60*time.Second {
			t.Fatalf("%s: %v; the log: %s", statement, err, &p.log)
		}
	}
}

// awaitServer waits until a server answers a question so.
func awaitServer(t testing.TB, c *mariadbtest.Several, at int, question, want string) {
	t.Helper()
	got := ""
	for begun := time.Now(); time.Since(begun) < 30*time.Second; time.Sleep(50 * time.Millisecond) {
		if rows, err := c.Servers[at].Admin.Query(t.Context(), question); err == nil && len(rows.Values) == 1 {
			if got = rows.Values[0][0].Text; got == want {
				return
			}
		}
	}
	t.Fatalf("mariadb-%d: %s: got %q, want %q", at, question, got, want)
}

// query is the first value of an answer.
func query(t testing.TB, conn *mysql.Conn, statement string) string {
	t.Helper()
	rows, err := conn.Query(t.Context(), statement)
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	if rows == nil || len(rows.Values) == 0 {
		return ""
	}
	return rows.Values[0][0].Text
}
