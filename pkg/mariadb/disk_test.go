package mariadb_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/atrest"
)

// lies is what a reader outside sees of the server's files.
func lies(t *testing.T) atrest.Report {
	t.Helper()
	const nonce = "00112233445566778899aabbccddeeff"
	output, err := exec.Command("sh", "-c", atrest.Script(), "reader", filepath.Join(t.TempDir(), "control"), server.Path(""), nonce).Output()
	if err != nil {
		t.Fatal(err)
	}
	found, err := atrest.Appraise(output, nonce, false)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// down looks at the files of a server that has written them all.
func down(t *testing.T, lines ...string) atrest.Report {
	t.Helper()
	if err := server.Shut(); err != nil {
		t.Fatal(err)
	}
	found := lies(t)
	restart(t, lines...)
	return found
}

// TestWhatLiesOnTheDisk reads the files that a real server has written.
func TestWhatLiesOnTheDisk(t *testing.T) {
	fresh(t)
	execute(t, "CREATE TABLE app.good (a int, b text)", "INSERT INTO app.good SELECT seq, REPEAT('x', 100) FROM mysql.seq_1_to_3000", "FLUSH BINARY LOGS")
	if found := lies(t); len(found.Clear)+len(found.Unread) > 0 || found.Files < 100 {
		t.Errorf("of a clean server that runs: got %+v", found)
	}
	if found := down(t, "encrypt_binlog = OFF\naria_encrypt_tables = OFF\ninnodb_encrypt_log = OFF"); len(found.Clear)+len(found.Unread) > 0 {
		t.Errorf("of a clean server that is down: got %+v", found)
	}
	execute(t, "SET GLOBAL innodb_encrypt_tables='ON'", "CREATE TABLE app.`b are` (a int) ENCRYPTED=NO", "INSERT INTO app.`b are` VALUES (1)", "CREATE TABLE app.aria (a int) ENGINE=Aria",
		"CREATE TABLE app.old (a int) ENGINE=MyISAM", "CREATE TABLE app.csv (a int NOT NULL) ENGINE=CSV", "INSERT INTO app.csv VALUES (1)")
	said := strings.Join(down(t).Clear, "\n") + "\n"
	for _, want := range []string{"app/b@0020are.ibd (tablespace of InnoDB in clear)\n", "app/aria.MAI (table of Aria in clear)\n", "app/old.MYI (table of MyISAM)\n", "app/csv.CSV (table in a file", "ib_logfile0 (redo log in clear)\n", " (binary log in clear)\n"} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is not named in:\n%s", want, said)
		}
	}
	for _, other := range []string{"good", "ibdata1"} {
		if strings.Contains(said, other) {
			t.Errorf("%s is named in:\n%s", other, said)
		}
	}
}
