package route

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/lab/maxscale/sql"
	"github.com/confidb/confidb/pkg/lab/maxscale/wire"
)

func lower(text string) string { return strings.ToLower(text) }

func isDrop(s sql.Statement) bool {
	return len(s.Tokens) > 0 && strings.EqualFold(s.Tokens[0].Text, "DROP")
}

// errNoPrimary means that what has to go to the primary finds none.
var errNoPrimary = errors.New("Could not find a valid master connection. Closing client connection.")

// one carries out a command at one server.
func (s *session) one(ctx context.Context, c command, where Where) error {
	t, err := s.choose(ctx, where)
	if err != nil {
		return err
	}
	if t, err = s.causal(ctx, t, where); err != nil {
		return err
	}
	err = s.at(t, c)
	if err == nil || !s.repeatable(where) {
		return s.lost(t, err)
	}
	for tried := (map[string]bool{t.name: true}); ; tried[t.name] = true { // a read of which the client has seen nothing
		s.drop(t)
		if t = s.another(ctx, tried); t == nil {
			return &closing{"All servers that could answer a read are lost, closing session."}
		}
		if err = s.at(t, c); err == nil || !s.repeatable(where) {
			return s.lost(t, err)
		}
	}
}

// repeatable reports whether a statement whose server is lost is tried at another one.
func (s *session) repeatable(where Where) bool {
	return where == Replica && !s.answered && s.holder == ""
}

// another returns a server that answers reads and was not tried, or nil.
func (s *session) another(ctx context.Context, tried map[string]bool) *target {
	for _, name := range append(s.options.View.Replicas(), s.options.View.Primary()) {
		if name == "" || tried[name] {
			continue
		}
		if t, err := s.connect(ctx, name); err == nil {
			return t
		}
	}
	return nil
}

// lost ends the session if a statement was lost with its server.
func (s *session) lost(t *target, err error) error {
	if err == nil {
		return nil
	}
	s.drop(t)
	if len(s.temporary) > 0 {
		return &closing{"Temporary tables were lost when the connection was lost, closing session."}
	}
	if s.holder != "" {
		return &closing{"Transaction is open, closing session."}
	}
	return fmt.Errorf("server '%s' was lost with a statement: %w", t.name, err)
}

// at carries out a command at a server, and passes the answer on.
func (s *session) at(t *target, c command) error {
	_, err := s.alone(t, c, 0)
	return err
}

// choose returns the connection that a command goes to.
func (s *session) choose(ctx context.Context, where Where) (*target, error) {
	if s.options.Shards != nil {
		return s.shard()
	}
	if s.holder != "" {
		return s.inTransaction()
	}
	switch where {
	case Last:
		if t := s.targets[s.last]; t != nil && t.conn.Alive() {
			return t, nil
		}
		return s.replica(ctx)
	case Replica:
		return s.replica(ctx)
	case Pinned:
		t, err := s.replica(ctx)
		s.readOnly = err == nil
		return t, err
	}
	return s.primary(ctx)
}

// inTransaction returns the connection of the open transaction. If it is lost, or its
// server is primary no more, so is the transaction.
func (s *session) inTransaction() (*target, error) {
	t := s.targets[s.holder]
	if t == nil || !t.conn.Alive() || !s.readOnly && s.holder != s.options.View.Primary() {
		return nil, &closing{"Transaction is open, closing session."}
	}
	return t, nil
}

// primary returns the connection to the primary, for which it waits if that is configured.
func (s *session) primary(ctx context.Context) (*target, error) {
	until := s.options.Now().Add(s.options.DelayedRetry)
	for {
		name := s.options.View.Primary()
		if err := s.keepsTables(name); err != nil {
			return nil, err
		}
		if name != "" {
			t, err := s.connect(ctx, name)
			if err == nil {
				return t, nil
			}
			if err := s.admissible(err); err != nil {
				return nil, err
			}
		}
		if s.options.DelayedRetry == 0 || !s.wait(ctx, until) {
			return nil, fmt.Errorf("Write query received from '%s'@'%s'. %w", s.client.identity.User, s.client.from, errNoPrimary)
		}
	}
}

// keepsTables returns an error if the temporary tables of the session are at no server any
// more that is the primary.
func (s *session) keepsTables(primary string) error {
	if len(s.temporary) == 0 {
		return nil
	}
	if t := s.targets[primary]; t == nil || !t.conn.Alive() {
		return &closing{"Temporary tables were lost when the connection was lost, closing session."}
	}
	return nil
}

// replica returns the connection to the replica with the fewest running statements, in
// turn where several have as few, or to the primary where there is none.
func (s *session) replica(ctx context.Context) (*target, error) {
	until := s.options.Now().Add(s.options.DelayedRetry)
	for {
		for _, name := range s.candidates() {
			t, err := s.connect(ctx, name)
			if err == nil {
				return t, nil
			}
			if err := s.admissible(err); err != nil {
				return nil, err
			}
		}
		if s.options.DelayedRetry == 0 || !s.wait(ctx, until) {
			return nil, &closing{"No server is left that could answer a read, closing session."}
		}
	}
}

// candidates are the servers that answer reads, the best one first.
func (s *session) candidates() []string {
	all := slices.Clone(s.options.View.Replicas())
	if len(all) > 0 {
		s.turn++
		n := s.turn % len(all)
		all = append(all[n:len(all):len(all)], all[:n]...)
		slices.SortStableFunc(all, func(a, b string) int { return int(s.runs(a) - s.runs(b)) })
	}
	if primary := s.options.View.Primary(); primary != "" {
		all = append(all, primary)
	}
	return all
}

func (s *session) runs(server string) int64 {
	if n := s.running[server]; n != nil {
		return n.Load()
	}
	return 0
}

// pass passes the answer to a command on. Own is the number that the client knows what it
// prepares by.
func (s *session) pass(t *target, c command, own uint32) (failed bool, err error) {
	t.running.Add(1)
	defer t.running.Add(-1)
	a := &passing{session: s, target: t, own: own, walker: wire.NewWalker(c.kind(), t.conn.Agreed)}
	if s.filter != nil {
		a.rewriter = s.rewriter(c.kind())
	}
	for !a.walker.Done {
		if t.conn.Waiting() == 0 {
			if err := s.client.Flush(); err != nil {
				return false, errQuit
			}
		}
		p, err := t.conn.Read()
		if err != nil {
			return false, err
		}
		if err := a.packet(p); err != nil {
			return false, err
		}
	}
	if a.walker.HasStatus {
		s.see(t, a.walker.Status)
	}
	if err := s.client.Flush(); err != nil {
		return false, errQuit
	}
	return a.failed, nil
}

// rewriter is what the filter looks into an answer with.
func (s *session) rewriter(to wire.Command) Rewriter {
	switch to {
	case wire.Query:
		return s.filter.Answer(false)
	case wire.Execute, wire.BulkExecute:
		return s.filter.Answer(true)
	case wire.Fetch:
		s.unmeasured("?23: rows of a cursor, which no filter sees here")
	}
	return nil
}

// see takes down what the status of an answer says of transactions.
func (s *session) see(t *target, status wire.Status) {
	s.status = status
	switch {
	case !status.Has(wire.InTransaction):
		s.holder, s.readOnly = "", false
	case s.holder == "":
		s.holder = t.name
	}
}

// passing is an answer on its way to the client.
type passing struct {
	session  *session
	target   *target
	walker   *wire.Walker
	rewriter Rewriter
	own      uint32
	failed   bool
	part     bool // of a row of several packets
}

// packet passes a packet on.
func (a *passing) packet(p wire.Packet) error {
	kind, err := a.walker.Next(p.Payload)
	if err != nil {
		return err
	}
	switch kind {
	case wire.KindLocalFile:
		a.session.unmeasured("?9: a server that asks for a file of the client")
		return &closing{"a server asks for a file of the client, closing session."}
	case wire.KindError:
		a.failed = true
	case wire.KindOK, wire.KindEnd:
		if p.Payload, err = a.track(kind, p.Payload); err != nil {
			return err
		}
	case wire.KindPrepared:
		a.target.prepared(a.own, p.Payload)
		if prepared, err := wire.ParsePrepared(p.Payload); err == nil {
			a.session.preparedParameters = prepared.Parameters
		}
		p.Payload = renumber(p.Payload, a.own)
	}
	if err := a.rewrite(kind, p); err != nil {
		return err
	}
	a.session.answered = true
	if err := a.session.client.Write(p); err != nil {
		return errQuit
	}
	return nil
}

// rewrite lets the filter look at a packet.
func (a *passing) rewrite(kind wire.Kind, p wire.Packet) error {
	if a.rewriter == nil {
		return nil
	}
	switch kind {
	case wire.KindColumns:
		a.rewriter.Columns(a.walker.Columns)
	case wire.KindColumn:
		column, err := wire.ParseColumn(p.Payload, a.target.conn.Agreed)
		if err != nil {
			return err
		}
		a.rewriter.Column(column)
	case wire.KindRow:
		whole := !a.part && !p.Continues()
		a.part = p.Continues()
		return a.rewriter.Row(p.Payload, whole)
	}
	return nil
}

// every carries out a command of the session at every server that it is connected to. The
// client has the answer of the primary, or of the first where there is none; the others
// answer before they are used next.
func (s *session) every(ctx context.Context, c command, remember bool) error {
	_, err := s.everywhere(ctx, c, 0, remember)
	return err
}

// everywhere reports whether the answer is an error of the server.
func (s *session) everywhere(ctx context.Context, c command, own uint32, remember bool) (failed bool, err error) {
	first, err := s.spokesman(ctx)
	if err != nil {
		return false, err
	}
	var others []*debt
	for _, t := range s.targets {
		if t == first || !s.servesStill(t) {
			continue
		}
		d, err := t.owe(c.bytes, own)
		if err != nil {
			s.drop(t)
			continue
		}
		others = append(others, d)
	}
	if failed, err = s.alone(first, c, own); err != nil {
		return false, s.lost(first, err)
	}
	for _, d := range others {
		d.failed = failed
	}
	if remember && !failed {
		s.remember(c.bytes, own)
	}
	return failed, nil
}

// servesStill reports whether a connection is of use, and drops it if not.
func (s *session) servesStill(t *target) bool {
	if len(t.owed) == 0 && !t.conn.Alive() || len(t.owed) >= mostOwed && t.settle() != nil {
		s.drop(t)
		return false
	}
	return true
}

// alone carries out a command at one server, whatever it says of others.
func (s *session) alone(t *target, c command, own uint32) (failed bool, err error) {
	if err := t.settle(); err != nil {
		return false, err
	}
	if err := t.send(c.bytes); err != nil {
		return false, err
	}
	s.last = t.name
	return s.pass(t, c, own)
}

// spokesman is the connection whose answer to a command of the session the client has.
func (s *session) spokesman(ctx context.Context) (*target, error) {
	if s.options.Shards != nil {
		return s.shard()
	}
	if s.holder != "" {
		return s.inTransaction()
	}
	if name := s.options.View.Primary(); name != "" {
		if err := s.keepsTables(name); err != nil {
			return nil, err
		}
		if t, err := s.connect(ctx, name); err == nil {
			return t, nil
		} else if err := s.admissible(err); err != nil {
			return nil, err
		}
	}
	return s.replica(ctx)
}

// remember keeps a command of the session for connections to come.
func (s *session) remember(command []byte, own uint32) {
	s.history = append(s.history, remembered{command, own})
	if len(s.history) > s.options.History {
		s.unmeasured("?7: more commands of a session than are kept")
		s.history, s.forgotten = s.history[1:], true
	}
}
