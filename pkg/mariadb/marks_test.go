package mariadb_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/mariadb"
	"github.com/confidb/confidb/pkg/mariadb/mariadbtest"
	"github.com/confidb/confidb/pkg/mysql"
	"github.com/confidb/confidb/pkg/promise"
	"github.com/confidb/confidb/pkg/witness"
)

// ledger is that of a verifier on the server of the tests. change may lie about what a
// connection says; nil does not.
func ledger(verifier, asked string, change func(connection int, statement string, rows [][]string, err error) ([][]string, error)) witness.Ledger {
	made := 0
	return witness.Ledger{Verifier: verifier, Asked: asked, Random: rand.Reader, Kept: 4,
		Connect: func(ctx context.Context) (witness.Connection, error) {
			conn, err := mariadb.Connect(ctx, goodTarget())
			if err != nil {
				return nil, err
			}
			made++
			return liar{conn, made, change}, nil
		}}
}

type liar struct {
	witness.Connection
	number int
	change func(int, string, [][]string, error) ([][]string, error)
}

func (l liar) Ask(ctx context.Context, statement string) ([][]string, error) {
	rows, err := l.Connection.Ask(ctx, statement)
	if l.change == nil {
		return rows, err
	}
	return l.change(l.number, statement, rows, err)
}

// name is a verifier that no other test has.
func name(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("%032x", []byte(t.Name())[len(t.Name())-min(16, len(t.Name())):])[:32]
}

func numbers(t *testing.T, verifier string) []string {
	t.Helper()
	rows, err := server.Admin.Query(t.Context(), "SELECT id FROM confidb_verify.marks WHERE verifier = '"+verifier+"' ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, r := range rows.Values {
		all = append(all, r[0].Text)
	}
	return all
}

// Each run finds the mark of the one before; the marks themselves are not said; few are
// kept, but that which is demanded stays.
func TestMarksFollowEachOther(t *testing.T) {
	verifier := name(t)
	demand := witness.Demand{Verifier: verifier}
	for run := range 8 {
		left := ledger(verifier, demand.Line.Last.Digest, nil).Leave(t.Context())
		got := demand.Judge(&left.Seen, time.Now())
		if left.Err != nil || got.Outcome != check.Pass {
			t.Fatalf("run %d: %+v, %+v", run, left, got)
		}
		demand.Line = *got.Next
		if rows, err := server.Admin.Query(t.Context(), "SELECT 1 FROM confidb_verify.marks WHERE mark = '"+left.Seen.Written.Digest+"'"); err != nil || len(rows.Values) > 0 {
			t.Errorf("run %d: the statement says the mark itself (%v)", run, err)
		}
	}
	if n := numbers(t, verifier); len(n) != 4 {
		t.Errorf("kept %v, want 4", n)
	}
	held := fmt.Sprint(demand.Line.Last.Number)
	for range 8 { // killed before they could record anything
		if left := ledger(verifier, demand.Line.Last.Digest, nil).Leave(t.Context()); !left.Seen.Found {
			t.Fatalf("the recorded mark was forgotten: %+v", left)
		}
	}
	if n := numbers(t, verifier); len(n) > 5 || n[0] != held {
		t.Errorf("kept %v, want %s and 4 more", n, held)
	}
}

// Verifications of one user at once are not in each other's way.
func TestManyLeaveMarksAtOnce(t *testing.T) {
	demand := witness.Demand{Verifier: name(t)}
	for round := range 7 {
		all := make([]witness.Left, 12)
		var running sync.WaitGroup
		for i := range all {
			l := ledger(demand.Verifier, demand.Line.Last.Digest, nil)
			l.Kept = witness.Kept // as many as that at once would remove each other's
			running.Go(func() { all[i] = l.Leave(t.Context()) })
		}
		running.Wait()
		line := demand.Line
		for _, left := range all {
			got := demand.Judge(&left.Seen, time.Now())
			if got.Outcome != check.Pass {
				t.Fatalf("round %d: %+v, %+v", round, left, got)
			}
			line = line.Advance(*got.Next)
		}
		demand.Line = line
	}
}

// Marks that cannot be removed are no reason to doubt the new one: two verifications at
// once may be in each other's way.
func TestMarksThatCannotBeRemoved(t *testing.T) {
	verifier := name(t)
	for run := range 6 {
		left := ledger(verifier, "", func(_ int, s string, r [][]string, err error) ([][]string, error) {
			if strings.HasPrefix(s, "DELETE") {
				return nil, &mysql.ServerError{Code: 1213}
			}
			return r, err
		}).Leave(t.Context())
		if left.Err != nil || (left.Untidy != nil) != (run > 3) || (left.Seen.Written == witness.Mark{}) {
			t.Fatalf("run %d: %+v", run, left)
		}
	}
	if left := ledger(verifier, "", nil).Leave(t.Context()); left.Untidy != nil || len(numbers(t, verifier)) != 4 {
		t.Errorf("got %+v and %v", left, numbers(t, verifier))
	}
}

// What an insider or a restored volume does to the marks is noticed.
func TestMarksThatAreGone(t *testing.T) {
	verifier := name(t)
	for what, statement := range map[string]string{
		"deleted": "DELETE FROM confidb_verify.marks", "emptied": "TRUNCATE TABLE confidb_verify.marks", "of another verifier": "UPDATE confidb_verify.marks SET verifier = REVERSE(verifier)",
		"changed": "UPDATE confidb_verify.marks SET mark = REVERSE(mark)", "without a table": "DROP TABLE confidb_verify.marks",
	} {
		left := ledger(verifier, "", nil).Leave(t.Context())
		if left.Err != nil {
			t.Fatal(left.Err)
		}
		demand := witness.Demand{Verifier: verifier, Line: witness.Line{Last: left.Seen.Written}}
		execute(t, "RENAME TABLE confidb_verify.marks TO confidb_verify.kept", "CREATE TABLE confidb_verify.marks LIKE confidb_verify.kept", "INSERT INTO confidb_verify.marks SELECT * FROM confidb_verify.kept", statement)
		after := ledger(verifier, demand.Line.Last.Digest, nil).Leave(t.Context())
		if got := demand.Judge(&after.Seen, time.Now()); got.Outcome != check.Fail || got.Next != nil {
			t.Errorf("%s: got %+v of %+v, want fail", what, got, after)
		}
		execute(t, "DROP TABLE IF EXISTS confidb_verify.marks", "RENAME TABLE confidb_verify.kept TO confidb_verify.marks")
	}
}

// A mark counts only if every new connection finds it.
func TestMarksThatAreNotKept(t *testing.T) {
	broken := errors.New("the connection broke")
	none := [][]string{{"0"}}
	for what, c := range map[string]struct {
		change func(int, string, [][]string, error) ([][]string, error)
		blind  int
		failed bool
	}{
		"the last connection is to another database": {func(n int, _ string, r [][]string, err error) ([][]string, error) {
			if n == 1+witness.Connections {
				return none, err
			}
			return r, err
		}, 1, false},
		"nobody else sees it": {func(n int, _ string, r [][]string, err error) ([][]string, error) {
			if n > 1 {
				return none, nil
			}
			return r, err
		}, witness.Connections, false},
		"another has no such table": {func(n int, _ string, r [][]string, err error) ([][]string, error) {
			if n == 3 {
				return nil, witness.ErrNoTable
			}
			return r, err
		}, 1, false},
		"a connection breaks": {func(n int, _ string, r [][]string, err error) ([][]string, error) {
			if n == 3 {
				return nil, broken
			}
			return r, err
		}, 0, true},
		"it cannot be written": {func(_ int, s string, r [][]string, err error) ([][]string, error) {
			if strings.HasPrefix(s, "INSERT") {
				return nil, &mysql.ServerError{Code: 1290}
			}
			return r, err
		}, 0, true},
		"it has no number": {func(_ int, s string, r [][]string, err error) ([][]string, error) {
			if strings.Contains(s, "LAST_INSERT_ID") {
				return none, nil
			}
			return r, err
		}, 0, true},
		"the answer is not whole": {func(_ int, s string, r [][]string, err error) ([][]string, error) {
			if strings.HasPrefix(s, "SELECT id") {
				return [][]string{{"1"}}, nil
			}
			return r, err
		}, 0, true},
	} {
		verifier := name(t)
		for range 5 { // so that there is something to remove
			if left := ledger(verifier, "", nil).Leave(t.Context()); left.Err != nil {
				t.Fatal(left.Err)
			}
		}
		left := ledger(verifier, "", c.change).Leave(t.Context())
		if left.Blind != c.blind || (left.Err != nil) != c.failed || (left.Seen.Written != witness.Mark{}) || left.Seen.Problem == "" {
			t.Errorf("%s: got %+v", what, left)
		}
		if got := (witness.Demand{Verifier: verifier}).Judge(&left.Seen, time.Now()); got.Outcome != check.Skip {
			t.Errorf("%s: got %+v, want a skip", what, got)
		}
	}
}

// What stands in the place of the table, or was made for it, is named, and does not run.
func TestPlantedInPlaceOfTheMarks(t *testing.T) {
	const table = "CREATE TABLE confidb_verify.marks (id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, verifier CHAR(32) NOT NULL, mark CHAR(64) NOT NULL, KEY (verifier)) ENGINE=InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin"
	other := func(old, changed string) []string { return []string{strings.Replace(table, old, changed, 1)} }
	execute(t, "CREATE TABLE app.ran (a int)", "CREATE FUNCTION app.runs() RETURNS int DETERMINISTIC MODIFIES SQL DATA BEGIN INSERT INTO app.ran VALUES (1); RETURN 1; END")
	defer execute(t, "DROP FUNCTION app.runs", "DROP TABLE app.ran")
	for name, plants := range map[string][]string{
		"a view that runs a function":   {"CREATE VIEW confidb_verify.marks AS SELECT app.runs() AS id, 'x' AS verifier, 'y' AS mark"},
		"a view of another table":       {strings.Replace(table, ".marks", ".more", 1), "CREATE VIEW confidb_verify.marks AS SELECT * FROM confidb_verify.more"},
		"a trigger before":              {table, "CREATE TRIGGER confidb_verify.g BEFORE INSERT ON confidb_verify.marks FOR EACH ROW SET NEW.mark = app.runs()"},
		"a trigger after deletes":       {table, "CREATE TRIGGER confidb_verify.g AFTER DELETE ON confidb_verify.marks FOR EACH ROW INSERT INTO app.ran VALUES (1)"},
		"rows that are not kept":        other("ENGINE=InnoDB", "ENGINE=BLACKHOLE"),
		"rows in memory":                other("ENGINE=InnoDB", "ENGINE=MEMORY"),
		"another form of rows":          other("DEFAULT CHARACTER", "ROW_FORMAT=COMPACT DEFAULT CHARACTER"),
		"letters that are the same":     other("ascii_bin", "ascii_general_ci"),
		"a column more":                 other("KEY (verifier)", "more int, KEY (verifier)"),
		"a mark that is something else": other("mark CHAR(64) NOT NULL", "mark CHAR(64) AS (verifier) STORED"),
		"a check":                       other("KEY (verifier)", "KEY (verifier), CHECK (mark <> 'x')"),
		"history":                       other("COLLATE ascii_bin", "COLLATE ascii_bin WITH SYSTEM VERSIONING"),
		"parts":                         other("COLLATE ascii_bin", "COLLATE ascii_bin PARTITION BY HASH (id) PARTITIONS 2"),
		"a comment that ends it":        other("COLLATE ascii_bin", "COLLATE ascii_bin COMMENT=') ENGINE=InnoDB AUTO_INCREMENT=1 '"),
	} {
		execute(t, "RENAME TABLE confidb_verify.marks TO app.kept")
		for _, p := range plants {
			if err := server.Exec(p); err != nil && strings.Contains(p, "BLACKHOLE") {
				execute(t, strings.Replace(p, "BLACKHOLE", "Aria", 1)) // that engine is not there
			} else if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		target := goodTarget()
		target.Asked = strings.Repeat("0", 64)
		seen := mariadb.Observe(t.Context(), target, impostors(t))
		wantOutcome(t, seen.Report(), "data-02", check.Fail, "confidb_verify.marks")
		if w := seen.Witness(); w.Read || w.Found || (w.Written != witness.Mark{}) {
			t.Errorf("%s: got %+v, want nothing", name, w)
		}
		if strings.Contains(name, "trigger") {
			wantOutcome(t, seen.Report(), "obj-03", check.Fail, `"confidb_verify"."g"`)
		}
		execute(t, "DROP DATABASE confidb_verify", "CREATE DATABASE confidb_verify", "RENAME TABLE app.kept TO confidb_verify.marks")
	}
	if rows, err := server.Admin.Query(t.Context(), "SELECT COUNT(*) FROM app.ran"); err != nil || rows.Values[0][0].Text != "0" {
		t.Errorf("what was planted ran: %v, %v", rows, err)
	}
	wantOutcome(t, observe(t, goodTarget()), "data-02", check.Pass, "8 new connections")
}

func TestNobodyOrNoTable(t *testing.T) {
	execute(t, "RENAME TABLE confidb_verify.marks TO app.kept")
	wantOutcome(t, observe(t, goodTarget()), "data-02", check.Skip, "there is no table confidb_verify.marks")
	execute(t, "RENAME TABLE app.kept TO confidb_verify.marks")
	nobody := goodTarget()
	nobody.Verifier = ""
	wantOutcome(t, observe(t, nobody), "data-02", check.Skip, "for whom")
	if seen := mariadb.Observe(t.Context(), nobody, impostors(t)).Witness(); seen != nil {
		t.Errorf("got %+v of nobody", seen)
	}
}

// A database that cannot be written is not one that passes.
func TestReadOnly(t *testing.T) {
	fresh(t)
	execute(t, "SET GLOBAL read_only=1")
	report := observe(t, goodTarget())
	execute(t, "SET GLOBAL read_only=0")
	wantOutcome(t, report, "data-02", check.Skip, "read-only")
}

// line is what a user keeps of a database over its restarts.
type line struct {
	t      *testing.T
	demand witness.Demand
}

// verify looks at a database as the attested client does, and returns how that ended.
func (l *line) verify(address string) check.Outcome {
	l.t.Helper()
	target := goodTarget()
	target.Address, target.Verifier, target.Asked = address, l.demand.Verifier, l.demand.Line.Last.Digest
	seen := mariadb.Observe(l.t.Context(), target, impostors(l.t))
	got := l.demand.Judge(seen.Witness(), time.Now())
	if got.Next != nil {
		l.demand.Line = *got.Next
	}
	l.t.Logf("%s: %v %s", address, got.Outcome, got.Reason)
	return got.Outcome
}

// The volume goes back, after a clean end and after a kill, a snapshot of a running server is
// restored, and a second server runs over a copy: the next verification notices. Restarts
// and kills are not noticed.
func TestOlderStatesOfTheVolume(t *testing.T) {
	fresh(t)
	execute(t, "SET GLOBAL innodb_flush_log_at_trx_commit=1") // the tests' own is 0
	want := func(l *line, address string, want check.Outcome, when string) {
		t.Helper()
		if got := l.verify(address); got != want {
			t.Errorf("%s: got %v, want %v", when, got, want)
		}
	}
	alice, bob := &line{t, witness.Demand{Verifier: strings.Repeat("a1", 16)}}, &line{t, witness.Demand{Verifier: strings.Repeat("b2", 16)}}
	step := func(errs ...error) {
		t.Helper()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
	}
	want(alice, server.Address, check.Pass, "the first run")
	step(server.Down(syscall.SIGTERM), server.Save("clean"), server.Up())
	want(alice, server.Address, check.Pass, "after a restart")
	execute(t, "SET GLOBAL innodb_flush_log_at_trx_commit=1")
	want(alice, server.Address, check.Pass, "the third run")
	step(server.Down(syscall.SIGKILL), server.Save("killed"), server.Up())
	want(alice, server.Address, check.Pass, "after a kill")
	want(bob, server.Address, check.Pass, "another user's first run")

	for _, kept := range []string{"clean", "killed"} {
		step(server.Down(syscall.SIGTERM), server.PutBack(kept), server.Up())
		want(&line{t, witness.Demand{Verifier: strings.Repeat("c3", 16)}}, server.Address, check.Pass, "somebody who was not there before")
		want(alice, server.Address, check.Fail, "an older volume: "+kept)
		want(alice, server.Address, check.Fail, "and once more")
		alice.demand.Accept = "of yesterday"
		want(alice, server.Address, check.Warn, "accepted")
		want(bob, server.Address, check.Fail, "what another user has accepted")
		bob.demand.Accept = "as well"
		want(bob, server.Address, check.Warn, "accepted as well")
		alice.demand.Accept, bob.demand.Accept = "", ""
		want(alice, server.Address, check.Pass, "after it was accepted")
	}
	if n := len(alice.demand.Line.Restores); n != 2 {
		t.Errorf("%d restores are remembered, want 2", n)
	}

	step(server.Save("snapshot")) // while it runs
	want(alice, server.Address, check.Pass, "after the snapshot")
	step(server.Down(syscall.SIGKILL), server.PutBack("snapshot"))
	twin, err := server.Twin()
	step(err)
	defer twin.Stop()
	step(server.Up())
	want(alice, server.Address, check.Fail, "a restored snapshot")
	want(alice, twin.Address, check.Fail, "a second server over a copy")
	alice.demand.Accept = "wanted"
	want(alice, server.Address, check.Warn, "accepted")
	alice.demand.Accept = ""
	want(alice, twin.Address, check.Fail, "the second server, after the first was accepted")
	want(alice, server.Address, check.Pass, "the first server goes on")
	turns := relayTo(t, func(connection int) string { return []string{server.Address, twin.Address}[connection%2] }, func(int) meddling { return meddling{} })
	target := goodTarget()
	target.Address = turns
	wantOutcome(t, observe(t, target), "data-02", check.Fail, "of 8 new connections")
}

// The account that leaves marks can do nothing else with them.
func TestRightsOnTheMarks(t *testing.T) {
	account := server.Promise.Account(promise.Name{User: mariadbtest.Account, Host: "%"})
	var rights []string
	for _, r := range account.Rights {
		if r.Database == "confidb_verify" {
			rights = append(rights, r.Privilege+" "+r.Object)
		}
	}
	if want := []string{"DELETE marks", "INSERT marks", "SELECT marks"}; !slices.Equal(rights, want) {
		t.Errorf("got %q, want %q", rights, want)
	}
	execute(t, "GRANT UPDATE ON confidb_verify.marks TO confidb_verify@'%'")
	wantOutcome(t, observe(t, goodTarget()), "acc-04", check.Fail, "UPDATE")
	execute(t, "REVOKE UPDATE ON confidb_verify.marks FROM confidb_verify@'%'", "REVOKE INSERT ON confidb_verify.marks FROM confidb_verify@'%'")
	report := observe(t, goodTarget())
	wantOutcome(t, report, "acc-04", check.Fail, "INSERT")
	wantOutcome(t, report, "data-02", check.Skip, "INSERT command denied")
	execute(t, "GRANT INSERT ON confidb_verify.marks TO confidb_verify@'%'")
	wantOutcome(t, observe(t, goodTarget()), "acc-04", check.Pass, "")
}

// TestLookingForAMark: where none is left, the one that was asked for is looked for over new
// connections, each of which counts; what cannot be read is not said.
func TestLookingForAMark(t *testing.T) {
	verifier := strings.Repeat("7e", 16)
	asked := ledger(verifier, "", nil).Leave(t.Context()).Seen.Written.Digest
	none := func(at int) func(int, string, [][]string, error) ([][]string, error) {
		return func(connection int, statement string, rows [][]string, err error) ([][]string, error) {
			if connection == at && strings.Contains(statement, "SHA2(mark, 256)") {
				return [][]string{{"0"}}, nil
			}
			return rows, err
		}
	}
	for name, c := range map[string]struct {
		asked  string
		change func(int, string, [][]string, error) ([][]string, error)
		found  bool
		blind  int
		err    bool
	}{
		"it is there":           {asked, nil, true, 0, false},
		"one does not find it":  {asked, none(5), true, 1, false},
		"none was asked for":    {"", nil, false, 0, false},
		"another was asked for": {strings.Repeat("0f", 32), nil, false, 0, false},
		"no answer":             {asked, func(int, string, [][]string, error) ([][]string, error) { return nil, errors.New("cut") }, false, 0, true},
	} {
		left := ledger(verifier, c.asked, c.change).Look(t.Context(), "why")
		if left.Seen.Found != c.found || left.Blind != c.blind || (left.Err != nil) != c.err || !left.Looked || left.Seen.Written != (witness.Mark{}) || left.Seen.Problem == "" || left.Seen.Validate() != nil {
			t.Errorf("%s: got %+v", name, left)
		}
	}
	if again := ledger(verifier, asked, nil).Leave(t.Context()); !again.Seen.Found || again.Seen.Written.Number == 0 {
		t.Errorf("after looking: got %+v", again)
	}
}
