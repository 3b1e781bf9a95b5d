package cli

import (
	"fmt"
	"io"
	"time"

	"k8s.io/kubectl/pkg/util/term"

	"github.com/confidb/confidb/pkg/check"
)

// Progress tells on standard error what is being done and since when. On a
// terminal details share one line that is overwritten.
type Progress struct {
	out      io.Writer
	now      func() time.Time
	began    time.Time
	terminal bool
	open     bool // the line of a detail has no end yet
}

// NewProgress starts the clock.
func NewProgress(out io.Writer, now func() time.Time) *Progress {
	return &Progress{out: out, now: now, began: now(), terminal: term.TTY{Out: out}.IsTerminalOut()}
}

// Step says what begins now, in the gerund.
func (p *Progress) Step(format string, arguments ...any) {
	p.Done()
	fmt.Fprintf(p.out, "%6.1f s  %s\n", p.now().Sub(p.began).Seconds(), check.Said(fmt.Sprintf(format, arguments...)))
}

// detailWidth is how much of a detail fits on the line of a terminal.
const detailWidth = 68

// Detail says what the current step waits for.
func (p *Progress) Detail(text string) {
	text = check.Said(text)
	if !p.terminal {
		fmt.Fprintf(p.out, "          %s\n", text)
		return
	}
	if runes := []rune(text); len(runes) > detailWidth {
		text = string(runes[:detailWidth-1]) + "…"
	}
	fmt.Fprintf(p.out, "\r\x1b[K          %s", text)
	p.open = true
}

// Done removes the detail that is shown.
func (p *Progress) Done() {
	if p.open {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.open = false
	}
}
