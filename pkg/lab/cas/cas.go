// Package cas stands in for SCONE's Configuration and Attestation Service: it
// holds sessions and their secrets, answers REST requests of users on one port,
// and gives configurations to enclaves that prove what they are on another. The
// hardware below it is the lab's, so nothing that it protects is protected from
// whoever has root on the machine. Its decisions are real: it verifies quotes,
// signatures and access policies as a CAS must.
//
// Known limits: a whole older store file that is put back (rollback) is not
// noticed; files that are in an image already are not filled in; it knows the
// session language only as far as pkg/session does.
package cas

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"log"
	"time"

	"github.com/confidb/confidb/pkg/lab/enclave"
	"github.com/confidb/confidb/pkg/lab/las"
	"github.com/confidb/confidb/pkg/sgx"
)

// Config is everything that a CAS depends on.
type Config struct {
	// Store is the folder of its encrypted state, made when missing.
	Store string
	// LAS is the attestation service of its node.
	LAS las.Client
	// Identity is that of its own enclave.
	Identity enclave.Identity
	// Collateral returns what sgx.CollateralFromFiles takes; it is called for
	// each enclave, so that newer files count at once.
	Collateral func() (map[string][]byte, error)
	// RootCA is the PEM certificate under which quotes must verify.
	RootCA []byte
	// Version is what GET /v1/version says.
	Version string
	// Now is the time of certificates and verifications.
	Now func() time.Time
	// Log gets one line a request. It never gets a secret.
	Log *log.Logger
}

// CAS is a running CAS. It is safe for concurrent use.
type CAS struct {
	Config
	roots sgx.Roots
	store *store
	own   *authority
}

// Open loads the state in the store folder, or makes a new CAS when there is
// none. State that another enclave or another platform wrote is an error.
func Open(ctx context.Context, config Config) (*CAS, error) {
	roots, err := sgx.RootFromPEM(config.RootCA)
	if err != nil {
		return nil, fmt.Errorf("reading the root certificate: %w", err)
	}
	key, err := config.LAS.SealKey(ctx, config.Identity)
	if err != nil {
		return nil, fmt.Errorf("getting the key of the store: %w", err)
	}
	s, err := openStore(config.Store, key, config.Now)
	if err != nil {
		return nil, err
	}
	own, err := s.ownAuthority()
	if err != nil {
		s.close()
		return nil, err
	}
	return &CAS{Config: config, roots: roots, store: s, own: own}, nil
}

// Close lets another process open the store.
func (c *CAS) Close() error { return c.store.close() }

// Chain is what the evidence vouches for: the instance's CA certificate, then
// that of the software.
func (c *CAS) Chain() []*x509.Certificate {
	return []*x509.Certificate{c.own.instance.certificate, c.own.root.certificate}
}

// KeyHash identifies this instance by its CA key: SHA-256 of the SPKI, in
// hexadecimal digits. The form of SCONE's own key hash is not public.
func (c *CAS) KeyHash() string { return keyHash(c.own.instance.certificate.RawSubjectPublicKeyInfo) }

// keyHash is how access policies name a key.
func keyHash(spki []byte) string {
	sum := sha256.Sum256(spki)
	return hex.EncodeToString(sum[:])
}
