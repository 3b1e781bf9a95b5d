package route

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/confidb/confidb/pkg/lab/maxscale/backend"
	"github.com/confidb/confidb/pkg/lab/maxscale/wire"
)

// target is a session's connection to a server.
type target struct {
	name    string
	conn    *backend.Conn
	running *atomic.Int64 // statements of all sessions there whose answers clients wait for
	release func() bool   // from the end of the session
	// statements are the server's numbers of what was prepared, by those that the client
	// knows; typed are those whose parameters' types the server has been told.
	statements map[uint32]uint32
	typed      map[uint32]bool
	// owed are answers to commands of the session that are not the client's to see.
	owed []*debt
}

// debt is an answer that a server has still to give.
type debt struct {
	command wire.Command
	failed  bool   // what the client was answered
	own     uint32 // of a statement that was prepared: the number that the client knows
}

const mostOwed = 16

// errDiffers means that a server has answered a command of the session otherwise than the
// one whose answer the client has: it is not in the state that the client believes.
var errDiffers = errors.New("it answers a command of the session otherwise than another server")

// send sends a command.
func (t *target) send(command []byte) error { return t.conn.Send(0, command) }

// owe sends a command whose answer is to be read before the connection is used next.
func (t *target) owe(command []byte, own uint32) (*debt, error) {
	if err := t.send(command); err != nil {
		return nil, err
	}
	d := &debt{command: wire.Command(command[0]), own: own}
	t.owed = append(t.owed, d)
	return d, nil
}

// settle reads the answers that a server owes.
func (t *target) settle() error {
	for len(t.owed) > 0 {
		d := t.owed[0]
		t.owed = t.owed[1:]
		if err := t.take(d); err != nil {
			return err
		}
	}
	return nil
}

// take reads an answer, and keeps of it what a prepared statement is called.
func (t *target) take(d *debt) error {
	w, failed := wire.NewWalker(d.command, t.conn.Agreed), false
	for !w.Done {
		p, err := t.conn.Read()
		if err != nil {
			return err
		}
		kind, err := w.Next(p.Payload)
		if err != nil {
			return err
		}
		switch kind {
		case wire.KindPrepared:
			t.prepared(d.own, p.Payload)
		case wire.KindError, wire.KindLocalFile:
			failed = true
		}
	}
	if failed != d.failed {
		return errDiffers
	}
	return nil
}

func (t *target) prepared(own uint32, packet []byte) {
	if p, err := wire.ParsePrepared(packet); err == nil { // the walker has seen it
		t.statements[own] = p.ID
	}
}

// quiet sends a command and reads its answer, which the client does not see.
func (t *target) quiet(command []byte, own uint32) error {
	if err := t.send(command); err != nil {
		return err
	}
	return t.take(&debt{command: wire.Command(command[0]), own: own})
}

// connect connects to a server, and makes the session there what it is elsewhere.
func (s *session) connect(ctx context.Context, name string) (*target, error) {
	if t := s.targets[name]; t != nil {
		if err := t.settle(); err == nil && t.conn.Alive() {
			return t, nil
		}
		s.drop(t)
	}
	for s.pending[name] {
		a := <-s.arrivals
		t, err := s.adopt(ctx, a)
		if _, refused := denied(err); a.name == name || refused {
			return t, err
		}
	}
	server, known := s.servers[name]
	if !known {
		return nil, fmt.Errorf("server '%s' is none of service '%s'", name, s.options.Service)
	}
	conn, err := backend.Dial(ctx, server, s.backendIdentity())
	return s.adopt(ctx, arrival{name, conn, err})
}

// arrival is what becomes of an attempt to connect.
type arrival struct {
	name string
	conn *backend.Conn
	err  error
}

// adopt makes a new connection one of the session's.
func (s *session) adopt(ctx context.Context, a arrival) (*target, error) {
	delete(s.pending, a.name)
	if a.err != nil {
		return nil, a.err
	}
	t := &target{name: a.name, conn: a.conn, running: s.running[a.name], statements: map[uint32]uint32{}, typed: map[uint32]bool{}}
	s.register(t)
	t.release = context.AfterFunc(ctx, func() { t.conn.Close() })
	s.targets[a.name] = t
	err := s.replay(ctx, t)
	if s.forgotten {
		err = fmt.Errorf("server '%s' can not be connected to: commands of the session are forgotten", a.name)
	}
	if err != nil {
		s.drop(t)
		return nil, err
	}
	return t, nil
}

// begin begins to connect to every server, and waits for none: one that hangs hinders only
// who needs it.
func (s *session) begin(ctx context.Context) {
	all := s.reachable()
	s.arrivals = make(chan arrival, len(all))
	for _, name := range all {
		server, known := s.servers[name]
		if !known {
			continue
		}
		arrivals, who := s.arrivals, s.backendIdentity()
		s.pending[name] = true
		go func() {
			conn, err := backend.Dial(ctx, server, who)
			arrivals <- arrival{name, conn, err}
		}()
	}
}

// await returns the client's next command, and takes meanwhile the connections that come
// about. A server that does not let the client in ends the session.
func (s *session) await(ctx context.Context, commands <-chan command) (c command, open bool, err error) {
	for {
		select {
		case c, open = <-commands:
			return c, open, nil
		case a := <-s.arrivals:
			if _, err := s.adopt(ctx, a); err != nil {
				if err := s.admissible(err); err != nil {
					return c, false, err
				}
			}
		}
	}
}

// abandon gives up the connections that are still to come about, and waits for their end.
func (s *session) abandon() {
	for range len(s.pending) {
		if a := <-s.arrivals; a.conn != nil {
			a.conn.Close()
		}
	}
	clear(s.pending)
}

// backendIdentity is the client's, with what is wanted of servers beyond that.
func (s *session) backendIdentity() backend.Identity {
	who := s.atAny(s.client.identity)
	if s.options.CausalReads != CausalNone {
		who.Capabilities |= wire.SessionTrack
	}
	return who
}

// replay runs what the session's commands so far were.
func (s *session) replay(ctx context.Context, t *target) error {
	if err := s.trackWrites(ctx, t); err != nil {
		return err
	}
	for _, c := range s.history {
		if err := t.quiet(c.command, c.own); err != nil {
			return fmt.Errorf("replaying the session at '%s': %w", t.name, err)
		}
	}
	return nil
}

// drop ends a connection to a server.
func (s *session) drop(t *target) {
	t.release()
	t.conn.Close()
	s.forget(t)
	if s.targets[t.name] == t {
		delete(s.targets, t.name)
	}
}

// denied reports whether a server does not let the client in.
func denied(err error) (*wire.Error, bool) {
	var refused *wire.Error
	return refused, errors.As(err, &refused)
}
