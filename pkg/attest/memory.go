package attest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/sgx"
)

// Memory is what was seen in earlier runs and must not go back: old collateral does
// not know the weaknesses that were found since, and an old clock makes it look
// current. The zero value remembers nothing.
type Memory struct {
	// Latest is the latest time of a run in which a CAS was accepted.
	Latest time.Time `json:"latest"`
	// Evaluations are the highest evaluation data numbers, by what Intel evaluated.
	Evaluations map[string]int `json:"evaluations"`
}

// maxClockSkew is by how much clocks of one user may differ.
const maxClockSkew = 5 * time.Minute

// Judge compares a verification with what is remembered. rootCA is the PEM
// certificate in place of Intel's root, if there is one; r is nil without a quote.
func (m Memory) Judge(r *sgx.Result, rootCA []byte, now time.Time) check.Report {
	clock := check.Finding{ID: "clock", Title: "the clock is not behind that of an earlier run", Outcome: check.Pass}
	if m.Latest.Sub(now) > maxClockSkew {
		clock.Outcome, clock.Got, clock.Want = check.Skip, now.UTC().Format(time.RFC3339), "at least "+m.Latest.UTC().Format(time.RFC3339)
		clock.Reason, clock.Hint = "by a clock that was set back, expired collateral and revoked keys look good", "Set the clock of this machine; if it was wrong earlier and is right now, remove memory.json from $CONFIDB_HOME."
	}
	report := check.Report{clock}
	for _, seen := range evaluations(r, rootCA) {
		report = append(report, m.judgeEvaluation(seen))
	}
	return report
}

func (m Memory) judgeEvaluation(seen evaluation) check.Finding {
	f := check.Finding{ID: seen.id, Title: seen.title, Outcome: check.Pass}
	before := m.Evaluations[seen.key]
	if seen.number >= before {
		return f
	}
	if seen.number == 0 {
		f.Outcome, f.Reason, f.Hint = check.Skip, "the collateral does not say it", "Fetch current collateral with {collateral fetch}."
		return f
	}
	f.Outcome, f.Got, f.Want = check.Fail, fmt.Sprintf("evaluation %d", seen.number), fmt.Sprintf("evaluation %d or later", before)
	f.Reason = "newer collateral was used before: this one does not know what Intel found since"
	f.Hint = "Fetch current collateral with {collateral fetch}; if you went back on purpose, remove memory.json from $CONFIDB_HOME."
	return f
}

// Learn returns a memory of m and of an accepted verification.
func (m Memory) Learn(r *sgx.Result, rootCA []byte, now time.Time) Memory {
	learned := Memory{Latest: m.Latest, Evaluations: map[string]int{}}
	if now.After(m.Latest) {
		learned.Latest = now
	}
	for key, number := range m.Evaluations {
		learned.Evaluations[key] = number
	}
	for _, seen := range evaluations(r, rootCA) {
		learned.Evaluations[seen.key] = max(learned.Evaluations[seen.key], seen.number)
	}
	return learned
}

// evaluation is the number of one evaluation of Intel's, and what asks about it.
type evaluation struct {
	id, title, key string
	number         int
}

func evaluations(r *sgx.Result, rootCA []byte) []evaluation {
	if r == nil || r.Platform == nil {
		return nil
	}
	root := "intel"
	if len(rootCA) > 0 {
		sum := sha256.Sum256(rootCA)
		root = hex.EncodeToString(sum[:8])
	}
	return []evaluation{
		{"tcb-info-rollback", "the TCB info is not older than one that was used before", fmt.Sprintf("%s/%x", root, r.Platform.FMSPC), r.EvaluationDataNumber},
		{"qe-identity-rollback", "the QE identity is not older than one that was used before", root + "/qe", r.QEEvaluationDataNumber},
	}
}
