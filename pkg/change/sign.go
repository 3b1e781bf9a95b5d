package change

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/confidb/confidb/pkg/session"
)

// Signature is one author's.
type Signature struct {
	session.Signature
	// Foreign means that it is over a message that SCONE's program made, so that only
	// CAS can tell whether it matches.
	Foreign bool `json:"foreign,omitempty"`
}

// verify is nil if the signature is over the message, or foreign.
func (s Signature) verify(message []byte) error {
	key, err := parsePublicKey(s.Signer)
	if err != nil || s.Foreign {
		return err
	}
	raw, err := base64.StdEncoding.DecodeString(s.Signature.Signature)
	if err != nil {
		return fmt.Errorf("signature: %w", err)
	}
	if !matches(key, message, raw) {
		return errors.New("it is not over this text, or the key is neither Ed25519 nor P-384")
	}
	return nil
}

// matches verifies a signature as CAS does: Ed25519 over the message, and ECDSA over its
// SHA-384.
func matches(key crypto.PublicKey, message, signature []byte) bool {
	switch key := key.(type) {
	case ed25519.PublicKey:
		return ed25519.Verify(key, message, signature)
	case *ecdsa.PublicKey:
		digest := sha512.Sum384(message)
		return key.Curve == elliptic.P384() && ecdsa.VerifyASN1(key, digest[:], signature)
	}
	return false
}

// key is one form of the key that signed: PEM has many of each.
func (s Signature) key() (string, error) {
	key, err := parsePublicKey(s.Signer)
	if err != nil {
		return "", err
	}
	spki, err := x509.MarshalPKIXPublicKey(key)
	return string(spki), err
}

func (s Signature) sameSigner(other Signature) bool {
	one, err := s.key()
	if err != nil {
		return false
	}
	two, err := other.key()
	return err == nil && one == two
}

// parsePublicKey reads one public key. What follows it could be read as another one by
// somebody else, so nothing may.
func parsePublicKey(text string) (crypto.PublicKey, error) {
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "PUBLIC KEY" || strings.TrimSpace(string(rest)) != "" {
		return nil, errors.New("signer: want a public key in PEM")
	}
	return x509.ParsePKIXPublicKey(block.Bytes)
}

// Sign signs a message with a private key in PEM (PKCS#8): Ed25519 or P-384.
func Sign(random io.Reader, key, message []byte) (Signature, error) {
	private, err := parsePrivateKey(key)
	if err != nil {
		return Signature{}, err
	}
	raw, err := sign(random, private, message)
	if err != nil {
		return Signature{}, err
	}
	spki, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		return Signature{}, err
	}
	signer := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}))
	return Signature{Signature: session.Signature{Signer: signer, Signature: base64.StdEncoding.EncodeToString(raw)}}, nil
}

func parsePrivateKey(text []byte) (crypto.Signer, error) {
	wrong := errors.New("want a private key in PEM (PKCS#8)")
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, wrong
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, wrong
	}
	switch key := parsed.(type) {
	case ed25519.PrivateKey:
		return key, nil
	case *ecdsa.PrivateKey:
		if key.Curve != elliptic.P384() {
			return nil, fmt.Errorf("got %s, want Ed25519 or P-384", key.Curve.Params().Name)
		}
		return key, nil
	}
	return nil, fmt.Errorf("got %T, want Ed25519 or P-384", parsed)
}

func sign(random io.Reader, key crypto.Signer, message []byte) ([]byte, error) {
	if _, ok := key.(ed25519.PrivateKey); ok {
		return key.Sign(random, message, crypto.Hash(0))
	}
	digest := sha512.Sum384(message)
	return key.Sign(random, digest[:], crypto.SHA384)
}
