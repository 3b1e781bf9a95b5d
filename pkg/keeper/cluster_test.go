package keeper

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/mariadb/mariadbtest"
	"github.com/confidb/confidb/pkg/mysql"
)

const (
	password       = mariadbtest.Password
	mariadbAccount = mariadbtest.Account
)

// members are the accounts of a replicated database beside those of a single one. The
// keeper has no right that it does not need: RESET SLAVE takes RELOAD.
const members = `CREATE OR REPLACE USER 'confidb_repl'@'%' IDENTIFIED BY '` + password + `' REQUIRE SUBJECT '/CN=confidb-repl' AND ISSUER '/CN=confidb-ca';
GRANT REPLICATION SLAVE ON *.* TO 'confidb_repl'@'%';
CREATE OR REPLACE USER 'confidb_peer'@'%' IDENTIFIED BY '` + password + `' REQUIRE SUBJECT '/CN=confidb-peer' AND ISSUER '/CN=confidb-ca';
CREATE OR REPLACE USER 'confidb_keeper'@'%' IDENTIFIED BY '` + password + `' REQUIRE SUBJECT '/CN=confidb-maxscale' AND ISSUER '/CN=confidb-ca';
GRANT SLAVE MONITOR, REPLICATION SLAVE ADMIN, READ_ONLY ADMIN, REPLICATION MASTER ADMIN, RELOAD ON *.* TO 'confidb_keeper'@'%';
`

// settings are those of a member, which is a replica that nobody may write to until it is
// told otherwise.
func settings(id int) []string {
	return []string{"server_id = " + strconv.Itoa(id), "read_only = ON", "log_slave_updates = ON", "relay_log = relay", "sync_binlog = 1", "sync_relay_log = 1",
		"sync_master_info = 1", "gtid_strict_mode = ON", "innodb_flush_log_at_trx_commit = 1", "master_verify_checksum = ON", "slave_sql_verify_checksum = ON",
		"rpl_semi_sync_slave_enabled = ON", "rpl_semi_sync_master_wait_point = AFTER_SYNC", "rpl_semi_sync_master_timeout = 18446744073709551615",
		"rpl_semi_sync_master_wait_no_slave = ON", "slave_net_timeout = 10", "expire_logs_days = 7"}
}

// slave makes a server truncate what its binary log has and its tables have not.
const slave = "init_rpl_role = SLAVE"

// cluster are three members on loopback, which have one CA and one session.
type cluster struct {
	servers []*mariadbtest.Server
	logs    []string // folders of InnoDB's logs
}

// moveLog moves InnoDB's log of a server to a folder that is on a disk: in /dev/shm InnoDB
// maps it, so that what is not flushed is there after a kill too.
func (c *cluster) moveLog(s *mariadbtest.Server) error {
	folder, err := os.MkdirTemp("", "keeper")
	if err != nil {
		return err
	}
	c.logs = append(c.logs, folder)
	if err := s.Shut(); err != nil {
		return err
	}
	log, err := os.ReadFile(s.Path("ib_logfile0"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(folder+"/ib_logfile0", log, 0o600); err != nil {
		return err
	}
	return errors.Join(os.Remove(s.Path("ib_logfile0")), s.Own(folder))
}

// settings are those of a member, which is a replica that nobody may write to until it is
// told otherwise.
func (c *cluster) settings(i int) []string {
	return append(settings(i+1), "innodb_log_group_home_dir = "+c.logs[i])
}

func startCluster() (*cluster, error) {
	first, err := mariadbtest.Start()
	if err != nil {
		return nil, err
	}
	c := &cluster{servers: []*mariadbtest.Server{first}}
	for len(c.servers) < 3 {
		last := c.servers[len(c.servers)-1]
		if err := last.Down(syscall.SIGTERM); err != nil {
			return c, err
		}
		next, err := last.Twin()
		if err != nil {
			return c, err
		}
		c.servers = append(c.servers, next)
	}
	for i, s := range c.servers {
		if err := join(s); err != nil {
			return c, err
		}
		if err := c.moveLog(s); err != nil {
			return c, err
		}
		if err := s.Restart(c.settings(i)...); err != nil {
			return c, err
		}
	}
	return c, nil
}

// join gives a server the accounts of a member, and the certificate of a replica.
func join(s *mariadbtest.Server) error {
	pair, err := s.CA.Client("confidb-repl")
	if err != nil {
		return err
	}
	certificate, key, err := mariadbtest.PEM(pair)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(s.Path("enclave/accounts.sql"))
	if err != nil {
		return err
	}
	const last = "DELIMITER ;\n"
	accounts, administrator, found := strings.Cut(string(text), last)
	if !found {
		return fmt.Errorf("the init file has no %q", last)
	}
	for name, content := range map[string][]byte{"accounts.sql": []byte(accounts + last + members + monitorAccount + administrator), "repl.crt": certificate, "repl.key": key} {
		if err := os.WriteFile(s.Path("enclave/"+name), content, 0o600); err != nil {
			return err
		}
		if err := s.Own(s.Path("enclave/" + name)); err != nil {
			return err
		}
	}
	return nil
}

func (c *cluster) stop() {
	for _, s := range c.servers {
		s.Stop()
	}
	for _, folder := range c.logs {
		os.RemoveAll(folder)
	}
}

// kill ends servers at once, as a power cut does.
func (c *cluster) kill(servers ...int) {
	var ending sync.WaitGroup
	for _, i := range servers {
		ending.Go(func() { c.servers[i].Down(syscall.SIGKILL) })
	}
	ending.Wait()
}

// start starts servers that are down, with further settings.
func (c *cluster) start(t *testing.T, servers []int, lines ...string) {
	t.Helper()
	var starting sync.WaitGroup
	for _, i := range servers {
		starting.Go(func() {
			if err := c.servers[i].Restart(append(c.settings(i), lines...)...); err != nil {
				t.Error(err)
			}
		})
	}
	starting.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// run runs statements as the administrator.
func (c *cluster) run(t *testing.T, i int, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if err := c.servers[i].Exec(statement); err != nil {
			t.Fatalf("server %d: %s: %v", i, statement, err)
		}
	}
}

// value is the first value of a row with this column, or empty.
func (c *cluster) value(t *testing.T, i int, statement, column string) string {
	t.Helper()
	rows, err := c.servers[i].Admin.Query(t.Context(), statement)
	if err != nil {
		t.Fatalf("server %d: %s: %v", i, statement, err)
	}
	at := 0
	if column != "" {
		if at, err = rows.Column(column); err != nil {
			t.Fatal(err)
		}
	}
	if len(rows.Values) == 0 {
		return ""
	}
	return rows.Values[0][at].Text
}

func (c *cluster) status(t *testing.T, i int, name string) string {
	t.Helper()
	return c.value(t, i, "SHOW GLOBAL STATUS LIKE '"+name+"'", "Value")
}

// follow makes a server replicate from another, as MaxScale does. The name of the other
// is not verified: on loopback it has none.
func (c *cluster) follow(t *testing.T, i, primary int) {
	t.Helper()
	host, port, _ := net.SplitHostPort(c.servers[primary].Address)
	directory := c.servers[i].KeyDirectory
	c.run(t, i, "STOP SLAVE", fmt.Sprintf("CHANGE MASTER TO MASTER_HOST='%s', MASTER_PORT=%s, MASTER_USE_GTID=current_pos, MASTER_SSL=1, MASTER_SSL_CA='%sca.crt', MASTER_SSL_CERT='%srepl.crt', MASTER_SSL_KEY='%srepl.key', MASTER_CONNECT_RETRY=1, MASTER_USER='confidb_repl', MASTER_PASSWORD='%s'",
		host, port, directory, directory, directory, password), "START SLAVE")
}

// open makes a server one that is written to, by hand.
func (c *cluster) open(t *testing.T, i int) {
	t.Helper()
	c.run(t, i, "STOP SLAVE", "RESET SLAVE ALL", "SET GLOBAL rpl_semi_sync_master_enabled=1", "SET GLOBAL read_only=0")
}

// await waits until a question is answered as it should be.
func (c *cluster) await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for begun := time.Now(); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Since(begun) > 20*time.Second {
			t.Fatalf("%s: not within 20 s; %s", what, c.state())
		}
	}
}

// awaitClients waits until a primary has n replicas that acknowledge.
func (c *cluster) awaitClients(t *testing.T, primary, n int) {
	t.Helper()
	c.await(t, "replicas that acknowledge", func() bool { return c.status(t, primary, "Rpl_semi_sync_master_clients") == strconv.Itoa(n) })
}

func (c *cluster) roots() *x509.CertPool {
	roots := x509.NewCertPool()
	roots.AddCert(c.servers[0].CA.Certificate)
	return roots
}

// login is one at a server, with a certificate of this common name.
func (c *cluster) login(t *testing.T, i int, account, commonName string) mysql.Login {
	t.Helper()
	roots := c.roots()
	pair, err := c.servers[0].CA.Client(commonName)
	if err != nil {
		t.Fatal(err)
	}
	return mysql.Login{Address: c.servers[i].Address, Account: account, Password: password,
		TLS: &tls.Config{RootCAs: roots, ServerName: mariadbtest.ServerName, Certificates: []tls.Certificate{pair}}}
}

// ledger writes n rows, one after the other, and returns those whose commit was acknowledged.
func (c *cluster) ledger(t *testing.T, primary, from, n int) (acknowledged []int) {
	t.Helper()
	for id := from; id < from+n; id++ {
		c.run(t, primary, fmt.Sprintf("INSERT INTO app.ledger VALUES (%d)", id))
		acknowledged = append(acknowledged, id)
	}
	return acknowledged
}

// missing are the rows of a ledger that a server has not.
func (c *cluster) missing(t *testing.T, i int, acknowledged []int) (missing []int) {
	t.Helper()
	rows, err := c.servers[i].Admin.Query(t.Context(), "SELECT id FROM app.ledger")
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, row := range rows.Values {
		there[row[0].Text] = true
	}
	for _, id := range acknowledged {
		if !there[strconv.Itoa(id)] {
			missing = append(missing, id)
		}
	}
	return missing
}

// telling are the columns that say most.
func telling() []string {
	return []string{"COUNT(*)", "COALESCE(MAX(id),0)", "@@read_only", "@@gtid_binlog_state", "@@gtid_slave_pos", "@@rpl_semi_sync_master_enabled", "Slave_IO_Running", "Slave_SQL_Running",
		"Last_IO_Error", "Last_SQL_Error", "Gtid_IO_Pos", "Slave_SQL_Running_State"}
}

// state is what the members say of themselves, for who reads of a failure.
func (c *cluster) state() (said string) {
	for i, s := range c.servers {
		if s.Admin == nil {
			continue
		}
		for _, question := range []string{"SELECT COUNT(*), COALESCE(MAX(id),0) FROM app.ledger", "SELECT @@read_only, @@gtid_binlog_state, @@gtid_slave_pos, @@rpl_semi_sync_master_enabled", "SHOW ALL SLAVES STATUS"} {
			rows, err := s.Admin.Query(context.Background(), question)
			if err != nil {
				said += fmt.Sprintf("\n%d: %v", i, err)
				continue
			}
			for _, row := range rows.Values {
				for k, column := range rows.Columns {
					if text := row[k].Text; text != "" && slices.Contains(telling(), column) {
						said += fmt.Sprintf("\n%d: %s = %s", i, column, text)
					}
				}
			}
		}
	}
	return said
}

// ask is the second value of the first row of an answer, from a connection of its own.
func (c *cluster) ask(t *testing.T, login mysql.Login, question string) string {
	t.Helper()
	conn, attempt := mysql.Connect(t.Context(), login)
	if conn == nil {
		t.Fatal(attempt.Err)
	}
	defer conn.Close()
	rows, err := conn.Query(t.Context(), question)
	if err != nil {
		t.Fatal(err)
	}
	return rows.Values[0][1].Text
}

// awaitEqual waits until all members give the same answer.
func (c *cluster) awaitEqual(t *testing.T, question string) {
	t.Helper()
	c.await(t, "the same on all: "+question, func() bool {
		first := c.value(t, 0, question, "")
		return c.value(t, 1, question, "") == first && c.value(t, 2, question, "") == first
	})
}

// steady is a MaxScale that holds the locks, and does nothing.
type steady struct {
	of       Monitor
	switchTo func(to, from string) error
}

func (m *steady) Monitor(context.Context) (Monitor, error) { return m.of, nil }

func (m *steady) Switchover(_ context.Context, to, from string) error {
	if m.switchTo == nil {
		return errors.New("nobody asked for a switchover")
	}
	return m.switchTo(to, from)
}

// keeper is one of a cluster, beside a MaxScale that holds the locks.
func (c *cluster) keeper(t *testing.T) (*Keeper, *steady) {
	t.Helper()
	beside := &steady{of: Monitor{Primary: true, Idle: true, Servers: []string{"mariadb-0", "mariadb-1", "mariadb-2"}}}
	k := &Keeper{MaxScale: beside, Now: clock(), Say: func(text string) { t.Log(text) }}
	for i := range c.servers {
		k.Members = append(k.Members, Member{Ordinal: i, Name: fmt.Sprintf("mariadb-%d", i), Login: c.login(t, i, "confidb_keeper", "confidb-maxscale")})
	}
	return k, beside
}

// elect lets a keeper work until one member is written to, and makes the others follow it as
// MaxScale does.
func (c *cluster) elect(t *testing.T) (primary int) {
	t.Helper()
	k, _ := c.keeper(t)
	primary = -1
	c.await(t, "one that is written to", func() bool {
		k.Round(t.Context())
		primary = c.written(t)
		return primary >= 0
	})
	for i := range c.servers {
		if i != primary {
			c.follow(t, i, primary)
		}
	}
	c.awaitClients(t, primary, 2)
	c.awaitEqual(t, "SELECT COUNT(*) FROM app.ledger")
	for i := range c.servers {
		want := "0"
		if i == primary {
			want = "1"
		}
		if got := c.value(t, i, "SELECT @@rpl_semi_sync_master_enabled", ""); got != want {
			t.Errorf("server %d: rpl_semi_sync_master_enabled is %s, want %s", i, got, want)
		}
	}
	return primary
}

// written is the only member that is written to; -1 if there is none.
func (c *cluster) written(t *testing.T) int {
	t.Helper()
	found := -1
	for i := range c.servers {
		if c.value(t, i, "SELECT @@read_only", "") == "0" {
			if found >= 0 {
				t.Fatalf("%d and %d are written to", found, i)
			}
			found = i
		}
	}
	return found
}

// switchTo makes a member the primary, by hand and without a loss.
func (c *cluster) switchTo(t *testing.T, from, to int) {
	t.Helper()
	if from != to {
		c.run(t, from, "SET GLOBAL read_only=1", "SET GLOBAL rpl_semi_sync_master_enabled=0")
		c.awaitEqual(t, "SELECT @@gtid_binlog_pos")
	}
	c.open(t, to)
	for i := range c.servers {
		if i != to {
			c.follow(t, i, to)
		}
	}
	c.awaitClients(t, to, 2)
}
