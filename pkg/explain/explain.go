// Package explain holds one page for each code that this project refuses with, and
// for the messages of SCONE and Intel that its users meet: what it means, what an
// adversary could be doing, and what to do next. It is text and a search over it:
// it knows no cluster, no CAS and no enclave, and does no I/O.
package explain

import (
	_ "embed"
	"fmt"
	"slices"
	"sort"
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
	// MaxText bounds what can be looked up, in bytes: a screen or two of a log.
	MaxText = 64 << 10
	// maxPages bounds how many pages one line brings up.
	maxPages = 6
)

// Errors of a text that cannot be looked up, whatever the pages are.
var (
	ErrEmpty   error = &TextError{"there is nothing to explain in an empty text"}
	ErrTooLong error = &TextError{fmt.Sprintf("the text is longer than %d bytes; give the lines around the error", MaxText)}
)

// TextError means that a text cannot be looked up.
type TextError struct{ problem string }

func (e *TextError) Error() string { return e.problem }

// Hint is empty: the text says it.
func (*TextError) Hint() string { return "" }

// ExitCode is that of an input that is wrong.
func (*TextError) ExitCode() int { return 2 }

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

// othersFile has pages about messages of programs that are not run here, namesFile
// other names of pages.
//
//go:embed others.yaml
var othersFile string

//go:embed names.yaml
var namesFile string

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

// load reads the pages of the files, then those of the rules.
func load() (book, error) {
	b := book{byName: map[string]int{}}
	for _, file := range []string{pagesFile, othersFile} {
		if err := b.read(file); err != nil {
			return book{}, fmt.Errorf("reading the pages: %w", err)
		}
	}
	if err := b.readNames(namesFile); err != nil {
		return book{}, fmt.Errorf("reading the names of pages: %w", err)
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

func (b *book) read(text string) error {
	var groups []group
	decoder := yaml.NewDecoder(strings.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&groups); err != nil {
		return err
	}
	for _, g := range groups {
		for _, p := range g.Pages {
			p.Group, p.Caveat = g.Title, g.Caveat
			if err := b.add(p); err != nil {
				return err
			}
		}
	}
	return nil
}

// readNames gives pages further names.
func (b *book) readNames(text string) error {
	names := map[string][]string{}
	if err := yaml.Unmarshal([]byte(text), &names); err != nil {
		return err
	}
	for code, also := range names {
		i, known := b.byName[strings.ToLower(code)]
		if !known {
			return fmt.Errorf("there is no page %q", code)
		}
		if err := b.name(i, also); err != nil {
			return err
		}
		b.pages[i].Also = append(slices.Clip(b.pages[i].Also), also...)
	}
	return nil
}

func (b *book) add(p Page) error {
	for _, text := range []string{p.Code, p.Group, p.Title, p.Meaning, p.Attack, p.Do} {
		if text == "" {
			return fmt.Errorf("page %q: code, group, title, meaning, attack or do is missing", p.Code)
		}
	}
	b.pages = append(b.pages, p)
	return b.name(len(b.pages)-1, append([]string{p.Code}, p.Also...))
}

// name lets names find a page.
func (b *book) name(page int, names []string) error {
	for _, name := range names {
		key := strings.ToLower(name)
		if i, taken := b.byName[key]; taken {
			return fmt.Errorf("page %q: the name %q is that of page %q", b.pages[page].Code, name, b.pages[i].Code)
		}
		b.byName[key] = page
	}
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
	if found := b.insideAll(text, line); len(found) > 0 {
		return b.some(found), nil
	}
	return nil, &UnknownError{Text: clip(line), Near: b.near(name)}
}

// some are the first pages of those that were found.
func (b book) some(found []int) []Page {
	var pages []Page
	for _, i := range found[:min(len(found), maxPages)] {
		pages = append(pages, b.pages[i])
	}
	return pages
}

// insideAll finds the pages of a text of several lines. The innermost cause that has a
// page comes first, which is the last one: whatever is around it follows from it.
func (b book) insideAll(text, line string) []int {
	lines := linesOf(text)
	if len(lines) == 1 {
		return b.inside(line)
	}
	var found, all []int
	for i := len(lines) - 1; i >= 0; i-- {
		here := b.inside(lines[i])
		if i+1 < len(lines) && !isCause(lines[i+1]) { // a line may have been broken in two
			here = append(here, b.inside(lines[i]+" "+lines[i+1])...)
		}
		if isCause(lines[i]) {
			found = append(found, here...)
		}
		all = append(all, here...)
	}
	if len(all) == 0 {
		return b.inside(line)
	}
	sort.Ints(all) // in the order of the pages, of which the specific ones come first
	return unique(append(found, all...))
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

// inside finds the pages of the codes and numbers in a line, then those whose patterns
// match, then those of families of codes.
func (b book) inside(line string) []int {
	var hits []int
	words := append(codeWords(line), numbers(line)...)
	for _, word := range words {
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
	if len(hits) == 0 {
		for _, word := range words {
			if i, ok := b.byName[familyOf(word)]; ok {
				hits = append(hits, i)
			}
		}
	}
	return unique(hits)
}

// unique leaves out what was there before.
func unique(all []int) []int {
	var once []int
	for _, i := range all {
		if !slices.Contains(once, i) {
			once = append(once, i)
		}
	}
	return once
}
