package sgx_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/confidb/confidb/internal/sgxmint"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/sgx"
)

var mintedAt = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// minted is a platform with its collateral.
type minted struct {
	authority *sgxmint.Authority
	platform  *sgxmint.Platform
	files     map[string][]byte
	quote     []byte
}

func mint(t testing.TB, change func(*sgxmint.Authority, *sgxmint.Platform)) minted {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	a, err := sgxmint.NewAuthority(mintedAt)
	must(err)
	p, err := sgxmint.NewPlatform(a, mintedAt)
	must(err)
	if change != nil {
		change(a, p)
	}
	files, err := a.CollateralFiles(mintedAt)
	must(err)
	quote, err := p.Quote(sgx.ReportBody{MRENCLAVE: sgx.Measurement{1}, Attributes: [16]byte{5}})
	must(err)
	return minted{a, p, files, quote}
}

func (m minted) verify(t testing.TB, quote []byte, at time.Time) (*sgx.Result, error) {
	t.Helper()
	set, err := sgx.CollateralFromFiles(m.files)
	if err != nil {
		return nil, err
	}
	roots, err := sgx.RootFromPEM(m.authority.RootPEM())
	if err != nil {
		t.Fatal(err)
	}
	return sgx.Verify(quote, set[0], sgx.Options{Time: at, Roots: roots})
}

func TestMintedStatus(t *testing.T) {
	for _, c := range []struct{ platform, qe, want sgx.TCBStatus }{
		{sgx.UpToDate, sgx.UpToDate, sgx.UpToDate},
		{sgx.SWHardeningNeeded, sgx.UpToDate, sgx.SWHardeningNeeded},
		{sgx.ConfigurationAndSWHardeningNeeded, sgx.UpToDate, sgx.ConfigurationAndSWHardeningNeeded},
		{sgx.OutOfDate, sgx.UpToDate, sgx.OutOfDate},
		{sgx.UpToDate, sgx.OutOfDate, sgx.OutOfDate},
		{sgx.SWHardeningNeeded, sgx.OutOfDate, sgx.OutOfDate},
		{sgx.ConfigurationNeeded, sgx.OutOfDate, sgx.OutOfDateConfigurationNeeded},
		{sgx.ConfigurationAndSWHardeningNeeded, sgx.OutOfDate, sgx.OutOfDateConfigurationNeeded},
		{sgx.OutOfDateConfigurationNeeded, sgx.OutOfDate, sgx.OutOfDateConfigurationNeeded},
		{sgx.UpToDate, sgx.SWHardeningNeeded, sgx.OutOfDate}, // of a QE everything else is out of date
		{sgx.ConfigurationNeeded, sgx.ConfigurationNeeded, sgx.OutOfDateConfigurationNeeded},
		{sgx.UpToDate, sgx.Revoked, sgx.Revoked},
		{sgx.Revoked, sgx.UpToDate, sgx.Revoked},
	} {
		m := mint(t, func(a *sgxmint.Authority, _ *sgxmint.Platform) { a.Status, a.QEStatus = c.platform, c.qe })
		r, err := m.verify(t, m.quote, mintedAt)
		if err != nil {
			t.Fatal(err)
		}
		if r.Status != c.want || !r.Simulated || r.Findings.Verdict() != check.Affirming {
			t.Errorf("%s and %s: got %s, simulated %v, %s; want %s", c.platform, c.qe, r.Status, r.Simulated, r.Findings.Verdict(), c.want)
		}
	}
}

func TestRevocationAndAge(t *testing.T) {
	serial := func(text []byte) *big.Int {
		block, _ := pem.Decode(text)
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		return c.SerialNumber
	}
	revoke := func(of func(*sgxmint.Authority, *sgxmint.Platform) []byte) func(*sgxmint.Authority, *sgxmint.Platform) {
		return func(a *sgxmint.Authority, p *sgxmint.Platform) { a.Revoked = []*big.Int{serial(of(a, p))} }
	}
	certificate := func(i sgxmint.Issuer) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.Certificate})
	}
	for name, c := range map[string]struct {
		change  func(*sgxmint.Authority, *sgxmint.Platform)
		without string
		at      time.Time
		finding string
		want    check.Outcome
	}{
		"PCK revoked":        {revoke(func(_ *sgxmint.Authority, p *sgxmint.Platform) []byte { return p.Chain }), "", mintedAt, "pck-crl", check.Fail},
		"PCK CA revoked":     {revoke(func(a *sgxmint.Authority, _ *sgxmint.Platform) []byte { return certificate(a.PCKCA) }), "", mintedAt, "root-crl", check.Fail},
		"TCB signer revoked": {revoke(func(a *sgxmint.Authority, _ *sgxmint.Platform) []byte { return certificate(a.TCBSigner) }), "", mintedAt, "root-crl", check.Fail},
		"no root CRL":        {nil, "rootCaCrl.der", mintedAt, "root-crl", check.Skip},
		"no PCK CRL":         {nil, "pckCaCrl.der", mintedAt, "pck-crl", check.Skip},
		"no TCB info":        {nil, "tcbInfo.json", mintedAt, "tcb-info", check.Skip},
		"no QE identity":     {nil, "qeIdentity.json", mintedAt, "qe-identity", check.Skip},
		"no signing chain":   {nil, "tcbSignChain.pem", mintedAt, "tcb-info", check.Skip},
		"stale TCB info":     {nil, "", mintedAt.AddDate(0, 2, 0), "tcb-info-validity", check.Fail},
		"stale QE identity":  {nil, "", mintedAt.AddDate(0, 2, 0), "qe-identity-validity", check.Fail},
		"stale CRL":          {nil, "", mintedAt.AddDate(0, 2, 0), "pck-crl", check.Fail},
		"clock set back":     {nil, "", mintedAt.AddDate(-1, 0, 0), "tcb-info-validity", check.Fail},
		"chain expired":      {nil, "", mintedAt.AddDate(8, 0, 0), "pck-chain-validity", check.Fail},
	} {
		t.Run(name, func(t *testing.T) {
			m := mint(t, c.change)
			delete(m.files, c.without)
			r, err := m.verify(t, m.quote, c.at)
			if err != nil {
				t.Fatalf("it is not forged, so it must be judged: %v", err)
			}
			if f, ok := r.Findings.Find(c.finding); !ok || f.Outcome != c.want || f.Reason == "" || f.Hint == "" {
				t.Errorf("finding %s: got %+v, want %s with reason and hint", c.finding, f, c.want)
			}
			if v := r.Findings.Verdict(); v == check.Affirming || v == check.Warning {
				t.Errorf("verdict %s", v)
			}
		})
	}
}

func TestForeignParts(t *testing.T) {
	ours, theirs := mint(t, nil), mint(t, nil)
	for name, c := range map[string]struct {
		file, want string
	}{
		"TCB info of another authority":    {"tcbInfo.json", "signature"},
		"QE identity of another authority": {"qeIdentity.json", "signature"},
		"signing chain of another root":    {"tcbSignChain.pem", "not the trusted root"},
	} {
		m := ours
		m.files = map[string][]byte{}
		for k, v := range ours.files {
			m.files[k] = v
		}
		m.files[c.file] = theirs.files[c.file]
		if _, err := m.verify(t, m.quote, mintedAt); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, c.want)
		}
	}
	if _, err := ours.verify(t, theirs.quote, mintedAt); err == nil {
		t.Error("a quote under another root was verified")
	}
}

// The PCK certificate of the platform must not pass as TCB signer, nor the other
// way round, although both chains end in the root.
func TestRoleConfusion(t *testing.T) {
	m := mint(t, nil)
	m.files["tcbSignChain.pem"] = m.platform.Chain
	if _, err := m.verify(t, m.quote, mintedAt); err == nil {
		t.Error("the PCK chain was taken as TCB signing chain")
	}
}

// One changed bit never verifies, unless it changes no decoded value.
func TestEveryByteOfAMintedCase(t *testing.T) {
	m := mint(t, nil)
	if r, err := m.verify(t, m.quote, mintedAt); err != nil || r.Findings.Verdict() != check.Affirming {
		t.Fatalf("the unchanged case: %v, %v", r, err)
	}
	t.Run("quote", func(t *testing.T) {
		for i := range m.quote {
			changed := bytes.Clone(m.quote)
			changed[i] ^= 0x01
			r, err := m.verify(t, changed, mintedAt)
			if err == nil && r.Findings.Verdict() == check.Affirming && !samePEM(r.Quote.CertificationData, m.platform.Chain) {
				t.Fatalf("byte %d changed and the quote was verified", i)
			}
		}
	})
	for _, name := range []string{"tcbInfo.json", "qeIdentity.json", "rootCaCrl.der", "pckCaCrl.der"} {
		t.Run(name, func(t *testing.T) {
			original := m.files[name]
			defer func() { m.files[name] = original }()
			for i := range original {
				changed := bytes.Clone(original)
				changed[i] ^= 0x01
				m.files[name] = changed
				r, err := m.verify(t, m.quote, mintedAt)
				if err == nil && r.Findings.Verdict() == check.Affirming {
					t.Fatalf("byte %d (%q to %q) changed and the quote was verified", i, original[i], changed[i])
				}
			}
		})
	}
}

// samePEM reports whether two texts hold the same certificates.
func samePEM(a, b []byte) bool {
	for {
		var x, y *pem.Block
		x, a = pem.Decode(a)
		y, b = pem.Decode(b)
		if x == nil || y == nil {
			return x == nil && y == nil
		}
		if !bytes.Equal(x.Bytes, y.Bytes) {
			return false
		}
	}
}

func FuzzCollateral(f *testing.F) {
	m := mint(f, nil)
	f.Add(m.files["tcbInfo.json"], m.files["qeIdentity.json"], m.files["pckCaCrl.der"])
	f.Fuzz(func(t *testing.T, tcb, qe, crl []byte) {
		changed := !bytes.Equal(tcb, m.files["tcbInfo.json"]) || !bytes.Equal(qe, m.files["qeIdentity.json"])
		n := m
		n.files = map[string][]byte{"tcbInfo.json": tcb, "qeIdentity.json": qe, "pckCaCrl.der": crl, "rootCaCrl.der": m.files["rootCaCrl.der"], "tcbSignChain.pem": m.files["tcbSignChain.pem"]}
		r, err := n.verify(t, m.quote, mintedAt)
		if err == nil && changed && r.Status != sgx.UpToDate {
			t.Errorf("documents that nobody signed gave status %s", r.Status)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	m := mint(b, nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.verify(b, m.quote, mintedAt); err != nil {
			b.Fatal(err)
		}
	}
}
