package record_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/record"
	"github.com/confidb/confidb/pkg/witness"
)

func lineTo(number uint64) witness.Line {
	return witness.Line{Last: witness.Mark{Number: number, Digest: fmt.Sprintf("%064x", number)}, At: time.Unix(1e9, 0).UTC()}
}

func line(s record.Store, session string) (witness.Line, error) {
	demand, err := s.Demand(session, "", time.Now())
	return demand.Line, err
}

func TestTheLineIsKept(t *testing.T) {
	store := record.Store{Dir: filepath.Join(t.TempDir(), "home")}
	if line, err := line(store, "ns/db"); err != nil || !cmp.Equal(line, witness.Line{}) {
		t.Fatalf("at first: got %+v, %v", line, err)
	}
	for _, next := range []uint64{3, 7, 5} { // the last one ended late
		if err := store.Advance("ns/db", new(lineTo(next))); err != nil {
			t.Fatal(err)
		}
	}
	if line, err := line(store, "ns/db"); err != nil || !cmp.Equal(line, lineTo(7)) {
		t.Errorf("got %+v, %v, want the later mark", line, err)
	}
	if line, err := line(store, "ns2/db"); err != nil || !cmp.Equal(line, witness.Line{}) {
		t.Errorf("another database: got %+v, %v", line, err)
	}
}

// Many at once: the latest mark stays, whoever ends last.
func TestManyVerificationsKeepTheLatestMark(t *testing.T) {
	store := record.Store{Dir: filepath.Join(t.TempDir(), "home")}
	var running sync.WaitGroup
	for i := range uint64(20) {
		running.Go(func() {
			if err := store.Advance("ns/db", new(lineTo(1+i*7%20))); err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	if line, err := line(store, "ns/db"); err != nil || line.Last.Number != 20 {
		t.Errorf("got %+v, %v", line, err)
	}
}

func TestALineThatCannotBeReadIsNoFirstRun(t *testing.T) {
	store := record.Store{Dir: filepath.Join(t.TempDir(), "home")}
	if err := store.Advance("ns/db", new(lineTo(3))); err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(store.Dir, "witness", "*.json"))
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	text, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, broken := range map[string]string{
		"half a file": string(text[:len(text)/2]), "empty": "", "another kind": strings.Replace(string(text), "witness/v1", "witness/v9", 1),
		"of another session": strings.Replace(string(text), "ns/db", "ns/dc", 1),
	} {
		if err := os.WriteFile(found[0], []byte(broken), 0o600); err != nil {
			t.Fatal(err)
		}
		if line, err := line(store, "ns/db"); err == nil {
			t.Errorf("%s: got %+v, want an error", name, line)
		}
		if err := store.Advance("ns/db", new(lineTo(9))); err == nil {
			t.Errorf("%s: written over", name)
		}
	}
}

// The name is the same at each run, and another one for another database or user.
func TestVerifier(t *testing.T) {
	now := time.Now()
	names := map[string]bool{}
	one, two := record.Store{Dir: t.TempDir()}, record.Store{Dir: t.TempDir()}
	for _, s := range []record.Store{one, one, two} {
		for _, session := range []string{"a/db", "b/db"} {
			demand, err := s.Demand(session, "r", now)
			if err != nil || !witness.IsVerifier(demand.Verifier) || demand.Accept != "r" {
				t.Fatalf("got %+v, %v", demand, err)
			}
			names[demand.Verifier] = true
		}
	}
	if len(names) != 4 {
		t.Errorf("got %d names of two users of two databases, want 4", len(names))
	}
}
