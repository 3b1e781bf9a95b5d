package verify_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/verify"
)

// A finding under a name that only looks like a check's answers nothing, and one under the
// name of a link of the chain does not stand for that link.
func TestAStatementOfOtherChecks(t *testing.T) {
	for name, other := range map[string]func(string) string{
		"in capitals":    strings.ToUpper,
		"with a space":   func(id string) string { return id + " " },
		"with no width":  func(id string) string { return id + "\u200b" },
		"in Cyrillic":    func(id string) string { return strings.ReplaceAll(id, "a", "а") },
		"cut":            func(id string) string { return id[:len(id)-1] },
		"another hyphen": func(id string) string { return strings.ReplaceAll(id, "-", "‐") },
	} {
		s := newScene(t)
		i := slices.IndexFunc(s.said.Findings, func(f check.Finding) bool { return f.ID == "acc-04" })
		s.said.Findings = slices.Clone(s.said.Findings)
		s.said.Findings[i].ID = other("acc-04")
		s.sign(t)
		if got := verify.Appraise(s.promised, attest.Memory{}, s.seen).Findings.Verdict(); got != check.None {
			t.Errorf("%s: got %s, want none", name, got)
		}
	}
	s := newScene(t)
	s.mariadb().Image = "evil"
	s.said.Findings = append(slices.Clone(s.said.Findings), check.Finding{ID: "release-session", Title: "all is well", Outcome: check.Pass})
	s.sign(t)
	if got := verify.Appraise(s.promised, attest.Memory{}, s.seen).Findings.Verdict(); got != check.Contraindicated {
		t.Errorf("a finding in the place of another: got %s, want contraindicated", got)
	}
	s = newScene(t)
	s.said.Findings = append(slices.Clone(s.said.Findings), check.Finding{ID: "new-01", Title: "what a newer probe asks", Outcome: check.Fail})
	s.sign(t)
	if got := verify.Appraise(s.promised, attest.Memory{}, s.seen).Findings.Verdict(); got != check.Contraindicated {
		t.Errorf("a check that is not known and fails: got %s, want contraindicated", got)
	}
}
