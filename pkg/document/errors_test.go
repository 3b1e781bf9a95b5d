package document_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/document"
)

func TestNoProblems(t *testing.T) {
	var none document.Problems
	if err := none.Err(); err != nil {
		t.Errorf("got %v", err)
	}
}

func TestOneProblem(t *testing.T) {
	p := document.Problems{File: "f"}
	p.At(2, 3, "a.b", "got %s, want y", "x").Advice = "write y"
	err := p.Err()
	if err.Error() != "f:2:3: a.b: got x, want y" {
		t.Errorf("got %q", err)
	}
	if got := hint(t, err); got != "write y" {
		t.Errorf("got hint %q", got)
	}
}

func hint(t *testing.T, err error) string {
	t.Helper()
	var hinted interface{ Hint() string }
	if !errors.As(err, &hinted) {
		t.Fatalf("%v has no hint", err)
	}
	return hinted.Hint()
}

// Ten are told, in the order of the lines, and no hint of these ten is lost.
func TestManyProblems(t *testing.T) {
	p := document.Problems{File: "f"}
	for line := 12; line > 0; line-- {
		e := p.At(line, 1, "", "bad")
		switch line {
		case 12:
			e.Advice = "unseen"
		case 7:
			e.Advice = "look again"
		case 1:
			e.Advice = "mend it"
		}
	}
	err := p.Err()
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 11 {
		t.Fatalf("got %d lines: %v", len(lines), err)
	}
	for at, want := range map[int]string{0: "f:1:1: bad", 9: "f:10:1: bad", 10: "and 2 more"} {
		if lines[at] != want {
			t.Errorf("line %d: got %q, want %q", at, lines[at], want)
		}
	}
	if got := hint(t, err); got != "1:1: mend it\n7:1: look again" {
		t.Errorf("got hint %q", got)
	}
	if found := new(document.Error); !errors.As(err, &found) || found.Line != 1 {
		t.Errorf("the problems are not in %v", err)
	}
}

// The second problem of one place follows from the first; another path is another thing.
func TestOneProblemAPlace(t *testing.T) {
	p := document.Problems{File: "f"}
	p.At(1, 1, "a", "first")
	p.At(1, 1, "a", "second").Advice = "lost"
	p.At(1, 1, "b", "third")
	if got := p.Err().Error(); got != "f:1:1: a: first\nf:1:1: b: third" {
		t.Errorf("got %q", got)
	}
	if p.Count() != 2 {
		t.Errorf("got %d problems, want 2", p.Count())
	}
	if !p.Under("a") || p.Under("c") {
		t.Error("want a problem under a and none under c")
	}
}

// Whatever is wrong, a document takes little memory and its problems are counted.
func TestProblemsAreBounded(t *testing.T) {
	p := document.Problems{File: "f"}
	const all = 200_000
	for line := range all {
		p.At(line+1, 1, "", "bad")
	}
	var e *document.Errors
	if !errors.As(p.Err(), &e) {
		t.Fatalf("got %v", p.Err())
	}
	if len(e.Problems) != 10 || e.More != all-10 {
		t.Errorf("got %d told and %d more", len(e.Problems), e.More)
	}
}
