package accounts

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/confidb/confidb/pkg/lab/maxscale/backend"
	"github.com/confidb/confidb/pkg/lab/maxscale/wire"
)

// Options are where accounts come from. Every field without a remark must be set.
type Options struct {
	// Servers are the servers to ask at present, the best one first.
	Servers func() []backend.Server
	// Service is the account that reads the accounts.
	Service backend.Identity
	// All reads the accounts of all servers, and takes those that any has; false takes the
	// first server that answers.
	All bool
	// Root lets an account named root log in.
	Root bool
	// RefreshTime is how much time is at least between two readings that failed logins
	// lead to. Zero means that each leads to one.
	RefreshTime time.Duration
	// Now is the clock.
	Now func() time.Time
	// Log writes a line of the log.
	Log func(line string)
	// Unmeasured is told of what no measurement of MaxScale says.
	Unmeasured func(id, what string)
}

// Store is the accounts as they were read last. It is safe for concurrent use.
type Store struct {
	options Options
	table   atomic.Pointer[Table]
	updated atomic.Pointer[time.Time]
	loading sync.Mutex
	tried   time.Time // guarded by loading
}

// NewStore has no accounts, so that nobody logs in, until they are read.
func NewStore(o Options) *Store {
	s := &Store{options: o}
	s.table.Store(NewTable("", nil, nil))
	return s
}

// Table is what was read last. It has no accounts and no version before.
func (s *Store) Table() *Table { return s.table.Load() }

// Updated is when the accounts were read last, zero if they never were.
func (s *Store) Updated() time.Time {
	if at := s.updated.Load(); at != nil {
		return *at
	}
	return time.Time{}
}

// Load reads the accounts. If no server gives them all, the old ones stay, and the log says
// why; it reports whether they were read.
func (s *Store) Load(ctx context.Context) bool {
	s.loading.Lock()
	defer s.loading.Unlock()
	return s.load(ctx)
}

func (s *Store) load(ctx context.Context) bool {
	s.tried = s.options.Now()
	var union *Table
	for _, server := range s.options.Servers() {
		t, err := s.ask(ctx, server)
		switch {
		case err != nil:
			s.options.Log(problem(server.Name, err))
			continue
		case union == nil:
			union = t
		default:
			union = join(union, t)
		}
		if !s.options.All {
			break
		}
	}
	if union == nil {
		return false
	}
	at := s.tried
	s.table.Store(union)
	s.updated.Store(&at)
	return true
}

// ask reads the accounts of one server.
func (s *Store) ask(ctx context.Context, server backend.Server) (*Table, error) {
	conn, err := backend.Dial(ctx, server, s.options.Service)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	return read(ctx, conn, conn.Greeting.Version)
}

const loadTimeout = 10 * time.Second

// join is the union of two tables. Of an account that both have, that of the first counts.
func join(a, b *Table) *Table {
	have, all := map[[2]string]bool{}, a.Accounts
	for _, account := range a.Accounts {
		have[[2]string{account.User, account.Host}] = true
	}
	for _, account := range b.Accounts {
		if !have[[2]string{account.User, account.Host}] {
			all = append(all[:len(all):len(all)], account)
		}
	}
	var databases []string
	for _, t := range []*Table{a, b} {
		for d := range t.databases {
			databases = append(databases, d)
		}
	}
	return NewTable(a.Version, all, databases)
}

// Request is a login of a client.
type Request struct {
	User, Database string
	From           netip.Addr
	Challenge      wire.Challenge
	Reply          []byte
}

// Login judges a login. It returns the account, and the hash of its password, which is
// nil for an account without one. If the login fails, the accounts are read again first,
// unless that was done lately.
func (s *Store) Login(ctx context.Context, r Request) (Account, *wire.Hash, *wire.Error) {
	a, h, refused := s.judge(r)
	if refused == nil || !s.again(ctx) {
		return a, h, refused
	}
	return s.judge(r)
}

// again reads the accounts again if that was not done lately.
func (s *Store) again(ctx context.Context) bool {
	s.loading.Lock()
	defer s.loading.Unlock()
	if s.options.Now().Sub(s.tried) < s.options.RefreshTime {
		return false
	}
	return s.load(ctx)
}

func (s *Store) judge(r Request) (Account, *wire.Hash, *wire.Error) {
	table, denied := s.Table(), Denied(r)
	a, found := table.Find(r.User, r.From)
	if !found || r.User == "root" && !s.options.Root {
		return Account{}, nil, denied
	}
	if !a.native() || a.Expired {
		s.options.Unmeasured("?5", "a login of an account with an expired password or another method than "+wire.NativePassword)
		return Account{}, nil, denied
	}
	h, ok := a.check(r.Challenge, r.Reply)
	switch {
	case !ok:
		return Account{}, nil, denied
	case r.Database != "" && !table.HasDatabase(r.Database):
		return Account{}, nil, wire.NewError(1049, "42000", "Unknown database '%s'", r.Database)
	}
	return a, h, nil
}

// Denied is the refusal of a login, whatever its reason.
func Denied(r Request) *wire.Error {
	shown := "NO"
	if len(r.Reply) > 0 {
		shown = "YES"
	}
	return wire.NewError(1045, "28000", "Access denied for user '%s'@'%s' (using password: %s)", r.User, r.From.Unmap(), shown)
}
