package route_test

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/lab/maxscale/route"
	"github.com/confidb/confidb/pkg/lab/maxscale/wire"
	"github.com/confidb/confidb/pkg/mariadb/mariadbtest"
)

// TestFailures loses servers under sessions of every kind. The servers do not replicate:
// the view says who is primary.
func TestFailures(t *testing.T) {
	set, err := mariadbtest.StartSet(3, data()...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { set.Stop() })
	for _, step := range []struct {
		name string
		run  func(*testing.T, *mariadbtest.Set)
	}{
		{"the primary", losePrimary}, {"the primary, and statements that wait", loseWithPatience}, {"a replica", loseReplica},
		{"the role", loseRole}, {"a connection", loseConnection}, {"agreement", loseAgreement}, {"the attention of the primary", loseAttention}, {"everything", loseEverything},
	} {
		t.Run(step.name, func(t *testing.T) { step.run(t, set) })
	}
}

// down kills a member, as a monitor sees it a little later.
func (p *proxy) down(t *testing.T, name, primary string, replicas ...string) {
	t.Helper()
	if err := p.member(name).Down(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.view.set(primary, replicas...)
	p.Lost(name)
	t.Cleanup(func() {
		if p.member(name).Admin == nil {
			if err := p.member(name).Up(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func (p *proxy) member(name string) *mariadbtest.Member {
	for _, m := range p.set.Members {
		if m.Name == name {
			return m
		}
	}
	return nil
}

// losePrimary is the table of what becomes of sessions, as measured.
func losePrimary(t *testing.T, set *mariadbtest.Set) {
	p := start(t, set)
	idle, writer, beginner, open, used, tables, setter := p.dial(t, as("app")), p.dial(t, as("app")), p.dial(t, as("app")), p.dial(t, as("app")), p.dial(t, as("app")), p.dial(t, as("app")), p.dial(t, as("app"))
	ask(t, idle, "SET @a=5")
	number := prepare(t, idle, "SELECT @@server_id")
	ask(t, open, "BEGIN")
	ask(t, used, "START TRANSACTION READ ONLY")
	ask(t, tables, "CREATE TEMPORARY TABLE lab.tmp (id INT)")
	ask(t, setter, "SET autocommit=0")
	flying := p.dial(t, as("app"))
	ask(t, flying, "SELECT 1")
	ended := make(chan error, 1)
	go func() {
		_, err := flying.Query(t.Context(), "INSERT INTO lab.t(text) SELECT SLEEP(30)")
		ended <- err
	}()
	eventually(t, func() bool { return ask(t, idle, "SELECT 1") == "1" && p.busy(t, "db1") })
	p.down(t, "db1", "", "db2", "db3")

	var refused *wire.Error
	if err := <-ended; err == nil || errors.As(err, &refused) {
		t.Errorf("a write in flight: %v, want the end of the connection", err)
	}
	closed(t, open, "SELECT 1")
	if !p.said("Transaction is open, closing session.") {
		t.Errorf("the log says %q", p.lines)
	}
	closed(t, tables, "INSERT INTO lab.tmp VALUES (1)")
	if !p.said("Temporary tables were lost when the connection was lost, closing session.") {
		t.Errorf("the log says %q", p.lines)
	}
	if got := ask(t, idle, "SELECT @a"); got != "5" {
		t.Errorf("an idle session reads %q", got)
	}
	ask(t, idle, "SET @b=6")
	if got := execute(t, idle, executeCommand(number, 0)); got != "2" && got != "3" {
		t.Errorf("a prepared statement is run by %s", got)
	}
	if got := ask(t, used, "SELECT 1"); got != "1" {
		t.Errorf("a transaction at a replica reads %q", got)
	}
	closed(t, writer, "INSERT INTO lab.t(text) VALUES ('lost')")
	closed(t, beginner, "BEGIN")
	closed(t, setter, "SELECT 1")
	if !p.said("Write query received from 'app'@'127.0.0.1'. Could not find a valid master connection. Closing client connection.") {
		t.Errorf("the log says %q", p.lines)
	}
	if got := ask(t, p.dial(t, as("app")), "SELECT 1"); got != "1" {
		t.Errorf("a new login reads %q", got)
	}

	p.view.set("db2", "db3")
	if got := ask(t, idle, "INSERT INTO lab.t(text) VALUES (@a + @b)"); got != "" {
		t.Error(got)
	}
	ask(t, idle, "BEGIN")
	if got := ask(t, idle, "SELECT CONCAT(@@server_id, MAX(text)) FROM lab.t"); got != "211" {
		t.Errorf("after the failover: %q", got)
	}
	ask(t, idle, "COMMIT")
}

// busy reports whether a statement that sleeps runs at a server.
func (p *proxy) busy(t *testing.T, name string) bool {
	t.Helper()
	rows, err := p.member(name).Admin.Query(t.Context(), "SELECT COUNT(*) FROM information_schema.processlist WHERE state = 'User sleep'")
	if err != nil {
		t.Fatal(err)
	}
	return rows.Values[0][0].Text == "1"
}

// eventually waits for something that comes about in another goroutine or process.
func eventually(t *testing.T, is func() bool) {
	t.Helper()
	for begun := time.Now(); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Since(begun) > 30*time.Second {
			t.Fatal("it does not come about")
		}
	}
}

// loseWithPatience: a write that comes while nobody is primary waits for one; one that was
// sent is never sent again.
func loseWithPatience(t *testing.T, set *mariadbtest.Set) {
	p := start(t, set, func(o *route.Options) { o.DelayedRetry = 20 * time.Second })
	waiting, flying := p.dial(t, as("app")), p.dial(t, as("app"))
	ask(t, waiting, "SELECT 1")
	ask(t, waiting, "TRUNCATE lab.t")
	ended, inserted := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := flying.Query(t.Context(), "INSERT INTO lab.t(text) SELECT SLEEP(30)")
		ended <- err
	}()
	eventually(t, func() bool { return p.busy(t, "db1") })
	p.down(t, "db1", "")
	var refused *wire.Error
	if err := <-ended; err == nil || errors.As(err, &refused) {
		t.Errorf("a write in flight: %v, want the end of the connection", err)
	}
	go func() {
		_, err := waiting.Query(t.Context(), "INSERT INTO lab.t(text) VALUES ('late')")
		inserted <- err
	}()
	p.view.set("db3", "db2")
	if err := <-inserted; err != nil {
		t.Errorf("a write that waits: %v", err)
	}
	rows, err := set.Members[2].Admin.Query(t.Context(), "SELECT text FROM lab.t")
	if err != nil || len(rows.Values) != 1 || rows.Values[0][0].Text != "late" {
		t.Errorf("%v, %v: want one row", rows, err)
	}
}

// loseReplica: a read of which nothing has come is read again elsewhere.
func loseReplica(t *testing.T, set *mariadbtest.Set) {
	p := start(t, set)
	conn, number := p.dial(t, as("app")), ""
	p.view.set("db1", "db2")
	ask(t, conn, "SELECT 1")
	read := make(chan error, 1)
	go func() {
		result, err := conn.Query(t.Context(), "SELECT @@server_id, SLEEP(2)")
		if err == nil {
			number = result.Rows[0][0].Text
		}
		read <- err
	}()
	eventually(t, func() bool { return p.busy(t, "db2") })
	p.down(t, "db2", "db1", "db3")
	if err := <-read; err != nil || number != "1" && number != "3" {
		t.Errorf("%s answers a read that was lost: %v", number, err)
	}
	if got := servers(t, conn, 2); got != "33" {
		t.Errorf("then %s answer", got)
	}
	ask(t, conn, "START TRANSACTION READ ONLY")
	p.down(t, "db3", "db1")
	closed(t, conn, "SELECT 1")
}

// loseRole: a transaction at a server that is primary no more is closed, and others go on
// at the new primary.
func loseRole(t *testing.T, set *mariadbtest.Set) {
	p := start(t, set)
	open, idle := p.dial(t, as("app")), p.dial(t, as("app"))
	ask(t, open, "BEGIN")
	ask(t, idle, "SELECT 1")
	p.view.set("db2", "db1", "db3")
	closed(t, open, "COMMIT")
	ask(t, idle, "BEGIN")
	if got := ask(t, idle, whoAmI); got != "2" {
		t.Errorf("%s is the primary", got)
	}
}

// loseConnection: a server that ends an idle connection is connected to again, with the
// session as it was.
func loseConnection(t *testing.T, set *mariadbtest.Set) {
	p := start(t, set)
	p.view.set("db1")
	conn := p.dial(t, as("app"))
	ask(t, conn, "SET @a=7")
	before := ask(t, conn, "SELECT CONNECTION_ID()")
	if err := set.Members[0].Exec("KILL " + before); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool {
		rows, err := set.Members[0].Admin.Query(t.Context(), "SELECT COUNT(*) FROM information_schema.processlist WHERE id = "+before)
		return err == nil && rows.Values[0][0].Text == "0"
	})
	if got := ask(t, conn, "SELECT CONCAT(@a, CONNECTION_ID() = "+before+")"); got != "70" {
		t.Errorf("then %q", got)
	}
}

// loseAgreement: a server that answers a command of the session otherwise than the primary
// is not used any more.
func loseAgreement(t *testing.T, set *mariadbtest.Set) {
	p := start(t, set)
	conn := p.dial(t, as("app"))
	if got := servers(t, conn, 2); got != "23" && got != "32" {
		t.Errorf("%s answer", got)
	}
	if err := set.Members[0].Exec("CREATE DATABASE IF NOT EXISTS onlyone"); err != nil {
		t.Fatal(err)
	}
	if err := set.Members[0].Exec("GRANT ALL ON onlyone.* TO app"); err != nil {
		t.Fatal(err)
	}
	ask(t, conn, "USE onlyone")
	if got := servers(t, conn, 3); got != "111" {
		t.Errorf("%s answer after a command that only the primary could carry out", got)
	}
}

// loseAttention stops the primary, which is not known to be down: reads go on, in new
// sessions too, and a write waits until the monitor says what is the matter.
func loseAttention(t *testing.T, set *mariadbtest.Set) {
	p := start(t, set, func(o *route.Options) {
		for i := range o.Servers {
			o.Servers[i].Timeout = time.Hour // who waits for the primary waits long
		}
	})
	writer := p.dial(t, as("app"))
	eventually(t, func() bool { return ask(t, writer, "SELECT 1") == "1" && p.Connections("db1") == 1 })
	if err := set.Members[0].Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer set.Members[0].Signal(syscall.SIGCONT)
	ended := make(chan error, 1)
	go func() {
		_, err := writer.Query(t.Context(), "INSERT INTO lab.t(text) VALUES ('late')")
		ended <- err
	}()
	conn := p.dial(t, as("app"))
	patient, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for range 3 {
		if result, err := conn.Query(patient, whoAmI); err != nil || result.Rows[0][0].Text == "1" {
			t.Errorf("a read while the primary hangs: %v, %v", result, err)
		}
	}
	p.view.set("", "db2", "db3")
	p.Lost("db1")
	var refused *wire.Error
	if err := <-ended; err == nil || errors.As(err, &refused) {
		t.Errorf("a write in flight: %v, want the end of the connection", err)
	}
}

func loseEverything(t *testing.T, set *mariadbtest.Set) {
	p := start(t, set)
	conn := p.dial(t, as("app"))
	ask(t, conn, "SELECT 1")
	p.view.set("")
	closed(t, conn, "SELECT 1")
	closed(t, p.dial(t, as("app")), "SELECT 1")
	if !p.said("No server is left") || strings.Contains(strings.Join(p.lines, ""), "pw-") {
		t.Errorf("the log says %q", p.lines)
	}
}
