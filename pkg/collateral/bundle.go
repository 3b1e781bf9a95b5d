// Package collateral judges bundles of what Intel signs about platforms: what one
// says, whether it is current, whether it is what was asked for, and whether it may
// take the place of another. It does no I/O: Refresh tells the story of bringing a
// bundle up to date over an Origin and a Folder.
package collateral

import (
	"errors"
	"fmt"
	"strings"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/sgx"
)

// Done says what was done with a bundle. The zero value is nothing.
type Done string

const (
	// Written means that the bundle is new in its folder.
	Written Done = "written"
	// Kept means that it was there already, and is young enough.
	Kept Done = "kept"
)

// Bundle is collateral for one family of processors, and what it says.
type Bundle struct {
	// File is what the user calls it.
	File string
	// Collateral is nil when it cannot be read.
	Collateral *sgx.Collateral
	// Contents are what it says; they only count when Err is nil.
	Contents sgx.Contents
	// Err says why nothing in it counts: it is forged or unreadable.
	Err  error
	Done Done
}

// Parse reads and verifies a bundle, which must be valid as the options say.
func Parse(file string, text []byte, o sgx.Options) Bundle {
	b := Bundle{File: file}
	b.Collateral, b.Err = sgx.ParseBundle(text)
	return b.verified(o)
}

// verified is the bundle as of other options.
func (b Bundle) verified(o sgx.Options) Bundle {
	if b.Err != nil {
		return b
	}
	v, err := sgx.NewVerifier(b.Collateral, o)
	if err != nil {
		b.Err = err
		return b
	}
	b.Contents, b.Err = v.Contents()
	return b
}

// Findings are those of the collateral. Forged or unreadable collateral is itself a
// finding.
func (b Bundle) Findings() check.Report {
	if b.Err == nil {
		return b.Contents.Findings
	}
	code := sgx.CollateralUnreadable
	var refusal *sgx.Refusal
	if errors.As(b.Err, &refusal) {
		code = refusal.Code
	}
	hint := "Throw it away, and fetch it again with {collateral fetch}."
	if form := b.unread(); form != nil {
		hint = form.Hint()
	}
	return check.Report{{
		ID: string(code), Title: "everything in the collateral is readable, and signed under the trusted root",
		Outcome: check.Fail, Reason: b.Err.Error(), Hint: hint,
	}}
}

// unread is why a bundle is in no form that is read, or nil.
func (b Bundle) unread() *sgx.FormError {
	form, _ := errors.AsType[*sgx.FormError](b.Err)
	return form
}

// Readable returns an error that says what is wrong with the form of bundles, if none of
// them is in one that is read. What can be read of others is worth saying.
func Readable(all []Bundle) error {
	var problems []error
	for _, b := range all {
		form := b.unread()
		if form == nil {
			return nil
		}
		problems = append(problems, fmt.Errorf("%s: %w", b.File, b.Err))
	}
	return errors.Join(problems...)
}

// Problems are the findings that are neither a pass nor accepted, in one line, or nil.
func (b Bundle) Problems() error {
	if b.Err != nil {
		return b.Err
	}
	if b.Contents.Findings.Verdict().Accepted() {
		return nil
	}
	var all []string
	for _, f := range b.Contents.Findings {
		if f.Outcome == check.Fail || f.Outcome == check.Skip {
			all = append(all, f.Reason)
		}
	}
	return errors.New(strings.Join(all, "; "))
}

// Exportable refuses to pass on what is forged, revoked or not current. What cannot be
// shown because a part is missing may be passed on: nobody takes it for more.
func (b Bundle) Exportable() error {
	if b.Err == nil && b.Contents.Findings.Verdict() != check.Contraindicated {
		return nil
	}
	return refuse(b.File, "Fetch current collateral with {collateral fetch}, or name another time or a grace period.", "it is not exported: %w", b.Problems())
}

// isFor reports whether the bundle is for the family and the CA of a request.
func (b Bundle) isFor(r Request) bool { return b.Contents.FMSPC == r.FMSPC && b.Contents.CA == r.CA }

// has reports whether both documents are of the evaluation that is asked for.
func (b Bundle) has(evaluation int) bool {
	return evaluation == 0 || b.Contents.EvaluationDataNumber == evaluation && b.Contents.QEEvaluationDataNumber == evaluation
}

// Names are the names of the bundles.
func Names(all []Bundle) []string {
	var names []string
	for _, b := range all {
		names = append(names, b.File)
	}
	return names
}
