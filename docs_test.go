package confidb

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestNamedTestsExist: what the documents say is tried, is. A name may be that of a part of a
// test, behind a slash: then the words of that part stand in a test.
func TestNamedTestsExist(t *testing.T) {
	known, texts := map[string]bool{}, strings.Builder{}
	for _, s := range sources(t) {
		if !strings.HasSuffix(s.file, "_test.go") {
			continue
		}
		texts.Write(s.text)
		for _, d := range s.tree.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil {
				known[f.Name.Name] = true
			}
		}
	}
	scripts, err := filepath.Glob("plugin/*/testdata/script/*.txtar") // each is a part of TestScripts
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range scripts {
		texts.WriteString(strings.TrimSuffix(filepath.Base(file), ".txtar") + "\n")
	}
	files, err := filepath.Glob("docs/*.md")
	if err != nil || len(files) == 0 {
		t.Fatalf("got %d documents: %v", len(files), err)
	}
	all := strings.ReplaceAll(texts.String(), "_", " ") // as parts of tests are called
	named := regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z][A-Za-z0-9]*`)
	parts := regexp.MustCompile("(?:" + named.String() + "|…)/([^ ,;|`]+)")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for n, line := range strings.Split(string(text), "\n") {
			for _, name := range named.FindAllString(line, -1) {
				if !known[name] {
					t.Errorf("%s:%d: there is no %s", file, n+1, name)
				}
			}
			for _, m := range parts.FindAllStringSubmatch(line, -1) {
				for part := range strings.SplitSeq(m[1], "/") {
					if words := strings.ReplaceAll(part, "_", " "); !strings.Contains(all, words) {
						t.Errorf("%s:%d: no test says %q", file, n+1, words)
					}
				}
			}
		}
	}
}
