package ask

import (
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/mysql"
)

// TestDiffering: the rows of the grant tables are the same in any order, and any other row,
// one more and one less, is a change.
func TestDiffering(t *testing.T) {
	table := func(rows ...string) map[string]*mysql.Rows {
		all := &mysql.Rows{Columns: []string{"User", "Priv"}}
		for _, r := range rows {
			user, priv, given := strings.Cut(r, " ")
			all.Values = append(all.Values, []mysql.Value{{Text: user}, {Text: priv, Null: !given}})
		}
		return map[string]*mysql.Rows{"db": all, "proxies_priv": {}}
	}
	before := table("a Y", "b N", "b Y", "c")
	for name, c := range map[string]struct {
		after   map[string]*mysql.Rows
		changed bool
	}{
		"the same":        {table("a Y", "b N", "b Y", "c"), false},
		"another order":   {table("c", "b Y", "a Y", "b N"), false},
		"another value":   {table("a Y", "b N", "b Y", "c Y"), true},
		"empty, not null": {table("a Y", "b N", "b Y", "c "), true},
		"one less":        {table("a Y", "b N", "c"), true},
		"one more":        {table("a Y", "b N", "b Y", "b Y", "c"), true},
		"one for another": {table("a Y", "b N", "b N", "c"), true},
	} {
		if got := differing(before, c.after); (got != "") != c.changed || c.changed && !strings.HasPrefix(got, "mysql.db changed") {
			t.Errorf("%s: got %q", name, got)
		}
	}
}
