package document

import (
	"fmt"
	"strings"
)

// maxWord bounds what is compared, in bytes: longer words are not mistyped, but
// something else.
const maxWord = 64

// Suggest advises to write the word that was probably meant. It is empty where none
// is near.
func Suggest(got string, words []string) string {
	word := Nearest(got, words)
	if word == "" {
		return ""
	}
	return fmt.Sprintf("write %q", word)
}

// Nearest returns the word that is fewest changes away from what was written, whatever
// the case of letters, and "" when each would have to be changed beyond recognition.
// Of equally near words it is the first.
func Nearest(got string, words []string) string {
	best, least := "", 2+len(got)/3
	for _, w := range words {
		if d := Distance(strings.ToLower(got), strings.ToLower(w)); d < least && d < len(w) {
			best, least = w, d
		}
	}
	return best
}

// Distance counts the insertions, deletions and replacements of bytes between two
// words (Levenshtein). Of a word of more than 64 bytes it is the length of the longer.
func Distance(a, b string) int {
	if max(len(a), len(b)) > maxWord {
		return max(len(a), len(b))
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal, row[j+1] = row[j+1], min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
