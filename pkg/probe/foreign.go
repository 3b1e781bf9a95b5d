package probe

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"io"
	"math/big"
	"strings"
	"time"

	"github.com/confidb/confidb/pkg/promise"
)

// foreignCA bears the name of the real CA, and has another key.
type foreignCA struct {
	random      io.Reader
	now         time.Time
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newForeignCA(random io.Reader, now time.Time, ca *x509.Certificate) (*foreignCA, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), random)
	if err != nil {
		return nil, fmt.Errorf("making a foreign CA: %w", err)
	}
	authority := foreignTemplate(now, ca.RawSubject, 1)
	authority.IsCA, authority.BasicConstraintsValid, authority.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(random, authority, authority, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("making a foreign CA: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("making a foreign CA: %w", err)
	}
	return &foreignCA{random, now, certificate, key}, nil
}

// identity makes a client certificate with the subject of a real one.
func (ca *foreignCA) identity(rawSubject []byte) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), ca.random)
	if err != nil {
		return nil, fmt.Errorf("making a foreign client: %w", err)
	}
	client := foreignTemplate(ca.now, rawSubject, 2)
	client.KeyUsage, client.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	der, err := x509.CreateCertificate(ca.random, client, ca.certificate, key.Public(), ca.key)
	if err != nil {
		return nil, fmt.Errorf("making a foreign client: %w", err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: crypto.Signer(key)}, nil
}

// identities makes one for each account of a promise that demands a common name and nothing
// else of the subject, by that subject in OpenSSL's form.
func (ca *foreignCA) identities(of *promise.Promise) (map[string]*tls.Certificate, error) {
	made := map[string]*tls.Certificate{}
	if of == nil {
		return made, nil
	}
	for _, account := range of.Accounts {
		name, only := strings.CutPrefix(account.Require.Subject, "/CN=")
		if !only || name == "" || strings.ContainsAny(name, "/=") || made[account.Require.Subject] != nil {
			continue
		}
		raw, err := asn1.Marshal(pkix.Name{CommonName: name}.ToRDNSequence())
		if err != nil {
			return nil, fmt.Errorf("making a foreign client: %w", err)
		}
		if made[account.Require.Subject], err = ca.identity(raw); err != nil {
			return nil, err
		}
	}
	return made, nil
}

func foreignTemplate(now time.Time, rawSubject []byte, serial int64) *x509.Certificate {
	return &x509.Certificate{SerialNumber: big.NewInt(serial), RawSubject: rawSubject,
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)}
}
