package cluster

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// world is a cluster of servers that are made up, with a clock of its own. Locks, wait_timeout
// and replication threads behave as those of MariaDB, as far as a monitor sees them.
type world struct {
	mu      sync.Mutex
	now     time.Time
	owed    time.Duration // has passed in calls that hang, and is seen when the others have ended
	servers map[string]*fake
	order   []string
	log     []string
	run     []string // statements of operations, as "server: statement"
	lost    []string
	next    uint64
	files   map[string]string
}

type fake struct {
	name                string
	port                int
	id                  int
	down, hung, denying bool
	// hangs are statements that end by their time limit.
	hangs    map[string]bool
	lasts    map[string]time.Duration // by the beginning of a statement
	refuses  map[string]*Refusal
	readOnly bool
	current  string
	binlog   string
	master   string // of its one replication connection, empty if it has none
	io, sql  string
	beats    int
	ioPos    string
	locks    map[string]*fakeSession
	sessions []*fakeSession
}

type fakeSession struct {
	w       *world
	of      *fake
	id      uint64
	used    time.Time
	patient time.Duration
	dead    bool
}

// newWorld has a primary db1 and replicas of it.
func newWorld(n int) *world {
	w := &world{now: time.Unix(1_000_000, 0), servers: map[string]*fake{}, files: map[string]string{"promote.sql": "# comment\nSET GLOBAL rpl_semi_sync_master_enabled=1;\n", "demote.sql": "SET GLOBAL rpl_semi_sync_master_enabled=0\n"}}
	for i := 1; i <= n; i++ {
		name := fmt.Sprintf("db%d", i)
		f := &fake{name: name, port: 3300 + i, id: i, current: "0-1-10", binlog: "0-1-10", hangs: map[string]bool{}, refuses: map[string]*Refusal{}, locks: map[string]*fakeSession{}}
		if i > 1 {
			f.follow("db1")
		}
		w.servers[name] = f
		w.order = append(w.order, name)
	}
	return w
}

func (f *fake) follow(master string) {
	f.master, f.io, f.sql, f.readOnly, f.ioPos = master, "Yes", "Yes", true, f.current
}

// fail ends a server as kill -9 does; its replicas look for it.
func (w *world) fail(names ...string) {
	for _, name := range names {
		w.servers[name].down = true
		w.servers[name].cut()
		for _, f := range w.servers {
			if f.master == name && f.io == "Yes" {
				f.io = "Connecting"
			}
		}
	}
}

// back starts a server; read_only says what its file says.
func (w *world) back(name string, readOnly bool) {
	w.servers[name].down, w.servers[name].readOnly = false, readOnly
	for _, f := range w.servers {
		if f.master == name && f.io == "Connecting" {
			f.io = "Yes"
		}
	}
}

// cut ends the sessions of a server.
func (f *fake) cut() {
	for _, s := range f.sessions {
		s.dead = true
	}
	f.sessions, f.locks = nil, map[string]*fakeSession{}
}

func (w *world) settings() Settings {
	s := Settings{Name: "Mon", Interval: time.Second, Failcount: 3, AutoFailover: true, AutoRejoin: true, Locks: MajorityOfAll,
		PromotionSQLFile: "promote.sql", DemotionSQLFile: "demote.sql", ReplicationUser: "repl", ReplicationPassword: "s3cret"}
	for _, name := range w.order {
		s.Servers = append(s.Servers, Server{Name: name, Host: "127.0.0.1", Port: w.servers[name].port})
	}
	return s
}

func (w *world) monitor(s Settings) *Monitor { return New(s, w.env(), Remembered{}) }

func (w *world) env() Env {
	return Env{Dial: w.dial, Now: w.clock, Random: func(int) int { return 0 },
		Log:  func(level Level, text string) { w.locked(func() { w.log = append(w.log, string(level)+" "+text) }) },
		Wait: func(_ context.Context, d time.Duration) { w.pass(d) },
		Lost: func(name string) { w.lost = append(w.lost, name) },
		ReadFile: func(name string) ([]byte, error) {
			text, ok := w.files[name]
			if !ok {
				return nil, errors.New("no such file")
			}
			return []byte(text), nil
		}}
}

func (w *world) locked(do func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	do()
}

func (w *world) clock() (now time.Time) {
	w.locked(func() {
		w.now, w.owed = w.now.Add(w.owed), 0
		now = w.now
	})
	return now
}

func (w *world) pass(d time.Duration) { w.locked(func() { w.now = w.now.Add(d) }) }

// tick is a tick, and the rest of its second.
func (w *world) tick(m ...*Monitor) {
	for _, m := range m {
		m.Tick(context.Background())
	}
	w.pass(time.Second)
}

func (w *world) ticks(n int, m ...*Monitor) {
	for range n {
		w.tick(m...)
	}
}

// hang lets the time of a call pass.
func (w *world) hang(ctx context.Context) error {
	if end, ok := ctx.Deadline(); ok {
		w.owed += time.Until(end).Round(time.Second)
	}
	return errors.New("Timeout when reading from server")
}

func (w *world) dial(ctx context.Context, name string) (Session, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f := w.servers[name]
	switch {
	case f.down:
		return nil, errors.New("Can't connect to server on '127.0.0.1'")
	case f.hung:
		return nil, w.hang(ctx)
	}
	w.next++
	s := &fakeSession{w: w, of: f, id: w.next, used: w.now, patient: 8 * time.Hour}
	f.sessions = append(f.sessions, s)
	return s, nil
}

func (s *fakeSession) ID() uint64      { return s.id }
func (s *fakeSession) Version() string { return "10.11.19-MariaDB-log" }
func (s *fakeSession) Close() error    { s.dead = true; return nil }

// expire ends sessions that were idle for too long, and the locks of sessions that have ended.
func (f *fake) expire(now time.Time) {
	for _, s := range f.sessions {
		s.dead = s.dead || now.Sub(s.used) > s.patient
	}
	for name, s := range f.locks {
		if s.dead {
			delete(f.locks, name)
		}
	}
}

func (s *fakeSession) Query(ctx context.Context, sql string) ([]Row, error) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	f := s.of
	if f.down || s.dead {
		return nil, errors.New("Lost connection to server during query")
	}
	if f.hung {
		return nil, s.w.hang(ctx)
	}
	f.expire(s.w.now)
	if s.dead {
		return nil, errors.New("Server has gone away")
	}
	s.used = s.w.now
	return s.answer(ctx, sql)
}

var limited = regexp.MustCompile(`^SET STATEMENT max_statement_time=([0-9.]+) FOR (.*);$`)

func (s *fakeSession) answer(ctx context.Context, sql string) ([]Row, error) {
	f := s.of
	if f.denying && (sql == askPermission || sql == askSlaves) {
		return nil, &Refusal{1227, "Access denied; you need (at least one of) the SUPER, SLAVE MONITOR privilege(s) for this operation"}
	}
	if in := limited.FindStringSubmatch(sql); in != nil {
		if f.hangs[in[2]] {
			seconds, _ := strconv.ParseFloat(in[1], 64)
			s.w.now = s.w.now.Add(time.Duration(seconds * float64(time.Second)))
			return nil, &Refusal{timedOut, "Query execution was interrupted (max_statement_time exceeded)"}
		}
		if err := s.last(ctx, in[2]); err != nil {
			return nil, err
		}
		return nil, s.operation(in[2])
	}
	switch {
	case strings.HasPrefix(sql, "SET @@session.wait_timeout="):
		seconds, _ := strconv.Atoi(strings.TrimPrefix(sql, "SET @@session.wait_timeout="))
		s.patient = time.Duration(seconds) * time.Second
		return nil, nil
	case sql == askSlaves && f.master != "":
		m := s.w.servers[f.master]
		return []Row{{"Connection_name": "", "Master_Host": "127.0.0.1", "Master_Port": strconv.Itoa(m.port), "Master_Server_Id": strconv.Itoa(m.id), "Slave_IO_Running": f.io,
			"Slave_SQL_Running": f.sql, "Gtid_IO_Pos": f.ioPos, "Slave_received_heartbeats": strconv.Itoa(f.beats), "Using_Gtid": "Current_Pos", "Seconds_Behind_Master": "0"}}, nil
	case sql == askPositions:
		return []Row{{"gtid_current_pos": f.current, "gtid_binlog_pos": f.binlog}}, nil
	case sql == askIdentity:
		return []Row{{"server_id": strconv.Itoa(f.id), "read_only": map[bool]string{false: "0", true: "1"}[f.readOnly], "gtid_domain_id": "0"}}, nil
	case sql == askEvents:
		return []Row{{"enabled": "0"}}, nil
	case sql == askLocks:
		row := Row{}
		for column, name := range map[string]string{"server_lock": lockName, "master_lock": masterLockName} {
			if owner := f.locks[name]; owner != nil {
				row[column] = strconv.FormatUint(owner.id, 10)
			}
		}
		return []Row{row}, nil
	case strings.HasPrefix(sql, "SELECT GET_LOCK("):
		name := strings.Split(sql, "'")[1]
		if f.locks[name] == nil || f.locks[name] == s {
			f.locks[name] = s
			return []Row{{"got": "1"}}, nil
		}
		return []Row{{"got": "0"}}, nil
	case strings.HasPrefix(sql, "SELECT RELEASE_LOCK("):
		if name := strings.Split(sql, "'")[1]; f.locks[name] == s {
			delete(f.locks, name)
		}
		return []Row{{}}, nil
	case sql == askUptime:
		return []Row{{"Variable_name": "Uptime", "Value": "100"}}, nil
	case sql == askVariables:
		return []Row{{"Variable_name": "log_slave_updates", "Value": "ON"}}, nil
	case strings.HasPrefix(sql, "SELECT MASTER_GTID_WAIT("):
		f.current = strings.Split(sql, "'")[1]
		f.binlog = f.current
		return []Row{{"waited": "0"}}, nil
	case strings.HasPrefix(sql, "SELECT"), strings.HasPrefix(sql, "SHOW"):
		return nil, nil
	}
	return nil, s.operation(sql)
}

// last lets the time of a statement pass. Whoever does not wait so long has lost the connection,
// and the server goes on.
func (s *fakeSession) last(ctx context.Context, sql string) error {
	for begin, takes := range s.of.lasts {
		end, bounded := ctx.Deadline()
		if !strings.HasPrefix(sql, begin) {
			continue
		}
		if left := time.Until(end); bounded && left < takes {
			s.w.owed += left.Round(time.Second)
			s.dead = true
			return errors.Join(errors.New("Lost connection to server during query"), s.operation(sql))
		}
		s.w.owed += takes
	}
	return nil
}

// operation carries a statement out that changes the server.
func (s *fakeSession) operation(sql string) error {
	f := s.of
	shown := sql
	s.w.run = append(s.w.run, f.name+": "+shown)
	for prefix, refusal := range f.refuses {
		if strings.HasPrefix(sql, prefix) {
			return refusal
		}
	}
	switch {
	case sql == readOnlyOn:
		f.readOnly = true
	case sql == readOnlyOff:
		f.readOnly = false
	case strings.HasPrefix(sql, "STOP SLAVE"):
		f.io, f.sql = "No", "No"
	case strings.HasPrefix(sql, "RESET SLAVE"):
		f.master, f.io, f.sql = "", "", ""
	case strings.HasPrefix(sql, "CHANGE MASTER"):
		port := regexp.MustCompile(`MASTER_PORT=(\d+)`).FindStringSubmatch(sql)[1]
		for _, other := range s.w.servers {
			if strconv.Itoa(other.port) == port {
				f.master, f.io, f.sql = other.name, "No", "No"
			}
		}
	case strings.HasPrefix(sql, "START SLAVE"):
		f.io, f.sql, f.ioPos = "Yes", "Yes", f.current
	}
	return nil
}

// states are those of a view, in order.
func states(m *Monitor) []string {
	var all []string
	for _, s := range m.View().Servers {
		all = append(all, s.State)
	}
	return all
}

func wantStates(t *testing.T, m *Monitor, want ...string) {
	t.Helper()
	if got := states(m); !slices.Equal(got, want) {
		t.Errorf("states are %q, want %q", got, want)
	}
}

// logged is the log since a mark, without levels.
func (w *world) logged() string { return strings.Join(w.log, "\n") + "\n" }

func (w *world) wantLog(t *testing.T, lines ...string) {
	t.Helper()
	text := w.logged()
	for _, line := range lines {
		at := strings.Index(text, line)
		if at < 0 {
			t.Fatalf("the log has no %q, or not at its place:\n%s", line, w.logged())
		}
		text = text[at+len(line):]
	}
}

func (w *world) wantNoLog(t *testing.T, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if strings.Contains(w.logged(), line) {
			t.Errorf("the log has %q:\n%s", line, w.logged())
		}
	}
}
