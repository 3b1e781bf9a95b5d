package verbs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/cas"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/record"
	"github.com/confidb/confidb/plugin/internal/cli"
)

// connection is a CAS that was attested and is talked to.
type connection struct {
	*cas.Client
	attested *attest.Appraisal
	close    func()
}

// CASError means that a CAS is not proven to be the one that the policy accepts.
type CASError struct {
	Address  string
	Findings check.Report
}

func (e *CASError) worst() check.Finding {
	for _, outcome := range []check.Outcome{check.Fail, check.Skip} {
		if found := e.Findings.With(outcome); len(found) > 0 {
			return found[0]
		}
	}
	return check.Finding{ID: "cas-attested", Reason: "nothing was asked"}
}

func (e *CASError) Error() string {
	f := e.worst()
	parts := []string{fmt.Sprintf("CAS %s is not proven: %s", e.Address, f.ID)}
	if f.Got != "" || f.Want != "" {
		parts = append(parts, fmt.Sprintf("got %s, want %s", f.Got, f.Want))
	}
	if f.Reason != "" {
		parts = append(parts, f.Reason)
	}
	return strings.Join(parts, ": ")
}

// Hint is that of the first finding that is in the way.
func (e *CASError) Hint() string { return e.worst().Hint }

// ExitCode is that of the verdict.
func (e *CASError) ExitCode() int {
	if e.Findings.Verdict() == check.Contraindicated {
		return cli.Contraindicated
	}
	return cli.Unproven
}

// connectCAS attests the CAS afresh, keeps the evidence and returns a client that
// talks to this CAS only. Nothing was sent to a CAS that is not proven.
func connectCAS(ctx context.Context, getter genericclioptions.RESTClientGetter, store record.Store, address string, trust attest.Trust, now func() time.Time) (*connection, error) {
	dial, close, err := dialCAS(ctx, getter, address)
	if err != nil {
		return nil, err
	}
	attested, _, err := attestNow(ctx, dial, store, address, trust, now)
	if err == nil && !attested.Findings.Verdict().Accepted() {
		err = &CASError{address, attested.Findings}
	}
	if err == nil {
		err = store.SavePin(&attested.Pin)
	}
	if err != nil {
		close()
		return nil, err
	}
	return newConnection(dial, close, attested, store, now)
}

func newConnection(dial cas.Dialer, close func(), attested *attest.Appraisal, store record.Store, now func() time.Time) (*connection, error) {
	identity, err := store.Identity(now())
	if err != nil {
		close()
		return nil, err
	}
	client, err := cas.NewClient(dial, attested.Anchor, identity)
	if err != nil {
		close()
		return nil, err
	}
	return &connection{client, attested, func() { client.Close(); close() }}, nil
}

// reconnectCAS relies on the evidence that was kept for a CAS. It is appraised
// again, so that an edited file, or evidence that is no longer good, is noticed.
func reconnectCAS(ctx context.Context, getter genericclioptions.RESTClientGetter, store record.Store, address string, now func() time.Time) (*connection, error) {
	pin, err := store.Pin(address)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &UnknownCASError{address}
	}
	if err != nil {
		return nil, err
	}
	attested, err := pin.Appraise(now())
	if err != nil {
		return nil, err
	}
	if err := remember(store, attested, now()); err != nil {
		return nil, err
	}
	if !attested.Findings.Verdict().Accepted() {
		return nil, &CASError{address, attested.Findings}
	}
	dial, close, err := dialCAS(ctx, getter, address)
	if err != nil {
		return nil, err
	}
	return newConnection(dial, close, attested, store, now)
}

// UnknownCASError means that a CAS was not attested yet.
type UnknownCASError struct{ Address string }

func (e *UnknownCASError) Error() string {
	return fmt.Sprintf("CAS %s was not attested yet", e.Address)
}

// Hint says how to attest it.
func (e *UnknownCASError) Hint() string {
	return fmt.Sprintf("kubectl confidb attest cas %s --policy FILE --collateral FOLDER", e.Address)
}
