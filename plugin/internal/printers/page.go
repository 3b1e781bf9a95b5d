package printers

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/confidb/confidb/pkg/check"
)

// width is how many columns a page takes.
const width = 80

// banner begins every text that rests on another root than Intel's.
const banner = "SIMULATED: nothing here rests on Intel's root; no hardware protects anything."

// Page is a text for people. Whatever is written on it is cleaned: what a peer said
// must not move the cursor or forge a line. The zero Page is empty.
type Page struct{ text strings.Builder }

// String returns the text.
func (p *Page) String() string { return p.text.String() }

// Line writes one line as it stands, but for what is not printable. Blanks stay.
func (p *Page) Line(format string, arguments ...any) {
	p.text.WriteString(strings.TrimRight(check.Visible(fmt.Sprintf(format, arguments...)), " ") + "\n")
}

// Gap leaves a line empty, unless the page is.
func (p *Page) Gap() {
	if p.text.Len() > 0 {
		p.text.WriteByte('\n')
	}
}

// Parts writes the labelled texts of a paragraph, a label and its text in turn. A text
// that is empty is left out with its label. layout is how a label is written.
func (p *Page) Parts(layout string, labelsAndTexts ...string) {
	for part := range slices.Chunk(labelsAndTexts, 2) {
		if part[1] != "" {
			p.Wrap(fmt.Sprintf(layout, part[0]), part[1])
		}
	}
}

// Section begins one with a title. Lines are written as Line does.
func (p *Page) Section(title string, lines ...string) {
	p.Gap()
	p.Line("%s", title)
	for _, line := range lines {
		p.Line("  %s", line)
	}
}

// Columns aligns rows with two spaces between columns; the usual three would not leave
// room for a platform ID on a terminal. An empty cell is <none>.
func (p *Page) Columns(rows [][]string) {
	if len(rows) == 0 {
		return
	}
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for c, cell := range row {
			if row[c] = check.Printable(cell); cell == "" {
				row[c] = "<none>"
			}
			widths[c] = max(widths[c], utf8.RuneCountInString(row[c]))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for c, cell := range row {
			fmt.Fprintf(&line, "%-*s", widths[c]+2, cell)
		}
		p.Line("%s", line.String())
	}
}

// Wrap writes text after a label, in lines that begin below its first word. A word that
// is longer than a line stays whole, so that it can be copied.
func (p *Page) Wrap(label, text string) {
	indent := utf8.RuneCountInString(label)
	lines := broken(text, width-indent)
	p.text.WriteString(label + strings.Join(lines, fmt.Sprintf("\n%*s", indent, "")) + "\n")
}

// broken breaks text into lines of a width, but for words that are longer. There is at
// least one line.
func broken(text string, width int) []string {
	lines := []string{""}
	for _, word := range strings.Fields(check.Printable(text)) {
		last := len(lines) - 1
		switch {
		case lines[last] == "":
			lines[last] = word
		case utf8.RuneCountInString(lines[last]+word) < width:
			lines[last] += " " + word
		default:
			lines = append(lines, word)
		}
	}
	return lines
}

// Count says how many there are: 1 machine, 2 machines.
func Count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
