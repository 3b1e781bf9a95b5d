//go:build e2e

package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestReplicated installs a primary with two replicas behind MaxScale and HAProxy, and takes
// the primary away in the middle of writing: what was acknowledged is there afterwards, once,
// and the old primary is a replica again without anybody's work.
func TestReplicated(t *testing.T) {
	t.Parallel()
	const name = "several"
	installed(t, name, "--architecture", "replicated", "--values", filepath.Join(absolute(t, lab), "values-scalable.yaml"))
	write := func(row int) bool {
		return sql(t, name, fmt.Sprintf("CREATE TABLE IF NOT EXISTS app.ledger (row INT); INSERT INTO app.ledger VALUES (%d)", row)).code == 0
	}
	if !write(1) || !write(2) {
		t.Fatal("nothing can be written")
	}
	primary := writable(t, name)
	try(t, "kubectl", "exec", primary, "-c", "mariadb", "--", "sh", "-c", "kill -KILL -1") // itself as well
	began, row := time.Now(), 3
	waitFor(t, "writes again", time.Minute, func() bool {
		done := write(row)
		row++
		return done
	})
	t.Logf("%s was killed, and a write was acknowledged %s later", primary, time.Since(began).Round(time.Second))
	got := strings.Fields(sql(t, name, "SELECT row FROM app.ledger ORDER BY row").out)
	if want := []string{"row", "1", "2", fmt.Sprint(row - 1)}; len(got) < 3 || got[1] != want[1] || got[2] != want[2] || got[len(got)-1] != want[3] {
		t.Errorf("the ledger has %q, want at least %q", got, want)
	}
	for i := range got[1:] {
		if got[i] == got[i+1] {
			t.Errorf("the row %s is there twice: %q", got[i], got)
		}
	}
	waitFor(t, "all to be proven, the old primary as a replica", 2*time.Minute, func() bool {
		code, found := verify(t, name)
		if failed := found.failed(); len(failed) > 0 {
			t.Errorf("failed: %q", failed)
		}
		return code == 0 && found.outcome("rep-05") == "pass"
	})
	if now := writable(t, name); now == primary {
		t.Errorf("%s is the primary again", now)
	}
	if said := run(t, confidb("switchover", name, "--to", primary)...); said != strings.TrimPrefix(primary, name+"-")+" is the primary\n" {
		t.Errorf("got %q, want that %s is the primary", said, primary)
	}
	if now := writable(t, name); now != primary {
		t.Errorf("%s is the primary, want %s", now, primary)
	}
}

// writable is the pod of the database that takes writes.
func writable(t *testing.T, name string) string {
	t.Helper()
	words := strings.Fields(sql(t, name, "BEGIN; SELECT @@server_id; COMMIT").out)
	if len(words) != 2 {
		t.Fatalf("got %q, want the number of a server", words)
	}
	var id int
	if _, err := fmt.Sscan(words[1], &id); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s-mariadb-%d", name, id-1)
}
