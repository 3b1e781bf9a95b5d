package pcs_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/confidb/confidb/pkg/pcs"
	"github.com/confidb/confidb/pkg/sgx"
)

// TestReadFiles: a folder gives what it has of collateral, and a file is one bundle.
func TestReadFiles(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"one.json", "tcbInfo.json", "rootCaCrl.der", "notes.txt", "key.pem"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string][]string{
		folder:                             {"one.json", "rootCaCrl.der", "tcbInfo.json"},
		filepath.Join(folder, "one.json"):  {"bundle.json"},
		filepath.Join(folder, "notes.txt"): {"bundle.json"},
		t.TempDir():                        nil,
	} {
		got, err := pcs.ReadFiles(path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		var names []string
		for name := range got {
			names = append(names, name)
		}
		slices.Sort(names)
		if !slices.Equal(names, want) {
			t.Errorf("%s: got %v, want %v", path, names, want)
		}
	}
	if got, err := pcs.ReadFiles(filepath.Join(folder, "none")); err == nil || got != nil {
		t.Errorf("got %v and %v", got, err)
	}
}

// TestReadBundles: what is no collateral is a bundle that says so, never nothing; and an
// error if there is nothing else.
func TestReadBundles(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "one.json")
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := t.TempDir()
	for path, want := range map[string]string{folder: file, file: file, empty: empty} {
		all, err := pcs.ReadBundles(path, sgx.Options{})
		var form *sgx.FormError
		if !errors.As(err, &form) || form.ExitCode() != 2 || len(all) != 1 {
			t.Fatalf("%s: got %v and %v", path, all, err)
		}
		if all[0].Err == nil {
			t.Errorf("%s: it can be used", path)
		}
		if all[0].File != want {
			t.Errorf("%s: got the file %s, want %s", path, all[0].File, want)
		}
	}
	if all, err := pcs.ReadBundles(filepath.Join(folder, "none"), sgx.Options{}); err == nil || all != nil {
		t.Errorf("got %v and %v", all, err)
	}
}
