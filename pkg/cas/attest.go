package cas

import (
	"context"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/record"
	"github.com/confidb/confidb/pkg/sgx"
)

// Attested is a CAS after its evidence was appraised, whatever came out.
type Attested struct {
	// Findings say what was asked of the evidence and of the TLS peer.
	Findings check.Report
	// Anchor is what the evidence vouches for. It is only worth something when the
	// findings affirm.
	Anchor Anchor
	// Result is what the quote says; nil without a genuine one.
	Result *sgx.Result
	// Simulated is true when the evidence does not rest on Intel's root.
	Simulated bool
	// Pin is the evidence, to be kept and appraised again.
	Pin record.Pin
}

// Label says what the evidence binds, and how fresh it is.
func (a *Attested) Label() *attest.EvidenceLabel {
	l := attest.LabelOf(a.Pin.Backend, a.Findings)
	return &l
}

// Attest fetches fresh evidence and appraises it together with the TLS peer that
// sent it. An error means that there is no evidence to judge.
func Attest(ctx context.Context, dial Dialer, address string, nonce [16]byte, trust record.Trust, now func() time.Time) (*Attested, error) {
	contact, err := FetchEvidence(ctx, dial, nonce)
	if err != nil {
		return nil, err
	}
	at := now()
	return Appraise(record.Pin{Address: address, Backend: attest.BackendReport, Nonce: nonce, Report: contact.Report, FetchedAt: at, Trust: trust}, contact.PeerChain, at)
}

// Appraise appraises evidence, and the TLS peer that must be the attested CAS.
func Appraise(pin record.Pin, peer []*x509.Certificate, now time.Time) (*Attested, error) {
	a, err := Reappraise(pin, now)
	if err != nil {
		return nil, err
	}
	a.Findings = append(a.Findings, peerFinding(peer, a.Anchor, now))
	return a, nil
}

// Reappraise appraises kept evidence as of now: an edited file, collateral that
// is out of date, or a policy that no longer accepts it are noticed.
func Reappraise(pin record.Pin, now time.Time) (*Attested, error) {
	appraisal, err := attest.AppraiseCAS(attest.CASInputs{
		Backend: pin.Backend, Report: pin.Report, Nonce: pin.Nonce, Time: now,
		CollateralFiles: pin.Trust.Collateral, RootCA: pin.Trust.RootCA, Policy: pin.Trust.CAS, Freshness: pin.Trust.Freshness,
	})
	if err != nil {
		return nil, fmt.Errorf("appraising the evidence of CAS %s: %w", pin.Address, err)
	}
	return &Attested{appraisal.Findings, Anchor{appraisal.Chain, appraisal.Key}, appraisal.Result, appraisal.Simulated, pin}, nil
}

// PeerTitle is what is asked about the peer of a TLS connection.
const PeerTitle = "the TLS peer is the attested CAS"

func peerFinding(peer []*x509.Certificate, anchor Anchor, now time.Time) check.Finding {
	f := check.Finding{ID: "cas-tls-peer", Title: PeerTitle, Outcome: check.Pass}
	if err := CheckPeer(peer, anchor, now); err != nil {
		f.Outcome, f.Reason = check.Fail, err.Error()
		f.Hint = "connect to the CAS without a proxy that ends TLS, or find out who answers at this address"
	}
	return f
}
