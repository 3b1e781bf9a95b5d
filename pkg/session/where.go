package session

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/confidb/confidb/pkg/document"
)

// Where is the file, line and column of a path such as services[0].platforms[1],
// or of the nearest thing around it that is there.
func (s *Session) Where(path string) string {
	line, column, of := s.located(path)
	line, column = of.part.Of(line, column)
	return fmt.Sprintf("%s:%d:%d", of.file, line, column)
}

// Origin is the path of a place in the document that it is written in, and that
// document's file. It differs from path only in what Effective has put in.
func (s *Session) Origin(path string) (file, written string) {
	_, _, of := s.located(path)
	return of.file, of.path
}

// Has reports whether a path is in the document. It tells forms apart that mean
// the same, such as secrets[0].dns and secrets[0].san.
func (s *Session) Has(path string) bool {
	_, _, rest := descend(s.root, path)
	return s.root != nil && rest == ""
}

// place is that of the value, or that of its key if the value begins on a later line.
func (s *Session) place(path string) (line, column int) {
	line, column, _ = s.located(path)
	return line, column
}

// located is place, with where the value is written.
func (s *Session) located(path string) (line, column int, of origin) {
	of = origin{file: s.file, part: s.part}
	if s.root == nil {
		return 1, 1, origin{s.file, path, nil}
	}
	value, followed := s.root, false
	var key *document.Node
	for path != "" {
		k, v, rest, ok := step(value, path)
		if !ok {
			break
		}
		of.path = joined(of.path, strings.TrimSuffix(path[:len(path)-len(rest)], "."))
		key, value, path = k, v, rest
		var put origin
		if put, followed = s.files[value]; followed {
			of = put
		}
	}
	of.path = joined(of.path, path)
	if key != nil && key.Line != value.Line && !followed {
		return key.Line, key.Column, of
	}
	return value.Line, value.Column, of
}

// joined puts a part, a key or an index, behind a path.
func joined(path, part string) string {
	if path == "" || part == "" || part[0] == '[' {
		return path + part
	}
	return path + "." + part
}

// descend follows path as far as the document has it; rest is the remainder. key is nil
// for the item of a list.
func descend(n *document.Node, path string) (key, value *document.Node, rest string) {
	value = n
	for value != nil && path != "" {
		k, v, tail, ok := step(value, path)
		if !ok {
			break
		}
		key, value, path = k, v, tail
	}
	return key, value, path
}

// step follows the first part of a path. Keys may hold dots, so the longest that
// fits is taken.
func step(n *document.Node, path string) (key, value *document.Node, rest string, ok bool) {
	if n.Kind == document.List {
		index, tail, found := strings.Cut(strings.TrimPrefix(path, "["), "]")
		i, err := strconv.Atoi(index)
		if !found || err != nil || i < 0 || i >= len(n.Content) {
			return nil, nil, "", false
		}
		return nil, n.Content[i], strings.TrimPrefix(tail, "."), true
	}
	best := -1
	for i := 0; n.Kind == document.Mapping && i+1 < len(n.Content); i += 2 {
		tail, found := strings.CutPrefix(path, n.Content[i].Value)
		if found && (tail == "" || tail[0] == '.' || tail[0] == '[') && (best < 0 || len(n.Content[i].Value) > len(n.Content[best].Value)) {
			best = i
		}
	}
	if best < 0 {
		return nil, nil, "", false
	}
	return n.Content[best], n.Content[best+1], strings.TrimPrefix(path[len(n.Content[best].Value):], "."), true
}

// Comment is one comment of a document.
type Comment struct {
	// Text begins with #.
	Text string
	Line int
	// Path is that of the value beside which the comment stands, or else of the next
	// one; empty for the end of the document.
	Path string
}

// Comments are those of the document, in its order.
func (s *Session) Comments() []Comment {
	if s.root == nil {
		return nil
	}
	all := commentsOf(document.NewSource(s.source), s.root)
	for i := range all {
		all[i].Line, _ = s.part.Of(all[i].Line, 1)
	}
	return all
}

func commentsOf(src document.Source, root *document.Node) []Comment {
	var entries []document.Entry
	masks := map[int][]document.Mask{}
	document.Walk(root, func(e document.Entry) {
		entries = append(entries, e)
		src.Cover(masks, e)
	})
	var all []Comment
	for i, line := range src {
		if at := commentAt(line, masks[i]); at >= 0 {
			beside := strings.TrimSpace(line[:at]) != ""
			all = append(all, Comment{Text: strings.TrimRight(line[at:], " \t\r\n"), Line: i + 1, Path: besides(entries, i+1, beside)})
		}
	}
	return all
}

// commentAt is where the comment of a line begins, or -1.
func commentAt(line string, masks []document.Mask) int {
	for at := range len(line) {
		if line[at] != '#' || slices.ContainsFunc(masks, func(m document.Mask) bool { return m.From <= at && at < m.To }) {
			continue
		}
		ends := slices.ContainsFunc(masks, func(m document.Mask) bool { return m.To == at })
		if at == 0 || ends || strings.IndexByte(" \t[]{},", line[at-1]) >= 0 {
			return at
		}
	}
	return -1
}

// besides is the path that a comment is about: on its own line it is the outermost
// thing that begins next, else the innermost that begins on the line.
func besides(entries []document.Entry, line int, beside bool) string {
	path, last := "", ""
	for _, e := range entries[1:] { // the first is the document
		at := e.Line()
		switch {
		case !beside && at > line:
			return e.Path
		case beside && at < line:
			last = e.Path
		case beside && at == line && (path == "" || !e.Flow):
			path = e.Path
		}
	}
	if beside && path == "" {
		return last
	}
	return path
}
