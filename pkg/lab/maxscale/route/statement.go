package route

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/confidb/confidb/pkg/lab/maxscale/wire"
)

// statement is one that the client has prepared. Its number is the session's own, as each
// server has another one.
type statement struct {
	own        uint32
	text       []byte // of the command that prepares it
	where      Where
	parameters int
	// types are those of the parameters, as the client has sent them last.
	types []byte
	// last is where it was run last: its cursor is there.
	last string
	// long says that parts of a parameter were sent to the primary.
	long bool
}

const (
	// anyStatement is the number that stands for the one prepared last.
	anyStatement = 0xffffffff
	numberAt     = 1 // where the number stands in a command, four bytes
	numberEnd    = numberAt + 4
	// flagsBytes are the flags and the iterations of an EXECUTE, before its bitmap.
	flagsBytes = 5
)

// renumber puts another number into a command about a statement, or into the answer to
// COM_STMT_PREPARE.
func renumber(packet []byte, number uint32) []byte {
	made := append([]byte(nil), packet...)
	binary.LittleEndian.PutUint32(made[numberAt:], number)
	return made
}

// prepare prepares a statement at every server.
func (s *session) prepare(ctx context.Context, c command) error {
	text := string(c.bytes[1:])
	if s.filter != nil {
		if refused := s.filter.Statement(text, s.mode); refused != nil {
			return s.refuse(c, refused)
		}
	}
	all := s.options.Words.Read(text, s.mode)
	if s.options.Shards != nil {
		s.lastID++
		return s.prepareAt(c, &statement{own: s.lastID, text: c.bytes, where: Primary}, all)
	}
	in := s.situation()
	in.Transaction, in.ReadOnly = false, false
	where := Decide(all, in)
	switch where {
	case Refused:
		return s.refuse(c, s.refusal(all[0]))
	case Every, Pinned:
		s.unmeasured("?11: a prepared statement that changes the session")
		where = Primary
	}
	s.lastID++
	p := &statement{own: s.lastID, text: c.bytes, where: where}
	failed, err := s.everywhere(ctx, c, p.own, true)
	if err == nil && !failed {
		p.parameters = s.preparedParameters
		s.prepared[p.own] = p
	}
	return err
}

// ofStatement carries out a command about a statement that was prepared.
func (s *session) ofStatement(ctx context.Context, c command) error {
	if len(c.bytes) < numberEnd {
		return s.refuse(c, wire.NewError(1835, "HY000", "Malformed communication packet"))
	}
	number := binary.LittleEndian.Uint32(c.bytes[numberAt:])
	if number == anyStatement {
		number = s.lastID
	}
	p := s.prepared[number]
	if p == nil {
		return s.unknown(c, number)
	}
	s.to = p.last
	switch c.kind() {
	case wire.CloseStatement:
		return s.closeStatement(p, c)
	case wire.SendLongData:
		p.long = true
		return s.quietly(ctx, p, c)
	case wire.ResetStatement:
		p.long = false
		return s.resetStatement(ctx, p, c)
	case wire.Fetch:
		return s.fetch(p, c)
	}
	return s.execute(ctx, p, c)
}

// unknown is a statement that nobody has prepared. Commands without an answer have none.
func (s *session) unknown(c command, number uint32) error {
	names := map[wire.Command]string{wire.Execute: "COM_STMT_EXECUTE", wire.BulkExecute: "COM_STMT_BULK_EXECUTE", wire.Fetch: "COM_STMT_FETCH", wire.ResetStatement: "COM_STMT_RESET"}
	if c.kind().Silent() {
		return nil
	}
	return s.refuse(c, wire.NewError(1243, "HY000", "Unknown prepared statement handler (%d) given to MaxScale for %s by '%s'@'%s'", number, names[c.kind()], s.client.identity.User, s.client.from))
}

// execute runs a statement at one server, by the server's number of it.
func (s *session) execute(ctx context.Context, p *statement, c command) error {
	where := p.where
	if s.situation().Transaction || p.long || c.kind() == wire.BulkExecute {
		where = Primary
	}
	if c.kind() == wire.Execute {
		p.keepTypes(c.bytes)
	}
	for tried := (map[string]bool{}); ; {
		t, err := s.chooseAnother(ctx, where, tried)
		if err != nil {
			return err
		}
		if t, err = s.causal(ctx, t, where); err != nil {
			return err
		}
		err = s.run(t, p, c)
		if p.last, p.long = t.name, false; err == nil || !s.repeatable(where) {
			return s.lost(t, err)
		}
		s.drop(t)
		tried[t.name] = true
	}
}

// chooseAnother returns the connection that a command goes to, or another one than those
// that were tried.
func (s *session) chooseAnother(ctx context.Context, where Where, tried map[string]bool) (*target, error) {
	if len(tried) == 0 {
		return s.choose(ctx, where)
	}
	if t := s.another(ctx, tried); t != nil {
		return t, nil
	}
	return nil, &closing{"All servers that could answer a read are lost, closing session."}
}

// run runs a statement at a server.
func (s *session) run(t *target, p *statement, c command) error {
	command, err := s.numbered(t, p, c.bytes)
	if err != nil {
		return err
	}
	if c.kind() == wire.Execute {
		command = p.withTypes(command, t.typed[p.own])
		t.typed[p.own] = true
	}
	return s.at(t, commandOf(c, command))
}

func commandOf(c command, bytes []byte) command { return command{bytes, c.next} }

// numbered is a command with a server's own number of the statement, which is prepared
// there if it is not yet.
func (s *session) numbered(t *target, p *statement, bytes []byte) ([]byte, error) {
	if err := t.settle(); err != nil {
		return nil, err
	}
	if _, known := t.statements[p.own]; !known {
		if err := t.quiet(p.text, p.own); err != nil {
			return nil, fmt.Errorf("preparing a statement at '%s': %w", t.name, err)
		}
	}
	return renumber(bytes, t.statements[p.own]), nil
}

// bound is where the flag stands that says whether types follow, or 0 without parameters.
func (p *statement) bound() int {
	if p.parameters == 0 {
		return 0
	}
	return numberEnd + flagsBytes + (p.parameters+7)/8
}

// keepTypes keeps the types of the parameters, if they are sent.
func (p *statement) keepTypes(command []byte) {
	at, size := p.bound(), 2*p.parameters
	if at > 0 && len(command) > at+size && command[at] == 1 {
		p.types = append([]byte(nil), command[at+1:at+1+size]...)
	}
}

// withTypes puts the types in, which the client has sent before, for a server that has not
// seen them.
func (p *statement) withTypes(command []byte, seen bool) []byte {
	at := p.bound()
	if seen || at == 0 || p.types == nil || len(command) <= at || command[at] != 0 {
		return command
	}
	made := append([]byte(nil), command[:at]...)
	made = append(append(made, 1), p.types...)
	return append(made, command[at+1:]...)
}

// quietly sends a command that is not answered to the primary.
func (s *session) quietly(ctx context.Context, p *statement, c command) error {
	t, err := s.choose(ctx, Primary)
	if err != nil {
		return err
	}
	command, err := s.numbered(t, p, c.bytes)
	if err == nil {
		err = t.conn.Send(0, command)
	}
	return s.lost(t, err)
}

// fetch reads on from a cursor, at the server that has it.
func (s *session) fetch(p *statement, c command) error {
	t := s.targets[p.last]
	if t == nil || !t.conn.Alive() {
		return &closing{"The server of a cursor was lost, closing session."}
	}
	command, err := s.numbered(t, p, c.bytes)
	if err == nil {
		err = s.at(t, commandOf(c, command))
	}
	return s.lost(t, err)
}

// resetStatement resets a statement wherever it is known.
func (s *session) resetStatement(ctx context.Context, p *statement, c command) error {
	first, err := s.spokesman(ctx)
	if err != nil {
		return err
	}
	for _, t := range s.targets {
		number, known := t.statements[p.own]
		if t == first || !known || t.settle() != nil {
			continue
		}
		if _, err := t.owe(renumber(c.bytes, number), 0); err != nil {
			s.drop(t)
		}
	}
	command, err := s.numbered(first, p, c.bytes)
	if err == nil {
		err = s.at(first, commandOf(c, command))
	}
	return s.lost(first, err)
}

// closeStatement forgets a statement everywhere.
func (s *session) closeStatement(p *statement, c command) error {
	delete(s.prepared, p.own)
	for i, r := range s.history {
		if r.own == p.own {
			s.history = append(s.history[:i:i], s.history[i+1:]...)
			break
		}
	}
	for _, t := range s.targets {
		if t.settle() != nil {
			s.drop(t)
			continue
		}
		if number, known := t.statements[p.own]; known {
			if t.conn.Send(0, renumber(c.bytes, number)) != nil {
				s.drop(t)
			}
			delete(t.statements, p.own)
		}
		delete(t.typed, p.own)
	}
	return nil
}
