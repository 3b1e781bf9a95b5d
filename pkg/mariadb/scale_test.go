package mariadb_test

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/mariadb"
)

// tablesAtScale are as many as the ordinary suite has time for; 20,000 take minutes to make.
func tablesAtScale() int {
	if exhaustive() {
		return 20_000
	}
	return 2_000
}

// freshInMemory starts a server whose files are in memory, where there is room for that: a
// disk takes 13 ms for each table.
func freshInMemory(t *testing.T) {
	t.Helper()
	const memory = "/dev/shm"
	var room syscall.Statfs_t
	if err := syscall.Statfs(memory, &room); err == nil && room.Bavail*uint64(room.Bsize) > 4<<30 {
		t.Setenv("TMPDIR", memory)
	}
	fresh(t)
}

// repeat runs a statement with a number in it, for each from 1 to n.
func repeat(t *testing.T, n int, statement string) {
	t.Helper()
	for i := range n {
		execute(t, strings.ReplaceAll(statement, "#", strconv.Itoa(i+1)))
	}
}

func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

func wantConclusion(t *testing.T, seen *mariadb.Observation, id string, want check.Outcome, mention string) {
	t.Helper()
	if outcome, said, all := seen.Conclude(id); outcome != want || !strings.Contains(said+strings.Join(all, "\n"), mention) {
		t.Errorf("%s: got %v (%s), want %v that mentions %q", id, outcome, said, want, mention)
	}
}

// TestEachOfManyTablesIsJudged has one that is not as it should be among many, also where
// its name differs from another's in a way that only bytes show.
func TestEachOfManyTablesIsJudged(t *testing.T) {
	freshInMemory(t)
	n := tablesAtScale()
	began := time.Now()
	repeat(t, n, "CREATE TABLE app.t# (a int)")
	t.Logf("%d tables made in %s", n, time.Since(began).Round(time.Second))
	began = time.Now()
	seen := mariadb.Ask(t.Context(), t, goodTarget())
	t.Logf("%d tables judged in %s", n, time.Since(began).Round(time.Millisecond))
	for _, id := range mariadb.Asked() {
		if id != "set-01" { // the log's buffer is another one for files in memory
			wantConclusion(t, seen, id, check.Pass, "")
		}
	}
	wantConclusion(t, seen, "enc-01", check.Pass, fmt.Sprintf("%d tablespaces", n+7))

	execute(t, "SET GLOBAL innodb_encrypt_tables='ON'",
		"CREATE TABLE app.T7 (a int) ENCRYPTED=NO", "CREATE TABLE app.`t7é` (a int) ENCRYPTED=NO", "CREATE TABLE app.`t8é` (a int) ENGINE=MyISAM", "CREATE TABLE app.T8 (a int NOT NULL) ENGINE=CSV")
	seen = mariadb.Ask(t.Context(), t, goodTarget())
	for _, name := range []string{"app/T7", "app/t7@0p"} {
		wantConclusion(t, seen, "enc-01", check.Fail, name)
	}
	for _, name := range []string{"app.T8 (engine CSV)", "app.t8é (engine MyISAM)"} {
		wantConclusion(t, seen, "enc-05", check.Fail, name)
	}
	if _, _, all := seen.Conclude("enc-01"); len(all) != 2 {
		t.Errorf("got %d tablespaces in clear, want two: %.500s", len(all), all)
	}
}

// TestEachOfManyTablesOfAriaIsJudged asks for the format of each.
func TestEachOfManyTablesOfAriaIsJudged(t *testing.T) {
	freshInMemory(t)
	n := tablesAtScale()
	repeat(t, n, "CREATE TABLE app.t# (a int) ENGINE=Aria")
	execute(t, "CREATE DATABASE App", "CREATE TABLE App.t1 (a int) ENGINE=Aria TRANSACTIONAL=0 ROW_FORMAT=FIXED", "CREATE TABLE app.`t1é` (a int) ENGINE=Aria", "CREATE TABLE app.T1 (a int) ENGINE=Aria")
	seen := mariadb.Ask(t.Context(), t, goodTarget())
	wantConclusion(t, seen, "enc-05", check.Fail, "App.t1 (engine Aria Fixed)")
	if _, _, all := seen.Conclude("enc-05"); len(all) != 1 {
		t.Errorf("got %d tables outside, want one: %.500s", len(all), all)
	}
	execute(t, "DROP DATABASE App")
	wantConclusion(t, mariadb.Ask(t.Context(), t, goodTarget()), "enc-05", check.Skip, "app.t1")
}

// TestEachOfManyBinaryLogsIsJudged has one in clear in the middle.
func TestEachOfManyBinaryLogsIsJudged(t *testing.T) {
	freshInMemory(t)
	const half = 500
	flush := func() { repeat(t, half, "FLUSH BINARY LOGS") }
	flush()
	restart(t, "encrypt_binlog = OFF")
	restart(t)
	flush()
	began := time.Now()
	seen := mariadb.Ask(t.Context(), t, goodTarget())
	t.Logf("judged in %s", time.Since(began).Round(time.Millisecond))
	outcome, said, all := seen.Conclude("enc-04")
	if outcome != check.Fail || len(all) != 1 || !strings.Contains(all[0], fmt.Sprintf(".%06d", half+2)) {
		t.Fatalf("got %v (%s), %d logs, want number %d", outcome, said, len(all), half+2)
	}
	name := strings.Split(all[0], `"`)[1]
	execute(t, "PURGE BINARY LOGS TO "+quoted(name[:len(name)-6]+fmt.Sprintf("%06d", half+3)))
	flush()
	wantConclusion(t, mariadb.Ask(t.Context(), t, goodTarget()), "enc-04", check.Pass, fmt.Sprintf("%d binary logs", 2*half+1))
}
