//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestSharded installs three databases that know nothing of each other behind MaxScale and
// HAProxy, writes to two of them through the whole path, and takes one away: verify says which
// one is missing, and the others go on.
func TestSharded(t *testing.T) {
	t.Parallel()
	const name = "shards"
	accounts := filepath.Join(t.TempDir(), "accounts.yaml")
	install := func(databases string) {
		t.Helper()
		text := "kind: confidb.accounts/v1\ndatabases: [" + databases + "]\naccounts: [{name: web, client: web, privileges: [{database: shop_eu, grant: [SELECT]}, {database: shop_us, grant: [SELECT]}]}]\n"
		if err := os.WriteFile(accounts, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		installed(t, name, "--architecture", "sharded", "--values", filepath.Join(absolute(t, lab), "values-scalable.yaml"), "--accounts", accounts)
	}
	install("{name: shop_eu}, {name: shop_us, shard: 1}")
	words := func(statement string) []string {
		t.Helper()
		said := sql(t, name, statement)
		if said.code != 0 {
			t.Fatalf("%s: %v", statement, said)
		}
		return strings.Fields(said.out)
	}
	if got := words("SHOW DATABASES"); !slices.Equal(got, []string{"Database", "app", "app1", "app2", "information_schema"}) {
		t.Errorf("it sees %q", got)
	}
	words("CREATE TABLE app.t (a INT); INSERT INTO app.t VALUES (1)")
	words("CREATE TABLE app1.t (a INT); INSERT INTO app1.t VALUES (2)")
	for table, want := range map[string]string{"app.t": "1", "app1.t": "2"} {
		if got := words("SELECT a, @@server_id FROM " + table); !slices.Equal(got, []string{"a", "@@server_id", want, want}) {
			t.Errorf("%s: got %q, want what the database %s has", table, got, want)
		}
	}
	install("{name: shop_eu}, {name: shop_us, shard: 1}, {name: shop_asia, shard: 2}") // databases start anew
	code, found := verify(t, name)
	if failed := found.failed(); code != 0 || len(failed) > 0 {
		t.Errorf("verify ends with %d; failed: %q", code, failed)
	}
	const gone = "mariadb-1"
	run(t, "kubectl", "scale", "statefulset", name+"-mariadb", "--replicas", "1")
	waitFor(t, "the others to end", 2*time.Minute, func() bool {
		return try(t, "kubectl", "get", "pod", name+"-"+gone).code != 0
	})
	if got := words("SELECT a FROM app.t"); !slices.Equal(got, []string{"a", "1"}) {
		t.Errorf("the shard that runs says %q", got)
	}
	if said := sql(t, name, "SELECT a FROM app1.t"); said.code == 0 {
		t.Errorf("a shard that does not run answers %v", said)
	}
	said := try(t, confidb("verify", name, "--accept-simulated")...)
	if said.code == 0 || !strings.Contains(said.out, gone) || strings.Contains(said.out, "mariadb-0: an attested client of the client session looked at the database, for this run: ") {
		t.Errorf("without %s: %v", gone, said)
	}
	run(t, "kubectl", "scale", "statefulset", name+"-mariadb", "--replicas", "3")
	waitFor(t, "all to be proven again, each with what it had", 3*time.Minute, func() bool {
		code, _ := verify(t, name)
		return code == 0
	})
	if got := words("SELECT a FROM app1.t"); !slices.Equal(got, []string{"a", "2"}) {
		t.Errorf("the shard that was away says %q", got)
	}
}
