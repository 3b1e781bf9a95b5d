// Package cas talks to a CAS, SCONE's Configuration and Attestation Service: it
// fetches evidence from one that is not trusted yet, and creates and reads
// sessions at one whose certificate chain was attested. It judges nothing: the
// evidence is appraised by pkg/attest.
//
// The REST interface of CAS has no public reference; what is used here is what
// facts from documentation fragments and client code agree on.
package cas

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// ServerName is the name in every CAS certificate: the default of CAS's own
// configuration. It does not depend on the address under which CAS is reached.
const ServerName = "cas"

// ClientPort is the TCP port of CAS's REST interface.
const ClientPort = "8081"

// maxAnswer bounds what is read of one answer, in bytes.
const maxAnswer = 4 << 20

// requestTimeout bounds one request, from dialling to the last byte.
const requestTimeout = 30 * time.Second

// Dialer opens a connection to the REST port of one CAS, directly or through a
// port-forward.
type Dialer func(ctx context.Context) (net.Conn, error)

// Contact is what a CAS answered before it was trusted.
type Contact struct {
	// Report is the attestation report exactly as received.
	Report []byte
	// PeerChain is the certificate chain of the TLS peer that sent it, leaf first.
	PeerChain []*x509.Certificate
}

// FetchEvidence asks a CAS that is not trusted yet for fresh evidence about
// itself. The caller must appraise the report and then require, with
// CheckPeer, that the TLS peer is the attested CAS.
func FetchEvidence(ctx context.Context, dial Dialer, nonce [16]byte) (*Contact, error) {
	c := &Contact{}
	client := newHTTPClient(dial, firstContact(func(peer []*x509.Certificate) { c.PeerChain = peer }))
	defer client.CloseIdleConnections()
	var err error
	if c.Report, err = get(ctx, client, "/v1/attest?type=DCAP&nonce="+hex.EncodeToString(nonce[:])); err != nil {
		return nil, fmt.Errorf("fetching evidence from CAS: %w", err)
	}
	return c, nil
}

// FetchPeer returns the certificate chain of whoever answers, leaf first, who has
// proven to hold the leaf's key and nothing else.
func FetchPeer(ctx context.Context, dial Dialer) ([]*x509.Certificate, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	raw, err := dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("reaching the CAS: %w", err)
	}
	var peer []*x509.Certificate
	connection := tls.Client(raw, firstContact(func(chain []*x509.Certificate) { peer = chain }))
	defer connection.Close()
	if err := connection.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("TLS handshake with the CAS: %w", err)
	}
	return peer, nil
}

// firstContact trusts nobody yet: no certificate authority vouches for a CAS, its
// evidence does. CheckPeer replaces the verification that is left out here.
func firstContact(saw func(peer []*x509.Certificate)) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: ServerName, InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			saw(state.PeerCertificates)
			return nil
		},
	}
}

// Anchor is what an attested CAS is known by in TLS: a certificate chain of which
// it issues its certificate to itself, or else the key of that certificate. The
// zero value knows nobody.
type Anchor struct {
	Chain []*x509.Certificate
	// Key is a DER SubjectPublicKeyInfo.
	Key []byte
}

// CheckPeer reports whether a TLS peer is the CAS of an anchor. Anything else means
// that somebody else ends the TLS connection and passes evidence on.
func CheckPeer(peer []*x509.Certificate, attested Anchor, now time.Time) error {
	if len(peer) == 0 {
		return errors.New("the TLS peer sent no certificate")
	}
	if len(attested.Key) > 0 {
		return attested.checkKey(peer[0])
	}
	roots, err := attested.pool()
	if err != nil {
		return err
	}
	_, err = peer[0].Verify(x509.VerifyOptions{Roots: roots, DNSName: ServerName, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	if err != nil {
		return fmt.Errorf("the TLS certificate (%s, issued by %s) was not issued by the attested CAS: %w", peer[0].Subject, peer[0].Issuer, err)
	}
	for _, c := range peer[1:] {
		if !contains(attested.Chain, c) {
			return fmt.Errorf("the TLS peer sent the certificate %s, which is not part of the attested chain", c.Subject)
		}
	}
	return nil
}

func (a Anchor) checkKey(leaf *x509.Certificate) error {
	if subtle.ConstantTimeCompare(leaf.RawSubjectPublicKeyInfo, a.Key) != 1 {
		return fmt.Errorf("the TLS peer (%s) has another key than the attested CAS", leaf.Subject)
	}
	return nil
}

// config verifies that each connection goes to the CAS of the anchor.
func (a Anchor) config(identity tls.Certificate) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: ServerName, Certificates: []tls.Certificate{identity}}
	if len(a.Key) > 0 {
		config.InsecureSkipVerify = true // names and dates count for nothing in RA-TLS, the key does
		config.VerifyConnection = func(state tls.ConnectionState) error { return CheckPeer(state.PeerCertificates, a, time.Time{}) }
		return config, nil
	}
	var err error
	config.RootCAs, err = a.pool()
	return config, err
}

// pool returns what the TLS certificate of the attested CAS must be issued
// by: the certificates of this instance. The self-signed root stands for the
// software and may be shared with other instances, so it is an anchor only when
// it is alone.
func (a Anchor) pool() (*x509.CertPool, error) {
	pool, instances := x509.NewCertPool(), 0
	for _, c := range a.Chain {
		if c.IsCA && c.CheckSignatureFrom(c) != nil {
			pool.AddCert(c)
			instances++
		}
	}
	if instances > 0 {
		return pool, nil
	}
	for _, c := range a.Chain {
		pool.AddCert(c)
	}
	if len(a.Chain) == 0 {
		return nil, errors.New("the evidence holds no certificate chain")
	}
	return pool, nil
}

func contains(chain []*x509.Certificate, want *x509.Certificate) bool {
	for _, c := range chain {
		if c.Equal(want) {
			return true
		}
	}
	return false
}

func newHTTPClient(dial Dialer, config *tls.Config) *http.Client {
	return &http.Client{
		Timeout: requestTimeout,
		Transport: &http.Transport{
			DialContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
			TLSClientConfig:     config,
			TLSHandshakeTimeout: requestTimeout,
			ForceAttemptHTTP2:   false,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func get(ctx context.Context, client *http.Client, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+ServerName+":"+ClientPort+path, nil)
	if err != nil {
		return nil, err
	}
	return do(client, request)
}

// do sends a request and returns the body of a 200 or 201. Any other answer is a *StatusError.
func do(client *http.Client, request *http.Request) ([]byte, error) {
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	if len(body) > maxAnswer {
		return nil, fmt.Errorf("the answer is longer than %d bytes", maxAnswer)
	}
	if response.StatusCode != http.StatusOK && response.StatusCode != http.StatusCreated {
		return nil, newStatusError(response.StatusCode, body)
	}
	return body, nil
}
