package files_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/confidb/confidb/pkg/files"
)

func write(t *testing.T, path string, text string, mode fs.FileMode) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestNothingIsCut: an input is returned whole or refused, wherever it comes from.
func TestNothingIsCut(t *testing.T) {
	dir := t.TempDir()
	for _, size := range []int{0, 1, files.MaxBytes - 1, files.MaxBytes, files.MaxBytes + 1, files.MaxBytes + 4096} {
		text := strings.Repeat("x", size)
		path := write(t, filepath.Join(dir, "input"), text, 0o600)
		for name, read := range map[string]func() ([]byte, error){
			"a file":         func() ([]byte, error) { return files.Read(path) },
			"a private file": func() ([]byte, error) { return files.ReadPrivate(path, files.MaxBytes, "") },
			"a file as input": func() ([]byte, error) {
				text, _, err := files.ReadInput(path, nil)
				return text, err
			},
			"standard input": func() ([]byte, error) {
				text, _, err := files.ReadInput(files.Dash, strings.NewReader(text))
				return text, err
			},
		} {
			got, err := read()
			var tooLong *files.TooLongError
			switch {
			case size <= files.MaxBytes && err != nil:
				t.Errorf("%s of %d bytes: %v", name, size, err)
			case size <= files.MaxBytes && len(got) != size:
				t.Errorf("%s of %d bytes: got %d bytes", name, size, len(got))
			case size > files.MaxBytes && !errors.As(err, &tooLong):
				t.Errorf("%s of %d bytes: got %d bytes and the error %v, want a TooLongError", name, size, len(got), err)
			}
		}
	}
}

func TestReadInputNamesWhatItReads(t *testing.T) {
	_, name, err := files.ReadInput(files.Dash, strings.NewReader("text"))
	if err != nil || name != files.StandardInput {
		t.Errorf("got name %q and error %v, want %q", name, err, files.StandardInput)
	}
	_, _, err = files.ReadInput(files.Dash, iotest.ErrReader(errors.New("the pipe broke")))
	if err == nil || err.Error() != "standard input: the pipe broke" {
		t.Errorf("got %v, want an error that names standard input", err)
	}
	_, _, err = files.ReadInput(filepath.Join(t.TempDir(), "none"), nil)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
}

func TestAFolderIsNoFile(t *testing.T) {
	dir := t.TempDir()
	_, err := files.Read(dir)
	if err == nil {
		t.Fatal("a folder was read as a file")
	}
	if strings.Count(err.Error(), dir) != 1 {
		t.Errorf("got %q, want the path once", err)
	}
}

func TestReadPrivateRefusesWhatOthersMayTouch(t *testing.T) {
	dir := t.TempDir()
	for mode, refused := range map[fs.FileMode]bool{0o600: false, 0o400: false, 0o640: true, 0o620: true, 0o604: true, 0o644: true, 0o602: true, 0o660: true, 0o601: true} {
		path := filepath.Join(dir, mode.String())
		write(t, path, "secret", 0o600)
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := files.ReadPrivate(path, 100, "it holds a private key")
		if got := err != nil && strings.Contains(err.Error(), "it holds a private key"); got != refused {
			t.Errorf("mode %04o: refused %v (%v), want %v", mode, got, err, refused)
		}
	}
}

func TestReplace(t *testing.T) {
	for mode, folder := range map[fs.FileMode]fs.FileMode{files.Public: 0o755, files.Private: 0o700} {
		path := filepath.Join(t.TempDir(), "made", "file")
		for _, text := range []string{"old", "new"} {
			if err := files.Replace(path, []byte(text), mode); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(path)
			if err != nil || string(got) != text {
				t.Errorf("got %q and %v, want %q", got, err, text)
			}
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != mode {
			t.Errorf("got mode %04o, want %04o", info.Mode().Perm(), mode)
		}
		parent, err := os.Stat(filepath.Dir(path))
		if err != nil {
			t.Fatal(err)
		}
		if parent.Mode().Perm() != folder {
			t.Errorf("folder: got mode %04o, want %04o", parent.Mode().Perm(), folder)
		}
		if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".new-*")); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}

func TestReplaceJSON(t *testing.T) {
	path := filepath.Join(t.TempDir(), "plan.json")
	if err := files.ReplaceJSON(path, map[string]int{"a": 1}, files.Private); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "{\n  \"a\": 1\n}\n" {
		t.Errorf("got %q and %v", got, err)
	}
	for name, err := range map[string]error{
		"what JSON does not have": files.ReplaceJSON(path, func() {}, files.Private),
		"a file as a folder":      files.ReplaceJSON(filepath.Join(path, "x"), 1, files.Private),
	} {
		if err == nil || !strings.HasPrefix(err.Error(), "writing "+path) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestReplaceKeepsTheOldFile: when the new one cannot take its place.
func TestReplaceKeepsTheOldFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "folder")
	if err := os.MkdirAll(filepath.Join(path, "inside"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := files.Replace(path, []byte("text"), files.Public); err == nil {
		t.Error("a folder was replaced by a file")
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".new-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestFolders(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b")
	want := map[string][]byte{"one.json": []byte("1"), "two.json": []byte("2")}
	if err := files.CreateFolder(path, want, files.Public); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(path, "other"), "3", 0o644)
	if err := os.Mkdir(filepath.Join(path, "folder.json"), 0o755); err != nil {
		t.Fatal(err)
	}
	isJSON := func(name string) bool { return filepath.Ext(name) == ".json" }
	got, err := files.ReadFolder(path, 2, isJSON)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || !bytes.Equal(got["one.json"], want["one.json"]) || !bytes.Equal(got["two.json"], want["two.json"]) {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, err := files.ReadFolder(path, 1, isJSON); err == nil {
		t.Error("two files were read where one is the most")
	}
	if err := files.CreateFolder(path, want, files.Public); err == nil {
		t.Error("a folder with files was replaced")
	}
}
