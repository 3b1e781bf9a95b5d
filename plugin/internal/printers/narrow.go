package printers

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/confidb/confidb/pkg/attest"
)

// Widths in the table of platforms: of what the state of a node needs at least, and of a name at most. A name is at most 253 characters long.
const (
	leastState   = 14
	longestName  = 28
	columnsSpace = 2
)

// narrow makes a table of NODE, PLATFORM ID, PROVENANCE and STATE fit a terminal: it
// breaks the lines of the state; if that does not do, it shortens the IDs and then
// the names in the middle. -o wide has everything.
func narrow(rows [][]string) [][]string {
	if left(rows) < leastState {
		shortenColumn(rows, 1, attest.ShortID)
	}
	if left(rows) < leastState {
		shortenColumn(rows, 0, func(name string) string { return middleOut(name, longestName) })
	}
	var all [][]string
	for _, row := range rows {
		for i, line := range broken(row[3], left(rows)) {
			if i == 0 {
				all = append(all, []string{row[0], row[1], row[2], line})
			} else {
				all = append(all, []string{" ", " ", " ", line}) // nothing is <none>
			}
		}
	}
	return all
}

// left is how wide the last column may be.
func left(rows [][]string) int {
	taken := 0
	for c := range 3 {
		widest := len("<none>")
		for _, row := range rows {
			widest = max(widest, utf8.RuneCountInString(row[c]))
		}
		taken += widest + columnsSpace
	}
	return width - taken
}

func shortenColumn(rows [][]string, column int, shorten func(string) string) {
	for _, row := range rows[1:] {
		row[column] = shorten(row[column])
	}
}

// middleOut keeps the beginning and the end of text.
func middleOut(text string, width int) string {
	runes := []rune(text)
	if len(runes) <= width {
		return text
	}
	tail := (width - 1) / 2
	return string(runes[:width-1-tail]) + "…" + string(runes[len(runes)-tail:])
}

// broken breaks text into lines, and words that are longer than a line as well.
func broken(text string, width int) []string {
	lines := []string{""}
	for _, word := range strings.Fields(text) {
		last := len(lines) - 1
		switch runes := []rune(word); {
		case lines[last] == "":
		case utf8.RuneCountInString(lines[last])+1+len(runes) <= width:
			word = lines[last] + " " + word
		default:
			lines, last = append(lines, ""), last+1
		}
		pieces := slices.Collect(slices.Chunk([]rune(word), width))
		lines[last] = string(pieces[0])
		for _, piece := range pieces[1:] {
			lines = append(lines, string(piece))
		}
	}
	return lines
}
