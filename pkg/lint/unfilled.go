package lint

import (
	"regexp"
	"slices"
	"strings"
)

// findUnfilled finds what a template leaves open.
func findUnfilled(in *input) []hit {
	var hits []hit
	for _, u := range in.Unfilled() {
		hits = append(hits, hit{path: u.Path, got: strings.Join(u.Names, ", ")})
	}
	return hits
}

// withoutUnfilled leaves out what is said of values that are not there yet. What
// is about a text stays: whatever the value is, it is written there.
func withoutUnfilled(found []Problem) []Problem {
	open := slices.DeleteFunc(slices.Clone(found), func(p Problem) bool { return p.Code != codeUnfilled })
	if len(open) == 0 {
		return found
	}
	return slices.DeleteFunc(found, func(p Problem) bool { return p.Code != codeUnfilled && isUnfilled(p, open) })
}

// isUnfilled reports whether a problem is about the form or the meaning of one of the
// values that are not there yet.
func isUnfilled(p Problem, open []Problem) bool {
	text := regexp.MustCompile(`^(services\[\d+\]\.(command|environment|pwd)\b.*|images\[\d+\]\.injection_files\[\d+\]\.content|secrets\[\d+\]\.value)$`)
	return slices.ContainsFunc(open, func(u Problem) bool {
		if u.Code != codeUnfilled || u.File != p.File || text.MatchString(u.Path) && p.Code != codeUnreadable {
			return false
		}
		return inside(p.Path, u.Path) || inside(p.Written, u.Path) || p.Code == codeUnreadable && u.Line == p.Line && u.Column == p.Column
	})
}
