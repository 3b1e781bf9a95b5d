package masking_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/document"
	"github.com/confidb/confidb/pkg/masking"
	"github.com/google/go-cmp/cmp"
)

const good = `{
	"rules": [
		{
			"replace": { "database": "lab", "table": "person", "column": "ssn" },
			"with": { "value": "XXX-XX-XXXX", "fill": "X" },
			"exempted": [ "'dpo'@'%'" ]
		},
		{ "replace": { "column": "card", "match": "[0-9]{12}" }, "with": { "fill": "*" }, "applies_to": [ "web", "'app'@'10.%'" ] },
		{ "obfuscate": { "table": "person", "column": "name" }, "applies_to": [ "web@%" ] }
	]
}
`

func parse(t *testing.T, text string) *masking.Rules {
	t.Helper()
	r, err := masking.Parse("f", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestParse(t *testing.T) {
	want := []masking.Rule{
		{Column: masking.Column{Database: "lab", Table: "person", Name: "ssn"}, Value: "XXX-XX-XXXX", Fill: "X", Exempted: []masking.Account{{User: "dpo", Host: "%"}}, Line: 3},
		{Column: masking.Column{Name: "card"}, Match: "[0-9]{12}", Fill: "*", AppliesTo: []masking.Account{{User: "web", Host: "%"}, {User: "app", Host: "10.%"}}, Line: 8},
		{Column: masking.Column{Table: "person", Name: "name"}, Obfuscate: true, AppliesTo: []masking.Account{{User: "web", Host: "%"}}, Line: 9},
	}
	r := parse(t, good)
	if diff := cmp.Diff(want, r.All); diff != "" {
		t.Error(diff)
	}
	if got := fmt.Sprint(r.Columns()); got != "[lab.person.ssn card person.name]" {
		t.Errorf("columns: %s", got)
	}
}

func TestAccepted(t *testing.T) {
	const one = `{"rules": [%s]}`
	for _, text := range []string{
		"\ufeff" + good,
		strings.ReplaceAll(good, "\n", "\r\n"),
		strings.Join(strings.Fields(good), ""),
		fmt.Sprintf(one, `{"replace": {"column": "a b"}, "with": {"fill": "\\\u0041"}}`),
		fmt.Sprintf(one, `{"replace": {"column": "größe"}, "with": {"value": "é", "fill": "X"}}`),
		fmt.Sprintf(one, `{"replace": {"column": "a"}, "with": {"fill": "X"}, "applies_to": ["'b'"]}, {"replace": {"column": "a"}, "with": {"fill": "Y"}, "applies_to": ["c"]}`),
		fmt.Sprintf(one, `{"replace": {"column": "a", "table": "t"}, "with": {"fill": "X"}}, {"replace": {"column": "a", "table": "u"}, "with": {"fill": "Y"}}`),
		fmt.Sprintf(one, `{"replace": {"column": "a"}, "with": {"fill": "X"}, "exempted": ["c"]}, {"replace": {"column": "a"}, "with": {"fill": "Y"}, "applies_to": ["c"]}`),
	} {
		if _, err := masking.Parse("f", []byte(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestRefused(t *testing.T) {
	rule := func(text string) string { return `{"rules": [` + text + `]}` }
	with := func(text string) string { return rule(`{"replace": {"column": "a"}, "with": ` + text + `}`) }
	match := func(text string) string {
		return rule(`{"replace": {"column": "a", "match": ` + text + `}, "with": {"fill": "X"}}`)
	}
	applies := func(text string) string {
		return rule(`{"replace": {"column": "a"}, "with": {"fill": "X"}, "applies_to": ` + text + `}`)
	}
	for text, want := range map[string]string{
		``:                                   `f:1:1: `,
		`null`:                               `f:1:1: `,
		`[]`:                                 `f:1:1: got a list`,
		`{"rules": [`:                        `f:1:12: got what is no JSON (unexpected EOF`,
		"{\n  \"rules\": [}\n":               `f:2:13: got what is no JSON (invalid character '}'`,
		`{"rules": []} x`:                    `got what is no JSON`,
		`{"rules": []}{}`:                    `f:1:14: got what is no JSON (something follows`,
		`rules: []`:                          `f:1:1: got what is no JSON`,
		`{"rules": [],}`:                     `got what is no JSON`,
		`{'rules': []}`:                      `got what is no JSON`,
		`{"rules": []}`:                      `f:1:11: rules: got no rule`,
		`{"rule": []}`:                       `f:1:2: got the unknown key "rule"`,
		`{}`:                                 `f:1:1: rules: it is missing`,
		`{"rules": {}}`:                      `f:1:11: rules: got a map`,
		`{"rules": [], "x": 1}`:              `f:1:15: got the unknown key "x"`,
		rule(`7`):                            `rules[0]: got `,
		rule(`{}`):                           `rules[0]: got neither replace nor obfuscate`,
		rule(`{"replace": {"column": "a"}}`): `rules[0].with: it is missing`,
		rule(`{"replace": {"colum": "a"}, "with": {"fill": "X"}}`):                                `got the unknown key "colum"`,
		rule(`{"replace": {}, "with": {"fill": "X"}}`):                                            `rules[0].replace.column: it is missing`,
		rule(`{"replace": {"column": 7}, "with": {"fill": "X"}}`):                                 `rules[0].replace.column: got `,
		rule(`{"replace": {"column": null}, "with": {"fill": "X"}}`):                              `rules[0].replace.column: got `,
		rule(`{"replace": {"column": ""}, "with": {"fill": "X"}}`):                                `want a text that is not empty`,
		rule(`{"replace": {"column": "%"}, "with": {"fill": "X"}}`):                               `% and * stand for nothing here`,
		rule(`{"replace": {"column": " a"}, "with": {"fill": "X"}}`):                              `without white space at its ends`,
		rule(`{"replace": {"column": "` + strings.Repeat("a", 65) + `"}, "with": {"fill": "X"}}`): `of at most 64 characters`,
		rule(`{"replace": {"column": "$$SCONE::x$$"}, "with": {"fill": "X"}}`):                    `without $$SCONE and {{`,
		rule(`{"replace": {"column": "a", "column": "b"}, "with": {"fill": "X"}}`):                `column`,
		rule(`{"replace": {"column": "a"}, "obfuscate": {"column": "a"}, "with": {"fill": "X"}}`): `got replace and obfuscate`,
		rule(`{"obfuscate": {"column": "a"}, "with": {"fill": "X"}}`):                             `got it beside obfuscate`,
		rule(`{"obfuscate": {"column": "a", "match": "b"}}`):                                      `got the unknown key "match"`,
		rule(`{"replace": {"column": "a"}, "with": {"fill": "X"}, "applies-to": ["b"]}`):          `got the unknown key "applies-to"`,
		with(`{}`):                      `rules[0].with.fill: it is missing`,
		with(`{"fil": "X"}`):            `got the unknown key "fil"`,
		with(`{"value": "abc"}`):        `rules[0].with.fill: it is missing: values of another length`,
		with(`{"fill": ""}`):            `want a text that is not empty`,
		with(`{"fill": 1}`):             `rules[0].with.fill: got `,
		with(`{"fill": true}`):          `rules[0].with.fill: got `,
		with(`{"fill": ["X"]}`):         `rules[0].with.fill: got a list`,
		with(`{"fill": "é"}`):           `of ASCII`,
		with(`{"fill": "\u0001"}`):      `f:1:`,
		with(`"X"`):                     `rules[0].with: got `,
		match(`"(?=a)"`):                `that is a regular expression of RE2 too (invalid or unsupported Perl syntax`,
		match(`"(a)\\1"`):               `RE2 too (invalid escape sequence`,
		match(`"("`):                    `RE2 too (missing closing )`,
		match(`"[0-9]*"`):               `that does not hit nothing at all`,
		match(`7`):                      `rules[0].replace.match: got `,
		applies(`[]`):                   `rules[0].applies_to: got no account`,
		applies(`"web"`):                `rules[0].applies_to: got `,
		applies(`[7]`):                  `rules[0].applies_to[0]: got `,
		applies(`["'web'@"]`):           `as 'user'@'host'`,
		applies(`["'web"]`):             `as 'user'@'host'`,
		applies(`["'web'x"]`):           `as 'user'@'host'`,
		applies(`["web@'%'x"]`):         `as 'user'@'host'`,
		applies(`["a b"]`):              `as 'user'@'host'`,
		applies(`["''@'%'"]`):           `with a user`,
		applies(`["'%'@'%'"]`):          `without % in the user`,
		applies(`["'web'@'10.0.0._'"]`): `without _ in the host`,
		rule(`{"replace": {"column": "a"}, "with": {"fill": "X"}}, {"replace": {"table": "t", "column": "A"}, "with": {"fill": "X"}}`):                                                          `rules[1]: got t.A, which rules[0] is about as well`,
		rule(`{"replace": {"column": "a"}, "with": {"fill": "X"}, "applies_to": ["b"]}, {"replace": {"column": "a"}, "with": {"fill": "X"}}`):                                                   `rules[1]: got a, which rules[0] is about as well`,
		rule(`{"replace": {"column": "a"}, "with": {"fill": "X"}, "applies_to": ["b@10.%"]}, {"replace": {"column": "a"}, "with": {"fill": "X"}, "applies_to": ["b@11.%"], "exempted": ["c"]}`): `rules[1]: got a, which rules[0] is about as well`,
	} {
		r, err := masking.Parse("f", []byte(text))
		var problems *document.Errors
		if r != nil || !errors.As(err, &problems) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\ngot  %v\nwant %s", text, err, want)
		}
	}
}

func TestMeets(t *testing.T) {
	r := parse(t, good)
	for user, want := range map[string]string{ // by rule: never, sometimes, always
		"dpo": "0 0 0", "web": "2 2 2", "app": "2 1 0", "other": "2 0 0", "WEB": "2 0 0",
	} {
		var got []string
		met := 0
		for _, one := range r.All {
			m := one.Meets(user)
			got = append(got, fmt.Sprint(int(m)))
			if m != masking.Never {
				met++
			}
		}
		if strings.Join(got, " ") != want || len(r.Meets(user)) != met {
			t.Errorf("%s: got %s, %d rules, want %s", user, got, len(r.Meets(user)), want)
		}
	}
	for users, want := range map[string]int{"dpo": 3, "dpo other": 2, "app": 1, "web": 0, "": 3} {
		if got := len(r.Unmet(strings.Fields(users))); got != want {
			t.Errorf("%s: %d rules are met by nobody, want %d", users, got, want)
		}
	}
	partly := parse(t, `{"rules": [{"replace": {"column": "a"}, "with": {"fill": "X"}, "exempted": ["'b'@'10.%'"]}]}`)
	if got := partly.All[0].Meets("b"); got != masking.Sometimes {
		t.Errorf("exempted at some addresses: got %v", got)
	}
}

func TestMaskable(t *testing.T) {
	for name, want := range map[string]bool{"char": true, "VARCHAR": true, "longblob": true, "text": true, "enum": true, "set": true, "int": false, "date": false, "decimal": false, "json": false, "uuid": false, "inet6": false, "bit": false, "": false} {
		if masking.Maskable(name) != want {
			t.Errorf("%s: want %v", name, want)
		}
	}
}

// FuzzParse: what is accepted masks something by each rule, and is refused with a place
// otherwise.
func FuzzParse(f *testing.F) {
	f.Add(good)
	f.Add(`{"rules": [{"replace": {"column": "a", "match": "b+"}, "with": {"fill": "X", "value": "y"}, "exempted": ["'a'@'b%'"]}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		r, err := masking.Parse("f", []byte(text))
		if err != nil {
			var problems *document.Errors
			if !errors.As(err, &problems) || !strings.HasPrefix(err.Error(), "f:") {
				t.Errorf("got %v", err)
			}
			return
		}
		for _, one := range r.All {
			if one.Column.Name == "" || one.Fill == "" != one.Obfuscate || one.Line == 0 {
				t.Errorf("%+v", one)
			}
			for _, a := range append(one.AppliesTo, one.Exempted...) {
				if a.User == "" || a.Host == "" {
					t.Errorf("%+v", one)
				}
			}
		}
		if len(r.Columns()) == 0 {
			t.Error("no columns")
		}
	})
}
