package lint

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/confidb/confidb/pkg/document"
	"github.com/confidb/confidb/pkg/session"
)

// Result is what was looked at, and what is wrong with it.
type Result struct {
	// Rules are those that were asked, of which each is an answer, too.
	Rules []Rule
	// Sessions are the files, or the names of sessions in a CAS, in the order in which
	// they were given.
	Sessions []string
	Problems []Problem
	// FailOn is the least severity of a problem that is not acceptable.
	FailOn Severity
	// Simulated means that the sessions are from a CAS that no hardware protects.
	Simulated bool
}

// Document is one that is looked at: a session, or the error of whoever read it, or both:
// what could be read of a broken one.
type Document struct {
	// Name is what the document is called in positions.
	Name    string
	Session *session.Session
	Err     error
}

// Look looks at documents that belong together, those that cannot be parsed as well. An
// error that says nothing about what is in a document, such as that of a file that is not
// there, ends it. stored means that a CAS holds the documents: see CheckStored.
func (r *Result) Look(documents []Document, stored bool, now time.Time) error {
	var sessions []*session.Session
	for _, d := range documents {
		r.Sessions = append(r.Sessions, d.Name)
		if d.Session != nil {
			sessions = append(sessions, d.Session)
		}
		if d.Err == nil {
			continue
		}
		problems := Unreadable(d.Err)
		if len(problems) == 0 {
			return d.Err
		}
		r.Problems = append(r.Problems, problems...)
	}
	check := Check
	if stored {
		check = CheckStored
	}
	found, err := check(sessions, now)
	found = withoutRefused(found, slices.DeleteFunc(slices.Clone(r.Problems), unfilledIn(found).hold))
	r.Problems = withoutUnfilled(append(r.Problems, found...))
	for i, p := range r.Problems {
		r.Problems[i].Got, r.Problems[i].Path = document.Unblank(p.Got), document.Unblank(p.Path)
	}
	r.sort()
	return err
}

// withoutRefused leaves out what rules say of values that were refused already.
func withoutRefused(found, refused []Problem) []Problem {
	return slices.DeleteFunc(found, func(p Problem) bool {
		return slices.ContainsFunc(refused, func(r Problem) bool { return p.File == r.File && inside(p.Path, r.Path) })
	})
}

// sort puts the problems in the order of the sessions, and those of one in that of its lines.
func (r *Result) sort() {
	all := r.Problems
	places := map[string]int{}
	for i, name := range slices.Backward(r.Sessions) {
		places[name] = i + 1 // 0 is what is in none
	}
	sort.SliceStable(all, func(i, j int) bool {
		a, b := places[all[i].File], places[all[j].File]
		return a < b || a == b && inOrder(&all[i], &all[j]) < 0
	})
}

// Fails reports whether a problem weighs as much as FailOn, and is not suppressed.
func (r Result) Fails(p Problem) bool {
	return !p.Suppressed && p.Rule().Severity.AtLeast(r.FailOn)
}

// Failed reports whether there is a problem that is not acceptable.
func (r Result) Failed() bool { return slices.ContainsFunc(r.Problems, r.Fails) }

// Summary is one line, such as: 1 session: 2 errors, 1 note, 1 suppressed.
func (r Result) Summary() string {
	var parts []string
	for _, s := range slices.Backward(Severities()) {
		if n := r.count(func(p Problem) bool { return !p.Suppressed && p.Rule().Severity == s }); n > 0 {
			parts = append(parts, plural(n, string(s)))
		}
	}
	if len(parts) == 0 {
		parts = []string{"no problems"}
	}
	if n := r.count(func(p Problem) bool { return p.Suppressed }); n > 0 {
		parts = append(parts, fmt.Sprintf("%d suppressed", n))
	}
	return fmt.Sprintf("%s: %s", plural(len(r.Sessions), "session"), strings.Join(parts, ", "))
}

func (r Result) count(counts func(Problem) bool) int {
	n := 0
	for _, p := range r.Problems {
		if counts(p) {
			n++
		}
	}
	return n
}

func plural(n int, word string) string {
	if n == 1 || word == string(Fatal) {
		return fmt.Sprintf("%d %s", n, word)
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// Listing is a result for programs. It is a part of documents of the kind
// confidb.lint/v1.
type Listing struct {
	FailOn   Severity `json:"failOn"`
	Failed   bool     `json:"failed"`
	Sessions []string `json:"sessions"`
	Summary  string   `json:"summary"`
	Problems []Listed `json:"problems"`
}

// Listed is a problem with what its rule says.
type Listed struct {
	Problem
	Name     string   `json:"name"`
	Severity Severity `json:"severity"`
	Title    string   `json:"title"`
}

// Listing returns the result for programs.
func (r Result) Listing() Listing {
	l := Listing{FailOn: r.FailOn, Failed: r.Failed(), Sessions: r.Sessions, Summary: r.Summary(), Problems: []Listed{}}
	for _, p := range r.Problems {
		rule := p.Rule()
		l.Problems = append(l.Problems, Listed{p, rule.Name, rule.Severity, rule.Title})
	}
	return l
}
