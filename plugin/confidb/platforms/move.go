package platforms

import (
	"context"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/contact"
	"github.com/confidb/confidb/pkg/machines"
	"github.com/confidb/confidb/pkg/platform"
	"github.com/confidb/confidb/plugin/internal/verbs"
)

// move is a release whose sessions are to admit other machines.
type move struct {
	*verbs.OpenedRelease
	*contact.Connection
	id     string
	unlock func()
}

// open attests the CAS of a release afresh, and keeps other processes from it.
func (s *search) open(ctx context.Context, name string) (*move, error) {
	known, err := verbs.OpenRelease(s.env, name)
	if err != nil {
		return nil, err
	}
	id, err := known.Cluster.ID()
	if err != nil {
		return nil, err
	}
	unlock, err := known.Store.LockRelease(id, known.Promised.Namespace, name)
	if err != nil {
		return nil, err
	}
	c, err := verbs.Connect(ctx, s.env, known.Promised.CASAddress, known.Promised.Trust)
	if err != nil {
		unlock()
		return nil, err
	}
	return &move{known, c, id, unlock}, nil
}

func (m *move) close() { m.Close(); m.unlock() }

// ids asks for the machines. They must be known as well as the policy of the
// installation says, and as the flags say.
func (s *search) ids(ctx context.Context, m *move) ([]attest.PlatformID, error) {
	options, err := s.resolve(ctx, "")
	if err != nil {
		return nil, err
	}
	inventory, err := machines.Find(ctx, s.env.Getter, options.Options)
	if err != nil {
		return nil, err
	}
	if err := platform.Require(inventory, m.Promised.Trust.RequireProvenance); err != nil {
		return nil, err
	}
	return inventory.IDs(), nil
}
