// Package cas talks to a CAS, SCONE's Configuration and Attestation Service: it
// fetches evidence from one that is not trusted yet, and creates and reads
// sessions at one whose certificate chain was attested. It judges nothing: pkg/attest
// appraises the evidence and says by its anchor which TLS peer is the attested CAS,
// and pkg/contact decides whether a CAS is talked to.
//
// The REST interface of CAS has no public reference; what is used here is what
// facts from documentation fragments and client code agree on.
package cas

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/confidb/confidb/pkg/attest"
)

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
// attest.Anchor.CheckPeer, that the TLS peer is the attested CAS.
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
// evidence does. Anchor.CheckPeer replaces the verification that is left out here.
func firstContact(saw func(peer []*x509.Certificate)) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: attest.CASName, InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			saw(state.PeerCertificates)
			return nil
		},
	}
}

// config verifies that each connection goes to the CAS of the anchor.
func config(a attest.Anchor, identity tls.Certificate) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: attest.CASName, Certificates: []tls.Certificate{identity}}
	if len(a.Key) > 0 {
		config.InsecureSkipVerify = true // names and dates count for nothing in RA-TLS, the key does
		config.VerifyConnection = func(state tls.ConnectionState) error { return a.CheckPeer(state.PeerCertificates, time.Time{}) }
		return config, nil
	}
	var err error
	config.RootCAs, err = a.Pool()
	return config, err
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
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+attest.CASName+":"+ClientPort+path, nil)
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
