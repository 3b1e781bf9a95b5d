package record_test

import (
	"errors"
	"io/fs"
	"path/filepath"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/record"
	"github.com/confidb/confidb/pkg/topology"
)

// Without a folder nothing is known, and nothing is written anywhere.
func TestNoFolder(t *testing.T) {
	t.Chdir(t.TempDir())
	missing := errors.New("no home")
	s := record.Store{Missing: missing}
	if earlier, err := s.Earlier("c", "n", "db1"); earlier != nil || err != nil {
		t.Errorf("got %v and %v", earlier, err)
	}
	if _, err := s.Pin("cas"); !errors.Is(err, fs.ErrNotExist) || !errors.Is(err, missing) {
		t.Errorf("got %v", err)
	}
	for name, do := range map[string]func() error{
		"lock":     func() error { _, err := s.LockRelease("c", "n", "db1"); return err },
		"save":     func() error { return s.SaveRelease("c", &topology.Release{Name: "db1", Namespace: "n"}) },
		"identity": func() error { _, err := s.Identity(time.Now()); return err },
	} {
		if err := do(); !errors.Is(err, missing) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if found, err := filepath.Glob("*"); err != nil || len(found) > 0 {
		t.Errorf("got the files %v and %v", found, err)
	}
}
