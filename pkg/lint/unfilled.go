package lint

import (
	"regexp"
	"slices"
	"strings"
	"sync"
)

// findUnfilled finds what a template leaves open.
func findUnfilled(in *input) []hit {
	var hits []hit
	for _, u := range in.Unfilled() {
		hits = append(hits, hit{path: u.Path, got: strings.Join(u.Names, ", ")})
	}
	return hits
}

// unfilledPlaces are the places of values that are not there yet, by the file and the path,
// and by the file and the position.
type unfilledPlaces struct {
	paths     map[[2]string]bool
	positions map[spot]bool
}

type spot struct {
	file         string
	line, column int
}

func unfilledIn(found []Problem) unfilledPlaces {
	all := unfilledPlaces{map[[2]string]bool{}, map[spot]bool{}}
	for _, p := range found {
		if p.Code == codeUnfilled {
			all.paths[[2]string{p.File, p.Path}] = true
			all.positions[spot{p.File, p.Line, p.Column}] = true
		}
	}
	return all
}

// withoutUnfilled leaves out what is said of values that are not there yet. What
// is about a text stays: whatever the value is, it is written there.
func withoutUnfilled(found []Problem) []Problem {
	open := unfilledIn(found)
	return slices.DeleteFunc(found, func(p Problem) bool { return p.Code != codeUnfilled && open.hold(p) })
}

var textPath = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(services\[\d+\]\.(command|environment|pwd)\b.*|images\[\d+\]\.injection_files\[\d+\]\.content|secrets\[\d+\]\.value)$`)
})

// hold reports whether a problem is about the form or the meaning of one of the values that
// are not there yet.
func (u unfilledPlaces) hold(p Problem) bool {
	if len(u.paths) == 0 {
		return false
	}
	unreadable := p.Code == codeUnreadable
	if unreadable && u.positions[spot{p.File, p.Line, p.Column}] {
		return true
	}
	return u.around(p.File, p.Path, unreadable) || u.around(p.File, p.Written, unreadable)
}

// around reports whether a path is that of such a value, or within one. Of a text only what
// cannot be read is about the value.
func (u unfilledPlaces) around(file, path string, unreadable bool) bool {
	for path != "" {
		if u.paths[[2]string{file, path}] && (unreadable || !textPath().MatchString(path)) {
			return true
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
	return false
}
