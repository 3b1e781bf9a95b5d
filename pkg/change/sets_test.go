package change_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/change"
	"github.com/confidb/confidb/pkg/diff"
	"github.com/confidb/confidb/pkg/session"
)

// set are sessions, each written as its name, perhaps with who may read it: a, b=ANY.
func set(t *testing.T, words string) []*session.Session {
	t.Helper()
	var all []*session.Session
	for word := range strings.FieldsSeq(words) {
		name, reader, _ := strings.Cut(word, "=")
		text := "version: \"0.3.12\"\nname: " + name + "\n"
		if reader != "" {
			text += "access_policy: {read: [" + reader + "]}\n"
		}
		all = append(all, parse(t, text))
	}
	return all
}

// TestBetween: each session is compared with that of its name, whatever the order, and what
// only one side has weighs.
func TestBetween(t *testing.T) {
	for _, c := range []struct {
		from, to       string
		added, missing []string
		verdict        diff.Verdict
	}{
		{"a b", "b a", []string{}, []string{}, diff.Equal},
		{"a=CREATOR b", "b a=ANY", []string{}, []string{}, diff.Widened},
		{"a=ANY b=CREATOR", "a=CREATOR b=ANY", []string{}, []string{}, diff.Incomparable},
		{"a=ANY b", "a=CREATOR b", []string{}, []string{}, diff.Narrowed},
		{"a", "a b", []string{"b"}, []string{}, diff.Widened},
		{"a b", "a", []string{}, []string{"b"}, diff.Incomparable},
		{"a=ANY b", "a=CREATOR c", []string{"c"}, []string{"b"}, diff.Incomparable},
		{"a", "b", []string{}, []string{}, diff.Incomparable}, // one with one: another session
		{"a", "b c", []string{"b", "c"}, []string{"a"}, diff.Incomparable},
	} {
		got, err := change.Between(set(t, c.from), set(t, c.to), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got.Verdict != c.verdict || !cmp.Equal(got.Added, c.added) || !cmp.Equal(got.Missing, c.missing) {
			t.Errorf("%s to %s: got %+v, want %+v", c.from, c.to, got, c)
		}
		if want := c.verdict == diff.Widened || c.verdict == diff.Incomparable; got.Widens() != want {
			t.Errorf("%s to %s: widens is %t", c.from, c.to, got.Widens())
		}
	}
	for _, c := range [][2]string{{"a a", "a"}, {"a", "b b"}} {
		if _, err := change.Between(set(t, c[0]), set(t, c[1]), nil); err == nil || !strings.Contains(err.Error(), "twice") {
			t.Errorf("%q: got %v", c, err)
		}
	}
}

// TestBetweenFollowsItsOwnSet: what a reference leads to may have changed in the same set,
// and a session of the set wins over one that is named beside it.
func TestBetweenFollowsItsOwnSet(t *testing.T) {
	who := func(value string) *session.Session {
		return parse(t, "version: \"0.3.12\"\nname: parts\nsecrets: [{name: who, kind: config-fragment, value: ["+value+"], export: [{session: shop}]}]\n")
	}
	shop := parse(t, "version: \"0.3.12\"\nname: shop\naccess_policy: {read: [$$SCONE::who$$]}\nsecrets: [{name: who, import: {session: parts, secret: who}}]\n")
	for _, rest := range [][]*session.Session{nil, {who("CREATOR")}} {
		got, err := change.Between([]*session.Session{shop, who("CREATOR")}, []*session.Session{shop, who("ANY")}, rest)
		if err != nil || got.Sessions[0].Name != "shop" || got.Sessions[0].Verdict != diff.Widened {
			t.Errorf("got %+v, %v", got, err)
		}
	}
	got, err := change.Between([]*session.Session{shop}, []*session.Session{shop}, []*session.Session{who("ANY")})
	if err != nil || got.Verdict != diff.Equal {
		t.Errorf("got %+v, %v", got, err)
	}
}
