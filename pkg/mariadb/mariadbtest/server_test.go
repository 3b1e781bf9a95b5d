package mariadbtest

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/confidb/confidb/internal/loopback"
)

// started fails the test unless there is a server, and stops it at the end.
func started(t *testing.T, s *Server, err error) *Server {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// TestAServerOfSomebodyElse: where another server has the port, whether it is one of
// another CA or of the same, a start does not take it for its own, and tries elsewhere.
func TestAServerOfSomebodyElse(t *testing.T) {
	first, err := Start()
	started(t, first, err)
	held := 0
	second, err := startOn(func() (*loopback.Port, error) {
		port, err := loopback.Hold()
		if held++; held == 1 && err == nil {
			port.Number = first.port.Number
		}
		return port, err
	})
	started(t, second, err)
	if held != 2 || second.Address == first.Address {
		t.Errorf("%d ports were tried, and %s is that of the second server: want 2, and another than %s", held, second.Address, first.Address)
	}
	if err := second.isOurs(t.Context()); err != nil {
		t.Error(err)
	}
	second.Admin, first.Admin = first.Admin, second.Admin
	if err := second.isOurs(t.Context()); !errors.Is(err, errElsewhere) {
		t.Errorf("the administrator of another server: got %v, want %v", err, errElsewhere)
	}
	second.Admin, first.Admin = first.Admin, second.Admin
	if err := second.Shut(); err != nil {
		t.Fatal(err)
	}
	second.port.Number, second.Address = first.port.Number, first.Address
	if err := second.Restart("port = " + first.Address[strings.LastIndex(first.Address, ":")+1:]); err == nil || !taken(err) {
		t.Errorf("a restart where another server is: got %v, want that the address is in use", err)
	}
}

// TestManyServersAtOnce start beside each other.
func TestManyServersAtOnce(t *testing.T) {
	var starting sync.WaitGroup
	servers, errs := make([]*Server, 4), make([]error, 4)
	for i := range servers {
		starting.Go(func() { servers[i], errs[i] = Start() })
	}
	starting.Wait()
	seen := map[string]bool{}
	for i, s := range servers {
		started(t, s, errs[i])
		seen[s.Address] = true
	}
	if len(seen) != len(servers) {
		t.Errorf("%d servers have %d addresses", len(servers), len(seen))
	}
}
