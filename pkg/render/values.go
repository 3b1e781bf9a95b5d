package render

import (
	"strings"

	"github.com/confidb/confidb/pkg/document"
)

// Assignments reads NAME=VALUE words, and returns the values by their names. wrong is the
// number, from 1, of the first word that is something else; 0 if there is none.
func Assignments(words []string) (values map[string]string, wrong int) {
	values = map[string]string{}
	for i, word := range words {
		name, value, ok := strings.Cut(word, "=")
		if !ok || name == "" {
			return nil, i + 1
		}
		values[name] = value
	}
	return values, 0
}

// Values reads a file of values for {{name}}: a YAML mapping of names to single values.
// What is wrong with it is a *document.Errors.
func Values(file string, text []byte) (map[string]string, error) {
	d := document.NewDecoder(file)
	whole := d.Read(text, document.Gate{Want: "a mapping of names to values"})
	if whole == nil {
		return nil, d.Err()
	}
	values := map[string]string{}
	d.Pairs(whole.Content[0], "", func(key, value *document.Node) {
		values[key.Value], _ = d.Scalar(value, key.Value, "a single value")
	})
	return values, d.Err()
}

// Lookup looks up $NAME in variables and, if it is not there, with lookup, which may be
// nil; and {{name}} in values.
func Lookup(variables, values map[string]string, lookup func(string) (string, bool)) func(string) (string, bool) {
	blanks := map[string]string{}
	for name, value := range values {
		blanks["{{"+name+"}}"] = value
	}
	return func(name string) (string, bool) {
		if strings.HasPrefix(name, "{{") {
			value, ok := blanks[name]
			return value, ok
		}
		if value, ok := variables[name]; ok || lookup == nil {
			return value, ok
		}
		return lookup(name)
	}
}
