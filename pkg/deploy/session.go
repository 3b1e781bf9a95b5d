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
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/topology"
)

// CAS is the attested CAS, as far as an installation needs it.
type CAS interface {
	Session(ctx context.Context, name string) (*session.Stored, error)
	CreateSession(ctx context.Context, document []byte) (string, error)
}

// EnsureSession makes the CAS hold the session s. When a session of that name is
// there already, it must mean the same: then its hash is taken and nothing is
// uploaded. It reports whether it created the session.
func EnsureSession(ctx context.Context, c CAS, s *topology.Session) (created bool, err error) {
	stored, err := inspect(ctx, c, s)
	switch {
	case err != nil:
		return false, err
	case stored == nil:
		s.Hash, err = c.CreateSession(ctx, []byte(s.Text))
		return err == nil, err
	}
	s.Hash = stored.Hash
	return false, nil
}

// InspectSession says what EnsureSession would do, and changes nothing.
func InspectSession(ctx context.Context, c CAS, s *topology.Session) (string, error) {
	stored, err := inspect(ctx, c, s)
	if err != nil {
		return "", err
	}
	if stored == nil {
		return "would be created", nil
	}
	return "is there already, with the same meaning", nil
}

// inspect returns the session that CAS holds if it is the wanted one, and nil when
// it holds none and may be given it.
func inspect(ctx context.Context, c CAS, s *topology.Session) (*session.Stored, error) {
	stored, err := c.Session(ctx, s.Name)
	if errors.Is(err, cas.ErrNotFound) {
		if s.Hash != "" {
			return nil, fmt.Errorf("session %q was created before, and this CAS does not have it: got another CAS, or one that lost its store", s.Name)
		}
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return stored, topology.SameSession(*s, stored)
}
