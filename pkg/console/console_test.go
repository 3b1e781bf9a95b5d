package console

import (
	"io"
	"strings"
	"testing"

	"golang.org/x/term"
)

// The client gets what was typed, in lines, and no key that edits one.
func TestShellPassesLines(t *testing.T) {
	for typed, want := range map[string]struct {
		lines       string
		interrupted bool
	}{
		"select '日本語';\r\x04":          {"select '日本語';\n", false},
		"selct\x7f\x7fect 1;\r\x04":    {"select 1;\n", false},
		"a\rb\r\x1b[A\r\x04":           {"a\nb\nb\n", false}, // the line before, again
		"a\r":                          {"a\n", false},
		"select sleep(9);\r\x03":       {"select sleep(9);\n", true},
		"never mind\x03 this either\r": {"", true},
		"\x04":                         {"", false},
	} {
		keys := &keyboard{Reader: strings.NewReader(typed), Writer: io.Discard}
		read, lines := io.Pipe()
		go keys.pass(term.NewTerminal(keys, "sql> "), lines)
		got, err := io.ReadAll(read)
		if err != nil || string(got) != want.lines || keys.interrupted != want.interrupted {
			t.Errorf("%q: got %q, interrupted %v (%v), want %+v", typed, got, keys.interrupted, err, want)
		}
	}
}

// A row cannot move the user's terminal, and is shown as it is otherwise.
func TestShellShowsLines(t *testing.T) {
	var shown strings.Builder
	showLines(&shown, strings.NewReader("| a\tb  日本語 |\n\x1b[2J\u009b1m\u202e\r https://a:b@c\nno end"))
	if want := "| a\tb  日本語 |\n?[2J?1m?? https://a:b@c\nno end\n"; shown.String() != want {
		t.Errorf("got %q, want %q", shown.String(), want)
	}
}
