package mariadb_test

import (
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/mariadb"
	"github.com/confidb/confidb/pkg/mariadb/ask"
	"github.com/confidb/confidb/pkg/mariadb/mariadbtest"
	"github.com/confidb/confidb/pkg/promise"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/topology"
)

// beside are a primary and its replica, which run as our sessions say.
type beside struct {
	*mariadbtest.Several
}

const (
	first  = 0 // the primary
	second = 1 // its replica
)

// startBeside makes the first the primary, and the second its replica.
func startBeside(t *testing.T) *beside {
	t.Helper()
	b := &beside{must[*mariadbtest.Several](t)(mariadbtest.StartReplicated(2))}
	t.Cleanup(func() { b.Stop() })
	for at := range b.Servers {
		b.promiseNear(t, at)
	}
	b.run(t, first, "SET GLOBAL rpl_semi_sync_master_enabled = 1", "SET GLOBAL read_only = 0")
	b.follows(t)
	return b
}

// promiseNear promises of the others the name and port that they have in a test: one name
// for all, so that only the other of the two can be meant.
func (b *beside) promiseNear(t *testing.T, at int) {
	t.Helper()
	p := b.Servers[at].Promise
	if p.Replication == nil || len(p.Unclear) > 0 {
		t.Fatalf("the session of mariadb-%d promises no replication: %s", at, p.Unclear)
	}
	_, port, _ := net.SplitHostPort(b.Servers[1-at].Address)
	number := must[uint64](t)(strconv.ParseUint(port, 10, 16))
	other := p.Replication.Others[0]
	if want := b.Release.AllInstances(topology.Database)[1-at]; other.Host != want.Host || int(other.ServerID) != want.ServerID() || int(p.Replication.ServerID) != at+1 {
		t.Fatalf("mariadb-%d: got %+v", at, p.Replication)
	}
	other.Host = mariadbtest.Near
	given := b.given(t, at)
	if given == nil || given.Port != 3306 || given.CA != "/run/confidb/ca.crt" || !cmp.Equal(given.Others, p.Replication.Others) {
		t.Fatalf("mariadb-%d: the attested client is given %+v", at, given)
	}
	p.Replication.Port, p.Replication.Others = uint16(number), []promise.Peer{other}
}

// given is what the session of the attested client says of the others of a database.
func (b *beside) given(t *testing.T, at int) *promise.Replication {
	t.Helper()
	for _, image := range b.Session(topology.Client).Images {
		for _, f := range image.InjectionFiles {
			if image.Name == fmt.Sprintf("probe-%d", at) && f.Path == "/run/confidb/promise.json" {
				return must[*promise.Promise](t)(promise.Parse([]byte(*f.Content))).Replication
			}
		}
	}
	return nil
}

func (b *beside) run(t *testing.T, at int, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if err := b.Servers[at].Exec(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// follows tells the replica to follow the primary as MaxScale does, with changes, and waits
// until it acknowledges. more are further statements, before it starts.
func (b *beside) follows(t *testing.T, changes ...string) {
	t.Helper()
	b.follow(t, strings.NewReplacer(changes...))
	b.await(t, "the replica acknowledges", first, "RPL_SEMI_SYNC_MASTER_CLIENTS", "1")
	b.await(t, "the replica is connected", second, "RPL_SEMI_SYNC_SLAVE_STATUS", "ON")
}

func (b *beside) follow(t *testing.T, changes *strings.Replacer) {
	t.Helper()
	b.run(t, second, "STOP SLAVE", "RESET SLAVE ALL", changes.Replace(b.changeMaster(second)), "START ALL SLAVES")
}

// changeMaster is the statement by which MaxScale tells one of them to follow the other.
func (b *beside) changeMaster(at int) string {
	_, port, _ := net.SplitHostPort(b.Servers[1-at].Address)
	return b.Servers[at].Moved(fmt.Sprintf("CHANGE MASTER '' TO MASTER_HOST = '%s', MASTER_PORT = %s, MASTER_USE_GTID = current_pos, MASTER_SSL = 1, MASTER_SSL_CA='/run/confidb/ca.crt', MASTER_SSL_CERT='/run/confidb/repl.crt', MASTER_SSL_KEY='/run/confidb/repl.key', MASTER_SSL_VERIFY_SERVER_CERT=1, MASTER_CONNECT_RETRY=2, MASTER_USER = 'confidb_repl', MASTER_PASSWORD = '%s'",
		mariadbtest.Near, port, b.Password("repl_password")))
}

// await waits until a figure of a server is as wanted.
func (b *beside) await(t *testing.T, what string, at int, name, want string) {
	t.Helper()
	var got string
	for begun := time.Now(); time.Since(begun) < 30*time.Second; time.Sleep(20 * time.Millisecond) {
		rows, err := b.Servers[at].Admin.Query(t.Context(), "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = '"+name+"'")
		if err != nil {
			t.Fatal(err)
		}
		if got = rows.Values[0][0].Text; got == want {
			return
		}
	}
	t.Fatalf("%s: %s is %q", what, name, got)
}

// target asks one of them, as the attested client.
func (b *beside) target(t *testing.T, at int) mariadb.Target {
	t.Helper()
	i, one := b.Release.AllInstances(topology.Database)[at], b.Servers[at]
	return mariadb.Target{Address: one.Address, ServerName: i.Host, CA: one.CA.Certificate,
		Account: mariadbtest.Account, Password: b.Password("verify_password"), Certificate: must[tls.Certificate](t)(b.Client("confidb-verify")),
		Subject: mariadbtest.Subject, Issuer: mariadbtest.Issuer, KeyDirectory: one.KeyDirectory, Now: time.Now, Wait: wait, Random: rand.Reader,
		Promise: one.Promise, Passwords: passwordsOf(t, b.Several, i), StartSecret: mariadbtest.StartSecret, Verifier: strings.Repeat("1a", 16)}
}

// impostors are certificates with which nobody is let in.
func (b *beside) impostors(t *testing.T) mariadb.Impostors {
	t.Helper()
	certificate := func(pair tls.Certificate, err error) *tls.Certificate {
		return new(must[tls.Certificate](t)(pair, err))
	}
	foreign := must[*mariadbtest.Authority](t)(mariadbtest.NewAuthority("confidb-ca"))
	return mariadb.Impostors{Foreign: certificate(foreign.Client("confidb-verify")), Expired: certificate(b.CA.ClientUntil("confidb-verify", time.Now().Add(-time.Minute))),
		WrongRole: certificate(b.CA.Server("confidb-verify", "wrong-role.invalid")), Stranger: certificate(b.Client("confidb-stranger"))}
}

// TestBeside: a primary and its replica are what their session promises, whoever of them is
// asked; what is tried on them afterwards is found by the checks that it concerns, on that
// one.
func TestBeside(t *testing.T) {
	b := startBeside(t)
	t.Run("as promised", b.asPromised)
	t.Run("marks", b.marks)
	t.Run("roles", b.roles)
	t.Run("rights", b.rights)
	t.Run("neighbours", b.neighbours)
	t.Run("sources", b.sources)
	t.Run("the other way round", b.turned)
}

// TestPlaces: what a database says of how far it is tells a replica that lags from one that has a
// commit of its own. Whoever has the statements of both compares (pkg/verify).
func TestPlaces(t *testing.T) {
	b := startBeside(t)
	end := func(at int) ask.Replication {
		return mariadb.Ask(t.Context(), t, b.target(t, at)).Replication().End
	}
	b.run(t, second, "STOP SLAVE SQL_THREAD")
	b.run(t, first, "CREATE TABLE app.places (n INT)", "INSERT INTO app.places VALUES (1)")
	if had, has := end(first), end(second); has.Applied == had.Written || !strings.HasPrefix(had.Written, "0-1-") {
		t.Errorf("a replica that applies nothing is at %+v, the primary at %+v", has, had)
	}
	wantOf(t, b, second, "rep-01", check.Fail, `Slave_SQL_Running="No"`)
	b.run(t, second, "START SLAVE SQL_THREAD", "SELECT MASTER_GTID_WAIT('"+end(first).Written+"', 30)")
	if had, has := end(first), end(second); has.Applied != had.Written || has.Written != had.Written {
		t.Errorf("a replica that has all is at %+v, the primary at %+v", has, had)
	}
	b.run(t, second, "SET SESSION sql_log_bin=1", "FLUSH TABLES") // it is logged, as the replica's own
	if had, has := end(first), end(second); !strings.HasPrefix(has.Written, "0-2-") || has.Applied != had.Written {
		t.Errorf("a replica with a commit of its own is at %+v, the primary at %+v", has, had)
	}
}

// unlike are the findings that do not pass.
func unlike(t *testing.T, report check.Report) map[string]check.Outcome {
	t.Helper()
	got := map[string]check.Outcome{}
	for _, f := range report {
		if f.Outcome != check.Pass {
			t.Logf("%s %s %s: got %q, want %q: %s", f.ID, f.Outcome, f.Subject, f.Got, f.Want, f.Reason)
			got[f.ID] = f.Outcome
		}
	}
	return got
}

func (b *beside) asPromised(t *testing.T) {
	// that a replica is left no mark, and none is looked for yet, is no pass
	for at, want := range []map[string]check.Outcome{first: {}, second: {"data-02": check.Skip}} {
		report := mariadb.Observe(t.Context(), b.target(t, at), b.impostors(t)).Report()
		if diff := cmp.Diff(want, unlike(t, report)); diff != "" || len(report) < 47 {
			t.Errorf("mariadb-%d, of %d findings (-want +got):\n%s", at, len(report), diff)
		}
	}
	wantOf(t, b, first, "rep-02", check.Pass, "primary, followed by 1")
	wantOf(t, b, second, "rep-01", check.Pass, "it follows")
	wantOf(t, b, second, "rep-02", check.Pass, "replica")
}

func wantOf(t *testing.T, b *beside, at int, id string, want check.Outcome, mention string) {
	t.Helper()
	outcome, said, all := mariadb.Ask(t.Context(), t, b.target(t, at)).Conclude(id)
	if outcome != want || !strings.Contains(said+strings.Join(all, "\n"), mention) {
		t.Errorf("mariadb-%d: %s: got %v (%s) %q, want %v that mentions %q", at, id, outcome, said, all, want, mention)
	}
}

// marks: what is left at the primary is looked for at the replica, which is left none.
func (b *beside) marks(t *testing.T) {
	tried := b.impostors(t)
	left := mariadb.Observe(t.Context(), b.target(t, first), tried).Witness()
	if left.Written.Number == 0 {
		t.Fatalf("at the primary: got %+v", left)
	}
	b.caughtUp(t)
	target := b.target(t, second)
	for name, c := range map[string]struct {
		asked   string
		want    check.Outcome
		mention string
	}{
		"the mark of the primary": {left.Written.Digest, check.Pass, "8 new connections find the mark"},
		"none":                    {"", check.Skip, "no earlier mark"},
		"one that nobody left":    {strings.Repeat("0f", 32), check.Skip, "does not hold the mark"},
	} {
		target.Asked = c.asked
		seen := mariadb.Observe(t.Context(), target, tried)
		f, _ := seen.Report().Find("data-02")
		if f.Outcome != c.want || !strings.Contains(f.Reason, c.mention) {
			t.Errorf("%s: got %v %s", name, f.Outcome, f.Reason)
		}
		if w := seen.Witness(); w.Found != (c.want == check.Pass) || w.Written.Number != 0 || !w.Read || w.Problem == "" || w.Validate() != nil {
			t.Errorf("%s: got %+v", name, w)
		}
	}
	b.run(t, second, "SET SESSION sql_log_bin=0", "SET GLOBAL read_only=0", "DROP TABLE confidb_verify.marks", "SET GLOBAL read_only=1", "SET SESSION sql_log_bin=1")
	f, _ := mariadb.Observe(t.Context(), target, tried).Report().Find("data-02")
	if f.Outcome != check.Skip || !strings.Contains(f.Reason, "no table") {
		t.Errorf("without the table: got %v %s", f.Outcome, f.Reason)
	}
	b.run(t, second, "SET SESSION sql_log_bin=0", "CREATE TABLE confidb_verify.marks (id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, verifier CHAR(32) NOT NULL, mark CHAR(64) NOT NULL, KEY (verifier)) ENGINE=InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin", "SET SESSION sql_log_bin=1")
}

// caughtUp waits until the replica has what the primary has.
func (b *beside) caughtUp(t *testing.T) {
	t.Helper()
	rows, err := b.Servers[first].Admin.Query(t.Context(), "SELECT @@GLOBAL.gtid_binlog_pos")
	if err != nil {
		t.Fatal(err)
	}
	rows, err = b.Servers[second].Admin.Query(t.Context(), "SELECT MASTER_GTID_WAIT('"+rows.Values[0][0].Text+"', 20)")
	if err != nil || rows.Values[0][0].Text != "0" {
		t.Fatalf("the replica does not catch up: %v, %v", rows, err)
	}
}

// sources: each thing that can be otherwise in how a replica follows.
func (b *beside) sources(t *testing.T) {
	for _, c := range []struct {
		name    string
		changes []string // of the statement by which it follows
		before  []string // is done before it starts
		do      []string // is done afterwards
		undo    []string
		want    check.Outcome
		mention string
	}{
		{name: "in clear", changes: []string{"MASTER_SSL = 1", "MASTER_SSL = 0"}, want: check.Fail, mention: `Master_SSL_Allowed="No"`},
		{name: "whoever answers", changes: []string{"VERIFY_SERVER_CERT=1", "VERIFY_SERVER_CERT=0"}, want: check.Fail, mention: `Master_SSL_Verify_Server_Cert="No"`},
		{name: "another CA", changes: []string{"/ca.crt", "/other.crt"}, want: check.Fail, mention: "Master_SSL_CA_File="},
		{name: "no certificate", changes: []string{"MASTER_SSL_CERT='", "MASTER_SSL_CERT='/tmp"}, want: check.Fail, mention: "Master_SSL_Cert="},
		{name: "another key", changes: []string{"/repl.key", "/server.key"}, want: check.Fail, mention: "Master_SSL_Key="},
		{name: "elsewhere", changes: []string{mariadbtest.Near, "192.0.2.1"}, want: check.Fail, mention: `Master_Host="192.0.2.1"`},
		{name: "another port", changes: []string{"MASTER_PORT = ", "MASTER_PORT = 1"}, want: check.Fail, mention: "Master_Port="},
		{name: "another account", changes: []string{"confidb_repl", "confidb_app"}, want: check.Fail, mention: `Master_User="confidb_app"`},
		{name: "by positions", changes: []string{"MASTER_USE_GTID = current_pos", "MASTER_USE_GTID = no"}, want: check.Fail, mention: `Using_Gtid="No"`},
		{name: "late", changes: []string{"MASTER_CONNECT_RETRY=2", "MASTER_CONNECT_RETRY=2, MASTER_DELAY=3600"}, want: check.Fail, mention: `SQL_Delay="3600"`},
		{name: "without some servers", changes: []string{"MASTER_CONNECT_RETRY=2", "MASTER_CONNECT_RETRY=2, IGNORE_SERVER_IDS=(7)"}, want: check.Fail, mention: "Replicate_Ignore_Server_Ids="},
		{name: "without some domains", changes: []string{"MASTER_CONNECT_RETRY=2", "MASTER_CONNECT_RETRY=2, IGNORE_DOMAIN_IDS=(7)"}, want: check.Fail, mention: "Replicate_Ignore_Domain_Ids="},
		{name: "with a name", changes: []string{"CHANGE MASTER ''", "CHANGE MASTER 'x'"}, undo: []string{"RESET SLAVE 'x' ALL"}, want: check.Fail, mention: `Connection_name="x"`},
		{name: "a second one", do: []string{"CHANGE MASTER 'x' TO MASTER_HOST='192.0.2.1'"}, undo: []string{"RESET SLAVE 'x' ALL"}, want: check.Fail, mention: "2 connections"},
		{name: "until somewhere", do: []string{"STOP SLAVE", "START SLAVE UNTIL MASTER_GTID_POS='0-1-999'"}, want: check.Fail, mention: "Until_Condition="},
		{name: "without some databases", do: []string{"STOP SLAVE", "SET GLOBAL replicate_ignore_db='confidb_verify'", "START SLAVE"}, undo: []string{"STOP SLAVE", "SET GLOBAL replicate_ignore_db=''"}, want: check.Fail, mention: "Replicate_Ignore_DB="},
		{name: "with some tables", do: []string{"STOP SLAVE", "SET GLOBAL replicate_wild_do_table='app.%'", "START SLAVE"}, undo: []string{"STOP SLAVE", "SET GLOBAL replicate_wild_do_table=''"}, want: check.Fail, mention: "Replicate_Wild_Do_Table="},
		{name: "nothing is applied", do: []string{"STOP SLAVE SQL_THREAD"}, want: check.Fail, mention: `Slave_SQL_Running="No"`},
		{name: "nothing is received", do: []string{"STOP SLAVE IO_THREAD"}, want: check.Fail, mention: `Slave_IO_Running="No"`},
		{name: "both stand still", do: []string{"STOP SLAVE"}, want: check.Skip, mention: "both of its threads"},
		{name: "nobody", do: []string{"STOP SLAVE", "RESET SLAVE ALL"}, want: check.Skip, mention: "neither the primary nor a replica"},
		{name: "the password is wrong", changes: []string{b.Password("repl_password"), "wrong"}, want: check.Skip, mention: "it is not connected"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.changes != nil {
				b.follow(t, strings.NewReplacer(c.changes...))
			}
			b.run(t, second, c.do...)
			wantOf(t, b, second, "rep-01", c.want, c.mention)
			if c.undo != nil {
				b.run(t, second, "STOP ALL SLAVES")
				b.run(t, second, c.undo...)
			}
			b.follows(t)
			wantOf(t, b, second, "rep-01", check.Pass, "it follows")
		})
	}
	t.Run("the primary follows", func(t *testing.T) {
		b.run(t, first, "CHANGE MASTER TO MASTER_HOST='"+mariadbtest.Near+"'")
		wantOf(t, b, first, "rep-01", check.Fail, `Master_SSL_Allowed="No"`)
		b.run(t, first, b.changeMaster(first))
		wantOf(t, b, first, "rep-01", check.Fail, "it is written to, and follows")
		wantOf(t, b, first, "rep-02", check.Fail, "it is written to, and follows")
		b.run(t, first, "RESET SLAVE ALL")
	})
	t.Run("a number that is not the peer's", func(t *testing.T) {
		peers := b.Servers[second].Promise.Replication.Others
		peers[0].ServerID = 9
		wantOf(t, b, second, "rep-01", check.Fail, `Master_Server_Id="1"`)
		peers[0].ServerID = 1
	})
}

// roles: each state between primary and replica, and each setting of theirs.
func (b *beside) roles(t *testing.T) {
	for _, c := range []struct {
		name     string
		at       int
		do, undo []string
		id       string
		want     check.Outcome
		mention  string
	}{
		{"a replica that is written to", second, []string{"SET GLOBAL read_only=0"}, []string{"SET GLOBAL read_only=1"}, "rep-02", check.Fail, "read_only=OFF, rpl_semi_sync_master_enabled=OFF"},
		{"the same by its settings", second, []string{"SET GLOBAL read_only=0"}, []string{"SET GLOBAL read_only=1"}, "set-01", check.Fail, "read_only=OFF"},
		{"a replica that was written to", second, nil, nil, "set-01", check.Pass, ""},
		{"a replica whose commits wait", second, []string{"STOP SLAVE SQL_THREAD", "SET GLOBAL rpl_semi_sync_master_enabled=1"}, []string{"SET GLOBAL rpl_semi_sync_master_enabled=0", "START SLAVE SQL_THREAD"}, "rep-02", check.Fail, "it follows another database, and its commits wait"},
		{"a replica that acknowledges nothing", second, []string{"STOP SLAVE", "SET GLOBAL rpl_semi_sync_slave_enabled=0", "START SLAVE", "DO SLEEP(1)"}, []string{"STOP SLAVE", "SET GLOBAL rpl_semi_sync_slave_enabled=1", "START SLAVE", "DO SLEEP(1)"}, "rep-02", check.Fail, "rpl_semi_sync_slave_enabled=OFF"},
		{"a setting that is no role's", second, nil, nil, "set-01", check.Fail, "rpl_semi_sync_slave_enabled=ON from SQL"},
		{"a primary that waits for nobody", first, []string{"SET GLOBAL rpl_semi_sync_master_enabled=0"}, []string{"SET GLOBAL rpl_semi_sync_master_enabled=1"}, "rep-02", check.Fail, "its commits wait for no second server"},
		{"the same by its settings", first, []string{"SET GLOBAL rpl_semi_sync_master_enabled=0"}, []string{"SET GLOBAL rpl_semi_sync_master_enabled=1"}, "set-01", check.Fail, "commits wait for no second server"},
		{"a primary that nobody writes to", first, []string{"SET GLOBAL read_only=1"}, []string{"SET GLOBAL read_only=0"}, "rep-02", check.Skip, "neither the primary nor a replica"},
		{"its settings are promised", first, []string{"SET GLOBAL read_only=1"}, []string{"SET GLOBAL read_only=0"}, "set-01", check.Pass, ""},
		{"a primary that waits a while", first, []string{"SET GLOBAL rpl_semi_sync_master_timeout=1000"}, []string{"SET GLOBAL rpl_semi_sync_master_timeout=18446744073709551615"}, "rep-02", check.Fail, "rpl_semi_sync_master_timeout=1000"},
		{"a primary that shows what may be lost", first, []string{"SET GLOBAL rpl_semi_sync_master_wait_point='AFTER_COMMIT'"}, []string{"SET GLOBAL rpl_semi_sync_master_wait_point='AFTER_SYNC'"}, "rep-02", check.Fail, "rpl_semi_sync_master_wait_point=AFTER_COMMIT"},
		{"a history beside the one", first, []string{"SET GLOBAL gtid_strict_mode=0"}, []string{"SET GLOBAL gtid_strict_mode=1"}, "rep-02", check.Fail, "gtid_strict_mode=OFF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b.run(t, c.at, c.do...)
			wantOf(t, b, c.at, c.id, c.want, c.mention)
			b.run(t, c.at, c.undo...)
		})
	}
}

// rights: who makes a database the primary may have the rights for that, and nobody else.
func (b *beside) rights(t *testing.T) {
	for _, c := range []struct{ name, do, undo, id, mention string }{
		{"another account", "GRANT READ_ONLY ADMIN ON *.* TO 'confidb_app'@'%'", "REVOKE READ_ONLY ADMIN ON *.* FROM 'confidb_app'@'%'", "acc-03", `"confidb_app"@"%": READ_ONLY ADMIN`},
		{"the monitor may do all", "GRANT SUPER ON *.* TO 'confidb_monitor'@'%'", "REVOKE SUPER ON *.* FROM 'confidb_monitor'@'%'", "acc-03", `"confidb_monitor"@"%": SUPER`},
		{"who copies has a right of the keeper's", "GRANT READ_ONLY ADMIN ON *.* TO 'confidb_seed'@'%'", "REVOKE READ_ONLY ADMIN ON *.* FROM 'confidb_seed'@'%'", "acc-03", `"confidb_seed"@"%": READ_ONLY ADMIN`},
		{"the keeper has a right of the monitor's", "GRANT BINLOG ADMIN ON *.* TO 'confidb_keeper'@'%'", "REVOKE BINLOG ADMIN ON *.* FROM 'confidb_keeper'@'%'", "acc-03", `"confidb_keeper"@"%": BINLOG ADMIN`},
		{"another one of the same name", "CREATE USER 'confidb_monitor'@'10.0.0.1' IDENTIFIED BY 'x'; GRANT BINLOG ADMIN ON *.* TO 'confidb_monitor'@'10.0.0.1'", "DROP USER 'confidb_monitor'@'10.0.0.1'", "acc-03", `"confidb_monitor"@"10.0.0.1": BINLOG ADMIN`},
		{"the monitor lacks one", "REVOKE READ_ONLY ADMIN ON *.* FROM 'confidb_monitor'@'%'", "GRANT READ_ONLY ADMIN ON *.* TO 'confidb_monitor'@'%'", "acc-04", "lacks READ_ONLY ADMIN"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b.run(t, second, "SET SESSION sql_log_bin=0")
			b.run(t, second, strings.Split(c.do, "; ")...)
			wantOf(t, b, second, c.id, check.Fail, c.mention)
			b.run(t, second, c.undo, "SET SESSION sql_log_bin=1")
		})
	}
	wantOf(t, b, second, "acc-03", check.Pass, "")
	wantOf(t, b, second, "acc-04", check.Pass, "")
}

// neighbours: more who follow than there are databases, and an account that is not for it.
func (b *beside) neighbours(t *testing.T) {
	others := b.Servers[first].Promise.Replication.Others
	b.Servers[first].Promise.Replication.Others = nil
	wantOf(t, b, first, "obj-02", check.Fail, "is replicated by 1 others: the session has 0")
	b.Servers[first].Promise.Replication.Others = others
	wantOf(t, b, first, "obj-02", check.Pass, "")
	b.follow(t, strings.NewReplacer(mariadbtest.Near, "192.0.2.1"))
	wantOf(t, b, second, "obj-02", check.Fail, `replicates from "" at "192.0.2.1"`)
	b.follows(t)
}

// turned: after a planned change both are again as promised, although each was the other.
func (b *beside) turned(t *testing.T) {
	b.run(t, first, "SET GLOBAL read_only=1", "SET GLOBAL rpl_semi_sync_master_enabled=0")
	b.run(t, second, "STOP SLAVE", "RESET SLAVE ALL", "SET GLOBAL rpl_semi_sync_master_enabled=1", "SET GLOBAL read_only=0")
	b.run(t, first, b.changeMaster(first), "START SLAVE")
	b.await(t, "the old primary acknowledges", second, "RPL_SEMI_SYNC_MASTER_CLIENTS", "1")
	b.await(t, "the old primary is connected", first, "RPL_SEMI_SYNC_SLAVE_STATUS", "ON")
	for _, id := range []string{"rep-01", "rep-02"} {
		wantOf(t, b, first, id, check.Pass, "")
	}
	wantOf(t, b, second, "rep-01", check.Pass, "")
}

// passwordsOf are those that the session gives to who asks an instance, as it reads them.
func passwordsOf(t *testing.T, cluster *mariadbtest.Several, i topology.Instance) map[string]string {
	t.Helper()
	given := map[string]string{}
	for _, image := range cluster.Session(topology.Client).Images {
		if image.Name != "probe-0" {
			continue
		}
		for _, f := range image.InjectionFiles {
			placeholders, err := session.Placeholders(*f.Content)
			if err != nil {
				t.Fatal(err)
			}
			if name, ok := strings.CutSuffix(f.Path, ".password"); ok && len(placeholders) == 1 {
				secret := strings.TrimPrefix(name, "/run/confidb/") + "_password"
				given["SCONE::"+secret+":hex"] = cluster.Password(secret)
			}
		}
	}
	for _, a := range cluster.Servers[i.Ordinal].Promise.Accounts {
		if m := a.Methods[0]; m.Secret != "" && given[m.Secret] == "" && !a.Locked {
			t.Errorf("who asks does not get the password of %s", promise.Name(a.Name))
		}
	}
	return given
}
