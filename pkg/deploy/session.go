// Package deploy tells the story of an installation: sessions for a client and a
// database in an attested CAS, then a Helm release that runs under them. Every
// step is written down before it is taken and looks first at what is there, so a
// run that was killed is continued by the next one and ends in the same state.
package deploy

import (
	"context"
	"errors"
	"fmt"

	"github.com/confidb/confidb/pkg/cas"
	"github.com/confidb/confidb/pkg/change"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/topology"
)

// CAS is the attested CAS, as far as an installation needs it.
type CAS interface {
	Session(ctx context.Context, name string) (*session.Stored, error)
	CreateSession(ctx context.Context, document []byte) (string, error)
	PublicValue(ctx context.Context, name, hash, secret string) (string, error)
}

// EnsureSession makes the CAS hold the session s: the document that shall replace it, if
// there is one. When a session of that name is there already, it must mean the same, or be
// the recorded version that is to be replaced.
func EnsureSession(ctx context.Context, c CAS, s *topology.Session) (did Did, err error) {
	if s.Next != "" {
		return replace(ctx, c, s)
	}
	stored, err := inspect(ctx, c, s)
	switch {
	case err != nil:
		return "", err
	case stored == nil:
		s.Hash, err = c.CreateSession(ctx, []byte(s.Text))
		return Created, err
	}
	s.Hash = stored.Hash
	return Kept, nil
}

// Did is what was done about a session, in words.
type Did string

// What was done.
const (
	Created  Did = "created"
	Replaced Did = "changed"
	Kept     Did = "is there already, with the same meaning"
)

// replace uploads the document that shall replace a session. It may be there already: a
// run may have been killed before it wrote that down.
func replace(ctx context.Context, c CAS, s *topology.Session) (Did, error) {
	held, to, err := successor(ctx, c, s)
	if err != nil {
		return "", err
	}
	if to == nil {
		s.Text, s.Hash, s.Next = held.Text(), held.Hash, ""
		return Kept, nil
	}
	hash, err := c.CreateSession(ctx, to.Source())
	if errors.Is(err, cas.ErrMoved) {
		return "", &change.MovedError{Name: s.Name}
	}
	if err != nil {
		return "", err
	}
	s.Text, s.Hash, s.Next = string(to.Source()), hash, ""
	return Replaced, nil
}

// successor is what CAS holds, and what is to be uploaded: nil if it is there.
func successor(ctx context.Context, c CAS, s *topology.Session) (change.Version, *session.Session, error) {
	stored, err := c.Session(ctx, s.Name)
	if errors.Is(err, cas.ErrNotFound) {
		return change.Version{}, nil, lost(s)
	}
	if err != nil {
		return change.Version{}, nil, err
	}
	held, err := change.ReadVersion(s.Name, stored)
	if err != nil {
		return change.Version{}, nil, err
	}
	wanted, err := session.Parse(s.Name, []byte(s.Next))
	switch {
	case err != nil:
		return change.Version{}, nil, err
	case session.Equal(held.Session, wanted):
		return held, nil, nil
	case !held.Is(s.Hash):
		return change.Version{}, nil, topology.SameSession(*s, stored)
	}
	u, err := change.NewUpdate(held, wanted)
	if err != nil {
		return change.Version{}, nil, err
	}
	return held, u.To, nil
}

// InspectSession says what EnsureSession would do, and changes nothing.
func InspectSession(ctx context.Context, c CAS, s *topology.Session) (string, error) {
	if s.Next != "" {
		_, to, err := successor(ctx, c, s)
		if to == nil {
			return string(Kept), err
		}
		return "would be changed", err
	}
	stored, err := inspect(ctx, c, s)
	if err != nil {
		return "", err
	}
	if stored == nil {
		return "would be created", nil
	}
	return string(Kept), nil
}

func lost(s *topology.Session) error {
	return fmt.Errorf("session %q was created before, and this CAS does not have it: got another CAS, or one that lost its store", s.Name)
}

// inspect returns the session that CAS holds if it is the wanted one, and nil when
// it holds none and may be given it.
func inspect(ctx context.Context, c CAS, s *topology.Session) (*session.Stored, error) {
	stored, err := c.Session(ctx, s.Name)
	if errors.Is(err, cas.ErrNotFound) {
		if s.Hash != "" {
			return nil, lost(s)
		}
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return stored, topology.SameSession(*s, stored)
}
