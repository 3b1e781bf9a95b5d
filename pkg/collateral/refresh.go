package collateral

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/confidb/confidb/pkg/sgx"
)

// Origin is where collateral is fetched from: a service, or Carried bundles.
type Origin interface {
	// Fetch returns collateral, of which nothing is verified yet.
	Fetch(context.Context, Request) (*sgx.Collateral, error)
}

// Folder holds the bundles of a user, by the names of their requests.
type Folder interface {
	// File is what the user calls a bundle.
	File(name string) string
	// Read returns a bundle, and whether there is one of this name.
	Read(name string) (text []byte, found bool, err error)
	// Replace writes a bundle as a whole.
	Replace(name string, text []byte) error
}

// Refresh brings bundles up to date. What is forged, not current, not what was asked
// for, or older than what is there is never written.
type Refresh struct {
	Origin Origin
	Folder Folder
	// Options say when bundles must be valid, and under which root.
	Options sgx.Options
	// Keep leaves a bundle alone that is current and was issued not longer ago than
	// this; zero always fetches.
	Keep time.Duration
}

// All brings the bundles of all requests up to date. A bundle that cannot be fetched
// does not stop the others from being written: both the bundles and the errors of the
// others are returned.
func (r Refresh) All(ctx context.Context, wanted []Request) ([]Bundle, error) {
	var all []Bundle
	var problems []error
	for _, request := range wanted {
		b, err := r.One(ctx, request)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		all = append(all, b)
	}
	return all, errors.Join(problems...)
}

// One fetches one bundle, unless a young one is there, and writes it.
func (r Refresh) One(ctx context.Context, wanted Request) (Bundle, error) {
	had, err := r.there(wanted)
	if err != nil {
		return Bundle{}, err
	}
	if had != nil && r.young(had, wanted) {
		had.Done = Kept
		return *had, nil
	}
	file := r.Folder.File(wanted.Name())
	c, err := r.Origin.Fetch(ctx, wanted)
	if err != nil {
		return Bundle{}, fmt.Errorf("%s: %w", file, err)
	}
	text, err := c.Bundle()
	if err != nil {
		return Bundle{}, refuse(file, servedHint, "what is served is not used: %w", err)
	}
	got := Parse(file, text, r.Options) // exactly what will be read
	if err := got.checkServed(wanted); err != nil {
		return Bundle{}, err
	}
	if had != nil {
		if err := got.checkRollback(had); err != nil {
			return Bundle{}, err
		}
	}
	if err := r.Folder.Replace(wanted.Name(), text); err != nil {
		return Bundle{}, fmt.Errorf("writing %s: %w", file, err)
	}
	got.Done = Written
	return got, nil
}

// there reads the bundle that is there already, or returns nil. Whatever is wrong with
// it but its age is for the user to look at: it would be replaced by something that
// cannot be compared with it.
func (r Refresh) there(wanted Request) (*Bundle, error) {
	text, found, err := r.Folder.Read(wanted.Name())
	if err != nil {
		return nil, fmt.Errorf("reading the bundle that is there: %w", err)
	}
	if !found {
		return nil, nil
	}
	b := Parse(r.Folder.File(wanted.Name()), text, r.Options)
	if b.Err == nil && !b.isFor(wanted) {
		b.Err = fmt.Errorf("got FMSPC %x and CA %q, want %x and %q as its name says", b.Contents.FMSPC, b.Contents.CA, wanted.FMSPC, wanted.CA)
	}
	if b.Err != nil {
		return nil, refuse(b.File, "Move it away, or write into another folder.", "the bundle that is there cannot be used: %w", b.Err)
	}
	return &b, nil
}

// young reports whether a bundle is what is asked for and not yet worth a request.
// Whoever asks for the early update wants the news of today.
func (r Refresh) young(had *Bundle, wanted Request) bool {
	if r.Keep <= 0 || wanted.Update == "early" || !had.has(wanted.EvaluationDataNumber) {
		return false
	}
	o := r.Options
	o.MaxAge = r.Keep
	return had.verified(o).Problems() == nil
}

// servedHint is the next step when a service does not serve what it should.
const servedHint = "Fetch again later, or from another service; a PCCS may have to refresh its cache."

// checkServed refuses what is forged, not current, or not what was asked for.
func (b Bundle) checkServed(wanted Request) error {
	if err := b.Problems(); err != nil {
		return refuse(b.File, servedHint, "what is served is not used: %w", err)
	}
	c := &b.Contents
	switch {
	case !b.isFor(wanted):
		return refuse(b.File, servedHint, "what is served is for FMSPC %x and the %s CA, want %x and %s", c.FMSPC, c.CA, wanted.FMSPC, wanted.CA)
	case !b.has(wanted.EvaluationDataNumber):
		return refuse(b.File, servedHint, "what is served has the evaluation numbers %d (TCB info) and %d (QE identity), want %d", c.EvaluationDataNumber, c.QEEvaluationDataNumber, wanted.EvaluationDataNumber)
	}
	return nil
}

// checkRollback refuses to replace a part by an older one, under which a platform may
// look better, or a revoked certificate valid.
func (b Bundle) checkRollback(had *Bundle) error {
	const hint = "Fetch again later, or from another service; to go back on purpose, write into another folder."
	for _, number := range []struct {
		of       string
		old, new int
	}{
		{"TCB info", had.Contents.EvaluationDataNumber, b.Contents.EvaluationDataNumber},
		{"QE identity", had.Contents.QEEvaluationDataNumber, b.Contents.QEEvaluationDataNumber},
	} {
		if number.new < number.old {
			return refuse(b.File, hint, "going back is refused: the evaluation number of the %s is %d, want at least %d as in the bundle that is there", number.of, number.new, number.old)
		}
	}
	for _, part := range []string{"tcb-info", "qe-identity", "root-crl", "pck-crl"} {
		before, known := had.Contents.Validity(part)
		after, _ := b.Contents.Validity(part)
		if known && after.From.Before(before.From) {
			return refuse(b.File, hint, "going back is refused: %s was issued on %s, want %s or later as in the bundle that is there", part, day(after.From), day(before.From))
		}
	}
	return nil
}

func day(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Error says why a bundle is not used.
type Error struct {
	// File is the bundle that would be written, or that was read.
	File string
	err  error
	hint string
}

func refuse(file, hint, format string, arguments ...any) error {
	return &Error{File: file, err: fmt.Errorf(format, arguments...), hint: hint}
}

func (e *Error) Error() string { return e.File + ": " + e.err.Error() }

// Unwrap returns the error inside.
func (e *Error) Unwrap() error { return e.err }

// Hint says what to do.
func (e *Error) Hint() string { return e.hint }

// ExitCode is that of work that could not be done, also where a bundle is in no form that
// is read: it is not what the user gave.
func (e *Error) ExitCode() int { return 1 }
