package check

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxSaid bounds what Said keeps of a text, in characters.
const MaxSaid = 4096

// Said makes one line of at most MaxSaid characters of what a peer said; a longer one
// ends with an ellipsis.
func Said(text string) string { return clip(Printable(text), MaxSaid) }

// Printable makes one line of a text that somebody else wrote, such as a peer, a file
// or the cluster. Whatever could move the cursor, colour the terminal, turn the
// direction of writing or forge a line of ours becomes a space: everything that is not
// printable (unicode.IsPrint), invalid UTF-8 and control sequences (ECMA-48, section
// 5.4, in the forms ESC [ and U+009B). Blanks are one space each. Nothing that may be a
// credential is in it (WithoutSecrets).
func Printable(text string) string { return strings.Join(strings.Fields(Visible(text)), " ") }

// Visible is Printable, but that blanks stay.
func Visible(text string) string {
	return WithoutSecrets(strings.Map(visible, withoutSequences(valid(text))))
}

// SaidLines is Said for each line of a text; empty lines are left out. Of a long text
// the last lines are kept, since a program says at its end why it failed.
func SaidLines(text string) string {
	var lines []string
	kept := 0
	all := strings.Split(valid(text), "\n")
	for i := len(all) - 1; i >= 0 && kept < MaxSaid; i-- {
		if line := Said(all[i]); line != "" {
			kept += utf8.RuneCountInString(line)
			lines = append([]string{line}, lines...)
		}
	}
	return strings.Join(lines, "\n")
}

// valid replaces what is not UTF-8: a terminal may read such a byte as a control
// character of eight bits.
func valid(text string) string { return strings.ToValidUTF8(text, " ") }

func visible(r rune) rune {
	if !unicode.IsPrint(r) { // so neither are U+009B, U+202E and U+2028
		return ' '
	}
	return r
}

// withoutSequences removes control sequences: the introducer, parameters, and one
// final byte.
func withoutSequences(text string) string {
	var b strings.Builder
	for text != "" {
		r, size := utf8.DecodeRuneInString(text)
		introduced := 0
		switch {
		case strings.HasPrefix(text, "\x1b["):
			introduced = 2
		case r == 0x9b:
			introduced = size
		}
		if introduced == 0 {
			b.WriteString(text[:size])
			text = text[size:]
			continue
		}
		text = strings.TrimLeftFunc(text[introduced:], func(r rune) bool { return r >= ' ' && r <= '?' })
		if text != "" && text[0] >= '@' && text[0] <= '~' {
			text = text[1:]
		}
	}
	return b.String()
}

// clip cuts between characters, never inside one.
func clip(text string, most int) string {
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	runes := []rune(text)
	return string(runes[:most]) + "…"
}
