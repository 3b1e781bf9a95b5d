package promise_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/promise"
)

const together = `{"self":"mariadb-1","databases":[{"name":"mariadb-0","pod":"db-0","host":"db-0.ns","serverID":1},{"name":"mariadb-1","pod":"db-1","host":"db-1.ns","serverID":2},{"name":"mariadb-2","pod":"db-2","host":"db-2.ns","serverID":3}],"maxScales":[{"name":"maxscale-0","pod":"m-0","host":"m-0.ns"}]}`

// readBeside reads a session of a database with these files beside its configuration file.
func readBeside(settings string, files map[string]string) *promise.Promise {
	all := map[string]string{"/c/my.cnf": "[mariadbd]\n" + settings, "/c/i.sql": "FLUSH PRIVILEGES;\n"}
	for name, text := range files {
		all["/c/"+name] = text
	}
	return promise.Read([]string{"mariadbd", "--defaults-file=/c/my.cnf", "--init-file=/c/i.sql"}, all)
}

// TestOneOfSeveral: what the session says of the others is all that is promised of them; what
// does not fit together promises nothing, and is named.
func TestOneOfSeveral(t *testing.T) {
	const settings = "server_id = 2\nport = 3306\nssl_ca = /c/ca.crt\n"
	given := func(cluster string) map[string]string {
		return map[string]string{"cluster.json": cluster, "ca.crt": "x", "repl.crt": "x", "repl.key": "x"}
	}
	want := &promise.Replication{ServerID: 2, Port: 3306, CA: "/c/ca.crt", Certificate: "/c/repl.crt", Key: "/c/repl.key",
		Others: []promise.Peer{{Name: "mariadb-0", Host: "db-0.ns", ServerID: 1}, {Name: "mariadb-2", Host: "db-2.ns", ServerID: 3}}}
	p := readBeside(settings, given(together))
	if diff := cmp.Diff(want, p.Replication); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := p.Replication.Peer("db-2.ns"); got == nil || got.ServerID != 3 || p.Replication.Peer("db-1.ns") != nil || p.Replication.Peer("") != nil {
		t.Errorf("got the peer %+v", got)
	}
	if alone := readBeside(settings, map[string]string{"ca.crt": "x"}); alone.Replication != nil || len(readBeside(settings, nil).Unclear) != len(alone.Unclear) {
		t.Errorf("alone: got %+v", alone)
	}
	text, err := p.Document()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := promise.Parse([]byte(text)); err != nil || !cmp.Equal(again.Replication, want) {
		t.Errorf("read again: got %+v, %v", again, err)
	}
	for name, c := range map[string]struct {
		settings string
		files    map[string]string
	}{
		"another number":        {"server_id = 3\nport = 3306\nssl_ca = /c/ca.crt\n", given(together)},
		"no number":             {"port = 3306\nssl_ca = /c/ca.crt\n", given(together)},
		"no port":               {"server_id = 2\nssl_ca = /c/ca.crt\n", given(together)},
		"port 0":                {"server_id = 2\nport = 0\nssl_ca = /c/ca.crt\n", given(together)},
		"no CA":                 {"server_id = 2\nport = 3306\n", given(together)},
		"no certificate":        {settings, map[string]string{"cluster.json": together, "ca.crt": "x", "repl.key": "x"}},
		"no key":                {settings, map[string]string{"cluster.json": together, "ca.crt": "x", "repl.crt": "x"}},
		"nobody":                {settings, given(strings.Replace(together, `"self":"mariadb-1"`, `"self":""`, 1))},
		"a host twice":          {settings, given(strings.Replace(together, "db-2.ns", "db-0.ns", 1))},
		"a number twice":        {settings, given(strings.Replace(together, `"serverID":3`, `"serverID":1`, 1))},
		"a name twice":          {settings, given(strings.Replace(together, `"mariadb-2"`, `"mariadb-0"`, 1))},
		"no host":               {settings, given(strings.Replace(together, "db-2.ns", "", 1))},
		"an unknown member":     {settings, given(strings.Replace(together, `"self"`, `"more":1,"self"`, 1))},
		"more behind it":        {settings, given(together + "{}")},
		"no JSON":               {settings, given("x")},
		"only itself":           {settings, given(`{"self":"mariadb-1","databases":[{"name":"mariadb-1","pod":"db-1","host":"db-1.ns","serverID":2}],"maxScales":[]}`)},
		"a number that is none": {settings, given(strings.Replace(together, `"serverID":3`, `"serverID":0`, 1))},
	} {
		if got := readBeside(c.settings, c.files); got.Replication != nil || len(got.Unclear) == 0 {
			t.Errorf("%s: got %+v, %q", name, got.Replication, got.Unclear)
		}
	}
}

// TestFollowers: as whom others may follow is by right, not by name.
func TestFollowers(t *testing.T) {
	right := promise.Right{Kind: promise.Global, Privilege: "REPLICATION SLAVE"}
	p := &promise.Promise{Accounts: []promise.Account{
		{Name: promise.Name{User: "r", Host: "%"}, Rights: []promise.Right{right}},
		{Name: promise.Name{User: "locked", Host: "%"}, Locked: true, Rights: []promise.Right{right}},
		{Name: promise.Name{User: "role"}, Role: true, Rights: []promise.Right{right}},
		{Name: promise.Name{User: "other", Host: "%"}, Rights: []promise.Right{{Kind: promise.Global, Privilege: "REPLICATION SLAVE ADMIN"}}},
	}}
	if diff := cmp.Diff([]string{"r"}, p.Followers()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
