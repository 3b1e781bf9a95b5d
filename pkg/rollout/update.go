// Package rollout carries changes of sessions out: one session after it was shown, one
// by a signed plan, or those of a release in step, with a way back. What may be done is
// judged by package change; here it is done, over interfaces of what is outside.
package rollout

import (
	"context"
	"errors"

	"github.com/confidb/confidb/pkg/cas"
	"github.com/confidb/confidb/pkg/change"
	"github.com/confidb/confidb/pkg/session"
)

// Reader reads sessions from an attested CAS.
type Reader interface {
	// SessionVersion reads the version that a hash names; the empty hash is the newest.
	// A session that there is not, or that may not be seen, is cas.ErrNotFound.
	SessionVersion(ctx context.Context, name, hash string) (*session.Stored, error)
}

// CAS is an attested CAS that holds sessions.
type CAS interface {
	Reader
	// CreateSession uploads a document and returns its hash. It is cas.ErrMoved if
	// the predecessor in it is not the newest version.
	CreateSession(ctx context.Context, document []byte) (hash string, err error)
	// PutSignedSession is CreateSession in the name of those who signed.
	PutSignedSession(ctx context.Context, document []byte, signatures []session.Signature) (hash string, err error)
}

// Read returns the newest version of a session.
func Read(ctx context.Context, c Reader, name string) (change.Version, error) {
	return readVersion(ctx, c, name, "")
}

func readVersion(ctx context.Context, c Reader, name, hash string) (change.Version, error) {
	stored, err := c.SessionVersion(ctx, name, hash)
	if err != nil {
		return change.Version{}, err
	}
	return change.ReadVersion(name, stored)
}

// PlanUpdate works out what replacing the session of a document's name by the document
// does. It is a *change.NoSessionError when there is none.
func PlanUpdate(ctx context.Context, c Reader, wanted *session.Session) (*change.Update, error) {
	held, err := Read(ctx, c, wanted.Name)
	if errors.Is(err, cas.ErrNotFound) {
		return nil, &change.NoSessionError{Name: wanted.Name}
	}
	if err != nil {
		return nil, err
	}
	return change.NewUpdate(held, wanted)
}

// maxRaces bounds how often a lost race is run again.
const maxRaces = 3

// Update uploads. When somebody else was faster, it goes on only if the update still
// does exactly what was shown, and is a *change.MovedError otherwise.
func Update(ctx context.Context, c CAS, shown *change.Update) (hash string, err error) {
	u := shown
	for range maxRaces {
		hash, err = c.CreateSession(ctx, u.To.Source())
		if !errors.Is(err, cas.ErrMoved) {
			return hash, err
		}
		again, err := PlanUpdate(ctx, c, u.To)
		if err != nil {
			return "", err
		}
		if !again.Same(shown) {
			return "", &change.MovedError{Name: u.To.Name}
		}
		u = again
	}
	return "", err
}

// JudgePlan holds a plan against what the CAS at an address has. done means that the plan
// was carried out before.
func JudgePlan(ctx context.Context, c Reader, address string, p *change.Plan) (done bool, err error) {
	if err := p.For(address); err != nil {
		return false, err
	}
	held, err := Read(ctx, c, p.Name())
	if err != nil {
		return false, err
	}
	return p.Judge(held)
}

// ApplyPlan uploads what a plan says, in the name of those who signed it. JudgePlan saw
// that CAS has the version that the plan replaces; if it has moved since, CAS refuses and
// the error is a *change.MovedError.
func ApplyPlan(ctx context.Context, c CAS, p *change.Plan) (hash string, err error) {
	if len(p.Signatures) == 0 {
		hash, err = c.CreateSession(ctx, p.To.Source())
	} else {
		var signatures []session.Signature
		for _, s := range p.Signatures {
			signatures = append(signatures, s.Signature)
		}
		hash, err = c.PutSignedSession(ctx, p.To.Source(), signatures)
	}
	if errors.Is(err, cas.ErrMoved) {
		return "", p.Moved()
	}
	return hash, err
}
