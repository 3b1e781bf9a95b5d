//go:build e2e

package e2e

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestOutsideEnclave lets somebody in who is in no enclave, for a reason and an hour, with
// the real client of MariaDB: verify warns of it, a policy that forbids it makes it a failure,
// and after client remove its certificate opens nothing and its files are gone.
func TestOutsideEnclave(t *testing.T) {
	t.Parallel() // waits for pods most of the time
	const release = "outer"
	deskInstalled(t, release)
	folder := filepath.Join(t.TempDir(), "report")
	add := []string{"--outside-enclave", "move of the old rows", "--for", "1h", "--directory", folder}
	if r := client(t, "add", release, "late-a", add...); r.code != 0 || !strings.Contains(r.out, "move of the old rows") {
		t.Fatal(r)
	}
	if r := client(t, "add", release, "late-a", add...); r.code != 0 || !strings.Contains(r.err, "no session and no account changes") {
		t.Errorf("again: %v", r)
	}
	for _, name := range []string{"client.key", "password", "my.cnf"} {
		if file, err := os.Stat(filepath.Join(folder, name)); err != nil || file.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, file, err)
		}
	}
	identity, err := tls.LoadX509KeyPair(filepath.Join(folder, "client.crt"), filepath.Join(folder, "client.key"))
	if err != nil {
		t.Fatal(err)
	}

	// as the command says: a port-forward, and the database's name for this machine
	host, port, err := net.SplitHostPort(forward(t, "service/"+release+"-mariadb", ":3306"))
	if err != nil {
		t.Fatal(err)
	}
	asked := func(account string) result {
		t.Helper()
		hosts := filepath.Join(t.TempDir(), "hosts")
		write(t, hosts, fmt.Sprintf("%s %s-mariadb.default.svc\n", host, release))
		return try(t, "unshare", "--mount", "bash", "-c", `mount --bind "$0" /etc/hosts && exec mariadb --defaults-file="$1" --user="$2" --port="$3" -N -e "SELECT CURRENT_USER()"`,
			hosts, filepath.Join(folder, "my.cnf"), account, port)
	}
	if r := asked("late-a"); r.code != 0 || strings.TrimSpace(r.out) != "late-a@%" {
		t.Errorf("the client outside of enclaves: %v", r)
	}
	if r := asked("late-b"); r.code == 0 || !strings.Contains(r.err, "ERROR 1045") {
		t.Errorf("with another account: %v", r)
	}

	code, report := verify(t, release)
	if code != 0 || report.outcome("guests-outside") != "warn" {
		t.Errorf("exit %d, guests-outside %q, failed %v", code, report.outcome("guests-outside"), report.failed())
	}
	if list := run(t, confidb("client", "list", release)...); !strings.Contains(strings.Join(strings.Fields(list), " "), "move of the old rows") {
		t.Errorf("got the list\n%s", list)
	}
	text, err := os.ReadFile(filepath.Join(lab, "policy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	strict := filepath.Join(t.TempDir(), "policy.yaml")
	write(t, strict, string(text)+"max-outside-enclave: 0h\n")
	if code, report := verify(t, release, "--policy", strict); code != 3 || report.outcome("guests-outside") != "fail" {
		t.Errorf("under a policy that forbids it: exit %d, guests-outside %q", code, report.outcome("guests-outside"))
	}
	if r := client(t, "add", release, "late-b", "--policy", strict, "--outside-enclave", "x", "--for", "1h"); r.code == 0 || !strings.Contains(r.err, "allows no client outside of enclaves") {
		t.Errorf("added under a policy that forbids it: %v", r)
	}
	key, err := os.ReadFile(filepath.Join(folder, "client.key"))
	if err != nil {
		t.Fatal(err)
	}
	password, err := os.ReadFile(filepath.Join(folder, "password"))
	if err != nil {
		t.Fatal(err)
	}
	secret := strings.TrimSpace(string(password))
	for place, all := range map[string]string{"objects of the cluster": objects(t), "output of all commands": printed()} {
		if strings.Contains(all, secret) || strings.Contains(all, strings.Split(string(key), "\n")[1]) {
			t.Errorf("%s hold the key or the password", place)
		}
	}

	if r := client(t, "remove", release, "late-a"); r.code != 0 {
		t.Fatal(r)
	}
	if _, err := os.Stat(filepath.Join(folder, "client.key")); !os.IsNotExist(err) {
		t.Errorf("the key is still there: %v", err)
	}
	login := login{release, "late-a", secret, identity}
	if _, attempt := login.connect(t, false); refusal(attempt) == 0 {
		if _, alerted := attempt.Alert(); !alerted {
			t.Errorf("after client remove: %v", attempt.Err)
		}
	}
	remove(t, release)
}
