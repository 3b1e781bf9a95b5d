package printers

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
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
	Bundles []Bundle      `json:"bundles"`
	Verdict check.Verdict `json:"verdict"`
	// Details makes the text tell all findings and dates of each bundle, instead of one
	// line.
	Details bool `json:"-"`
}

// Bundle is one bundle. What is not known is empty or zero.
type Bundle struct {
	File                   string        `json:"file"`
	FMSPC                  string        `json:"fmspc"`
	PCEID                  string        `json:"pceID"`
	CA                     string        `json:"ca"`
	EvaluationDataNumber   int           `json:"evaluationDataNumber"`
	QEEvaluationDataNumber int           `json:"qeEvaluationDataNumber"`
	TCBLevels              int           `json:"tcbLevels"`
	Validities             []Validity    `json:"validities"`
	Verdict                check.Verdict `json:"verdict"`
	Findings               check.Report  `json:"findings"`
	// Done is written or kept, and left out when nothing was to be done.
	Done collateral.Done `json:"done,omitempty"`
}

// Validity says when a part of a bundle is current.
type Validity struct {
	sgx.Validity
	// DaysLeft is in whole days, and below zero when it is over.
	DaysLeft int `json:"daysLeft"`
}

// NewCollateral makes the document of bundles that were verified with these options.
// Its verdict is that of the worst.
func NewCollateral(all []collateral.Bundle, o sgx.Options) Collateral {
	d := Collateral{Head: Head{Kind: "confidb.collateral/v1", Simulated: !o.Roots.Intel()}}
	var everything check.Report
	for _, b := range all {
		d.Bundles = append(d.Bundles, newBundle(b, o.Time))
		everything = append(everything, b.Findings()...)
	}
	d.Verdict = everything.Verdict()
	return d
}

func newBundle(b collateral.Bundle, now time.Time) Bundle {
	c, findings := b.Contents, cli.Kubectl.Findings(b.Findings())
	d := Bundle{
		File: b.File, CA: c.CA, EvaluationDataNumber: c.EvaluationDataNumber, QEEvaluationDataNumber: c.QEEvaluationDataNumber,
		TCBLevels: c.Levels, Validities: []Validity{}, Verdict: findings.Verdict(), Findings: findings, Done: b.Done,
	}
	if _, known := c.Validity("tcb-info"); known {
		d.FMSPC, d.PCEID = hex.EncodeToString(c.FMSPC[:]), hex.EncodeToString(c.PCEID[:])
	}
	for _, v := range c.Validities {
		d.Validities = append(d.Validities, Validity{v, daysLeft(v.Until, now)})
	}
	return d
}

func daysLeft(until, now time.Time) int { return int(math.Floor(until.Sub(now).Hours() / 24)) }

// Text writes a line for each bundle, or its details.
func (d Collateral) Text(p *Page) {
	if d.Details {
		for i, b := range d.Bundles {
			if i > 0 {
				p.Gap()
			}
			b.details(p, d.Simulated)
		}
		return
	}
	rows := [][]string{{"FMSPC", "CA", "EVALUATION", "NEXT UPDATE", "DAYS LEFT", "DONE", "FILE"}}
	for _, b := range d.Bundles {
		first := b.first()
		rows = append(rows, []string{b.FMSPC, b.CA, strconv.Itoa(b.EvaluationDataNumber), stamp(first.Until), strconv.Itoa(first.DaysLeft), string(b.Done), b.File})
	}
	p.Columns(rows)
}

func (b Bundle) details(p *Page, simulated bool) {
	p.Findings(b.Findings)
	p.Verdict(b.subject(), b.Verdict, simulated)
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

func (b Bundle) subject() string {
	if b.FMSPC == "" {
		return "collateral " + b.File
	}
	return fmt.Sprintf("collateral %s (FMSPC %s, CA %s, evaluation %d, QE %d)", b.File, b.FMSPC, cmp.Or(b.CA, "unknown"), b.EvaluationDataNumber, b.QEEvaluationDataNumber)
}

// first is the part that must be fetched again before all others.
func (b Bundle) first() Validity {
	if len(b.Validities) == 0 {
		return Validity{}
	}
	return slices.MinFunc(b.Validities, func(x, y Validity) int { return x.Until.Compare(y.Until) })
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
