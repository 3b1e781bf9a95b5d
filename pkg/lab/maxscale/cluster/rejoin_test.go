package cluster

import (
	"context"
	"slices"
	"strings"
	"testing"
)

// The primary is back before failcount, and its file says read_only.
func TestQuickRestart(t *testing.T) {
	t.Run("no primary for ever", func(t *testing.T) {
		w := newWorld(3)
		m := w.monitor(w.settings())
		w.ticks(5, m)
		w.fail("db1")
		w.tick(m)
		w.back("db1", true)
		w.ticks(30, m)
		wantStates(t, m, "Running", "Slave, Running", "Slave, Running")
		if len(w.run) != 0 {
			t.Errorf("run %q", w.run)
		}
		w.wantLog(t, "The current primary server 'db1' is no longer valid because it is in read-only mode, but there is no valid alternative to swap to.")
		if n := strings.Count(w.logged(), "no valid alternative"); n != 1 {
			t.Errorf("said %d times", n)
		}
		ctx := context.Background()
		wantError(t, m.Failover(ctx), "Can not select 'db1' as a demotion target for failover because it is running.")
		wantError(t, m.Switchover(ctx, "db2", "", false), "Can not select 'db1' as a demotion target for switchover")
		if err := m.Switchover(ctx, "db2", "", true); err != nil {
			t.Fatal(err)
		}
		w.ticks(2, m)
		wantStates(t, m, "Slave, Running", "Master, Running", "Slave, Running")
	})
	t.Run("writable, and without the SQL of a promotion", func(t *testing.T) {
		w := newWorld(3)
		s := w.settings()
		s.EnforceWritableMaster = true
		m := w.monitor(s)
		w.ticks(5, m)
		w.fail("db1")
		w.tick(m)
		w.back("db1", true)
		w.ticks(2, m)
		wantStates(t, m, "Master, Running", "Slave, Running", "Slave, Running")
		w.wantLog(t, "read_only set to OFF on 'db1'.")
		if want := []string{"db1: SET GLOBAL read_only=0"}; !slices.Equal(w.run, want) {
			t.Errorf("run %q, want %q", w.run, want)
		}
	})
}

// All servers begin read-only: nobody is primary, whatever is switched on.
func TestColdStart(t *testing.T) {
	for name, begin := range map[string]func(w *world, s Settings) *Monitor{
		"monitor too":    func(w *world, s Settings) *Monitor { return w.monitor(s) },
		"with a journal": func(w *world, s Settings) *Monitor { return New(s, w.env(), Remembered{Primary: "db1"}) },
		"monitor goes on": func(w *world, s Settings) *Monitor {
			w.servers["db1"].readOnly = false
			m := w.monitor(s)
			w.ticks(5, m)
			w.fail("db1", "db2", "db3")
			w.ticks(6, m)
			for _, name := range w.order {
				w.back(name, true)
			}
			return m
		},
	} {
		w := newWorld(3)
		s := w.settings()
		s.EnforceWritableMaster = true
		w.servers["db1"].readOnly = true
		m := begin(w, s)
		w.run = nil
		w.ticks(30, m)
		if len(w.run) != 0 || m.View().Master != "" {
			t.Errorf("%s: %q is primary, run %q", name, m.View().Master, w.run)
		}
		if name != "monitor too" {
			continue
		}
		wantStates(t, m, "Running", "Running", "Running")
		w.wantLog(t, "'db1' is not a valid master candidate because it's read_only.")
		wantError(t, m.Switchover(context.Background(), "db2", "", true), "Can not autoselect a demotion target for switchover: cluster does not have a primary.")
		wantError(t, m.Rejoin(context.Background(), "db2"), "cluster does not have a primary")
		w.servers["db1"].readOnly = false // something else has opened one
		w.tick(m)
		wantStates(t, m, "Master, Running", "Slave, Running", "Slave, Running")
	}
}

// failedOver is a world in which db2 has replaced db1, and both have written on.
func failedOver(t *testing.T, s func(*Settings)) (*world, *Monitor) {
	t.Helper()
	w := newWorld(3)
	settings := w.settings()
	s(&settings)
	m := w.monitor(settings)
	w.ticks(5, m)
	w.fail("db1")
	w.ticks(5, m)
	wantStates(t, m, "Down", "Master, Running", "Slave, Running")
	w.servers["db2"].current, w.servers["db2"].binlog = "0-2-15", "0-2-15"
	w.log, w.run = nil, nil
	return w, m
}

func TestOldPrimaryRejoins(t *testing.T) {
	for _, position := range []string{"0-1-10", "0-1-15"} { // the second has diverged, and passes
		w, m := failedOver(t, func(*Settings) {})
		w.servers["db1"].current, w.servers["db1"].binlog = position, position
		w.back("db1", false)
		w.ticks(3, m)
		wantStates(t, m, "Slave, Running", "Master, Running", "Slave, Running")
		w.wantLog(t, "Executing sql queries from file 'demote.sql' on server 'db1'.")
		want := []string{"db1: SET GLOBAL read_only=1", "db1: SET GLOBAL rpl_semi_sync_master_enabled=0",
			"db1: CHANGE MASTER '' TO MASTER_HOST='127.0.0.1', MASTER_PORT=3302, MASTER_USE_GTID = current_pos, MASTER_USER='repl', MASTER_PASSWORD='s3cret'", "db1: START SLAVE ''"}
		if !slices.Equal(w.run, want) {
			t.Errorf("run %q", w.run)
		}
	}
}

func TestNotEverybodyRejoins(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(f *fake)
		log     string
	}{
		"ahead":                       {func(f *fake) { f.current = "0-1-16" }, "Automatic rejoin was not attempted on server 'db1' even though it is a valid candidate."},
		"another domain":              {func(f *fake) { f.current = "0-1-10,5-1-1" }, "gtid_current_pos of 'db1' (0-1-10,5-1-1) is incompatible with gtid_binlog_pos of 'db2' (0-2-15)."},
		"empty":                       {func(f *fake) { f.current, f.binlog = "", "" }, "'db1' does not have a valid gtid_current_pos"},
		"stopped by hand":             {func(f *fake) { f.follow("db2"); f.io, f.sql = "No", "No" }, ""},
		"stopped, of the old primary": {func(f *fake) { f.follow("db3"); f.io = "No" }, ""},
	} {
		w, m := failedOver(t, func(*Settings) {})
		c.prepare(w.servers["db1"])
		w.back("db1", true)
		w.ticks(5, m)
		if len(w.run) != 0 {
			t.Errorf("%s: run %q", name, w.run)
		}
		if c.log != "" {
			w.wantLog(t, c.log)
		}
		if n := strings.Count(w.logged(), "was not attempted"); n > 1 {
			t.Errorf("%s: said %d times", name, n)
		}
		if name == "stopped by hand" {
			wantError(t, m.Rejoin(context.Background(), "db1"), "Server 'db1' is already connected or trying to connect to the correct primary server.")
			w.servers["db1"].master = "" // RESET SLAVE ALL
			w.ticks(2, m)
			wantStates(t, m, "Slave, Running", "Master, Running", "Slave, Running")
		}
	}
	w, m := failedOver(t, func(s *Settings) { s.AutoRejoin = false })
	w.back("db1", false)
	w.ticks(5, m)
	wantStates(t, m, "Running", "Master, Running", "Slave, Running")
	if err := m.Rejoin(context.Background(), "db1"); err != nil {
		t.Error(err)
	}
	w.tick(m)
	wantStates(t, m, "Slave, Running", "Master, Running", "Slave, Running")
}

func TestWrongPrimaryIsChanged(t *testing.T) {
	w, m := failedOver(t, func(*Settings) {})
	w.back("db1", false)
	w.ticks(3, m)
	w.servers["db3"].follow("db1")
	w.ticks(3, m)
	w.wantLog(t, "Server 'db3' is replicating from a server other than 'db2', redirecting it to 'db2'.")
	if w.servers["db3"].master != "db2" {
		t.Errorf("db3 replicates from %s", w.servers["db3"].master)
	}
}

// An old primary with a transaction that waits does not become read-only. The attempt lasts
// for 90 seconds, and is all that the monitor does.
func TestRejoinFreezes(t *testing.T) {
	w, m := failedOver(t, func(*Settings) {})
	w.back("db1", false)
	w.servers["db1"].hangs[readOnlyOn] = true
	env := m.env.Log
	frozen := ""
	m.env.Log = func(level Level, text string) {
		if strings.Contains(text, "Retrying with 87.0 seconds left.") {
			v := m.View()
			frozen = v.State + ": " + v.Server("db1").State
		}
		env(level, text)
	}
	begun := w.clock()
	w.tick(m)
	if took := w.clock().Sub(begun).Seconds(); took < 90 || took > 97 {
		t.Errorf("the tick lasts %v seconds", took)
	}
	if want := "Rejoining slave servers: Drained, Running"; frozen != want {
		t.Errorf("meanwhile the view is %q, want %q", frozen, want)
	}
	w.wantLog(t, "Query 'SET STATEMENT max_statement_time=3 FOR SET GLOBAL read_only=1;' timed out on 'db1'. Retrying with 87.0 seconds left.",
		"Failed to prepare (demote) standalone server 'db1' for rejoin.")
	w.log = nil
	w.ticks(2, m)
	w.wantNoLog(t, "timed out")
	w.tick(m)
	w.wantLog(t, "timed out")
}

func TestReplicasAreMadeReadOnly(t *testing.T) {
	for _, on := range []bool{true, false} {
		w := newWorld(3)
		s := w.settings()
		s.EnforceReadOnlySlaves = on
		a, b := w.monitor(s), w.monitor(s)
		w.ticks(5, a, b)
		w.servers["db2"].readOnly = false
		w.tick(b)
		if len(w.run) != 0 {
			t.Errorf("a monitor without locks has run %q", w.run)
		}
		w.tick(a)
		if w.servers["db2"].readOnly != on {
			t.Errorf("enforce_read_only_slaves=%v: read_only is %v", on, w.servers["db2"].readOnly)
		}
		if on {
			w.wantLog(t, "read_only set to ON on replica db2.")
		}
	}
}
