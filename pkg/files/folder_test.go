package files_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/confidb/confidb/pkg/files"
)

func TestFolder(t *testing.T) {
	f := files.Folder{Path: filepath.Join(t.TempDir(), "made"), Ending: ".json"}
	if text, found, err := f.Read("a"); found || text != nil || err != nil {
		t.Errorf("before: got %q, %v and %v, want nothing", text, found, err)
	}
	for _, want := range []string{"one", "two"} {
		if err := f.Replace("a", []byte(want)); err != nil {
			t.Fatal(err)
		}
		text, found, err := f.Read("a")
		if string(text) != want || !found || err != nil {
			t.Errorf("got %q, %v and %v, want %q", text, found, err, want)
		}
	}
	if err := os.Mkdir(f.File("b"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, found, err := f.Read("b"); found || err == nil {
		t.Errorf("of a folder: got %v and %v, want an error", found, err)
	}
}

func TestFree(t *testing.T) {
	folder := t.TempDir()
	link := filepath.Join(folder, "link")
	if err := os.Symlink("nowhere", link); err != nil {
		t.Fatal(err)
	}
	for path, free := range map[string]bool{filepath.Join(folder, "new"): true, folder: false, link: false, filepath.Join(link, "x\x00"): false} {
		if err := files.Free(path); (err == nil) != free {
			t.Errorf("%q: got %v, want free: %v", path, err, free)
		}
	}
}
