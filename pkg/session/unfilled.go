package session

import (
	"errors"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/document"
)

// Unfilled is a value of a template that is not there yet.
type Unfilled struct {
	// Path is the place.
	Path string
	// Names are the variables, as they are written: $NAME or {{name}}.
	Names []string
}

// Unfilled are the values of a template that somebody has still to give: those with a
// word of document.Blank, and those with $NAME if the document is a template for sure.
// It is one if it has such a word, or where a variable stands in the place of something
// that has a form. In a text alone, $NAME may be what a program replaces.
func (s *Session) Unfilled() []Unfilled {
	if s.root == nil {
		return nil
	}
	var blanks, variables []Unfilled
	refused, sure := s.refused(), false
	document.Walk(s.root, func(e document.Entry) {
		if e.Value.Kind != document.Scalar {
			return
		}
		names := document.Blanks(e.Value.Value)
		sure = sure || len(names) > 0
		if names = append(names, document.Variables(e.Value.Value)...); len(names) == 0 {
			return
		}
		sure = sure || refused[e.Path]
		if len(document.Blanks(e.Value.Value)) > 0 || refused[e.Path] {
			blanks = append(blanks, Unfilled{e.Path, compact(names)})
			return
		}
		variables = append(variables, Unfilled{e.Path, compact(names)})
	})
	if sure {
		return append(blanks, variables...)
	}
	return nil
}

// LeftOpen is for whoever looks at a template without all of its values: the places that
// could not be read because a value is not there yet, and as an *Errors what else is wrong
// with the document; nil if nothing is.
func (s *Session) LeftOpen() ([]Unknown, error) {
	var broken *Errors
	if !errors.As(s.err, &broken) {
		return nil, s.err
	}
	var open []Unknown
	var wrong []*Error
	unfilled := s.Unfilled()
	problems, whole := broken.All()
	if !whole {
		return nil, broken
	}
	for _, e := range problems {
		i := slices.IndexFunc(unfilled, func(u Unfilled) bool { return Within(e.Path, u.Path) })
		if i < 0 {
			wrong = append(wrong, e)
			continue
		}
		open = append(open, Unknown{e.Path, "no value is given for " + strings.Join(unfilled[i].Names, ", ")})
	}
	if len(wrong) == 0 {
		return open, nil
	}
	return open, document.Join(wrong)
}

// refused are the places of which the document cannot be read.
func (s *Session) refused() map[string]bool {
	var problems *Errors
	all := map[string]bool{}
	if errors.As(s.err, &problems) {
		known, _ := problems.All()
		for _, e := range known {
			all[e.Path] = true
		}
	}
	return all
}

func compact(names []string) []string { slices.Sort(names); return slices.Compact(names) }
