package explain

import (
	"slices"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/confidb/confidb/pkg/document"
)

// clip cuts a text for display.
func clip(line string) string {
	const most = 60
	if runes := []rune(line); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return line
}

// codeWords are the words of a line that can only be codes: with - or _ inside, or
// written like OutOfDate. The word after want says what was not seen, and is left out.
func codeWords(line string) []string {
	var codes []string
	words := strings.FieldsFunc(line, func(r rune) bool { return !isWord(r) && r != '-' })
	for i, word := range words {
		word = strings.Trim(word, "-")
		expected := i > 0 && strings.EqualFold(words[i-1], "want")
		if !expected && (strings.ContainsAny(word, "-_") || isCamel(word)) {
			codes = append(codes, word)
		}
	}
	return codes
}

// isCamel reports whether a capital follows a small letter, as in OutOfDate.
func isCamel(word string) bool {
	for i := 1; i < len(word); i++ {
		if word[i-1] >= 'a' && word[i-1] <= 'z' && word[i] >= 'A' && word[i] <= 'Z' {
			return true
		}
	}
	return false
}

func isWord(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }

// matches reports whether the texts of a pattern are in a cleaned line of small
// letters, in order.
func matches(pattern, line string) bool {
	for text := range strings.SplitSeq(strings.ToLower(pattern), "…") {
		end := endOf(strings.TrimSpace(text), line)
		if end < 0 {
			return false
		}
		line = line[end:]
	}
	return true
}

// endOf returns where the first occurrence of text as whole words ends, or -1.
func endOf(text, line string) int {
	for start := 0; start <= len(line); {
		at := strings.Index(line[start:], text)
		if at < 0 {
			return -1
		}
		at += start
		end := at + len(text)
		if !joined(line[:at], line[at:]) && !joined(line[:end], line[end:]) {
			return end
		}
		_, size := utf8.DecodeRuneInString(line[at:])
		start = at + size
	}
	return -1
}

// joined reports whether the border between two texts is inside of a word.
func joined(before, after string) bool {
	last, _ := utf8.DecodeLastRuneInString(before)
	first, _ := utf8.DecodeRuneInString(after)
	return before != "" && after != "" && isWord(last) && isWord(first)
}

// maxName bounds the texts that are compared with codes, in bytes. What is longer is
// no code with a slip in it.
const maxName = 64

// near returns the codes that are most like a name, at most three.
func (b book) near(name string) []string {
	if len(name) > maxName {
		return nil
	}
	name = strings.ToLower(name)
	found := b.candidates("", name)
	for _, prefix := range prefixes() {
		if rest, ok := strings.CutPrefix(name, prefix); ok && rest != "" {
			found = append(found, b.candidates(prefix, rest)...)
		}
	}
	sort.SliceStable(found, func(i, j int) bool { return found[i].distance < found[j].distance })
	var codes []string
	for _, c := range found {
		if len(codes) < 3 && !slices.Contains(codes, c.code) {
			codes = append(codes, c.code)
		}
	}
	return codes
}

// candidate is a code and how far it is from what was given.
type candidate struct {
	code     string
	distance int
}

// candidates are codes that differ by few letters, or have the beginning in common.
func (b book) candidates(prefix, name string) []candidate {
	const beginning = 4
	var found []candidate
	for _, code := range b.names() {
		other := strings.ToLower(code)
		c := candidate{prefix + code, document.Distance(name, other)}
		switch {
		case c.distance <= max(1, len(name)/3):
			found = append(found, c)
		case prefix == "" && commonPrefix(name, other) >= beginning:
			found = append(found, c)
		}
	}
	return found
}

func commonPrefix(a, b string) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}
