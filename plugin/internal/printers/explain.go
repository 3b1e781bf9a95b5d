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
	if e.LookedUp == "" {
		p.listCodes(e.Pages)
		return
	}
	for _, page := range e.Pages {
		p.Gap()
		p.explain(page)
	}
}

func (p *Page) listCodes(pages []explain.Page) {
	last := ""
	for _, page := range pages {
		if page.Group != last {
			p.Gap()
			p.Line("%s", page.Group)
			last = page.Group
		}
		p.Wrap(fmt.Sprintf("  %-26s ", page.Code), page.Title)
	}
}

func (p *Page) explain(page explain.Page) {
	p.Wrap("", page.Code+": "+page.Title)
	p.Wrap("  meaning  ", page.Meaning)
	p.Wrap("  attack   ", page.Attack)
	label := "  do       "
	for step := range strings.Lines(page.Do) {
		p.Wrap(label, "- "+step)
		label = "           "
	}
	if page.Caveat != "" {
		p.Wrap("  caveat   ", page.Caveat)
	}
	if len(page.Also) > 0 {
		p.Wrap("  also     ", strings.Join(page.Also, " "))
	}
}
