package record

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/confidb/confidb/pkg/files"
)

// Identity returns the key and certificate by which CAS knows this user, and
// makes them at the first call. CAS looks at the public key only, so the
// certificate's dates do not matter to it. Whoever loses the file can no longer
// read or change the sessions that it owns.
func (s Store) Identity(now time.Time) (tls.Certificate, error) {
	if s.Missing != nil {
		return tls.Certificate{}, s.Missing
	}
	path := filepath.Join(s.Dir, "identity.pem")
	certificate, err := readIdentity(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return certificate, err
	}
	text, err := newIdentity(now)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("making an identity: %w", err)
	}
	if err := createOnce(path, text); err != nil {
		return tls.Certificate{}, fmt.Errorf("keeping the new identity: %w", err)
	}
	return readIdentity(path)
}

// Owner is the mark of this user on what belongs to them: a digest of the public key of
// their identity, 32 hexadecimal digits. It is no secret.
func (s Store) Owner(now time.Time) (string, error) {
	fingerprint, err := s.Fingerprint(now)
	if err != nil {
		return "", err
	}
	return fingerprint[:32], nil
}

// Fingerprint is the SHA-256 of the public key (SubjectPublicKeyInfo, DER) of this user's
// identity, in hexadecimal digits.
func (s Store) Fingerprint(now time.Time) (string, error) {
	identity, err := s.Identity(now)
	if err != nil {
		return "", err
	}
	certificate, err := x509.ParseCertificate(identity.Certificate[0])
	if err != nil {
		return "", fmt.Errorf("reading the identity: %w", err)
	}
	sum := sha256.Sum256(certificate.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:]), nil
}

func readIdentity(path string) (tls.Certificate, error) {
	text, err := files.ReadPrivate(path, maxFile, "it holds a private key")
	if err != nil {
		return tls.Certificate{}, err
	}
	certificate, err := tls.X509KeyPair(text, text)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("%s: %w", path, err)
	}
	return certificate, nil
}

func newIdentity(now time.Time) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "confidb user"},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.AddDate(20, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...), nil
}

// createOnce makes path with text unless it exists: of two processes that start
// at once both use the same identity.
func createOnce(path string, text []byte) error {
	temporary := path + fmt.Sprintf(".new-%d", os.Getpid())
	if err := files.Replace(temporary, text, files.Private); err != nil {
		return err
	}
	defer os.Remove(temporary)
	if err := os.Link(temporary, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
