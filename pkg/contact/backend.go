package contact

import (
	"context"
	"errors"
	"fmt"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/cas"
)

// Evidence says how a CAS is attested, and holds what the user gave for it. Its zero
// value asks the CAS for a fresh report.
type Evidence struct {
	// Backend is where the evidence comes from; empty means attest.BackendReport.
	Backend attest.Backend
	// Report is the saved report of attest.BackendFile, and Nonce the one that was sent
	// for it. Of attest.BackendPinned it is the PEM certificates of the CAS.
	Report []byte
	Nonce  [16]byte
	// Alone appraises a saved report and asks no CAS.
	Alone bool
	// Resource has SCONE's operator answer a nonce, for attest.BackendResource.
	Resource func(ctx context.Context, address string, nonce [16]byte) ([]byte, error)
	// Program is SCONE's command line program, for attest.BackendCLI.
	Program string
}

// AttestBy attests the CAS at address by the chosen back-end, together with the peer of
// a TLS connection, and appraises it by trust. A refusal is no error: it is in the
// findings.
func (d Desk) AttestBy(ctx context.Context, address string, trust attest.Trust, e Evidence) (*attest.Appraisal, error) {
	switch {
	case e.Backend == "" || e.Backend == attest.BackendReport:
		return d.Attest(ctx, address, trust)
	case e.Backend == attest.BackendFile && e.Alone:
		return d.attestAlone(address, trust, e)
	}
	dial, close, err := d.Dial(ctx, address)
	if err != nil {
		return nil, err
	}
	defer close()
	pin := attest.Pin{Address: address, Backend: e.Backend, Trust: trust}
	if err := d.fill(ctx, &pin, e, dial); err != nil {
		return nil, err
	}
	peer, err := cas.FetchPeer(ctx, dial)
	if err != nil {
		return nil, err
	}
	if len(peer) > 0 && e.Backend == attest.BackendRATLS {
		pin.Report = peer[0].Raw
	}
	pin.FetchedAt = d.Now()
	appraisal, err := pin.AppraiseWithPeer(peer, pin.FetchedAt)
	if err != nil {
		return nil, err
	}
	if err := d.remember(appraisal, pin.FetchedAt); err != nil {
		return nil, err
	}
	return appraisal, nil
}

// attestAlone judges a saved report and asks no CAS.
func (d Desk) attestAlone(address string, trust attest.Trust, e Evidence) (*attest.Appraisal, error) {
	pin := attest.Pin{Address: address, Backend: e.Backend, Nonce: e.Nonce, Report: e.Report, FetchedAt: d.Now(), Trust: trust}
	appraisal, err := pin.AppraiseAlone(pin.FetchedAt)
	if err != nil {
		return nil, err
	}
	if err := d.remember(appraisal, pin.FetchedAt); err != nil {
		return nil, err
	}
	return appraisal, nil
}

// fill gets the evidence that does not come from the TLS peer.
func (d Desk) fill(ctx context.Context, pin *attest.Pin, e Evidence, dial cas.Dialer) (err error) {
	switch pin.Backend {
	case attest.BackendFile, attest.BackendPinned:
		pin.Report, pin.Nonce = e.Report, e.Nonce
	case attest.BackendResource:
		if e.Resource == nil {
			return errors.New("attesting by a custom resource: no cluster to ask")
		}
		if pin.Nonce, err = d.nonce(); err != nil {
			return err
		}
		pin.Report, err = e.Resource(ctx, pin.Address, pin.Nonce)
	case attest.BackendCLI:
		pin.Report, err = runSCONE(ctx, e.Program, pin.Trust.CAS, dial)
	case attest.BackendRATLS:
	default:
		return fmt.Errorf("evidence: got %.40q, want one of %q", pin.Backend, attest.Backends())
	}
	return err
}
