package cas

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"slices"
)

// signedSession is a document whose authors sign it, so that anybody can bring it.
type signedSession struct {
	Session    string      `json:"session"`
	Signatures []signature `json:"signatures"`
}

// signature is one author's. The real message that is signed is not public: here
// it is the document's bytes, signed with Ed25519, or with P-384 over SHA-384.
type signature struct {
	// Signer is the public key: SPKI in PEM.
	Signer string `json:"signer"`
	// Signature is in base64; that of P-384 is ASN.1.
	Signature string `json:"signature"`
}

// maxSigners bounds how many signatures one request can make CAS verify.
const maxSigners = 16

// putSignedSession stores a document for its signers. Who brings it means nothing.
func (c *CAS) putSignedSession(r *http.Request, _ []string) (answer, error) {
	body, err := readBody(r)
	if err != nil {
		return answer{}, err
	}
	signed, signers, err := openSigned(body)
	if err != nil {
		return answer{}, refuse(http.StatusBadRequest, "Verifying the signed session failed", err.Error())
	}
	hash, err := c.upload([]byte(signed.Session), signers)
	return answer{status: http.StatusOK, value: map[string]any{"hash": hash, "warnings": [][]string{}}}, err
}

// openSigned returns a document and the keys that signed it. One signature that
// does not match spoils all.
func openSigned(body []byte) (*signedSession, []string, error) {
	var s signedSession
	if json.Unmarshal(body, &s) != nil {
		return nil, nil, errors.New("the request is no JSON of the form that is wanted")
	}
	if len(s.Signatures) == 0 || len(s.Signatures) > maxSigners {
		return nil, nil, fmt.Errorf("signatures: got %d, want 1 to %d", len(s.Signatures), maxSigners)
	}
	var signers []string
	for i, one := range s.Signatures {
		signer, err := one.verify([]byte(s.Session))
		if err != nil {
			return nil, nil, fmt.Errorf("signatures[%d]: %w", i, err)
		}
		if !slices.Contains(signers, signer) {
			signers = append(signers, signer)
		}
	}
	return &s, signers, nil
}

// verify returns the hash of the key that signed a message.
func (s signature) verify(message []byte) (string, error) {
	raw, err := base64.StdEncoding.DecodeString(s.Signature)
	if err != nil {
		return "", errors.New("signature: want base64")
	}
	block, _ := pem.Decode([]byte(s.Signer))
	if block == nil || block.Type != "PUBLIC KEY" {
		return "", errors.New("signer: want a public key in PEM")
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return "", errors.New("signer: want a public key in PEM")
	}
	if !signatureMatches(parsed, message, raw) {
		return "", errors.New("the signature does not match, or the key is neither Ed25519 nor P-384")
	}
	// The hash is over the encoding that TLS would show, not over what was sent.
	spki, err := x509.MarshalPKIXPublicKey(parsed)
	return keyHash(spki), err
}

func signatureMatches(key any, message, signature []byte) bool {
	switch key := key.(type) {
	case ed25519.PublicKey:
		return ed25519.Verify(key, message, signature)
	case *ecdsa.PublicKey:
		digest := sha512.Sum384(message)
		return key.Curve == elliptic.P384() && ecdsa.VerifyASN1(key, digest[:], signature)
	}
	return false
}
