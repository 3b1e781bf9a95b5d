package route_test

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/lab/maxscale/accounts"
	"github.com/confidb/confidb/pkg/lab/maxscale/backend"
	"github.com/confidb/confidb/pkg/lab/maxscale/route"
	"github.com/confidb/confidb/pkg/lab/maxscale/sql"
	"github.com/confidb/confidb/pkg/lab/maxscale/wire"
	"github.com/confidb/confidb/pkg/mariadb/mariadbtest"
)

// shared are three servers that replicate, which no test stops.
var shared *mariadbtest.Set

// data is what every set has.
func data() []string {
	made := []string{"CREATE DATABASE lab", "CREATE TABLE lab.t (id INT PRIMARY KEY AUTO_INCREMENT, text VARCHAR(200))", "CREATE TABLE lab.big (id INT PRIMARY KEY, b LONGBLOB)",
		"CREATE TABLE lab.person (id INT PRIMARY KEY, name VARCHAR(50), born DATE, at DATETIME(6), salary DECIMAL(9,2), f DOUBLE, j JSON)",
		"INSERT INTO lab.person VALUES (1,'Alice','1980-01-02','2020-01-02 03:04:05.000006',10.50,0.5,'{}'),(2,NULL,NULL,NULL,NULL,NULL,NULL)",
		"CREATE DEFINER=lab_admin@127.0.0.1 PROCEDURE lab.three() BEGIN SELECT 1; SELECT 2,3; INSERT INTO lab.t(text) VALUES ('p'); SELECT 'x' WHERE 0; END",
		"CREATE USER service IDENTIFIED BY 'pw-service' REQUIRE SUBJECT '/CN=maxscale'", "CREATE USER app IDENTIFIED BY 'pw-app' REQUIRE SUBJECT '/CN=maxscale'",
		"CREATE USER own IDENTIFIED BY 'pw-own' REQUIRE SUBJECT '/CN=own'", "CREATE USER x509 IDENTIFIED BY 'pw-x' REQUIRE X509", "CREATE USER other IDENTIFIED BY 'pw-other' REQUIRE SSL",
		"GRANT ALL ON lab.* TO app", "GRANT ALL ON lab.* TO other", "GRANT SELECT ON lab.* TO x509", "GRANT SHOW DATABASES ON *.* TO service"}
	for _, table := range []string{"user", "db", "tables_priv", "columns_priv", "proxies_priv", "roles_mapping"} {
		made = append(made, "GRANT SELECT ON mysql."+table+" TO service")
	}
	return made
}

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if shared, err = mariadbtest.StartSet(3, data()...); err == nil {
			err = shared.Replicate()
		}
		if err != nil {
			fmt.Println(err)
			return 1
		}
		defer shared.Stop()
		return m.Run()
	}())
}

// view is a monitor's.
type view struct {
	sync.Mutex
	primary  string
	replicas []string
}

func (v *view) Primary() string {
	v.Lock()
	defer v.Unlock()
	return v.primary
}

func (v *view) Replicas() []string {
	v.Lock()
	defer v.Unlock()
	return v.replicas
}

func (v *view) set(primary string, replicas ...string) {
	v.Lock()
	defer v.Unlock()
	v.primary, v.replicas = primary, replicas
}

// proxy is a service before a set of servers.
type proxy struct {
	*route.Service
	set     *mariadbtest.Set
	address string
	view    *view
	blocker *accounts.Blocker
	store   *accounts.Store

	guard sync.Mutex
	lines []string
}

func (p *proxy) log(level, text string) {
	p.guard.Lock()
	defer p.guard.Unlock()
	p.lines = append(p.lines, level+": "+text)
}

// said reports whether a line of the log has a text.
func (p *proxy) said(text string) bool {
	p.guard.Lock()
	defer p.guard.Unlock()
	return strings.Contains(strings.Join(p.lines, "\n"), text)
}

// start starts a service before a set; its view has the first as primary.
func start(t *testing.T, set *mariadbtest.Set, change ...func(*route.Options)) *proxy {
	t.Helper()
	p := &proxy{set: set, view: &view{primary: "db1"}, blocker: &accounts.Blocker{Most: 10, Now: time.Now}}
	show, err := set.CA.Client("maxscale")
	serve, wrong := set.CA.Server("maxscale", "maxscale.test")
	if err := errors.Join(err, wrong); err != nil {
		t.Fatal(err)
	}
	var servers []backend.Server
	for i, m := range set.Members {
		servers = append(servers, backend.Server{Name: m.Name, Address: m.Address, TLS: set.Trust(&show)})
		if i > 0 {
			p.view.replicas = append(p.view.replicas, m.Name)
		}
	}
	h := wire.HashPassword("pw-service")
	p.store = accounts.NewStore(accounts.Options{Servers: func() []backend.Server { return servers }, Service: backend.Identity{User: "service", Password: &h, Charset: 45},
		RefreshTime: time.Hour, Now: time.Now, Log: func(line string) { p.log("error", line) }, Unmeasured: func(id, what string) { p.log("warning", id+what) }})
	if !p.store.Load(t.Context()) {
		t.Fatal(p.lines)
	}
	o := route.Options{Service: "RW", Servers: servers, View: p.view, Accounts: p.store, Blocker: p.blocker, Words: sql.NewWords(), Random: rand.Reader, Now: time.Now, Log: p.log}
	for _, c := range change {
		c(&o)
	}
	p.Service = route.NewService(o)
	p.listen(t, serve)
	return p
}

// listen serves clients until the test ends.
func (p *proxy) listen(t *testing.T, show tls.Certificate) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.address = listener.Addr().String()
	clients := x509.NewCertPool()
	clients.AddCert(p.set.CA.Certificate)
	config := &tls.Config{Certificates: []tls.Certificate{show}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients, MinVersion: tls.VersionTLS12}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- p.Serve(ctx, listener, func() *tls.Config { return config }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
		if n := p.Sessions(); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
		for _, m := range p.set.Members {
			if n := p.Connections(m.Name); n != 0 {
				t.Errorf("%d connections to %s are left", n, m.Name)
			}
		}
	})
}

// end is a client's end of TLS with the service.
func (p *proxy) end(t *testing.T, user string) *tls.Config {
	t.Helper()
	show, err := p.set.CA.Client(user)
	if err != nil {
		t.Fatal(err)
	}
	made := p.set.Trust(&show)
	made.ServerName = "maxscale.test"
	return made
}

// as is who logs in as a user with the password that goes with it.
func as(user string) backend.Identity {
	h := wire.HashPassword("pw-" + user)
	return backend.Identity{User: user, Password: &h, Charset: 45, Capabilities: (wire.Plain &^ wire.NoSchema) | wire.LocalFiles, MaxPacket: 1 << 24}
}

// dial logs a client in.
func (p *proxy) dial(t *testing.T, who backend.Identity) *backend.Conn {
	t.Helper()
	conn, err := backend.Dial(t.Context(), backend.Server{Name: "proxy", Address: p.address, TLS: p.end(t, who.User), Timeout: 20 * time.Second}, who)
	if err != nil {
		t.Fatalf("%v\n%s", err, strings.Join(p.lines, "\n"))
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// ask runs a statement, and returns the first value of its last answer.
func ask(t *testing.T, conn *backend.Conn, text string) string {
	t.Helper()
	result, err := conn.Query(t.Context(), text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if len(result.Rows) == 0 {
		return ""
	}
	return result.Rows[0][0].Text
}

// code is the number of the error that a statement is refused with, 0 for none.
func code(t *testing.T, conn *backend.Conn, text string) uint16 {
	t.Helper()
	_, err := conn.Query(t.Context(), text)
	var refused *wire.Error
	if err != nil && !errors.As(err, &refused) {
		t.Fatalf("%s: %v", text, err)
	}
	if refused == nil {
		return 0
	}
	return refused.Code
}

// closed reports that a statement is answered by the end of the connection.
func closed(t *testing.T, conn *backend.Conn, text string) {
	t.Helper()
	result, err := conn.Query(t.Context(), text)
	var refused *wire.Error
	if err == nil || errors.As(err, &refused) {
		t.Errorf("%s: %+v, %v: want the end of the connection", text, result, err)
	} else if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !strings.Contains(err.Error(), "reset") && !strings.Contains(err.Error(), "broken pipe") {
		t.Errorf("%s: %v: want the end of the connection", text, err)
	}
}
