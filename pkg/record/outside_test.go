package record_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/confidb/confidb/pkg/outside"
	"github.com/confidb/confidb/pkg/record"
)

func folderOf(t *testing.T, s record.Store, client, folder string) *record.Outside {
	t.Helper()
	o, err := s.OutsideClient("cluster", "default", "db1", client, folder)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// TestOutsideFiles: they are their owner's only, are found again, and are deleted, wherever
// they are; and what is not ours stays.
func TestOutsideFiles(t *testing.T) {
	for name, own := range map[string]string{"beside the record": "", "a new folder": filepath.Join(t.TempDir(), "a", "b"), "an empty one": t.TempDir()} {
		s := record.Store{Dir: t.TempDir()}
		o := folderOf(t, s, "bi", own)
		if _, err := o.Read(outside.FileKey); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: got %v", name, err)
		}
		if err := o.Write(map[string][]byte{outside.FileKey: []byte("key"), outside.FilePassword: []byte("secret")}); err != nil {
			t.Fatal(err)
		}
		again := folderOf(t, s, "bi", "") // without the folder, which is known
		if text, err := again.Read(outside.FileKey); again.Folder != o.Folder || err != nil || string(text) != "key" {
			t.Errorf("%s: got %s in %s, %v", name, text, again.Folder, err)
		}
		if _, err := s.OutsideClient("cluster", "default", "db1", "bi", t.TempDir()); err == nil {
			t.Errorf("%s: a second folder is taken", name)
		}
		for _, foreign := range [][4]string{{"other", "default", "db1", "bi"}, {"cluster", "x", "db1", "bi"}, {"cluster", "default", "db2", "bi"}, {"cluster", "default", "db1", "web"}} {
			if _, err := s.OutsideClient(foreign[0], foreign[1], foreign[2], foreign[3], o.Folder); err == nil {
				t.Errorf("%s: %v takes the folder", name, foreign)
			}
		}
		err := filepath.WalkDir(o.Folder, func(path string, entry fs.DirEntry, err error) error {
			if info, infoErr := entry.Info(); err == nil && infoErr == nil && !entry.IsDir() && info.Mode().Perm() != 0o600 {
				t.Errorf("%s has mode %v", path, info.Mode())
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		notes := filepath.Join(o.Folder, "notes")
		for _, f := range []string{notes, filepath.Join(o.Folder, ".new-1")} { // one is the user's, one of a run that was killed
			if err := os.WriteFile(f, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := again.Remove(); err != nil {
			t.Fatal(err)
		}
		if entries, err := os.ReadDir(o.Folder); err != nil || len(entries) != 1 || entries[0].Name() != "notes" {
			t.Errorf("%s: left are %v, %v", name, entries, err)
		}
		os.Remove(notes)
		if err := again.Remove(); err != nil {
			t.Errorf("%s: a second time: %v", name, err)
		}
		if _, err := os.Stat(o.Folder); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: the folder is there: %v", name, err)
		}
	}
}

// TestOutsideForeignFolders: nothing of the user's is written over.
func TestOutsideForeignFolders(t *testing.T) {
	s := record.Store{Dir: t.TempDir()}
	for name, c := range map[string]struct {
		file, text string
		mode       fs.FileMode
		refused    bool
	}{
		"a key":               {"client.key", "mine", 0o600, true},
		"anything":            {"notes", "", 0o644, true},
		"a foreign mark":      {"confidb-client.json", `{"kind":"confidb.outside-client/v1","client":"web"}`, 0o600, true},
		"a mark for everyone": {"confidb-client.json", "{}", 0o644, true},
		"half a mark":         {"confidb-client.json", `{"kind`, 0o600, true},
		"what a kill left":    {".new-123", "x", 0o600, false},
	} {
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, c.file), []byte(c.text), c.mode); err != nil {
			t.Fatal(err)
		}
		_, err := s.OutsideClient("cluster", "default", "db1", "bi", folder)
		var refused *record.OutsideFolderError
		if errors.As(err, &refused) != c.refused || err != nil && refused.Hint() == "" {
			t.Errorf("%s: got %v", name, err)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.OutsideClient("cluster", "default", "db1", "bi", file); err == nil {
		t.Error("a file is taken for a folder")
	}
	if entries, err := os.ReadDir(s.Dir); err != nil || len(entries) != 0 {
		t.Errorf("looking writes %v, %v", entries, err)
	}
}
