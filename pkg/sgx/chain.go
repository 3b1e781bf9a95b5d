package sgx

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
)

// Roots are the public keys that a chain may end in. The zero value trusts none.
type Roots struct {
	spki  [32]byte // SHA-256 of the SubjectPublicKeyInfo
	intel bool
	// known is the SHA-256 of a root certificate of which every byte is trusted. Any
	// other certificate of the key must have signed itself.
	known [32]byte
}

// IntelRoot is Intel's SGX Root CA, by its public key: there are two editions of
// the certificate with one key.
func IntelRoot() Roots {
	return Roots{
		spki:  mustParse("a0af031289f5d5d4132f9186068a7fc13628633ba235777472e29b6b6c67a49e"),
		known: mustParse("44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3"), // 2018 to 2049
		intel: true,
	}
}

// RootFromPEM trusts the public key of one self-signed certificate. Unless that
// is Intel's, whatever is verified under it is simulated.
func RootFromPEM(text []byte) (Roots, error) {
	if found, _, err := readChain(text); err == nil {
		text = found
	}
	chain, err := parseChain(text)
	if err != nil {
		return Roots{}, refuse(RootCertificateUnusable, "%w", err)
	}
	if len(chain) != 1 || chain[0].CheckSignatureFrom(chain[0]) != nil {
		return Roots{}, refuse(RootCertificateUnusable, "got %d certificates, want one that is self-signed", len(chain))
	}
	spki := sha256.Sum256(chain[0].RawSubjectPublicKeyInfo)
	return Roots{spki: spki, known: sha256.Sum256(chain[0].Raw), intel: spki == IntelRoot().spki}, nil
}

// Intel reports whether these are Intel's roots.
func (r Roots) Intel() bool { return r.intel }

// String returns the SHA-256 of the trusted public key, in hexadecimal.
func (r Roots) String() string { return hex.EncodeToString(r.spki[:]) }

func (r Roots) trusts(c *x509.Certificate) bool {
	return r != Roots{} && sha256.Sum256(c.RawSubjectPublicKeyInfo) == r.spki
}

// Subjects of Intel's certificates (PCK Certificate and CRL Profile §2).
const (
	pckSubject        = "Intel SGX PCK Certificate"
	tcbSigningSubject = "Intel SGX TCB Signing"
	rootSubject       = "Intel SGX Root CA"
	processorCA       = "Intel SGX PCK Processor CA"
	platformCA        = "Intel SGX PCK Platform CA"
)

// maxChain bounds the number of certificates in one chain.
const maxChain = 8

// nextCertificate returns the DER of the first PEM block of text, and what follows
// it. der is nil when there is no block.
func nextCertificate(text []byte) (der, rest []byte, err error) {
	block, rest := pem.Decode(text)
	if block == nil {
		return nil, text, nil
	}
	if block.Type != "CERTIFICATE" {
		return nil, nil, fmt.Errorf("got a PEM block %.40q, want certificates only", block.Type)
	}
	return block.Bytes, rest, nil
}

// parseChain reads a PEM chain, leaf first. There is at least one certificate in it.
func parseChain(text []byte) ([]*x509.Certificate, error) {
	var chain []*x509.Certificate
	for {
		der, rest, err := nextCertificate(text)
		if err != nil {
			return nil, err
		}
		text = rest
		if der == nil {
			break
		}
		if len(chain) == maxChain {
			return nil, fmt.Errorf("got more than %d certificates", maxChain)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		chain = append(chain, c)
	}
	if len(chain) == 0 {
		return nil, errors.New("got no PEM certificate")
	}
	if len(bytes.TrimSpace(text)) != 0 {
		return nil, fmt.Errorf("got %d bytes after the last certificate", len(text))
	}
	return chain, nil
}

// checkChain checks signatures, roles and the root. Dates and revocation are
// apart, because they only make the result stale. The first certificate must be a
// CA or must not, the others must.
func (r Roots) checkChain(chain []*x509.Certificate, firstCA bool, code Code) error {
	root, all := chain[len(chain)-1], chain
	issuerOf := func(i int) *x509.Certificate { return all[min(i+1, len(all)-1)] }
	if root.Subject.CommonName != rootSubject || !r.trusts(root) {
		return refuse(RootUntrusted, "the chain of %s ends in %q, which is not the trusted root", chain[0].Subject.CommonName, root.Subject.CommonName)
	}
	if sha256.Sum256(root.Raw) == r.known {
		chain = chain[:len(chain)-1] // its own signature was looked at when it became known
	}
	for i, c := range chain {
		if err := checkIssued(c, issuerOf(i), firstCA || i > 0); err != nil {
			return refuse(code, "certificate %d (%s): %w", i, c.Subject.CommonName, err)
		}
	}
	return nil
}

func checkIssued(c, issuer *x509.Certificate, ca bool) error {
	if c.IsCA != ca {
		return fmt.Errorf("got CA %v, want %v", c.IsCA, ca)
	}
	if !bytes.Equal(c.RawIssuer, issuer.RawSubject) {
		return fmt.Errorf("it was issued by %q, the next one is %q", c.Issuer.CommonName, issuer.Subject.CommonName)
	}
	return c.CheckSignatureFrom(issuer)
}

// sameCertificates reports whether two PEM texts hold the same certificates.
func sameCertificates(a, b string) bool {
	x, errX := parseChain([]byte(a))
	y, errY := parseChain([]byte(b))
	if errX != nil || errY != nil || len(x) != len(y) {
		return false
	}
	for i := range x {
		if !x[i].Equal(y[i]) {
			return false
		}
	}
	return true
}

// firstCertificate returns the first certificate of a PEM text, as PEM.
func firstCertificate(text string) []byte {
	der, _, err := nextCertificate([]byte(text))
	if der == nil || err != nil {
		return nil
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// derOf returns the DER of something that is DER or PEM.
func derOf(raw []byte) []byte {
	if block, _ := pem.Decode(raw); block != nil {
		return block.Bytes
	}
	return raw
}

// mustParse reads a constant of ours.
func mustParse(digits string) [32]byte {
	m, err := ParseMeasurement(digits)
	if err != nil {
		panic(err)
	}
	return m
}
