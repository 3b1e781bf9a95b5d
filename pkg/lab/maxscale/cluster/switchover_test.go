package cluster

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
)

func settled(t *testing.T, change func(*Settings)) (*world, *Monitor) {
	t.Helper()
	w := newWorld(3)
	s := w.settings()
	change(&s)
	m := w.monitor(s)
	w.ticks(5, m)
	w.log, w.run = nil, nil
	return w, m
}

func TestSwitchover(t *testing.T) {
	w, m := settled(t, func(*Settings) {})
	w.servers["db1"].binlog = "0-1-12"
	other := newLog(w, w.settings())
	w.tick(other.Monitor)
	if err := m.Switchover(context.Background(), "db3", "db1", false); err != nil {
		t.Fatal(err)
	}
	follow := ": CHANGE MASTER '' TO MASTER_HOST='127.0.0.1', MASTER_PORT=3303, MASTER_USE_GTID = current_pos, MASTER_USER='repl', MASTER_PASSWORD='s3cret'"
	want := []string{"db1: SET GLOBAL read_only=1", "db1: SET @@session.sql_log_bin=0", "db1: SET GLOBAL rpl_semi_sync_master_enabled=0", "db1: FLUSH TABLES WITH READ LOCK", "db1: FLUSH LOGS",
		"db1: UNLOCK TABLES", "db1: SET @@session.sql_log_bin=1",
		"db3: STOP SLAVE ''", "db3: RESET SLAVE '' ALL", "db3: SET GLOBAL read_only=0", "db3: SET GLOBAL rpl_semi_sync_master_enabled=1",
		"db2: STOP SLAVE ''", "db2" + follow, "db2: START SLAVE ''", "db1" + follow, "db1: START SLAVE ''"}
	if !slices.Equal(w.run, want) {
		t.Errorf("run\n%s", strings.Join(w.run, "\n"))
	}
	w.wantLog(t, "Redirecting 'db2' to replicate from 'db3' instead of 'db1'.", "All redirects successful.", "Switchover 'db1' -> 'db3' performed.")
	// Until the holder has marked the new primary, the other shows nobody as Master.
	w.tick(other.Monitor)
	if got := other.View().Master; got != "" {
		t.Errorf("the other has %q as Master", got)
	}
	if got := other.View().Server("db1").State; got != "Slave, Running" {
		t.Errorf("the other has the old primary as %q", got)
	}
	w.tick(m, other.Monitor)
	for _, m := range []*Monitor{m, other.Monitor} {
		wantStates(t, m, "Slave, Running", "Slave, Running", "Master, Running")
	}
	if w.servers["db3"].binlog != "0-1-12" {
		t.Errorf("db3 was promoted at %s", w.servers["db3"].binlog)
	}
}

func TestSwitchoverIsRefused(t *testing.T) {
	w, m := settled(t, func(*Settings) {})
	second := w.monitor(w.settings())
	w.tick(second)
	ctx := context.Background()
	wantError(t, second.Switchover(ctx, "db2", "", false), "Cannot perform cluster operation because this MaxScale does not have exclusive locks on a majority of servers.")
	wantError(t, m.Switchover(ctx, "db2", "db3", false), "Can not select 'db3' as a demotion target for switchover")
	wantError(t, m.Switchover(ctx, "db1", "", false), "'db1' is not a valid promotion target for switchover")
	wantError(t, m.Switchover(ctx, "db9", "", false), "'db9' is not a valid promotion target for switchover")
	w.fail("db1")
	w.tick(m)
	wantError(t, m.Switchover(ctx, "db2", "", false), "Can not select 'db1' as a demotion target for switchover")
	if len(w.run) != 0 {
		t.Errorf("run %q", w.run)
	}
}

// A right is missing: the old primary stays what it was.
func TestSwitchoverWithoutRights(t *testing.T) {
	for _, c := range []struct{ server, statement string }{
		{"db2", "STOP SLAVE"}, {"db1", "SET GLOBAL read_only=1"}, {"db1", "SET @@session.sql_log_bin=0"}, {"db1", "FLUSH TABLES WITH READ LOCK"}, {"db2", "SET GLOBAL read_only=0"},
	} {
		w, m := settled(t, func(*Settings) {})
		w.servers[c.server].refuses[c.statement] = &Refusal{1227, "Access denied; you need (at least one of) the X privilege(s) for this operation"}
		err := m.Switchover(context.Background(), "db2", "", false)
		wantError(t, err, c.statement)
		wantError(t, err, "Access denied; you need (at least one of) the X privilege(s) for this operation (1227). Monitor lacks the required privileges for the operation.")
		if w.servers["db1"].readOnly {
			t.Errorf("%s: the old primary is read-only", c.statement)
		}
		w.tick(m)
		if got := m.View().Master; got != "db1" {
			t.Errorf("%s: %q is primary", c.statement, got)
		}
	}
}

// With force it is done although the old primary cannot be demoted, whose tables are not left
// locked.
func TestForce(t *testing.T) {
	for _, force := range []bool{false, true} {
		w, m := settled(t, func(*Settings) {})
		w.servers["db1"].refuses["FLUSH LOGS"] = &Refusal{1227, "Access denied"}
		locked := w.servers["db1"].sessions[0]
		if err := m.Switchover(context.Background(), "db2", "", force); (err == nil) != force {
			t.Fatalf("force %v: %v", force, err)
		}
		if !locked.dead && !slices.Contains(w.run, "db1: UNLOCK TABLES") {
			t.Errorf("force %v: the tables of the old primary are locked", force)
		}
		w.tick(m)
		if got, want := m.View().Master, map[bool]string{false: "db1", true: "db2"}[force]; got != want {
			t.Errorf("force %v: %q is primary, want %q", force, got, want)
		}
	}
}

func TestSuperUsersAreKicked(t *testing.T) {
	w, m := settled(t, func(*Settings) {})
	env := m.links[0].dial
	m.links[0].close()
	m.links[0].dial = func(ctx context.Context, name string) (Session, error) {
		s, err := env(ctx, name)
		return supers{s}, err
	}
	if err := m.Switchover(context.Background(), "", "", false); err != nil {
		t.Fatal(err)
	}
	w.wantLog(t, "Detected 2 super or read_only admin users logged in on db1. Kicking them out.", "Switchover 'db1' -> 'db2' performed.")
	if !slices.Equal(w.run[:2], []string{"db1: KILL SOFT CONNECTION 71", "db1: KILL SOFT CONNECTION 72"}) {
		t.Errorf("run %q", w.run)
	}
}

type supers struct{ Session }

func (s supers) Query(ctx context.Context, sql string) ([]Row, error) {
	if strings.Contains(sql, "PROCESSLIST") {
		return []Row{{"id": "71"}, {"id": "72"}}, nil
	}
	return s.Session.Query(ctx, sql)
}

func TestCommandsWithoutWaiting(t *testing.T) {
	_, m := settled(t, func(*Settings) {})
	if _, err := m.Result(); err == nil {
		t.Error("there is a result before there was a command")
	}
	begun, finish := make(chan struct{}), make(chan error)
	run := func(context.Context) error { close(begun); return <-finish }
	if err := m.Begin(context.Background(), "switchover", run); err != nil {
		t.Fatal(err)
	}
	<-begun
	_, err := m.Result()
	wantError(t, err, "No manual command results are available, switchover is still running.")
	if m.Begin(context.Background(), "failover", run) == nil {
		t.Error("two commands run at once")
	}
	finish <- nil
	wait := func() (string, error) {
		for {
			if text, err := m.Result(); err == nil || !strings.Contains(err.Error(), "still running") {
				return text, err
			}
		}
	}
	if text, err := wait(); err != nil || text != "switchover completed successfully." {
		t.Errorf("%q, %v", text, err)
	}
	begun = make(chan struct{})
	if err := m.Begin(context.Background(), "rejoin", run); err != nil {
		t.Fatal(err)
	}
	finish <- errors.New("it failed")
	_, err = wait()
	wantError(t, err, "it failed")
}
