package lint

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
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

// Sort puts the problems in the order of the sessions; those of one are in order already.
func (r *Result) Sort() {
	slices.SortStableFunc(r.Problems, func(a, b Problem) int {
		return cmp.Compare(slices.Index(r.Sessions, a.File), slices.Index(r.Sessions, b.File))
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
