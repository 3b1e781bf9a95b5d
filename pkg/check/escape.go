package check

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
)

// EscapeJSON replaces in a JSON text what is not printable, which can only be in strings
// but for the ends of lines, by JSON's escapes (RFC 8259, section 7): programs read what
// was there.
func EscapeJSON(text string) string { return escape(text, `\u%04x`) }

// ShowJSON is EscapeJSON whose escapes stay in the strings that are read, where they can
// be seen: other formats would write some of these characters as they are.
func ShowJSON(text string) string { return escape(text, `\\u%04x`) }

func escape(text, unit string) string {
	var b strings.Builder
	for _, r := range text {
		switch high, low := utf16.EncodeRune(r); {
		case r == '\n' || unicode.IsPrint(r):
			b.WriteRune(r)
		case high != unicode.ReplacementChar:
			fmt.Fprintf(&b, unit+unit, high, low)
		default:
			fmt.Fprintf(&b, unit, r)
		}
	}
	return b.String()
}
