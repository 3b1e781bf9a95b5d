package route

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/confidb/confidb/pkg/lab/maxscale/accounts"
	"github.com/confidb/confidb/pkg/lab/maxscale/backend"
	"github.com/confidb/confidb/pkg/lab/maxscale/wire"
)

// loginTimeout is for how long a client may take to log in.
const loginTimeout = 10 * time.Second

// client is one that has logged in.
type client struct {
	*wire.Stream
	conn      net.Conn
	from      netip.Addr
	number    uint32
	agreed    wire.Capabilities
	identity  backend.Identity
	challenge wire.Challenge
	noted     []string // what was unmeasured in its login
}

var errInClear = errors.New("it logs in without TLS")

// admit greets a client, shakes hands and judges its login.
func (s *Service) admit(ctx context.Context, conn net.Conn, secure func() *tls.Config) (*client, error) {
	from, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return nil, err
	}
	c := &client{Stream: wire.NewStream(conn), conn: conn, from: from.Addr().Unmap(), number: s.greeted.Add(1)}
	if blocked := s.options.Blocker.Blocked(c.from); blocked != nil {
		refuse(conn, blocked)
		return nil, blocked
	}
	conn.SetDeadline(time.Now().Add(loginTimeout))
	if err := s.greet(c, secure != nil); err != nil {
		return nil, err
	}
	login, sequence, err := c.handshake(ctx, secure)
	if err != nil && !errors.Is(err, errInClear) {
		return nil, err
	}
	refused := accounts.Denied(accounts.Request{User: login.User, From: c.from, Reply: login.Reply})
	if err == nil {
		sequence, refused, err = s.logIn(ctx, c, login, sequence)
	}
	if refused != nil {
		if refused.Code == accessDenied {
			s.options.Blocker.Failed(c.from)
		}
		return nil, errors.Join(refused, c.Send(sequence, refused.Encode()))
	}
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Time{})
	return c, c.Send(sequence, wire.OK{Status: wire.Autocommit}.Encode())
}

const accessDenied = 1045

// greet sends the greeting. Its version is that of the servers.
func (s *Service) greet(c *client, secure bool) (err error) {
	if c.challenge, err = wire.NewChallenge(s.options.Random); err != nil {
		return err
	}
	offered := s.offered()
	if !secure {
		offered &^= wire.TLS
	}
	version := s.options.Accounts.Table().Version
	if version == "" {
		version = "5.5.5-lab" // nobody logs in then
	}
	const latin1 = 8
	g := wire.Greeting{Version: version, ConnectionID: c.number, Challenge: c.challenge, Capabilities: offered, Charset: latin1, Status: wire.Autocommit}
	c.agreed = offered
	return c.Send(0, g.Encode())
}

// handshake reads the client's answer to the greeting, within TLS where that is wanted. A
// client that does without is errInClear, with what it said.
func (c *client) handshake(ctx context.Context, secure func() *tls.Config) (*wire.Login, byte, error) {
	p, err := c.Read()
	if err != nil {
		return nil, 0, fmt.Errorf("reading its login: %w", err)
	}
	asksTLS, inClear := wire.IsTLSRequest(p.Payload), error(nil)
	switch {
	case asksTLS && secure == nil:
		return nil, 0, errors.New("it asks for TLS, which was not offered")
	case asksTLS:
		if err := c.secure(ctx, secure()); err != nil {
			return nil, 0, err
		}
		if p, err = c.Read(); err != nil {
			return nil, 0, fmt.Errorf("reading its login: %w", err)
		}
	case secure != nil:
		inClear = errInClear
	}
	login, err := wire.ParseLogin(p.Payload)
	if err != nil {
		return nil, 0, err
	}
	if secure == nil {
		c.Stream = wire.NewBuffered(c.conn)
		c.Limit = wire.HandshakeLimit
	}
	return login, p.Sequence + 1, inClear
}

func (c *client) secure(ctx context.Context, config *tls.Config) error {
	secured := tls.Server(c.conn, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("TLS: %w", err)
	}
	c.conn, c.Stream = secured, wire.NewBuffered(secured)
	c.Limit = wire.HandshakeLimit
	return nil
}

// logIn judges a login, after asking for another one if it was made by a method that is not
// spoken here.
func (s *Service) logIn(ctx context.Context, c *client, login *wire.Login, sequence byte) (byte, *wire.Error, error) {
	c.agreed = login.Capabilities & (c.agreed | wire.LongPassword)
	if login.Capabilities.Has(wire.LongPassword) {
		c.agreed &= 1<<32 - 1 // a client of MySQL has none of MariaDB's
	}
	login.Capabilities = c.agreed
	sequence, err := s.askAgain(c, login, sequence)
	if err != nil {
		return sequence, nil, err
	}
	_, hash, refused := s.options.Accounts.Login(ctx, accounts.Request{User: login.User, Database: login.Database, From: c.from, Challenge: c.challenge, Reply: login.Reply})
	c.identity = identity(login, hash)
	c.Limit = 0
	return sequence, refused, nil
}

// identity is as whom the servers know a client.
func identity(l *wire.Login, hash *wire.Hash) backend.Identity {
	return backend.Identity{User: l.User, Password: hash, Database: l.Database, Charset: l.Charset, Capabilities: l.Capabilities, MaxPacket: l.MaxPacket, Attributes: l.Attributes}
}

// askAgain asks for a login by mysql_native_password with another challenge, if the client
// has used another method.
func (s *Service) askAgain(c *client, login *wire.Login, sequence byte) (byte, error) {
	if login.Plugin == "" || login.Plugin == wire.NativePassword {
		return sequence, nil
	}
	c.noted = append(c.noted, "?4: a client that begins with another method of login")
	var err error
	if c.challenge, err = wire.NewChallenge(s.options.Random); err != nil {
		return sequence, err
	}
	if err := c.Send(sequence, wire.SwitchRequest(c.challenge)); err != nil {
		return sequence, err
	}
	p, err := c.Read()
	if err != nil {
		return sequence, fmt.Errorf("reading its answer to a challenge: %w", err)
	}
	login.Plugin, login.Reply = wire.NativePassword, append([]byte(nil), p.Payload...)
	return p.Sequence + 1, nil
}
