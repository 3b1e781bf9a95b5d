package mariadb_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/accounts"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/mariadb"
	"github.com/confidb/confidb/pkg/promise"
	"github.com/confidb/confidb/pkg/topology"
)

// invented makes accounts documents at random, with names that break careless SQL.
type invented struct{ *rand.Rand }

func (v invented) of(all []string) string { return all[v.IntN(len(all))] }

func (v invented) some(all []string) string {
	var chosen []string
	for range 1 + v.IntN(3) {
		if one := v.of(all); !slices.Contains(chosen, one) {
			chosen = append(chosen, one)
		}
	}
	return "[" + strings.Join(chosen, ", ") + "]"
}

// inYAML is a name in YAML.
func inYAML(name string) string { return "'" + strings.ReplaceAll(name, "'", "''") + "'" }

// strange are names that break careless SQL, in another order each time.
func (v invented) strange() []string {
	all := []string{"a", "it's", `say "x"`, "back`tick", "select", "größe", strings.Repeat("字", 51), "a b", "a_b", "ab", "1", "a;b", "--", "END", "x,y", "(", "#"}
	v.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// draft is a document before it is written down.
type draft struct {
	databases []drafted
	accounts  []drafted
}

// drafted is one item of it: its name, its other keys, and its privileges.
type drafted struct {
	name, keys, limits string
	privileges         []string
}

func (d draft) text() string {
	text := "kind: confidb.accounts/v1\ndatabases:\n"
	for _, one := range d.databases {
		text += "  - {name: " + inYAML(one.name) + one.keys + "}\n"
	}
	text += "accounts:\n"
	for _, a := range d.accounts {
		text += "  - name: " + inYAML(a.name) + "\n    client: " + a.keys + "\n    limits: {" + a.limits + "}\n    privileges: [" + strings.Join(a.privileges, ", ") + "]\n"
	}
	return text
}

func (v invented) draft() draft {
	var d draft
	for _, name := range v.strange()[:1+v.IntN(3)] {
		d.databases = append(d.databases, drafted{name: name, keys: v.characters()})
	}
	for _, name := range v.strange()[:1+v.IntN(4)] {
		d.accounts = append(d.accounts, v.account(d, name))
	}
	return d
}

// altered is a document that can follow another: it has all of its databases.
func (v invented) altered(d draft) draft {
	next := draft{databases: slices.Clone(d.databases)}
	for i := range next.databases {
		if v.IntN(3) == 0 {
			next.databases[i].keys = v.characters()
		}
	}
	if name := v.strange()[0]; !slices.ContainsFunc(next.databases, func(o drafted) bool { return o.name == name }) {
		next.databases = append(next.databases, drafted{name: name, keys: v.characters()})
	}
	for _, a := range d.accounts {
		switch v.IntN(6) {
		case 0: // removed
			continue
		case 1:
			a.keys = v.client()
		case 2:
			a.limits = v.limits()
		case 3:
			a.privileges = a.privileges[v.IntN(len(a.privileges)+1):]
		case 4:
			a.privileges = append(slices.Clone(a.privileges), v.privilege(next, len(a.privileges)))
		}
		next.accounts = append(next.accounts, a)
	}
	for _, name := range v.strange()[:1+v.IntN(2)] {
		if !slices.ContainsFunc(next.accounts, func(o drafted) bool { return strings.EqualFold(o.name, name) }) {
			next.accounts = append(next.accounts, v.account(next, name))
		}
	}
	v.Shuffle(len(next.accounts), func(i, j int) { next.accounts[i], next.accounts[j] = next.accounts[j], next.accounts[i] })
	return next
}

func (v invented) characters() string {
	return v.of([]string{"", ", character-set: latin1", ", character-set: utf8", ", character-set: utf8mb4, collation: utf8mb4_bin", ", collation: utf8mb4_unicode_ci", ", character-set: utf8mb4, collation: uca1400_ai_ci", ", collation: binary"})
}

func (v invented) client() string { return v.of([]string{"web", "batch", "other"}) }

func (v invented) limits() string {
	if v.IntN(2) == 0 {
		return ""
	}
	return fmt.Sprintf("%s: %d", v.of([]string{"max-user-connections", "max-queries-per-hour", "max-updates-per-hour", "max-connections-per-hour", "max-statement-time"}), 1+v.IntN(1000))
}

func (v invented) account(d draft, name string) drafted {
	a := drafted{name: name, keys: v.client(), limits: v.limits()}
	for i := range 1 + v.IntN(4) {
		a.privileges = append(a.privileges, v.privilege(d, i))
	}
	return a
}

// privilege is an entry of an account; its number keeps the names of routines apart.
func (v invented) privilege(d draft, number int) string {
	databases := []string{"app"}
	for _, one := range d.databases {
		databases = append(databases, one.name)
	}
	database, object := inYAML(v.of(databases)), inYAML(v.strange()[0]+fmt.Sprint(number))
	if strings.Contains(object, "字") {
		object = inYAML("t" + fmt.Sprint(number))
	}
	switch v.IntN(5) {
	case 0:
		return "{database: " + database + ", grant: " + v.some(promise.Privileges(promise.OnDatabase)) + "}"
	case 1:
		return "{database: " + database + ", table: " + object + ", grant: " + v.some(promise.Privileges(promise.OnTable)) + "}"
	case 2:
		return "{database: " + database + ", table: " + object + ", columns: " + v.some([]string{"a", "größe", "'it''s'"}) + ", grant: " + v.some(promise.Privileges(promise.OnColumn)) + "}"
	case 3:
		return "{database: " + database + ", procedure: " + object + ", grant: " + v.some(promise.Privileges(promise.OnProcedure)) + "}"
	}
	return "{database: " + database + ", function: " + object + ", grant: [ALL]}"
}

// TestAccountsDocuments: what the database holds after a start is what the document says,
// and what was there before and is not in it is gone.
func TestAccountsDocuments(t *testing.T) {
	fresh(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := invented{rand.New(rand.NewPCG(seed, 1))}
	for i := range 12 {
		text := random.draft().text()
		if _, err := accounts.Parse("accounts", []byte(text)); err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if err := server.Give(topology.Applications{Accounts: text}); err != nil {
			t.Fatalf("%v with\n%s", err, text)
		}
		for _, outcome := range []string{"acc-04", "obj-03"} {
			if got, said, more := mariadb.Ask(t.Context(), t, goodTarget()).Conclude(outcome); got != check.Pass && !(outcome == "obj-03" && i > 0 && onlyFormer(said, more)) {
				t.Errorf("%s: got %v (%s %v) with\n%s", outcome, got, said, more, text)
			}
		}
	}
	// what a document says of a database is held against it
	if err := server.Give(topology.Applications{Accounts: "kind: confidb.accounts/v1\ndatabases: [{name: held, character-set: utf8mb4, collation: utf8mb4_bin}]\n"}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ do, mention string }{
		{"ALTER DATABASE held COLLATE utf8mb4_general_ci", `database "held": collation utf8mb4_general_ci, want utf8mb4_bin`},
		{"ALTER DATABASE held CHARACTER SET latin1", `database "held": character set latin1, want utf8mb4`},
		{"DROP DATABASE held", `database "held": the session makes it, and it is not there`},
	} {
		execute(t, c.do)
		if got, said, more := mariadb.Ask(t.Context(), t, goodTarget()).Conclude("obj-03"); got != check.Fail || !strings.Contains(said+strings.Join(more, " "), c.mention) {
			t.Errorf("%s: got %v (%s %v), want fail that says %s", c.do, got, said, more, c.mention)
		}
	}
	for _, database := range must[[]string](t)(databasesBeside(t)) {
		execute(t, "DROP DATABASE `"+strings.ReplaceAll(database, "`", "``")+"`")
	}
	if err := server.Give(topology.Applications{}); err != nil {
		t.Fatal(err)
	}
	wantClean(t, "without a document")
}

// onlyFormer reports whether all that is said is that databases of earlier documents are
// still there: they are never dropped.
func onlyFormer(said string, more []string) bool {
	for _, one := range append(more, said) {
		if one != "" && !strings.Contains(one, "the session does not make it") && !strings.HasPrefix(one, "want ") {
			return false
		}
	}
	return true
}

func databasesBeside(t *testing.T) ([]string, error) {
	t.Helper()
	rows, err := server.Admin.Query(t.Context(), "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema', 'app', 'confidb', 'confidb_verify')")
	if err != nil {
		return nil, err
	}
	var all []string
	for _, r := range rows.Values {
		all = append(all, r[0].Text)
	}
	return all, nil
}
