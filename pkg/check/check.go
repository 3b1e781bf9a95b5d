// Package check holds what a verification found and how it ended: a Finding for
// each question that was asked, a Report of all of them, and the Verdict that
// follows. It knows nothing of SGX, Kubernetes or databases, and does no I/O.
package check

import (
	"encoding"
	"fmt"
	"slices"
)

// Outcome is how one check ended. The zero value is Skip: what nobody looked at
// is not proven.
type Outcome int

const (
	// Skip means that the question could not be answered. It never counts as a pass.
	Skip Outcome = iota
	// Pass means that the Finding's title was seen to be true.
	Pass
	// Warn means that the title is not true, and that the policy names this
	// deviation as accepted.
	Warn
	// Fail means that the title was seen to be false.
	Fail
)

var (
	_ encoding.TextMarshaler   = Outcome(0)
	_ encoding.TextUnmarshaler = (*Outcome)(nil)
)

// outcomes are the words for each Outcome, in its order.
func outcomes() []string { return []string{"skip", "pass", "warn", "fail"} }

// String returns skip, pass, warn or fail.
func (o Outcome) String() string {
	if o < Skip || o > Fail {
		return fmt.Sprintf("outcome(%d)", int(o))
	}
	return outcomes()[o]
}

// MarshalText writes the word for o, and fails for a value that has none.
func (o Outcome) MarshalText() ([]byte, error) {
	if o < Skip || o > Fail {
		return nil, fmt.Errorf("no word for outcome %d", int(o))
	}
	return []byte(o.String()), nil
}

// UnmarshalText reads one of skip, pass, warn and fail. Anything else is an error.
func (o *Outcome) UnmarshalText(text []byte) error {
	i := slices.Index(outcomes(), string(text))
	if i < 0 {
		return fmt.Errorf("outcome %q: want skip, pass, warn or fail", text)
	}
	*o = Outcome(i)
	return nil
}

// Finding is the answer to one question.
type Finding struct {
	// ID names the check (kebab-case). It is part of the stable interface; the texts are not.
	ID string `json:"id"`
	// Title is a statement that is true when the check passes.
	Title string `json:"title"`
	// Outcome is how the check ended.
	Outcome Outcome `json:"outcome"`
	// Subject is what of several it is about, such as an account; empty where the check is
	// about one thing.
	Subject string `json:"subject,omitempty"`
	// Got and Want are set where two values were compared.
	Got  string `json:"got,omitempty"`
	Want string `json:"want,omitempty"`
	// Reason says why the outcome is not a pass, or what a pass rests on.
	Reason string `json:"reason,omitempty"`
	// Hint is a command or one imperative sentence. Every Skip and Fail has one.
	Hint string `json:"hint,omitempty"`
}

// Verdict is the conclusion from a Report, in the tiers of AR4SI
// (draft-ietf-rats-ar4si).
type Verdict string

const (
	// None means that something is unproven, or that nothing was asked.
	None Verdict = "none"
	// Affirming means that every check passed.
	Affirming Verdict = "affirming"
	// Warning means that nothing failed and the policy accepted a named deviation.
	Warning Verdict = "warning"
	// Contraindicated means that at least one check failed.
	Contraindicated Verdict = "contraindicated"
)

// Accepted reports whether one may go on: everything passed, or the policy named
// what did not.
func (v Verdict) Accepted() bool { return v == Affirming || v == Warning }

// Report is everything that was found, in the order in which it was asked.
type Report []Finding

// Verdict derives the conclusion. A failure weighs more than a skip, a skip more
// than a warning, and an empty Report proves nothing.
func (r Report) Verdict() Verdict {
	if len(r) == 0 {
		return None
	}
	var seen [Fail + 1]bool
	for _, f := range r {
		if f.Outcome < Skip || f.Outcome > Fail {
			return Contraindicated // only a programming error makes one; it must not pass
		}
		seen[f.Outcome] = true
	}
	switch {
	case seen[Fail]:
		return Contraindicated
	case seen[Skip]:
		return None
	case seen[Warn]:
		return Warning
	}
	return Affirming
}

// With returns the findings that ended with outcome o.
func (r Report) With(o Outcome) Report {
	var found Report
	for _, f := range r {
		if f.Outcome == o {
			found = append(found, f)
		}
	}
	return found
}

// Find returns the finding with this ID, and whether there is one.
func (r Report) Find(id string) (Finding, bool) {
	i := slices.IndexFunc(r, func(f Finding) bool { return f.ID == id })
	if i < 0 {
		return Finding{}, false
	}
	return r[i], true
}

// Obstacle returns what is in the way of accepting the report: the first failure, else
// the first skip. ok is false when there is neither.
func (r Report) Obstacle() (f Finding, ok bool) {
	for _, o := range []Outcome{Fail, Skip} {
		if found := r.With(o); len(found) > 0 {
			return found[0], true
		}
	}
	return Finding{}, false
}
