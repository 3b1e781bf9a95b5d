// Package explain holds one page for each code that this project refuses with, and
// for the messages of SCONE and Intel that its users meet: what it means, what an
// adversary could be doing, and what to do next. It is text and a search over it:
// it knows no cluster, no CAS and no enclave, and does no I/O.
package explain

import (
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/lint"
)

// Page explains one code. The zero value explains nothing and is never returned.
type Page struct {
	// Code is what findings, refusals and exit codes are called by. Codes of pages for
	// messages of others are ours as well, and begin with the program: scone-…
	Code string `json:"code" yaml:"code"`
	// Group is the heading under which a list shows the page.
	Group string `json:"group" yaml:"-"`
	// Title is half a sentence that says what is the matter.
	Title string `json:"title" yaml:"title"`
	// Meaning says in one to three sentences what was seen.
	Meaning string `json:"meaning" yaml:"meaning"`
	// Attack says what an adversary could be doing, or "none known: …".
	Attack string `json:"attack" yaml:"attack"`
	// Do are the next steps, one a line.
	Do string `json:"do" yaml:"do"`
	// Caveat says what the page and the message behind it do not prove. It may be empty.
	Caveat string `json:"caveat,omitempty" yaml:"-"`
	// Also are other names of the same thing, such as Intel's and SCONE's words.
	Also []string `json:"also,omitempty" yaml:"also"`
	// Patterns find the page in a whole line: texts with … for parts that vary. The
	// texts must be in the line as whole words and in this order. Case and the kind
	// and number of blanks do not matter.
	Patterns []string `json:"patterns,omitempty" yaml:"patterns"`
}

const (
	// MaxText bounds what can be looked up, in bytes.
	MaxText = 4 << 10
	// maxPages bounds how many pages one line brings up.
	maxPages = 6
)

// Errors of a text that cannot be looked up, whatever the pages are.
var (
	ErrEmpty   = errors.New("there is nothing to explain in an empty text")
	ErrTooLong = fmt.Errorf("the text is longer than %d bytes", MaxText)
)

// UnknownError means that no page explains a text.
type UnknownError struct {
	// Text is what was looked up, cleaned and cut for display.
	Text string
	// Near are the codes that are most like it, perhaps none.
	Near []string
}

func (e *UnknownError) Error() string { return fmt.Sprintf("no page explains %q", e.Text) }

// Hint names the nearest codes and where all of them are.
func (e *UnknownError) Hint() string {
	const all = "{explain --list} prints all codes."
	if len(e.Near) == 0 {
		return all + "; of a longer message give one line, with the innermost cause"
	}
	return "did you mean " + strings.Join(e.Near, " or ") + "? " + all
}

// Lookup returns the pages that explain a text: the one whose code or other name it
// is, with or without the prefix of what was asked; else those of the codes and
// messages in it, the most specific first. The error is ErrEmpty, ErrTooLong or an
// *UnknownError.
func Lookup(text string) ([]Page, error) {
	b, err := open()
	if err != nil {
		return nil, err
	}
	return b.lookup(text)
}

// Pages returns all pages in the order of their groups.
func Pages() ([]Page, error) {
	b, err := open()
	return slices.Clone(b.pages), err
}

// Codes lists every code and other name that Lookup knows, in the order of the
// pages. It is empty if the pages of this program cannot be read.
func Codes() []string {
	b, err := open()
	if err != nil {
		return nil
	}
	return b.names()
}

//go:embed pages.yaml
var pagesFile string

// book is all pages, by the order of the file and by name.
type book struct {
	pages []Page
	// byName holds indexes of pages under codes and other names in lower case.
	byName map[string]int
}

// opened is the book of this program once it was read. A variable that is made by a
// call would be linked, with all that the call reaches, into every program that
// imports this package.
var opened struct {
	once sync.Once
	book book
	err  error
}

// open reads the pages of this program when they are first asked for.
func open() (book, error) {
	opened.once.Do(func() { opened.book, opened.err = load() })
	return opened.book, opened.err
}

// load reads the pages of the file, then those of the rules.
func load() (book, error) {
	b, err := read(pagesFile)
	if err != nil {
		return book{}, fmt.Errorf("reading the pages: %w", err)
	}
	rules, err := lint.Rules()
	if err != nil {
		return book{}, err
	}
	for _, r := range rules {
		if err := b.add(lintPage(r)); err != nil {
			return book{}, fmt.Errorf("reading the rules of lint: %w", err)
		}
	}
	return b, nil
}

// lintPage is the page of what a rule of session lint finds. The rules have their
// texts themselves, so that nobody can add a rule without a page.
func lintPage(r lint.Rule) Page {
	return Page{
		Code: r.Code, Group: "What session lint finds", Title: r.Title, Meaning: r.Meaning, Attack: r.Attack, Do: r.Fix,
		Caveat:   "Lint reads the document only. What the enclave does with its secrets is not in it.",
		Patterns: []string{r.Code},
	}
}

// group is one heading of the file.
type group struct {
	Title  string `yaml:"group"`
	Caveat string `yaml:"caveat"`
	Pages  []Page `yaml:"pages"`
}

func read(text string) (book, error) {
	var groups []group
	decoder := yaml.NewDecoder(strings.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&groups); err != nil {
		return book{}, err
	}
	b := book{byName: map[string]int{}}
	for _, g := range groups {
		for _, p := range g.Pages {
			p.Group, p.Caveat = g.Title, g.Caveat
			if err := b.add(p); err != nil {
				return book{}, err
			}
		}
	}
	return b, nil
}

func (b *book) add(p Page) error {
	for _, text := range []string{p.Code, p.Group, p.Title, p.Meaning, p.Attack, p.Do} {
		if text == "" {
			return fmt.Errorf("page %q: code, group, title, meaning, attack or do is missing", p.Code)
		}
	}
	for _, name := range append([]string{p.Code}, p.Also...) {
		key := strings.ToLower(name)
		if i, taken := b.byName[key]; taken {
			return fmt.Errorf("page %q: the name %q is that of page %q", p.Code, name, b.pages[i].Code)
		}
		b.byName[key] = len(b.pages)
	}
	b.pages = append(b.pages, p)
	return nil
}

func (b book) names() []string {
	var all []string
	for _, p := range b.pages {
		all = append(append(all, p.Code), p.Also...)
	}
	return all
}

func (b book) lookup(text string) ([]Page, error) {
	if len(text) > MaxText {
		return nil, ErrTooLong
	}
	line := check.Printable(text)
	if line == "" {
		return nil, ErrEmpty
	}
	name := strings.Trim(line, ` "'.,:;`)
	if i, ok := b.named(name); ok {
		return []Page{b.pages[i]}, nil
	}
	if found := b.inside(line); len(found) > 0 {
		return found[:min(len(found), maxPages)], nil
	}
	return nil, &UnknownError{Text: clip(line), Near: b.near(name)}
}

// prefixes stand before the code of a page when the same is asked of something
// else: of the CAS's evidence, or of one of the sessions. Intel's quote
// verification library puts STATUS_ before its words.
func prefixes() []string { return []string{"cas-", "client-", "database-", "status_"} }

// named finds the page of a code or other name, then of one without its prefix.
func (b book) named(name string) (int, bool) {
	name = strings.ToLower(name)
	if i, ok := b.byName[name]; ok {
		return i, true
	}
	for _, prefix := range prefixes() {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			if i, ok := b.byName[rest]; ok {
				return i, true
			}
		}
	}
	return 0, false
}

// inside finds the pages of the codes in a line, then those whose patterns match.
func (b book) inside(line string) []Page {
	var hits []int
	for _, word := range codeWords(line) {
		if i, ok := b.named(word); ok {
			hits = append(hits, i)
		}
	}
	lower := strings.ToLower(line)
	for i, p := range b.pages {
		if slices.ContainsFunc(p.Patterns, func(pattern string) bool { return matches(pattern, lower) }) {
			hits = append(hits, i)
		}
	}
	var found []Page
	seen := map[int]bool{}
	for _, i := range hits {
		if !seen[i] {
			seen[i], found = true, append(found, b.pages[i])
		}
	}
	return found
}
