package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/lab/maxscale/backend"
	"github.com/confidb/confidb/pkg/lab/maxscale/wire"
	"github.com/confidb/confidb/pkg/mariadb/mariadbtest"
	"github.com/confidb/confidb/pkg/mysql"
)

// rights are those with which a monitor of a real MaxScale did all of its work.
var rights = []string{"SLAVE MONITOR", "REPLICATION SLAVE ADMIN", "READ_ONLY ADMIN", "BINLOG ADMIN", "RELOAD", "REPLICATION MASTER ADMIN"}

// real is a cluster of real servers, db1 to db3, of which db1 is the primary.
type real struct {
	*mariadbtest.Set
	t        *testing.T
	settings Settings
	mu       sync.Mutex
	log      []string
}

func startReal(t *testing.T) *real {
	t.Helper()
	set, err := mariadbtest.StartSet(3, "CREATE USER mon IDENTIFIED BY 'pw-mon' REQUIRE SUBJECT '/CN=maxscale'", "GRANT "+strings.Join(rights, ", ")+" ON *.* TO mon",
		"CREATE DATABASE lab", "CREATE TABLE lab.t (id INT PRIMARY KEY)", "CREATE USER boss IDENTIFIED BY 'pw-boss' REQUIRE SSL", "GRANT ALL ON *.* TO boss", "CREATE USER plain IDENTIFIED BY 'pw-plain' REQUIRE SSL")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := set.Stop(); err != nil {
			t.Error(err)
		}
	})
	r := &real{Set: set, t: t, settings: Settings{Name: "Mon", Interval: time.Second, Failcount: 3, AutoFailover: true, AutoRejoin: true, Locks: MajorityOfAll,
		ReplicationUser: mariadbtest.SetReplication, ReplicationPassword: mariadbtest.Password, ReplicationMasterSSL: true, FailoverTimeout: 20 * time.Second, SwitchoverTimeout: 20 * time.Second, PromotionSQLFile: "promote.sql", DemotionSQLFile: "demote.sql"}}
	for i, m := range set.Members {
		host, text, _ := net.SplitHostPort(m.Address)
		port, _ := strconv.Atoi(text)
		folder := r.ask(i, "SELECT @@datadir")
		files := fmt.Sprintf("MASTER_SSL_CA='%s',MASTER_SSL_CERT='%s',MASTER_SSL_KEY='%s',MASTER_CONNECT_RETRY=1", folder+"ca.crt", folder+"repl.crt", folder+"repl.key")
		r.settings.Servers = append(r.settings.Servers, Server{Name: m.Name, Host: host, Port: port, ReplicationCustomOptions: files})
	}
	return r
}

func (r *real) monitor() *Monitor { return r.monitorWith(r.CA, r.CA, "pw-mon") }

// monitorWith is a monitor that trusts a CA, and shows a certificate of another.
func (r *real) monitorWith(trusted, own *mariadbtest.Authority, word string) *Monitor {
	proxy, err := own.Client("maxscale")
	if err != nil {
		r.t.Fatal(err)
	}
	var servers []backend.Server
	for _, m := range r.Members {
		config := r.Trust(&proxy)
		config.RootCAs = x509.NewCertPool()
		config.RootCAs.AddCert(trusted.Certificate)
		config.ServerName = "nobody.is.called.so" // which the monitor does not look at
		servers = append(servers, backend.Server{Name: m.Name, Address: m.Address, TLS: config})
	}
	password := wire.HashPassword(word)
	files := map[string]string{"promote.sql": "SET GLOBAL rpl_semi_sync_master_enabled=1;\n", "demote.sql": "SET GLOBAL rpl_semi_sync_master_enabled=0;\n"}
	m := New(r.settings, Env{Dial: Connect(servers, backend.Identity{User: "mon", Password: &password, Charset: 45, Capabilities: wire.Plain &^ wire.NoSchema, MaxPacket: 1 << 24}), Now: time.Now,
		Wait: func(ctx context.Context, d time.Duration) {
			select {
			case <-ctx.Done():
			case <-time.After(d):
			}
		},
		Log: func(level Level, text string) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.log = append(r.log, string(level)+" "+text)
		},
		Random: func(int) int { return 0 }, ReadFile: func(name string) ([]byte, error) {
			text, ok := files[name]
			if !ok {
				return nil, os.ErrNotExist
			}
			return []byte(text), nil
		}}, Remembered{})
	r.t.Cleanup(func() {
		for _, l := range m.links {
			l.close()
		}
	})
	return m
}

// until ticks until the servers are so.
func (r *real) until(m *Monitor, want ...string) {
	r.t.Helper()
	end := time.Now().Add(30 * time.Second)
	for time.Now().Before(end) {
		m.Tick(r.t.Context())
		if slices.Equal(states(m), want) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	r.t.Fatalf("states are %q, want %q; the log:\n%s", states(m), want, strings.Join(r.log, "\n"))
}

// logged reports whether the log has a text.
func (r *real) logged(text string) bool {
	return slices.ContainsFunc(r.log, func(line string) bool { return strings.Contains(line, text) })
}

func (r *real) wantLog(texts ...string) {
	r.t.Helper()
	for _, text := range texts {
		if !r.logged(text) {
			r.t.Errorf("the log has no %q:\n%s", text, strings.Join(r.log, "\n"))
		}
	}
}

// do runs statements as the administrator of a member.
func (r *real) do(i int, statements ...string) {
	r.t.Helper()
	for _, sql := range statements {
		if err := r.Members[i].Exec(sql); err != nil {
			r.t.Fatalf("%s: %s: %v", r.Members[i].Name, sql, err)
		}
	}
}

func (r *real) ask(i int, sql string) string {
	r.t.Helper()
	rows, err := r.Members[i].Admin.Query(r.t.Context(), sql)
	if err != nil || len(rows.Values) != 1 {
		r.t.Fatalf("%s: %s: %v, %v", r.Members[i].Name, sql, rows, err)
	}
	return rows.Values[0][len(rows.Values[0])-1].Text
}

func (r *real) kill(i int) {
	r.t.Helper()
	if err := r.Members[i].Down(syscall.SIGKILL); err != nil {
		r.t.Fatal(err)
	}
}

func (r *real) up(i int, arguments ...string) {
	r.t.Helper()
	if err := r.Members[i].Up(arguments...); err != nil {
		r.t.Fatal(err)
	}
}

func (r *real) caught(i, primary int) {
	r.t.Helper()
	if err := r.Members[i].Caught(r.Members[primary]); err != nil {
		r.t.Fatal(err)
	}
}

// TestRealServers takes one cluster through a life: its end of a primary by kill -9, the
// return of that, switchovers with and without the rights for them, and what goes wrong.
func TestRealServers(t *testing.T) {
	r := startReal(t)
	if err := r.Replicate(); err != nil {
		t.Fatal(err)
	}
	r.do(0, "INSERT INTO lab.t VALUES (1)", "SET GLOBAL rpl_semi_sync_master_enabled=1")
	for i := range r.Members {
		r.do(i, "SET GLOBAL rpl_semi_sync_slave_enabled=1")
	}
	a, b := r.monitor(), r.monitor()
	r.until(a, "Master, Running", "Slave, Running", "Slave, Running")
	r.until(b, "Master, Running", "Slave, Running", "Slave, Running")
	if !isHolder(a) || isHolder(b) {
		t.Fatal("the first monitor is not the holder, or both are")
	}
	for range 3 {
		a.Tick(t.Context())
	}

	r.kill(0)
	r.until(a, "Down", "Master, Running", "Slave, Running")
	r.wantLog("error Monitor was unable to connect to server db1[127.0.0.1:", "Primary has failed. If primary does not return in 2 monitor tick(s), failover begins.", "Failover 'db1' -> 'db2' performed.",
		"All redirected slaves successfully started replication from 'db2'.")
	r.until(b, "Down", "Master, Running", "Slave, Running")
	if got := r.ask(1, "SELECT @@rpl_semi_sync_master_enabled"); got != "1" {
		t.Errorf("the new primary has semi-sync %s: the SQL of a promotion has not run", got)
	}
	r.do(1, "INSERT INTO lab.t VALUES (2)")
	r.caught(2, 1)

	r.up(0, "--read-only")
	r.until(a, "Slave, Running", "Master, Running", "Slave, Running")
	r.caught(0, 1)
	if got := r.ask(0, "SELECT COUNT(*) FROM lab.t"); got != "2" {
		t.Errorf("the old primary has %s rows, want 2", got)
	}
	t.Run("strangers", r.strangers())
	t.Run("switchover", r.switchover(a, b))
	t.Run("supers", r.supers())
	t.Run("rights", r.missingRights(a))
	t.Run("quick restart", r.quickRestart(a))
	t.Run("waiting", r.waiting(a))
	t.Run("diverged", r.diverged(a))
}

// strangers are monitors of whom or to whom the servers are no friends.
func (r *real) strangers() func(t *testing.T) {
	return func(t *testing.T) {
		other, err := mariadbtest.NewAuthority("another")
		if err != nil {
			t.Fatal(err)
		}
		for name, c := range map[string]struct {
			m     *Monitor
			text  string
			state string
		}{
			"trusts another CA":    {r.monitorWith(other, r.CA, "pw-mon"), "' : 'self-signed certificate in certificate chain'", "Down"},
			"is of another CA":     {r.monitorWith(r.CA, other, "pw-mon"), "", "Down"},
			"has a wrong password": {r.monitorWith(r.CA, r.CA, "x"), "Access denied for user 'mon'@", "Auth Error, Down"},
		} {
			c.m.Tick(t.Context())
			if got := states(c.m)[0]; got != c.state {
				t.Errorf("a monitor that %s has %q, want %q", name, got, c.state)
			}
			r.wantLog(strings.TrimPrefix(c.text, "'"))
		}
	}
}

// The alert is not always read: who is refused may find the connection reset while it writes.
func TestRefusalsAreSaid(t *testing.T) {
	certificate := httptest.NewUnstartedServer(nil)
	certificate.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: x509.NewCertPool(), MaxVersion: tls.VersionTLS12}
	certificate.Config.ErrorLog = log.New(io.Discard, "", 0)
	certificate.StartTLS()
	defer certificate.Close()
	other, err := mariadbtest.NewAuthority("another")
	if err != nil {
		t.Fatal(err)
	}
	own, err := other.Client("maxscale")
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(certificate.Certificate())
	show := func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &own, nil }
	_, err = tls.Dial("tcp", certificate.Listener.Addr().String(), &tls.Config{RootCAs: roots, ServerName: "example.com", GetClientCertificate: show})
	if got := said(backend.Server{}, err).Error(); got != "tlsv1 alert unknown ca" {
		t.Errorf("%v is said as %q", err, got)
	}
	if got := said(backend.Server{Address: "10.0.0.1:3306"}, fmt.Errorf("dial: %w", syscall.ECONNREFUSED)).Error(); got != "Can't connect to server on '10.0.0.1' (111)" {
		t.Errorf("a refused connection is said as %q", got)
	}
}

func (r *real) switchover(a, b *Monitor) func(t *testing.T) {
	return func(t *testing.T) {
		if err := a.Switchover(t.Context(), "db1", "db2", false); err != nil {
			t.Fatal(err)
		}
		r.until(a, "Master, Running", "Slave, Running", "Slave, Running")
		r.until(b, "Master, Running", "Slave, Running", "Slave, Running")
		if got := r.ask(0, "SELECT @@rpl_semi_sync_master_enabled") + r.ask(1, "SELECT @@rpl_semi_sync_master_enabled") + r.ask(1, "SELECT @@read_only"); got != "101" {
			t.Errorf("semi-sync of the new and of the old primary, read_only of the old: %s, want 101", got)
		}
		r.do(0, "INSERT INTO lab.t VALUES (3)")
		r.caught(1, 0)
		r.caught(2, 0)
	}
}

// supers has a user who may write everywhere, among others who may not.
func (r *real) supers() func(t *testing.T) {
	return func(t *testing.T) {
		login := func(account, password string) {
			proxy, err := r.CA.Client("maxscale")
			if err != nil {
				t.Fatal(err)
			}
			conn, attempt := mysql.Connect(t.Context(), mysql.Login{Address: r.Members[0].Address, Account: account, Password: password, TLS: r.Trust(&proxy)})
			if conn == nil {
				t.Fatal(attempt.Err)
			}
			t.Cleanup(func() { conn.Close() })
		}
		login("plain", "pw-plain")
		login("boss", "pw-boss")
		users := r.ask(0, "SELECT GROUP_CONCAT(DISTINCT USER ORDER BY USER) FROM information_schema.PROCESSLIST WHERE ID IN ("+askSupers+")")
		if users != "boss,mon" { // the administrator asks, and mon is not that one here
			t.Errorf("the super users are %s", users)
		}
		if r.logged("PROCESSLIST") {
			t.Error("the monitor could not ask for super users")
		}
	}
}

// missingRights takes the rights away one by one, as they were measured.
func (r *real) missingRights(a *Monitor) func(t *testing.T) {
	return func(t *testing.T) {
		for right, statement := range map[string]string{"REPLICATION SLAVE ADMIN": "STOP SLAVE", "READ_ONLY ADMIN": "SET GLOBAL read_only", "BINLOG ADMIN": "SET @@session.sql_log_bin=0", "RELOAD": "FLUSH TABLES WITH READ LOCK"} {
			r.do(0, "REVOKE "+right+" ON *.* FROM mon")
			r.caught(1, 0)
			r.caught(2, 0)
			for _, l := range a.links {
				l.close() // rights count from the login on
			}
			r.until(a, "Master, Running", "Slave, Running", "Slave, Running")
			err := a.Switchover(t.Context(), "db2", "", false)
			if err == nil || !strings.Contains(err.Error(), statement) || !strings.Contains(err.Error(), "(1227). Monitor lacks the required privileges for the operation.") {
				t.Errorf("without %s: %v", right, err)
			}
			a.Tick(t.Context())
			if got := a.View().Master; got != "db1" {
				t.Fatalf("without %s: %q is primary", right, got)
			}
			r.do(0, "GRANT "+right+" ON *.* TO mon")
		}
		r.do(0, "REVOKE SLAVE MONITOR ON *.* FROM mon")
		r.caught(2, 0)
		a.link("db3").close()
		r.until(a, "Master, Running", "Slave, Running", "Slave, Auth Error, Running")
		r.wantLog("Error during monitor permissions test for server db3: Query 'SHOW SLAVE STATUS;' failed: 'Access denied; you need (at least one of) the SUPER, SLAVE MONITOR privilege(s)")
		r.do(0, "GRANT SLAVE MONITOR ON *.* TO mon")
		r.caught(1, 0)
		r.caught(2, 0)
		for _, l := range a.links {
			l.close()
		}
		r.until(a, "Master, Running", "Slave, Running", "Slave, Running")
	}
}

// quickRestart ends and starts the primary within one tick, with read_only in its file.
func (r *real) quickRestart(a *Monitor) func(t *testing.T) {
	return func(t *testing.T) {
		r.kill(0)
		a.Tick(t.Context())
		r.up(0, "--read-only")
		r.until(a, "Running", "Slave, Running", "Slave, Running")
		for range 5 {
			a.Tick(t.Context())
		}
		fresh := r.monitor() // to whom it is a cold start
		fresh.Tick(t.Context())
		if got := fmt.Sprint(states(fresh)); got != "[Running Running Running]" {
			t.Errorf("a monitor that begins has %s where all servers are read-only", got)
		}
		r.wantLog("'db1' is not a valid master candidate because it's read_only.")
		if got := states(a)[0]; got != "Running" {
			t.Errorf("a primary that is read-only is %s", got)
		}
		a.settings.EnforceWritableMaster = true
		r.until(a, "Master, Running", "Slave, Running", "Slave, Running")
		a.settings.EnforceWritableMaster = false
		if got := r.ask(0, "SELECT @@rpl_semi_sync_master_enabled"); got != "0" {
			t.Errorf("semi-sync is %s: the SQL of a promotion has run", got)
		}
	}
}

// waiting has a primary with a transaction that no replica acknowledges: it does not become
// read-only, and the server says so in its own time.
func (r *real) waiting(a *Monitor) func(t *testing.T) {
	return func(t *testing.T) {
		before := a.settings.ReadTimeout
		defer func() { a.settings.ReadTimeout = before }()
		a.settings.ReadTimeout = time.Second
		r.do(0, "SET GLOBAL rpl_semi_sync_master_timeout=600000", "SET GLOBAL rpl_semi_sync_master_enabled=1")
		for i := 1; i < 3; i++ {
			r.do(i, "STOP SLAVE", "SET GLOBAL rpl_semi_sync_slave_enabled=0", "START SLAVE")
		}
		proxy, err := r.CA.Client("maxscale")
		if err != nil {
			t.Fatal(err)
		}
		conn, attempt := mysql.Connect(t.Context(), mysql.Login{Address: r.Members[0].Address, Account: "boss", Password: "pw-boss", TLS: r.Trust(&proxy)})
		if conn == nil {
			t.Fatal(attempt.Err)
		}
		defer conn.Close()
		ended := make(chan error)
		go func() {
			_, err := conn.Query(t.Context(), "INSERT INTO lab.t VALUES (50)")
			ended <- err
		}()
		for end := time.Now().Add(10 * time.Second); r.ask(0, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE STATE LIKE 'Waiting for semi-sync ACK%'") == "0"; {
			if time.Now().After(end) {
				t.Fatal("no transaction waits")
			}
		}
		err = a.run(t.Context(), "db1", readOnlyOn, time.Now().Add(1500*time.Millisecond))
		if err == nil || !strings.Contains(err.Error(), "(1969).") {
			t.Errorf("the primary that waits: %v", err)
		}
		r.wantLog("Query 'SET STATEMENT max_statement_time=1 FOR SET GLOBAL read_only=1;' timed out on 'db1'. Retrying with ")
		r.do(0, "SET GLOBAL rpl_semi_sync_master_enabled=0")
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if got := r.ask(0, "SELECT @@read_only"); got != "0" {
			t.Errorf("read_only is %s", got)
		}
		a.link("db1").close()
		for i := 1; i < 3; i++ {
			r.do(i, "STOP SLAVE", "SET GLOBAL rpl_semi_sync_slave_enabled=1", "START SLAVE")
		}
		r.caught(1, 0)
		r.caught(2, 0)
		r.until(a, "Master, Running", "Slave, Running", "Slave, Running")
	}
}

// diverged lets the old primary have a transaction that nobody else has, of a sequence number
// that others have: it is made a replica, and cannot be one.
func (r *real) diverged(a *Monitor) func(t *testing.T) {
	return func(t *testing.T) {
		for range 4 {
			a.Tick(t.Context())
		}
		r.do(1, "STOP SLAVE IO_THREAD")
		r.do(2, "STOP SLAVE IO_THREAD")
		r.do(0, "INSERT INTO lab.t VALUES (100)")
		r.kill(0)
		r.do(1, "START SLAVE")
		r.do(2, "START SLAVE")
		r.until(a, "Down", "Master, Running", "Slave, Running")
		r.do(1, "INSERT INTO lab.t VALUES (101)", "INSERT INTO lab.t VALUES (102)")
		r.up(0)
		end := time.Now().Add(20 * time.Second)
		for !strings.Contains(fmt.Sprint(a.View().Server("db1").Slaves), "1236") && time.Now().Before(end) {
			a.Tick(t.Context())
		}
		s := a.View().Server("db1")
		if len(s.Slaves) != 1 || !strings.Contains(s.Slaves[0].LastIOError, "1236") || s.State != "Running" {
			t.Errorf("the diverged server is %s with %+v", s.State, s.Slaves)
		}
		r.wantLog("Directing standalone server 'db1' to replicate from 'db2'.")
	}
}
