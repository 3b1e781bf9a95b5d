package sgx_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/confidb/confidb/internal/sgxmint"
	"github.com/confidb/confidb/pkg/sgx"
)

// What the certificate in a quote claims is what the authority wrote into it. A quote
// without one claims nothing.
func TestQuotePCK(t *testing.T) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	a, err := sgxmint.NewAuthority(now)
	if err != nil {
		t.Fatal(err)
	}
	p, err := sgxmint.NewPlatform(a, now)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := p.Quote(sgx.ReportBody{})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*sgx.Quote)
		code   sgx.Code
	}{
		"as it is":          {func(*sgx.Quote) {}, ""},
		"a leaf alone":      {func(q *sgx.Quote) { q.CertificationType = sgx.PCKLeaf }, ""},
		"an encrypted PPID": {func(q *sgx.Quote) { q.CertificationType = sgx.PPIDRSA3072 }, sgx.QuoteWithoutPCK},
		"nothing":           {func(q *sgx.Quote) { q.CertificationData = nil }, sgx.PCKChainInvalid},
		"half of it":        {func(q *sgx.Quote) { q.CertificationData = q.CertificationData[:300] }, sgx.PCKChainInvalid},
		"something behind":  {func(q *sgx.Quote) { q.CertificationData = append(slices.Clone(q.CertificationData), 'x') }, sgx.PCKChainInvalid},
		"another one":       {func(q *sgx.Quote) { q.CertificationData = a.RootPEM() }, sgx.PCKExtensionUnreadable},
	} {
		q, err := sgx.ParseQuote(raw)
		if err != nil {
			t.Fatal(err)
		}
		c.change(q)
		pck, err := q.PCK()
		if c.code == "" {
			if err != nil || pck.FMSPC != a.FMSPC {
				t.Errorf("%s: got %+v and %v", name, pck, err)
			}
			continue
		}
		var refusal *sgx.Refusal
		if !errors.As(err, &refusal) || refusal.Code != c.code || pck != nil {
			t.Errorf("%s: got %+v and %v, want %s", name, pck, err, c.code)
		}
	}
}
