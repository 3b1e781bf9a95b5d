package lint_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/lint"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/topology"
)

// FuzzLint looks at documents that the parser accepts, alone and twice, and at the
// errors of the others.
func FuzzLint(f *testing.F) {
	for _, pattern := range []string{"testdata/CDB*/*.yaml", "../session/testdata/valid/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatalf("%s: got %d files and error %v", pattern, len(files), err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
	for _, name := range []string{"namespace", "client", "database"} {
		text, err := topology.Template(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := session.Parse("a:b.yaml", text)
		if err != nil {
			mustBeSound(t, lint.Unreadable(err))
			return
		}
		alone := checkAll(t, s)
		mustBeSound(t, alone)
		if diff := cmp.Diff(alone, checkAll(t, s)); diff != "" {
			t.Errorf("the second time is different:\n%s", diff)
		}
		mustBeSound(t, checkAll(t, s, s))
		lint.Strength(s)
	})
}

func mustBeSound(t *testing.T, problems []lint.Problem) {
	t.Helper()
	for _, p := range problems {
		if p.Rule().Code != p.Code {
			t.Errorf("got %+v, want a known code", p)
		}
		if p.File != "a:b.yaml" || p.Line < 1 || p.Column < 1 {
			t.Errorf("got %+v, want a position", p)
		}
		if p.Got == "" || p.Fix == "" {
			t.Errorf("got %+v, want what was got, and a fix", p)
		}
		if p.Suppressed != (p.Reason != "" && p.Until != "") {
			t.Errorf("got %+v, want reason and date if it is suppressed", p)
		}
	}
}
