package lint

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/confidb/confidb/pkg/document"
	"github.com/confidb/confidb/pkg/session"
)

// mark begins each comment that is for us.
const mark = "confidb:"

// suppression is a comment that accepts a problem.
type suppression struct {
	session.Comment
	code, reason, until string
	// whole means that it is about the whole file.
	whole bool
}

// suppress marks the problems that comments of the session accept, and returns what
// is wrong with these comments.
func (b book) suppress(s *session.Session, found []Problem, now time.Time) []Problem {
	var wrong []Problem
	file, first, _ := position(s.Where(""))
	for _, c := range s.Comments() {
		text := strings.TrimSpace(strings.TrimLeft(c.Text, "#"))
		if !strings.HasPrefix(text, mark) {
			continue
		}
		p, code, got, fix := b.readSuppression(c, text, now)
		p.whole = c.Line < first
		if code == "" && !p.apply(file, found) {
			code, got = codeNothing, "no "+p.code+" here"
		}
		if code != "" {
			wrong = append(wrong, b.faulty(s, p, code, got, fix))
		}
	}
	return wrong
}

// readSuppression returns what is wrong with a comment by its code, or none.
func (b book) readSuppression(c session.Comment, text string, now time.Time) (p suppression, code, got, fix string) {
	p.Comment = c
	form := regexp.MustCompile(`^confidb:ignore +([A-Za-z0-9]+)((?: +until=\S*| +reason="[^"]*")*)$`)
	match := form.FindStringSubmatch(text)
	if match == nil {
		return p, codeIncomplete, fmt.Sprintf("%.80q", text), ""
	}
	p.code, p.until = match[1], argument(match[2], `until=(\S+)`)
	p.reason = strings.TrimSpace(argument(match[2], `reason="([^"]*)"`))
	if p.reason == "" || p.until == "" {
		return p, codeIncomplete, fmt.Sprintf("%.80q", text), ""
	}
	end, err := time.Parse(time.DateOnly, p.until)
	if err != nil {
		return p, codeIncomplete, fmt.Sprintf("until=%.20q, which is not a date", p.until), ""
	}
	if !slices.Contains(b.suppressible(), p.code) {
		if near := document.Nearest(p.code, b.suppressible()); near != "" {
			fix = fmt.Sprintf("Did you mean %s?", near)
		}
		return p, codeUnknown, fmt.Sprintf("%.20q", p.code), fix
	}
	if !now.Before(end.AddDate(0, 0, 1)) {
		return p, codeExpired, fmt.Sprintf("%s until %s, now %s", p.code, p.until, now.UTC().Format(time.DateOnly)), ""
	}
	return p, "", "", ""
}

func argument(text, form string) string {
	match := regexp.MustCompile(form).FindStringSubmatch(text)
	if match == nil {
		return ""
	}
	return match[1]
}

// suppressible are the codes of the rules over a document that could be read.
func (b book) suppressible() []string {
	var codes []string
	for _, r := range b.rules {
		if !strings.HasPrefix(r.Code, "CDB0") {
			codes = append(codes, r.Code)
		}
	}
	return codes
}

// apply marks the problems that the comment, of a file, is about and reports whether
// there are any.
func (p suppression) apply(file string, found []Problem) bool {
	any := false
	for i := range found {
		f := &found[i]
		here := f.File == file && (f.Line == p.Line || inside(f.Written, p.Path))
		if f.Code == p.code && (p.whole || here || inside(f.Path, p.Path)) {
			f.Suppressed, f.Reason, f.Until = true, p.reason, p.until
			any = true
		}
	}
	return any
}

// inside reports whether a path is that of a value, or of something in it.
func inside(path, value string) bool { return session.Within(path, value) }

// faulty is what is wrong with a comment, at its line.
func (b book) faulty(s *session.Session, p suppression, code, got, fix string) Problem {
	r, _ := b.rule(code) // it is one of the constants
	file, _, _ := position(s.Where(""))
	return Problem{Code: code, File: file, Line: p.Line, Column: 1, Path: p.Path, Got: got, Fix: cmp.Or(fix, r.Fix)}
}
