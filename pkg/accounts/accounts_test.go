package accounts_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/accounts"
	"github.com/confidb/confidb/pkg/promise"
)

func parsed(t *testing.T, text string) *accounts.Document {
	t.Helper()
	d, err := accounts.Parse("accounts.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// told is what the statements of a document say to whoever reads the session.
func told(t *testing.T, sql string) *promise.Promise {
	t.Helper()
	reset := ""
	for _, table := range promise.GrantTables() {
		reset += "DELETE FROM mysql." + table + ";\n"
	}
	p := promise.Read([]string{"mariadbd", "--defaults-file=/c", "--init-file=/i"}, map[string]string{"/c": "[mariadbd]\n", "/i": reset + "FLUSH PRIVILEGES;\nDELIMITER //\n" + sql + "\nDELIMITER ;\n"})
	if len(p.Unclear) > 0 {
		t.Fatalf("not understood: %v in\n%s", p.Unclear, sql)
	}
	return p
}

// sameAsTold compares a document with what its own statements say.
func sameAsTold(t *testing.T, d *accounts.Document, there func(string) bool) {
	t.Helper()
	sql := d.SQL(there)
	got := told(t, sql)
	var databases []promise.Database
	for _, one := range d.Databases {
		databases = append(databases, promise.Database{Name: one.Name, CharacterSet: one.CharacterSet, Collation: one.Collation})
	}
	var want []promise.Account
	for _, a := range d.Accounts {
		want = append(want, a.Promised(!there(a.Client)))
	}
	if diff := cmp.Diff(databases, got.Databases); diff != "" {
		t.Errorf("databases: %s", diff)
	}
	if diff := cmp.Diff(want, got.Accounts); diff != "" {
		t.Errorf("accounts: %s in\n%s", diff, sql)
	}
}

func everybody(string) bool { return true }

func TestExample(t *testing.T) {
	d := parsed(t, accounts.Example())
	sameAsTold(t, d, everybody)
	sameAsTold(t, d, func(string) bool { return false })
	sql := d.SQL(everybody)
	for _, want := range []string{
		"CREATE DATABASE IF NOT EXISTS `shop`", "ALTER DATABASE `shop` CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci",
		"CREATE OR REPLACE USER `tokenizer`@'%' IDENTIFIED BY '$$SCONE::account_tokenizer_password:hex$$' REQUIRE SUBJECT '/CN=confidb-account-tokenizer' AND ISSUER '/CN=confidb-ca' WITH ",
		"GRANT SELECT, INSERT, CREATE ON `shop`.* TO `tokenizer`@'%'",
		"('%', 'shop', 'tokenizer', 'cards', 'DELETE', 'UPDATE')", "('%', 'shop', 'tokenizer', 'cards', 'last_used', 'UPDATE')", "('%', 'shop', 'tokenizer', 'clean_up', 'PROCEDURE', 'EXECUTE')",
	} {
		if !strings.Contains(sql, want) {
			t.Errorf("want %s in\n%s", want, sql)
		}
	}
	if (&accounts.Document{}).SQL(everybody) != "" {
		t.Error("nothing makes statements")
	}
}

// with is a document whose only account is written so.
func with(name, privileges string) string {
	return fmt.Sprintf("kind: confidb.accounts/v1\ndatabases: [{name: shop}, {name: a_b}]\naccounts:\n  - {name: %s, client: web, privileges: [%s]}\n", name, privileges)
}

// TestRefused: each is refused at its place, with the reason.
func TestRefused(t *testing.T) {
	const head = "kind: confidb.accounts/v1\n"
	long := strings.Repeat("ü", 65)
	for name, c := range map[string]struct{ text, want string }{
		"empty":                    {"", "accounts.yaml:1:1: got an empty document, want kind: confidb.accounts/v1"},
		"another kind":             {"kind: confidb.policy/v1\n", `got "confidb.policy/v1"`},
		"an unknown key":           {head + "acounts: []\n", `unknown key "acounts"`},
		"all databases":            {with("a", "{database: '*', grant: [SELECT]}"), "without * and %"},
		"a wildcard":               {with("a", "{database: 'sh%', grant: [SELECT]}"), "accounts.yaml:4:52: accounts[0].privileges[0].database: got \"sh%\", want a name without * and %"},
		"a pattern":                {with("a", "{database: shop, table: 't%', grant: [SELECT]}"), "without * and %"},
		"grant option":             {with("a", "{database: shop, grant: [SELECT, GRANT OPTION]}"), "gives rights to others"},
		"FILE":                     {with("a", "{database: shop, grant: [file]}"), "got FILE, a right on the whole server"},
		"SUPER":                    {with("a", "{database: shop, grant: [SUPER]}"), "got SUPER, a right on the whole server"},
		"by another name":          {with("a", "{database: shop, grant: [REPLICATION CLIENT]}"), "got BINLOG MONITOR, a right on the whole server"},
		"USAGE":                    {with("a", "{database: shop, grant: [USAGE]}"), `got "USAGE", want SELECT`},
		"no right":                 {with("a", "{database: shop, grant: []}"), "got none, want SELECT"},
		"a wrong word":             {with("a", "{database: shop, grant: [SELCT]}"), `got "SELCT"`},
		"two words":                {with("a", "{database: shop, grant: ['SELECT, INSERT']}"), `got "SELECT, INSERT"`},
		"SQL":                      {with("a", "{database: shop, grant: ['SELECT; DROP']}"), `got "SELECT; DROP"`},
		"columns in brackets":      {with("a", "{database: shop, table: t, grant: ['SELECT (a)']}"), `got "SELECT (a)"`},
		"of tables on routines":    {with("a", "{database: shop, procedure: p, grant: [SELECT]}"), "want EXECUTE, ALTER ROUTINE"},
		"of tables on columns":     {with("a", "{database: shop, table: t, columns: [c], grant: [DELETE]}"), "want SELECT, INSERT, UPDATE, REFERENCES"},
		"all on columns":           {with("a", "{database: shop, table: t, columns: [c], grant: [ALL]}"), `got "ALL"`},
		"of databases on a table":  {with("a", "{database: shop, table: t, grant: [EXECUTE]}"), `got "EXECUTE"`},
		"a system database":        {with("a", "{database: mysql, grant: [SELECT]}"), "what the server obeys"},
		"in other letters":         {with("a", "{database: Information_Schema, grant: [SELECT]}"), "what the server obeys"},
		"the marks":                {with("a", "{database: confidb_verify, grant: [SELECT]}"), "what the server obeys"},
		"an unknown database":      {with("a", "{database: shpo, grant: [SELECT]}"), `got "shpo", want one that is listed under databases, or app`},
		"no database":              {with("a", "{table: t, grant: [SELECT]}"), "database: it is missing"},
		"two targets":              {with("a", "{database: shop, table: t, procedure: p, grant: [EXECUTE]}"), "got procedure and table, want one of them"},
		"columns of nothing":       {with("a", "{database: shop, columns: [c], grant: [SELECT]}"), "columns without a table"},
		"no column":                {with("a", "{database: shop, table: t, columns: [], grant: [SELECT]}"), "got 0 columns"},
		"a column twice":           {with("a", "{database: shop, table: t, columns: [c, C], grant: [SELECT]}"), "MariaDB takes for"},
		"a routine twice":          {with("a", "{database: shop, procedure: p, grant: [EXECUTE]}, {database: shop, procedure: P, grant: [EXECUTE]}"), "got the same routine"},
		"no client":                {head + "accounts: [{name: a, privileges: []}]\n", "an account without a client"},
		"another's client":         {head + "accounts: [{name: a, client: db, privileges: []}]\n", "which is reserved"},
		"a client in capitals":     {head + "accounts: [{name: a, client: Web, privileges: []}]\n", "want at most 40 of a-z"},
		"root":                     {with("Root", "{database: shop, grant: [SELECT]}"), "MariaDB's or the session's own"},
		"ours":                     {with("confidb_verify", "{database: shop, grant: [SELECT]}"), "MariaDB's or the session's own"},
		"PUBLIC":                   {with("public", "{database: shop, grant: [SELECT]}"), "MariaDB's or the session's own"},
		"anonymous":                {with("''", "{database: shop, grant: [SELECT]}"), "that is not empty"},
		"with a host":              {with("'a@%'", "{database: shop, grant: [SELECT]}"), "without * and %"},
		"a secret of CAS":          {with("'$$SCONE::app_password$$'", "{database: shop, grant: [SELECT]}"), `without \, $`},
		"a variable of CAS":        {with("'@@1'", "{database: shop, grant: [SELECT]}"), `without \, $`},
		"a backslash":              {with(`'a\'`, "{database: shop, grant: [SELECT]}"), `without \, $`},
		"the delimiter":            {with("a//b", "{database: shop, grant: [SELECT]}"), `without \, $`},
		"space at the end":         {with("'a '", "{database: shop, grant: [SELECT]}"), "white space at its ends"},
		"a line break":             {with(`"a\nb"`, "{database: shop, grant: [SELECT]}"), "characters that can be seen"},
		"beyond the plane":         {with("'😀'", "{database: shop, grant: [SELECT]}"), "up to U+FFFF"},
		"a name too long":          {head + "databases: [{name: " + long + "}]\n", "at most 64 characters"},
		"a folder's name too long": {head + "databases: [{name: " + strings.Repeat("字", 52) + "}]\n", "takes 260 characters on disk, want at most 255"},
		"a system database made":   {head + "databases: [{name: Mysql}]\n", "MariaDB's or the session's own"},
		"a database twice":         {head + "databases: [{name: a}, {name: a}]\n", "databases[1].name: got \"a\", which is too like"},
		"an account twice":         {head + "accounts: [{name: a, client: b, privileges: []}, {name: A, client: c, privileges: []}]\n", "too like"},
		"a limit of none":          {head + "accounts: [{name: a, client: b, limits: {max-user-connections: 0}, privileges: []}]\n", "want a number from 1"},
		"a negative limit":         {head + "accounts: [{name: a, client: b, limits: {max-user-connections: -1}, privileges: []}]\n", "want a number from 1"},
		"a foreign collation":      {head + "databases: [{name: a, character-set: latin1, collation: utf8mb4_bin}]\n", "want one of the character set latin1"},
		"a set that is none":       {head + "databases: [{name: a, character-set: utf9}]\n", "a character set of MariaDB 10.11"},
		"a collation of nothing":   {head + "databases: [{name: a, collation: utf8mb4_0900_ai_ci}]\n", "want one of the character set utf8mb4"},
		"a collation misspelt":     {head + "databases: [{name: a, collation: utf8mb_bin}]\n", "a collation of MariaDB 10.11"},
		"a collation of several":   {head + "databases: [{name: a, collation: uca1400_ai_ci}]\n", "its character-set beside it"},
		"one that latin1 lacks":    {head + "databases: [{name: a, character-set: latin1, collation: uca1400_ai_ci}]\n", "want one of the character set latin1"},
		"SQL in a character set":   {head + "databases: [{name: a, character-set: 'utf8; DROP'}]\n", "the name of a character set"},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := accounts.Parse("accounts.yaml", []byte(c.text))
			if err == nil {
				t.Fatalf("got %+v, want that it is refused", d)
			}
			if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "accounts.yaml:") {
				t.Errorf("got %v\nwant %s", err, c.want)
			}
		})
	}
}

// TestCharactersAreSaidInFull: what is not written follows from what is, and has one name.
func TestCharactersAreSaidInFull(t *testing.T) {
	for written, want := range map[string]accounts.Database{
		"":                          {CharacterSet: "utf8mb4", Collation: "utf8mb4_general_ci"},
		", character-set: latin1":   {CharacterSet: "latin1", Collation: "latin1_swedish_ci"},
		", character-set: binary":   {CharacterSet: "binary", Collation: "binary"},
		", collation: utf8_bin":     {CharacterSet: "utf8mb3", Collation: "utf8mb3_bin"},
		", character-set: utf8":     {CharacterSet: "utf8mb3", Collation: "utf8mb3_general_ci"},
		", collation: cp1251_bin":   {CharacterSet: "cp1251", Collation: "cp1251_bin"},
		", collation: thai_520_w2":  {},
		", collation: utf8mb4_bin ": {CharacterSet: "utf8mb4", Collation: "utf8mb4_bin"},
		", character-set: utf16, collation: uca1400_spanish2_nopad_as_cs": {CharacterSet: "utf16", Collation: "utf16_uca1400_spanish2_nopad_as_cs"},
	} {
		d, err := accounts.Parse("a", []byte("kind: confidb.accounts/v1\ndatabases: [{name: a"+written+"}]\n"))
		if want.Name = "a"; want.CharacterSet == "" {
			if err == nil {
				t.Errorf("%q: got %+v, want that it is refused", written, d.Databases)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", written, err)
		} else if d.Databases[0] != want {
			t.Errorf("%q: got %+v, want %+v", written, d.Databases[0], want)
		}
	}
}

// TestChangesInWords: each kind of change is said, once, and nothing else is.
func TestChangesInWords(t *testing.T) {
	state := func(text string, clients ...string) accounts.State {
		return accounts.State{Document: parsed(t, "kind: confidb.accounts/v1\n"+text), There: func(c string) bool { return slices.Contains(clients, c) }}
	}
	const one = "databases: [{name: shop}]\naccounts: [{name: a, client: web, limits: {max-user-connections: 5}, privileges: [{database: shop, grant: [SELECT, INSERT]}, {database: shop, procedure: Clean, grant: [EXECUTE]}]}]\n"
	base := state(one, "web")
	swap := func(pairs ...string) accounts.State { return state(strings.NewReplacer(pairs...).Replace(one), "web") }
	for name, c := range map[string]struct {
		to   accounts.State
		want []string
	}{
		"nothing":              {state(one, "web"), nil},
		"the same otherwise":   {swap("Clean", "CLEAN", "[SELECT, INSERT]", "[insert, select, SELECT]", "name: shop", "name: shop, collation: utf8mb4_general_ci"), nil},
		"a client is gone":     {state(one), nil}, // is said of the client
		"a database":           {swap("[{name: shop}", "[{name: shop}, {name: b}"), []string{`database "b" is made, with characters utf8mb4 utf8mb4_general_ci`}},
		"characters":           {swap("name: shop", "name: shop, character-set: ascii"), []string{`database "shop": characters ascii ascii_general_ci, after utf8mb4 utf8mb4_general_ci`}},
		"a right more":         {swap("INSERT", "INSERT, DELETE"), []string{`account "a" gains DELETE ON "shop".*`}},
		"a right less":         {swap(", INSERT", ""), []string{`account "a" loses INSERT ON "shop".*`}},
		"another routine":      {swap("Clean", "other"), []string{`account "a" gains EXECUTE ON PROCEDURE "shop"."other"`, `account "a" loses EXECUTE ON PROCEDURE "shop"."clean"`}},
		"another limit":        {swap("5", "6"), []string{`account "a" has limits MAX_USER_CONNECTIONS 6, after MAX_USER_CONNECTIONS 5`}},
		"no limit":             {swap("limits: {max-user-connections: 5}, ", ""), []string{`account "a" has limits none, after MAX_USER_CONNECTIONS 5`}},
		"a client that is not": {swap("client: web", "client: batch"), []string{`account "a" belongs to client batch, and no longer to web`, `account "a" is locked until client batch is added`}},
		"another account": {swap("name: a", "name: b"), []string{`account "a" of client web is removed, with its rights: SELECT, INSERT ON "shop".*; EXECUTE ON PROCEDURE "shop"."clean"`,
			`account "b" of client web is new, with these rights: SELECT, INSERT ON "shop".*; EXECUTE ON PROCEDURE "shop"."clean"`, `account "b" has limits MAX_USER_CONNECTIONS 5`}},
		"one that is locked": {state(strings.Replace(one, "accounts: [", "accounts: [{name: b, client: batch, privileges: []}, ", 1), "web"), []string{`account "b" of client batch is new, with these rights: none`, `account "b" is locked until client batch is added`}},
	} {
		if diff := cmp.Diff(c.want, accounts.Compare(base, c.to).Words()); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
	}
	back := accounts.Compare(swap("client: web", "client: batch"), base).Words()
	if diff := cmp.Diff([]string{`account "a" belongs to client web, and no longer to batch`, `account "a" is no longer locked`}, back); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestALockedAccountHasNoPassword: that of a client that is not there is none that anybody
// could have, beside the lock.
func TestALockedAccountHasNoPassword(t *testing.T) {
	d := parsed(t, accounts.Example())
	locked := d.SQL(func(string) bool { return false })
	if strings.Contains(locked, "$$") || strings.Count(locked, "IDENTIFIED VIA mysql_native_password USING 'invalid' REQUIRE SUBJECT") != len(d.Accounts) || strings.Count(locked, "ACCOUNT LOCK") != len(d.Accounts) {
		t.Errorf("got %s", locked)
	}
	if open := d.SQL(everybody); strings.Contains(open, "invalid") || strings.Contains(open, "LOCK") {
		t.Errorf("got %s", open)
	}
	promised := d.Accounts[0].Promised(true)
	for what, got := range map[string]promise.Account{"a password": d.Accounts[0].Promised(false), "no password": {Name: promised.Name}} {
		got.Locked, got.Require, got.Limits, got.Rights = true, promised.Require, promised.Limits, promised.Rights
		if differences := promised.Differences(&got); len(differences) != 1 || !strings.Contains(differences[0], "authentication") {
			t.Errorf("%s: got %q", what, differences)
		}
	}
}

// TestThroughSomebody: an account whose client comes through somebody demands the
// certificate of that one; nothing else of it is another, locked or not, and the certificate
// that is made for its client stays what it was.
func TestThroughSomebody(t *testing.T) {
	direct, through := parsed(t, accounts.Example()), parsed(t, accounts.Example())
	for i := range through.Accounts {
		through.Accounts[i].Through = "confidb-maxscale"
	}
	for _, there := range []func(string) bool{everybody, func(string) bool { return false }} {
		sameAsTold(t, through, there)
		want := direct.SQL(there)
		for _, a := range direct.Accounts {
			want = strings.Replace(want, "'/CN="+a.CommonName()+"'", "'/CN=confidb-maxscale'", 1)
		}
		if diff := cmp.Diff(want, through.SQL(there)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	for i, a := range direct.Accounts {
		if got := through.Accounts[i]; got.CommonName() != a.CommonName() || got.Identity() != a.Identity() {
			t.Errorf("%s: got the certificate of %s", a.Name, got.CommonName())
		}
		if d := a.Promised(false); len(d.Differences(new(through.Accounts[i].Promised(false)))) != 1 {
			t.Errorf("%s: got %q, want that it requires another subject", a.Name, d.Differences(new(through.Accounts[i].Promised(false))))
		}
	}
}

// names are such as break careless SQL.
func names() []string {
	return []string{"a", "it's", `say "x"`, "back`tick", "``", "select", "größe", strings.Repeat("字", 51), strings.Repeat("x", 64), "a b", "a.b", "a-b", "1", "null", "a#b", "--", "a;b", "(", "a,b", "Ünïcödé", "o'`\"'", "_", "a_b", "END", "a=b", "{x}", "\u00a0x"}
}

func TestNamesStayNames(t *testing.T) {
	for _, n := range names() {
		word := strings.ReplaceAll(n, "'", "''")
		text := fmt.Sprintf(`kind: confidb.accounts/v1
databases: [{name: '%[1]s'}]
accounts:
  - name: '%[1]s'
    client: web
    privileges:
      - {database: '%[1]s', grant: [select, Create View]}
      - {database: '%[1]s', table: '%[1]s', grant: [ALL PRIVILEGES]}
      - {database: '%[1]s', table: '%[1]s', columns: ['%[1]s', other], grant: [UPDATE]}
      - {database: '%[1]s', function: '%[1]s', grant: [EXECUTE]}
      - {database: '%[1]s', procedure: '%[1]s', grant: [ALL]}
`, word)
		d, err := accounts.Parse("accounts.yaml", []byte(text))
		if err != nil {
			if n != "\u00a0x" {
				t.Errorf("%q: %v", n, err)
			}
			continue
		}
		sameAsTold(t, d, everybody)
	}
}

// TestNamesOfSecretsAreOfOneAccount: no account has a secret of the name that one of another
// account has, whatever they are called.
func TestNamesOfSecretsAreOfOneAccount(t *testing.T) {
	of := map[string]string{}
	for _, name := range []string{"foo", "foo_key", "foo_password", "foo_key_password", "api_key", "_key", "_password", "key", "password", "0xab", "a b", "Foo"} {
		id := accounts.Account{Name: name}.Identity()
		for _, secret := range []string{id, id + "_key", id + "_password"} {
			if other, there := of[secret]; there {
				t.Errorf("%s is a secret of %q and of %q", secret, other, name)
			}
			of[secret] = name
		}
	}
}
