package ledger

import (
	"strings"
	"sync"
	"testing"
	"time"
)

var start = time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)

// at is one that takes from one second to another, at a server that is at a number of the
// history which another one (or itself) wrote.
func at(id int64, outcome Outcome, from, to float64, server int, seen GTID) Transaction {
	second := func(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) }
	return Transaction{id, outcome, server, seen, second(from), second(to)}
}

func TestJudge(t *testing.T) {
	usual := []Transaction{
		at(1, Acknowledged, 0, 1, 1, GTID{1, 10}),
		at(2, Acknowledged, 0.5, 1.5, 1, GTID{1, 10}), // at the same time as the one before
		at(3, Unknown, 2, 3, 1, GTID{1, 12}),
		at(4, Void, 2, 3, 0, GTID{}),
		at(5, Acknowledged, 8, 9, 2, GTID{1, 12}), // server 2 goes on with the history of 1
		at(6, Acknowledged, 10, 11, 2, GTID{2, 13}),
		at(7, Acknowledged, 20, 21, 1, GTID{2, 14}), // and 1 again with that of 2
	}
	rows := func(more ...Row) []Row {
		return append([]Row{{1, 1}, {2, 1}, {5, 2}, {6, 2}, {7, 1}}, more...)
	}
	for name, c := range map[string]struct {
		more []Transaction
		rows []Row
		want string // nothing: it is right
	}{
		"as it should be":                         {nil, rows(), ""},
		"an unknown one is there":                 {nil, rows(Row{3, 1}), ""},
		"an unknown one is there twice":           {nil, rows(Row{3, 1}, Row{3, 1}), "3 is there 2 times"},
		"an acknowledged one is lost":             {nil, rows()[1:], "1 was acknowledged by server 1 at Nov 28 00:00:01.000, and is lost"},
		"an acknowledged one is there twice":      {nil, rows(Row{1, 1}), "1 is there 2 times"},
		"one that was not committed is there":     {nil, rows(Row{4, 1}), "4 was never committed, and is there"},
		"one that nobody wrote is there":          {nil, rows(Row{99, 1}), "99 is there 1 times, and nobody wrote it"},
		"one is there by another server":          {nil, append(rows()[1:], Row{1, 3}), "1 was written at server 1, and is there by server 3"},
		"an unknown one by another server":        {nil, rows(Row{3, 2}), "3 was written at server 1, and is there by server 2"},
		"nothing is there":                        {nil, nil, "is lost"},
		"two histories":                           {[]Transaction{at(8, Acknowledged, 20.5, 22, 3, GTID{3, 14})}, rows(Row{8, 3}), "there are two histories: the number 14 is of server "},
		"the old primary acknowledges afterwards": {[]Transaction{at(8, Acknowledged, 9.5, 10, 1, GTID{1, 12})}, rows(Row{8, 1}), "two servers were written to: server 2 acknowledged 5, which saw the history up to 12, and then server 1 acknowledged 8, which saw it up to 12"},
		"it goes back by much":                    {[]Transaction{at(8, Acknowledged, 30, 31, 3, GTID{1, 10})}, rows(Row{8, 3}), "two servers were written to: server 1 acknowledged 7"},
		"an unknown one at the old primary":       {[]Transaction{at(8, Unknown, 9.5, 10, 1, GTID{1, 12})}, rows(), ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := Judge(append(c.more, usual...), c.rows)
			if c.want == "" && len(got) > 0 || c.want != "" && !strings.Contains(strings.Join(got, "\n"), c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestParseGTID(t *testing.T) {
	if g, err := ParseGTID("0-2-15"); err != nil || g != (GTID{2, 15}) {
		t.Errorf("got %v, %v", g, err)
	}
	for _, text := range []string{"", "0-1", "1-1-1", "0-1-x", "0-x-1", "0-1-1,1-1-1", "0-1-1-1"} {
		if g, err := ParseGTID(text); err == nil || g != (GTID{}) {
			t.Errorf("%q: got %v, want an error", text, g)
		}
	}
}

func TestLedger(t *testing.T) {
	var l Ledger
	var working sync.WaitGroup
	for range 4 {
		working.Go(func() {
			for range 50 {
				l.Note(Transaction{ID: l.Next()})
			}
		})
	}
	working.Wait()
	seen := map[int64]bool{}
	for _, noted := range l.All() {
		seen[noted.ID] = true
	}
	if len(seen) != 200 {
		t.Errorf("got %d different IDs, want 200", len(seen))
	}
}

func TestAcknowledged(t *testing.T) {
	var l Ledger
	for _, noted := range []Transaction{
		at(1, Acknowledged, 0, 3, 1, GTID{}), // it began before
		at(2, Acknowledged, 2, 4, 1, GTID{}),
		at(3, Unknown, 4, 5, 1, GTID{}),
		at(4, Acknowledged, 8, 9, 2, GTID{}),
	} {
		l.Note(noted)
	}
	for now, want := range map[int]time.Duration{10: 5 * time.Second, 20: 11 * time.Second} {
		if n, pause := l.Acknowledged(start.Add(time.Second), start.Add(time.Duration(now)*time.Second)); n != 2 || pause != want {
			t.Errorf("at %d s: %d were acknowledged, and the longest pause is %s, want 2 and %s", now, n, pause, want)
		}
	}
}
