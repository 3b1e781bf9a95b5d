// Package lint finds what is dangerous, deprecated or pointless in SCONE session
// documents. Each rule has a stable code, says what an adversary gains, and what to
// write instead. It knows documents only: no CAS, no cluster, and no I/O.
package lint

import (
	"cmp"
	"errors"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/confidb/confidb/pkg/session"
)

// Severity is how much a problem weighs. The zero value weighs nothing.
type Severity string

// The severities, from the heaviest to the lightest.
const (
	// Fatal undoes the protection, or CAS refuses the document.
	Fatal Severity = "fatal"
	// Error opens a door that should be shut.
	Error Severity = "error"
	// Warning is weaker than it could be.
	Warning Severity = "warning"
	// Note is worth knowing.
	Note Severity = "note"
)

// Severities are all of them, from the lightest to the heaviest.
func Severities() []Severity { return []Severity{Note, Warning, Error, Fatal} }

// AtLeast reports whether s weighs as much as other, or more.
func (s Severity) AtLeast(other Severity) bool {
	return slices.Index(Severities(), s) >= slices.Index(Severities(), other)
}

// Problem is a place at which a rule applies.
type Problem struct {
	Code   string `json:"code"`
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
	// Path leads to the place, such as services[0].platforms. What it names may be
	// missing; then the position is that of what is around it.
	Path string `json:"path"`
	// Written is the path in the document of File, which differs where a reference was
	// followed.
	Written string `json:"-"`
	// Got is what is written there. It holds no secret.
	Got string `json:"got"`
	Fix string `json:"fix"`
	// Suppressed means that a comment with a reason, and a date that has not passed,
	// accepts the problem.
	Suppressed bool `json:"suppressed"`
	// Reason and Until are those of the comment; empty unless Suppressed.
	Reason string `json:"reason,omitempty"`
	Until  string `json:"until,omitempty"`
}

// Rule returns the rule that the problem is about.
func (p Problem) Rule() Rule {
	b, _ := open()         // there is no problem without rules
	r, _ := b.rule(p.Code) // problems are made from rules only
	return r
}

// Check looks at sessions that belong together: whether one exports what another
// imports is asked among these only. Problems are in the order of the sessions,
// then of their lines. now decides which suppressions have expired. Like Rules, it
// fails only if the program was built wrongly.
func Check(sessions []*session.Session, now time.Time) ([]Problem, error) {
	b, err := open()
	if err != nil {
		return nil, err
	}
	finders := finders()
	if err := b.match(finders); err != nil {
		return nil, err
	}
	var all []Problem
	for _, in := range inputs(sessions) {
		found := withoutUnfilled(append(b.problems(in, finders), b.broken(in.applied.err)...))
		found = append(found, b.suppress(in.Session, found, now)...)
		sort.SliceStable(found, func(i, j int) bool { return inOrder(&found[i], &found[j]) < 0 })
		all = append(all, found...)
	}
	return all, nil
}

// CheckStored is Check for sessions as a CAS holds them: what CAS, or an update,
// writes into every session is no problem in these.
func CheckStored(sessions []*session.Session, now time.Time) ([]Problem, error) {
	found, err := Check(sessions, now)
	return slices.DeleteFunc(found, func(p Problem) bool { return p.Rule().ByCAS }), err
}

func (b book) problems(in *input, finders map[string]finder) []Problem {
	var found []Problem
	for _, r := range b.rules {
		find := finders[r.Code]
		if find == nil {
			continue
		}
		looked := in
		if followed(r.Code) {
			looked = in.applied.input
		}
		for _, h := range find(looked) {
			file, line, column := position(looked.Where(h.path))
			_, written := looked.Origin(h.path)
			found = append(found, Problem{Code: r.Code, File: file, Line: line, Column: column, Path: h.path, Got: h.got, Fix: r.Fix, Written: written})
		}
	}
	return found
}

// position takes file:line:column apart. The name of the file may hold colons.
func position(where string) (file string, line, column int) {
	rest, last, _ := cutLast(where)
	file, middle, _ := cutLast(rest)
	line, _ = strconv.Atoi(middle) // what is no number is no position, and 0
	column, _ = strconv.Atoi(last)
	return file, line, column
}

func cutLast(text string) (before, after string, found bool) {
	i := strings.LastIndexByte(text, ':')
	if i < 0 {
		return text, "", false
	}
	return text[:i], text[i+1:], true
}

func inOrder(a, b *Problem) int {
	return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Path, b.Path))
}

// Unreadable turns the error of session.Parse or render.Session into problems. It
// returns nil for an error of another kind, such as that of a file that is not
// there, and where Rules fails: then the caller has the error only.
func Unreadable(err error) []Problem {
	b, failed := open()
	if failed != nil {
		return nil
	}
	return b.broken(err)
}

func (b book) broken(err error) []Problem {
	var broken *session.Errors
	if !errors.As(err, &broken) {
		return nil
	}
	var all []Problem
	for _, e := range broken.Problems {
		r, _ := b.rule(codeOf(e)) // it is one of the constants
		all = append(all, Problem{Code: r.Code, File: e.File, Line: e.Line, Column: e.Column, Path: e.Path, Got: e.Problem, Fix: cmp.Or(e.Hint(), r.Fix)})
	}
	return all
}

// codeOf finds the code of what the parser refuses. It refuses some things that
// have a page of their own.
func codeOf(e *session.Error) string {
	inPlatforms := regexp.MustCompile(`^services\[\d+\]\.platforms(\[\d+\])?$`).MatchString(e.Path)
	switch {
	case inPlatforms && strings.Contains(e.Problem, "an empty list"):
		return codeNoPlatforms
	case inPlatforms && strings.Contains(e.Problem, "generation"):
		return codeMixed
	case inPlatforms && regexp.MustCompile(`got "[0-9a-fA-F]{32}"`).MatchString(e.Problem):
		return codeBareID
	case strings.Contains(e.Problem, "names no secret of this session"):
		return codeUnknownSecret
	}
	return codeUnreadable
}
