package mariadb_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/mariadb"
	"github.com/confidb/confidb/pkg/promise"
)

// plant is something that an insider with every right leaves behind.
type plant struct {
	name       string
	do, undo   []string
	id         string // the check that must fail
	mention    string
	allowSkips bool // it may be unproven instead
}

// wantClean demands that everything that is decided by asking passes.
func wantClean(t *testing.T, when string) {
	t.Helper()
	seen := mariadb.Ask(t.Context(), t, goodTarget())
	for _, id := range mariadb.Asked() {
		if outcome, said, _ := seen.Conclude(id); outcome != check.Pass {
			t.Fatalf("%s: %s: got %v (%s), want pass", when, id, outcome, said)
		}
	}
}

func testPlants(t *testing.T, plants []plant) {
	t.Helper()
	for _, p := range plants {
		t.Run(p.name, func(t *testing.T) {
			defer func() { execute(t, p.undo...) }()
			execute(t, p.do...)
			report := mariadb.Ask(t.Context(), t, goodTarget()).Report()
			finding, _ := report.Find(p.id)
			if text := finding.Got + " " + finding.Reason; finding.Outcome != check.Fail && !(p.allowSkips && finding.Outcome == check.Skip) || !strings.Contains(text, p.mention) {
				t.Errorf("%s: got %v (%s), want fail that mentions %q", p.id, finding.Outcome, text, p.mention)
			}
			if said := fmt.Sprint(report); strings.Contains(said, server.Hash) || strings.Contains(said, server.Passwords["SCONE::app_password:hex"]) {
				t.Errorf("a password is said: %s", said)
			}
		})
	}
	wantClean(t, "after all was undone")
}

const (
	appAccount = "'confidb_app'@'%'"
	appTail    = " REQUIRE SUBJECT '/CN=confidb-app' AND ISSUER '/CN=confidb-ca'"
	evil       = "CREATE USER evil@'%' IDENTIFIED BY 'x'" + appTail
	dropEvil   = "DROP USER evil@'%'"
	flush      = "FLUSH PRIVILEGES"
)

// keep puts the grant tables aside, so that whatever is done to them can be undone.
func keep(table string, do ...string) (all, undo []string) {
	all = append([]string{"CREATE OR REPLACE TABLE app.kept ENGINE=InnoDB SELECT * FROM mysql." + table}, do...)
	return all, []string{"DELETE FROM mysql." + table, "INSERT INTO mysql." + table + " SELECT * FROM app.kept", "DROP TABLE app.kept", flush}
}

func kept(name, table, mention string, do ...string) plant {
	all, undo := keep(table, do...)
	return plant{name: name, do: all, undo: undo, id: "acc-04", mention: mention}
}

func granted(name, right, mention string) plant {
	return plant{name: name, do: []string{"GRANT " + right + " TO " + appAccount}, undo: []string{"REVOKE " + strings.TrimSuffix(right, " WITH GRANT OPTION") + " FROM " + appAccount}, id: "acc-04", mention: mention}
}

func account(name, tail, mention string) plant {
	password := server.Passwords["SCONE::app_password:hex"]
	return plant{name: name, do: []string{"ALTER USER " + appAccount + " " + tail},
		undo: []string{"ALTER USER " + appAccount + " IDENTIFIED BY '" + password + "'" + appTail + " WITH MAX_USER_CONNECTIONS 0 MAX_QUERIES_PER_HOUR 0 MAX_STATEMENT_TIME 0 PASSWORD EXPIRE DEFAULT ACCOUNT UNLOCK"}, id: "acc-04", mention: mention}
}

// ghost makes an account with every right that is in memory only.
func ghost(host, user string) []string {
	const row = `{"access":549755813887,"version_id":101119,"plugin":"mysql_native_password","authentication_string":"*6BB4837EB74329105EE4568DDA7DC67ED2CA2AD9"}`
	return []string{"INSERT INTO mysql.global_priv VALUES ('" + host + "','" + user + "','" + row + "')", flush,
		"DELETE FROM mysql.global_priv WHERE BINARY Host='" + host + "' AND BINARY User='" + user + "'"}
}

func TestPlantedAccountsAndRights(t *testing.T) {
	wantClean(t, "before anything")
	json := func(set string) string {
		return "UPDATE mysql.global_priv SET Priv = " + set + " WHERE User = 'confidb_app'"
	}
	testPlants(t, []plant{
		// D1: memory counts, not the tables
		{name: "a ghost: its row is deleted", do: []string{evil, "GRANT ALL ON *.* TO evil@'%'", "DELETE FROM mysql.global_priv WHERE User='evil'"}, undo: []string{flush}, id: "acc-04", mention: "'evil'@'%'"},
		{name: "a ghost with rights on one database", do: []string{evil, "GRANT ALL ON app.* TO evil@'%'", "DELETE FROM mysql.global_priv WHERE User='evil'", "DELETE FROM mysql.db WHERE User='evil'"}, undo: []string{flush}, id: "acc-04", mention: "'evil'@'%'"},
		{name: "a ghost whose name differs by an accent", do: ghost("%", "cönfidb_app"), undo: []string{flush}, id: "acc-04", mention: "'cönfidb_app'@'%' is not of the session"},
		{name: "a ghost whose name has a dotless i", do: ghost("%", "confidb_verıfy"), undo: []string{flush}, id: "acc-04", mention: "'confidb_verıfy'@'%'"},
		{name: "a ghost in capitals", do: ghost("%", "CONFIDB_VERIFY"), undo: []string{flush}, id: "acc-04", mention: "'CONFIDB_VERIFY'@'%'"},
		{name: "a ghost that is called as everybody", do: ghost("", "PUBLIC"), undo: []string{flush}, id: "acc-04", mention: "'PUBLIC'@'%'"},
		{name: "a ghost without a name", do: ghost("", ""), undo: []string{flush}, id: "acc-04", mention: "''@'%'"},
		{name: "a ghost of the same name", do: ghost("", "confidb_app"), undo: []string{flush}, id: "acc-04", mention: "'confidb_app'@'%', of which there is more than one,"},
		{name: "a ghost's right on one database", do: []string{"INSERT INTO mysql.db (Host,Db,User,Select_priv) VALUES ('%','mysql','cönfidb_app','Y')", flush, "DELETE FROM mysql.db WHERE User='cönfidb_app'"}, undo: []string{flush}, id: "acc-04", mention: "'cönfidb_app'@'%'"},
		{name: "everybody's right in memory", do: []string{"INSERT INTO mysql.db (Host,Db,User,Select_priv) VALUES ('%','mysql','','Y')", flush, "DELETE FROM mysql.db WHERE User=''"}, undo: []string{flush}, id: "acc-04", mention: "''@'%'"},
		{name: "a right at another host in memory", do: []string{"INSERT INTO mysql.db (Host,Db,User,Select_priv) VALUES ('10.%','mysql','confidb_app','Y')", flush, "DELETE FROM mysql.db WHERE Host='10.%'"}, undo: []string{flush}, id: "acc-04", mention: "'confidb_app'@'10.%'"},
		kept("rights that are in memory only", "db", `CREATE ROUTINE ON "app".*`, "GRANT CREATE ROUTINE ON app.* TO "+appAccount, "UPDATE mysql.db SET Create_routine_priv='N' WHERE User='confidb_app'"),
		kept("rights that come with the next start", "db", `CREATE ROUTINE ON "app".*`, "UPDATE mysql.db SET Create_routine_priv='Y' WHERE User='confidb_app'"),
		kept("a row for everybody", "db", "which is no account", "INSERT INTO mysql.db (Host,Db,User,Select_priv) VALUES ('%','%','','Y')"),
		kept("a lock that is in memory only", "global_priv", "is locked", "ALTER USER "+appAccount+" ACCOUNT LOCK", json("JSON_REMOVE(Priv, '$.account_locked')")),
		kept("an account that comes with the next start", "global_priv", `"evil"@"%"`, `INSERT INTO mysql.global_priv VALUES ('%','evil','{"access":0,"version_id":101119,"plugin":"mysql_native_password","authentication_string":""}')`),
		// D2: JSON that we and the server read differently
		kept("a member twice", "global_priv", "the member access twice", json(`REPLACE(Priv, '"access":0', '"access":549755813887,"access":0')`)),
		kept("another spelling", "global_priv", "a member that is not known", json(`JSON_INSERT(Priv, '$.Account_Locked', true)`)),
		kept("an unknown member", "global_priv", "a member that is not known", json(`JSON_INSERT(Priv, '$.x', 1)`)),
		kept("an escaped member", "global_priv", "an escaped character", json(`REPLACE(Priv, '"access"', '"\\u0061ccess"')`)),
		kept("a member of another type", "global_priv", "the member access", json(`REPLACE(Priv, '"access":0', '"access":"0"')`)),
		kept("a null", "global_priv", "the member account_locked", json(`JSON_INSERT(Priv, '$.account_locked', NULL)`)),
		kept("an older version's rights", "global_priv", "version_id 100200", json(`JSON_REPLACE(Priv, '$.version_id', 100200)`)),
		kept("a bit that nobody knows", "global_priv", "access with unknown bits", json(`JSON_REPLACE(Priv, '$.access', 1 << 40)`)),
		kept("a list", "global_priv", "no JSON object", json(`'[]'`)),
		kept("an alternative with an unknown member", "global_priv", "the member auth_or", json(`JSON_INSERT(Priv, '$.auth_or', JSON_EXTRACT('[{},{"plugin":"mysql_native_password","authentication_string":"*A","x":1}]', '$'))`)),
		kept("an alternative password", "global_priv", "authentication", json(`JSON_INSERT(Priv, '$.auth_or', JSON_EXTRACT('[{},{"plugin":"mysql_native_password","authentication_string":"*A"}]', '$'))`), flush),
		// D4: rights on tables of the server's own
		granted("every right on mysql.*", "ALL ON mysql.*", `ALL PRIVILEGES ON "mysql".*`),
		granted("writing to one grant table", "INSERT, UPDATE ON mysql.global_priv", `INSERT ON "mysql"."global_priv"`),
		// D5: more than the session gives
		{name: "a second account", do: []string{evil, "GRANT SELECT, REPLICATION SLAVE, EVENT ON *.* TO evil@'%'"}, undo: []string{dropEvil}, id: "acc-04", mention: `"evil"@"%" is not of the session`},
		{name: "a second account without rights", do: []string{evil}, undo: []string{dropEvil}, id: "acc-04", mention: `"evil"@"%"`},
		{name: "a locked account with every right", do: []string{evil + " ACCOUNT LOCK", "GRANT ALL ON *.* TO evil@'%'"}, undo: []string{dropEvil}, id: "acc-04", mention: `"evil"@"%"`},
		{name: "the same name at another host", do: []string{"CREATE USER confidb_app@localhost IDENTIFIED BY 'x'" + appTail}, undo: []string{"DROP USER confidb_app@localhost"}, id: "acc-04", mention: `"confidb_app"@"localhost"`},
		{name: "the same name in capitals", do: []string{"CREATE USER Confidb_App@'%' IDENTIFIED BY 'x'" + appTail}, undo: []string{"DROP USER Confidb_App@'%'"}, id: "acc-04", mention: `"Confidb_App"@"%"`},
		{name: "the same name with an accent", do: []string{"CREATE USER 'cönfidb_app'@'%' IDENTIFIED BY 'x'" + appTail}, undo: []string{"DROP USER 'cönfidb_app'@'%'"}, id: "acc-04", mention: `"cönfidb_app"@"%"`},
		{name: "a name that looks like two", do: []string{"CREATE USER `x'@'y`@'%' IDENTIFIED BY 'x'" + appTail}, undo: []string{"DROP USER `x'@'y`@'%'"}, id: "acc-04", mention: `"x'@'y"@"%"`},
		granted("a global right", "EVENT ON *.*", "EVENT ON *.*"),
		granted("a right on another database", "SELECT ON sys.*", `SELECT ON "sys".*`),
		granted("a right on databases by a pattern", "SELECT ON `%`.*", `SELECT ON "%".*`),
		granted("a right on a table", "SELECT ON mysql.db", `SELECT ON "mysql"."db"`),
		granted("a right on a column", "SELECT (User) ON mysql.db", `SELECT("User") ON "mysql"."db"`),
		granted("a right on a routine", "EXECUTE ON PROCEDURE sys.ps_setup_save", `EXECUTE ON PROCEDURE "sys"."ps_setup_save"`),
		kept("a proxy", "proxies_priv", `PROXY ON "confidb_verify"@"%"`, "INSERT INTO mysql.proxies_priv VALUES ('%','confidb_app','%','confidb_verify',0,'',now())", flush),
		{name: "the grant option", do: []string{"GRANT USAGE ON app.* TO " + appAccount + " WITH GRANT OPTION"}, undo: []string{"REVOKE GRANT OPTION ON app.* FROM " + appAccount}, id: "acc-04", mention: `GRANT OPTION ON "app".*`},
		{name: "a right taken away", do: []string{"REVOKE INSERT ON app.* FROM " + appAccount}, undo: []string{"GRANT INSERT ON app.* TO " + appAccount}, id: "acc-04", mention: `lacks INSERT ON "app".*`},
		{name: "a role for nobody", do: []string{"CREATE ROLE strong", "GRANT ALL ON *.* TO strong"}, undo: []string{"DROP ROLE strong"}, id: "acc-04", mention: `role "strong" is not of the session`},
		{name: "a role", do: []string{"CREATE ROLE strong WITH ADMIN " + appAccount}, undo: []string{"DROP ROLE strong"}, id: "acc-04", mention: `MEMBER OF role "strong"`},
		{name: "a ghost of a role", do: []string{"CREATE ROLE strong WITH ADMIN " + appAccount, "GRANT ALL ON *.* TO strong", "DELETE FROM mysql.global_priv WHERE User='strong'", "DELETE FROM mysql.roles_mapping"}, undo: []string{flush}, id: "acc-04", mention: `MEMBER OF role "strong"`},
		{name: "a role in a role as default", do: []string{"CREATE ROLE outer_one WITH ADMIN " + appAccount, "CREATE ROLE inner_one WITH ADMIN outer_one", "SET DEFAULT ROLE outer_one FOR " + appAccount},
			undo: []string{"SET DEFAULT ROLE NONE FOR " + appAccount, "DROP ROLE inner_one, outer_one"}, id: "acc-04", mention: "default role"},
		{name: "rights of everybody", do: []string{"GRANT SELECT ON app.* TO PUBLIC"}, undo: []string{"REVOKE SELECT ON app.* FROM PUBLIC"}, id: "acc-04", mention: `role "PUBLIC" is not of the session`},
		{name: "global rights of everybody", do: []string{"GRANT PROCESS ON *.* TO PUBLIC"}, undo: []string{"REVOKE PROCESS ON *.* FROM PUBLIC"}, id: "acc-04", mention: `role "PUBLIC" is not of the session`},
		// what an account demands
		account("another subject", "REQUIRE SUBJECT '/CN=evil' AND ISSUER '/CN=confidb-ca'", "requires"),
		account("another issuer", "REQUIRE SUBJECT '/CN=confidb-app' AND ISSUER '/CN=evil'", "requires"),
		account("no certificate", "REQUIRE NONE", "requires"),
		account("a certificate of any name", "REQUIRE X509", "requires"),
		account("another password", "IDENTIFIED BY 'evil'", "has another password"),
		account("no password", "IDENTIFIED BY ''", "without password"),
		account("a lock", "ACCOUNT LOCK", "is locked"),
		account("an expired password", "PASSWORD EXPIRE", "password expiry"),
		account("a password that expires", "PASSWORD EXPIRE INTERVAL 3 DAY", "password expiry"),
		account("limits", "WITH MAX_USER_CONNECTIONS 1 MAX_STATEMENT_TIME 2.5", "limits"),
		{name: "another password of the attested client", do: []string{"ALTER USER confidb_app@'%' IDENTIFIED BY PASSWORD '*0D3CED9BEC10A777AEC23CCC353A8C08A633045E'"}, undo: account("", "", "").undo, id: "acc-04", mention: "another password"},
		{name: "the application's account is gone", do: []string{"RENAME USER " + appAccount + " TO elsewhere@'%'"}, undo: []string{"RENAME USER elsewhere@'%' TO " + appAccount}, id: "acc-04", mention: `"confidb_app"@"%" is missing`},
		// members of the older checks
		{name: "a role that writes to grant tables", do: []string{"CREATE ROLE strong", "GRANT UPDATE ON mysql.global_priv TO strong"}, undo: []string{"DROP ROLE strong"}, id: "acc-03", mention: `UPDATE ON "mysql"."global_priv"`},
		{name: "a pattern that means mysql", do: []string{"GRANT DELETE ON `my%`.* TO " + appAccount}, undo: []string{"REVOKE DELETE ON `my%`.* FROM " + appAccount}, id: "acc-03", mention: `DELETE ON "my%".*`},
	})
}

// A promise that is not known, or not whole, is none; what memory and tables disagree on is
// wrong all the same.
func TestWithoutAPromise(t *testing.T) {
	unclear := *server.Promise
	unclear.Unclear = []string{"line 7 of the account statements: CALL: not understood"}
	for mention, promised := range map[string]*promise.Promise{"does not say": nil, "CALL: not understood": &unclear} {
		target := goodTarget()
		target.Promise = promised
		seen := mariadb.Ask(t.Context(), t, target)
		for _, id := range []string{"acc-04", "set-01", "obj-01", "obj-02", "obj-03"} {
			if outcome, said, _ := seen.Conclude(id); outcome != check.Skip || !strings.Contains(said, mention) {
				t.Errorf("%s: got %v (%s), want skip that mentions %q", id, outcome, said, mention)
			}
		}
		execute(t, evil, "DELETE FROM mysql.global_priv WHERE User='evil'")
		if outcome, said, _ := mariadb.Ask(t.Context(), t, target).Conclude("acc-04"); outcome != check.Fail || !strings.Contains(said, "in memory and in no table") {
			t.Errorf("got %v (%s), want fail", outcome, said)
		}
		execute(t, flush)
	}
}
