package lint

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

func documentRules() []rule {
	return []rule{
		{Rule{
			"CDB5001", "guessable-name", Warning, "the name of the session can be guessed",
			"Names in a CAS belong to whoever comes first, forever, and are not confidential. $RANDOM has 32768 values.",
			"Somebody takes the name before you, and your exports by name go to him; or he finds the session and asks for it.",
			"Write at least 16 random hexadecimal digits into the name or its namespace: openssl rand -hex 16",
		}, findGuessableName},
		{Rule{
			"CDB5002", "creator", Warning, "creator is written in the document",
			"CAS adds it. Written by hand it is refused, or it is left over from a session that was read from a CAS.",
			"none known: a mistake",
			"Remove creator.",
		}, findWritten("creator")},
		{Rule{
			"CDB5003", "fixed-predecessor", Note, "the hash of the predecessor is written in the document",
			"A first version has no predecessor, and CAS answers 404. For later versions it has to be changed each time.",
			"none known: a mistake",
			"Remove predecessor, or write ~ for it, and let the upload fill it in.",
		}, func(in *input) []hit {
			if in.Predecessor == "" {
				return nil
			}
			return []hit{{path: "predecessor", got: "predecessor " + in.Predecessor[:16] + "…"}}
		}},
		{Rule{
			"CDB5004", "old-language", Warning, "the version of the language is old",
			"Before 0.3.10, which is SCONE 5.8, there are no relative names, alternative names or references to platforms, and provide_secrets comes with 0.3.11.",
			"none known: what makes a session strict cannot be written",
			`Write version: "0.3.11", or what your CAS knows.`,
		}, findOldLanguage},
	}
}

func findWritten(key string) func(*input) []hit {
	return func(in *input) []hit {
		if !in.Has(key) {
			return nil
		}
		return []hit{{path: key, got: key}}
	}
}

func findGuessableName(in *input) []hit {
	for part := range strings.SplitSeq(in.Name, "/") {
		if random(part) {
			return nil
		}
	}
	return []hit{{path: "name", got: fmt.Sprintf("name %.80q", in.Name)}}
}

// random reports whether a part of a name looks as if it had 64 bits of randomness:
// 16 hexadecimal digits or a UUID, or 13 letters and digits that change often.
func random(part string) bool {
	uuid := regexp.MustCompile(`[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}`)
	hex := regexp.MustCompile(`[0-9a-fA-F]{16,}`)
	for _, found := range append(hex.FindAllString(part, -1), uuid.FindAllString(part, -1)...) {
		if distinct(found) >= 6 {
			return true
		}
	}
	for _, word := range regexp.MustCompile(`[A-Za-z0-9]{13,}`).FindAllString(part, -1) {
		if changes(word) >= 5 && distinct(word) >= 8 {
			return true
		}
	}
	return false
}

func distinct(text string) int {
	seen := map[rune]bool{}
	for _, r := range text {
		seen[r] = true
	}
	return len(seen)
}

// changes counts how often a letter follows a digit, or a digit a letter.
func changes(text string) int {
	isDigit := func(c byte) bool { return c >= '0' && c <= '9' }
	n := 0
	for i := 1; i < len(text); i++ {
		if isDigit(text[i-1]) != isDigit(text[i]) {
			n++
		}
	}
	return n
}

func findOldLanguage(in *input) []hit {
	minor, _ := strconv.Atoi(strings.TrimPrefix(strings.TrimPrefix(in.Version, "0.3"), ".")) // 0.3 alone is 0
	if minor >= 10 {
		return nil
	}
	return []hit{{path: "version", got: "version " + in.Version}}
}
