// Package flags holds the flags of the verbs, one file for each group. A group knows
// how to register itself, and resolves what the user gave to options of the rooms
// below, in their own types. It decides nothing else.
package flags

import (
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/files"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/plugin/internal/cli"
)

// Root is the flag that names another root than Intel's.
type Root struct {
	// File is a PEM certificate; empty means Intel's root.
	File string
}

// AddFlags registers the flag.
func (r *Root) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&r.File, "sgx-root-ca", "", "PEM root certificate to use instead of Intel's; the result is then simulated")
}

// Resolve reads the certificate.
func (r Root) Resolve() (sgx.Roots, error) {
	if r.File == "" {
		return sgx.IntelRoot(), nil
	}
	text, err := files.Read(r.File)
	if err != nil {
		return sgx.Roots{}, fmt.Errorf("--sgx-root-ca: %w", err)
	}
	roots, err := sgx.RootFromPEM(text)
	if err != nil {
		return sgx.Roots{}, fmt.Errorf("--sgx-root-ca: %s: %w", r.File, err)
	}
	return roots, nil
}

// Time is the flag that names another time than now.
type Time struct{ at string }

// AddFlags registers the flag.
func (t *Time) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&t.at, "at", "", "time of the verification, RFC 3339 (default now)")
}

// Resolve returns the time that was given, or else now.
func (t Time) Resolve(now time.Time) (time.Time, error) {
	if t.at == "" {
		return now, nil
	}
	at, err := time.Parse(time.RFC3339, t.at)
	if err != nil {
		return at, cli.NewUsageError("--at: got %q, want RFC 3339, such as 2026-11-25T12:00:00Z", t.at)
	}
	return at, nil
}

// Freshness are the flags that say how old collateral may be.
type Freshness struct{ values attest.Freshness }

// AddFlags registers the flags.
func (f *Freshness) AddFlags(flags *pflag.FlagSet) {
	flags.DurationVar(&f.values.Grace, "collateral-grace", 0, "how long collateral is used after its next update was due; the verdict is then a warning")
	flags.DurationVar(&f.values.MaxAge, "max-collateral-age", 0, "refuse a TCB info or QE identity that was issued longer ago (default: their own dates count)")
}

// AddMinimum registers the flag of verbs that compare with one evaluation of Intel's.
func (f *Freshness) AddMinimum(flags *pflag.FlagSet) {
	flags.IntVar(&f.values.MinEvaluationNumber, "min-tcb-evaluation-number", 0, "refuse collateral of an older evaluation of Intel's")
}

// Resolve refuses bounds below zero.
func (f Freshness) Resolve() (attest.Freshness, error) {
	if v := f.values; v.Grace < 0 || v.MaxAge < 0 || v.MinEvaluationNumber < 0 {
		return attest.Freshness{}, cli.NewUsageError("--collateral-grace, --max-collateral-age and --min-tcb-evaluation-number: want none below zero")
	}
	return f.values, nil
}

// Verification are the flags that say as of when, under which root and how fresh
// collateral must be. A verb that has only some of them registers those.
type Verification struct {
	Time      Time
	Root      Root
	Freshness Freshness
}

// AddFlags registers all but the least evaluation number.
func (v *Verification) AddFlags(flags *pflag.FlagSet) {
	v.Time.AddFlags(flags)
	v.Root.AddFlags(flags)
	v.Freshness.AddFlags(flags)
}

// Resolve returns the options of a verification that begins now.
func (v Verification) Resolve(now time.Time) (sgx.Options, error) {
	freshness, err := v.Freshness.Resolve()
	if err != nil {
		return sgx.Options{}, err
	}
	at, err := v.Time.Resolve(now)
	if err != nil {
		return sgx.Options{}, err
	}
	roots, err := v.Root.Resolve()
	if err != nil {
		return sgx.Options{}, err
	}
	return freshness.Options(at, roots), nil
}
