package printers

import (
	"fmt"
	"strings"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/explain"
)

// Explanation is what was looked up, or the list of all pages.
type Explanation struct {
	Head
	// LookedUp is the text that was looked up, cleaned; empty for the list of all pages.
	LookedUp string         `json:"text"`
	Pages    []explain.Page `json:"pages"`
}

// NewExplanation makes the document of the pages about a text.
func NewExplanation(text string, pages []explain.Page) Explanation {
	return Explanation{Head{Kind: "confidb.explanation/v1"}, check.Printable(text), pages}
}

// Text writes the pages, or a line for each of all.
func (e Explanation) Text(p *Page) {
	group := ""
	for _, page := range e.Pages {
		switch {
		case e.LookedUp != "":
			p.Gap()
			p.explain(page)
			continue
		case page.Group != group:
			group = page.Group
			p.Section(group)
		}
		p.Wrap(fmt.Sprintf("  %-26s ", page.Code), page.Title)
	}
}

func (p *Page) explain(page explain.Page) {
	p.Wrap("", page.Code+": "+page.Title)
	parts := []string{"meaning", page.Meaning, "attack", page.Attack}
	label := "do"
	for step := range strings.Lines(page.Do) {
		parts = append(parts, label, "- "+step)
		label = ""
	}
	p.Parts("  %-9s", append(parts, "caveat", page.Caveat, "also", strings.Join(page.Also, " "))...)
}
