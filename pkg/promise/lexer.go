package promise

import (
	"fmt"
	"strings"
)

// kind is the kind of a token.
type kind int

const (
	end    kind = iota // of a statement
	word               // a name or keyword that is not quoted
	name               // a name between backticks
	text               // between quotes
	number             // digits, perhaps with a point
	mark               // one other character
)

// token is a piece of SQL. The line counts from 1.
type token struct {
	kind  kind
	value string
	line  int
}

// maxStatements bounds a text of statements, in bytes.
const maxStatements = 4 << 20

// lexer cuts SQL into tokens as MariaDB does under its default sql_mode: a backslash in
// a text escapes, and double quotes make a text. It keeps comments out, and knows the
// word DELIMITER at the beginning of a line, as MariaDB's reader of an init file does.
type lexer struct {
	rest      string
	line      int
	delimiter string
	tokens    []token
}

// cut returns the tokens of statements, each statement with an end after it.
func cut(statements string) ([]token, error) {
	if len(statements) > maxStatements {
		return nil, fmt.Errorf("%d bytes of SQL: want at most %d", len(statements), maxStatements)
	}
	l := &lexer{rest: statements, line: 1, delimiter: ";"}
	for l.rest != "" {
		if err := l.next(); err != nil {
			return nil, fmt.Errorf("line %d: %w", l.line, err)
		}
	}
	return append(l.tokens, token{end, "", l.line}), nil
}

func (l *lexer) next() error {
	switch c := l.rest[0]; {
	case strings.HasPrefix(l.rest, l.delimiter):
		l.add(end, "", len(l.delimiter))
	case c == ';': // inside of a compound statement
		l.add(end, "", 1)
	case strings.IndexByte(" \t\r\n", c) >= 0:
		l.skip(1)
	case c == '#', strings.HasPrefix(l.rest, "-- "), strings.HasPrefix(l.rest, "--\n"), strings.HasPrefix(l.rest, "--\t"):
		line, _, _ := strings.Cut(l.rest, "\n")
		l.skip(len(line))
	case strings.HasPrefix(l.rest, "/*"):
		return l.comment()
	case c == '\'' || c == '"':
		return l.quoted(text)
	case c == '`':
		return l.quoted(name)
	case wordly(c):
		l.word()
	default:
		l.add(mark, l.rest[:1], 1)
	}
	return nil
}

func (l *lexer) add(k kind, value string, length int) {
	l.tokens = append(l.tokens, token{k, value, l.line})
	l.skip(length)
}

func (l *lexer) skip(length int) {
	l.line += strings.Count(l.rest[:length], "\n")
	l.rest = l.rest[length:]
}

// comment skips a comment. One that MariaDB executes is refused.
func (l *lexer) comment() error {
	if strings.HasPrefix(l.rest, "/*!") || strings.HasPrefix(l.rest, "/*M!") {
		return fmt.Errorf("a comment that is executed")
	}
	at := strings.Index(l.rest[2:], "*/")
	if at < 0 {
		return fmt.Errorf("a comment without end")
	}
	l.skip(at + 4)
	return nil
}

func wordly(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '$' || c >= 0x80
}

func (l *lexer) word() {
	length := 0
	for length < len(l.rest) && wordly(l.rest[length]) && (length == 0 || !strings.HasPrefix(l.rest[length:], l.delimiter)) {
		length++
	}
	value, k := l.rest[:length], word
	if strings.Trim(value, "0123456789") == "" {
		k = number
		for length+1 < len(l.rest) && l.rest[length] == '.' && wordly(l.rest[length+1]) {
			length++
			for length < len(l.rest) && l.rest[length] >= '0' && l.rest[length] <= '9' {
				length++
			}
		}
		value = l.rest[:length]
	}
	if strings.EqualFold(value, "DELIMITER") && (len(l.tokens) == 0 || l.tokens[len(l.tokens)-1].kind == end) {
		line, _, _ := strings.Cut(l.rest, "\n")
		if wanted := strings.TrimSpace(line[length:]); wanted != "" {
			l.delimiter = wanted
			l.skip(len(line))
			return
		}
	}
	l.add(k, value, length)
}

// quoted reads a text or a quoted name. Twice the quote is one; a backslash escapes in a text.
func (l *lexer) quoted(k kind) error {
	quote, begin := l.rest[0], l.line
	var value strings.Builder
	for at := 1; at < len(l.rest); at++ {
		switch c := l.rest[at]; {
		case c == quote && at+1 < len(l.rest) && l.rest[at+1] == quote:
			value.WriteByte(quote)
			at++
		case c == quote:
			l.tokens = append(l.tokens, token{k, value.String(), begin})
			l.skip(at + 1)
			return nil
		case c == '\\' && k == text && at+1 < len(l.rest):
			at++
			value.WriteString(unescape(l.rest[at]))
		default:
			value.WriteByte(c)
		}
	}
	return fmt.Errorf("a quoted piece without end")
}

// unescape is what a backslash and c stand for (MariaDB: String Literals).
func unescape(c byte) string {
	switch c {
	case '0':
		return "\x00"
	case 'b':
		return "\b"
	case 'n':
		return "\n"
	case 'r':
		return "\r"
	case 't':
		return "\t"
	case 'Z':
		return "\x1a"
	case '%', '_': // these keep the backslash
		return `\` + string(c)
	}
	return string(c)
}

// statements groups tokens by the ends between them; empty statements are left out.
func statements(tokens []token) [][]token {
	var all [][]token
	begin := 0
	for i, t := range tokens {
		if t.kind != end {
			continue
		}
		if i > begin {
			all = append(all, tokens[begin:i])
		}
		begin = i + 1
	}
	return all
}
