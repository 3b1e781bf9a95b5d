package outside_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	mathrand "math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/outside"
)

const name = "confidb-outside-report"

func made(t *testing.T, now time.Time, lasts time.Duration) *outside.Identity {
	t.Helper()
	i, err := outside.New(rand.Reader, name, now, lasts)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// TestBounds: whatever time is asked for, what is made ends in it, is accepted, and tells
// nobody a secret.
func TestBounds(t *testing.T) {
	seen := map[string]bool{}
	for range 200 {
		now := time.Unix(mathrand.Int64N(4_000_000_000), mathrand.Int64N(1e9))
		lasts := time.Minute + time.Duration(mathrand.Int64N(int64(outside.MaxTime-time.Minute)))
		i := made(t, now, lasts)
		c := i.Client("bi", "a report")
		leaf, err := c.Leaf(name)
		if err != nil || c.Check(name) != nil || i.Check(name) != nil {
			t.Fatalf("at %v for %v: %v, %v", now, lasts, err, i.Check(name))
		}
		switch {
		case leaf.NotAfter.After(now.Add(lasts)) || leaf.NotAfter.Before(now.Add(lasts-time.Second)) || leaf.NotBefore.After(now) || now.Sub(leaf.NotBefore) > 11*time.Minute:
			t.Errorf("at %v for %v: from %v to %v", now, lasts, leaf.NotBefore, leaf.NotAfter)
		case outside.Lasts(leaf).Round(2*time.Second) != lasts.Round(2*time.Second) && (outside.Lasts(leaf)-lasts).Abs() > 2*time.Second:
			t.Errorf("it lasts %v, want %v", outside.Lasts(leaf), lasts)
		case leaf.IsCA || leaf.KeyUsage&x509.KeyUsageCertSign != 0 || seen[leaf.SerialNumber.String()] || leaf.SerialNumber.BitLen() != 127 || seen[i.Password]:
			t.Errorf("got CA %t, usage %v, serial %v", leaf.IsCA, leaf.KeyUsage, leaf.SerialNumber)
		case c.Ended(leaf.NotAfter) || !c.Ended(leaf.NotAfter.Add(time.Second)) || !c.Ends().Equal(leaf.NotAfter):
			t.Errorf("it ends at %v, and not at %v", c.Ends(), leaf.NotAfter)
		}
		seen[leaf.SerialNumber.String()], seen[i.Password] = true, true
		block, _ := pem.Decode(i.Key)
		key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		secret, err := key.(*ecdsa.PrivateKey).Bytes()
		if err != nil || bytes.Contains(leaf.Raw, secret) || strings.Contains(c.Certificate+c.Hash, i.Password) {
			t.Fatalf("what everybody may know holds a secret: %v", err)
		}
	}
}

// TestForeignCertificates: what this program does not make is not accepted as if it had.
func TestForeignCertificates(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	wide, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := func() *x509.Certificate {
		return &x509.Certificate{SerialNumber: big.NewInt(1 << 40), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour),
			KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true}
	}
	for what, c := range map[string]struct {
		change func(c, parent *x509.Certificate)
		key    *ecdsa.PrivateKey
		good   bool
	}{
		"one of ours":       {func(c, _ *x509.Certificate) {}, key, true},
		"a CA":              {func(c, _ *x509.Certificate) { c.IsCA = true }, key, false},
		"one that may sign": {func(c, _ *x509.Certificate) { c.KeyUsage |= x509.KeyUsageCertSign }, key, false},
		"without bounds":    {func(c, _ *x509.Certificate) { c.BasicConstraintsValid = false }, key, false},
		"without a usage":   {func(c, _ *x509.Certificate) { c.KeyUsage = 0 }, key, false},
		"for servers":       {func(c, _ *x509.Certificate) { c.ExtKeyUsage[0] = x509.ExtKeyUsageServerAuth }, key, false},
		"for all":           {func(c, _ *x509.Certificate) { c.ExtKeyUsage = nil }, key, false},
		"for anything":      {func(c, _ *x509.Certificate) { c.ExtKeyUsage[0] = x509.ExtKeyUsageAny }, key, false},
		"another name":      {func(c, _ *x509.Certificate) { c.Subject.CommonName += "x" }, key, false},
		"a second name": {func(c, _ *x509.Certificate) {
			c.Subject.ExtraNames = []pkix.AttributeTypeAndValue{{Type: []int{2, 5, 4, 3}, Value: "confidb-ca"}, {Type: []int{2, 5, 4, 3}, Value: name}}
		}, key, false},
		"an organization":    {func(c, _ *x509.Certificate) { c.Subject.Organization = []string{"x"} }, key, false},
		"of the CA":          {func(_, parent *x509.Certificate) { parent.Subject.CommonName = "confidb-ca" }, key, false},
		"with names of DNS":  {func(c, _ *x509.Certificate) { c.DNSNames = []string{"db"} }, key, false},
		"for too long":       {func(c, _ *x509.Certificate) { c.NotAfter = c.NotBefore.Add(outside.MaxTime + 20*time.Minute) }, key, false},
		"for ever":           {func(c, _ *x509.Certificate) { c.NotAfter = c.NotBefore.Add(100 * 365 * 24 * time.Hour) }, key, false},
		"of a strange curve": {func(c, _ *x509.Certificate) {}, wide, false},
	} {
		leaf, parent := good(), good()
		c.change(leaf, parent)
		if what != "of the CA" {
			parent = leaf
		}
		der, err := x509.CreateCertificate(rand.Reader, leaf, parent, c.key.Public(), c.key)
		if err != nil {
			t.Fatal(what, err)
		}
		text := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
		hash := "*" + strings.Repeat("A", 40)
		if err := (outside.Client{Certificate: text, Hash: hash}).Check(name); (err == nil) != c.good {
			t.Errorf("%s: got %v", what, err)
		}
		if !c.good {
			continue
		}
		for about, wrong := range map[string]outside.Client{
			"two": {Certificate: text + text, Hash: hash}, "text before": {Certificate: "$$SCONE::ca_key:pem$$\n" + text, Hash: hash}, "text behind": {Certificate: text + "x", Hash: hash},
			"none": {Hash: hash}, "a key": {Certificate: strings.ReplaceAll(text, "CERTIFICATE", "PRIVATE KEY"), Hash: hash}, "no hash": {Certificate: text}, "SQL": {Certificate: text, Hash: "*'; DROP DATABASE app; -- aaaaaaaaaaaaaaaaaaa"},
			"a password": {Certificate: text, Hash: strings.Repeat("a", 64)}, "small letters": {Certificate: text, Hash: "*" + strings.Repeat("a", 40)},
		} {
			if wrong.Check(name) == nil {
				t.Errorf("%s is accepted", about)
			}
		}
		der[len(der)-1] ^= 1
		if (outside.Client{Certificate: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), Hash: hash}).Check(name) == nil {
			t.Error("a wrong signature is accepted")
		}
	}
}

func TestKeptIdentity(t *testing.T) {
	i, other := made(t, time.Now(), time.Hour), made(t, time.Now(), time.Hour)
	for what, wrong := range map[string]outside.Identity{
		"another key": {other.Key, i.Certificate, i.Password}, "no key": {nil, i.Certificate, i.Password}, "half a key": {i.Key[:len(i.Key)/2], i.Certificate, i.Password},
		"half a password": {i.Key, i.Certificate, i.Password[:40]}, "no certificate": {i.Key, nil, i.Password}, "half a certificate": {i.Key, i.Certificate[:100], i.Password},
	} {
		if err := wrong.Check(name); err == nil || bytes.Contains([]byte(err.Error()), i.Key[40:60]) {
			t.Errorf("%s: got %v", what, err)
		}
	}
}

func TestTimes(t *testing.T) {
	hours := func(n time.Duration) *time.Duration { n *= time.Hour; return &n }
	for _, c := range []struct {
		lasts time.Duration
		most  *time.Duration
		good  bool
	}{
		{8 * time.Hour, nil, true}, {outside.MaxTime, nil, true}, {outside.MaxTime + 1, nil, false}, {time.Minute, nil, true}, {time.Minute - 1, nil, false}, {0, nil, false}, {-time.Hour, nil, false},
		{8 * time.Hour, hours(8), true}, {8*time.Hour + 1, hours(8), false}, {time.Hour, hours(0), false}, {48 * time.Hour, hours(48), false},
	} {
		err := outside.CheckTime(c.lasts, c.most)
		var forbidden *outside.ForbiddenError
		if (err == nil) != c.good || errors.As(err, &forbidden) != (c.most != nil && *c.most == 0) {
			t.Errorf("%v of %v: got %v", c.lasts, c.most, err)
		}
	}
}

func TestReasons(t *testing.T) {
	for text, good := range map[string]bool{"move of the rows": true, " größe ": true, "": false, "  ": false, "a\nb": false, "a\x1b[2Jb": false, strings.Repeat("字", 200): true, strings.Repeat("a", 201): false, "a\u202eb": false, "\xff": false} {
		if got, err := outside.ParseReason(text); (err == nil) != good || got != strings.TrimSpace(text) && good {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
	}
}
