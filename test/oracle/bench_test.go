package oracle

import (
	"testing"

	"github.com/confidb/confidb/pkg/sgx"
)

// Both get the same: one quote and the answers of PCS as bytes, nothing parsed
// before, and end with a judgement. The case is bestCase, since oasis-core stops before the
// quote's signature where it does not accept the status. Ours checks both
// revocation lists in addition, except in BenchmarkOursWithoutCRLs, which does what
// oasis-core does. Both in one run: go test -run '^$' -bench .

func BenchmarkOurs(b *testing.B) { benchmarkOurs(b, realInputs(b)[bestCase]) }

func BenchmarkOursWithoutCRLs(b *testing.B) {
	in := realInputs(b)[bestCase]
	in.collateral.RootCRL, in.collateral.PCKCRL = nil, nil
	benchmarkOurs(b, in)
}

func benchmarkOurs(b *testing.B, in input) {
	options := in.options(b)
	b.ReportAllocs()
	for b.Loop() {
		r, err := sgx.Verify(in.quote, &in.collateral, options)
		if err != nil || r.Status != sgx.SWHardeningNeeded {
			b.Fatal(r, err)
		}
	}
}

// BenchmarkOursFleet is one more quote of a platform that a Verifier knows.
// oasis-core has nothing to compare it with.
func BenchmarkOursFleet(b *testing.B) {
	in := realInputs(b)[bestCase]
	v := fleetOf(b, in)
	b.ReportAllocs()
	for b.Loop() {
		if r, err := v.Verify(in.quote); err != nil || r.Status != sgx.SWHardeningNeeded {
			b.Fatal(r, err)
		}
	}
}

func BenchmarkOasis(b *testing.B) {
	in := realInputs(b)[bestCase]
	b.ReportAllocs()
	for b.Loop() {
		if _, err := oasisVerify(in); err != nil {
			b.Fatal(err)
		}
	}
}
