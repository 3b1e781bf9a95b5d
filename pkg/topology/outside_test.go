package topology_test

import (
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/topology"
)

// TestOutsideSettings: the option file verifies the server for all of its readers, and a name
// that it cannot say is refused.
func TestOutsideSettings(t *testing.T) {
	got, err := topology.OutsideSettings("db-mariadb.default.svc", `back\slash "quoted"`, "app", "5ec7e7", `/home/a b\c`)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\nhost = db-mariadb.default.svc\n", `user = "back\\slash \"quoted\""`, `ssl-key = "/home/a b\\c/client.key"`, "\nssl-verify-server-cert = 1\n", "\n[mariadb-client]\ndatabase = \"app\"\n", "password = 5ec7e7\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("want %q in\n%s", want, got)
		}
	}
	for _, wrong := range [][3]string{{"a\nssl-verify-server-cert = 0", "app", "/f"}, {"a", "app\r", "/f"}, {"a", "app", "/f\n[client]"}} {
		if text, err := topology.OutsideSettings("db", wrong[0], wrong[1], "", wrong[2]); err == nil {
			t.Errorf("%q: got %q", wrong, text)
		}
	}
}
