package attest

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/sgx"
)

// Appraisal is a CAS after its evidence was appraised, whatever came out.
type Appraisal struct {
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
	Pin Pin
}

// Label says what the evidence binds, and how fresh it is.
func (a *Appraisal) Label() *EvidenceLabel {
	l := LabelOf(a.Pin.Backend, a.Findings)
	return &l
}

// Claims are what the quote says, or nil where none was verified.
func (a *Appraisal) Claims() *Claims {
	if a.Result == nil {
		return nil
	}
	return ClaimsOf(a.Result)
}

// AppraiseWithPeer appraises evidence, and the TLS peer that must be the attested CAS.
func (p Pin) AppraiseWithPeer(peer []*x509.Certificate, now time.Time) (*Appraisal, error) {
	a, err := p.Appraise(now)
	if err != nil {
		return nil, err
	}
	a.Findings = append(a.Findings, peerFinding(peer, a.Anchor, now))
	return a, nil
}

// Appraise appraises evidence as of now. Of evidence that was kept, an edited file,
// collateral that is out of date, or a policy that no longer accepts it are noticed.
func (p Pin) Appraise(now time.Time) (*Appraisal, error) {
	appraisal, err := AppraiseCAS(CASInputs{
		Backend: p.Backend, Report: p.Report, Nonce: p.Nonce, Time: now,
		CollateralFiles: p.Trust.Collateral, RootCA: p.Trust.RootCA, Policy: p.Trust.CAS, Freshness: p.Trust.Freshness, Deviations: p.Trust.Deviations,
	})
	if err != nil {
		return nil, fmt.Errorf("appraising the evidence of CAS %s: %w", p.Address, err)
	}
	return &Appraisal{appraisal.Findings, Anchor{appraisal.Chain, appraisal.Key}, appraisal.Result, appraisal.Simulated, p}, nil
}

// AppraiseAlone appraises evidence that was saved, where no CAS is asked. The missing
// TLS peer is a warning: whoever leaves the address out chose it.
func (p Pin) AppraiseAlone(now time.Time) (*Appraisal, error) {
	a, err := p.Appraise(now)
	if err != nil {
		return nil, err
	}
	a.Findings = append(a.Findings, check.Finding{ID: "cas-tls-peer", Title: peerTitle, Outcome: check.Warn,
		Reason: "a saved report without an address is appraised alone: no CAS was asked"})
	return a, nil
}

// peerTitle is what is asked about the peer of a TLS connection.
const peerTitle = "the TLS peer is the attested CAS"

func peerFinding(peer []*x509.Certificate, anchor Anchor, now time.Time) check.Finding {
	f := check.Finding{ID: "cas-tls-peer", Title: peerTitle, Outcome: check.Pass}
	err := anchor.CheckPeer(peer, now)
	if dates, ok := errors.AsType[*DatesError](err); ok {
		f.Outcome, f.Reason, f.Hint = check.Skip, err.Error(), "Set the clock of this machine or of the CAS."
		f.Got, f.Want = dates.Now.UTC().Format(time.RFC3339), dates.From.UTC().Format(time.RFC3339)+" to "+dates.Until.UTC().Format(time.RFC3339)
		return f
	}
	if err != nil {
		f.Outcome, f.Reason = check.Fail, err.Error()
		f.Hint = "Connect to the CAS without a proxy that ends TLS, or find out who answers at this address."
	}
	return f
}
