package route

import (
	"context"
	"fmt"

	"github.com/confidb/confidb/pkg/lab/maxscale/accounts"
	"github.com/confidb/confidb/pkg/lab/maxscale/wire"
)

// reset makes the session, and those of it at servers, as they were after the login, but for
// the database that was chosen.
func (s *session) reset(ctx context.Context, c command) error {
	if err := s.every(ctx, c, false); err != nil {
		return err
	}
	if s.database != "" {
		s.client.identity.Database = s.database
	}
	s.renewed()
	for _, t := range s.targets {
		if t.settle() != nil || s.trackWrites(ctx, t) != nil {
			s.drop(t)
		}
	}
	return nil
}

// renewed forgets what the servers have forgotten.
func (s *session) renewed() {
	s.renew()
	for _, t := range s.targets {
		if t.settle() != nil {
			s.drop(t)
			continue
		}
		t.statements, t.typed = map[uint32]uint32{}, map[uint32]bool{}
	}
}

// changeUser makes the session that of somebody else, who logs in as at the beginning.
func (s *session) changeUser(ctx context.Context, c command) error {
	login, err := wire.ParseChangeUser(c.bytes, s.client.agreed)
	if err != nil {
		return err
	}
	if login.Plugin != "" && login.Plugin != wire.NativePassword {
		// The reader of commands would take the answer to another challenge for a command.
		s.unmeasured("?4: a change of the user by another method of login")
		return s.denied(c, login)
	}
	login.MaxPacket = s.client.identity.MaxPacket
	if login.Charset == 0 {
		login.Charset = s.client.identity.Charset
	}
	_, hash, refused := s.options.Accounts.Login(ctx, accounts.Request{User: login.User, Database: login.Database, From: s.client.from, Challenge: s.client.challenge, Reply: login.Reply})
	if refused != nil {
		return s.denied(c, login)
	}
	s.abandon() // those log in as the user of before
	s.client.identity, s.database = identity(login, hash), ""
	s.filters = nil // as another user has another filter
	s.refilter()
	s.renewed()
	for _, t := range s.targets {
		if err := t.conn.ChangeUser(ctx, s.backendIdentity()); err != nil {
			s.drop(t)
			if err := s.admissible(err); err != nil {
				return err
			}
			continue
		}
		if err := s.trackWrites(ctx, t); err != nil {
			s.drop(t)
		}
	}
	return s.client.Send(c.next, wire.OK{Status: wire.Autocommit}.Encode())
}

// denied refuses a change of the user, and closes the session: whether MaxScale goes on as
// the old user is not measured.
func (s *session) denied(c command, login *wire.Login) error {
	refused := accounts.Denied(accounts.Request{User: login.User, From: s.client.from, Reply: login.Reply})
	s.options.Blocker.Failed(s.client.from)
	s.unmeasured("?5: a change of the user that fails")
	if err := s.refuse(c, refused); err != nil {
		return err
	}
	return &closing{fmt.Sprintf("A change of the user failed: %v, closing session.", refused)}
}
