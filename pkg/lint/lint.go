// Package lint finds what is dangerous, deprecated or pointless in SCONE session
// documents. Each rule has a stable code, says what an adversary gains, and what to
// write instead. It knows documents only: no CAS, no cluster, and no I/O.
package lint

import (
	"cmp"
	"errors"
	"regexp"
	"slices"
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

// Rule is one thing that is looked for.
type Rule struct {
	// Code is CDB and four digits. It never changes its meaning.
	Code string `json:"code"`
	// Name is the code in words, such as mode-none.
	Name     string   `json:"name"`
	Severity Severity `json:"severity"`
	// Title is half a sentence that says what is the matter.
	Title string `json:"title"`
	// Meaning says what the document causes, Attack what an adversary gains, Fix what
	// to write instead.
	Meaning string `json:"meaning"`
	Attack  string `json:"attack"`
	Fix     string `json:"fix"`
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
	r, _ := Lookup(p.Code) // problems are made from rules only
	return r
}

// Codes of problems that are no matter of one rule over a parsed document.
const (
	codeUnreadable    = "CDB0000"
	codeIncomplete    = "CDB0001"
	codeUnknown       = "CDB0002"
	codeExpired       = "CDB0003"
	codeNothing       = "CDB0004"
	codeNoPlatforms   = "CDB2002"
	codeMixed         = "CDB2003"
	codeBareID        = "CDB2004"
	codeUnknownSecret = "CDB3023"
)

// rule is a Rule with what finds it; find is nil where parsing finds it.
type rule struct {
	Rule
	find func(*input) []hit
}

// input is what a rule looks at: one session, and those that were given with it.
type input struct {
	*session.Session
	all []*session.Session
}

// hit is a place that a rule found. fix is empty for that of the rule.
type hit struct{ path, got, fix string }

func rules() []rule {
	return slices.Concat(ownRules(), attestationRules(), platformRules(), secretRules(), certificateRules(), accessRules(), documentRules(), runtimeRules(), databaseRules())
}

// Rules are all rules, by code.
func Rules() []Rule {
	var all []Rule
	for _, r := range rules() {
		all = append(all, r.Rule)
	}
	slices.SortFunc(all, func(a, b Rule) int { return cmp.Compare(a.Code, b.Code) })
	return all
}

// Lookup returns the rule of a code.
func Lookup(code string) (Rule, bool) {
	for _, r := range rules() {
		if r.Code == code {
			return r.Rule, true
		}
	}
	return Rule{}, false
}

// Check looks at sessions that belong together: whether one exports what another
// imports is asked among these only. Problems are in the order of the sessions,
// then of their lines. now decides which suppressions have expired.
func Check(sessions []*session.Session, now time.Time) []Problem {
	var all []Problem
	for _, s := range sessions {
		found := problemsOf(&input{s, sessions})
		found = append(found, suppress(s, found, now)...)
		slices.SortStableFunc(found, inOrder)
		all = append(all, found...)
	}
	return all
}

func problemsOf(in *input) []Problem {
	var found []Problem
	for _, r := range rules() {
		if r.find == nil {
			continue
		}
		for _, h := range r.find(in) {
			found = append(found, at(in.Session, r.Rule, h))
		}
	}
	return found
}

// at gives a hit its position.
func at(s *session.Session, r Rule, h hit) Problem {
	file, line, column := position(s.Where(h.path))
	return Problem{Code: r.Code, File: file, Line: line, Column: column, Path: h.path, Got: h.got, Fix: cmp.Or(h.fix, r.Fix)}
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

func inOrder(a, b Problem) int {
	return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Path, b.Path))
}

// Unreadable turns the error of session.Parse or session.Render into problems, and
// returns nil for an error of another kind, such as that of a file that is not there.
func Unreadable(err error) []Problem {
	var broken *session.Errors
	if !errors.As(err, &broken) {
		return nil
	}
	var all []Problem
	for _, e := range broken.Problems {
		r, _ := Lookup(codeOf(e)) // it is one of the constants
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

func ownRules() []rule {
	return []rule{
		{Rule{
			codeUnreadable, "unreadable", Fatal, "the document cannot be read",
			"It is no YAML, or no session of language 0.3, or a key or value is not one that the language has. CAS would refuse it, or read it as something else. No other rule was applied.",
			"none known: a mistake. A document that two programs read in two ways could hide what it permits.",
			"Write what the message asks for. For a template give its variables with --use-env or -e.",
		}, nil},
		{Rule{
			codeIncomplete, "suppression-incomplete", Error, "a suppression has no code, reason or date",
			"A comment that begins with confidb:ignore accepts a problem. Without a reason nobody can judge it, and without a date it stays forever. It has no effect.",
			"Somebody who may edit the file hides a hole in it for good.",
			`Write # confidb:ignore CODE until=YYYY-MM-DD reason="why"`,
		}, nil},
		{Rule{
			codeUnknown, "suppression-unknown", Error, "a suppression names no rule",
			"The code is not that of a rule, or of one that can be suppressed: what is wrong with a suppression itself, or with the document as a whole, cannot. It has no effect.",
			"none known: a mistake",
			"Take the code from the problem that it is about; --list prints all rules.",
		}, nil},
		{Rule{
			codeExpired, "suppression-expired", Error, "a suppression has expired",
			"Its date has passed, so the problem counts again.",
			"A hole that was accepted for a time stays open.",
			"Remove the cause and the comment, or have somebody decide on a new date.",
		}, nil},
		{Rule{
			codeNothing, "suppression-unused", Warning, "a suppression matches nothing",
			"The problem is gone, or the comment is at another place than the problem. It must stand before the value it is about, beside it, or at the top of the file for all of it.",
			"A comment that is left over hides the problem when it comes back.",
			"Remove the comment, or move it to the problem.",
		}, nil},
	}
}
