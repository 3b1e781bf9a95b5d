package printers

import (
	"fmt"
	"io"
	"strings"

	"github.com/confidb/confidb/pkg/lint"
	"github.com/confidb/confidb/pkg/report"
)

// LintFormats lists the output formats of the linter.
func LintFormats() []string { return []string{"text", "json", "sarif", "junit"} }

// Lint writes what the linter found in one of LintFormats. version is that of this
// program.
func Lint(out io.Writer, format string, r lint.Result, version string) error {
	switch format {
	case "sarif":
		return Encode(out, "json", report.SARIF(r, version))
	case "junit":
		text, err := report.JUnit(r)
		if err == nil {
			_, err = out.Write(text)
		}
		return err
	}
	return Print(out, strings.TrimPrefix(format, "text"), lintDocument{Head{"confidb.lint/v1", r.Simulated}, r.Listing()})
}

// lintDocument is what the linter found.
type lintDocument struct {
	Head
	lint.Listing
}

// Text writes a paragraph for each problem that is not suppressed.
func (d lintDocument) Text(page *Page) {
	for _, p := range d.Problems {
		if p.Suppressed {
			continue
		}
		page.Wrap("", fmt.Sprintf("%s:%d:%d: %s %s: %s", p.File, p.Line, p.Column, p.Code, p.Severity, p.Title))
		page.Parts("  %-5s", "at", p.Path, "got", p.Got, "fix", p.Fix, "why", "kubectl confidb explain "+p.Code)
		page.Gap()
	}
	page.Wrap("", d.Summary)
}

// LintRules are all rules of the linter.
type LintRules struct {
	Head
	Rules []lint.Rule `json:"rules"`
}

// NewLintRules makes the document of these rules.
func NewLintRules(rules []lint.Rule) LintRules {
	return LintRules{Head{Kind: "confidb.lint-rules/v1"}, rules}
}

// Text writes a line for each rule.
func (r LintRules) Text(p *Page) {
	for _, rule := range r.Rules {
		p.Wrap(fmt.Sprintf("%s %-7s  ", rule.Code, rule.Severity), rule.Title)
	}
}
