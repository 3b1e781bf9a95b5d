package lint_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/session"
)

// ring reads the sessions of testdata/ring: their certificates, two databases that replicate each other
// behind the network shield, MaxScale with a listener of its own, and a backup.
func ring(t *testing.T, changes ...string) []*session.Session {
	t.Helper()
	var all []*session.Session
	replacer := strings.NewReplacer(changes...)
	found := false
	for _, name := range []string{"certificates", "primary", "replica", "maxscale", "backup"} {
		text, err := os.ReadFile("testdata/ring/" + name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		changed := replacer.Replace(string(text))
		found = found || changed != string(text)
		all = append(all, parse(t, name+".yaml", changed))
	}
	if len(changes) > 0 && !found {
		t.Fatalf("nothing is like %q", changes[0])
	}
	return all
}

// TestRing changes one thing of the ring at a time. The accounts have no REQUIRE, and
// what is wanted of them depends on all sessions.
func TestRing(t *testing.T) {
	const (
		auth   = `SERVER_TCP_CLIENT_AUTH: "$$SCONE::ca$$" # db`
		backup = "MAXSCALE_DESTINATION: TCP:maxscale-internal:3306"
	)
	watched := []string{"CDB1019", "CDB3001", "CDB3011", "CDB3012", "CDB6010", "CDB6011", "CDB6013", "CDB6016", "CDB6017", "CDB6019", "CDB6020", "CDB6021", "CDB6022", "CDB6023", "CDB6024", "CDB6025", "CDB6026"}
	for name, c := range map[string]struct {
		changes []string
		want    []string
	}{
		"as it is":                               {nil, nil},
		"no client authentication":               {[]string{auth, "SERVER_TCP_CLIENT_AUTH: disabled"}, []string{"CDB6010", "CDB6016"}},
		"another port":                           {[]string{"SERVER_TCP_PORT: TCP:3307", "SERVER_TCP_PORT: TCP:3308", "port = 3307", "port = 3309"}, []string{"CDB6010", "CDB6011", "CDB6016"}},
		"shield off":                             {[]string{"SHIELD: unprotected # replica", "SHIELD: disabled"}, []string{"CDB6010", "CDB6011", "CDB6016", "CDB6019"}},
		"listener in clear":                      {[]string{"ssl = true\n", "\n", "TCP: protected # maxscale", "TCP: unprotected"}, []string{"CDB6019", "CDB6021"}},
		"native without peer check":              {[]string{"TCP: protected # maxscale", "TCP: unprotected"}, []string{"CDB6019", "CDB6021"}},
		"native with peer check":                 {[]string{"TCP: protected # maxscale", "TCP: unprotected", "ssl = true\n", "ssl = true\n          ssl_verify_peer_certificate = true\n"}, []string{"CDB6019"}},
		"listener without clients' certificates": {[]string{`TCP_CLIENT_AUTH: "$$SCONE::ca$$" # maxscale`, "TCP_CLIENT_AUTH: disabled"}, []string{"CDB6017", "CDB6021"}},
		"a name of nobody":                       {[]string{"DNS_NAME: mariadb-replica", "DNS_NAME: mariadb-third"}, []string{"CDB6019"}},
		"one port for two":                       {[]string{"DESTINATION: TCP:mariadb-replica:3307", "DESTINATION: TCP:mariadb-replica:3306"}, []string{"CDB6020"}},
		"root":                                   {[]string{"user = maxscale # monitor", "user = root"}, []string{"CDB6023"}},
		"debug log":                              {[]string{"threads = auto", "log_debug = true"}, []string{"CDB6022"}},
		"metrics in clear":                       {[]string{"METRICS: protected", "METRICS: unprotected"}, []string{"CDB6024"}},
		"metrics that read":                      {[]string{"GRANT PROCESS, REPLICATION CLIENT ON", "GRANT PROCESS, SELECT ON"}, []string{"CDB6025"}},
		"a shared key":                           {[]string{"secret: replica}", "secret: primary}"}, []string{"CDB3011", "CDB3012", "CDB6026"}},
		"the key of the CA":                      {[]string{"private_key: primary_key", "private_key: ca_key"}, []string{"CDB3001", "CDB3011", "CDB3012"}},
		"no export of a key":                     {[]string{"name: replica_key, kind: private-key, export: {session: ../replica}", "name: replica_key, kind: private-key"}, []string{"CDB3011"}},
		"one program for another":                {[]string{"5e75aa0192bb34cc56dd78ee90ff12ab5e75aa0192bb34cc56dd78ee90ff12ac", "5e75aa0192bb34cc56dd78ee90ff12ab5e75aa0192bb34cc56dd78ee90ff12ab"}, []string{"CDB1019"}},
	} {
		got := slices.DeleteFunc(open(checkAll(t, ring(t, c.changes...)...)), func(code string) bool { return !slices.Contains(watched, code) })
		if fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

// TestRingInAnyOrder shows that it does not matter which file comes first.
func TestRingInAnyOrder(t *testing.T) {
	sessions := ring(t)
	want := open(checkAll(t, sessions...))
	slices.Reverse(sessions)
	if got := open(checkAll(t, sessions...)); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
