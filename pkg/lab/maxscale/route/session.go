package route

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/confidb/confidb/pkg/lab/maxscale/sql"
	"github.com/confidb/confidb/pkg/lab/maxscale/wire"
)

// mostCommand bounds a command of a client, in bytes: as much as servers take at most.
const mostCommand = 1 << 30

// remembered is a command of the session that new connections repeat.
type remembered struct {
	command []byte
	own     uint32 // the client's number of what it prepares
}

// session is a client's. Only its own goroutine uses it.
type session struct {
	*Service
	client  *client
	filter  Filter
	filters *Filters // that have made it
	targets map[string]*target
	// pending are the servers whose connections are still to come about, by arrivals.
	pending  map[string]bool
	arrivals chan arrival

	history   []remembered
	forgotten bool // some of it was
	status    wire.Status
	holder    string // the server that the open transaction is at
	readOnly  bool   // that is a replica, as the transaction only reads
	last      string // the server of the last statement
	turn      int    // of the replicas
	mode      sql.Mode
	database  string // that was chosen last, empty for that of the login
	temporary map[string]bool

	texts    map[string]Where // statements that were prepared as texts
	prepared map[uint32]*statement
	lastID   uint32
	writes   position // of this session
	// preparedParameters are those of the statement that was prepared last.
	preparedParameters int
	unsure             map[string]bool
	answered           bool // a part of the present answer has been passed on

	// of schemarouter: which database is where, the server of the one that was chosen, and
	// that of the present command
	where    shardMap
	here, to string
}

func newSession(s *Service, c *client) *session {
	made := &session{Service: s, client: c, unsure: map[string]bool{}, turn: int(c.number)}
	made.renew()
	made.targets, made.pending = map[string]*target{}, map[string]bool{}
	return made
}

// renew makes the session one in which nothing has happened.
func (s *session) renew() {
	s.history, s.forgotten, s.status, s.holder, s.readOnly, s.mode = nil, false, wire.Autocommit, "", false, sql.Mode{}
	s.temporary, s.texts, s.prepared = map[string]bool{}, map[string]Where{}, map[uint32]*statement{}
}

// command is one of the client's.
type command struct {
	bytes []byte
	next  byte // the sequence number of its answer
}

func (c command) kind() wire.Command { return wire.Command(c.bytes[0]) }

// errQuit means that the client is done.
var errQuit = errors.New("the client leaves")

// serve carries out the client's commands until one side has had enough. A client that goes
// away ends what its servers are doing.
func (s *session) serve(ctx context.Context, cancel context.CancelFunc) {
	for _, what := range s.client.noted {
		s.unmeasured(what)
	}
	commands := make(chan command, 1)
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(commands)
		s.read(ctx, commands)
		cancel()
	})
	s.begin(ctx)
	var err error
	for err == nil {
		c, open, failed := s.await(ctx, commands)
		if err = failed; err != nil || !open {
			break
		}
		err = s.do(ctx, c)
	}
	s.end(ctx, err)
	cancel() // which closes the client's connection
	s.abandon()
	for range commands {
	}
	reading.Wait()
}

// end ends what is there for the session.
func (s *session) end(ctx context.Context, err error) {
	for _, t := range s.targets {
		s.drop(t)
	}
	if err != nil && !errors.Is(err, errQuit) && ctx.Err() == nil {
		s.log("error", err.Error())
	}
}

// read reads commands until the client is gone. One that leaves before it was answered
// ends what is done for it.
func (s *session) read(ctx context.Context, commands chan<- command) {
	for {
		message, next, err := s.client.ReadMessage(mostCommand)
		if err != nil || len(message) == 0 {
			return
		}
		select {
		case commands <- command{message, next}:
		case <-ctx.Done():
			return
		}
		if wire.Command(message[0]) == wire.Quit {
			<-ctx.Done()
			return
		}
	}
}

// admissible returns the end of the session if a server did not let the client in, and nil
// for a server that is not reached.
func (s *session) admissible(err error) error {
	if refused, ok := denied(err); ok {
		return fmt.Errorf("%w; All backends are now permanently unusable, closing session.", &closing{fmt.Sprintf("Authentication failed: %d %s", refused.Code, refused.Message)})
	}
	return nil
}

// reachable are the servers that a session connects to, the primary first.
func (s *session) reachable() []string {
	var all []string
	if primary := s.options.View.Primary(); primary != "" {
		all = append(all, primary)
	}
	if s.options.PrimaryOnly {
		return all
	}
	return append(all, s.options.View.Replicas()...)
}

// closing is a reason for which a client is cut off, as the log has it.
type closing struct{ text string }

func (c *closing) Error() string { return c.text }

func (s *session) log(level, text string) {
	s.options.Log(level, fmt.Sprintf("(%d) (%s) %s", s.client.number, s.options.Service, text))
}

// unmeasured says once in a session that nobody has measured what MaxScale does.
func (s *session) unmeasured(what string) {
	if !s.unsure[what] {
		s.unsure[what] = true
		s.log("warning", "lab stand-in: unmeasured "+what)
	}
}

// do carries out a command.
func (s *session) do(ctx context.Context, c command) error {
	s.answered = false
	s.refilter()
	if c.kind() == wire.Quit {
		return errQuit
	}
	if s.options.Shards != nil {
		return s.sharded(ctx, c)
	}
	switch c.kind() {
	case wire.Query:
		return s.query(ctx, c)
	case wire.Prepare:
		return s.prepare(ctx, c)
	case wire.Execute, wire.BulkExecute, wire.Fetch, wire.SendLongData, wire.CloseStatement, wire.ResetStatement:
		return s.ofStatement(ctx, c)
	case wire.InitDB:
		failed, err := s.everywhere(ctx, c, 0, true)
		if err == nil && !failed {
			s.database = string(c.bytes[1:])
		}
		return err
	case wire.SetOption:
		return s.every(ctx, c, true)
	case wire.ResetConnection:
		return s.reset(ctx, c)
	case wire.ChangeUser:
		return s.changeUser(ctx, c)
	case wire.Ping, wire.Statistics:
		return s.one(ctx, c, Replica)
	case wire.FieldList, wire.CreateDB, wire.DropDB, wire.Refresh, wire.ProcessInfo, wire.Debug, wire.Shutdown:
		return s.one(ctx, c, Primary)
	}
	s.unmeasured(fmt.Sprintf("?6: command %#x", c.bytes[0]))
	return s.refuse(c, wire.NewError(1047, "08S01", "Unknown command"))
}

// refilter makes the filter of the session anew if the service has got others.
func (s *session) refilter() {
	now := s.Service.filters.Load()
	if now == s.filters {
		return
	}
	if s.filters, s.filter = now, nil; now != nil {
		s.filter = now.New(s.client.identity.User, s.client.from.String())
	}
}

// refuse answers a command with an error.
func (s *session) refuse(c command, e *wire.Error) error { return s.client.Send(c.next, e.Encode()) }

// situation is what decides where a statement goes.
func (s *session) situation() Situation {
	return Situation{Transaction: s.status.Has(wire.InTransaction) || !s.status.Has(wire.Autocommit), ReadOnly: s.readOnly && s.holder != "",
		Temporary: s.temporary, Prepared: s.texts}
}

// query carries out a statement in text.
func (s *session) query(ctx context.Context, c command) error {
	text := string(c.bytes[1:])
	all := s.options.Words.Read(text, s.mode)
	if s.filter != nil {
		if refused := s.filter.Statement(text, s.mode); refused != nil {
			return s.refuse(c, refused)
		}
	}
	if s.options.Shards != nil {
		return s.route(ctx, c, all)
	}
	switch where := s.decide(all); where {
	case Refused:
		return s.refuse(c, s.refusal(all[0]))
	case Every:
		return s.sessionCommand(ctx, c, all[0])
	default:
		if err := s.one(ctx, c, where); err != nil {
			return err
		}
		s.learn(all)
		return nil
	}
}

// decide says where statements go, in the situation of the session.
func (s *session) decide(all []sql.Statement) Where {
	where := Decide(all, s.situation())
	if s.options.PrimaryOnly && (where == Replica || where == Pinned || where == Last) {
		return Primary
	}
	return where
}

// refusal is what a statement is refused with that goes nowhere.
func (s *session) refusal(of sql.Statement) *wire.Error {
	if of.Type == sql.Kill {
		s.unmeasured("?6: KILL")
		return wire.NewError(1227, "42000", "Access denied; you need (at least one of) the CONNECTION ADMIN privilege(s) for this operation")
	}
	return wire.NewError(1193, "HY000", "Attempt to set unknown MaxScale user variable")
}

// learn takes down which tables of the session are temporary.
func (s *session) learn(all []sql.Statement) {
	for _, of := range all {
		if of.Type != sql.Define || !of.Temporary && !isDrop(of) {
			continue
		}
		for _, table := range of.Tables {
			if isDrop(of) {
				delete(s.temporary, lower(table.Name))
			} else {
				s.temporary[lower(table.Name)] = true
				break
			}
		}
	}
}

// sessionCommand carries out a statement that every server has to know.
func (s *session) sessionCommand(ctx context.Context, c command, of sql.Statement) error {
	failed, err := s.everywhere(ctx, c, 0, of.Type != sql.SetTransaction && s.options.Shards == nil)
	if err != nil || failed {
		return err
	}
	switch of.Type {
	case sql.Use:
		s.database = of.Database
	case sql.Prepare:
		s.texts[lower(of.Prepared)] = s.whereOf(of)
	}
	for _, a := range of.Sets {
		if a.Name != "sql_mode" || a.Scope == "GLOBAL" {
			continue
		}
		value, ok := a.Literal(s.mode)
		if !ok {
			s.unmeasured("?19: a sql_mode that is not one literal")
		}
		s.mode = sql.ParseMode(value)
	}
	return nil
}

// whereOf is where a statement goes that is prepared as a text.
func (s *session) whereOf(of sql.Statement) Where {
	if of.FromVariable {
		return Primary
	}
	in := s.situation()
	in.Transaction, in.ReadOnly = false, false
	switch where := Decide(s.options.Words.Read(of.From, s.mode), in); where {
	case Every, Refused, Last, Pinned:
		return Primary
	default:
		return where
	}
}

// wait returns when a server may have become available, or false when the time is over.
func (s *session) wait(ctx context.Context, until time.Time) bool {
	const every = 50 * time.Millisecond
	if s.options.Now().After(until) {
		return false
	}
	select {
	case <-time.After(every):
		return true
	case <-ctx.Done():
		return false
	}
}
