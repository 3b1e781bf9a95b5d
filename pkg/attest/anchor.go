package attest

import (
	"crypto/subtle"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"
)

// CASName is the name in every CAS certificate: the default of CAS's own
// configuration. It does not depend on the address under which CAS is reached.
const CASName = "cas"

// Anchor is what an attested CAS is known by in TLS: a certificate chain of which
// it issues its certificate to itself, or else the key of that certificate. The
// zero value knows nobody.
type Anchor struct {
	Chain []*x509.Certificate
	// Key is a DER SubjectPublicKeyInfo.
	Key []byte
}

// CheckPeer reports whether a TLS peer, with its chain leaf first, is the CAS of the
// anchor. Anything else means that somebody else ends the TLS connection and passes
// evidence on.
func (a Anchor) CheckPeer(peer []*x509.Certificate, now time.Time) error {
	if len(peer) == 0 {
		return errors.New("the TLS peer sent no certificate")
	}
	if len(a.Key) > 0 {
		return a.checkKey(peer[0])
	}
	roots, err := a.Pool()
	if err != nil {
		return err
	}
	options := x509.VerifyOptions{Roots: roots, DNSName: CASName, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	var dates *DatesError
	if _, err = peer[0].Verify(options); err != nil {
		if !onlyDates(peer[0], options, err) {
			return fmt.Errorf("the TLS certificate (%s, issued by %s) was not issued by the attested CAS: %w", peer[0].Subject, peer[0].Issuer, err)
		}
		dates = &DatesError{From: peer[0].NotBefore, Until: peer[0].NotAfter, Now: now}
	}
	for _, c := range peer[1:] {
		if !slices.ContainsFunc(a.Chain, c.Equal) {
			return fmt.Errorf("the TLS peer sent the certificate %s, which is not part of the attested chain", c.Subject)
		}
	}
	if dates != nil {
		return dates
	}
	return nil
}

// DatesError means that a certificate is the right one, and that our clock is not within
// its dates: the clock is wrong, or that of its issuer, or nobody renewed it.
type DatesError struct{ From, Until, Now time.Time }

func (e *DatesError) Error() string {
	state := "has expired"
	if e.Now.Before(e.From) {
		state = "is not valid yet"
	}
	return fmt.Sprintf("the TLS certificate of the attested CAS %s: it is valid from %s until %s, and by the clock of this machine it is %s", state, e.From.UTC().Format(time.RFC3339), e.Until.UTC().Format(time.RFC3339), e.Now.UTC().Format(time.RFC3339))
}

// onlyDates reports whether a certificate was refused for its dates and nothing else: at
// the begin or the end of its own dates it is good.
func onlyDates(leaf *x509.Certificate, options x509.VerifyOptions, refused error) bool {
	invalid, ok := errors.AsType[x509.CertificateInvalidError](refused)
	if !ok || invalid.Reason != x509.Expired {
		return false
	}
	for _, at := range []time.Time{leaf.NotBefore, leaf.NotAfter} {
		options.CurrentTime = at
		if _, err := leaf.Verify(options); err == nil {
			return true
		}
	}
	return false
}

func (a Anchor) checkKey(leaf *x509.Certificate) error {
	if subtle.ConstantTimeCompare(leaf.RawSubjectPublicKeyInfo, a.Key) != 1 {
		return fmt.Errorf("the TLS peer (%s) has another key than the attested CAS", leaf.Subject)
	}
	return nil
}

// Pool returns what the TLS certificate of the attested CAS must be issued
// by: the certificates of this instance. The self-signed root stands for the
// software and may be shared with other instances, so it is an anchor only when
// it is alone.
func (a Anchor) Pool() (*x509.CertPool, error) {
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
