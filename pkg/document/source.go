package document

import "strings"

// Source is the text of a document, by line. Lines keep their ends.
type Source []string

// NewSource takes a text apart.
func NewSource(text []byte) Source { return strings.SplitAfter(string(text), "\n") }

// Text is the whole text again.
func (s Source) Text() []byte { return []byte(strings.Join(s, "")) }

// Offset is where a node begins in its line, in bytes. YAML counts characters.
func (s Source) Offset(n *Node) int {
	line, column := s[n.Line-1], 1
	for i := range line {
		if column == n.Column {
			return i
		}
		column++
	}
	return len(line)
}

// Entry is a member of a mapping, an item of a list, or the document itself.
type Entry struct {
	// Key is nil for an item, and for the document.
	Key, Value *Node
	Path       string
	// Indent is that of what is around it; -1 for the document.
	Indent int
	// Flow means that it is within brackets, Alone that it is the only item there.
	Flow, Alone bool
}

// Line is where the Entry begins.
func (e Entry) Line() int {
	if e.Key != nil {
		return e.Key.Line
	}
	return e.Value.Line
}

// Walk visits everything in a document, from the outside in.
func Walk(root *Node, visit func(Entry)) { walkFrom(Entry{Value: root, Indent: -1}, visit) }

func walkFrom(e Entry, visit func(Entry)) {
	visit(e)
	n, flow := e.Value, e.Flow || e.Value.Style&Flow != 0
	switch n.Kind {
	case Mapping:
		for i := 0; i+1 < len(n.Content); i += 2 {
			child := Entry{Key: n.Content[i], Value: n.Content[i+1], Path: Member(e.Path, n.Content[i].Value), Indent: e.Indent, Flow: flow}
			if !flow {
				child.Indent = child.Key.Column - 1
			}
			walkFrom(child, visit)
		}
	case List:
		for i, c := range n.Content {
			child := Entry{Value: c, Path: Item(e.Path, i), Indent: e.Indent, Flow: flow, Alone: flow && len(n.Content) == 1}
			if !flow {
				child.Indent = n.Column - 1
			}
			walkFrom(child, visit)
		}
	}
}

// Span is where a scalar is in the text. Lines and bytes count from 0; the end is
// the first byte that does not belong to it.
type Span struct{ Line, Column, EndLine, EndColumn int }

// Mask is a part of a line, from one byte up to another.
type Mask struct{ From, To int }

// Parts are the parts of the lines that a Span covers.
func (s Source) Parts(p Span, visit func(line int, m Mask)) {
	for line := p.Line; line <= p.EndLine && line < len(s); line++ {
		m := Mask{0, len(s[line])}
		if line == p.Line {
			m.From = p.Column
		}
		if line == p.EndLine {
			m.To = p.EndColumn
		}
		if m.From < m.To {
			visit(line, m)
		}
	}
}

// Cover notes which parts of the text are the scalars of an entry.
func (s Source) Cover(masks map[int][]Mask, e Entry) {
	for _, n := range []*Node{e.Key, e.Value} {
		if n != nil && n.Kind == Scalar {
			s.Parts(s.Scalar(n, e.Indent), func(line int, m Mask) { masks[line] = append(masks[line], m) })
		}
	}
}

// Scalar finds the text of a scalar; of a block it is the content only. indent is
// that of what is around it.
func (s Source) Scalar(n *Node, indent int) Span {
	line, column := n.Line-1, s.Offset(n)
	if n.Style == 0 && n.Value == "" {
		return Span{line, column, line, column} // nothing is written
	}
	start := Span{line, column, line, column}
	switch {
	case n.Style&(Literal|Folded) != 0:
		return s.block(line, column, indent)
	case n.Style&(SingleQuoted|DoubleQuoted) != 0:
		return s.quoted(start)
	}
	return s.plain(start, n.Value)
}

func (s Source) block(line, column, indent int) Span {
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
	return Span{line + 1, 0, end - 1, len(s[end-1])}
}

// quoted finds the closing quote. Within double quotes a backslash takes the next
// character with it; within single quotes two quotes are one.
func (s Source) quoted(p Span) Span {
	quote := s[p.Line][p.Column]
	for line, at := p.Line, p.Column+1; line < len(s); line, at = line+1, 0 {
		for ; at < len(s[line]); at++ {
			c := s[line][at]
			switch {
			case c == '\\' && quote == '"', c == quote && quote == '\'' && strings.HasPrefix(s[line][at+1:], "'"):
				at++
			case c == quote:
				return Span{p.Line, p.Column, line, at + 1}
			}
		}
	}
	return Span{p.Line, p.Column, p.Line, len(s[p.Line])}
}

// plain follows a value without quotes: a line break within is one blank of the
// value, and an empty line is a line break of it.
func (s Source) plain(p Span, value string) Span {
	at := p.Column
	for line := p.Line; line < len(s); line, at = line+1, 0 {
		text := s[line][at:]
		lead := len(text) - len(strings.TrimLeft(text, " \t"))
		text = strings.TrimRight(text[lead:], " \t\r\n")
		if strings.HasPrefix(text, value) {
			return Span{p.Line, p.Column, line, at + lead + len(value)}
		}
		if !strings.HasPrefix(value, text) {
			break
		}
		value = strings.TrimLeft(value[len(text):], " \n")
	}
	end := strings.TrimRight(s[p.Line], " \t\r\n")
	return Span{p.Line, p.Column, p.Line, max(p.Column, len(end))}
}
