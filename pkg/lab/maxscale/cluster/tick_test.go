package cluster

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTickSeesTheCluster(t *testing.T) {
	w := newWorld(3)
	m := w.monitor(w.settings())
	if got := m.View(); got.State != "Idle" || len(got.Servers) != 0 {
		t.Errorf("before the first tick the view is %+v", got)
	}
	w.tick(m)
	wantStates(t, m, "Master, Running", "Slave, Running", "Slave, Running")
	v := m.View()
	if v.Master != "db1" || v.State != "Monitoring servers" || v.Ticks != 1 || v.Primary == nil || !*v.Primary {
		t.Errorf("the view is %+v", v)
	}
	if s := v.Server("db2"); s.MasterID != 1 || s.Lag != 0 || s.LockHeld == nil || !*s.LockHeld || s.LastEvent != "slave_up" {
		t.Errorf("db2 is %+v", s)
	}
	w.wantLog(t, "'Mon' acquired the exclusive lock on a majority of its servers. Configured automatic cluster manipulation operations (e.g. failover) can be performed in 3 monitor ticks.",
		"Setting 'db1' as primary.")
	w.fail("db2")
	w.tick(m)
	wantStates(t, m, "Master, Running", "Down", "Slave, Running")
	if s := m.View().Server("db2"); s.LockHeld != nil || s.Lag != -1 || s.Current.String() != "0-1-10" || s.MasterID != 1 {
		t.Errorf("db2 that is down is %+v", s)
	}
	w.wantLog(t, "error Monitor was unable to connect to server db2[127.0.0.1:3302] : 'Can't connect to server on '127.0.0.1''",
		"Server changed state: db2[127.0.0.1:3302]: slave_down. [Slave, Running] -> [Down]")
	if !slices.Equal(w.lost, []string{"db2"}) {
		t.Errorf("told of %q that went down", w.lost)
	}
}

// statements notes what is asked, in order.
type statements struct {
	Session
	all *[]string
}

func (s statements) Query(ctx context.Context, sql string) ([]Row, error) {
	*s.all = append(*s.all, sql)
	return s.Session.Query(ctx, sql)
}

func TestStatementsOfATick(t *testing.T) {
	w, all := newWorld(1), []string{}
	env, settings := w.env(), w.settings()
	env.Dial = func(ctx context.Context, name string) (Session, error) {
		s, err := w.dial(ctx, name)
		return statements{s, &all}, err
	}
	settings.Locks = NoLocks
	m := New(settings, env, Remembered{})
	each := []string{askSlaves, askPositions, askIdentity, askEvents, askLocks, askUptime, askVariables, askSemiSync}
	w.tick(m)
	if want := append([]string{"SET @@session.wait_timeout=7", askPermission, askGrants}, each...); !slices.Equal(all, want) {
		t.Errorf("the first tick asks %q", all)
	}
	all = nil
	w.tick(m)
	if !slices.Equal(all, each) {
		t.Errorf("the second tick asks %q", all)
	}
	settings.SkipEvents, all = true, nil
	w.tick(New(settings, env, Remembered{}))
	if slices.Contains(all, askEvents) || len(all) != 3+len(each)-1 {
		t.Errorf("without handle_events a tick asks %q", all)
	}
}

func TestTimeouts(t *testing.T) {
	for _, c := range []struct {
		connect, read time.Duration
		wait          int
		round         time.Duration
	}{
		{0, 0, 7, 9 * time.Second},
		{time.Second, 3 * time.Second, 5, 5 * time.Second},
		{time.Second, time.Second, 5, 3 * time.Second},
	} {
		w := newWorld(3)
		s := w.settings()
		s.ConnectTimeout, s.ReadTimeout = c.connect, c.read
		m := w.monitor(s)
		if got := m.settings.waitTimeout(); got != c.wait {
			t.Errorf("%v/%v: wait_timeout is %d, want %d", c.connect, c.read, got, c.wait)
		}
		w.tick(m)
		w.servers["db1"].hung = true
		begun := w.clock()
		m.Tick(context.Background())
		if got := w.clock().Sub(begun); got != c.round {
			t.Errorf("%v/%v: the round in which the primary hangs lasts %v, want %v", c.connect, c.read, got, c.round)
		}
	}
}

func TestMissingRights(t *testing.T) {
	w := newWorld(3)
	m := w.monitor(w.settings())
	w.servers["db3"].denying = true
	w.ticks(2, m)
	wantStates(t, m, "Master, Running", "Slave, Running", "Auth Error, Running")
	w.wantLog(t, "Error during monitor permissions test for server db3: Query 'SHOW SLAVE STATUS;' failed: 'Access denied; you need (at least one of) the SUPER, SLAVE MONITOR privilege(s)")
	if n := strings.Count(w.logged(), "permissions test"); n != 1 {
		t.Errorf("said %d times", n)
	}
	w.servers["db3"].denying = false
	w.tick(m)
	wantStates(t, m, "Master, Running", "Slave, Running", "Slave, Running")
	w.servers["db3"].denying = true
	w.tick(m)
	wantStates(t, m, "Master, Running", "Slave, Running", "Slave, Auth Error, Running")
}

func TestByHand(t *testing.T) {
	w := newWorld(3)
	m := w.monitor(w.settings())
	w.tick(m)
	for _, err := range []error{m.Set("db2", Maintenance, true), m.Set("db3", Drain, true)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	w.tick(m)
	wantStates(t, m, "Master, Running", "Maintenance, Running", "Drained, Slave, Running")
	if err := m.Set("db2", Maintenance, false); err != nil {
		t.Fatal(err)
	}
	w.tick(m)
	wantStates(t, m, "Master, Running", "Slave, Running", "Drained, Slave, Running")
	if err := m.Set("db1", Maintenance, true); err != nil {
		t.Fatal(err)
	}
	w.ticks(5, m)
	wantStates(t, m, "Maintenance, Running", "Slave, Running", "Drained, Slave, Running")
	w.wantLog(t, Unmeasured+": a primary in maintenance")
	if m.Set("db9", Drain, true) == nil || m.Set("db1", Slave, true) == nil {
		t.Error("a server that is not there, or a state that is no hand's, is set")
	}
}

func TestRunEnds(t *testing.T) {
	w := newWorld(2)
	env := w.env()
	ctx, cancel := context.WithCancel(context.Background())
	rounds := 0
	env.Wait = func(context.Context, time.Duration) {
		if rounds++; rounds == 3 {
			cancel()
		}
	}
	m := New(w.settings(), env, Remembered{})
	m.Run(ctx)
	if m.View().Ticks != 3 {
		t.Errorf("%d ticks", m.View().Ticks)
	}
	for _, f := range w.servers {
		for _, s := range f.sessions {
			if !s.dead {
				t.Error("a session is open after the end")
			}
		}
	}
}
