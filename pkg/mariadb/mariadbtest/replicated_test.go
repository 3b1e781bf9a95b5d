package mariadbtest_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/layout"
	"github.com/confidb/confidb/pkg/mariadb/mariadbtest"
	"github.com/confidb/confidb/pkg/mysql"
	"github.com/confidb/confidb/pkg/promise"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/topology"
)

// pair is a primary and its replica, which run as our sessions say.
type pair struct {
	t *testing.T
	*mariadbtest.Several
	primary, replica *mariadbtest.Server
}

func (p *pair) run(s *mariadbtest.Server, statements ...string) {
	p.t.Helper()
	for _, statement := range statements {
		if err := s.Exec(statement); err != nil {
			p.t.Fatalf("%s: %v", statement, err)
		}
	}
}

// ask is the first value of an answer, or empty.
func (p *pair) ask(s *mariadbtest.Server, statement string) string {
	p.t.Helper()
	rows, err := s.Admin.Query(p.t.Context(), statement)
	if err != nil {
		p.t.Fatalf("%s: %v", statement, err)
	}
	if len(rows.Values) == 0 {
		return ""
	}
	return rows.Values[0][0].Text
}

// slave is a column of SHOW SLAVE STATUS.
func (p *pair) slave(column string) string {
	p.t.Helper()
	rows, err := p.replica.Admin.Query(p.t.Context(), "SHOW SLAVE STATUS")
	if err != nil {
		p.t.Fatal(err)
	}
	at, err := rows.Column(column)
	if err != nil {
		p.t.Fatal(err)
	}
	if len(rows.Values) == 0 {
		return ""
	}
	return rows.Values[0][at].Text
}

// await waits until something is so.
func (p *pair) await(what string, is func() bool) {
	p.t.Helper()
	for begun := time.Now(); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Since(begun) > 30*time.Second {
			p.t.Fatalf("not within half a minute: %s; the replica: %s %s", what, p.slave("Last_IO_Error"), p.slave("Last_SQL_Error"))
		}
	}
}

// follows tells the replica to follow the primary, as MaxScale does with our options, and
// with changes of them.
func (p *pair) follows(host string, changes ...string) {
	p.t.Helper()
	_, port, _ := net.SplitHostPort(p.primary.Address)
	options := p.replica.Moved(monitorOption(p.t, p.Session(topology.MaxScale), "replication_custom_options"))
	options = strings.NewReplacer(changes...).Replace("MASTER_SSL = 1, " + options)
	p.run(p.replica, "STOP SLAVE", fmt.Sprintf("CHANGE MASTER '' TO MASTER_HOST = '%s', MASTER_PORT = %s, MASTER_USE_GTID = current_pos, %s, MASTER_USER = 'confidb_repl', MASTER_PASSWORD = '%s'", host, port, options, p.Password("repl_password")), "START SLAVE")
}

// monitorOption is what the configuration of MaxScale says to its monitor.
func monitorOption(t *testing.T, s *session.Session, name string) string {
	t.Helper()
	for _, service := range s.Services {
		for _, section := range layout.New(s, nil).MaxScale(service) {
			if section.Option("type") == "monitor" {
				return section.Option(name)
			}
		}
	}
	t.Fatal("MaxScale has no monitor")
	return ""
}

// login tries an account with a certificate.
func (p *pair) login(account, password, commonName string) (*mysql.Conn, error) {
	p.t.Helper()
	certificate, err := p.Client(commonName)
	if err != nil {
		p.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(p.CA.Certificate)
	conn, attempt := mysql.Connect(p.t.Context(), mysql.Login{Address: p.primary.Address, Account: account, Password: password,
		TLS: &tls.Config{RootCAs: roots, ServerName: p.Release.AllInstances(topology.Database)[0].Host, Certificates: []tls.Certificate{certificate}}})
	return conn, attempt.Err
}

// A primary and its replica, from the very files of the sessions: everything that they rest
// on, one after another, on the same two servers.
func TestReplicated(t *testing.T) {
	cluster, err := mariadbtest.StartReplicated(2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	})
	p := &pair{t, cluster, cluster.Servers[0], cluster.Servers[1]}
	for _, c := range []struct {
		name string
		test func(*pair)
	}{
		{"all start alike, and write nothing", (*pair).startAlike},
		{"accounts are those that are promised", (*pair).accountsArePromised},
		{"each account demands its own certificate", (*pair).subjects},
		{"the service of MaxScale reads accounts, and nothing else", (*pair).serviceReads},
		{"a replica follows over mutual TLS", (*pair).replicates},
		{"another name is refused", (*pair).otherName},
		{"clear text is refused", (*pair).clearText},
		{"another certificate is refused", (*pair).otherCertificate},
		{"names of hosts may be long", (*pair).longNames},
		{"a commit waits for a second server", (*pair).waits},
		{"a replica that starts again keeps what it has", (*pair).restarts},
		{"who is monitor or keeper may do what it must", (*pair).mayOperate},
	} {
		if !t.Run(c.name, func(t *testing.T) { q := *p; q.t = t; c.test(&q) }) {
			return // what follows rests on it
		}
	}
}

// startAlike: the init file runs to its end although the server is read-only, and nothing
// of it is in the history: all are at the place where each new database begins.
func (p *pair) startAlike() {
	for at, s := range p.Servers {
		for question, want := range map[string]string{
			"SELECT @@read_only": "1", "SELECT @@gtid_strict_mode": "1", "SELECT @@gtid_binlog_pos": "", "SELECT @@gtid_slave_pos": "0-1-1", "SELECT @@gtid_current_pos": "0-1-1",
			"SELECT @@server_id": fmt.Sprint(at + 1), "SELECT @@init_connect": "", "SELECT @@rpl_semi_sync_master_timeout": "18446744073709551615", "SELECT @@rpl_semi_sync_master_enabled": "0",
			"SELECT COUNT(*) FROM mysql.global_priv": "13", "SHOW ALL SLAVES STATUS": "",
		} {
			if got := p.ask(s, question); got != want {
				p.t.Errorf("mariadb-%d: %s: got %q, want %q", at, question, got, want)
			}
		}
		if got := p.ask(s, "SELECT @@wsrep_cluster_name"); len(got) != 64 {
			p.t.Errorf("mariadb-%d: the init file did not run to its end", at)
		}
	}
}

// accountsArePromised: what the server says of each account is what the session promises.
func (p *pair) accountsArePromised() {
	promised := p.primary.Promise
	if len(promised.Unclear) > 0 || len(promised.Accounts) != 13 {
		p.t.Fatalf("got %d accounts and %q", len(promised.Accounts), promised.Unclear)
	}
	for _, want := range promised.Accounts {
		var lines []string
		name := "'" + want.Name.User + "'@'" + want.Name.Host + "'"
		for _, statement := range []string{"SHOW CREATE USER " + name, "SHOW GRANTS FOR " + name} {
			rows, err := p.primary.Admin.Query(p.t.Context(), statement)
			if err != nil {
				p.t.Fatal(err)
			}
			for _, row := range rows.Values {
				lines = append(lines, row[0].Text)
			}
		}
		got, err := promise.ReadAccount(want.Name, false, lines)
		if err != nil {
			p.t.Fatal(err)
		}
		for _, d := range want.Differences(got) {
			p.t.Error(d)
		}
	}
}

// subjects: with its password each account is let in by the certificate that it demands, and
// by no other of those that there are.
func (p *pair) subjects() {
	accounts := map[string][2]string{ // secret of its password, and subject
		"confidb_repl": {"repl_password", "confidb-repl"}, "confidb_seed": {"seed_password", "confidb-seed"}, "confidb_peer": {"peer_password", "confidb-peer"},
		"confidb_service": {"service_password", "confidb-maxscale"}, "confidb_monitor": {"monitor_password", "confidb-maxscale"}, "confidb_keeper": {"keeper_password", "confidb-maxscale"},
		"confidb_verify": {"verify_password", "confidb-verify"}, "confidb_masked": {"masked_password", "confidb-maxscale"}, "confidb_granted": {"granted_password", "confidb-maxscale"}, "confidb_app": {"app_password", "confidb-maxscale"},
		"confidb_front": {"front_password", "confidb-maxscale"},
	}
	if len(accounts) != len(p.primary.Promise.Accounts)-2 { // nobody logs in as the owners of views
		p.t.Errorf("%d accounts are tried of %d", len(accounts), len(p.primary.Promise.Accounts))
	}
	subjects := []string{"confidb-repl", "confidb-seed", "confidb-peer", "confidb-maxscale", "confidb-verify", "confidb-app", "confidb-operate", "confidb-stranger"}
	for account, of := range accounts {
		for _, subject := range subjects {
			conn, err := p.login(account, p.Password(of[0]), subject)
			if conn != nil {
				conn.Close()
			}
			if want := subject == of[1]; (err == nil) != want {
				p.t.Errorf("%s with the certificate of %s: got %v, want in: %t", account, subject, err, want)
			}
		}
		if conn, err := p.login(account, p.Password("made_secret"), of[1]); err == nil {
			conn.Close()
			p.t.Errorf("%s is let in with another password", account)
		}
	}
}

func (p *pair) serviceReads() {
	conn, err := p.login("confidb_service", p.Password("service_password"), "confidb-maxscale")
	if err != nil {
		p.t.Fatal(err)
	}
	defer conn.Close()
	for _, table := range []string{"user", "db", "tables_priv", "columns_priv", "procs_priv", "proxies_priv", "roles_mapping"} {
		if _, err := conn.Query(p.t.Context(), "SELECT * FROM mysql."+table); err != nil {
			p.t.Errorf("mysql.%s: %v", table, err)
		}
	}
	rows, err := conn.Query(p.t.Context(), "SHOW DATABASES")
	if err != nil || !slices.ContainsFunc(rows.Values, func(row []mysql.Value) bool { return row[0].Text == "app" }) {
		p.t.Errorf("got the databases %v, %v", rows, err)
	}
	for _, statement := range []string{"SELECT * FROM mysql.global_priv", "SELECT * FROM mysql.proc", "SET GLOBAL read_only = 0", "CREATE TABLE app.x (a int)", "SHOW SLAVE STATUS"} {
		if _, err := conn.Query(p.t.Context(), statement); err == nil {
			p.t.Errorf("%s is not refused", statement)
		}
	}
}

func (p *pair) replicates() {
	p.run(p.primary, "SET GLOBAL rpl_semi_sync_master_enabled = 1", "SET GLOBAL read_only = 0")
	p.follows(mariadbtest.Near)
	p.await("the replica is connected", func() bool { return p.slave("Slave_IO_Running") == "Yes" })
	p.await("the replica acknowledges", func() bool {
		return p.ask(p.primary, "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'RPL_SEMI_SYNC_MASTER_CLIENTS'") == "1"
	})
	p.run(p.primary, "CREATE TABLE app.t (a int primary key)", "INSERT INTO app.t VALUES (1)", "CREATE FUNCTION app.f() RETURNS int DETERMINISTIC RETURN 7")
	p.caughtUp()
	for question, want := range map[string]string{"SELECT a FROM app.t": "1", "SELECT app.f()": "7", "SELECT @@gtid_current_pos": "0-1-4"} {
		if got := p.ask(p.replica, question); got != want {
			p.t.Errorf("the replica: %s: got %q, want %q", question, got, want)
		}
	}
	for column, want := range map[string]string{"Master_SSL_Allowed": "Yes", "Master_SSL_Verify_Server_Cert": "Yes", "Using_Gtid": "Current_Pos", "Connect_Retry": "2"} {
		if got := p.slave(column); got != want {
			p.t.Errorf("%s: got %q, want %q", column, got, want)
		}
	}
	if got := p.ask(p.primary, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = 'confidb_repl'"); got != "1" {
		p.t.Errorf("the replica is connected %s times as confidb_repl", got)
	}
}

// caughtUp waits until the replica has what the primary has.
func (p *pair) caughtUp() {
	p.t.Helper()
	want := p.ask(p.primary, "SELECT @@gtid_binlog_pos")
	p.await("the replica has "+want, func() bool { return p.ask(p.replica, "SELECT @@gtid_slave_pos") == want })
}

// refused waits until the replica says why it is not let in, or lets nobody in.
func (p *pair) refused(errors ...string) {
	p.t.Helper()
	p.await("the replica says why", func() bool { return p.slave("Last_IO_Errno") != "0" })
	if got := p.slave("Last_IO_Error"); p.slave("Slave_IO_Running") == "Yes" || !slices.ContainsFunc(errors, func(e string) bool { return strings.Contains(got, e) }) {
		p.t.Errorf("got %q, want one of %q", got, errors)
	}
	p.follows(mariadbtest.Near)
	p.await("the replica is connected again", func() bool { return p.slave("Slave_IO_Running") == "Yes" })
}

// otherName: the primary's certificate is of our CA, and for other names than the replica
// was told.
func (p *pair) otherName() {
	p.follows("127.0.0.1")
	p.refused("SSL connection error", "certificate")
}

func (p *pair) clearText() {
	p.follows(mariadbtest.Near, "MASTER_SSL = 1,", "MASTER_SSL = 0,", "MASTER_SSL_VERIFY_SERVER_CERT=1", "MASTER_SSL_VERIFY_SERVER_CERT=0")
	p.refused("Access denied", "secure transport")
}

// otherCertificate: with the right password, and the certificate of a server.
func (p *pair) otherCertificate() {
	p.follows(mariadbtest.Near, "repl.crt", "server.crt", "repl.key", "server.key")
	p.refused("Access denied", "SSL connection error", "Lost connection")
}

// longNames: the longest name of an instance that there can be is kept whole.
func (p *pair) longNames() {
	longest := &topology.Release{Name: strings.Repeat("n", 43), Namespace: strings.Repeat("s", 63), Architecture: topology.Replicated}
	host := longest.AllInstances(topology.Database)[topology.Slots-1].Host
	p.run(p.replica, "CHANGE MASTER 'long' TO MASTER_HOST = '"+host+"'")
	rows, err := p.replica.Admin.Query(p.t.Context(), "SHOW SLAVE 'long' STATUS")
	if err != nil {
		p.t.Fatal(err)
	}
	at, err := rows.Column("Master_Host")
	if err != nil || rows.Values[0][at].Text != host {
		p.t.Errorf("got %v, %v, want %s", rows, err, host)
	}
	p.run(p.replica, "RESET SLAVE 'long' ALL")
}

// waits: nobody is told that a commit is done which no second server has, however long that
// takes; others do not see it, and can read.
func (p *pair) waits() {
	p.run(p.replica, "STOP SLAVE")
	p.await("the primary is alone", func() bool {
		return p.ask(p.primary, "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'RPL_SEMI_SYNC_MASTER_CLIENTS'") == "0"
	})
	conn, err := p.login("confidb_app", p.Password("app_password"), "confidb-maxscale")
	if err != nil {
		p.t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := conn.Query(ctx, "INSERT INTO app.t VALUES (2)")
		done <- err
	}()
	p.await("the commit waits", func() bool {
		return p.ask(p.primary, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = 'confidb_app' AND STATE LIKE '%semi-sync ACK%'") == "1"
	})
	if got := p.ask(p.primary, "SELECT COUNT(*) FROM app.t"); got != "1" {
		p.t.Errorf("others see %s rows, want 1", got)
	}
	select {
	case err := <-done:
		p.t.Fatalf("the commit was acknowledged by nobody, and ended: %v", err)
	default:
	}
	p.run(p.replica, "START SLAVE")
	if err := <-done; err != nil {
		p.t.Fatalf("after the replica is back: %v", err)
	}
	p.caughtUp()
	for _, name := range []string{"RPL_SEMI_SYNC_MASTER_NO_TX", "RPL_SEMI_SYNC_MASTER_NO_TIMES"} {
		if got := p.ask(p.primary, "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = '"+name+"'"); got != "0" {
			p.t.Errorf("%s: got %s, want 0", name, got)
		}
	}
}

// restarts: the init file of a replica makes the system tables anew, and takes neither its
// place in the history nor what came by replication; nothing replicates before it is told.
func (p *pair) restarts() {
	before := p.ask(p.replica, "SELECT @@gtid_slave_pos")
	if err := p.As(1, "db"); err != nil {
		p.t.Fatal(err)
	}
	if err := p.replica.Restart(); err != nil {
		p.t.Fatal(err)
	}
	for question, want := range map[string]string{"SELECT @@gtid_slave_pos": before, "SELECT @@gtid_current_pos": before, "SELECT app.f()": "7", "SELECT COUNT(*) FROM app.t": "2", "SELECT COUNT(*) FROM mysql.global_priv": "13"} {
		if got := p.ask(p.replica, question); got != want {
			p.t.Errorf("%s: got %q, want %q", question, got, want)
		}
	}
	if p.slave("Slave_IO_Running") != "No" || p.slave("Slave_SQL_Running") != "No" {
		p.t.Error("it replicates before it is told")
	}
	p.run(p.replica, "START SLAVE")
	p.run(p.primary, "CREATE FUNCTION app.g() RETURNS int DETERMINISTIC RETURN 8", "INSERT INTO app.t VALUES (3)")
	p.caughtUp()
	if got := p.ask(p.replica, "SELECT app.f() + app.g() + COUNT(*) FROM app.t"); got != "18" {
		p.t.Errorf("routines and rows: got %s, want 18", got)
	}
	if got := p.ask(p.primary, "SELECT @@gtid_binlog_pos"); !strings.HasPrefix(got, "0-1-") {
		p.t.Errorf("the history: got %s, want all of it by the primary", got)
	}
}

// mayOperate: monitor and keeper can change who is the primary, and who else has an account
// cannot.
func (p *pair) mayOperate() {
	statements := []string{"SHOW ALL SLAVES STATUS", "SET GLOBAL read_only = 1", "SET GLOBAL read_only = 0", "SET GLOBAL rpl_semi_sync_master_enabled = 1", "STOP SLAVE", "RESET SLAVE ALL"}
	for account, may := range map[string]bool{"monitor": true, "keeper": true, "service": false, "app": false} {
		conn, err := p.login("confidb_"+account, p.Password(account+"_password"), "confidb-maxscale")
		if err != nil {
			p.t.Fatal(err)
		}
		for _, statement := range statements {
			if _, err := conn.Query(p.t.Context(), statement); (err == nil) != may {
				p.t.Errorf("%s: %s: got %v, want allowed: %t", account, statement, err, may)
			}
		}
		if _, err := conn.Query(p.t.Context(), "SET SESSION sql_log_bin = 0"); (err == nil) != (account == "monitor") {
			p.t.Errorf("%s writes beside the history: %v", account, err)
		}
		if _, err := conn.Query(p.t.Context(), "SELECT * FROM app.t"); (err == nil) != (account == "app") {
			p.t.Errorf("%s reads rows: %v", account, err)
		}
		conn.Close()
	}
}
