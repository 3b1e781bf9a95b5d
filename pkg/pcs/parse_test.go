package pcs

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/confidb/confidb/internal/sgxmint"
)

// material is a PEM chain of two certificates, and a revocation list.
func material(t testing.TB) (chain, list []byte) {
	t.Helper()
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	a, err := sgxmint.NewAuthority(now)
	if err != nil {
		t.Fatal(err)
	}
	files, err := a.CollateralFiles(now)
	if err != nil {
		t.Fatal(err)
	}
	return files["tcbSignChain.pem"], files["rootCaCrl.der"]
}

func TestParseIssuerChain(t *testing.T) {
	chain, _ := material(t)
	for name, text := range map[string]string{
		"all escaped":     strings.ReplaceAll(url.QueryEscape(string(chain)), "+", "%20"),
		"a plus is one":   url.PathEscape(string(chain)),
		"CRLF":            url.PathEscape(strings.ReplaceAll(string(chain), "\n", "\r\n")),
		"a line after it": url.PathEscape(string(chain) + "\n"),
	} {
		if got, err := parseIssuerChain(text); err != nil || !bytes.Equal(got, chain) {
			t.Errorf("%s: got %q and error %v", name, got, err)
		}
	}
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte{1}})
	for want, text := range map[string]string{
		"got no PEM certificate":           "",
		"invalid URL escape":               "%zz",
		"got 3 bytes after the last":       url.PathEscape(string(chain) + "abc"),
		"got a PEM block \"PRIVATE KEY\"":  url.PathEscape(string(chain) + string(key)),
		"got 16385 bytes, want at most 16": strings.Repeat("x", 16<<10+1),
	} {
		if got, err := parseIssuerChain(text); err == nil || got != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %q and %v, want %q", got, err, want)
		}
	}
}

func TestParseCRL(t *testing.T) {
	_, list := material(t)
	digits := hex.EncodeToString(list)
	for name, body := range map[string]string{
		"DER": string(list), "hexadecimal": digits, "upper case": strings.ToUpper(digits) + "\r\n", "quoted": `"` + digits + `"`,
		"PEM": string(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: list})),
	} {
		if got, err := parseCRL([]byte(body)); err != nil || !bytes.Equal(got, list) {
			t.Errorf("%s: got %x and error %v", name, got, err)
		}
	}
	for name, body := range map[string]string{"nothing": "", "half": digits[:100], "an odd digit": digits + "0", "a page": "<html>"} {
		if got, err := parseCRL([]byte(body)); err == nil || got != nil {
			t.Errorf("%s: got %x, want an error", name, got)
		}
	}
}

func FuzzParseIssuerChain(f *testing.F) {
	chain, _ := material(f)
	f.Add(url.PathEscape(string(chain)))
	f.Add(string(chain))
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseIssuerChain(text)
		if err != nil {
			return
		}
		again, err := parseIssuerChain(url.PathEscape(string(got)))
		if err != nil || !bytes.Equal(got, again) {
			t.Errorf("what was read is not read again: %q, %v", again, err)
		}
	})
}

func FuzzParseCRL(f *testing.F) {
	_, list := material(f)
	f.Add(list)
	f.Add([]byte(hex.EncodeToString(list)))
	f.Add(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: list}))
	f.Fuzz(func(t *testing.T, body []byte) {
		der, err := parseCRL(body)
		if err != nil {
			return
		}
		if _, err := x509.ParseRevocationList(der); err != nil {
			t.Errorf("got %x, which is no list: %v", der, err)
		}
	})
}
