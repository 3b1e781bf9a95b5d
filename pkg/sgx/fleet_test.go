package sgx_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"testing"
	"time"

	"github.com/confidb/confidb/internal/sgxmint"
	"github.com/confidb/confidb/pkg/sgx"
)

// fleet is 5,000 quotes of one processor family, of 500 machines that Intel
// certified, ten quotes each.
type fleet struct {
	verifier func() *sgx.Verifier
	quotes   [][]byte
	machines int
}

func newFleet(tb testing.TB) fleet {
	tb.Helper()
	const machines, each = 500, 10
	m := mint(tb, nil)
	f := fleet{machines: machines}
	for range machines {
		p, err := sgxmint.NewPlatform(m.authority, mintedAt)
		if err != nil {
			tb.Fatal(err)
		}
		for n := range each {
			quote, err := p.Quote(sgx.ReportBody{MRENCLAVE: sgx.Measurement{byte(n)}, Attributes: [16]byte{5}})
			if err != nil {
				tb.Fatal(err)
			}
			f.quotes = append(f.quotes, quote)
		}
	}
	set, err := sgx.CollateralFromFiles(m.files)
	if err != nil {
		tb.Fatal(err)
	}
	roots, err := sgx.RootFromPEM(m.authority.RootPEM())
	if err != nil {
		tb.Fatal(err)
	}
	f.verifier = func() *sgx.Verifier {
		v, err := sgx.NewVerifier(set[0], sgx.Options{Time: mintedAt, Roots: roots})
		if err != nil {
			tb.Fatal(err)
		}
		return v
	}
	return f
}

// BenchmarkFleet verifies a fleet with one Verifier. x-of-bound is its time by that of
// what nobody can leave out: two P-256 verifications for each quote and one for each
// distinct PCK certificate, measured in the same run. The bar is 1.25.
func BenchmarkFleet(b *testing.B) {
	f := newFleet(b)
	single := p256Verification(b)
	bound := time.Duration(2*len(f.quotes)+f.machines) * single
	b.ReportAllocs()
	for b.Loop() {
		v := f.verifier()
		for _, quote := range f.quotes {
			if _, err := v.Verify(quote); err != nil {
				b.Fatal(err)
			}
		}
	}
	each := b.Elapsed() / time.Duration(b.N)
	b.ReportMetric(float64(each)/float64(bound), "x-of-bound")
	b.ReportMetric(float64(each.Nanoseconds())/float64(len(f.quotes)), "ns/quote")
	b.ReportMetric(float64(single.Nanoseconds()), "ns/p256")
}

// p256Verification measures one verification, as long as a second of them takes.
func p256Verification(b *testing.B) time.Duration {
	b.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	digest := sha256.Sum256([]byte("confidb"))
	signature, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	if err != nil {
		b.Fatal(err)
	}
	count, begin := 0, time.Now()
	for time.Since(begin) < time.Second {
		if !ecdsa.VerifyASN1(&key.PublicKey, digest[:], signature) {
			b.Fatal("a good signature is refused")
		}
		count++
	}
	return time.Since(begin) / time.Duration(count)
}

// A fleet is verified as its quotes are one by one.
func TestFleetSaysTheSame(t *testing.T) {
	f := newFleet(t)
	v := f.verifier()
	for i := 0; i < len(f.quotes); i += 97 {
		together, err := v.Verify(f.quotes[i])
		if err != nil {
			t.Fatal(err)
		}
		alone, err := f.verifier().Verify(f.quotes[i])
		if err != nil {
			t.Fatal(err)
		}
		if together.Status != alone.Status || together.Quote.Report != alone.Quote.Report || together.Platform.PPID != alone.Platform.PPID {
			t.Errorf("quote %d: %+v, alone %+v", i, together, alone)
		}
	}
	broken := append([]byte{}, f.quotes[1]...)
	broken[100] ^= 1
	if _, err := v.Verify(broken); err == nil {
		t.Error("a changed quote of a machine that was seen before is accepted")
	}
}
