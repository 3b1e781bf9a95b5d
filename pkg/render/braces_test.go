package render_test

import (
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/render"
)

// {{name}} is replaced by a value and nothing else; what has no value is named, unless a
// program may want it as it is.
func TestBraces(t *testing.T) {
	for name, c := range map[string]struct{ template, want, problem string }{
		"a name with hyphens":    {"name: {{db-name}}\n", "name: shop\n", ""},
		"within a word":          {"name: mariadb-{{db-name}}-x\n", "name: mariadb-shop-x\n", ""},
		"twice":                  {"name: {{db-name}}{{user}}\n", "name: shopme\n", ""},
		"with blanks":            {"name: {{ db-name }}\nx: 1\n", "name: shop  \nx: 1\n", ""},
		"in a list":              {"a: [{{db-name}}, b]\n", "a: [shop, b]\n", ""},
		"in quotes":              {"a: \"{{quoted}}\"\n", "a: \"a\\\"b: c\"\n", ""},
		"in a placeholder":       {"a: $$SCONE::{{db-name}}:crt:pem$$\n", "a: $$SCONE::shop:crt:pem$$\n", ""},
		"two placeholders":       {"a: $$SCONE::a$$$$SCONE::{{db-name}}$$\n", "a: $$SCONE::a$$$$SCONE::shop$$\n", ""},
		"in a block":             {"a: |\n  x {{db-name}}\n  y\n", "a: |\n  x shop\n  y\n", ""},
		"in a comment":           {"a: {{db-name}} # {{db-name}} {{none}}\n", "a: shop # {{db-name}} {{none}}\n", ""},
		"beside a variable":      {"a: $USER-{{db-name}}\n", "a: me-shop\n", ""},
		"a value with variables": {"a: '{{dollar}}'\n", "a: '$USER {{db-name}}'\n", ""},
		"structure":              {"a: {{quoted}}\n", "", "would change the document"},
		"lines":                  {"a: '{{lines}}'\n", "", "would change the document"},
		"missing":                {"a: {{none}}\n", "", "1:4: a: Value for {{none}} is missing"},
		"a key":                  {"a:\n  {{db-name}}: x\n  B_{{user}}: {{user}}\n", "a:\n  shop: x\n  B_me: me\n", ""},
		"a key in brackets":      {"a: {\"{{quoted}}\": 1, '{{db-name}}': 2}\n", "a: {\"a\\\"b: c\": 1, 'shop': 2}\n", ""},
		"a key and a variable":   {"a: {$USER: {{user}}}\n", "a: {$USER: me}\n", ""},
		"a key that is another":  {"a: {shop: 1, {{db-name}}: 2}\n", "", "a second time"},
		"a key of structure":     {"a:\n  {{quoted}}: 1\n", "", "would change the document"},
		"a missing key":          {"a:\n  {{none}}: {{user}}\n", "", "2:3: a.{{none}}: Value for {{none}} is missing"},
		"of a shell, in a list":  {"a: [${USER}, b, ${USER} ]\n", "a: [me  , b, me   ]\n", ""},
		"in brackets":            {"a: {b: ${USER}, c: [${USER},${USER}]}\n", "a: {b: me  , c: [me  ,me  ]}\n", ""},
		"missing in a list":      {"a: [b, ${NONE}]\n", "", "1:8: a[1]: Value for variable $NONE is missing"},
		"in quotes in a list":    {"a: ['[${USER}]']\n", "a: ['[me]']\n", ""},
		"missing beside others":  {"a: {{db-name}}\nb: 'x {{none}}'\n", "", "2:7: b: Value for {{none}} is missing"},
		"of a program":           {"a: 'x {{none}} {{ .Values.x }}'\n", "a: 'x {{none}} {{ .Values.x }}'\n", ""},
		"a word of its own":      {"a: Z-user-Z\n", "a: Z-user-Z\n", ""},
		"such a word and braces": {"a: Z-user-Z\nb: '{{none}}'\n", "a: Z-user-Z\nb: '{{none}}'\n", ""},
	} {
		values := map[string]string{"db-name": "shop", "user": "me", "quoted": `a"b: c`, "lines": "a\nb: c", "dollar": "$USER {{db-name}}"}
		got, err := render.Session("t.yml", []byte(c.template), render.Lookup(map[string]string{"USER": "me"}, values, nil), "")
		switch {
		case c.problem == "" && (err != nil || string(got) != c.want):
			t.Errorf("%s: got %q and %v, want %q", name, got, err, c.want)
		case c.problem != "" && (err == nil || !strings.Contains(err.Error(), c.problem)):
			t.Errorf("%s: got %q and %v, want %s", name, got, err, c.problem)
		}
	}
}

func TestValues(t *testing.T) {
	for text, want := range map[string]string{
		"a: 1\nb-c: 'x: y'\n": "1 x: y",
		"a: [1]\n":            "t.yml:1:4: a: got a list, want a single value",
		"a: {b: c}\n":         "want a single value",
		"- a\n":               "want a mapping",
		"":                    "want a mapping of names to values",
		"a: 1\na: 2\n":        "a second time",
	} {
		got, err := render.Values("t.yml", []byte(text))
		if said := got["a"] + " " + got["b-c"]; err == nil && said != want || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %q and %v, want %s", text, said, err, want)
		}
	}
	if _, wrong := render.Assignments([]string{"a=b=c", "secret"}); wrong != 2 {
		t.Errorf("got %d, want the second word", wrong)
	}
}

// FuzzUnfilled: a template that is looked at without values keeps the places of all.
func FuzzUnfilled(f *testing.F) {
	f.Add("a: {{b}} $C ${D} $$SCONE::{{e}}$$ # {{f}}\n")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := render.Unfilled("t.yml", []byte(text), func(string) (string, bool) { return "", false })
		if err == nil && len(got) != len(strings.TrimPrefix(text, "\ufeff")) {
			t.Errorf("got %q of %q", got, text)
		}
	})
}
