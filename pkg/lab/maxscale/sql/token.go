// Package sql reads statements as far as the lab's MaxScale must: their tokens, what kind of
// statement they are, which tables and functions they name, and which columns MaxScale's own
// parser would report of them, with its blind spots. It is no parser: what it does not follow
// it says, and whoever asks takes the unkind choice.
package sql

import (
	"bytes"
	"strings"
)

// Kind is what a token is.
type Kind int

// The kinds of tokens.
const (
	Space      Kind = iota // white space
	Comment                // # …, -- …, /* … */
	Executable             // /*! … */ or /*M! … */, whole: a server reads what is in it
	Word                   // a keyword or a name without quotes
	Name                   // a name in quotes: `x`, or "x" under ANSI_QUOTES
	String                 // 'x', "x", N'x', x'41', b'1'
	Number                 // 1, .5, 1e3, 0x41
	Parameter              // ?
	Variable               // @x, @`x`, @'x'
	System                 // @@x, @@global.x
	Operator               // everything else, one operator or sign
	Bad                    // a quote or comment that does not end, up to the end
)

// Token is a part of a text.
type Token struct {
	Kind Kind
	Text string // as it stands there
}

// Tokens cuts a text into tokens. Their texts, one after the other, are the text; none is
// empty.
func Tokens(text string, mode Mode) []Token {
	l := lexer{text: text, mode: mode}
	var tokens []Token
	for l.at < len(text) {
		from, joined := l.at, l.joined
		kind := l.next()
		if kind == Space || kind == Comment {
			l.joined = joined // a . b is a name too
		}
		tokens = append(tokens, Token{kind, text[from:l.at]})
	}
	return tokens
}

// lexer is at a byte of a text.
type lexer struct {
	text   string
	at     int
	mode   Mode
	joined bool // the byte before is the dot of a qualified name
}

// operators have more than one sign; the longest first.
func operators() []string {
	return []string{"<=>", "->>", ":=", "<=", ">=", "<>", "!=", "<<", ">>", "||", "&&", "->", `\N`}
}

// next moves behind the next token.
func (l *lexer) next() Kind {
	joined := l.joined
	l.joined = false
	rest := l.text[l.at:]
	c := rest[0]
	switch {
	case isSpace(c):
		l.while(isSpace)
		return Space
	case c == '#', strings.HasPrefix(rest, "--") && (len(rest) == 2 || rest[2] <= ' '):
		return l.until("\n", Comment)
	case strings.HasPrefix(rest, "/*!"), strings.HasPrefix(rest, "/*M!"):
		return l.executable()
	case strings.HasPrefix(rest, "/*"):
		return l.until("*/", Comment)
	case c == '\'':
		return l.quoted(!l.mode.NoBackslashEscapes, String)
	case c == '"' && l.mode.ANSIQuotes, c == '`':
		return l.name()
	case c == '"':
		return l.quoted(!l.mode.NoBackslashEscapes, String)
	case len(rest) > 1 && rest[1] == '\'' && strings.IndexByte("nNxXbB", c) >= 0:
		l.at++
		return l.quoted(!l.mode.NoBackslashEscapes && (c == 'n' || c == 'N'), String)
	case c == '@':
		return l.variable()
	case !joined && (isDigit(c) || c == '.' && len(rest) > 1 && isDigit(rest[1]) && !l.afterName()):
		return l.number()
	case isLetter(c):
		l.while(isLetter)
		return Word
	case c == '?':
		l.at++
		return Parameter
	}
	return l.operator(rest)
}

func (l *lexer) operator(rest string) Kind {
	for _, o := range operators() {
		if strings.HasPrefix(rest, o) {
			l.at += len(o)
			return Operator
		}
	}
	l.joined = rest[0] == '.'
	l.at++
	return Operator
}

// afterName reports whether the byte before ends a name.
func (l *lexer) afterName() bool {
	return l.at > 0 && (isLetter(l.text[l.at-1]) || l.text[l.at-1] == '`' || l.text[l.at-1] == '"' && l.mode.ANSIQuotes)
}

func (l *lexer) while(is func(byte) bool) {
	for l.at < len(l.text) && is(l.text[l.at]) {
		l.at++
	}
}

// until moves behind end. Only a comment up to the end of its line may do without.
func (l *lexer) until(end string, kind Kind) Kind {
	skip := min(2, len(l.text)-l.at)
	if end == "\n" {
		skip = 1
	}
	i := strings.Index(l.text[l.at+skip:], end)
	if i < 0 {
		l.at = len(l.text)
		if end == "\n" {
			return kind
		}
		return Bad
	}
	l.at += skip + i + len(end)
	return kind
}

// executable moves behind a comment that servers execute; plain comments may be in it.
func (l *lexer) executable() Kind {
	for l.at += len("/*!"); l.at < len(l.text); l.at++ {
		switch rest := l.text[l.at:]; {
		case strings.HasPrefix(rest, "*/"):
			l.at += 2
			return Executable
		case strings.HasPrefix(rest, "/*"):
			end := strings.Index(rest[2:], "*/")
			if end < 0 {
				l.at = len(l.text)
				return Bad
			}
			l.at += 2 + end + 1
		case rest[0] == '\'' || rest[0] == '"' || rest[0] == '`':
			if l.quoted(rest[0] != '`' && !l.mode.NoBackslashEscapes, String) == Bad {
				return Bad
			}
			l.at--
		}
	}
	return Bad
}

// quoted moves behind what stands in quotes of the sign here; two of them are one.
func (l *lexer) quoted(escapes bool, kind Kind) Kind {
	quote := l.text[l.at]
	for l.at++; l.at < len(l.text); l.at++ {
		switch c := l.text[l.at]; {
		case c == '\\' && escapes:
			l.at++
		case c == quote && l.at+1 < len(l.text) && l.text[l.at+1] == quote:
			l.at++
		case c == quote:
			l.at++
			return kind
		}
	}
	l.at = len(l.text)
	return Bad
}

func (l *lexer) name() Kind { return l.quoted(false, Name) }

func (l *lexer) variable() Kind {
	l.at++
	if strings.HasPrefix(l.text[l.at:], "@") {
		l.at++
		for {
			if l.at < len(l.text) && l.text[l.at] == '`' {
				if l.name() == Bad {
					return Bad
				}
			} else {
				l.while(isLetter)
			}
			if l.at+1 >= len(l.text) || l.text[l.at] != '.' || !isLetter(l.text[l.at+1]) && l.text[l.at+1] != '`' {
				return System
			}
			l.at++
		}
	}
	if l.at < len(l.text) && strings.IndexByte("'\"`", l.text[l.at]) >= 0 {
		return l.quoted(l.text[l.at] != '`' && !l.mode.NoBackslashEscapes, Variable)
	}
	l.while(func(c byte) bool { return isLetter(c) || c == '.' })
	return Variable
}

// number moves behind a number, or a name that begins with a digit.
func (l *lexer) number() Kind {
	rest := l.text[l.at:]
	if len(rest) > 2 && rest[0] == '0' && (rest[1] == 'x' || rest[1] == 'b') {
		l.while(isLetter)
		return Number
	}
	l.while(isDigit)
	if l.at < len(l.text) && l.text[l.at] == '.' {
		l.at++
		l.while(isDigit)
	} else if i := l.at; i < len(l.text) && isLetter(l.text[i]) && !exponent(l.text[i:]) {
		l.while(isLetter)
		return Word
	}
	if exponent(l.text[l.at:]) {
		l.at++
		if c := l.text[l.at]; c == '+' || c == '-' {
			l.at++
		}
		l.while(isDigit)
	}
	return Number
}

// exponent reports whether a text begins with that of a number.
func exponent(text string) bool {
	if len(text) < 2 || text[0] != 'e' && text[0] != 'E' {
		return false
	}
	return isDigit(text[1]) || len(text) > 2 && (text[1] == '+' || text[1] == '-') && isDigit(text[2])
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }
func isDigit(c byte) bool { return c >= '0' && c <= '9' }
func isLetter(c byte) bool {
	return c == '_' || c == '$' || c >= 0x80 || isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'z'
}

// Value is what a token stands for: a name or string without quotes, a variable without
// its @, everything else as it stands. Escapes of strings are read as MariaDB does by
// default, unless the mode has none.
func (t Token) Value(mode Mode) string {
	text := t.Text
	switch t.Kind {
	case Variable:
		text = strings.TrimPrefix(text, "@")
	case System:
		return strings.ReplaceAll(strings.TrimPrefix(text, "@@"), "`", "")
	case String:
		if text[0] != '\'' && text[0] != '"' {
			text = text[1:]
		}
	case Name:
	default:
		return text
	}
	if len(text) < 2 || strings.IndexByte("'\"`", text[0]) < 0 {
		return text
	}
	return unquote(text[1:len(text)-1], text[0], t.Kind != Name && text[0] != '`' && !mode.NoBackslashEscapes)
}

func unquote(text string, quote byte, escapes bool) string {
	var out bytes.Buffer
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == quote && i+1 < len(text) && text[i+1] == quote:
			i++
		case c == '\\' && escapes && i+1 < len(text):
			i++
			c = escaped(text[i])
		}
		out.WriteByte(c)
	}
	return out.String()
}

// escaped is what a letter after a backslash stands for.
func escaped(c byte) byte {
	if i := strings.IndexByte("0bnrtZ", c); i >= 0 {
		return "\x00\b\n\r\t\x1a"[i]
	}
	return c
}
