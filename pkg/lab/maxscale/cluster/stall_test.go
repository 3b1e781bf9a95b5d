package cluster

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// slow is a world in which a primary hangs, and STOP SLAVE takes as long as it then does.
func slow(connect, read time.Duration) (*world, *Monitor) {
	w := newWorld(3)
	s := w.settings()
	s.ConnectTimeout, s.ReadTimeout = connect, read
	m := w.monitor(s)
	w.ticks(5, m)
	w.servers["db1"].hung = true
	for _, name := range []string{"db2", "db3"} {
		w.servers[name].lasts = map[string]time.Duration{"STOP SLAVE": 2 * time.Second}
	}
	return w, m
}

// With a read timeout that is shorter than STOP SLAVE takes, the first failover fails.
func TestReadTimeoutAndStop(t *testing.T) {
	for _, c := range []struct {
		connect, read time.Duration
		fails         bool
	}{{time.Second, 3 * time.Second, false}, {time.Second, time.Second, true}} {
		w, m := slow(c.connect, c.read)
		w.ticks(6, m)
		failed := strings.Contains(w.logged(), "Failover 'db1' -> 'db2' failed: Query 'SET STATEMENT max_statement_time=1 FOR STOP SLAVE '';' failed on 'db2'")
		if failed != c.fails {
			t.Errorf("%v/%v: the first failover failed: %v, want %v\n%s", c.connect, c.read, failed, c.fails, w.logged())
		}
		if c.fails && slices.Contains(w.run, "db2: SET GLOBAL read_only=0") {
			t.Error("a server is opened by a failover that has failed")
		}
	}
}
