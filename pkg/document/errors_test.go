package document_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/document"
)

func TestJoin(t *testing.T) {
	if err := document.Join(nil); err != nil {
		t.Errorf("of nothing: %v", err)
	}
	one := &document.Error{File: "f", Line: 2, Column: 3, Path: "a.b", Problem: "got x, want y", Advice: "write y"}
	err := document.Join([]*document.Error{one})
	var hinted interface{ Hint() string }
	if err.Error() != "f:2:3: a.b: got x, want y" || !errors.As(err, &hinted) || hinted.Hint() != "write y" {
		t.Errorf("of one: %v", err)
	}
	var many []*document.Error
	for line := 12; line > 0; line-- {
		many = append(many, &document.Error{File: "f", Line: line, Column: 1, Problem: "bad"})
	}
	many[0].Advice, many[11].Advice = "unseen", "mend it"
	err = document.Join(many)
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 11 || lines[0] != "f:1:1: bad" || lines[9] != "f:10:1: bad" || lines[10] != "and 2 more" {
		t.Errorf("of twelve: %v", err)
	}
	if errors.As(err, &hinted); hinted.Hint() != "1:1: mend it" {
		t.Errorf("hint %q", hinted.Hint())
	}
	if found := new(document.Error); !errors.As(err, &found) || found.Line != 1 {
		t.Errorf("the problems are not in %v", err)
	}
}
