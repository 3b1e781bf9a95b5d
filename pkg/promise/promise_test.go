package promise_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/promise"
)

const reset = `SET SESSION sql_log_bin=0;
DELETE FROM mysql.global_priv;
DELETE FROM mysql.db;
DELETE FROM mysql.tables_priv;
DELETE FROM mysql.columns_priv;
DELETE FROM mysql.procs_priv;
DELETE FROM mysql.proxies_priv;
DELETE FROM mysql.roles_mapping;
DELETE FROM mysql.func;
FLUSH PRIVILEGES;
`

func read(statements string) *promise.Promise {
	return promise.Read([]string{"mariadbd", "--defaults-file=/c", "--init-file=/i"},
		map[string]string{"/c": "[mariadbd]\nport = 1\n", "/i": reset + statements})
}

// rights are the rights of an account, as text.
func rights(t *testing.T, p *promise.Promise, n promise.Name) string {
	t.Helper()
	a := p.Account(n)
	if a == nil {
		t.Fatalf("no account %s among %+v", n, p.Accounts)
	}
	var all []string
	for _, r := range a.Rights {
		all = append(all, r.String())
	}
	return strings.Join(all, "; ")
}

func TestAccounts(t *testing.T) {
	p := read(`CREATE OR REPLACE USER 'a'@'%' IDENTIFIED BY '$$SCONE::pw:hex$$' REQUIRE SUBJECT '/CN=a;b' AND ISSUER '/CN=ca' WITH MAX_USER_CONNECTIONS 3 MAX_STATEMENT_TIME 1.50 ACCOUNT LOCK PASSWORD EXPIRE INTERVAL 5 DAY;
CREATE USER b IDENTIFIED VIA ed25519 USING PASSWORD('x') OR unix_socket REQUIRE X509, ''@localhost;
`)
	if len(p.Unclear) != 1 { // a comma after REQUIRE is no SQL
		t.Errorf("got %q", p.Unclear)
	}
	want := promise.Account{Name: promise.Name{User: "a", Host: "%"}, Methods: []promise.Method{{Plugin: "mysql_native_password", Given: true, Secret: "SCONE::pw:hex"}},
		Require: promise.Require{Level: "SPECIFIED", Issuer: "/CN=ca", Subject: "/CN=a;b"}, Locked: true, Expiry: "interval 5",
		Limits: []string{"MAX_STATEMENT_TIME 1.5", "MAX_USER_CONNECTIONS 3"}}
	if diff := cmp.Diff(want, p.Accounts[0]); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	p = read("CREATE USER b IDENTIFIED VIA ed25519 USING PASSWORD('x') OR unix_socket, ''@localhost, c@'h' IDENTIFIED BY '' REQUIRE X509;\nALTER USER c@h REQUIRE SSL;\n-- gone\nDROP USER IF EXISTS ''@localhost, nobody;\n")
	if len(p.Unclear) > 0 || len(p.Accounts) != 2 {
		t.Fatalf("got %+v", p)
	}
	b := promise.Account{Name: promise.Name{User: "b", Host: "%"}, Methods: []promise.Method{{Plugin: "ed25519", Given: true}, {Plugin: "unix_socket"}}, Require: promise.Require{Level: "X509"}}
	c := promise.Account{Name: promise.Name{User: "c", Host: "h"}, Methods: []promise.Method{{Plugin: "mysql_native_password"}}, Require: promise.Require{Level: "SSL"}}
	if diff := cmp.Diff([]promise.Account{b, c}, p.Accounts); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestRights(t *testing.T) {
	u := promise.Name{User: "u", Host: "%"}
	for statements, want := range map[string]string{
		"GRANT USAGE ON *.* TO u@'%';":                                               "",
		"GRANT SELECT, REPLICATION CLIENT ON *.* TO u@'%' WITH GRANT OPTION;":        `BINLOG MONITOR ON *.*; GRANT OPTION ON *.*; SELECT ON *.*`,
		"GRANT ALL ON `a\\_b`.* TO u;":                                               "ALL PRIVILEGES ON \"a\\\\_b\".*",
		"GRANT ALL PRIVILEGES ON a.t TO u;":                                          `ALL PRIVILEGES ON "a"."t"`,
		"GRANT ALL ON a.* TO u;\nREVOKE ALL ON a.* FROM u;\nGRANT DROP ON a.* TO u;": `DROP ON "a".*`,
		"GRANT SELECT (x, `y`), INSERT, UPDATE (x) ON TABLE a.t TO u;":               `SELECT("x") ON "a"."t"; UPDATE("x") ON "a"."t"; SELECT("y") ON "a"."t"; INSERT ON "a"."t"`,
		"GRANT EXECUTE, ALTER ROUTINE ON FUNCTION a.f TO u;":                         `ALL PRIVILEGES ON FUNCTION "a"."f"`,
		"GRANT EXECUTE ON PACKAGE BODY a.f TO u WITH GRANT OPTION;":                  `EXECUTE ON PACKAGE BODY "a"."f"; GRANT OPTION ON PACKAGE BODY "a"."f"`,
		"USE a;\nGRANT SELECT ON t TO u;":                                            `SELECT ON "a"."t"`,
		"GRANT PROXY ON x@h TO u WITH GRANT OPTION;":                                 `GRANT OPTION ON "x"@"h"; PROXY ON "x"@"h"`,
		"CREATE ROLE r WITH ADMIN u;":                                                `ADMIN OPTION OF role "r"; MEMBER OF role "r"`,
		"CREATE ROLE r WITH ADMIN u;\nREVOKE ADMIN OPTION FOR r FROM u;":             `MEMBER OF role "r"`,
		"CREATE ROLE r WITH ADMIN u;\nDROP ROLE r;":                                  "",
		"GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, REFERENCES, INDEX, ALTER, CREATE VIEW, SHOW VIEW, TRIGGER, DELETE HISTORY ON a.t TO u;": `ALL PRIVILEGES ON "a"."t"`,
	} {
		p := read("CREATE USER u;\n" + statements)
		if got := rights(t, p, u); got != want || len(p.Unclear) > 0 {
			t.Errorf("%s\ngot  %s (%q)\nwant %s", statements, got, p.Unclear, want)
		}
	}
}

func TestGrantsOfRolesAndEverybody(t *testing.T) {
	p := read("CREATE USER u;\nCREATE ROLE r WITH ADMIN u;\nGRANT SELECT ON a.* TO r, PUBLIC;\nSET DEFAULT ROLE r FOR u;\n")
	for _, n := range []promise.Name{{User: "r"}, {User: promise.Public}} {
		if got := rights(t, p, n); got != `SELECT ON "a".*` || !p.Account(n).Role {
			t.Errorf("%s: got %s", n, got)
		}
	}
	if a := p.Account(promise.Name{User: "u", Host: "%"}); a.DefaultRole != "r" || len(p.Unclear) > 0 {
		t.Errorf("got %+v, %q", a, p.Unclear)
	}
}

// What can change an account in a way that is not followed must be named.
func TestWhatIsNotUnderstood(t *testing.T) {
	for _, statement := range []string{
		"CREATE ROLE r", "CREATE USER u IDENTIFIED BY 'x', u IDENTIFIED BY 'y'", "GRANT SELECT ON a.* TO nobody", "GRANT r TO u", "GRANT SELECT ON * TO u",
		"GRANT FLY ON *.* TO u", "GRANT EXECUTE (a) ON a.t TO u", "GRANT SUPER ON a.* TO u", "GRANT SELECT ON a.* TO u IDENTIFIED BY 'x'", "GRANT SELECT ON a.* TO CURRENT_USER",
		"REVOKE ALL PRIVILEGES, GRANT OPTION FROM u", "RENAME USER u TO v", "SET PASSWORD FOR u = PASSWORD('x')", "SET ROLE r", "SET GLOBAL x = (SELECT 1)", "SET @@global.x = 1",
		"SET GLOBAL x = 1, GLOBAL y = 2", "SET GLOBAL x = DEFAULT", "SET STATEMENT max_statement_time=1 FOR GRANT SELECT ON a.* TO u", "SET sql_mode = 'ANSI_QUOTES'", "INSERT INTO mysql.db VALUES (1)",
		"UPDATE MYSQL.global_priv SET x = 1", "USE mysql;\nDELETE FROM db", "EXECUTE IMMEDIATE 'GRANT ALL ON *.* TO u'", "PREPARE s FROM 'x'", "CALL p()", "SELECT f()", "DO f()",
		"CREATE PROCEDURE a.p() SELECT 1", "CREATE TRIGGER a.t BEFORE INSERT ON a.x FOR EACH ROW SET @a=1", "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1", "CREATE VIEW a.v AS SELECT 1",
		"INSTALL SONAME 'x'", "CREATE FUNCTION f RETURNS INTEGER SONAME 'x'", "CREATE SERVER s FOREIGN DATA WRAPPER mysql OPTIONS (USER 'x')", "CHANGE MASTER TO MASTER_HOST='x'",
		"/*!50000 GRANT ALL ON *.* TO u */", "GRANT ALL ON a.* TO 'u", "IF 1 THEN GRANT ALL ON *.* TO u", "DECLARE EXIT HANDLER FOR SQLEXCEPTION GRANT ALL ON *.* TO u", "ALTER USER nobody ACCOUNT LOCK",
		"CREATE USER v REQUIRE CIPHER", "CREATE USER v WITH MAX_FLIGHTS 3", "CREATE USER v PASSWORD EXPIRE TOMORROW", "CREATE USER v@10.0.0.1", "SOURCE x", "CREATE USER v IDENTIFIED BY $$SCONE::x$$",
	} {
		if p := read("CREATE USER u;\n" + statement + ";\n"); len(p.Unclear) == 0 {
			t.Errorf("%s: understood as %+v", statement, p.Accounts)
		}
	}
}

func TestHarmlessStatements(t *testing.T) {
	p := read(`-- a comment; with a semicolon
DELIMITER //
BEGIN NOT ATOMIC
  DECLARE EXIT HANDLER FOR SQLEXCEPTION SHUTDOWN;
  CREATE USER u IDENTIFIED BY 'it''s; \'GRANT' /* why */;
  IF (SELECT COUNT(*) FROM mysql.global_priv) <> 1 THEN SHUTDOWN; END IF;
  GRANT SELECT ON a.* TO u;
END//
DELIMITER ;
CREATE DATABASE IF NOT EXISTS a CHARACTER SET utf8mb4;
CREATE TABLE IF NOT EXISTS a.t (a int);
INSERT INTO a.t VALUES (1);
SET SESSION sql_log_bin = 1;
SET @x = (SELECT 1);
SET GLOBAL wsrep_cluster_name = '$$SCONE::sentinel:hex$$';
SET GLOBAL max_connections = 7;
FLUSH PRIVILEGES;
COMMIT;
`)
	settings := []promise.Setting{{Name: "port", Value: "1", Origin: "CONFIG"}, {Name: "init_file", Value: "/i", Origin: "COMMAND-LINE"},
		{Name: "wsrep_cluster_name", Secret: true, Origin: "SQL"}, {Name: "max_connections", Value: "7", Origin: "SQL"}}
	if diff := cmp.Diff(settings, p.Settings); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := rights(t, p, promise.Name{User: "u", Host: "%"}); got != `SELECT ON "a".*` || len(p.Unclear) > 0 || len(p.Databases) != 1 {
		t.Errorf("got %s, %q, %q", got, p.Databases, p.Unclear)
	}
}

func TestReset(t *testing.T) {
	files := func(statements string) map[string]string {
		return map[string]string{"/c": "[mysqld]\n", "/i": statements}
	}
	command := []string{"/usr/sbin/mysqld", "--defaults-file=/c", "--init-file=/i"}
	for name, c := range map[string]struct {
		statements string
		clear      bool
	}{
		"nothing emptied":            {"CREATE USER u;\n", false},
		"one is left":                {strings.Replace(reset, "DELETE FROM mysql.proxies_priv;\n", "", 1), false},
		"some rows are left":         {strings.Replace(reset, "mysql.db;", "mysql.db WHERE User = '';", 1), false},
		"not read again":             {strings.Replace(reset, "FLUSH PRIVILEGES;", "", 1), false},
		"filled in between":          {strings.Replace(reset, "FLUSH", "INSERT INTO mysql.db VALUES (1);\nFLUSH", 1), false},
		"emptied in another":         {strings.ReplaceAll(reset, "mysql.", "app."), false},
		"with anything before":       {"EXECUTE IMMEDIATE 'x';\nCREATE PROCEDURE p() SELECT 1;\n" + reset, true},
		"truncated after USE":        {"USE mysql;\n" + strings.ReplaceAll(reset, "DELETE FROM mysql.", "TRUNCATE TABLE "), true},
		"in a block":                 {"BEGIN NOT ATOMIC DECLARE EXIT HANDLER FOR SQLEXCEPTION SHUTDOWN; " + strings.ReplaceAll(reset, "\n", " ") + " END;\n", true},
		"and once more in the end":   {reset + "CREATE USER v;\n" + reset, true},
		"an executed comment before": {"/*!1 x */;\n" + reset, false},
	} {
		p := promise.Read(command, files(c.statements+"CREATE USER u;\n"))
		if got := len(p.Unclear) == 0; got != c.clear {
			t.Errorf("%s: understood %v (%q), want %v", name, got, p.Unclear, c.clear)
		}
		if c.clear && len(p.Accounts) != 1 {
			t.Errorf("%s: got %+v, want one account", name, p.Accounts)
		}
	}
}

func TestConfiguration(t *testing.T) {
	p := promise.Read([]string{"mariadbd", "--defaults-file=/c", "--init-file=/i", "--skip-slave-start"}, map[string]string{"/i": reset, "/c": `
# comment
[client]
port = 2
[mariadbd]
plugin-load-add = a.so
plugin-load-add = b.so
skip-name-resolve
server_id=1
; another
init_connect = "SET x"
ssl_key = $$SCONE::key$$
`})
	want := []promise.Setting{
		{Name: "plugin_load_add", Value: "a.so", Origin: "CONFIG"}, {Name: "plugin_load_add", Value: "b.so", Origin: "CONFIG"}, {Name: "skip_name_resolve", Bare: true, Origin: "CONFIG"},
		{Name: "server_id", Value: "1", Origin: "CONFIG"}, {Name: "init_connect", Value: "SET x", Origin: "CONFIG"}, {Name: "ssl_key", Secret: true, Origin: "CONFIG"},
		{Name: "init_file", Value: "/i", Origin: "COMMAND-LINE"}, {Name: "skip_slave_start", Bare: true, Origin: "COMMAND-LINE"}}
	if diff := cmp.Diff(want, p.Settings); diff != "" || len(p.Unclear) > 0 {
		t.Errorf("%q; -want +got:\n%s", p.Unclear, diff)
	}
}

func TestConfigurationThatIsNotUnderstood(t *testing.T) {
	good := []string{"mariadbd", "--defaults-file=/c", "--init-file=/i"}
	for name, c := range map[string]struct {
		command []string
		text    string
	}{
		"another file":        {good, "!include /etc/my.cnf"},
		"a folder":            {good, "!includedir /etc/mysql"},
		"a comment at an end": {good, "[mysqld]\nport = 1 # one"},
		"an escape":           {good, `[mysqld]` + "\n" + `init_connect = a\nb`},
		"a version's group":   {good, "[mariadb-10.11]\nport = 1"},
		"no configuration":    {[]string{"mariadbd", "--init-file=/i"}, ""},
		"a second one":        {append(good, "--defaults-extra-file=/d"), ""},
		"no init file":        {[]string{"mariadbd", "--defaults-file=/c"}, ""},
		"another init file":   {[]string{"mariadbd", "--defaults-file=/c", "--init-file=/volume/i"}, ""},
		"the host's argument": {append(good, "@@1"), ""},
		"a script":            {[]string{"/entrypoint.sh", "mariadbd", "--defaults-file=/c", "--init-file=/i"}, ""},
		"no command":          {nil, ""},
	} {
		if p := promise.Read(c.command, map[string]string{"/c": c.text, "/i": reset}); len(p.Unclear) == 0 {
			t.Errorf("%s: understood as %+v", name, p)
		}
	}
}

func TestDocument(t *testing.T) {
	p := read("CREATE USER 'a$$SCONE::x$$'@'@@1' IDENTIFIED BY 'hunter2';\n")
	document, err := p.Document()
	if err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(document, "$@") || strings.Contains(document, "hunter2") {
		t.Errorf("got %s", document)
	}
	back, err := promise.Parse([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(p, back); diff != "" {
		t.Errorf("-written +read:\n%s", diff)
	}
	for _, wrong := range []string{"", "{}{}", `{"accounts":[],"more":1}`, "[]"} {
		if _, err := promise.Parse([]byte(wrong)); err == nil {
			t.Errorf("%s: got no error", wrong)
		}
	}
}

func FuzzStatements(f *testing.F) {
	f.Add("CREATE USER u@h IDENTIFIED BY 'x' REQUIRE X509;\nGRANT SELECT (a) ON b.c TO u@h WITH GRANT OPTION;\n")
	f.Add("DELIMITER //\nBEGIN NOT ATOMIC CREATE ROLE r WITH ADMIN u; END//\n")
	f.Fuzz(func(t *testing.T, statements string) {
		p := read(statements)
		document, err := p.Document()
		if err != nil || strings.ContainsAny(document, "$@") {
			t.Errorf("got %s, %v", document, err)
		}
		promise.ReadAccount(promise.Name{User: "u", Host: "h"}, false, []string{statements})
	})
}

// What a server says is read with the same grammar.
func TestReadAccount(t *testing.T) {
	lines := []string{
		"CREATE USER `u`@`%` IDENTIFIED BY PASSWORD '*0D3CED9BEC10A777AEC23CCC353A8C08A633045E' REQUIRE ISSUER '/CN=ca' SUBJECT '/CN=u'",
		"GRANT USAGE ON *.* TO `u`@`%` IDENTIFIED BY PASSWORD '*0D3CED9BEC10A777AEC23CCC353A8C08A633045E' REQUIRE ISSUER '/CN=ca' SUBJECT '/CN=u'",
		"GRANT SELECT, INSERT ON `app`.* TO `u`@`%`", "GRANT `r` TO `u`@`%`",
	}
	want := read("CREATE USER u IDENTIFIED BY 'abc' REQUIRE SUBJECT '/CN=u' AND ISSUER '/CN=ca';\nGRANT INSERT, SELECT ON app.* TO u;\n").Accounts[0]
	want.Rights = append(want.Rights, promise.Right{Kind: promise.OnRole, Object: "r", Privilege: promise.Member})
	want.Methods[0].Stored, want.Methods[0].Written = "*0D3CED9BEC10A777AEC23CCC353A8C08A633045E", "*0D3CED9BEC10A777AEC23CCC353A8C08A633045E"
	got, err := promise.ReadAccount(want.Name, false, lines)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	inner := []string{"GRANT `inner` TO `r`", "GRANT USAGE ON *.* TO `r`", "GRANT ALL PRIVILEGES ON *.* TO `inner`"}
	if role, err := promise.ReadAccount(promise.Name{User: "r"}, true, inner); err != nil || len(role.Rights) != 1 || role.Rights[0].Object != "inner" {
		t.Errorf("got %+v and %v, want a role with a role in it", role, err)
	}
	for _, wrong := range [][]string{nil, append(inner, lines[0]), {lines[0], inner[1]}, {lines[0], "GRANT SELECT ON a.* TO `v`@`%`"}, {lines[0], "SET GLOBAL x = 1"}, {lines[0], "CREATE USER `v`@`%`"}, {lines[1]}, {lines[0], "x"}} {
		if got, err := promise.ReadAccount(want.Name, false, wrong); err == nil || strings.Contains(err.Error(), "0D3C") {
			t.Errorf("%q: got %+v and %v, want an error without what is stored", wrong, got, err)
		}
	}
}

func TestDifferences(t *testing.T) {
	const base = "CREATE USER u IDENTIFIED BY 'x' REQUIRE X509;\nCREATE ROLE r WITH ADMIN u;\nGRANT SELECT ON a.* TO u;\n"
	for change, want := range map[string]string{
		"":                                              "",
		"GRANT SELECT ON b.* TO u":                      `"u"@"%" has SELECT ON "b".*`,
		"REVOKE SELECT ON a.* FROM u":                   `"u"@"%" lacks SELECT ON "a".*`,
		"ALTER USER u REQUIRE SSL":                      "requires",
		"ALTER USER u ACCOUNT LOCK":                     "is locked",
		"ALTER USER u PASSWORD EXPIRE":                  "password expiry",
		"ALTER USER u WITH MAX_STATEMENT_TIME 3":        "limits",
		"ALTER USER u IDENTIFIED VIA ed25519 USING 'x'": "authentication",
		"ALTER USER u IDENTIFIED BY ''":                 "without password",
		"SET DEFAULT ROLE r FOR u":                      "default role",
		"ALTER USER u IDENTIFIED BY PASSWORD '*1'":      "another password",
	} {
		promised, got := read(base).Accounts[0], read(base + change + ";\n").Accounts[0]
		promised.Methods[0].Stored = "*0"
		if !strings.Contains(change, "*1") {
			for i := range got.Methods {
				got.Methods[i].Stored = "*0"
			}
		}
		said := strings.Join(promised.Differences(&got), "; ")
		if !strings.Contains(said, want) || (said == "") != (want == "") || strings.Contains(said, "*1") {
			t.Errorf("%s: got %q, want %q", change, said, want)
		}
	}
}

func TestParseRowKeepsSecretsToItself(t *testing.T) {
	for _, text := range []string{"", "[]", `{"access":-1}`, `{"ssl_type":9}`, `{"authentication_string":"*SECRET"`, `{"authentication_string":{"*SECRET":1}}`} {
		_, err := promise.ParseRow(promise.Name{User: "u", Host: "h"}, text, 0)
		if err == nil || bytes.Contains([]byte(err.Error()), []byte("SECRET")) {
			t.Errorf("%s: got %v, want an error without the secret", text, err)
		}
	}
}

func FuzzRow(f *testing.F) {
	f.Add(`{"access":1,"plugin":"mysql_native_password","authentication_string":"*1","auth_or":[{},{"plugin":"unix_socket"}]}`)
	f.Fuzz(func(_ *testing.T, privileges string) {
		promise.ParseRow(promise.Name{User: "u", Host: "h"}, privileges, 0)
	})
}
