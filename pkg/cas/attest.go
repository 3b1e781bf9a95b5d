package cas

import (
	"context"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/record"
)

// Attested is a CAS after its evidence was appraised, whatever came out.
type Attested struct {
	// Findings say what was asked of the evidence and of the TLS peer.
	Findings check.Report
	// Chain is the certificate chain that the evidence vouches for. It is only
	// worth something when the findings affirm.
	Chain []*x509.Certificate
	// Simulated is true when the evidence does not rest on Intel's root.
	Simulated bool
	// Pin is the evidence, to be kept and appraised again.
	Pin record.Pin
}

// Attest fetches fresh evidence and appraises it together with the TLS peer that
// sent it. An error means that there is no evidence to judge.
func Attest(ctx context.Context, dial Dialer, address string, nonce [16]byte, trust record.Trust, now func() time.Time) (*Attested, error) {
	contact, err := FetchEvidence(ctx, dial, nonce)
	if err != nil {
		return nil, err
	}
	at := now()
	a, err := Reappraise(record.Pin{Address: address, Nonce: nonce, Report: contact.Report, FetchedAt: at, Trust: trust}, at)
	if err != nil {
		return nil, err
	}
	a.Findings = append(a.Findings, peerFinding(contact.PeerChain, a.Chain, at))
	return a, nil
}

// Reappraise appraises kept evidence as of now: an edited file, collateral that
// is out of date, or a policy that no longer accepts it are noticed.
func Reappraise(pin record.Pin, now time.Time) (*Attested, error) {
	appraisal, err := attest.AppraiseCAS(attest.CASInputs{
		Report: pin.Report, Nonce: pin.Nonce, CollateralFiles: pin.Trust.Collateral, RootCA: pin.Trust.RootCA, Time: now, Policy: pin.Trust.CAS,
	})
	if err != nil {
		return nil, fmt.Errorf("appraising the evidence of CAS %s: %w", pin.Address, err)
	}
	return &Attested{Findings: appraisal.Findings, Chain: appraisal.Chain, Simulated: appraisal.Simulated, Pin: pin}, nil
}

func peerFinding(peer, attested []*x509.Certificate, now time.Time) check.Finding {
	f := check.Finding{ID: "cas-tls-peer", Title: "the TLS peer that sent the evidence is the attested CAS", Outcome: check.Pass}
	if err := CheckPeer(peer, attested, now); err != nil {
		f.Outcome, f.Reason = check.Fail, err.Error()
		f.Hint = "connect to the CAS without a proxy that ends TLS, or find out who answers at this address"
	}
	return f
}
