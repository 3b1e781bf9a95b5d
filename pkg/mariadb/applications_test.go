package mariadb_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/accounts"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/mariadb"
	"github.com/confidb/confidb/pkg/mysql"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/pkg/topology"
)

// given makes the server that of a document, all of whose clients are there.
func given(t *testing.T, text string) *accounts.Document {
	t.Helper()
	d, err := accounts.Parse("accounts", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	all := topology.Applications{Accounts: text}
	for _, name := range d.Clients() {
		all = all.With(topology.Application{Name: name, MRENCLAVEs: []sgx.Measurement{{7}}, Command: []string{"/" + name}, Files: map[string]topology.Given{"/run/ca.crt": {Form: topology.FormCA}}})
	}
	if err := server.Give(all); err != nil {
		t.Fatal(err)
	}
	return d
}

// as is a connection of the application that has an account.
func as(t *testing.T, a accounts.Account) *mysql.Conn {
	t.Helper()
	conn, attempt := applies(t, a)
	if conn == nil {
		t.Fatalf("%s: %v", a.Name, attempt.Err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// applies logs in with the certificate of an account, and with the password that the session
// has for it.
func applies(t *testing.T, a accounts.Account) (*mysql.Conn, mysql.Attempt) {
	t.Helper()
	certificate := must[tls.Certificate](t)(server.CA.Client(a.CommonName()))
	return mysql.Connect(t.Context(), mysql.Login{Address: server.Address, Account: a.Name, Password: server.Passwords["SCONE::"+a.Identity()+"_password:hex"],
		TLS: &tls.Config{RootCAs: roots(), ServerName: "localhost", Certificates: []tls.Certificate{certificate}}})
}

// TestRoutinesChangeNobodysRights: who makes a routine gets no right on it by that, and who
// drops one takes nobody's away.
func TestRoutinesChangeNobodysRights(t *testing.T) {
	fresh(t)
	d := given(t, `kind: confidb.accounts/v1
databases: [{name: shop}]
accounts:
  - {name: maker, client: maker, privileges: [{database: shop, grant: [CREATE ROUTINE, ALTER ROUTINE]}]}
  - {name: user, client: user, privileges: [{database: shop, procedure: Tidy, grant: [EXECUTE]}, {database: shop, function: price, grant: [ALL]}]}
`)
	before := inTheDatabase(t)
	same := func(when string) {
		t.Helper()
		if diff := cmp.Diff(slices.Sorted(maps.Keys(before)), slices.Sorted(maps.Keys(inTheDatabase(t)))); diff != "" {
			t.Errorf("%s, rights have changed: -before +now:\n%s", when, diff)
		}
		seen := mariadb.Ask(t.Context(), t, goodTarget())
		for _, id := range mariadb.Asked() {
			if outcome, said, more := seen.Conclude(id); outcome != check.Pass {
				t.Errorf("%s: %s: got %v (%s %v), want pass", when, id, outcome, said, more)
			}
		}
	}
	maker, user := as(t, d.Accounts[0]), as(t, d.Accounts[1])
	run := func(conn *mysql.Conn, statement string) error {
		_, err := conn.Query(t.Context(), statement)
		return err
	}
	call := func(when string, works bool) {
		t.Helper()
		if err := run(user, "CALL shop.tidy()"); (err == nil) != works {
			t.Errorf("%s, the routine is called: got %v, want that it works: %v", when, err, works)
		}
	}
	same("before there is a routine")
	for _, statement := range []string{"CREATE PROCEDURE shop.tidy() SQL SECURITY INVOKER DO 1", "DROP PROCEDURE shop.tidy", "CREATE PROCEDURE shop.TIDY() SQL SECURITY INVOKER DO 2"} {
		if err := run(maker, statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
		same("after " + statement)
		call("after "+statement, strings.HasPrefix(statement, "CREATE"))
	}
	if err := run(maker, "CALL shop.tidy()"); err == nil {
		t.Error("who made a routine may call it, which nobody gave them")
	}
	if err := server.Restart("automatic_sp_privileges = ON"); err != nil {
		t.Fatal(err)
	}
	if outcome, said, _ := mariadb.Ask(t.Context(), t, goodTarget()).Conclude("set-01"); outcome != check.Fail || !strings.Contains(said, "automatic_sp_privileges") {
		t.Errorf("rights that come and go with routines: got %v (%s), want fail", outcome, said)
	}
}

// TestRightsOnWhatIsNotThereYet hold from the moment on at which it is made.
func TestRightsOnWhatIsNotThereYet(t *testing.T) {
	fresh(t)
	d := given(t, `kind: confidb.accounts/v1
databases: [{name: shop}]
accounts: [{name: u, client: u, privileges: [{database: shop, table: t, grant: [SELECT]}, {database: shop, table: t, columns: [b], grant: [UPDATE]}, {database: shop, procedure: p, grant: [EXECUTE]}]}]
`)
	u := as(t, d.Accounts[0])
	try := func(want int, statements ...string) {
		t.Helper()
		for _, statement := range statements {
			_, err := u.Query(t.Context(), statement)
			said, refused := errors.AsType[*mysql.ServerError](err)
			if want == 0 && err != nil || want != 0 && (!refused || int(said.Code) != want) {
				t.Errorf("%s: got %v, want the error %d", statement, err, want)
			}
		}
	}
	for range 2 {
		try(1146, "SELECT a FROM shop.t")
		try(1305, "CALL shop.p()")
		execute(t, "CREATE TABLE shop.t (a int, b int)", "CREATE PROCEDURE shop.p() SQL SECURITY INVOKER DO 1")
		try(0, "SELECT a FROM shop.t", "UPDATE shop.t SET b = 1", "CALL shop.p()")
		try(1143, "UPDATE shop.t SET a = 1")
		try(1142, "DELETE FROM shop.t", "CREATE TABLE shop.other (a int)")
		execute(t, "DROP TABLE shop.t", "DROP PROCEDURE shop.p")
	}
}

// TestAccountsThatFail: whatever statement among those of accounts does not work, in
// whatever way, the server ends, or it does not become ready and a check says so.
func TestAccountsThatFail(t *testing.T) {
	h := newHost(t)
	file, whole := h.server.Path("enclave/accounts.sql"), h.server.File("accounts.sql")
	const mark = "CREATE DATABASE IF NOT EXISTS confidb;\nEND//\n"
	if strings.Count(whole, mark) != 1 {
		t.Fatalf("the init file lacks %q", mark)
	}
	const row = "INSERT INTO mysql.tables_priv (Host, Db, User, Table_name, Table_priv, Column_priv) VALUES ('%', 'app', 'confidb_app', 't', "
	// What the parser refuses, it refuses with the whole block, before its handler is there.
	for name, c := range map[string]struct{ statement, want string }{
		"no statement":                {"this is no statement", named},
		"a collation that is none":    {"CREATE DATABASE shop COLLATE utf8mb4_nonsense_ci", named},
		"a character set of none":     {"ALTER DATABASE app CHARACTER SET utf9", named},
		"a collation of another set":  {"CREATE DATABASE shop CHARACTER SET latin1 COLLATE utf8mb4_bin", named},
		"a database's name too long":  {"CREATE DATABASE `" + strings.Repeat("x", 65) + "`", ends},
		"a folder's name too long":    {"CREATE DATABASE `" + strings.Repeat("字", 52) + "`", ends},
		"a database that is there":    {"CREATE DATABASE app", ends},
		"an account's name too long":  {"CREATE USER `" + strings.Repeat("x", 129) + "`@'%'", named},
		"a table that is not there":   {"GRANT SELECT ON app.nothing TO confidb_app@'%'", ends},
		"a column that is not there":  {"GRANT SELECT (nothing) ON app.t TO confidb_app@'%'", ends},
		"a routine that is not there": {"GRANT EXECUTE ON PROCEDURE app.nothing TO confidb_app@'%'", ends},
		"a right that is none":        {"GRANT NONSENSE ON app.* TO confidb_app@'%'", named},
		"the same row twice":          {row + "'Select', ''); " + row + "'Select', '')", ends},
	} {
		for where, text := range map[string]string{
			"in a block": "BEGIN NOT ATOMIC\n  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN SHUTDOWN; RESIGNAL; END;\n  CREATE DATABASE IF NOT EXISTS first;\n  " + c.statement + ";\n  CREATE DATABASE IF NOT EXISTS last;\nEND//\n",
			"by itself":  strings.ReplaceAll(c.statement, "; ", "//\n") + "//\n",
		} {
			want := []string{c.want}
			if where == "by itself" {
				want = []string{named}
			}
			h.clean()
			h.must(os.WriteFile(file, []byte(strings.Replace(whole, mark, mark+text, 1)), 0o600), h.server.Own(file))
			if h.boot(fmt.Sprintf("%s, %s", name, where), "", want...) {
				t.Errorf("%s, %s: it becomes ready", name, where)
			}
		}
	}
}

// TestALockedAccountThatIsUnlocked by an insider lets nobody in who has its certificate and
// the password that it had before, and is named.
func TestALockedAccountThatIsUnlocked(t *testing.T) {
	fresh(t)
	const text = "kind: confidb.accounts/v1\ndatabases: [{name: shop}]\naccounts: [{name: u, client: u, privileges: [{database: shop, grant: [SELECT]}]}]\n"
	d := given(t, text)
	as(t, d.Accounts[0])
	if err := server.Give(topology.Applications{Accounts: text}); err != nil {
		t.Fatal(err)
	}
	wantClean(t, "with a locked account")
	execute(t, "ALTER USER u@'%' ACCOUNT UNLOCK")
	if outcome, said, _ := mariadb.Ask(t.Context(), t, goodTarget()).Conclude("acc-04"); outcome != check.Fail || !strings.Contains(said, "locked") {
		t.Errorf("unlocked: got %v (%s), want fail", outcome, said)
	}
	if conn, attempt := applies(t, d.Accounts[0]); conn != nil || !attempt.Denied() {
		t.Errorf("with the password of before: got stage %v, %v, want that the login is denied", attempt.Stage, attempt.Err)
	}
	execute(t, "ALTER USER u@'%' IDENTIFIED BY '"+server.Passwords["SCONE::"+d.Accounts[0].Identity()+"_password:hex"]+"' ACCOUNT LOCK")
	if outcome, said, _ := mariadb.Ask(t.Context(), t, goodTarget()).Conclude("acc-04"); outcome != check.Fail || !strings.Contains(said, "authentication") {
		t.Errorf("locked, with a password: got %v (%s), want fail", outcome, said)
	}
}

// TestTwentyAccounts: to observe a database with twenty accounts takes at most one and a half
// times the statements and connections of one with one account, beside the four logins that
// are tried as each.
func TestTwentyAccounts(t *testing.T) {
	fresh(t)
	trips := map[int]int{}
	for _, n := range []int{1, 20} {
		text := "kind: confidb.accounts/v1\ndatabases: [{name: shop}]\naccounts:\n"
		for i := range n {
			text += fmt.Sprintf("  - {name: a%d, client: c%d, privileges: [{database: shop, grant: [SELECT]}, {database: shop, table: t, columns: [c], grant: [UPDATE]}]}\n", i, i)
		}
		given(t, text)
		count := func() (all int) {
			rows(t, "SHOW GLOBAL STATUS WHERE Variable_name IN ('Questions', 'Connections')", func(row map[string]string) {
				all += must[int](t)(strconv.Atoi(row["Value"]))
			})
			return all
		}
		before := count()
		report := observe(t, goodTarget())
		trips[n] = count() - before
		if finding, _ := report.Find("acc-04"); finding.Outcome != check.Pass {
			t.Errorf("%d accounts: acc-04: got %v (%s %s)", n, finding.Outcome, finding.Got, finding.Reason)
		}
	}
	t.Logf("statements and connections for one account: %d, for twenty: %d", trips[1], trips[20])
	const tried = 4
	if trips[20] > trips[1]*3/2+19*tried {
		t.Errorf("twenty accounts take %d statements and connections, want at most one and a half times the %d of one", trips[20], trips[1])
	}
}

// TestCharactersAreThoseOfTheServer: each character set and collation of MariaDB is
// accepted, as it says it itself, and no other.
func TestCharactersAreThoseOfTheServer(t *testing.T) {
	parse := func(set, collation string) (accounts.Database, error) {
		d, err := accounts.Parse("a", []byte(fmt.Sprintf("kind: confidb.accounts/v1\ndatabases: [{name: a, character-set: %s, collation: %s}]\n", set, collation)))
		if err != nil {
			return accounts.Database{}, err
		}
		return d.Databases[0], nil
	}
	sets, endings, has := map[string]string{}, map[string]bool{}, map[string]bool{}
	rows(t, "SELECT CHARACTER_SET_NAME, DEFAULT_COLLATE_NAME FROM information_schema.CHARACTER_SETS", func(row map[string]string) {
		sets[row["CHARACTER_SET_NAME"]] = row["DEFAULT_COLLATE_NAME"]
	})
	rows(t, "SELECT CHARACTER_SET_NAME, FULL_COLLATION_NAME, COLLATION_NAME FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY", func(row map[string]string) {
		set, full := row["CHARACTER_SET_NAME"], row["FULL_COLLATION_NAME"]
		has[full], endings[strings.TrimPrefix(full, set)] = true, true
		for _, name := range []string{full, row["COLLATION_NAME"]} {
			if got, err := parse(set, name); err != nil || got.CharacterSet != set || got.Collation != full {
				t.Errorf("%s %s: got %+v, %v", set, name, got, err)
			}
		}
	})
	if len(sets) < 40 || len(has) < 1000 {
		t.Fatalf("the server has %d character sets and %d collations", len(sets), len(has))
	}
	for set, ordinary := range sets {
		d, err := accounts.Parse("a", []byte("kind: confidb.accounts/v1\ndatabases: [{name: a, character-set: "+set+"}]\n"))
		if err != nil || d.Databases[0].Collation != ordinary {
			t.Errorf("%s: got %+v, %v, want %s", set, d, err, ordinary)
		}
		for ending := range endings {
			if name := set + ending; !has[name] {
				if got, err := parse(set, name); err == nil {
					t.Errorf("%s %s, which the server does not have: got %+v", set, name, got)
				}
			}
		}
	}
}
