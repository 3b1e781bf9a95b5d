package cas

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/confidb/confidb/pkg/session"
)

// defaultSize is that of ascii (characters) and binary (bytes) secrets.
const defaultSize = 20

// materials makes what a new version holds itself: written values, values that
// are kept from the version before, and new random ones. Certificates follow
// when they are needed.
func materials(s *session.Session, before *version) (map[string][]byte, error) {
	all := map[string][]byte{}
	for _, declared := range s.Secrets {
		material, err := materialOf(declared, before)
		if err != nil {
			return nil, fmt.Errorf("secret '%s': %w", declared.Name, err)
		}
		if material != nil {
			all[declared.Name] = material
		}
	}
	return all, nil
}

func materialOf(declared session.Secret, before *version) ([]byte, error) {
	switch {
	case declared.Import != nil:
		return nil, nil
	case declared.Value != nil:
		return readValue(declared)
	}
	if before != nil {
		if old, ok := secretOf(before.parsed, declared.Name); ok && survives(old, declared) {
			return before.Materials[declared.Name], nil
		}
	}
	return generate(declared)
}

// survives reports whether an update keeps what was generated. Certificates are
// always issued anew, and a value that somebody wrote down is not a generated one.
func survives(old, declared session.Secret) bool {
	if old.Kind != declared.Kind || old.Value != nil || old.Import != nil {
		return false
	}
	switch declared.Kind {
	case session.ASCII, session.Binary:
		return sizeOf(old) == sizeOf(declared)
	case session.PrivateKey:
		return old.Migrate && declared.Migrate && keyTypeOf(old) == keyTypeOf(declared)
	}
	return false
}

func secretOf(s *session.Session, name string) (session.Secret, bool) {
	for _, declared := range s.Secrets {
		if declared.Name == name {
			return declared, true
		}
	}
	return session.Secret{}, false
}

func sizeOf(declared session.Secret) int {
	if declared.Size == 0 {
		return defaultSize
	}
	return declared.Size
}

const defaultKeyType = "P-256"

func keyTypeOf(declared session.Secret) string {
	if declared.KeyType == "" {
		return defaultKeyType
	}
	return declared.KeyType
}

// generate makes a random value or key; a certificate or public key has none.
func generate(declared session.Secret) ([]byte, error) {
	switch declared.Kind {
	case session.ASCII:
		return randomText(sizeOf(declared)), nil
	case session.Binary:
		value := make([]byte, sizeOf(declared))
		rand.Read(value) // never fails
		return value, nil
	case session.PrivateKey:
		key, err := newKey(keyTypeOf(declared))
		if err != nil {
			return nil, err
		}
		return x509.MarshalPKCS8PrivateKey(key)
	}
	return nil, nil
}

// alphabet are 64 printable characters, so that six random bits choose one; none
// of them needs quotes in a shell, in SQL or in YAML.
const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

func randomText(size int) []byte {
	text := make([]byte, size)
	rand.Read(text) // never fails
	for i, b := range text {
		text[i] = alphabet[b&63]
	}
	return text
}

func newKey(kind string) (crypto.Signer, error) {
	switch kind {
	case defaultKeyType:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "P-384":
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "Ed25519":
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	case "RSA-2048":
		return rsa.GenerateKey(rand.Reader, 2048)
	case "RSA-3072":
		return rsa.GenerateKey(rand.Reader, 3072)
	}
	return nil, fmt.Errorf("key_type: got %q, want P-256, P-384, Ed25519, RSA-2048 or RSA-3072", kind)
}

// readValue reads a value that is written in the document. Errors do not repeat it.
func readValue(declared session.Secret) ([]byte, error) {
	text := *declared.Value
	switch declared.Kind {
	case session.ASCII:
		if strings.ContainsFunc(text, func(r rune) bool { return (r < ' ' || r > '~') && r != '\n' }) {
			return nil, errors.New("value: want printable ASCII characters")
		}
		return []byte(text), nil
	case session.Binary:
		value, err := hex.DecodeString(text)
		if err != nil {
			return nil, errors.New("value: want hexadecimal digits")
		}
		return value, nil
	case session.PrivateKey:
		return readPEM(text, "PRIVATE KEY", func(der []byte) error { _, err := parseKey(der); return err })
	case session.PublicKey:
		return readPEM(text, "PUBLIC KEY", func(der []byte) error { _, err := x509.ParsePKIXPublicKey(der); return err })
	}
	return readPEM(text, "CERTIFICATE", func(der []byte) error { _, err := x509.ParseCertificate(der); return err })
}

func readPEM(text, kind string, check func([]byte) error) ([]byte, error) {
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != kind || strings.TrimSpace(string(rest)) != "" {
		return nil, fmt.Errorf("value: want one PEM block of type %s", kind)
	}
	if check(block.Bytes) != nil {
		return nil, fmt.Errorf("value: the PEM block is no %s", strings.ToLower(kind))
	}
	return block.Bytes, nil
}

// parseKey reads a private key. Its error does not repeat the key.
func parseKey(der []byte) (crypto.Signer, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, errors.New("private key: want PKCS#8")
	}
	key, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("private key: got %T, want one that signs", parsed)
	}
	return key, nil
}
