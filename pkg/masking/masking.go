// Package masking reads the rules by which MaxScale masks what it answers, in MaxScale's
// format (MaxScale 24.02, "Masking"). MaxScale itself takes almost everything: with a
// misspelt key, a rule of another form or no rule at all it starts and masks less. So what
// it would not obey is refused here, and what nobody has seen it do as well. It does no I/O.
package masking

import (
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/document"
)

// Rules are those of a document, in its order. There is at least one.
type Rules struct{ All []Rule }

// Column is what a rule is about. An empty Database or Table is any.
type Column struct{ Database, Table, Name string }

// String is the column's name with what goes before it, where something does.
func (c Column) String() string {
	return strings.TrimLeft(c.Database+"."+c.Table+"."+c.Name, ".")
}

// Rule masks the values of one column.
type Rule struct {
	Column Column
	// Match is a regular expression: only the first part of a value that it hits is masked,
	// and a value that it does not hit stays as it is. Empty masks all of a value.
	Match string
	// Value takes the place of a value of the same length in bytes, Fill, repeated and cut,
	// that of any other. Both are empty where Obfuscate is set.
	Value, Fill string
	// Obfuscate makes other letters of a value, in a way of MaxScale's own.
	Obfuscate bool
	// AppliesTo are the accounts whose answers are masked, all where it is empty, but those
	// of Exempted.
	AppliesTo, Exempted []Account
	// Line is where the rule begins.
	Line int
}

// Account is a user at a host, in which % stands for anything.
type Account struct{ User, Host string }

// everywhere is a host that is any.
const everywhere = "%"

// Meeting is whether a rule is about a user.
type Meeting int

// Whether a rule is about a user.
const (
	Never     Meeting = iota
	Sometimes         // at some addresses
	Always
)

// Meets says whether answers to a user are masked by the rule.
func (r Rule) Meets(user string) Meeting {
	applies := Always
	if len(r.AppliesTo) > 0 {
		applies = of(r.AppliesTo, user)
	}
	switch of(r.Exempted, user) {
	case Always:
		return Never
	case Sometimes:
		return min(applies, Sometimes)
	}
	return applies
}

// of says where a list has a user.
func of(list []Account, user string) (found Meeting) {
	for _, a := range list {
		switch {
		case a.User != user:
		case a.Host == everywhere:
			return Always
		default:
			found = Sometimes
		}
	}
	return found
}

// Meets are the rules that mask answers to a user, at some addresses at least.
func (r *Rules) Meets(user string) []Rule {
	return r.filter(func(one Rule) bool { return one.Meets(user) != Never })
}

// Unmet are the rules that mask nothing of what these users are answered, and they are all
// users.
func (r *Rules) Unmet(users []string) []Rule {
	return r.filter(func(one Rule) bool {
		return !slices.ContainsFunc(users, func(user string) bool { return one.Meets(user) != Never })
	})
}

func (r *Rules) filter(is func(Rule) bool) (found []Rule) {
	for _, one := range r.All {
		if is(one) {
			found = append(found, one)
		}
	}
	return found
}

// Columns are those that rules are about, each once, in the order of the rules.
func (r *Rules) Columns() (all []Column) {
	for _, one := range r.All {
		if !slices.Contains(all, one.Column) {
			all = append(all, one.Column)
		}
	}
	return all
}

// Maskable reports whether MaxScale masks columns of a type, as information_schema.COLUMNS
// names it in DATA_TYPE. All others it leaves as they are, without an error.
func Maskable(dataType string) bool {
	return slices.Contains([]string{"char", "varchar", "binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "tinytext", "text", "mediumtext", "longtext", "enum", "set"}, strings.ToLower(dataType))
}

// Parse reads a document; name is that of the file, for errors. What is wrong with the
// document is a *document.Errors.
func Parse(name string, text []byte) (*Rules, error) {
	d := decoder{document.NewDecoder(name)}
	found := &Rules{}
	if text, ok := d.json(text); ok {
		if whole := d.Read(text, document.Gate{Want: `{"rules": [...]}`}); whole != nil {
			d.rules(found).Read(whole.Content[0], "")
		}
	}
	if err := d.Err(); err != nil {
		return nil, err
	}
	return found, nil
}
