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

// Verification are the flags that say as of when, under which root and how fresh
// collateral must be. A verb that has only some of them registers those.
type Verification struct {
	// RootCA is a file with a PEM certificate; empty means Intel's root.
	RootCA string

	at        string
	freshness attest.Freshness
}

// AddFlags registers all but the least evaluation number.
func (v *Verification) AddFlags(flags *pflag.FlagSet) {
	v.AddTime(flags)
	v.AddRoot(flags)
	flags.DurationVar(&v.freshness.Grace, "collateral-grace", 0, "how long collateral is used after its next update was due; the verdict is then a warning")
	flags.DurationVar(&v.freshness.MaxAge, "max-collateral-age", 0, "refuse a TCB info or QE identity that was issued longer ago (default: their own dates count)")
}

// AddTime registers the flag that names another time than now.
func (v *Verification) AddTime(flags *pflag.FlagSet) {
	flags.StringVar(&v.at, "at", "", "time of the verification, RFC 3339 (default now)")
}

// AddRoot registers the flag that names another root than Intel's.
func (v *Verification) AddRoot(flags *pflag.FlagSet) {
	flags.StringVar(&v.RootCA, "sgx-root-ca", "", "PEM root certificate to use instead of Intel's; the result is then simulated")
}

// AddMinimum registers the flag of verbs that compare with one evaluation of Intel's.
func (v *Verification) AddMinimum(flags *pflag.FlagSet) {
	flags.IntVar(&v.freshness.MinEvaluationNumber, "min-tcb-evaluation-number", 0, "refuse collateral of an older evaluation of Intel's")
}

// Resolve returns the options of a verification that begins now.
func (v *Verification) Resolve(now time.Time) (sgx.Options, error) {
	if f := v.freshness; f.Grace < 0 || f.MaxAge < 0 || f.MinEvaluationNumber < 0 {
		return sgx.Options{}, cli.NewUsageError("--collateral-grace, --max-collateral-age and --min-tcb-evaluation-number: want none below zero")
	}
	if v.at != "" {
		at, err := time.Parse(time.RFC3339, v.at)
		if err != nil {
			return sgx.Options{}, cli.NewUsageError("--at: got %q, want RFC 3339, such as 2026-11-25T12:00:00Z", v.at)
		}
		now = at
	}
	_, roots, err := readRoot(v.RootCA)
	if err != nil {
		return sgx.Options{}, err
	}
	return v.freshness.Options(now, roots), nil
}

// readRoot reads the certificate that takes the place of Intel's root, which is trusted
// when no file is named. Nothing is when it cannot be read.
func readRoot(file string) (text []byte, roots sgx.Roots, err error) {
	if file == "" {
		return nil, sgx.IntelRoot(), nil
	}
	if text, err = files.Read(file); err != nil {
		return nil, sgx.Roots{}, fmt.Errorf("--sgx-root-ca: %w", err)
	}
	if roots, err = sgx.RootFromPEM(text); err != nil {
		return nil, sgx.Roots{}, fmt.Errorf("--sgx-root-ca: %s: %w", file, err)
	}
	return text, roots, nil
}
