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

func (v invented) document() string {
	names := []string{"a", "it's", `say "x"`, "back`tick", "select", "größe", strings.Repeat("字", 51), "a b", "a_b", "ab", "1", "a;b", "--", "END", "x,y", "(", "#"}
	v.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	databases := slices.Clone(names[:1+v.IntN(3)])
	text := "kind: confidb.accounts/v1\ndatabases:\n"
	for _, name := range databases {
		text += "  - {name: " + inYAML(name) + v.of([]string{"", ", character-set: latin1", ", character-set: utf8mb4, collation: utf8mb4_bin", ", collation: utf8mb4_unicode_ci"}) + "}\n"
	}
	text += "accounts:\n"
	v.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	for _, name := range names[:1+v.IntN(4)] {
		text += "  - name: " + inYAML(name) + "\n    client: " + v.of([]string{"web", "batch"}) + "\n"
		if v.IntN(2) == 0 {
			text += fmt.Sprintf("    limits: {%s: %d}\n", v.of([]string{"max-user-connections", "max-queries-per-hour", "max-updates-per-hour", "max-connections-per-hour", "max-statement-time"}), 1+v.IntN(1000))
		}
		text += "    privileges:\n"
		for i := range 1 + v.IntN(4) {
			database := inYAML(v.of(append(slices.Clone(databases), "app")))
			object := inYAML(v.of(names) + fmt.Sprint(i))
			if strings.Contains(object, "字") {
				object = inYAML("t" + fmt.Sprint(i))
			}
			switch v.IntN(5) {
			case 0:
				text += "      - {database: " + database + ", grant: " + v.some(promise.Privileges(promise.OnDatabase)) + "}\n"
			case 1:
				text += "      - {database: " + database + ", table: " + object + ", grant: " + v.some(promise.Privileges(promise.OnTable)) + "}\n"
			case 2:
				text += "      - {database: " + database + ", table: " + object + ", columns: " + v.some([]string{"a", "größe", "'it''s'"}) + ", grant: " + v.some(promise.Privileges(promise.OnColumn)) + "}\n"
			case 3:
				text += "      - {database: " + database + ", procedure: " + object + ", grant: " + v.some(promise.Privileges(promise.OnProcedure)) + "}\n"
			case 4:
				text += "      - {database: " + database + ", function: " + object + ", grant: [ALL]}\n"
			}
		}
	}
	return text
}

// TestAccountsDocuments: what the database holds after a start is what the document says,
// and what was there before and is not in it is gone.
func TestAccountsDocuments(t *testing.T) {
	fresh(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := invented{rand.New(rand.NewPCG(seed, 1))}
	for i := range 12 {
		text := random.document()
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
