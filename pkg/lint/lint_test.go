package lint_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/lint"
	"github.com/confidb/confidb/pkg/session"
)

func now() time.Time { return time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC) }

// checkFile lints one file beside the sessions that belong to it.
func checkFile(t *testing.T, file string, beside ...*session.Session) []lint.Problem {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return checkText(t, file, text, beside...)
}

func checkText(t *testing.T, file string, text []byte, beside ...*session.Session) []lint.Problem {
	t.Helper()
	s, err := session.Parse(file, text)
	if err != nil {
		problems := lint.Unreadable(err)
		if len(problems) == 0 {
			t.Fatalf("got no problem of %v", err)
		}
		return problems
	}
	var own []lint.Problem
	for _, p := range checkAll(t, append([]*session.Session{s}, beside...)...) {
		if p.File == file {
			own = append(own, p)
		}
	}
	return own
}

func checkAll(t *testing.T, sessions ...*session.Session) []lint.Problem {
	t.Helper()
	problems, err := lint.Check(sessions, now())
	if err != nil {
		t.Fatal(err)
	}
	return problems
}

func rules(t *testing.T) []lint.Rule {
	t.Helper()
	all, err := lint.Rules()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// open are the codes of problems that are not suppressed, once each.
func open(problems []lint.Problem) []string {
	var codes []string
	for _, p := range problems {
		if !p.Suppressed {
			codes = append(codes, p.Code)
		}
	}
	slices.Sort(codes)
	return slices.Compact(codes)
}

// TestRules has for each rule a folder: bad files have exactly its code, and those
// of a first line "# also CODE…"; good files have not. Files with-… are given along.
func TestRules(t *testing.T) {
	folders, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for _, f := range folders {
		if f.Name() != "fuzz" && f.Name() != "ring" {
			got = append(got, f.Name())
		}
	}
	for _, r := range rules(t) {
		want = append(want, r.Code)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("folders of testdata (-rules +folders):\n%s", diff)
	}
	for _, code := range got {
		t.Run(code, func(t *testing.T) { testRule(t, code) })
	}
}

func testRule(t *testing.T, code string) {
	files, err := filepath.Glob(filepath.Join("testdata", code, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var beside []*session.Session
	seen := map[string]int{}
	for _, file := range slices.Backward(files) { // with-… comes last
		kind, _, _ := strings.Cut(strings.TrimSuffix(filepath.Base(file), ".yaml"), "-")
		seen[kind]++
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		switch kind {
		case "with":
			s, err := session.Parse(file, text)
			if err != nil {
				t.Fatal(err)
			}
			beside = append(beside, s)
		case "bad":
			codes := append([]string{code}, also(string(text))...)
			slices.Sort(codes)
			if diff := cmp.Diff(codes, open(checkText(t, file, text, beside...))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", file, diff)
			}
		case "good":
			if problems := checkText(t, file, text, beside...); slices.Contains(open(problems), code) {
				t.Errorf("%s: got %+v, want no %s", file, problems, code)
			}
		default:
			t.Errorf("%s: want a name that begins with bad, good or with", file)
		}
	}
	if seen["bad"] == 0 || seen["good"] == 0 {
		t.Errorf("got %v, want bad and good files", seen)
	}
}

func also(text string) []string {
	first, _, _ := strings.Cut(text, "\n")
	codes, ok := strings.CutPrefix(first, "# also ")
	if !ok {
		return nil
	}
	return strings.Fields(codes)
}

func TestPositions(t *testing.T) {
	for file, want := range map[string]string{
		"testdata/CDB1008/bad.yaml": "CDB1008 testdata/CDB1008/bad.yaml:27:16 security.attestation.tolerate[0]",
		"testdata/CDB2001/bad.yaml": "CDB2001 testdata/CDB2001/bad.yaml:4:5 services[0]",
		"testdata/CDB4007/bad.yaml": "CDB4007 testdata/CDB4007/bad.yaml:21:1 access_policy.create_sessions",
		"testdata/CDB2004/bad.yaml": "CDB2004 testdata/CDB2004/bad.yaml:9:17 services[0].platforms[0]",
	} {
		problems := checkFile(t, file)
		if len(problems) != 1 || place(problems[0]) != want {
			t.Errorf("got %+v, want %s", problems, want)
		}
	}
}

func place(p lint.Problem) string {
	return fmt.Sprintf("%s %s:%d:%d %s", p.Code, p.File, p.Line, p.Column, p.Path)
}
