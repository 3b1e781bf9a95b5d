// Package ledger keeps what clients of a replicated database were told of their commits, and
// judges by it what the database has afterwards. It knows of no network: test/e2e writes.
package ledger

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Outcome is what a client knows of a transaction.
type Outcome int

const (
	// Void means that no COMMIT was sent: there is nothing to be found of it.
	Void Outcome = iota
	// Unknown means that a COMMIT was sent, and that no OK came. A careful client does not
	// repeat it.
	Unknown
	// Acknowledged means that the server said OK.
	Acknowledged
)

// Transaction is what a client saw of one that writes one row, with an ID of its own.
type Transaction struct {
	ID      int64
	Outcome Outcome
	// Server is the @@server_id that the transaction read.
	Server int
	// Seen is the @@global.gtid_binlog_pos that it read before its commit: how far the
	// history of its server was.
	Seen GTID
	// Began is before it read that, and Ended is after its outcome was known.
	Began, Ended time.Time
}

// GTID is one transaction in the history of a cluster of one domain.
type GTID struct {
	Server int
	Number int64
}

// ParseGTID reads a position of the domain 0, as MariaDB writes it: 0-SERVER-NUMBER.
func ParseGTID(text string) (g GTID, err error) {
	parts := strings.Split(text, "-")
	if len(parts) == 3 && parts[0] == "0" {
		if g.Server, err = strconv.Atoi(parts[1]); err == nil {
			if g.Number, err = strconv.ParseInt(parts[2], 10, 64); err == nil {
				return g, nil
			}
		}
	}
	return GTID{}, fmt.Errorf("got the position %.40q, want 0-SERVER-NUMBER", text)
}

// Row is one that is in the database: the ID, and the @@server_id when it was written.
type Row struct {
	ID     int64
	Server int
}

// Judge compares what the clients were told with all rows of the database, and says what is
// wrong. Every acknowledged ID must be there once, by the server that acknowledged it, and
// every unknown one at most once; nothing else may be there. Of the servers that acknowledged,
// only one may have been written to at a time: whoever began after an acknowledgement saw a
// history that has more than what that transaction saw, and there is one history, so that a
// number in it is of one server.
func Judge(all []Transaction, rows []Row) []string {
	var wrong []string
	say := func(format string, values ...any) {
		if len(wrong) < 20 {
			wrong = append(wrong, fmt.Sprintf(format, values...))
		}
	}
	there := map[int64][]int{}
	for _, r := range rows {
		there[r.ID] = append(there[r.ID], r.Server)
	}
	for _, t := range all {
		servers := there[t.ID]
		delete(there, t.ID)
		switch {
		case t.Outcome == Void && len(servers) > 0:
			say("%d was never committed, and is there", t.ID)
		case t.Outcome == Acknowledged && len(servers) == 0:
			say("%d was acknowledged by server %d at %s, and is lost", t.ID, t.Server, t.Ended.Format(time.StampMilli))
		case len(servers) > 1:
			say("%d is there %d times", t.ID, len(servers))
		case len(servers) == 1 && servers[0] != t.Server:
			say("%d was written at server %d, and is there by server %d", t.ID, t.Server, servers[0])
		}
	}
	for id, servers := range there {
		say("%d is there %d times, and nobody wrote it", id, len(servers))
	}
	judgeHistory(all, say)
	return wrong
}

// judgeHistory says where two servers were written to at a time.
func judgeHistory(all []Transaction, say func(string, ...any)) {
	acknowledged := slices.DeleteFunc(slices.Clone(all), func(t Transaction) bool { return t.Outcome != Acknowledged })
	of := map[int64]int{}
	for _, t := range acknowledged {
		if other, known := of[t.Seen.Number]; known && other != t.Seen.Server {
			say("there are two histories: the number %d is of server %d and of server %d", t.Seen.Number, other, t.Seen.Server)
		}
		of[t.Seen.Number] = t.Seen.Server
	}
	began, ended := slices.Clone(acknowledged), acknowledged
	slices.SortFunc(began, func(a, b Transaction) int { return a.Began.Compare(b.Began) })
	slices.SortFunc(ended, func(a, b Transaction) int { return a.Ended.Compare(b.Ended) })
	var last Transaction // of those that ended before: the one that saw most
	for _, t := range began {
		for len(ended) > 0 && ended[0].Ended.Before(t.Began) {
			if ended[0].Seen.Number >= last.Seen.Number {
				last = ended[0]
			}
			ended = ended[1:]
		}
		if last.Server != 0 && t.Seen.Number <= last.Seen.Number {
			say("two servers were written to: server %d acknowledged %d, which saw the history up to %d, and then server %d acknowledged %d, which saw it up to %d",
				last.Server, last.ID, last.Seen.Number, t.Server, t.ID, t.Seen.Number)
		}
	}
}

// Ledger is what several clients were told. It is for concurrent use.
type Ledger struct {
	mutex sync.Mutex
	next  int64
	all   []Transaction
}

// Next is an ID that was never used.
func (l *Ledger) Next() int64 {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.next++
	return l.next
}

// Note adds a transaction that has ended.
func (l *Ledger) Note(t Transaction) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.all = append(l.all, t)
}

// All are the transactions that have ended, in the order in which they were noted.
func (l *Ledger) All() []Transaction {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return slices.Clone(l.all)
}

// Acknowledged is how many transactions of a number of clients that began after a time were
// acknowledged, and Pause is the longest time from one acknowledgement to the next after it,
// or to now.
func (l *Ledger) Acknowledged(since, now time.Time) (n int, pause time.Duration) {
	last := since
	for _, t := range l.All() {
		if t.Outcome != Acknowledged || !t.Began.After(since) {
			continue
		}
		n++
		pause, last = max(pause, t.Ended.Sub(last)), t.Ended
	}
	return n, max(pause, now.Sub(last))
}
