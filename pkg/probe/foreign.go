package probe

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"time"
)

// foreignIdentity makes a client certificate with the names of a real one, whose
// CA bears the name of the real CA and has another key.
func foreignIdentity(random io.Reader, now time.Time, ca, leaf *x509.Certificate) (*tls.Certificate, error) {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), random)
	if err != nil {
		return nil, fmt.Errorf("making a foreign CA: %w", err)
	}
	leafKey, err := ecdsa.GenerateKey(elliptic.P256(), random)
	if err != nil {
		return nil, fmt.Errorf("making a foreign client: %w", err)
	}
	authority := foreignTemplate(now, ca.RawSubject, 1)
	authority.IsCA, authority.BasicConstraintsValid, authority.KeyUsage = true, true, x509.KeyUsageCertSign
	caDER, err := x509.CreateCertificate(random, authority, authority, caKey.Public(), caKey)
	if err != nil {
		return nil, fmt.Errorf("making a foreign CA: %w", err)
	}
	issuer, err := x509.ParseCertificate(caDER)
	if err != nil {
		return nil, fmt.Errorf("making a foreign CA: %w", err)
	}
	client := foreignTemplate(now, leaf.RawSubject, 2)
	client.KeyUsage, client.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	leafDER, err := x509.CreateCertificate(random, client, issuer, leafKey.Public(), caKey)
	if err != nil {
		return nil, fmt.Errorf("making a foreign client: %w", err)
	}
	return &tls.Certificate{Certificate: [][]byte{leafDER}, PrivateKey: crypto.Signer(leafKey)}, nil
}

func foreignTemplate(now time.Time, rawSubject []byte, serial int64) *x509.Certificate {
	return &x509.Certificate{SerialNumber: big.NewInt(serial), RawSubject: rawSubject,
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)}
}
