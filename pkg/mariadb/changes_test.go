package mariadb_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/confidb/confidb/pkg/accounts"
	"github.com/confidb/confidb/pkg/promise"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/pkg/topology"
)

// facts are single things that a database holds, in words that a test finds the same for a
// row of a table and for what is said of a document.
type facts map[string]bool

func (f facts) add(format string, arguments ...any) { f[fmt.Sprintf(format, arguments...)] = true }

// without are the facts that others lack, sorted.
func (f facts) without(others facts) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(f)), func(one string) bool { return others[one] })
}

// privilegeWord is a column of mysql.db, or a word of a set, as statements have it.
func privilegeWord(written string) string {
	word := strings.ToUpper(strings.ReplaceAll(strings.TrimSuffix(written, "_priv"), "_", " "))
	return strings.NewReplacer("CREATE TMP TABLE", "CREATE TEMPORARY TABLES", "DELETE VERSIONING ROWS", "DELETE HISTORY").Replace(word)
}

// rows asks the administrator, and calls visit with each row by its columns.
func rows(t *testing.T, query string, visit func(row map[string]string)) {
	t.Helper()
	answer, err := server.Admin.Query(t.Context(), query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	for _, values := range answer.Values {
		row := map[string]string{}
		for i, column := range answer.Columns {
			row[column] = values[i].Text
		}
		visit(row)
	}
}

// inTheDatabase are the facts about everything that is not the session's own, from the rows of the
// grant tables and of the list of databases.
func inTheDatabase(t *testing.T) facts {
	t.Helper()
	f := facts{}
	const others = " WHERE User NOT LIKE 'confidb\\_%' AND User NOT IN ('', 'mariadb.sys')"
	rows(t, "SELECT * FROM mysql.global_priv"+others, func(row map[string]string) {
		var said map[string]any
		if err := json.Unmarshal([]byte(row["Priv"]), &said); err != nil {
			t.Fatal(err)
		}
		f.add("account %q@%q", row["User"], row["Host"])
		f.add("account %q demands %v of %v", row["User"], said["x509_subject"], said["x509_issuer"])
		if said["account_locked"] == true {
			f.add("account %q is locked", row["User"])
		}
		if said["access"] != nil && said["access"] != 0.0 {
			f.add("account %q has %v on everything", row["User"], said["access"])
		}
		for key, option := range map[string]string{"max_questions": "MAX_QUERIES_PER_HOUR", "max_updates": "MAX_UPDATES_PER_HOUR", "max_connections": "MAX_CONNECTIONS_PER_HOUR", "max_user_connections": "MAX_USER_CONNECTIONS", "max_statement_time": "MAX_STATEMENT_TIME"} {
			if value := said[key]; value != nil && value != 0.0 {
				f.add("account %q limit %s %v", row["User"], option, value)
			}
		}
	})
	rows(t, "SELECT * FROM mysql.db"+others, func(row map[string]string) {
		for column, value := range row {
			if strings.HasSuffix(column, "_priv") && value != "N" {
				f.add("account %q has %s on database %q", row["User"], privilegeWord(column), row["Db"])
			}
		}
	})
	words := func(row map[string]string, set, format string, arguments ...any) {
		for word := range strings.SplitSeq(row[set], ",") {
			if word != "" {
				f.add("account %q has %s on %s", row["User"], privilegeWord(word), fmt.Sprintf(format, arguments...))
			}
		}
	}
	rows(t, "SELECT * FROM mysql.tables_priv"+others, func(row map[string]string) {
		words(row, "Table_priv", "table %q.%q", row["Db"], row["Table_name"])
	})
	rows(t, "SELECT * FROM mysql.columns_priv"+others, func(row map[string]string) {
		words(row, "Column_priv", "column %q.%q.%q", row["Db"], row["Table_name"], row["Column_name"])
	})
	rows(t, "SELECT * FROM mysql.procs_priv"+others, func(row map[string]string) {
		words(row, "Proc_priv", "%s %q.%q", row["Routine_type"], row["Db"], strings.ToLower(row["Routine_name"]))
	})
	for _, table := range []string{"proxies_priv", "roles_mapping"} {
		rows(t, "SELECT * FROM mysql."+table+others, func(row map[string]string) { f.add("%s %v", table, row) })
	}
	rows(t, "SELECT SCHEMA_NAME, DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema', 'app', 'confidb', 'confidb_verify')", func(row map[string]string) {
		f.add("database %q with %s %s", row["SCHEMA_NAME"], row["DEFAULT_CHARACTER_SET_NAME"], row["DEFAULT_COLLATION_NAME"])
	})
	return f
}

// said are the facts that come and go, by what is said of a change.
func said(c accounts.Changes) (gained, lost facts) {
	gained, lost = facts{}, facts{}
	for _, d := range c.Databases {
		gained.add("database %q with %s %s", d.After.Name, d.After.CharacterSet, d.After.Collation)
		if d.Before != nil {
			lost.add("database %q with %s %s", d.Before.Name, d.Before.CharacterSet, d.Before.Collation)
		}
	}
	for _, a := range c.Accounts {
		state := func(f facts, one *accounts.Account, locked bool, rights []promise.Right) {
			if one == nil {
				return
			}
			if (a.Before == nil) != (a.After == nil) {
				f.add("account %q@%q", a.Name, "%")
				f.add("account %q demands /CN=%s of /CN=confidb-ca", a.Name, one.CommonName())
			}
			for _, limit := range one.Limits {
				f.add("account %q limit %s", a.Name, limit)
			}
			if locked {
				f.add("account %q is locked", a.Name)
			}
		}
		rights := func(f facts, all []promise.Right) {
			for _, r := range all {
				f.add("account %q has %s on %s", a.Name, r.Privilege, place(r))
			}
		}
		before, after := facts{}, facts{}
		state(before, a.Before, a.WasLocked, a.Lost)
		state(after, a.After, a.IsLocked, a.Gained)
		rights(before, a.Lost)
		rights(after, a.Gained)
		for _, one := range after.without(before) {
			gained[one] = true
		}
		for _, one := range before.without(after) {
			lost[one] = true
		}
	}
	return gained, lost
}

func place(r promise.Right) string {
	switch r.Kind {
	case promise.OnDatabase:
		return fmt.Sprintf("database %q", r.Database)
	case promise.OnTable:
		return fmt.Sprintf("table %q.%q", r.Database, r.Object)
	case promise.OnColumn:
		return fmt.Sprintf("column %q.%q.%q", r.Database, r.Object, r.Column)
	}
	return fmt.Sprintf("%s %q.%q", r.Kind, r.Database, r.Object)
}

// admitting are the applications of a document, with some of the clients that it names.
func (v invented) admitting(t *testing.T, text string) (topology.Applications, accounts.State) {
	t.Helper()
	d, err := accounts.Parse("accounts", []byte(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	all := topology.Applications{Accounts: text}
	for _, name := range d.Clients() {
		if v.IntN(2) == 0 {
			all = all.With(topology.Application{Name: name, MRENCLAVEs: []sgx.Measurement{{7}}, Command: []string{"/" + name}, Files: map[string]topology.Given{"/run/ca.crt": {Form: topology.FormCA}}})
		}
	}
	return all, accounts.State{Document: d, There: func(client string) bool { return all.Find(client) != nil }}
}

// TestWhatIsSaidIsWhatChanges: from one document to the next, exactly what is said of it
// comes and goes in the database, and each of it is in the words.
func TestWhatIsSaidIsWhatChanges(t *testing.T) {
	fresh(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := invented{rand.New(rand.NewPCG(seed, 2))}
	was, before := accounts.State{Document: &accounts.Document{}, There: func(string) bool { return false }}, facts{}
	var next draft
	for range 9 {
		next = random.altered(next)
		text := next.text()
		applications, is := random.admitting(t, text)
		if err := server.Give(applications); err != nil {
			t.Fatalf("%v with\n%s", err, text)
		}
		after := inTheDatabase(t)
		changes := accounts.Compare(was, is)
		gained, lost := said(changes)
		if diff := cmp.Diff(after.without(before), gained.without(nil), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("-came +said to come:\n%s\nwith\n%s", diff, text)
		}
		if diff := cmp.Diff(before.without(after), lost.without(nil), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("-went +said to go:\n%s\nwith\n%s", diff, text)
		}
		if again := accounts.Compare(is, is); len(again.Words()) != 0 {
			t.Errorf("nothing changes, and that is said as %q", again.Words())
		}
		was, before = is, after
	}
	for _, database := range must[[]string](t)(databasesBeside(t)) {
		execute(t, "DROP DATABASE `"+strings.ReplaceAll(database, "`", "``")+"`")
	}
	if err := server.Give(topology.Applications{}); err != nil {
		t.Fatal(err)
	}
	wantClean(t, "without a document")
}
