// Package outside makes and judges what a client outside of enclaves logs in with: a
// certificate that nobody but itself has signed, which ends soon, and a password. The key
// and the password stay on the machine on which they are made; what the others get of them
// is in Client, and is no secret. It does no I/O.
package outside

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/document"
	"github.com/confidb/confidb/pkg/promise"
)

// Bounds on the time for which such a client may come in. A policy may set a lower one.
const (
	MaxTime = 24 * time.Hour
	minTime = time.Minute
	// early is how long before it is made a certificate begins: the clock of the database
	// may be behind.
	early = 10 * time.Minute
)

// Names of the files of a client, in one folder.
const (
	FileKey         = "client.key"
	FileCertificate = "client.crt"
	FilePassword    = "password"
	FileCA          = "ca.crt"
	FileSettings    = "my.cnf"
)

// maxReason is how long a reason may be, in characters.
const maxReason = 200

// Client is a client outside of enclaves, as everybody may know it.
type Client struct {
	// Name is the client's, and Reason why it is let in.
	Name   string `json:"name"`
	Reason string `json:"reason"`
	// Certificate is in PEM: the account demands its subject, and the database trusts it
	// and nothing that it signs.
	Certificate string `json:"certificate"`
	// Hash is what the database keeps of the password.
	Hash string `json:"hash"`
}

// Identity is what the client logs in with. Its zero value opens nothing.
type Identity struct {
	// Key is a private key in PEM (PKCS #8).
	Key, Certificate []byte
	// Password is 64 hexadecimal digits.
	Password string
}

// ParseReason reads why a client is let in: at most 200 characters, on one line.
func ParseReason(text string) (string, error) {
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return "", errors.New("say why the client cannot run in an enclave: verify repeats it")
	case check.Said(text) != text:
		return "", errors.New("the reason has characters that cannot be shown on one line")
	case utf8.RuneCountInString(text) > maxReason:
		return "", fmt.Errorf("the reason has %d characters, want at most %d", utf8.RuneCountInString(text), maxReason)
	}
	return text, nil
}

// CheckTime says what is wrong with the time for which a client shall come in, if anything.
// most is what a policy allows: nil is all that can be had, and 0 forbids.
func CheckTime(lasts time.Duration, most *time.Duration) error {
	switch {
	case most != nil && *most <= 0:
		return &ForbiddenError{}
	case lasts < minTime || lasts > MaxTime:
		return fmt.Errorf("the time for which a client may come in from outside of enclaves: got %s, want from %s to %s", lasts, minTime, MaxTime)
	case most != nil && lasts > *most:
		return fmt.Errorf("the time for which a client may come in from outside of enclaves: got %s, and the policy allows at most %s", lasts, *most)
	}
	return nil
}

// ForbiddenError means that the policy wants no client outside of enclaves.
type ForbiddenError struct{}

func (*ForbiddenError) Error() string { return "the policy allows no client outside of enclaves" }

// Hint says how to go on.
func (*ForbiddenError) Hint() string {
	return "Run the client in an enclave ({client add} with its measurement), or give a policy whose max-outside-enclave is more than 0h."
}

// New makes an identity of a common name, from now on.
func New(random io.Reader, commonName string, now time.Time, lasts time.Duration) (*Identity, error) {
	secret := make([]byte, 32+16)
	if _, err := io.ReadFull(random, secret); err != nil {
		return nil, fmt.Errorf("making a password: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), random)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	serial := new(big.Int).SetBytes(secret[32:])
	serial.SetBit(serial.Rsh(serial, 1), 126, 1) // positive, and never short
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: commonName}, NotBefore: now.Add(-early).UTC(), NotAfter: now.Add(lasts).UTC(),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(random, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("making a certificate: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	return &Identity{pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), hex.EncodeToString(secret[:32])}, nil
}

// Client is what everybody may know of the identity.
func (i *Identity) Client(name, reason string) Client {
	return Client{Name: name, Reason: reason, Certificate: string(i.Certificate), Hash: string(promise.NativeHash(i.Password))}
}

// Check says what is wrong with an identity that was read again, if anything: the key is
// that of the certificate, and the password has its form.
func (i *Identity) Check(commonName string) error {
	leaf, err := Client{Certificate: string(i.Certificate)}.Leaf(commonName)
	if err != nil {
		return err
	}
	block, _ := pem.Decode(i.Key)
	if block == nil {
		return errors.New("the key is not in PEM")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return errors.New("the key cannot be read") // what is wrong with it may say what it is
	}
	if own, ok := key.(*ecdsa.PrivateKey); !ok || !own.PublicKey.Equal(leaf.PublicKey) {
		return errors.New("the key is not that of the certificate")
	}
	if password, err := hex.DecodeString(i.Password); err != nil || len(password) != 32 {
		return errors.New("the password is not as it was made")
	}
	return nil
}

// Leaf is the certificate, if it is one that New makes of a common name: it can sign
// nothing, ends in time, is for clients only, and names nobody else.
func (c Client) Leaf(commonName string) (*x509.Certificate, error) {
	block, rest := pem.Decode([]byte(c.Certificate))
	if block == nil || block.Type != "CERTIFICATE" || len(block.Headers) > 0 || len(bytes.TrimSpace(rest)) > 0 || !strings.HasPrefix(c.Certificate, "-----BEGIN") {
		return nil, errors.New("want exactly one certificate in PEM")
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, err
	}
	return leaf, judge(leaf, commonName)
}

func judge(leaf *x509.Certificate, commonName string) error {
	key, ok := leaf.PublicKey.(*ecdsa.PublicKey)
	name, err := asn1.Marshal(pkix.Name{CommonName: commonName}.ToRDNSequence())
	if err != nil {
		return err
	}
	switch {
	case !ok || key.Curve != elliptic.P256():
		return errors.New("its key is not of the curve P-256")
	case leaf.IsCA || !leaf.BasicConstraintsValid || leaf.KeyUsage != x509.KeyUsageDigitalSignature:
		return errors.New("it may sign other certificates")
	case len(leaf.ExtKeyUsage) != 1 || leaf.ExtKeyUsage[0] != x509.ExtKeyUsageClientAuth || len(leaf.UnknownExtKeyUsage) > 0:
		return errors.New("it is not for clients only")
	case !bytes.Equal(leaf.RawSubject, name) || !bytes.Equal(leaf.RawIssuer, name):
		return fmt.Errorf("got the subject %q and the issuer %q, want CN=%s for both", document.Clip(leaf.Subject.String()), document.Clip(leaf.Issuer.String()), commonName)
	case len(leaf.DNSNames)+len(leaf.EmailAddresses)+len(leaf.IPAddresses)+len(leaf.URIs) > 0 || len(leaf.UnhandledCriticalExtensions) > 0:
		return errors.New("it has names or extensions beside its common name")
	case leaf.NotAfter.Sub(leaf.NotBefore) > MaxTime+early+time.Second: // dates are cut to seconds
		return fmt.Errorf("it is valid for %s, want at most %s", leaf.NotAfter.Sub(leaf.NotBefore), MaxTime)
	}
	return leaf.CheckSignature(leaf.SignatureAlgorithm, leaf.RawTBSCertificate, leaf.Signature)
}

// Check says what is wrong with what everybody may know of a client, if anything.
func (c Client) Check(commonName string) error {
	_, err := c.Leaf(commonName)
	if hash, isHash := strings.CutPrefix(c.Hash, "*"); err == nil && (!isHash || len(hash) != 40 || strings.Trim(hash, "0123456789ABCDEF") != "") {
		err = errors.New("the hash of its password is not as MariaDB writes one")
	}
	return err
}

// PEM is the certificate of a client that was checked, written anew.
func (c Client) PEM() string {
	block, _ := pem.Decode([]byte(c.Certificate))
	if block == nil {
		return ""
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: block.Bytes}))
}

// Lasts is the time for which a certificate lets somebody in.
func Lasts(leaf *x509.Certificate) time.Duration {
	return leaf.NotAfter.Sub(leaf.NotBefore.Add(early)).Truncate(time.Second)
}

// Ends is when the client can no longer log in; zero if its certificate cannot be read, so
// that it has ended.
func (c Client) Ends() time.Time {
	block, _ := pem.Decode([]byte(c.Certificate))
	if block == nil {
		return time.Time{}
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return time.Time{}
	}
	return leaf.NotAfter
}

// Ended reports whether the client can no longer log in.
func (c Client) Ended(now time.Time) bool { return now.After(c.Ends()) }
