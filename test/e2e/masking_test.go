//go:build e2e

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// masked are the findings about masking of a verification, by ID and what they are about.
func masked(t *testing.T, name string) (code int, outcomes map[string]string, failed []string) {
	t.Helper()
	said := try(t, confidb("verify", name, "-o", "json", "--accept-simulated")...)
	var all struct {
		Findings []struct{ ID, Subject, Outcome, Got, Reason string }
	}
	if err := json.Unmarshal([]byte(said.out), &all); err != nil {
		t.Fatalf("verify: %v in %v", err, said)
	}
	outcomes = map[string]string{}
	for _, f := range all.Findings {
		if strings.HasPrefix(f.ID, "msk-") {
			outcomes[f.ID+" "+f.Subject] = f.Outcome
			t.Logf("%s %s %s: %s %s", f.ID, f.Subject, f.Outcome, f.Got, f.Reason)
		}
		if f.Outcome == "fail" {
			failed = append(failed, f.ID+" "+f.Subject+": "+f.Got+" "+f.Reason)
		}
	}
	return said.code, outcomes, failed
}

// TestMasking installs replicated databases with rules of masking: a column is masked through
// the whole path, verify shows at each MaxScale what that is worth, and an account that shall
// not see the column has a view. Rules change and end in an installation that is there; a
// MaxScale that runs without its filter is found.
func TestMasking(t *testing.T) {
	const name = "masks"
	folder := t.TempDir()
	file := func(name, text string) string {
		at := filepath.Join(folder, name)
		if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return at
	}
	rules := file("rules.json", `{"rules": [{"replace": {"database": "app", "table": "person", "column": "ssn"}, "with": {"value": "XXX-XX-XXXX", "fill": "X"}}]}`)
	others := file("others.json", `{"rules": [{"replace": {"database": "app", "table": "person", "column": "ssn"}, "with": {"value": "###########", "fill": "#"}}]}`)
	accounts := file("accounts.yaml", "kind: confidb.accounts/v1\naccounts:\n  - {name: analyst, client: web, privileges: [{database: app, table: person_open, grant: [SELECT]}]}\n")
	with := func(more ...string) {
		t.Helper()
		installed(t, name, append([]string{"--architecture", "replicated", "--values", filepath.Join(absolute(t, lab), "values-scalable.yaml")}, more...)...)
	}
	read := func(statement string) string {
		t.Helper()
		said := sql(t, name, statement)
		if said.code != 0 {
			t.Fatalf("%s: %v", statement, said)
		}
		lines := strings.Fields(said.out)
		return lines[len(lines)-1]
	}
	with("--masking", rules, "--accounts", accounts, "--masked-account", "analyst")
	if said := sql(t, name, "CREATE TABLE app.person (id INT PRIMARY KEY, ssn CHAR(11)) DEFAULT CHARACTER SET latin1; INSERT INTO app.person VALUES (1, '721-07-4426'); CREATE VIEW app.person_open AS SELECT id FROM app.person"); said.code != 0 {
		t.Fatal(said)
	}
	if got := read("SELECT ssn FROM app.person"); got != "XXX-XX-XXXX" {
		t.Errorf("masked: got %q", got)
	}
	if got := read("SELECT BINARY ssn AS ssn FROM app.person"); got != "721-07-4426" {
		t.Errorf("around it: got %q", got)
	}
	if said := sql(t, name, "SELECT CONCAT(ssn) FROM app.person"); said.code == 0 || !strings.Contains(said.err+said.out, "1141") {
		t.Errorf("a function of it: %v", said)
	}
	code, outcomes, failed := masked(t, name)
	if code != 0 || len(outcomes) != 2*4+3 || slices.ContainsFunc(values(outcomes), func(o string) bool { return o != "pass" }) {
		t.Errorf("verify ends with %d: %q, failed: %q", code, outcomes, failed)
	}
	t.Run("rules change", func(t *testing.T) {
		with("--masking", others)
		if got := read("SELECT ssn FROM app.person"); got != "###########" {
			t.Errorf("masked by other rules: got %q", got)
		}
		with() // and stay
		if code, outcomes, _ := masked(t, name); code != 0 || outcomes["msk-01 maxscale-0"] != "pass" {
			t.Errorf("verify ends with %d: %q", code, outcomes)
		}
	})
	t.Run("one of two without its filter", func(t *testing.T) {
		session := strings.TrimSuffix(variable(t, name, "DBSESSION"), "/db") + "/maxscale"
		promised := run(t, confidb("session", "get", session)...)
		weak := strings.ReplaceAll(promised, "filters=Mask", "# filters=Mask")
		if weak == promised {
			t.Fatal("the session has no filter")
		}
		run(t, confidb("session", "update", file("weak.yml", weak))...)
		run(t, "kubectl", "delete", "pod", name+"-maxscale-1")
		waitFor(t, "the MaxScale without its filter", 2*time.Minute, func() bool {
			return try(t, "kubectl", "wait", "--for=condition=Ready", "--timeout=5s", "pod/"+name+"-maxscale-1").code == 0
		})
		code, outcomes, failed := masked(t, name)
		if code != 3 || outcomes["msk-01 maxscale-1"] != "fail" || outcomes["msk-02 maxscale-1"] != "fail" || outcomes["msk-01 maxscale-0"] != "pass" {
			t.Errorf("verify ends with %d: %q, failed: %q", code, outcomes, failed)
		}
	})
}

func values(of map[string]string) (all []string) {
	for _, v := range of {
		all = append(all, v)
	}
	return all
}
