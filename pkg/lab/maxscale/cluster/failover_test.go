package cluster

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
)

// The lines of a failover by the holder of the locks, and those of the other monitor.
func TestFailoverLog(t *testing.T) {
	w := newWorld(3)
	a := w.monitor(w.settings())
	other := newLog(w, w.settings())
	w.ticks(5, a, other.Monitor)
	w.log, w.run, other.lines = nil, nil, nil
	w.fail("db1")
	w.ticks(5, a, other.Monitor)
	const want = `error Monitor was unable to connect to server db1[127.0.0.1:3301] : 'Can't connect to server on '127.0.0.1''
notice Server changed state: db1[127.0.0.1:3301]: master_down. [Master, Running] -> [Down]
warning [mariadbmon] Primary has failed. If primary does not return in 2 monitor tick(s), failover begins.
notice [mariadbmon] Selecting a server to promote and replace 'db1'. Candidates are: 'db2', 'db3'.
notice [mariadbmon] Selected 'db2'.
notice [mariadbmon] Performing automatic failover to replace failed primary 'db1'.
notice [mariadbmon] Executing sql queries from file 'promote.sql' on server 'db2'.
notice [mariadbmon] Redirecting 'db3' to replicate from 'db2' instead of 'db1'.
notice [mariadbmon] All redirects successful.
notice [mariadbmon] All redirected slaves successfully started replication from 'db2'.
notice [mariadbmon] Failover 'db1' -> 'db2' performed.
notice Server changed state: db2[127.0.0.1:3302]: new_master. [Slave, Running] -> [Master, Running]
`
	if got := w.logged(); got != want {
		t.Errorf("the log is\n%s\nwant\n%s", got, want)
	}
	const secondary = `notice Server changed state: db2[127.0.0.1:3302]: lost_slave. [Slave, Running] -> [Running]
notice Server changed state: db3[127.0.0.1:3303]: lost_slave. [Slave, Running] -> [Running]
warning [mariadbmon] The current primary server 'db1' is no longer valid because it has been down over 3 (failcount) monitor updates and it does not have any running slaves. Selecting new primary server.
notice [mariadbmon] Setting 'db2' as primary.
`
	if got := strings.Join(other.lines, "\n") + "\n"; !strings.Contains(got, secondary) {
		t.Errorf("the log of the other is\n%s\nwant\n%s", got, secondary)
	}
	statements := []string{
		"db2: STOP SLAVE ''", "db2: RESET SLAVE '' ALL", "db2: SET GLOBAL read_only=0", "db2: SET GLOBAL rpl_semi_sync_master_enabled=1",
		"db3: STOP SLAVE ''", "db3: CHANGE MASTER '' TO MASTER_HOST='127.0.0.1', MASTER_PORT=3302, MASTER_USE_GTID = current_pos, MASTER_USER='repl', MASTER_PASSWORD='s3cret'", "db3: START SLAVE ''",
	}
	if !slices.Equal(w.run, statements) {
		t.Errorf("run %q", w.run)
	}
	wantStates(t, a, "Down", "Master, Running", "Slave, Running")
	wantStates(t, other.Monitor, "Down", "Master, Running", "Slave, Running")
}

// logging is a monitor with a log of its own.
type logging struct {
	*Monitor
	lines []string
}

func newLog(w *world, s Settings) *logging {
	l, env := &logging{}, w.env()
	env.Log = func(level Level, text string) { l.lines = append(l.lines, string(level)+" "+text) }
	l.Monitor = New(s, env, Remembered{})
	return l
}

func TestWhoIsPromoted(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(w *world, s *Settings)
		want    string
	}{
		"the first":             {func(*world, *Settings) {}, "db2"},
		"who has received more": {func(w *world, _ *Settings) { w.servers["db3"].ioPos, w.servers["db3"].current = "0-1-11", "0-1-11" }, "db3"},
		"who has applied more": {func(w *world, _ *Settings) {
			w.servers["db2"].current = "0-1-9"
			w.servers["db2"].ioPos = "0-1-9"
			w.servers["db3"].ioPos = "0-1-9"
		}, "db3"},
		"not one that may not":              {func(_ *world, s *Settings) { s.ServersNoPromotion = []string{"db2"} }, "db3"},
		"not one without a position":        {func(w *world, _ *Settings) { w.servers["db2"].current, w.servers["db2"].ioPos = "", "" }, "db3"},
		"not one whose threads have ended":  {func(w *world, _ *Settings) { w.servers["db2"].io = "No" }, "db3"},
		"not one with a relay log to apply": {func(w *world, _ *Settings) { w.servers["db2"].ioPos = "0-1-12" }, ""},
	} {
		w := newWorld(3)
		s := w.settings()
		c.prepare(w, &s)
		m := w.monitor(s)
		w.ticks(5, m)
		w.fail("db1")
		w.ticks(4, m)
		if got := m.View().Master; got != c.want {
			t.Errorf("%s: %q is primary, want %q\n%s", name, got, c.want, w.logged())
		}
	}
}

func TestFailoverIsRefused(t *testing.T) {
	t.Run("no replica runs", func(t *testing.T) {
		w := newWorld(3)
		m := w.monitor(w.settings())
		w.ticks(5, m)
		w.servers["db2"].io, w.servers["db3"].io = "No", "No"
		w.fail("db1")
		w.ticks(8, m)
		w.wantLog(t, "'db1' does not have any slaves to promote.", "Could not autoselect promotion target for failover.", "Not performing automatic failover. Will keep retrying with most error messages suppressed.")
		if n := strings.Count(w.logged(), "Not performing automatic failover"); n != 1 || len(w.run) != 0 {
			t.Errorf("said %d times, run %q", n, w.run)
		}
		w.servers["db2"].io = "Connecting" // that is enough
		w.ticks(2, m)
		if got := m.View().Master; got != "db2" {
			t.Errorf("%q is primary", got)
		}
	})
	t.Run("a monitor that is new", func(t *testing.T) {
		w := newWorld(3)
		m := w.monitor(w.settings())
		w.ticks(5, m)
		w.fail("db1")
		w.tick(m)
		remembered := m.Remembered()
		for _, l := range m.links {
			l.close()
		}
		m = New(w.settings(), w.env(), remembered)
		w.ticks(20, m)
		w.wantLog(t, "Can not select 'db1' as a demotion target for failover because it does not have a 'gtid_binlog_pos' and unsafe failover is disabled.")
		if len(w.run) != 0 || m.View().Master != "" {
			t.Errorf("run %q", w.run)
		}
	})
	t.Run("before three ticks with the locks", func(t *testing.T) {
		w := newWorld(3)
		m := w.monitor(w.settings())
		w.tick(m)
		w.fail("db1")
		w.ticks(2, m)
		if len(w.run) != 0 {
			t.Errorf("run %q", w.run)
		}
		w.ticks(2, m)
		if m.View().Master != "db2" && len(w.run) == 0 {
			t.Error("nothing is done after them")
		}
	})
	t.Run("switched off", func(t *testing.T) {
		w := newWorld(3)
		s := w.settings()
		s.AutoFailover = false
		m := w.monitor(s)
		w.ticks(5, m)
		w.fail("db1")
		w.ticks(8, m)
		if len(w.run) != 0 {
			t.Errorf("run %q", w.run)
		}
	})
}

// A replica that still hears of the primary delays the failover: the monitor alone does not
// reach it.
func TestFailoverIsVerified(t *testing.T) {
	w := newWorld(3)
	m := w.monitor(w.settings())
	w.ticks(5, m)
	w.servers["db2"].beats++
	w.tick(m)
	w.servers["db1"].down = true // for the monitor, and not for the replicas
	w.servers["db1"].cut()
	w.ticks(8, m)
	if len(w.run) != 0 {
		t.Fatalf("run %q", w.run)
	}
	w.wantLog(t, "Slave 'db2' is still connected to 'db1' and received a new gtid or heartbeat event 3.0 seconds ago. Delaying failover for at least 7.0 seconds.")
	w.ticks(4, m)
	if len(w.run) == 0 {
		t.Error("nothing is done after master_failure_timeout")
	}
}

// A failover that fails is tried again after failcount ticks; the replica has stopped
// meanwhile, and is left alone.
func TestFailoverFails(t *testing.T) {
	w := newWorld(3)
	m := w.monitor(w.settings())
	w.ticks(5, m)
	w.servers["db2"].refuses["RESET SLAVE"] = &Refusal{1227, "Access denied; you need (at least one of) the REPLICATION SLAVE ADMIN privilege(s) for this operation"}
	w.fail("db1")
	w.ticks(4, m)
	w.wantLog(t, "Failover 'db1' -> 'db2' failed: Query 'SET STATEMENT max_statement_time=3 FOR RESET SLAVE '' ALL;' failed on 'db2': Access denied; you need (at least one of) the REPLICATION SLAVE ADMIN privilege(s) for this operation (1227). Monitor lacks the required privileges for the operation.")
	if n := len(w.run); n != 2 {
		t.Fatalf("run %q", w.run)
	}
	w.ticks(3, m)
	w.wantLog(t, "Failover 'db1' -> 'db3' performed.")
	w.ticks(3, m)
	wantStates(t, m, "Down", "Running", "Master, Running")
}

// The server's own words go into the log, with the password that they quote.
func TestPasswordInTheLog(t *testing.T) {
	w := newWorld(3)
	s := w.settings()
	s.ReplicationCustomOptions = "MASTER_SSL_CA=="
	m := w.monitor(s)
	w.ticks(5, m)
	w.servers["db3"].refuses["CHANGE MASTER"] = &Refusal{1064, "You have an error in your SQL syntax; near '=, MASTER_USER='repl', MASTER_PASSWORD='s3cret'' at line 1"}
	w.fail("db1")
	w.ticks(4, m)
	w.wantLog(t, "MASTER_SSL_CA==, MASTER_USER='repl', MASTER_PASSWORD='******';' failed on 'db3': You have an error", "MASTER_PASSWORD='s3cret''")
	if n := strings.Count(w.logged(), "s3cret"); n != 1 {
		t.Errorf("the password stands %d times in the log", n)
	}
}

func TestCustomOptions(t *testing.T) {
	w := newWorld(2)
	s := w.settings()
	s.ReplicationMasterSSL, s.ReplicationCustomOptions, s.ReplicationPassword = true, "MASTER_CONNECT_RETRY=2", `a'b\`
	s.Servers[1].ReplicationCustomOptions = "MASTER_CONNECT_RETRY=3"
	m := w.monitor(s)
	sql, shown := m.changeMaster("db1", "db2", "")
	if want := `CHANGE MASTER '' TO MASTER_HOST='127.0.0.1', MASTER_PORT=3302, MASTER_USE_GTID = current_pos, MASTER_SSL = 1, MASTER_CONNECT_RETRY=2, MASTER_USER='repl', MASTER_PASSWORD='a''b\\'`; sql != want {
		t.Errorf("%s, want %s", sql, want)
	}
	if strings.Contains(shown, "a''b") {
		t.Errorf("%s holds the password", shown)
	}
	if sql, _ := m.changeMaster("db2", "db1", "x"); !strings.Contains(sql, "MASTER_CONNECT_RETRY=3") || !strings.HasPrefix(sql, "CHANGE MASTER 'x' TO") {
		t.Error(sql)
	}
}

func TestFailoverByHand(t *testing.T) {
	w := newWorld(3)
	a, b := pair(w)
	w.ticks(5, a, b)
	wantError(t, a.Failover(context.Background()), "Can not select 'db1' as a demotion target for failover because it is running.")
	wantError(t, b.Failover(context.Background()), "Cannot perform cluster operation because this MaxScale does not have exclusive locks on a majority of servers.")
	w.fail("db1")
	w.tick(a, b)
	if err := a.Failover(context.Background()); err != nil {
		t.Error(err)
	}
	w.tick(a)
	wantStates(t, a, "Down", "Master, Running", "Slave, Running")
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
}

var errFile = errors.New("no such file")

func TestPromotionFile(t *testing.T) {
	w := newWorld(3)
	s := w.settings()
	s.PromotionSQLFile = "missing.sql"
	m := w.monitor(s)
	w.ticks(5, m)
	w.fail("db1")
	w.ticks(4, m)
	w.wantLog(t, "failed: could not read file 'missing.sql': "+errFile.Error())
}
