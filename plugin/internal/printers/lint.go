package printers

import (
	"fmt"
	"io"

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
	case "text":
		format = ""
	}
	return Print(out, format, newLintDocument(r))
}

// lintDocument is what the linter found.
type lintDocument struct {
	Head
	FailOn   lint.Severity `json:"failOn"`
	Failed   bool          `json:"failed"`
	Sessions []string      `json:"sessions"`
	Summary  string        `json:"summary"`
	Problems []lintProblem `json:"problems"`
}

type lintProblem struct {
	lint.Problem
	Name     string        `json:"name"`
	Severity lint.Severity `json:"severity"`
	Title    string        `json:"title"`
}

func newLintDocument(r lint.Result) lintDocument {
	d := lintDocument{
		Head: Head{"confidb.lint/v1", r.Simulated}, FailOn: r.FailOn, Failed: r.Failed(),
		Sessions: r.Sessions, Summary: r.Summary(), Problems: []lintProblem{},
	}
	for _, p := range r.Problems {
		rule := p.Rule()
		d.Problems = append(d.Problems, lintProblem{p, rule.Name, rule.Severity, rule.Title})
	}
	return d
}

// Text writes a paragraph for each problem that is not suppressed.
func (d lintDocument) Text(page *Page) {
	for _, p := range d.Problems {
		if p.Suppressed {
			continue
		}
		page.Wrap("", fmt.Sprintf("%s:%d:%d: %s %s: %s", p.File, p.Line, p.Column, p.Code, p.Severity, p.Title))
		if p.Path != "" {
			page.Wrap("  at   ", p.Path)
		}
		page.Wrap("  got  ", p.Got)
		page.Wrap("  fix  ", p.Fix)
		page.Wrap("  why  ", "kubectl confidb explain "+p.Code)
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
