package cas

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func openTestStore(t *testing.T, folder string) *store {
	t.Helper()
	s, err := openStore(folder, [32]byte{1}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func put(t *testing.T, s *store, text string) {
	t.Helper()
	v, err := newVersion([]byte(text), []string{"owner"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.update(func(tx *transaction) error { return tx.upload(v, []string{"owner"}) }); err != nil {
		t.Fatal(err)
	}
}

const passwordDocument = "version: '0.3'\nname: app\nsecrets: [{name: p, kind: ascii, value: in-the-clear}]\n"

func TestStoreFile(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "deep", "store")
	s := openTestStore(t, folder)
	put(t, s, passwordDocument)
	first, err := os.ReadFile(s.path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(first, []byte("in-the-clear")) {
		t.Error("a secret is on the disk in the clear")
	}
	info, err := os.Stat(s.path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	again := openTestStore(t, folder)
	if p, ok := again.find("app"); !ok || string(p.Materials["p"]) != "in-the-clear" || p.parsed.Name != "app" {
		t.Errorf("after a restart: %+v", p)
	}
	if err := again.save(again.state); err != nil {
		t.Fatal(err)
	}
	second, err := os.ReadFile(s.path)
	if err != nil || bytes.Equal(first, second) {
		t.Errorf("the same nonce twice (%v)", err)
	}
	if err := again.close(); err != nil {
		t.Fatal(err)
	}
	// Every byte counts, and so does the length.
	for _, at := range []int{0, len(storeHeader) - 1, len(storeHeader), len(storeHeader) + 11, len(storeHeader) + 12, len(second) / 2, len(second) - 1} {
		changed := bytes.Clone(second)
		changed[at] ^= 1
		refusesFile(t, folder, changed)
	}
	for _, n := range []int{0, 5, len(storeHeader), len(storeHeader) + 20, len(second) - 1} {
		refusesFile(t, folder, second[:n])
	}
	refusesFile(t, folder, append(bytes.Clone(second), 0))
}

func refusesFile(t *testing.T, folder string, content []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(folder, "cas.store"), content, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := openStore(folder, [32]byte{1}, time.Now)
	if err == nil {
		s.close()
		t.Fatalf("a changed file of %d bytes is taken", len(content))
	}
	if !strings.Contains(err.Error(), "changed") {
		t.Errorf("got %v, want an error that says so", err)
	}
}

func (s *store) find(name string) (version, bool) {
	var found version
	err := s.update(func(t *transaction) error {
		p, ok := t.newest(name)
		if !ok {
			return errors.New("none")
		}
		found = *t.at(p)
		return nil
	})
	return found, err == nil
}

// What cannot be written did not happen.
func TestUpdateIsAllOrNothing(t *testing.T) {
	s := openTestStore(t, t.TempDir())
	defer s.close()
	put(t, s, passwordDocument)
	before, _ := s.find("app")
	refused := errors.New("no")
	next := func(tx *transaction) {
		p, _ := tx.newest("app")
		tx.keep(p, "p", []byte("changed"))
		tx.append(before)
	}
	if err := s.update(func(tx *transaction) error { next(tx); return refused }); !errors.Is(err, refused) {
		t.Errorf("got %v", err)
	}
	s.path = filepath.Join(s.path, "not a folder")
	if err := s.update(func(tx *transaction) error { next(tx); return nil }); err == nil {
		t.Error("a store that cannot be written is no error")
	}
	after, _ := s.find("app")
	if string(after.Materials["p"]) != "in-the-clear" || len(s.state.Sessions["app"]) != 1 {
		t.Errorf("something stayed: %+v", s.state.Sessions["app"])
	}
}
