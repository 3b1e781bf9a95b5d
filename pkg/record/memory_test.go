package record_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/record"
)

func learnt(t *testing.T, store record.Store, m attest.Memory) {
	t.Helper()
	if err := store.Learn(func(attest.Memory) attest.Memory { return m }); err != nil {
		t.Fatal(err)
	}
}

func TestMemoryIsKept(t *testing.T) {
	store := record.Store{Dir: filepath.Join(t.TempDir(), "home")}
	if m, err := store.Memory(); err != nil || !cmp.Equal(m, attest.Memory{}) {
		t.Fatalf("at first: got %+v, %v", m, err)
	}
	want := attest.Memory{Latest: time.Unix(1e9, 0).UTC(), Evaluations: map[string]int{"intel/qe": 17}}
	learnt(t, store, want)
	if err := store.Learn(func(m attest.Memory) attest.Memory {
		if diff := cmp.Diff(want, m); diff != "" {
			t.Errorf("what was kept is not learnt from (-want +got):\n%s", diff)
		}
		return m
	}); err != nil {
		t.Fatal(err)
	}
	if got, err := store.Memory(); err != nil || !cmp.Equal(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	info, err := os.Stat(filepath.Join(store.Dir, "memory.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v, want mode 0600", info, err)
	}
}

func TestMemoryRefuses(t *testing.T) {
	const good = `{"kind":"confidb.memory/v1","latest":"2026-11-01T12:00:00Z","evaluations":{"intel/qe":17}}`
	for name, c := range map[string]struct {
		text string
		mode os.FileMode
		want string
	}{
		"nothing wrong":              {good, 0o600, ""},
		"a file that others write":   {good, 0o620, "want 0600"},
		"a file that others read":    {good, 0o604, "want 0600"},
		"no JSON":                    {"{", 0o600, "memory.json"},
		"an empty file":              {"", 0o600, "memory.json"},
		"an empty document":          {"{}", 0o600, `got kind ""`},
		"another kind":               {`{"kind":"confidb.release/v1"}`, 0o600, `got kind "confidb.release/v1"`},
		"a later version":            {strings.Replace(good, "/v1", "/v2", 1), 0o600, `got kind "confidb.memory/v2"`},
		"a number that is none":      {strings.Replace(good, "17", `"17"`, 1), 0o600, "memory.json"},
		"a time that is none":        {strings.Replace(good, "2026-11", "2026-13", 1), 0o600, "memory.json"},
		"more than a file can be":    {good + strings.Repeat(" ", 8<<20), 0o600, "longer than"},
		"a fraction of an iteration": {strings.Replace(good, "17", "1.5", 1), 0o600, "memory.json"},
	} {
		t.Run(name, func(t *testing.T) {
			store := record.Store{Dir: t.TempDir()}
			path := filepath.Join(store.Dir, "memory.json")
			if err := errors.Join(os.WriteFile(path, []byte(c.text), 0o600), os.Chmod(path, c.mode)); err != nil {
				t.Fatal(err)
			}
			_, err := store.Memory()
			wantProblem(t, err, c.want)
			called := false
			wantProblem(t, store.Learn(func(m attest.Memory) attest.Memory { called = true; return m }), c.want)
			if kept, err := os.ReadFile(path); c.want != "" && (called || err != nil || string(kept) != c.text) {
				t.Errorf("a memory that cannot be read was replaced (%v)", err)
			}
		})
	}
}

func wantProblem(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("got %v", err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("got %v, want an error with %q", err, want)
	}
}

// However processes take turns, nothing that one of them learnt is lost.
func TestMemoryOfManyAtOnce(t *testing.T) {
	const many = 24
	store := record.Store{Dir: filepath.Join(t.TempDir(), "home")}
	problems := make(chan error, many)
	var group sync.WaitGroup
	for n := range many {
		group.Go(func() {
			problems <- store.Learn(func(m attest.Memory) attest.Memory {
				return attest.Memory{Latest: m.Latest, Evaluations: map[string]int{"highest": max(m.Evaluations["highest"], n), "learnt": m.Evaluations["learnt"] + 1}}
			})
		})
	}
	group.Wait()
	close(problems)
	for err := range problems {
		if err != nil {
			t.Error(err)
		}
	}
	m, err := store.Memory()
	if want := map[string]int{"highest": many - 1, "learnt": many}; err != nil || !cmp.Equal(m.Evaluations, want) {
		t.Errorf("got %v, %v, want %v", m.Evaluations, err, want)
	}
}
