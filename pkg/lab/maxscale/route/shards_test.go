package route_test

import (
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/lab/maxscale/accounts"
	"github.com/confidb/confidb/pkg/lab/maxscale/backend"
	"github.com/confidb/confidb/pkg/lab/maxscale/route"
	"github.com/confidb/confidb/pkg/lab/maxscale/wire"
	"github.com/confidb/confidb/pkg/mariadb/mariadbtest"
)

// shardSet starts three servers that know nothing of each other: all have the same accounts,
// and databases of their own. Who is locked out of one has no right there.
func shardSet(t *testing.T) *mariadbtest.Set {
	t.Helper()
	all := slices.DeleteFunc(data(), func(s string) bool { return strings.Contains(s, "lab.") || strings.HasPrefix(s, "CREATE DATABASE") })
	set, err := mariadbtest.StartSet(3, append(all, "CREATE DATABASE hidden")...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := set.Stop(); err != nil {
			t.Error(err)
		}
	})
	for i, databases := range [][]string{{"eu"}, {"us", "Asia"}, {"other"}} {
		for _, name := range databases {
			run(t, set.Members[i], "CREATE DATABASE "+name, "CREATE TABLE "+name+".t (id INT PRIMARY KEY AUTO_INCREMENT, at VARCHAR(20))", "INSERT INTO "+name+".t(at) VALUES ('"+name+"')")
			if name != "other" {
				run(t, set.Members[i], "GRANT ALL ON "+name+".* TO app")
			}
		}
	}
	return set
}

func run(t *testing.T, m *mariadbtest.Member, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if err := m.Exec(s); err != nil {
			t.Fatalf("%s: %s: %v", m.Name, s, err)
		}
	}
}

// startSharded starts a service of schemarouter before a set.
func startSharded(t *testing.T, set *mariadbtest.Set, refresh time.Duration) *proxy {
	t.Helper()
	return start(t, set, func(o *route.Options) {
		h := wire.HashPassword("pw-service")
		store := accounts.NewStore(accounts.Options{Servers: func() []backend.Server { return o.Servers }, Service: backend.Identity{User: "service", Password: &h, Charset: 45},
			All: true, RefreshTime: time.Hour, Now: time.Now, Log: func(string) {}, Unmeasured: func(string, string) {}})
		if !store.Load(t.Context()) {
			t.Fatal("the accounts were not read")
		}
		o.Accounts, o.Shards, o.View = store, &route.Shards{Refresh: refresh}, &view{replicas: []string{"db1", "db2", "db3"}}
	})
}

// ofShards is who logs in where answers are looked into.
func ofShards(user, database string) backend.Identity {
	who := as(user)
	who.Capabilities, who.Database = wire.Rewriting&^wire.NoSchema, database
	return who
}

// list is the first column of an answer.
func list(t *testing.T, conn *backend.Conn, text string) (all []string) {
	t.Helper()
	result, err := conn.Query(t.Context(), text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	for _, row := range result.Rows {
		all = append(all, row[0].Text)
	}
	return all
}

// refused is an error of a statement, as it is shown.
func refused(t *testing.T, conn *backend.Conn, text string) string {
	t.Helper()
	_, err := conn.Query(t.Context(), text)
	var said *wire.Error
	if !errors.As(err, &said) {
		t.Fatalf("%s: got %v, want that it is refused", text, err)
	}
	return said.Error()
}

func TestSchemaRouter(t *testing.T) {
	set := shardSet(t)
	p := startSharded(t, set, 0)
	conn := p.dial(t, ofShards("app", ""))
	if got := conn.Greeting.Capabilities; got != wire.Rewriting {
		t.Errorf("it offers %#x", uint64(got))
	}

	t.Run("databases", func(t *testing.T) {
		want := []string{"asia", "eu", "information_schema", "us"}
		if got := list(t, conn, "SHOW DATABASES"); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		if got := list(t, conn, "SHOW TABLES FROM us"); !slices.Equal(got, []string{"t"}) {
			t.Errorf("got %q", got)
		}
		if got := list(t, conn, "SHOW TABLE STATUS FROM Asia"); !slices.Equal(got, []string{"t"}) {
			t.Errorf("got %q", got)
		}
		for _, here := range []string{"SELECT @@server_id", "SELECT @@server_id FROM information_schema.tables LIMIT 1"} {
			if got := ask(t, conn, here); got != "1" {
				t.Errorf("%s: got %q, want the first server", here, got)
			}
		}
	})

	t.Run("statements", func(t *testing.T) {
		for statement, want := range map[string]string{
			"SELECT @@server_id FROM eu.t LIMIT 1": "1", "SELECT @@server_id FROM us.t": "2", "SELECT @@server_id FROM `Asia`.`t`": "2",
			"SELECT id FROM us.t WHERE at='us'": "1",
		} {
			if got := ask(t, conn, statement); got != want {
				t.Errorf("%s: got %q, want %q", statement, got, want)
			}
		}
		ask(t, conn, "INSERT INTO us.t(at) VALUES ('second')")
		if got := list(t, conn, "SELECT at FROM us.t ORDER BY id"); len(got) != 2 {
			t.Errorf("got %q", got)
		}
	})

	t.Run("use", func(t *testing.T) {
		conn := p.dial(t, ofShards("app", "us"))
		for _, step := range []struct{ statement, want string }{
			{"SELECT @@server_id", "2"}, {"SELECT DATABASE()", "us"}, {"SELECT at FROM t LIMIT 1", "us"}, {"SELECT @@server_id FROM eu.t", "1"}, {"SELECT @@server_id", "2"},
		} {
			if got := ask(t, conn, step.statement); got != step.want {
				t.Errorf("%s: got %q, want %q", step.statement, got, step.want)
			}
		}
		ask(t, conn, "USE eu")
		if got := ask(t, conn, "SELECT CONCAT(@@server_id, DATABASE())"); got != "1eu" {
			t.Errorf("after USE: got %q", got)
		}
		if err := conn.Send(0, append([]byte{byte(wire.InitDB)}, "us"...)); err != nil {
			t.Fatal(err)
		}
		if packet, err := conn.Read(); err != nil || packet.Payload[0] != 0 {
			t.Fatalf("COM_INIT_DB: %v, %v", packet, err)
		}
		if got := ask(t, conn, "SELECT CONCAT(@@server_id, DATABASE())"); got != "2us" {
			t.Errorf("after COM_INIT_DB: got %q", got)
		}
	})

	t.Run("what is refused", func(t *testing.T) {
		for statement, want := range map[string]string{
			"USE nowhere": "1049 (42000): Unknown database 'nowhere'",
			"USE other":   "1044 (42000): Access denied for user 'app'@'127.0.0.1' to database 'other'",
			"SELECT * FROM us.t a JOIN eu.t b ON a.id=b.id": "1142", // without a right on it there
			"INSERT INTO us.t(at) SELECT at FROM eu.t":      "1142",
			"SET @maxscale.x=1":                             "1193",
		} {
			if got := refused(t, conn, statement); !strings.HasPrefix(got, want) {
				t.Errorf("%s: got %q, want %q", statement, got, want)
			}
		}
		run(t, set.Members[1], "GRANT SELECT ON eu.* TO app") // which is not there
		again := p.dial(t, ofShards("app", ""))
		if got := refused(t, again, "SELECT * FROM us.t a JOIN eu.t b ON a.id=b.id"); got != "1146 (42S02): Table 'eu.t' doesn't exist" {
			t.Errorf("a join of two shards: got %q", got)
		}
		run(t, set.Members[1], "REVOKE SELECT ON eu.* FROM app")
		if _, err := backend.Dial(t.Context(), backend.Server{Name: "proxy", Address: p.address, TLS: p.end(t, "app"), Timeout: 20 * time.Second}, ofShards("app", "nowhere")); err == nil || !strings.Contains(err.Error(), "1049") {
			t.Errorf("a login with an unknown database: got %v", err)
		}
	})

	t.Run("transactions and variables", func(t *testing.T) {
		conn := p.dial(t, ofShards("app", ""))
		ask(t, conn, "SET @a=7")
		if got := ask(t, conn, "SELECT @a FROM us.t LIMIT 1"); got != "7" {
			t.Errorf("another shard has @a=%q", got)
		}
		ask(t, conn, "BEGIN")
		ask(t, conn, "INSERT INTO eu.t(at) VALUES ('gone')")
		ask(t, conn, "INSERT INTO us.t(at) VALUES ('gone')")
		ask(t, conn, "ROLLBACK")
		for _, table := range []string{"eu.t", "us.t"} {
			if got := ask(t, conn, "SELECT COUNT(*) FROM "+table+" WHERE at='gone'"); got != "0" {
				t.Errorf("%s: %s rows are left of what was rolled back", table, got)
			}
		}
		ask(t, conn, "BEGIN")
		ask(t, conn, "INSERT INTO us.t(at) VALUES ('kept')")
		ask(t, conn, "COMMIT")
		if got := ask(t, conn, "SELECT COUNT(*) FROM us.t WHERE at='kept'"); got != "1" {
			t.Errorf("got %s rows that were committed", got)
		}
	})

	t.Run("prepared statements", func(t *testing.T) {
		conn := p.dial(t, ofShards("app", "us"))
		number := prepare(t, conn, "SELECT at FROM t")
		if err := conn.Send(0, executeCommand(number, 0)); err != nil {
			t.Fatal(err)
		}
		if kinds := answer(t, conn, wire.Execute); !slices.Contains(kinds, wire.KindRow) {
			t.Errorf("got %v", kinds)
		}
		if err := conn.Send(0, prepareCommand("SELECT at FROM eu.t")); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(); err == nil || !p.said("lab stand-in: unmeasured ?24: a statement is prepared that names a table of another shard") {
			t.Errorf("a statement of another shard is prepared: %v", err)
		}
	})

	t.Run("a new database", func(t *testing.T) {
		conn := p.dial(t, ofShards("app", ""))
		ask(t, conn, "SHOW DATABASES")
		run(t, set.Members[0], "GRANT ALL ON made.* TO app")
		ask(t, conn, "CREATE DATABASE made")
		if got := list(t, conn, "SHOW DATABASES"); slices.Contains(got, "made") {
			t.Errorf("the session that made it sees it: %q", got)
		}
		if got := list(t, p.dial(t, ofShards("app", "")), "SHOW DATABASES"); !slices.Contains(got, "made") {
			t.Errorf("the next session does not see it: %q", got)
		}
	})
}

// An account that sees one name at two shards, with a table or without, is cut off: a map
// that is kept hides it for a while.
func TestDuplicateDatabases(t *testing.T) {
	set := shardSet(t)
	p, cached := startSharded(t, set, 0), startSharded(t, set, time.Hour)
	before := cached.dial(t, ofShards("app", ""))
	ask(t, before, "SHOW DATABASES")
	run(t, set.Members[0], "CREATE DATABASE us", "GRANT SELECT ON us.* TO app")
	conn := p.dial(t, ofShards("app", "eu"))
	if got, want := refused(t, conn, "SELECT 1"), "1927 (70100): Error: duplicate tables found on two different shards."; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	closed(t, conn, "SELECT 1")
	if !p.said("'us.' found on servers 'db1','db2' for user 'app'@'127.0.0.1'.") || !p.said("Duplicate tables found, closing session.") {
		t.Errorf("got the log %q", p.lines)
	}
	if got := ask(t, cached.dial(t, ofShards("app", "")), "SELECT @@server_id FROM us.t LIMIT 1"); got != "2" {
		t.Errorf("with the map of before: got %q", got)
	}
	if got := cached.ShardMaps(); got.Hits != 1 || got.Misses != 1 || got.Updates != 1 {
		t.Errorf("got %+v", got)
	}
	// Who has no right on one of the two sees the name once.
	run(t, set.Members[0], "REVOKE SELECT ON us.* FROM app")
	if got := ask(t, p.dial(t, ofShards("app", "")), "SELECT @@server_id FROM us.t LIMIT 1"); got != "2" {
		t.Errorf("without a right on one of them: got %q", got)
	}
}

// A shard that is lost takes its databases along, and no other's.
func TestALostShard(t *testing.T) {
	set := shardSet(t)
	views := &view{replicas: []string{"db1", "db2", "db3"}}
	p := startSharded(t, set, 0)
	q := start(t, set, func(o *route.Options) { o.Shards, o.View = &route.Shards{}, views })
	conn, other := p.dial(t, ofShards("app", "")), p.dial(t, ofShards("app", ""))
	for _, c := range []*backend.Conn{conn, other} {
		ask(t, c, "SELECT 1 FROM us.t LIMIT 1")
	}
	if err := set.Members[1].Down(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	views.set("", "db1", "db3")
	if got := ask(t, conn, "SELECT @@server_id FROM eu.t LIMIT 1"); got != "1" {
		t.Errorf("got %q", got)
	}
	closed(t, conn, "SELECT 1 FROM us.t LIMIT 1")
	if !p.said("unmeasured ?24: a shard that is lost") && !p.said("was lost with a statement") {
		t.Errorf("got the log %q", p.lines)
	}
	fresh := q.dial(t, ofShards("app", ""))
	if got := refused(t, fresh, "USE us"); !strings.HasPrefix(got, "1049") && !strings.HasPrefix(got, "1044") {
		t.Errorf("got %q", got)
	}
	if !q.said("unmeasured ?24: a shard that does not run at the begin of a session") {
		t.Errorf("got the log %q", q.lines)
	}
}
