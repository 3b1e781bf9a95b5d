package lint_test

import (
	"errors"
	"io/fs"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/lint"
	"github.com/confidb/confidb/pkg/session"
)

// documentOf reads a file of a rule's folder.
func documentOf(t *testing.T, file string) lint.Document {
	t.Helper()
	text, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	s, err := session.Parse(file, text)
	return lint.Document{Name: file, Session: s, Err: err}
}

// TestLook: problems are in the order in which documents were given, and one that cannot be
// parsed has problems as well.
func TestLook(t *testing.T) {
	broken := lint.Document{Name: "broken.yml"}
	_, broken.Err = session.Parse("broken.yml", []byte("version: '0.3.11'\nname: a\nwhat: 1\n"))
	var r lint.Result
	if err := r.Look([]lint.Document{documentOf(t, "CDB3024/bad.yaml"), broken}, false, now()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"CDB3024/bad.yaml", "broken.yml"}, r.Sessions); diff != "" {
		t.Error(diff)
	}
	var files []string
	for _, p := range r.Problems {
		files = append(files, p.File+" "+p.Code)
	}
	if diff := cmp.Diff([]string{"CDB3024/bad.yaml CDB3024", "broken.yml CDB0000"}, files); diff != "" {
		t.Error(diff)
	}
}

// TestLookAtStored: what CAS writes is a problem in a file only.
func TestLookAtStored(t *testing.T) {
	const hash = "77aa0192bb34cc56dd78ee90ff12ab5e75aa0192bb34cc56dd78ee90ff12ab5e"
	text, err := os.ReadFile("testdata/CDB3024/bad.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s, err := session.Parse("a.yaml", append(text, "creator: "+hash+"\n"...))
	if err != nil {
		t.Fatal(err)
	}
	for stored, want := range map[bool][]string{false: {"CDB3024", "CDB5002"}, true: {"CDB3024"}} {
		var r lint.Result
		if err := r.Look([]lint.Document{{Name: "a.yaml", Session: s}}, stored, now()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, open(r.Problems)); diff != "" {
			t.Errorf("stored %v: %s", stored, diff)
		}
	}
}

func TestLookEnds(t *testing.T) {
	var r lint.Result
	err := r.Look([]lint.Document{documentOf(t, "CDB3024/bad.yaml"), {Name: "none.yml", Err: fs.ErrNotExist}}, false, now())
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want that the file is not there", err)
	}
	if len(r.Problems) > 0 {
		t.Errorf("got the problems %v of half of what was given", r.Problems)
	}
}

// A listing says of each problem what its rule says, and of all whether they fail.
func TestListing(t *testing.T) {
	problems := checkFile(t, "testdata/CDB3024/bad.yaml")
	if len(problems) == 0 {
		t.Fatal("got no problem")
	}
	r := lint.Result{Sessions: []string{"bad.yaml"}, Problems: problems, FailOn: lint.Note}
	l := r.Listing()
	if !l.Failed {
		t.Error("got a listing that does not fail")
	}
	if l.Summary != r.Summary() {
		t.Errorf("got %q, want %q", l.Summary, r.Summary())
	}
	for i, p := range l.Problems {
		rule := problems[i].Rule()
		if want := (lint.Listed{Problem: problems[i], Name: rule.Name, Severity: rule.Severity, Title: rule.Title}); p != want {
			t.Errorf("got %+v, want %+v", p, want)
		}
	}
	if none := (lint.Result{FailOn: lint.Note}).Listing(); none.Failed || none.Problems == nil {
		t.Errorf("without problems: got %+v", none)
	}
}
