package route

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/confidb/confidb/pkg/lab/maxscale/accounts"
	"github.com/confidb/confidb/pkg/lab/maxscale/backend"
	"github.com/confidb/confidb/pkg/lab/maxscale/sql"
	"github.com/confidb/confidb/pkg/lab/maxscale/wire"
)

// View is what a monitor says at the moment.
type View interface {
	// Primary is the server that is Master and runs, empty if none is.
	Primary() string
	// Replicas are the servers that are Slave and run, in the order of the configuration.
	Replicas() []string
}

// Accounts judges logins.
type Accounts interface {
	Login(ctx context.Context, r accounts.Request) (accounts.Account, *wire.Hash, *wire.Error)
	Table() *accounts.Table
}

// Filter looks into the statements and answers of one session.
type Filter interface {
	// Statement judges a statement before it goes anywhere. What is not nil is sent to the
	// client in its place.
	Statement(text string, mode sql.Mode) *wire.Error
	// Answer begins the answer to a statement, in binary rows or in text. Nil means that
	// nobody looks into it.
	Answer(binary bool) Rewriter
}

// Rewriter looks into one answer, which may have several sets of rows.
type Rewriter interface {
	// Columns begins a set of rows.
	Columns(n int)
	Column(c wire.Column)
	// Row may change bytes of a row, and not how many there are. A row of several packets
	// comes in parts; whole is false for each of them. An error closes the session.
	Row(row []byte, whole bool) error
}

// Filters makes the filter of each session.
type Filters struct {
	// New may return nil: then nobody looks into that session.
	New func(user, host string) Filter
}

// CausalReads is how a session that reads from a replica waits for what was written.
type CausalReads int

// The ways that are done here.
const (
	// CausalNone does not wait.
	CausalNone CausalReads = iota
	// CausalLocal waits for what the session itself has written.
	CausalLocal
	// CausalGlobal waits for what any session of the service has written.
	CausalGlobal
)

// Options are those of a service and its listener. Every field without a remark must be
// set.
type Options struct {
	// Service is the name of the service.
	Service string
	// Servers are those of the service.
	Servers []backend.Server
	View    View
	// Accounts and Blocker judge logins.
	Accounts Accounts
	Blocker  *accounts.Blocker
	// Words are the words of SQL.
	Words *sql.Words
	// Filter makes the filters of sessions at the beginning. Nil means that there is none.
	Filter *Filters
	// MaxConnections is how many clients may be connected. Zero means any number.
	MaxConnections int
	// History is how many commands of a session are kept for new connections. Zero means 50.
	History int
	// DelayedRetry is for how long a statement that has no server to go to waits for one.
	// Zero means not at all.
	DelayedRetry time.Duration
	// CausalReads is how reads wait, and CausalTimeout for how long. Zero means ten seconds.
	CausalReads   CausalReads
	CausalTimeout time.Duration
	// PrimaryOnly sends everything to the primary, as readconnroute does with
	// router_options=master.
	PrimaryOnly bool
	// Shards makes it a service of schemarouter; nil means that it is none.
	Shards *Shards
	// Random makes challenges.
	Random io.Reader
	Now    func() time.Time
	// Log writes a line of the log, with the name of its level as MaxScale has it: error,
	// warning, notice.
	Log func(level, text string)
}

// Service is a service with its sessions. It is safe for concurrent use.
type Service struct {
	options  Options
	servers  map[string]backend.Server
	greeted  atomic.Uint32 // connections so far: the number in the greeting
	sessions atomic.Int64
	running  map[string]*atomic.Int64 // statements at each server
	written  position                 // by anybody, for global causal reads
	filters  atomic.Pointer[Filters]
	shards   shards

	guard   sync.Mutex
	targets map[string]map[*target]bool // connections to each server
	clients map[*client]Client
}

// NewService makes a service without listeners.
func NewService(o Options) *Service {
	if o.History == 0 {
		o.History = 50
	}
	if o.CausalTimeout == 0 {
		o.CausalTimeout = 10 * time.Second
	}
	s := &Service{options: o, servers: map[string]backend.Server{}, running: map[string]*atomic.Int64{}, targets: map[string]map[*target]bool{}, clients: map[*client]Client{}}
	s.filters.Store(o.Filter)
	for _, server := range o.Servers {
		s.servers[server.Name], s.running[server.Name], s.targets[server.Name] = server, new(atomic.Int64), map[*target]bool{}
	}
	return s
}

// SetFilter puts other filters in the place of those that there are, of open sessions too:
// their next statement is met by them. Nil means none.
func (s *Service) SetFilter(f *Filters) { s.filters.Store(f) }

// offered are the capabilities that are offered to clients.
func (s *Service) offered() wire.Capabilities {
	if s.filters.Load() != nil || s.options.Shards != nil {
		return wire.Rewriting
	}
	return wire.Plain
}

// Client is one that is logged in.
type Client struct {
	// Number is that of the greeting.
	Number     uint32
	User, Host string
	Since      time.Time
}

// Clients are those that are logged in, in the order of their numbers.
func (s *Service) Clients() []Client {
	s.guard.Lock()
	defer s.guard.Unlock()
	all := make([]Client, 0, len(s.clients))
	for _, c := range s.clients {
		all = append(all, c)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Number < all[j].Number })
	return all
}

// Total is how many clients have connected so far.
func (s *Service) Total() int { return int(s.greeted.Load()) }

// Sessions is how many clients are connected.
func (s *Service) Sessions() int { return int(s.sessions.Load()) }

// Connections is how many connections of sessions there are to a server.
func (s *Service) Connections(server string) int {
	s.guard.Lock()
	defer s.guard.Unlock()
	return len(s.targets[server])
}

// Lost ends the connections to a server that a monitor has found to be down.
func (s *Service) Lost(server string) {
	s.guard.Lock()
	defer s.guard.Unlock()
	for t := range s.targets[server] {
		t.conn.Close()
	}
}

func (s *Service) register(t *target) {
	s.guard.Lock()
	defer s.guard.Unlock()
	s.targets[t.name][t] = true
}

func (s *Service) forget(t *target) {
	s.guard.Lock()
	defer s.guard.Unlock()
	delete(s.targets[t.name], t)
}

// Serve serves the clients of a listener until ctx ends: then they are cut off. Secure
// gives the listener's end of TLS at the moment; nil means that it is in clear.
func (s *Service) Serve(ctx context.Context, listener net.Listener, secure func() *tls.Config) error {
	var serving sync.WaitGroup
	defer serving.Wait()
	stop := context.AfterFunc(ctx, func() { listener.Close() })
	defer stop()
	for {
		conn, err := listener.Accept()
		switch {
		case ctx.Err() != nil:
			if conn != nil {
				conn.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("listener of '%s': %w", s.options.Service, err)
		case err != nil:
			s.options.Log("error", fmt.Sprintf("Failed to accept a client of '%s': %v", s.options.Service, err))
			continue
		}
		serving.Go(func() { s.client(ctx, conn, secure) })
	}
}

// client serves one client.
func (s *Service) client(ctx context.Context, conn net.Conn, secure func() *tls.Config) {
	defer s.sessions.Add(-1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	defer conn.Close()
	if n := s.sessions.Add(1); s.options.MaxConnections > 0 && n > int64(s.options.MaxConnections) {
		refuse(conn, wire.NewError(1040, "08004", "Too many connections"))
		return
	}
	c, err := s.admit(ctx, conn, secure)
	if err != nil {
		s.options.Log("warning", fmt.Sprintf("Client of '%s' at %s is not let in: %v", s.options.Service, conn.RemoteAddr(), err))
		return
	}
	s.enter(c)
	defer s.leave(c)
	newSession(s, c).serve(ctx, cancel)
}

func (s *Service) enter(c *client) {
	s.guard.Lock()
	defer s.guard.Unlock()
	s.clients[c] = Client{c.number, c.identity.User, c.from.String(), s.options.Now()}
}

func (s *Service) leave(c *client) {
	s.guard.Lock()
	defer s.guard.Unlock()
	delete(s.clients, c)
}

// refuse sends an error in the place of a greeting.
func refuse(conn net.Conn, e *wire.Error) {
	conn.SetDeadline(time.Now().Add(time.Second))
	wire.NewStream(conn).Send(0, e.EncodeEarly()) // whoever does not read it is closed all the same
}
