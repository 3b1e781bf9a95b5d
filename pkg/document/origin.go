package document

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// Origin says where a text was taken from, if it is a part of a file: so what is wrong
// with it is told at its place in the file. A nil Origin is a text that is the file.
type Origin struct {
	lines []originLine
}

// originLine is a line of the text in its file: columns are those of its characters, and
// of its end; without any they follow each other from column on.
type originLine struct {
	line, column int
	columns      []int
}

// Of is the place in the file of a place in the text. Both count from 1.
func (o *Origin) Of(line, column int) (int, int) {
	if o == nil || len(o.lines) == 0 {
		return line, column
	}
	l := o.lines[max(0, min(line-1, len(o.lines)-1))]
	if l.columns != nil {
		return l.line, l.columns[max(0, min(column-1, len(l.columns)-1))]
	}
	return l.line, l.column + max(column, 1) - 1
}

// Part is one document of several in a file.
type Part struct {
	Text   []byte
	Origin *Origin
	// Before is how many lines are before it.
	Before int
}

// Split returns the documents of a file, without those that are empty. A line that begins
// with three dashes begins a document, also within a text of several lines (YAML 1.2
// §9.1.2).
func Split(text []byte) []Part {
	var all []Part
	var lines []string
	begun := 0
	end := func(next int) {
		if blankLines(lines) {
			lines, begun = nil, next
			return
		}
		p := Part{Text: []byte(strings.Join(lines, "")), Origin: &Origin{}, Before: begun}
		for i := range lines {
			p.Origin.lines = append(p.Origin.lines, originLine{line: begun + i + 1, column: 1})
		}
		all, lines, begun = append(all, p), nil, next
	}
	at := 0
	for line := range strings.Lines(string(WithoutMark(text))) {
		at++
		rest, marker := strings.CutPrefix(line, "---")
		switch marked := marker && (rest == "" || strings.IndexByte(" \t\r\n", rest[0]) >= 0); {
		case marked && strings.TrimSpace(rest) == "":
			end(at)
		case marked: // the document begins on the line of the marker
			end(at - 1)
			lines = append(lines, "   "+rest)
		case strings.TrimRight(line, " \t\r\n") == "...":
			end(at)
		default:
			lines = append(lines, line)
		}
	}
	end(at)
	return all
}

// blankLines reports whether lines hold nothing but comments.
func blankLines(lines []string) bool {
	for _, line := range lines {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			return false
		}
	}
	return true
}

// Inner returns the text that a value of a file holds, and where it was taken from. Of a
// text that is folded, or has escapes that are only YAML's, it is known where it begins.
func Inner(file []byte, n *Node) ([]byte, *Origin) {
	lines := strings.SplitAfter(string(WithoutMark(file)), "\n")
	if n.Line < 1 || n.Line > len(lines) {
		return []byte(n.Value), nil
	}
	var origin *Origin
	switch {
	case n.Style&Literal != 0:
		origin = literalOrigin(lines, n)
	case n.Style&DoubleQuoted != 0:
		origin = quotedOrigin(lines[n.Line-1], n)
	}
	if origin == nil {
		origin = &Origin{[]originLine{{line: n.Line, columns: []int{n.Column}}}}
	}
	return []byte(n.Value), origin
}

// literalOrigin is that of a block after |, of which each line is one of the text.
func literalOrigin(lines []string, n *Node) *Origin {
	origin, indent := &Origin{}, -1
	for i, text := range strings.SplitAfter(n.Value, "\n") {
		at := n.Line + i // the line below the header, from 0
		if at >= len(lines) {
			break
		}
		found := strings.TrimRight(lines[at], "\r\n")
		if want := strings.TrimRight(text, "\r\n"); indent < 0 && strings.TrimSpace(want) != "" {
			if !strings.HasSuffix(found, want) {
				return nil
			}
			indent = len(found) - len(want)
		}
		origin.lines = append(origin.lines, originLine{line: at + 1, column: max(indent, 0) + 1})
	}
	if indent < 0 {
		return nil
	}
	return origin
}

// quotedOrigin is that of a text in double quotes on one line, with the escapes of JSON.
func quotedOrigin(line string, n *Node) *Origin {
	raw := []rune(line)
	if n.Column < 1 || n.Column > len(raw) || raw[n.Column-1] != '"' {
		return nil
	}
	origin, text := &Origin{}, []byte{}
	now := originLine{line: n.Line}
	for i := n.Column; i < len(raw) && raw[i] != '"'; i++ {
		now.columns = append(now.columns, i+1)
		r, size := unescaped(raw[i:])
		if size == 0 {
			return nil
		}
		i += size - 1
		if text = utf8.AppendRune(text, r); r == '\n' {
			origin.lines = append(origin.lines, now)
			now = originLine{line: n.Line}
		}
	}
	now.columns = append(now.columns, n.Column+1)
	if len(now.columns) > 1 || len(origin.lines) == 0 {
		origin.lines = append(origin.lines, now)
	}
	if !bytes.Equal(text, []byte(n.Value)) {
		return nil
	}
	return origin
}

// unescaped is the character that begins a text, and how many characters write it; 0 for
// an escape that is not JSON's. Those of surrogates are left out: they are two for one.
func unescaped(raw []rune) (r rune, size int) {
	if raw[0] != '\\' {
		return raw[0], 1
	}
	if len(raw) < 2 {
		return 0, 0
	}
	if i := strings.IndexRune(`"\/bfnrt`, raw[1]); i >= 0 {
		return []rune("\"\\/\b\f\n\r\t")[i], 2
	}
	if raw[1] != 'u' || len(raw) < 6 {
		return 0, 0
	}
	for _, digit := range raw[2:6] {
		value := strings.IndexRune("0123456789abcdef", digit|0x20)
		if value < 0 {
			return 0, 0
		}
		r = r<<4 | rune(value)
	}
	if 0xd800 <= r && r < 0xe000 {
		return 0, 0
	}
	return r, 6
}
