package collateral

import (
	"encoding/hex"
	"math"
	"slices"
	"time"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/sgx"
)

// Statement is what a bundle says, for programs. It is a member of documents of the kind
// confidb.collateral/v1. What is not known is empty or zero.
type Statement struct {
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
	Done Done `json:"done,omitempty"`
}

// Validity says when a part of a bundle is current.
type Validity struct {
	sgx.Validity
	// DaysLeft is in whole days, and below zero when it is over.
	DaysLeft int `json:"daysLeft"`
}

// Says returns what the bundle says, as of a time.
func (b Bundle) Says(now time.Time) Statement {
	c, findings := b.Contents, b.Findings()
	s := Statement{
		File: b.File, CA: c.CA, EvaluationDataNumber: c.EvaluationDataNumber, QEEvaluationDataNumber: c.QEEvaluationDataNumber,
		TCBLevels: c.Levels, Validities: []Validity{}, Verdict: findings.Verdict(), Findings: findings, Done: b.Done,
	}
	if _, known := c.Validity("tcb-info"); known {
		s.FMSPC, s.PCEID = hex.EncodeToString(c.FMSPC[:]), hex.EncodeToString(c.PCEID[:])
	}
	for _, v := range c.Validities {
		s.Validities = append(s.Validities, Validity{v, int(math.Floor(v.Until.Sub(now).Hours() / 24))})
	}
	return s
}

// First is the part that must be fetched again before all others; zero if none is known.
func (s Statement) First() Validity {
	if len(s.Validities) == 0 {
		return Validity{}
	}
	return slices.MinFunc(s.Validities, func(x, y Validity) int { return x.Until.Compare(y.Until) })
}
