package oracle

import (
	"testing"

	"github.com/confidb/confidb/pkg/sgx"
)

// Both get the same: one quote and the answers of PCS as bytes, nothing parsed
// before, and end with a judgement. The cases are those of bestInputs, since
// oasis-core stops before the quote's signature where it does not accept the status.
// Ours checks both revocation lists in addition, except in
// BenchmarkOursWithoutCRLs, which does what oasis-core does. Both in one run:
// go test -run '^$' -bench .

// eachBest runs a benchmark with each of the best inputs.
func eachBest(b *testing.B, benchmark func(*testing.B, input)) {
	for kind, in := range bestInputs(b) {
		b.Run(kind, func(b *testing.B) {
			b.ReportAllocs()
			benchmark(b, in)
		})
	}
}

func BenchmarkOurs(b *testing.B) { eachBest(b, benchmarkOurs) }

func BenchmarkOursWithoutCRLs(b *testing.B) {
	eachBest(b, func(b *testing.B, in input) {
		in.collateral.RootCRL, in.collateral.PCKCRL = nil, nil
		benchmarkOurs(b, in)
	})
}

func benchmarkOurs(b *testing.B, in input) {
	options := in.options(b)
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
	eachBest(b, func(b *testing.B, in input) {
		v := fleetOf(b, in)
		for b.Loop() {
			if r, err := v.Verify(in.quote); err != nil || r.Status != sgx.SWHardeningNeeded {
				b.Fatal(r, err)
			}
		}
	})
}

func BenchmarkOasis(b *testing.B) {
	eachBest(b, func(b *testing.B, in input) {
		if len(in.root) > 0 {
			defer swapOasisRoot(b, in.root)()
		}
		for b.Loop() {
			if _, err := oasisVerify(in); err != nil {
				b.Fatal(err)
			}
		}
	})
}
