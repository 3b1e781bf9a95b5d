// Package contact tells the story of meeting a CAS: its evidence is fetched, appraised
// and compared with what earlier runs saw, and only a CAS that is accepted is talked
// to. Evidence comes from one of several back-ends. The judgements are those of
// pkg/attest; this package sees to their order, and that nothing is sent to a CAS
// before them. It does not know flags, Kubernetes or exit codes.
package contact

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/cas"
)

// Store keeps what one user knows of CASes; record.Store is one.
type Store interface {
	// Memory is what was seen in earlier runs, and Learn adds to it.
	Memory() (attest.Memory, error)
	Learn(learn func(attest.Memory) attest.Memory) error
	// Pin is the evidence that was kept for an address; fs.ErrNotExist means none.
	Pin(address string) (*attest.Pin, error)
	SavePin(p *attest.Pin) error
	// Identity is the TLS client certificate by which a CAS knows the user.
	Identity(now time.Time) (tls.Certificate, error)
}

// Dial makes a dialer for the CAS at an address. close ends what the dialer needs, such
// as a port-forward.
type Dial func(ctx context.Context, address string) (dial cas.Dialer, close func(), err error)

// Desk is where one user meets CASes. Store, Now and Dial are needed.
type Desk struct {
	Store Store
	// Now is the clock.
	Now func() time.Time
	// Rand is where nonces come from; nil means crypto/rand.
	Rand io.Reader
	Dial Dial
}

// Attest asks the CAS at address for fresh evidence, and appraises it by trust. A
// refusal is no error: it is in the findings.
func (d Desk) Attest(ctx context.Context, address string, trust attest.Trust) (*attest.Appraisal, error) {
	m, err := d.Meet(ctx, address, trust)
	if err != nil {
		return nil, err
	}
	m.Close()
	return m.Appraisal, nil
}

// Connect attests the CAS at address afresh, keeps the evidence, and returns a client
// that talks to this CAS only. Of a CAS that is not accepted nothing is kept, nothing
// is sent to it, and the error is a *CASError.
func (d Desk) Connect(ctx context.Context, address string, trust attest.Trust) (*Connection, error) {
	m, err := d.Meet(ctx, address, trust)
	if err != nil {
		return nil, err
	}
	c, err := m.Connect()
	if err == nil {
		err = d.Keep(m.Appraisal)
	}
	if err != nil {
		m.Close()
		return nil, err
	}
	return c, nil
}

// Keep keeps the evidence of a CAS that is accepted, for Reconnect. Of any other the
// error is a *CASError.
func (d Desk) Keep(a *attest.Appraisal) error {
	if err := accept(a); err != nil {
		return err
	}
	if err := d.Store.SavePin(&a.Pin); err != nil {
		return fmt.Errorf("keeping the evidence: %w", err)
	}
	return nil
}

// Reconnect relies on the evidence that was kept for the CAS at address. It is appraised
// again, so that an edited file, or evidence that is no longer good, is noticed. Without
// any the error is an *UnknownCASError.
func (d Desk) Reconnect(ctx context.Context, address string) (*Connection, error) {
	pin, err := d.Store.Pin(address)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &UnknownCASError{address}
	}
	if err != nil {
		return nil, err
	}
	at := d.Now()
	appraisal, err := pin.Appraise(at)
	if err != nil {
		return nil, err
	}
	if err := d.remember(appraisal, at); err != nil {
		return nil, err
	}
	if err := accept(appraisal); err != nil {
		return nil, err
	}
	dial, close, err := d.Dial(ctx, address)
	if err != nil {
		return nil, err
	}
	c, err := (&Meeting{Appraisal: appraisal, desk: d, dial: dial, close: close}).Connect()
	if err != nil {
		close()
		return nil, err
	}
	return c, nil
}

// Meeting is a CAS that answered, whatever its evidence is worth.
type Meeting struct {
	Appraisal *attest.Appraisal
	// Peer are the DER certificates of the TLS peer that sent the evidence, leaf first.
	Peer [][]byte

	desk  Desk
	dial  cas.Dialer
	close func()
}

// Meet asks the CAS at address for fresh evidence and appraises it by trust. The caller
// closes the meeting, or else the connection that is made of it.
func (d Desk) Meet(ctx context.Context, address string, trust attest.Trust) (*Meeting, error) {
	dial, close, err := d.Dial(ctx, address)
	if err != nil {
		return nil, err
	}
	m := &Meeting{desk: d, dial: dial, close: close}
	if err := m.attest(ctx, address, trust); err != nil {
		close()
		return nil, err
	}
	return m, nil
}

func (m *Meeting) attest(ctx context.Context, address string, trust attest.Trust) error {
	nonce, err := m.desk.nonce()
	if err != nil {
		return err
	}
	answer, err := cas.FetchEvidence(ctx, m.dial, nonce)
	if err != nil {
		return err
	}
	for _, c := range answer.PeerChain {
		m.Peer = append(m.Peer, c.Raw)
	}
	at := m.desk.Now()
	pin := attest.Pin{Address: address, Backend: attest.BackendReport, Nonce: nonce, Report: answer.Report, FetchedAt: at, Trust: trust}
	if m.Appraisal, err = pin.AppraiseWithPeer(answer.PeerChain, at); err != nil {
		return err
	}
	return m.desk.remember(m.Appraisal, at)
}

// Connect returns a client for the CAS that was met; closing it closes the meeting. For
// one that is not accepted the error is a *CASError.
func (m *Meeting) Connect() (*Connection, error) {
	if err := accept(m.Appraisal); err != nil {
		return nil, err
	}
	identity, err := m.desk.Store.Identity(m.desk.Now())
	if err != nil {
		return nil, err
	}
	client, err := cas.NewClient(m.dial, m.Appraisal.Anchor, identity)
	if err != nil {
		return nil, err
	}
	return &Connection{client, m.Appraisal, m.close}, nil
}

// Close ends what was needed to reach the CAS.
func (m *Meeting) Close() { m.close() }

// Connection is a CAS that was accepted and is talked to.
type Connection struct {
	*cas.Client
	Appraisal *attest.Appraisal
	close     func()
}

// Close ends the connection, and what was needed to reach the CAS.
func (c *Connection) Close() {
	c.Client.Close()
	c.close()
}

// remember adds what earlier runs saw to the findings, and keeps what an accepted CAS
// adds to that: it is judged before it is learnt from.
func (d Desk) remember(a *attest.Appraisal, now time.Time) error {
	memory, err := d.Store.Memory()
	if err != nil {
		return err
	}
	a.Findings = append(a.Findings, memory.Judge(a.Result, a.Pin.Trust.RootCA, now)...)
	if !a.Findings.Verdict().Accepted() {
		return nil
	}
	return d.Store.Learn(func(m attest.Memory) attest.Memory { return m.Learn(a.Result, a.Pin.Trust.RootCA, now) })
}

// accept is a *CASError unless a CAS may be talked to.
func accept(a *attest.Appraisal) error {
	if a.Findings.Verdict().Accepted() {
		return nil
	}
	return &CASError{Address: a.Pin.Address, Findings: a.Findings}
}

func (d Desk) nonce() (nonce [16]byte, err error) {
	source := d.Rand
	if source == nil {
		source = rand.Reader
	}
	if _, err := io.ReadFull(source, nonce[:]); err != nil {
		return nonce, fmt.Errorf("making a nonce: %w", err)
	}
	return nonce, nil
}
