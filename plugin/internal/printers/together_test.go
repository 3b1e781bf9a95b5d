package printers_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/plugin/internal/printers"
)

// What passed at several databases is one line with their names. What did not pass anywhere
// has lines of its own, whatever others say.
func TestPassedTogether(t *testing.T) {
	about := func(id, subject, title string, outcome check.Outcome) check.Finding {
		f := check.Finding{ID: id, Subject: subject, Title: title, Outcome: outcome}
		if outcome != check.Pass {
			f.Reason = "because of " + subject
		}
		return f
	}
	var findings check.Report
	findings = append(findings, about("cas-quote", "", "the CAS is genuine", check.Pass))
	for i, outcome := range []check.Outcome{check.Pass, check.Fail, check.Pass} {
		name := []string{"m-0", "m-1", "m-2"}[i]
		findings = append(findings, about("enc-01", name, name+": all is encrypted", check.Pass), about("set-01", name, name+": settings", outcome), about("mtls-09", name+"/'a'@'%'", name+": a is refused", check.Pass),
			about("mtls-09", name+"/'b'@'%'", name+": b is refused", outcome), about("data-01", name, name+": only of "+name, check.Pass), about("rep-05", name, name+": x", check.Skip), about("rep-05", name, name+": x", check.Warn))
	}
	findings = append(findings, about("guests", "m-0", "the client m-0 may come in", check.Pass), about("guests", "m-1", "the client m-1 may come in", check.Pass))
	var out bytes.Buffer
	if err := printers.Print(&out, "", printers.Result{Findings: findings}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	for line, want := range map[string]int{
		"m-0, m-1, m-2: all is encrypted": 1, "m-0, m-2: settings": 1, "m-1: settings": 1, "m-0, m-1, m-2: a is refused": 1, "m-0, m-2: b is refused": 1, "m-1: b is refused": 1,
		"m-0: only of m-0": 1, "m-2: only of m-2": 1, "m-0: x": 2, "m-1: x": 2, "m-2: x": 2, "because of m-1": 4, "the client m-0 may come in": 1, "the client m-1 may come in": 1, "the CAS is genuine": 1,
	} {
		got := 0
		for _, l := range lines {
			if strings.HasSuffix(l, " "+line) || strings.HasSuffix(l, line+"/'b'@'%'") {
				got++
			}
		}
		if got != want {
			t.Errorf("%q is there %d times, want %d:\n%s", line, got, want, out.String())
		}
	}
	if findings[1].Title != "m-0: all is encrypted" {
		t.Errorf("the result itself was changed: %q", findings[1].Title)
	}
}
