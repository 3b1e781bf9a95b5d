// Package backend connects the lab's stand-in for MaxScale to database servers: TLS with
// its own certificate, a login as the account of a client whose password nobody here knows
// but its SHA-1, and questions of its own.
//
// It does not pool connections, sends no PROXY header, and logs in by mysql_native_password
// only.
package backend

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/confidb/confidb/pkg/lab/maxscale/wire"
)

// Server is a database server.
type Server struct {
	// Name is that of its section in the configuration.
	Name string
	// Address is host:port.
	Address string
	// TLS is how it is reached. Nil means in clear.
	TLS *tls.Config
	// Timeout bounds the connection, TLS and login together. Zero means three seconds,
	// which is MaxScale's own for a connection.
	Timeout time.Duration
}

const connectTimeout = 3 * time.Second

func (s Server) timeout() time.Duration {
	if s.Timeout == 0 {
		return connectTimeout
	}
	return s.Timeout
}

// Identity is who logs in, and how.
type Identity struct {
	User string
	// Password is SHA1(password). Nil means that the account has none.
	Password *wire.Hash
	Database string
	Charset  uint16
	// Capabilities are those that answers shall have the form of. Those of the login itself
	// need not be named.
	Capabilities wire.Capabilities
	MaxPacket    uint32
	// Attributes are those of the connection, as a client sent them.
	Attributes []byte
}

// Conn is a connection that has logged in. Its stream may be used by one at a time.
type Conn struct {
	*wire.Stream
	Server string
	// Greeting is what the server began with.
	Greeting wire.Greeting
	// Agreed are the capabilities that answers have the form of.
	Agreed wire.Capabilities
	// Status is that of the login's answer.
	Status wire.Status

	socket net.Conn
	tcp    net.Conn // below TLS
	// challenge is the server's last one, which is that of a change of the user too.
	challenge wire.Challenge
}

// Close ends the connection without a farewell. It may be called at any time, by anybody,
// and more than once.
func (c *Conn) Close() error { return c.tcp.Close() }

// ErrCapability means that a server lacks a capability that a client was offered.
var ErrCapability = errors.New("the server does not have the capabilities of the client")

// Dial connects and logs in. A server that refuses is an error with a *wire.Error in it.
func Dial(ctx context.Context, s Server, who Identity) (*Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout())
	defer cancel()
	socket, err := new(net.Dialer).DialContext(ctx, "tcp", s.Address)
	if err != nil {
		return nil, fmt.Errorf("connecting to '%s': %w", s.Name, err)
	}
	c := &Conn{Server: s.Name, socket: socket, tcp: socket, Stream: wire.NewStream(socket)}
	release := c.bound(ctx)
	err = c.logIn(ctx, s, who)
	if release(); err != nil {
		c.socket.Close()
		return nil, err
	}
	return c, nil
}

// bound makes every read and write fail once ctx is done, until it is released.
func (c *Conn) bound(ctx context.Context) (release func()) {
	socket := c.socket
	stop := context.AfterFunc(ctx, func() { socket.SetDeadline(time.Unix(1, 0)) })
	return func() {
		if stop() {
			socket.SetDeadline(time.Time{})
		}
	}
}

// login is the login of an identity, before the challenge is answered.
func (who Identity) login() wire.Login {
	agreed := who.Capabilities&^(wire.TLS|wire.ConnectWithDB) | wire.Protocol41 | wire.SecureConnection | wire.PluginAuth
	if who.Database != "" {
		agreed |= wire.ConnectWithDB
	}
	return wire.Login{Capabilities: agreed, MaxPacket: who.MaxPacket, Charset: who.Charset, User: who.User, Database: who.Database,
		Plugin: wire.NativePassword, Attributes: who.Attributes}
}

// answer answers a challenge.
func (who Identity) answer(c wire.Challenge) []byte {
	if who.Password == nil {
		return nil
	}
	return who.Password.Answer(c)
}

func (c *Conn) logIn(ctx context.Context, s Server, who Identity) error {
	p, err := c.Read()
	if err != nil {
		return fmt.Errorf("reading the greeting of '%s': %w", s.Name, err)
	}
	greeting, err := wire.ParseGreeting(p.Payload)
	if err != nil {
		return fmt.Errorf("greeting of '%s': %w", s.Name, err)
	}
	c.Greeting, c.challenge = *greeting, greeting.Challenge
	l, sequence := who.login(), p.Sequence+1
	if lacking := l.Capabilities &^ (greeting.Capabilities | wire.LongPassword | wire.ConnectWithDB | wire.FoundRows); lacking != 0 {
		return fmt.Errorf("'%s' lacks capabilities %#x: %w", s.Name, uint64(lacking), ErrCapability)
	}
	c.Agreed = l.Capabilities
	if s.TLS != nil {
		if err := c.secure(ctx, s, &l, sequence); err != nil {
			return err
		}
		sequence++
	}
	l.Reply = who.answer(c.challenge)
	if err := c.Send(sequence, l.Encode()); err != nil {
		return fmt.Errorf("logging in at '%s': %w", s.Name, err)
	}
	return c.admitted(who)
}

// secure begins TLS.
func (c *Conn) secure(ctx context.Context, s Server, l *wire.Login, sequence byte) error {
	if !c.Greeting.Capabilities.Has(wire.TLS) {
		return fmt.Errorf("'%s' does not offer TLS", s.Name)
	}
	l.Capabilities |= wire.TLS
	if err := c.Send(sequence, l.TLSRequest()); err != nil {
		return fmt.Errorf("beginning TLS with '%s': %w", s.Name, err)
	}
	secured := tls.Client(c.socket, s.TLS)
	if err := secured.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("TLS with '%s': %w", s.Name, err)
	}
	c.socket, c.Stream = secured, wire.NewBuffered(secured)
	return nil
}

// admitted reads the server's answers to a login, up to its OK. Its challenge may be
// another one than that of the greeting.
func (c *Conn) admitted(who Identity) error {
	for again := true; ; again = false {
		p, err := c.Read()
		if err != nil {
			return fmt.Errorf("logging in at '%s': %w", c.Server, err)
		}
		if challenge, ok := wire.ParseSwitchRequest(p.Payload); ok && again {
			c.challenge = challenge
			if err := c.Send(p.Sequence+1, who.answer(challenge)); err != nil {
				return fmt.Errorf("logging in at '%s': %w", c.Server, err)
			}
			continue
		}
		return c.accept(p.Payload)
	}
}

// accept takes an OK packet, and returns any other as an error.
func (c *Conn) accept(packet []byte) error {
	if len(packet) == 0 || packet[0] == 0xff {
		return fmt.Errorf("'%s' refuses: %w", c.Server, wire.ParseError(packet))
	}
	if packet[0] != 0 {
		return fmt.Errorf("'%s' wants another method of login than %s", c.Server, wire.NativePassword)
	}
	ok, err := wire.ParseOK(packet, c.Agreed)
	if err != nil {
		return fmt.Errorf("login at '%s': %w", c.Server, err)
	}
	c.Status = ok.Status
	if c.Limit > 0 { // a connection in clear: nothing but packets follows
		c.Stream = wire.NewBuffered(c.socket)
	}
	return nil
}

// ChangeUser makes the connection that of somebody else, with the answer of the server. Its
// capabilities stay.
func (c *Conn) ChangeUser(ctx context.Context, who Identity) error {
	release := c.bound(ctx)
	defer release()
	l := who.login()
	l.Capabilities, l.Reply = c.Agreed, who.answer(c.challenge)
	if err := c.Send(0, l.EncodeChangeUser()); err != nil {
		return fmt.Errorf("changing the user at '%s': %w", c.Server, err)
	}
	return c.admitted(who)
}
