package explain

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/confidb/confidb/pkg/check"
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

// numbers are the numbers of Intel's libraries in a line, as pages have them: 0xe019.
// They are written with or without 0x and zeros before them, or as decimal numbers. One
// that could be anything counts only beside a word that speaks of a result.
func numbers(line string) []string {
	var found []string
	lower := strings.ToLower(line)
	words := strings.FieldsFunc(lower, func(r rune) bool { return !isWord(r) })
	alone := len(words) == 1
	result := alone || containsAny(lower, "result", "error", "ret", "code", "status", "sgx", "failed")
	enclave := alone || containsAny(lower, "sgx", "enclave", "aesm", "quote", "report", "psw", "oe_")
	for _, word := range words {
		word = word[strings.LastIndexByte(word, '_')+1:]
		value, prefixed := numberOf(word)
		switch {
		case isDCAP(value) && (prefixed || result), isSDK(value) && prefixed && enclave:
			found = append(found, fmt.Sprintf("0x%04x", value))
		}
	}
	return found
}

func containsAny(text string, words ...string) bool {
	return slices.ContainsFunc(words, func(word string) bool { return strings.Contains(text, word) })
}

// numberOf reads a word that is a number in one of the ways in which tools print results;
// prefixed says that nobody takes it for anything but hexadecimal. It is 0 for others.
func numberOf(word string) (value uint64, prefixed bool) {
	digits, prefixed := strings.CutPrefix(word, "0x")
	base := 16
	if !prefixed && len(digits) == 5 {
		base = 10
	}
	if !prefixed && len(digits) != 4 && len(digits) != 5 && len(digits) != 8 || len(digits) > 16 {
		return 0, prefixed
	}
	value, err := strconv.ParseUint(digits, base, 64)
	if err != nil {
		return 0, prefixed
	}
	return value, prefixed
}

// isDCAP reports whether a number is in a range of Intel's quote libraries: verification
// (0xa0…), network (0xb0…), quoting (0xe0…).
func isDCAP(value uint64) bool {
	return slices.Contains([]uint64{0xa0, 0xb0, 0xe0}, value>>8) && value&0xff != 0
}

// isSDK reports whether a number is in the range of sgx_status_t.
func isSDK(value uint64) bool { return value > 0 && value <= 0xf001 }

// familyOf is the page of a code of Intel's or of Open Enclave's that has none itself.
func familyOf(word string) string {
	upper := strings.ToUpper(word)
	switch {
	case strings.HasPrefix(upper, "SGX_QL_"), strings.HasPrefix(upper, "SGX_QCNL_"), strings.HasPrefix(upper, "SGX_ERROR_"), strings.HasPrefix(word, "0x"):
		return "intel-result"
	case strings.HasPrefix(upper, "OE_"):
		return "oe-result"
	}
	return ""
}

// linesOf are the lines of a text that have something in them, each cleaned.
func linesOf(text string) []string {
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		if line = check.Printable(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// isCause reports whether a line begins a cause of what is above it, as SCONE's programs
// and others write them: "Caused by: …", "Error 1 of 2: …", "0: …" below "Caused by:".
func isCause(line string) bool {
	lower := strings.ToLower(strings.TrimLeft(line, " -*>"))
	if strings.HasPrefix(lower, "caused by") || strings.HasPrefix(lower, "cause:") || strings.HasPrefix(lower, "because") {
		return true
	}
	var n, of int
	if _, err := fmt.Sscanf(lower, "error %d of %d", &n, &of); err == nil {
		return true
	}
	number, _, colon := strings.Cut(lower, ": ")
	_, err := strconv.Atoi(number)
	return colon && err == nil
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
