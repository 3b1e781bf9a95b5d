package printers

import (
	"cmp"
	"fmt"
	"strconv"
	"time"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/collateral"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/plugin/internal/cli"
)

// Collateral is what bundles say.
type Collateral struct {
	Head
	Bundles []collateral.Statement `json:"bundles"`
	// Verdict is that of the worst.
	Verdict check.Verdict `json:"verdict"`
	// Details makes the text tell all findings and dates of each bundle, instead of one
	// line.
	Details bool `json:"-"`
}

// NewCollateral makes the document of bundles that were verified with these options.
func NewCollateral(all []collateral.Bundle, o sgx.Options) Collateral {
	d := Collateral{Head: Head{Kind: "confidb.collateral/v1", Simulated: !o.Roots.Intel()}}
	var everything check.Report
	for _, b := range all {
		s := b.Says(o.Time)
		everything = append(everything, s.Findings...)
		s.Findings = cli.Kubectl.Findings(s.Findings)
		d.Bundles = append(d.Bundles, s)
	}
	d.Verdict = everything.Verdict()
	return d
}

// Text writes a line for each bundle, or its details.
func (d Collateral) Text(p *Page) {
	rows := [][]string{{"FMSPC", "CA", "EVALUATION", "NEXT UPDATE", "DAYS LEFT", "DONE", "FILE"}}
	for i, b := range d.Bundles {
		if d.Details && i > 0 {
			p.Gap()
		}
		if d.Details {
			p.bundle(b, d.Simulated)
		}
		first := b.First()
		rows = append(rows, []string{
			b.FMSPC, b.CA, strconv.Itoa(b.EvaluationDataNumber), stamp(first.Until), strconv.Itoa(first.DaysLeft), string(b.Done), b.File,
		})
	}
	if !d.Details {
		p.Columns(rows)
	}
}

func (p *Page) bundle(b collateral.Statement, simulated bool) {
	subject := "collateral " + b.File
	if b.FMSPC != "" {
		ca := cmp.Or(b.CA, "unknown")
		subject += fmt.Sprintf(" (FMSPC %s, CA %s, evaluation %d, QE %d)", b.FMSPC, ca, b.EvaluationDataNumber, b.QEEvaluationDataNumber)
	}
	p.Findings(b.Findings)
	p.Verdict(subject, b.Verdict, simulated)
	if len(b.Validities) == 0 {
		return
	}
	rows := [][]string{{"PART", "FROM", "UNTIL", "DAYS LEFT"}}
	for _, v := range b.Validities {
		rows = append(rows, []string{v.Part, stamp(v.From), stamp(v.Until), strconv.Itoa(v.DaysLeft)})
	}
	p.Gap()
	p.Columns(rows)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
