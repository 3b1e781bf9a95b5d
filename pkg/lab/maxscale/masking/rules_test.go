package masking

import (
	"fmt"
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/lab/maxscale/sql"
	"github.com/confidb/confidb/pkg/lab/maxscale/wire"
)

const sample = `{"rules":[
 {"replace":{"database":"lab","table":"person","column":"ssn"},"with":{"value":"XXX-XX-XXXX","fill":"X"},"exempted":["'dpo'@'%'"]},
 {"replace":{"database":"lab","table":"person","column":"card","match":"[0-9]{12}"},"with":{"fill":"*"}},
 {"replace":{"column":"born"},"with":{"fill":"X"}}]}`

// filter has all switches on.
func filter(t testing.TB, rules string, said *[]string) *Filter {
	t.Helper()
	r, _, err := Parse([]byte(rules))
	if err != nil {
		t.Fatal(err)
	}
	return &Filter{Rules: r, PreventFunctionUsage: true, RequireFullyParsed: true, TreatStringArgAsField: true, CheckUserVariables: true, CheckUnions: true, CheckSubqueries: true,
		WarnTypeMismatch: true, AbortLarge: true, Words: sql.NewWords(), Log: func(level, text string) { *said = append(*said, level+": "+text) }}
}

func TestParse(t *testing.T) {
	for text, want := range map[string]string{ // rules, unmeasured; or an error
		`{"rules":[]}`:       "0",
		`{"rules":[],"x":1}`: "0",
		`{"rules":[{"replace":{"column":"a"},"with":{"fil":"Y"}}]}`:                           "1",
		`{"rules":[{"replace":{"column":"a"},"with":{}}]}`:                                    "1",
		`{"rules":[{"obfuscate":{"column":"a"}}]}`:                                            "1",
		`{"rules":[{"replace":{"column":"a"},"with":{"fill":"X"},"applies_to":["'a'@'%'"]}]}`: "1",
		`{}`:            "0 ?15: rules without a list 'rules'",
		`[]`:            "0 ?15: rules without a list 'rules'",
		`{"rules":[1]}`: "0 ?15: rule 1: neither 'replace' nor 'obfuscate'",
		`{"rules":[{"replace":{"table":"a"},"with":{}}]}`:                                       "0 ?15: rule 1: no 'column'",
		`{"rules":[{"replace":{"column":1},"with":{}}]}`:                                        "0 ?15: rule 1: 'column' is no string",
		`{"rules":[{"replace":{"column":"a"}}]}`:                                                "0 ?15: rule 1: no 'with'",
		`{"rules":[{"replace":{"column":"a"},"with":{"fill":""}}]}`:                             "0 ?15: rule 1: 'fill' is empty",
		`{"rules":[{"replace":{"column":"a"},"with":{"value":7}}]}`:                             "0 ?15: rule 1: 'value' is no string",
		`{"rules":[{"replace":{"column":"a","match":7},"with":{}}]}`:                            "0 ?15: rule 1: 'match' is no string",
		`{"rules":[{"replace":{"column":"a"},"with":{},"exempted":"x"}]}`:                       "0 ?15: rule 1: 'exempted' is no list",
		`{"rules":[{"replace":{"column":"a"},"with":{},"exempted":["'a'@'1_'"]}]}`:              "0 ?15: rule 1: an account in 'exempted'",
		`{"rules":[{"replace":{"column":"a"},"with":{},"applies_to":[]}]}`:                      "0 ?15: rule 1: 'applies_to' is empty",
		`{"rules":[{"replace":{"column":"a"},"with":{}},{"replace":{"column":"a"},"with":{}}]}`: "2 ?15: two rules for column 'a'",
		`{"rules":[{"replace":{"column":"a","match":"(?=a)"},"with":{}}]}`:                      "lab stand-in: 'match' is not imitated",
		`{"rules":[{"replace":{"column":"a","match":"(a)\\1"},"with":{}}]}`:                     "lab stand-in: 'match' is not imitated",
		`{"rules":[`:      "unexpected EOF",
		``:                "EOF",
		`{"rules":[]} x`:  "something follows",
		`{"rules":[]} {}`: "something follows",
	} {
		r, unmeasured, err := Parse([]byte(text))
		got := fmt.Sprint(err)
		if err == nil {
			got = strings.Join(append([]string{fmt.Sprint(len(r.all))}, unmeasured...), " ")
		}
		if err == nil && got != want || err != nil && !strings.Contains(got, want) {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

func TestAccounts(t *testing.T) {
	for _, c := range []struct {
		account, user, host string
		meets               bool
	}{
		{"'a'@'%'", "a", "10.0.0.1", true},
		{"'a'@'%'", "A", "10.0.0.1", false},
		{"a@%", "a", "x", true},
		{"'a'", "a", "x", true},
		{"a", "b", "x", false},
		{"''@'%'", "a", "x", true},
		{"'a'@'10.%.1'", "a", "10.0.0.1", true},
		{"'a'@'10.%.1'", "a", "10.0.0.2", false},
		{"'a'@'10.%'", "a", "11.0.0.2", false},
		{"'a'@'%.x%y'", "a", "1.xxy", true},
		{"'a'@'localhost'", "a", "localhost", true},
		{"'a'@'localhost'", "a", "localhost2", false},
	} {
		a, ok := parseAccount(c.account)
		if got := a.meets(c.user, c.host); !ok || got != c.meets {
			t.Errorf("%s, %s@%s: %v, %v, want %v", c.account, c.user, c.host, got, ok, c.meets)
		}
	}
	for _, text := range []string{"", "'a'@'_'", "'a'@", "a'b@c", "%@x"} {
		if _, ok := parseAccount(text); ok {
			t.Errorf("%s is an account", text)
		}
	}
}

func TestMask(t *testing.T) {
	var said []string
	for _, c := range []struct{ rule, value, want, said string }{
		{`{"replace":{"column":"c"},"with":{"value":"XXX-XX-XXXX","fill":"Y"}}`, "721-07-4426", "XXX-XX-XXXX", ""},
		{`{"replace":{"column":"c"},"with":{"value":"XXX-XX-XXXX","fill":"YZ"}}`, "721-07", "YZYZYZ", ""},
		{`{"replace":{"column":"c"},"with":{"value":"ab"}}`, "xyz", "XXX", ""},
		{`{"replace":{"column":"c"},"with":{"fil":"Y"}}`, "xyz", "XXX", ""}, // the mistake has the default
		{`{"replace":{"column":"c"},"with":{"fill":"Y"}}`, "", "", ""},
		{`{"replace":{"column":"c"},"with":{"fill":"é"}}`, "abc", "\xc3\xa9\xc3", ""},
		{`{"replace":{"column":"c","match":"[0-9]{3}"},"with":{"fill":"*"}}`, "ab123c", "ab***c", ""},
		{`{"replace":{"column":"c","match":"[0-9]{3}"},"with":{"value":"000"}}`, "ab123c", "ab000c", ""},
		{`{"replace":{"column":"c","match":"[0-9]{3}"},"with":{"fill":"*"}}`, "abc", "abc", "error: PCRE2 Error message: 'no match'."},
		{`{"replace":{"column":"c","match":"[0-9]"},"with":{"fill":"*"}}`, "a1b2", "a*b2", "warning: lab stand-in: unmeasured ?15: 'match' hits more than once; only the first is masked"},
		{`{"replace":{"database":"d","table":"t","column":"c"},"with":{}}`, "a", "X", ""},
		{`{"replace":{"database":"e","table":"t","column":"c"},"with":{}}`, "a", "a", ""},
		{`{"replace":{"table":"u","column":"c"},"with":{}}`, "a", "a", ""},
		{`{"replace":{"column":"C"},"with":{}}`, "a", "a", "warning: lab stand-in: unmeasured ?15: a column whose name is a rule's in other letters"},
	} {
		said = nil
		a := filter(t, `{"rules":[`+c.rule+`]}`, &said).Session("u", "h").Answer(false)
		a.Columns(1)
		a.Column(wire.Column{Schema: "d", OrgTable: "t", OrgName: "c", Type: 0xfe})
		row := append([]byte{byte(len(c.value))}, c.value...)
		if err := a.Row(row, true); err != nil || string(row[1:]) != c.want || strings.Join(said, "\n") != c.said {
			t.Errorf("%s of %s: got %q, %v, %s, want %q, %s", c.rule, c.value, row[1:], err, said, c.want, c.said)
		}
	}
}

// TestRows: NULL stays, other columns and types stay, both protocols.
func TestRows(t *testing.T) {
	var said []string
	f := filter(t, `{"rules":[{"replace":{"column":"c"},"with":{}}]}`, &said)
	for binary, row := range map[bool][]byte{false: []byte("\x02ab\x02cd\xfb\x0212"), true: []byte("\x00\x10\x02ab\x02cd\x08\x00\x00\x00")} {
		a := f.Session("u", "h").Answer(binary)
		for range 2 { // sets of rows
			row := append([]byte(nil), row...)
			a.Columns(4)
			for i, name := range []string{"c", "d", "c", "c"} {
				a.Column(wire.Column{OrgName: name, Type: []wire.Type{0xfd, 0xfd, 0xfd, wire.TypeLong}[i]})
			}
			err := a.Row(row, true)
			want := "\x02XX\x02cd\xfb\x0212"
			if binary {
				want = "\x00\x10\x02XX\x02cd\x08\x00\x00\x00"
			}
			if err != nil || string(row) != want {
				t.Errorf("binary %v: got %q, %v, want %q", binary, row, err, want)
			}
		}
		if err := a.Row([]byte("\x05a"), true); err == nil {
			t.Error("a row that is none was passed on")
		}
		if err := a.Row(nil, false); err == nil {
			t.Error("a large row did not close the session")
		}
	}
	if !strings.Contains(strings.Join(said, "\n"), "cannot be masked") {
		t.Errorf("a rule for a number is not logged: %s", said)
	}
	f.AbortLarge = false
	a := f.Session("u", "h").Answer(false)
	a.Columns(1)
	a.Column(wire.Column{OrgName: "c", Type: 0xfd})
	if err := a.Row([]byte("part"), false); err != nil {
		t.Error(err)
	}
	f.AbortLarge = true
	a.Columns(1)
	a.Column(wire.Column{OrgName: "d", Type: 0xfd})
	if err := a.Row([]byte("part"), false); err != nil {
		t.Errorf("a large row without a masked column: %v", err)
	}
}

// FuzzRows: whatever comes, a row keeps its length, and what is not masked its bytes.
func FuzzRows(f *testing.F) {
	f.Add([]byte("\x02ab\x02cd"), false)
	f.Add([]byte("\x00\x00\x02ab\x02cd"), true)
	f.Fuzz(func(t *testing.T, row []byte, binary bool) {
		var said []string
		a := filter(t, `{"rules":[{"replace":{"column":"c","match":"a+"},"with":{"fill":"xy"}}]}`, &said).Session("u", "h").Answer(binary)
		a.Columns(2)
		a.Column(wire.Column{OrgName: "c", Type: 0xfd})
		a.Column(wire.Column{OrgName: "d", Type: 0xfd})
		before := append([]byte(nil), row...)
		err := a.Row(row, true)
		if len(row) != len(before) || err != nil && string(row) != string(before) {
			t.Errorf("%q became %q, %v", before, row, err)
		}
	})
}

func FuzzRules(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte(`{"rules":[{"obfuscate":{"column":"a"},"applies_to":["'a'@'%'"]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, _, err := Parse(data)
		if (r == nil) != (err != nil) {
			t.Fatalf("got %v, %v", r, err)
		}
		if r == nil {
			return
		}
		for _, one := range r.all {
			value := []byte("some value")
			if one.write(value); len(value) != len("some value") || one.column == "" {
				t.Errorf("%+v: %q", one, value)
			}
		}
	})
}
