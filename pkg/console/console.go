// Package console lets somebody at a terminal talk to a program that gets lines and never
// a terminal. It does not know what the program is.
package console

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"unicode"

	"golang.org/x/term"
)

// Terminal is one that passes each key on as it is typed. Without a size it is taken for
// 80 columns.
type Terminal struct {
	In  io.Reader
	Out io.Writer
	// Width and Height are in characters; some terminals say 0.
	Width, Height int
}

// leastWidth is the least that a line can be edited in.
const leastWidth = 20

// Talk edits lines here, in the user's program, and gives them to run, which shows what is
// answered; it returns what run returns. What serves a terminal (editor, pager, history)
// reads files and runs programs, so it is not left to the other side. Ctrl-C ends the
// context of run.
func Talk(ctx context.Context, t Terminal, run func(ctx context.Context, typed io.Reader, show io.Writer) error) error {
	ctx, interrupt := context.WithCancel(ctx)
	defer interrupt()
	typed, lines := io.Pipe()
	defer typed.Close()
	keys := &keyboard{Reader: t.In, Writer: t.Out}
	editor := term.NewTerminal(keys, "sql> ")
	if t.Width >= leastWidth {
		_ = editor.SetSize(t.Width, t.Height) // of a width that it has not, lines only wrap badly
	}
	fmt.Fprintln(editor, "Statements end with ; and may go on over lines. Ctrl-D ends the shell, Ctrl-C breaks it off.")
	go func() {
		if keys.pass(editor, lines); keys.interrupted {
			interrupt()
		}
	}()
	screen, show := io.Pipe()
	shown := make(chan struct{})
	go func() { defer close(shown); showLines(editor, screen) }()
	err := run(ctx, typed, show)
	show.Close()
	<-shown
	return err
}

// interruptKey is Ctrl-C at a terminal that makes no signal of it.
const interruptKey = 3

// keyboard remembers Ctrl-C, which the line editor does not tell from other ends.
type keyboard struct {
	io.Reader
	io.Writer
	interrupted bool
}

// Read reads keys.
func (k *keyboard) Read(p []byte) (int, error) {
	n, err := k.Reader.Read(p)
	k.interrupted = k.interrupted || bytes.IndexByte(p[:n], interruptKey) >= 0
	return n, err
}

// pass passes lines on until the user ends them or nobody reads them.
func (k *keyboard) pass(editor *term.Terminal, lines *io.PipeWriter) {
	defer lines.Close()
	for {
		line, err := editor.ReadLine()
		if err != nil {
			return
		}
		if _, err := io.WriteString(lines, line+"\n"); err != nil {
			return
		}
	}
}

// showLines shows what the client says, line by line, with nothing in it that a
// terminal obeys.
func showLines(editor io.Writer, said io.Reader) {
	lines := bufio.NewReader(said)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			fmt.Fprintln(editor, strings.Map(visible, strings.TrimSuffix(line, "\n")))
		}
		if err != nil {
			return
		}
	}
}

// visible leaves rows as they are but for what moves a terminal.
func visible(r rune) rune {
	if r != '\t' && !unicode.IsPrint(r) {
		return '?'
	}
	return r
}
