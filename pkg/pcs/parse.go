package pcs

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"

	"github.com/confidb/confidb/pkg/forms"
)

// maxHeader bounds the text of one chain: two certificates are 3 KB.
const maxHeader = 16 << 10

// chain reads the first of the headers that is there.
func (a *answer) chain(names ...string) ([]byte, error) {
	for _, name := range names {
		if text := a.header.Get(name); text != "" {
			chain, err := parseIssuerChain(text)
			if err != nil {
				return nil, fmt.Errorf("reading %s: header %s: %w", a.what, name, err)
			}
			return chain, nil
		}
	}
	return nil, fmt.Errorf("reading %s: the answer has no header %s with the certificates of its issuer", a.what, names[0])
}

// parseIssuerChain reads PEM certificates from a URL-encoded header, and writes
// them again, so that equal chains are equal texts.
func parseIssuerChain(text string) ([]byte, error) {
	if len(text) > maxHeader {
		return nil, fmt.Errorf("got %d bytes, want at most %d", len(text), maxHeader)
	}
	decoded, err := url.PathUnescape(text) // not a query: a + is a digit of Base64
	if err != nil {
		return nil, err
	}
	var chain []byte
	rest := []byte(decoded)
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("got a PEM block %.40q, want certificates only", block.Type)
		}
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: block.Bytes})...)
	}
	if len(chain) == 0 {
		return nil, errors.New("got no PEM certificate")
	}
	if len(bytes.TrimSpace(rest)) != 0 {
		return nil, fmt.Errorf("got %d bytes after the last certificate", len(rest))
	}
	return chain, nil
}

// parseCRL returns the DER of a revocation list, which PCS serves as DER or PEM and
// a PCCS also as hexadecimal digits.
func parseCRL(body []byte) ([]byte, error) {
	one, _, ok := forms.One(body, func(der []byte) bool {
		_, err := x509.ParseRevocationList(der)
		return err == nil
	})
	if !ok {
		return nil, fmt.Errorf("got %d bytes that are no revocation list, want it as one of: %s", len(body), forms.Known)
	}
	return one.Bytes, nil
}
