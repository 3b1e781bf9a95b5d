package contact

import (
	"fmt"
	"strings"

	"github.com/confidb/confidb/pkg/check"
)

// CASError means that a CAS is not proven to be the one that the policy accepts. Nothing
// was sent to it.
type CASError struct {
	Address string
	// Findings are everything that was asked of it.
	Findings check.Report
}

// Verdict is that of the findings.
func (e *CASError) Verdict() check.Verdict { return e.Findings.Verdict() }

func (e *CASError) Error() string {
	f, ok := e.Findings.Obstacle()
	if !ok {
		return fmt.Sprintf("CAS %s is not proven: nothing was asked", e.Address)
	}
	parts := []string{fmt.Sprintf("CAS %s is not proven: %s", e.Address, f.ID)}
	if f.Got != "" || f.Want != "" {
		parts = append(parts, fmt.Sprintf("got %s, want %s", f.Got, f.Want))
	}
	if f.Reason != "" {
		parts = append(parts, f.Reason)
	}
	return strings.Join(parts, ": ")
}

// Hint is that of the first finding that is in the way.
func (e *CASError) Hint() string {
	f, _ := e.Findings.Obstacle()
	return f.Hint
}

// UnknownCASError means that a CAS was not attested yet.
type UnknownCASError struct{ Address string }

func (e *UnknownCASError) Error() string {
	return fmt.Sprintf("CAS %s was not attested yet", e.Address)
}

// Hint says how to attest it.
func (e *UnknownCASError) Hint() string {
	return fmt.Sprintf("{attest cas %s --policy FILE --collateral FOLDER}", e.Address)
}
