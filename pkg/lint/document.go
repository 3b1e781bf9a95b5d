package lint

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

func findCreator(in *input) []hit {
	if !in.Has("creator") {
		return nil
	}
	return []hit{{path: "creator", got: "creator"}}
}

func findPredecessor(in *input) []hit {
	if in.Predecessor == "" {
		return nil
	}
	return []hit{{path: "predecessor", got: "predecessor " + in.Predecessor[:16] + "…"}}
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
