package session

import (
	"strings"

	"github.com/confidb/confidb/pkg/document"
)

// source is the text of a document, by line. Lines keep their ends.
type source []string

func newSource(text []byte) source { return strings.SplitAfter(string(text), "\n") }

func (s source) text() []byte { return []byte(strings.Join(s, "")) }

// offset is where a node begins in its line, in bytes. YAML counts characters.
func (s source) offset(n *document.Node) int {
	line, column := s[n.Line-1], 1
	for i := range line {
		if column == n.Column {
			return i
		}
		column++
	}
	return len(line)
}

// entry is a member of a mapping, an item of a list, or the document itself.
type entry struct {
	key, value *document.Node // key is nil for an item
	path       string
	// indent is that of what is around it; -1 for the document.
	indent int
	// flow means that it is within brackets, alone that it is the only item there.
	flow, alone bool
}

// line is where the entry begins.
func (e entry) line() int {
	if e.key != nil {
		return e.key.Line
	}
	return e.value.Line
}

// walk visits everything in a document, from the outside in.
func walk(root *document.Node, visit func(entry)) { walkEntry(entry{value: root, indent: -1}, visit) }

func walkEntry(e entry, visit func(entry)) {
	visit(e)
	n, flow := e.value, e.flow || e.value.Style&document.Flow != 0
	switch n.Kind {
	case document.Mapping:
		for i := 0; i+1 < len(n.Content); i += 2 {
			child := entry{key: n.Content[i], value: n.Content[i+1], path: document.Member(e.path, n.Content[i].Value), indent: e.indent, flow: flow}
			if !flow {
				child.indent = child.key.Column - 1
			}
			walkEntry(child, visit)
		}
	case document.List:
		for i, c := range n.Content {
			child := entry{value: c, path: document.Item(e.path, i), indent: e.indent, flow: flow, alone: flow && len(n.Content) == 1}
			if !flow {
				child.indent = n.Column - 1
			}
			walkEntry(child, visit)
		}
	}
}

// span is where a scalar is in the text. Lines and bytes count from 0; the end is
// the first byte that does not belong to it.
type span struct{ line, column, endLine, endColumn int }

// mask is a part of a line, from one byte up to another.
type mask struct{ from, to int }

// parts are the parts of the lines that a span covers.
func (s source) parts(p span, visit func(line int, m mask)) {
	for line := p.line; line <= p.endLine && line < len(s); line++ {
		m := mask{0, len(s[line])}
		if line == p.line {
			m.from = p.column
		}
		if line == p.endLine {
			m.to = p.endColumn
		}
		if m.from < m.to {
			visit(line, m)
		}
	}
}

// cover notes which parts of the text are the scalars of an entry.
func (s source) cover(masks map[int][]mask, e entry) {
	for _, n := range []*document.Node{e.key, e.value} {
		if n != nil && n.Kind == document.Scalar {
			s.parts(s.scalar(n, e.indent), func(line int, m mask) { masks[line] = append(masks[line], m) })
		}
	}
}

// scalar finds the text of a scalar; of a block it is the content only. indent is
// that of what is around it.
func (s source) scalar(n *document.Node, indent int) span {
	line, column := n.Line-1, s.offset(n)
	if n.Style == 0 && n.Value == "" {
		return span{line, column, line, column} // nothing is written
	}
	start := span{line, column, line, column}
	switch {
	case n.Style&(document.Literal|document.Folded) != 0:
		return s.block(line, column, indent)
	case n.Style&(document.SingleQuoted|document.DoubleQuoted) != 0:
		return s.quoted(start)
	}
	return s.plain(start, n.Value)
}

func (s source) block(line, column, indent int) span {
	head := s[line][column:min(column+3, len(s[line]))]
	at := -1
	if i := strings.IndexAny(head, "123456789"); i >= 0 {
		at = max(indent, 0) + int(head[i]-'0')
	}
	end := line + 1
	for ; end < len(s); end++ {
		text := strings.TrimRight(s[end], " \t\r\n")
		spaces := len(text) - len(strings.TrimLeft(text, " "))
		if text == "" {
			continue
		}
		if at < 0 && spaces > indent {
			at = spaces
		}
		if at < 0 || spaces < at {
			break
		}
	}
	return span{line + 1, 0, end - 1, len(s[end-1])}
}

// quoted finds the closing quote. Within double quotes a backslash takes the next
// character with it; within single quotes two quotes are one.
func (s source) quoted(p span) span {
	quote := s[p.line][p.column]
	for line, at := p.line, p.column+1; line < len(s); line, at = line+1, 0 {
		for ; at < len(s[line]); at++ {
			c := s[line][at]
			switch {
			case c == '\\' && quote == '"', c == quote && quote == '\'' && strings.HasPrefix(s[line][at+1:], "'"):
				at++
			case c == quote:
				return span{p.line, p.column, line, at + 1}
			}
		}
	}
	return span{p.line, p.column, p.line, len(s[p.line])}
}

// plain follows a value without quotes: a line break within is one blank of the
// value, and an empty line is a line break of it.
func (s source) plain(p span, value string) span {
	at := p.column
	for line := p.line; line < len(s); line, at = line+1, 0 {
		text := s[line][at:]
		lead := len(text) - len(strings.TrimLeft(text, " \t"))
		text = strings.TrimRight(text[lead:], " \t\r\n")
		if strings.HasPrefix(text, value) {
			return span{p.line, p.column, line, at + lead + len(value)}
		}
		if !strings.HasPrefix(value, text) {
			break
		}
		value = strings.TrimLeft(value[len(text):], " \n")
	}
	end := strings.TrimRight(s[p.line], " \t\r\n")
	return span{p.line, p.column, p.line, max(p.column, len(end))}
}
