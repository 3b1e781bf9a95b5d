package session

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Error says what is wrong at one place of a document.
type Error struct {
	File         string
	Line, Column int
	// Path leads to the place, such as services[0].platforms[1].
	Path string
	// Problem says what was got and what was wanted.
	Problem string
	hint    string
}

func (e *Error) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Problem)
	}
	return fmt.Sprintf("%s:%d:%d: %s: %s", e.File, e.Line, e.Column, e.Path, e.Problem)
}

// Hint says what to write instead, or is empty.
func (e *Error) Hint() string { return e.hint }

func compareErrors(a, b *Error) int {
	return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
}

// maxProblems is how many problems of one document are told.
const maxProblems = 10

// Errors is everything that is wrong with a document, in the order of its lines.
type Errors struct {
	// Problems has at least one entry and at most ten.
	Problems []*Error
	// More counts those that are not told.
	More int
}

// Error has a line for each problem.
func (e *Errors) Error() string {
	var lines []string
	for _, p := range e.Problems {
		lines = append(lines, p.Error())
	}
	if e.More > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", e.More))
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the problems.
func (e *Errors) Unwrap() []error {
	var all []error
	for _, p := range e.Problems {
		all = append(all, p)
	}
	return all
}

// Hint has the hints of all problems; where there are several problems, with the
// place that each is about.
func (e *Errors) Hint() string {
	if len(e.Problems) == 1 {
		return e.Problems[0].hint
	}
	var lines []string
	for _, p := range e.Problems {
		if p.hint != "" {
			lines = append(lines, fmt.Sprintf("%d:%d: %s", p.Line, p.Column, p.hint))
		}
	}
	return strings.Join(lines, "\n")
}

// problems collects what is wrong with one document.
type problems struct {
	file string
	all  []*Error
}

// fail records a problem, unless there is one already at that path and place: the
// second is a consequence of the first.
func (p *problems) fail(n *yaml.Node, path, format string, arguments ...any) *Error {
	return p.at(n.Line, n.Column, path, format, arguments...)
}

func (p *problems) at(line, column int, path, format string, arguments ...any) *Error {
	e := &Error{File: p.file, Line: max(line, 1), Column: max(column, 1), Path: path, Problem: fmt.Sprintf(format, arguments...)}
	if !slices.ContainsFunc(p.all, func(o *Error) bool { return o.Path == path && compareErrors(o, e) == 0 }) {
		p.all = append(p.all, e)
	}
	return e
}

// under reports whether there is a problem at or below a path.
func (p *problems) under(path string) bool {
	return slices.ContainsFunc(p.all, func(e *Error) bool { return strings.HasPrefix(e.Path, path) })
}

// err is nil or an *Errors.
func (p *problems) err() error {
	if len(p.all) == 0 {
		return nil
	}
	slices.SortStableFunc(p.all, compareErrors)
	told := min(len(p.all), maxProblems)
	return &Errors{Problems: p.all[:told], More: len(p.all) - told}
}

// unknown reports a key that an object does not have.
func (d *decoder) unknown(key *yaml.Node, path string, known fields) {
	e := d.fail(key, path, "got the unknown key %q", clip(key.Value))
	near := nearest(key.Value, sortedKeys(known))
	d.misspelt[join(path, near)] = true
	switch places := placesOf(key.Value); {
	case len(places) > 0:
		e.hint = fmt.Sprintf("%q belongs to %s", key.Value, strings.Join(places, " or "))
	case near != "":
		e.hint = fmt.Sprintf("write %q", near)
	}
}

// nearest is the word that somebody may have meant, or empty.
func nearest(text string, words []string) string {
	best, distance := "", 4
	for _, known := range words {
		if e := editDistance(text, known); e < min(distance, max(2, len(known)-1)) {
			best, distance = known, e
		}
	}
	return best
}

// placesOf are the objects of the language that have a key, such as services[].
func placesOf(key string) []string {
	var places []string
	walkSchema("", sessionShape(), func(path string, keys []string) {
		if slices.Contains(keys, key) {
			if path == "" {
				path = "the top of the document"
			}
			places = append(places, path)
		}
	})
	slices.Sort(places)
	return slices.Compact(places)
}

func sortedKeys(f fields) []string {
	var keys []string
	for k := range f {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// editDistance counts the insertions, deletions and replacements between two words.
func editDistance(a, b string) int {
	if len(a) > 64 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	if n.Tag == "!!null" {
		return "nothing"
	}
	return fmt.Sprintf("%q", clip(n.Value))
}

func clip(text string) string {
	if runes := []rune(text); len(runes) > 60 {
		return string(runes[:60]) + "…"
	}
	return text
}
