package lint

import (
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
)

// Rule is one thing that is looked for.
type Rule struct {
	// Code is CDB and four digits. It never changes its meaning.
	Code string `json:"code" yaml:"code"`
	// Name is the code in words, such as mode-none.
	Name     string   `json:"name" yaml:"name"`
	Severity Severity `json:"severity" yaml:"severity"`
	// Title is half a sentence that says what is the matter.
	Title string `json:"title" yaml:"title"`
	// Meaning says what the document causes, Attack what an adversary gains, Fix what
	// to write instead.
	Meaning string `json:"meaning" yaml:"meaning"`
	Attack  string `json:"attack" yaml:"attack"`
	Fix     string `json:"fix" yaml:"fix"`
	// ByCAS means that CAS, or an update, writes what the rule is about into a session.
	ByCAS bool `json:"-" yaml:"by-cas"`
}

//go:embed rules.yaml
var rulesFile string

// book is all rules, by code.
type book struct{ rules []Rule }

// opened is the book of this program once it was read. A variable that is made by a
// call would be linked, with all that the call reaches, into every program that
// imports this package.
var opened struct {
	once sync.Once
	book book
	err  error
}

// open reads the rules of this program when they are first asked for.
func open() (book, error) {
	opened.once.Do(func() { opened.book, opened.err = read(rulesFile) })
	return opened.book, opened.err
}

// read reads rules, which must be in order.
func read(text string) (book, error) {
	var b book
	decoder := yaml.NewDecoder(strings.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&b.rules); err != nil {
		return book{}, fmt.Errorf("reading the rules: %w", err)
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return book{}, errors.New("reading the rules: want one document")
	}
	if err := b.check(); err != nil {
		return book{}, fmt.Errorf("reading the rules: %w", err)
	}
	return b, nil
}

// check finds what is wrong in the file: it has rules, and each rule is whole, has a
// name of its own, and a code that is higher than the one before.
func (b book) check() error {
	if len(b.rules) == 0 {
		return errors.New("there are none")
	}
	last, names := "", map[string]string{}
	for _, r := range b.rules {
		if err := r.check(); err != nil {
			return err
		}
		if r.Code <= last {
			return fmt.Errorf("rule %s: it stands after rule %s: want the rules in the order of their codes, each once", r.Code, last)
		}
		if other, taken := names[r.Name]; taken {
			return fmt.Errorf("rule %s: the name %q is that of rule %s", r.Code, r.Name, other)
		}
		last, names[r.Name] = r.Code, r.Code
	}
	return nil
}

// match wants exactly one finder for each rule, and a rule for each finder.
func (b book) match(finders map[string]finder) error {
	missing := maps.Clone(finders)
	for _, r := range b.rules {
		if _, ok := missing[r.Code]; !ok {
			return fmt.Errorf("rule %s: nothing finds its problems", r.Code)
		}
		delete(missing, r.Code)
	}
	if len(missing) > 0 {
		return fmt.Errorf("no rules for %s", strings.Join(slices.Sorted(maps.Keys(missing)), ", "))
	}
	return nil
}

func (r Rule) check() error {
	for _, text := range []string{r.Code, r.Name, r.Title, r.Meaning, r.Attack, r.Fix} {
		if text == "" {
			return fmt.Errorf("rule %q: code, name, title, meaning, attack or fix is missing", r.Code)
		}
	}
	if !slices.Contains(Severities(), r.Severity) {
		return fmt.Errorf("rule %s: severity %q: want note, warning, error or fatal", r.Code, r.Severity)
	}
	return nil
}

// rule returns the rule of a code, and whether there is one.
func (b book) rule(code string) (Rule, bool) {
	i, found := slices.BinarySearchFunc(b.rules, code, func(r Rule, code string) int { return cmp.Compare(r.Code, code) })
	if !found {
		return Rule{}, false
	}
	return b.rules[i], true
}

// Rules returns all rules, by code. It fails only if the program was built with a
// broken list of them.
func Rules() ([]Rule, error) {
	b, err := open()
	return slices.Clone(b.rules), err
}
