package verify

import (
	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/evidence"
	"github.com/confidb/confidb/pkg/topology"
)

// Link is what tests see of a link.
type Link struct {
	ID    string
	Level Level
	Needs []string
	Title string
	// Findings are what came of it.
	Findings check.Report
}

// ByLink is Appraise, link by link.
func ByLink(promised *topology.Release, memory attest.Memory, seen evidence.Observation) []Link {
	a := &appraisal{promised: promised, memory: memory, seen: seen, unmet: map[string]string{}, predicates: map[string]*evidence.Predicate{}}
	var all []Link
	for _, l := range links() {
		all = append(all, Link{l.ID, l.Level, l.Needs, l.Title, a.follow(l)})
	}
	return all
}

// RequiredBeside are those that it must answer of one of several databases.
func RequiredBeside() []string { return requiredBeside() }

// Required are the checks that a statement must answer.
func Required() []string { return required() }

// FrontChecks are the checks that a statement must answer about each MaxScale.
func FrontChecks() []string { return frontChecks() }

// MaskingChecks are those beside them where it masks.
func MaskingChecks() []string { return maskingChecks() }
