package route_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	random "math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/lab/maxscale/accounts"
	"github.com/confidb/confidb/pkg/lab/maxscale/backend"
	"github.com/confidb/confidb/pkg/lab/maxscale/route"
	"github.com/confidb/confidb/pkg/lab/maxscale/sql"
	"github.com/confidb/confidb/pkg/lab/maxscale/wire"
)

// ledger is what servers that fail at random have received, and what they have said.
type ledger struct {
	guard           sync.Mutex
	chance          *random.Rand
	received, acked map[string]int // writes
}

// once tosses for something that happens once in n times.
func (l *ledger) once(n int) bool {
	l.guard.Lock()
	defer l.guard.Unlock()
	return l.chance.IntN(n) == 0
}

func (l *ledger) note(of map[string]int, text string) {
	l.guard.Lock()
	defer l.guard.Unlock()
	of[text]++
}

// everybody lets anybody in.
type everybody struct{}

func (everybody) Login(context.Context, accounts.Request) (accounts.Account, *wire.Hash, *wire.Error) {
	return accounts.Account{}, nil, nil
}

func (everybody) Table() *accounts.Table { return accounts.NewTable("5.5.5-10.11.19", nil, nil) }

const ledgerCapabilities = wire.Protocol41 | wire.SecureConnection | wire.PluginAuth | wire.MultiStatements

// serve is a server: it takes statements, and may die before it has carried them out, or
// between that and its answer.
func (l *ledger) serve(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			stream := wire.NewBuffered(conn)
			greeting := wire.Greeting{Version: "5.5.5-10.11.19", Challenge: wire.Challenge([]byte("abcdefghijklmnopqrst")), Capabilities: ledgerCapabilities, Status: wire.Autocommit}
			if stream.Send(0, greeting.Encode()) != nil {
				return
			}
			if _, _, err := stream.ReadMessage(1 << 16); err != nil || stream.Send(2, wire.OK{Status: wire.Autocommit}.Encode()) != nil {
				return
			}
			status := wire.Autocommit
			for l.one(stream, &status) {
			}
		}()
	}
}

// one carries out one statement, and reports whether the server lives on.
func (l *ledger) one(stream *wire.Stream, status *wire.Status) bool {
	message, next, err := stream.ReadMessage(1 << 16)
	if err != nil || len(message) == 0 || l.once(25) {
		return false
	}
	text := string(message[1:])
	write := strings.HasPrefix(text, "INSERT")
	if write {
		l.note(l.received, text)
	}
	switch text {
	case "BEGIN":
		*status |= wire.InTransaction
	case "COMMIT":
		*status &^= wire.InTransaction
	}
	if l.once(25) {
		return false
	}
	if write {
		l.note(l.acked, text)
	}
	return stream.Send(next, wire.OK{Status: *status}.Encode()) == nil
}

// TestNothingIsDoneTwice lets sessions write while servers die and roles change: no write
// comes to servers twice, and each that a client was told of was acknowledged by a server.
func TestNothingIsDoneTwice(t *testing.T) {
	for seed := range uint64(6) {
		l := &ledger{chance: random.New(random.NewPCG(seed, 14)), received: map[string]int{}, acked: map[string]int{}}
		told, lost := l.play(t)
		for text, n := range l.received {
			if n != 1 {
				t.Errorf("seed %d: %s came to servers %d times", seed, text, n)
			}
		}
		for _, text := range told {
			if l.acked[text] != 1 {
				t.Errorf("seed %d: a client was told of %s, and %d servers were", seed, text, l.acked[text])
			}
		}
		if len(told) < 20 || lost < 5 {
			t.Errorf("seed %d: %d writes were acknowledged, and %d sessions lost: nothing is tried", seed, len(told), lost)
		}
	}
}

// play runs sessions, and returns the writes that clients were told of, and how many
// sessions were lost.
func (l *ledger) play(t *testing.T) (told []string, lost int) {
	t.Helper()
	names, seen := []string{"db1", "db2", "db3"}, &view{primary: "db1", replicas: []string{"db2", "db3"}}
	o := route.Options{Service: "RW", View: seen, Accounts: everybody{}, Blocker: &accounts.Blocker{Now: time.Now}, Words: sql.NewWords(), Random: rand.Reader, Now: time.Now, Log: func(string, string) {}, DelayedRetry: 100 * time.Millisecond}
	for _, name := range names {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		go l.serve(listener)
		o.Servers = append(o.Servers, backend.Server{Name: name, Address: listener.Addr().String()})
	}
	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, ended := route.NewService(o), make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { ended <- s.Serve(ctx, front, nil) }()
	var playing sync.WaitGroup
	var guard sync.Mutex
	for player := range 4 {
		playing.Go(func() {
			mine, gone := l.client(t, front.Addr().String(), player, seen, s, names)
			guard.Lock()
			defer guard.Unlock()
			told, lost = append(told, mine...), lost+gone
		})
	}
	playing.Wait()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	l.guard.Lock()
	defer l.guard.Unlock()
	return told, lost
}

// client says one thing after the other, in a new session where one is lost.
func (l *ledger) client(t *testing.T, address string, player int, seen *view, s *route.Service, names []string) (told []string, lost int) {
	var conn *backend.Conn
	for i := range 120 {
		if conn == nil {
			var err error
			if conn, err = backend.Dial(t.Context(), backend.Server{Address: address}, backend.Identity{User: "u", Capabilities: ledgerCapabilities}); err != nil {
				t.Error(err)
				return
			}
		}
		if l.once(15) { // a role changes, or a server is found to be down
			turned := slices.Clone(names)
			if l.once(2) {
				slices.Reverse(turned)
			}
			seen.set(turned[0], turned[1:]...)
			s.Lost(turned[2])
		}
		text := []string{"SELECT 1", "SET @a=1", "BEGIN", "COMMIT", "", "", ""}[i%7]
		if text == "" {
			text = fmt.Sprintf("INSERT %d.%d", player, i)
		}
		_, err := conn.Query(t.Context(), text)
		var refused *wire.Error
		switch {
		case errors.As(err, &refused):
			t.Errorf("%s: %v", text, err)
		case err != nil:
			lost++
			conn.Close()
			conn = nil
		case strings.HasPrefix(text, "INSERT"):
			told = append(told, text)
		}
	}
	if conn != nil {
		conn.Close()
	}
	return told, lost
}
