//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A reader outside the enclave sees nothing but cipher text on the volume of a clean release,
// and leaves nothing behind.
func TestTheVolumeFromOutside(t *testing.T) {
	installed(t, "outside")
	code, report := verify(t, "outside", "--level", "full")
	if code != 0 || report.Verdict != "affirming" {
		t.Errorf("exit %d, %s, failed %v", code, report.Verdict, report.failed())
	}
	if left := run(t, "kubectl", "get", "jobs", "-o", "name"); strings.Contains(left, "confidb-reader") {
		t.Errorf("left behind: %s", left)
	}
	// what MariaDB would write there without the session's volume
	h := newHost(t, "outside")
	h.write(t, "t.frm", "\xfe\x01\x0a\x0c"+strings.Repeat("\x00", 60))
	if code, report := verify(t, "outside", "--level", "full"); code != 3 || !strings.Contains(strings.Join(report.failed(), " "), "disk-01") {
		t.Errorf("with a definition in clear: exit %d, failed %v", code, report.failed())
	}
	remove(t, "outside")
}

// Without a volume of the session, what MariaDB should have encrypted is named.
func TestATablespaceInClearFromOutside(t *testing.T) {
	bare := regexp.MustCompile(`(?m)^(volumes:\n(  .*\n)+|    volumes:\n(      .*\n)+?)((?:images|    [a-z_]+):)`).ReplaceAllString(run(t, confidb("session", "template", "database")...), "$4")
	weak := strings.ReplaceAll(bare, "innodb_encrypt_tables = FORCE", "innodb_encrypt_tables = ON")
	if weak == bare || strings.Contains(weak, "volumes:") {
		t.Fatalf("the template has another form:\n%s", bare)
	}
	folder := t.TempDir()
	file, policy := filepath.Join(folder, "database.yml"), filepath.Join(folder, "policy.yaml")
	text, err := os.ReadFile(filepath.Join(lab, "policy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{file: weak, policy: string(text) + "accept-deviations: [unprotected-volume]\n"} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	install(t, "weak", "--database-template", file, "--policy", policy) // enc-02 fails, as it should
	if _, report := verify(t, "weak", "--level", "full"); strings.Contains(strings.Join(report.failed(), " "), "disk-01") {
		t.Errorf("nothing is in clear yet, and got %v", report.failed())
	}
	if r := sql(t, "weak", "create table x (a int) encrypted=no; insert into x values (1)"); r.code != 0 {
		t.Fatal(r)
	}
	h := &host{release: "weak"}
	h.stop(t) // writes the pages
	h.start(t)
	run(t, "kubectl", "rollout", "status", "statefulset/weak-mariadb", "--timeout=90s")
	if r := try(t, confidb("verify", "weak", "--accept-simulated", "--level", "full", "-o", "json")...); !strings.Contains(r.out, "/app/x.ibd (tablespace of InnoDB in clear)") {
		t.Errorf("got %v", r)
	}
	remove(t, "weak")
}
