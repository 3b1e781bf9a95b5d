package document

import (
	"fmt"
	"strings"
)

// maxKept is how many problems of one document are kept. A document that is wrong all
// over must not take more memory than one that is right.
const maxKept = 1000

// Problems collects what is wrong with one document. The zero Problems has none.
type Problems struct {
	// File is what errors call the document, and Origin where in the file it is.
	File   string
	Origin *Origin

	kept  []*Error
	known map[place]bool
	count int
}

// place is where a problem is.
type place struct {
	line, column int
	path         string
}

// Fail records a problem of a value and returns it, for its Advice. Of several
// problems at one path and place only the first counts: the others follow from it.
func (p *Problems) Fail(n *Node, path, format string, arguments ...any) *Error {
	return p.At(n.Line, n.Column, path, format, arguments...)
}

// At records a problem of a place that is no value, as Fail does. What is no place
// counts as the beginning of the document.
func (p *Problems) At(line, column int, path, format string, arguments ...any) *Error {
	e := &Error{File: p.File, Path: path, Problem: fmt.Sprintf(format, arguments...)}
	e.Line, e.Column = p.Origin.Of(max(line, 1), max(column, 1))
	if len(p.kept) >= maxKept {
		p.count++
		return e
	}
	at := place{e.Line, e.Column, path}
	if !p.known[at] {
		p.add(e, at)
	}
	return e
}

func (p *Problems) add(e *Error, at place) {
	if p.known == nil {
		p.known = map[place]bool{}
	}
	p.known[at] = true
	p.kept = append(p.kept, e)
	p.count++
}

// Count is how many problems there are so far. A caller compares two counts to see
// whether a part has any.
func (p *Problems) Count() int { return p.count }

// Under reports whether there is a problem at or below a path.
func (p *Problems) Under(path string) bool {
	for _, e := range p.kept {
		if strings.HasPrefix(e.Path, path) {
			return true
		}
	}
	return false
}

// Err is nil or an *Errors.
func (p *Problems) Err() error {
	if p.count == 0 {
		return nil
	}
	e := Join(p.kept)
	e.More += p.count - len(p.kept)
	return e
}
