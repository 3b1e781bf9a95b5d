// Package realinputs gives tests small files in the shape of what people really have:
// sessions, quotes, collateral, values and lines of logs. They follow files and reports of
// others and are no part of this repository.
//
// They are looked for in the folder that CONFIDB_REAL_INPUTS names. Whoever sets it
// requires every case that a test asks for. Without it they are looked for beside the
// checkout; if that folder does not exist, their tests are skipped. Every kind of them is
// also tried with inputs of our own.
package realinputs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Variable is the environment variable that names the folder. A relative path starts at
// the root of the checkout.
const Variable = "CONFIDB_REAL_INPUTS"

// besideCheckout is the folder without the variable.
const besideCheckout = "../shared/testdata/real-inputs"

// Case returns the folder of one case. It skips the test where there are none, and fails
// it if they are required or this one is missing.
func Case(t testing.TB, id string) (folder string) {
	t.Helper()
	all, required := place(t)
	if _, err := os.Stat(all); errors.Is(err, fs.ErrNotExist) && !required {
		t.Skipf("real input %s did not run; put them into %s beside the checkout, or name their folder in %s", id, besideCheckout, Variable)
	}
	folder = filepath.Join(all, id)
	if _, err := os.Stat(filepath.Join(folder, "EXPECT")); err != nil {
		t.Fatalf("real inputs: %v", err)
	}
	return folder
}

// Lines returns the lines of one file of a case.
func Lines(t testing.TB, id, file string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(Case(t, id), file))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimRight(string(text), "\n"), "\n")
}

// place is the folder of all cases, and whether somebody named it.
func place(t testing.TB) (folder string, required bool) {
	t.Helper()
	root := checkout(t)
	named := os.Getenv(Variable)
	switch {
	case named == "":
		return filepath.Join(root, besideCheckout), false
	case filepath.IsAbs(named):
		return named, true
	}
	return filepath.Join(root, named), true
}

// checkout is the root of the repository, which the working directory is in.
func checkout(t testing.TB) string {
	t.Helper()
	folder, err := os.Getwd()
	for err == nil {
		text, unread := os.ReadFile(filepath.Join(folder, "go.mod"))
		if unread == nil && strings.HasPrefix(string(text), "module github.com/confidb/confidb\n") {
			return folder
		}
		above := filepath.Dir(folder)
		if above == folder {
			err = errors.New("the working directory is in no checkout of this repository")
		}
		folder = above
	}
	t.Fatal(err)
	return ""
}
