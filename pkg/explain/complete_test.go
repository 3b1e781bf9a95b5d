package explain_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/explain"
	"github.com/confidb/confidb/pkg/lint"
	"github.com/confidb/confidb/pkg/sgx"
)

// idArgument says which argument of a function is the ID of a finding, and what is
// put after it. A new helper that makes findings belongs in here.
func idArgument() map[string]struct {
	at     int
	suffix string
} {
	return map[string]struct {
		at     int
		suffix string
	}{
		"finding": {}, "crl": {}, "dates": {}, "missing": {}, "failed": {}, "skipped": {}, "compare": {}, "ask": {},
		"current": {at: 1}, "chainValidity": {suffix: "-validity"}, "document": {suffix: "-validity"},
	}
}

// idFirst are the types of which literals without keys begin with an ID.
func idFirst() []string {
	return []string{"Finding", "Weakness", "Limitation", "question", "link", "crlKind", "evaluation"}
}

func TestEveryCodeHasAPage(t *testing.T) {
	ids := findingIDs(t)
	for _, known := range []string{"cas-nonce", "pck-chain-validity", "root-crl", "session-access", "tls-01", "no-integrity", "long-grace", "tcb-info-validity", "session-database", "database-session-policy", "probe-statement", "database-seen", "cas-attested", "statement-ca"} {
		if ids[known] == "" {
			t.Errorf("the walk through the sources missed %s: teach it how that finding is made now", known)
		}
	}
	for _, c := range sgx.Codes() {
		ids[string(c)] = "sgx.Codes()"
	}
	for _, s := range sgx.Statuses() {
		ids[string(s)] = "sgx.Statuses()"
	}
	for id, place := range ids {
		pages, err := explain.Lookup(id)
		if err != nil || len(pages) != 1 {
			t.Errorf("%s has the ID %s: got %d pages and error %v, want one page in pages.yaml", place, id, len(pages), err)
		}
	}
}

// TestRulesArePages shows that explain says of a rule exactly what lint says.
func TestRulesArePages(t *testing.T) {
	rules, err := lint.Rules()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rules {
		pages, err := explain.Lookup(r.Code)
		if err != nil || len(pages) != 1 {
			t.Errorf("%s: got %d pages and %v, want one", r.Code, len(pages), err)
			continue
		}
		p := pages[0]
		got := []string{p.Code, p.Title, p.Meaning, p.Attack, p.Do}
		if want := []string{r.Code, r.Title, r.Meaning, r.Attack, r.Fix}; !slices.Equal(got, want) {
			t.Errorf("got the page %q, want %q", got, want)
		}
	}
}

// TestAnnouncedCodesHaveAPage is about codes of parts that are written at the same time as this one.
func TestAnnouncedCodesHaveAPage(t *testing.T) {
	for _, code := range []string{
		"cas-delegated", "cas-pinned", "tcb-evaluation-number", "tcb-info-rollback", "qe-identity-rollback", "clock", "collateral-age",
		"tcb-info", "qe-identity", "tcb-signing-chain", "quote-trailing-bytes", "tcb-level", "tcb-info-validity", "qe-identity-validity", "tcb-info-version",
		"exit-0", "exit-1", "exit-2", "exit-3", "exit-4", "exit-5", "exit-124", "cas-tcb-status", "database-session-platforms", "client-session-access",
	} {
		if pages, err := explain.Lookup(code); err != nil || len(pages) != 1 {
			t.Errorf("%s: got %d pages and error %v, want one", code, len(pages), err)
		}
	}
}

// findingIDs reads the sources and returns the place of each ID.
func findingIDs(t *testing.T) map[string]string {
	t.Helper()
	found, files := map[string]string{}, token.NewFileSet()
	for _, root := range []string{"../../pkg", "../../plugin"} {
		err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case entry.IsDir() && (entry.Name() == "lab" || entry.Name() == "testdata"):
				return fs.SkipDir // the lab imitates others and finds nothing
			case entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
				return nil
			}
			file, err := parser.ParseFile(files, name, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			for _, id := range idsIn(file) {
				found[id] = name
			}
			return nil
		})
		if err != nil {
			t.Fatalf("reading the sources: %v", err)
		}
	}
	return found
}

func idsIn(file *ast.File) []string {
	var ids []string
	add := func(e ast.Expr, suffix string) {
		if id := idOf(e); id != "" {
			ids = append(ids, id+suffix)
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CompositeLit:
			inLiteral(n, add)
		case *ast.ValueSpec: // const id, title = "cas-nonce", "…"
			if n.Names[0].Name == "id" && len(n.Values) > 0 {
				add(n.Values[0], "")
			}
		case *ast.CallExpr:
			if helper, ok := idArgument()[nameOf(n.Fun)]; ok && helper.at < len(n.Args) {
				add(n.Args[helper.at], helper.suffix)
			}
		}
		return true
	})
	return ids
}

func inLiteral(n *ast.CompositeLit, add func(ast.Expr, string)) {
	named := n.Type
	if list, ok := n.Type.(*ast.ArrayType); ok {
		named = list.Elt
	}
	if !slices.Contains(idFirst(), nameOf(named)) {
		return
	}
	literals := []*ast.CompositeLit{n}
	if named != n.Type { // the elements of a list leave the type out
		literals = nil
		for _, e := range n.Elts {
			if literal, ok := e.(*ast.CompositeLit); ok && literal.Type == nil {
				literals = append(literals, literal)
			}
		}
	}
	for _, literal := range literals {
		for i, e := range literal.Elts {
			if pair, ok := e.(*ast.KeyValueExpr); ok && nameOf(pair.Key) == "ID" {
				add(pair.Value, "")
			} else if !ok && i == 0 {
				add(e, "")
			}
		}
	}
}

func nameOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

// idOf is the ID that an expression writes out. Of which+"-session-policy" it is what
// follows the prefix, as that has the page.
func idOf(e ast.Expr) string {
	kebab := regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)
	if sum, ok := e.(*ast.BinaryExpr); ok {
		if idOf(sum.Y) == "" {
			literal, ok := sum.Y.(*ast.BasicLit)
			if !ok || literal.Value == `"-validity"` || !strings.HasPrefix(literal.Value, `"-`) {
				return ""
			}
			return strings.Trim(literal.Value, `"-`)
		}
		return ""
	}
	literal, ok := e.(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return ""
	}
	text, err := strconv.Unquote(literal.Value)
	if err != nil || !kebab.MatchString(text) {
		return ""
	}
	return text
}

// TestTheWalkSeesANewFinding is the proof that the test above can fail.
func TestTheWalkSeesANewFinding(t *testing.T) {
	const source = `package p
const id, title = "new-1", "a title"
func f() {
	_ = check.Finding{Title: "a title", ID: "new-2"}
	_ = []evidence.Limitation{{ID: "new-3"}}
	_ = []question{{"new-4", "a title"}}
	_ = []link{{Title: "a title", ID: "new-7", Judge: judge}}
	_ = v.chainValidity("new-5", "a title")
	_ = skipped(which+"-new-6", "a title")
	_ = missing("not an id", "a title")
}`
	file, err := parser.ParseFile(token.NewFileSet(), "p.go", source, 0)
	if err != nil {
		t.Fatal(err)
	}
	got := idsIn(file)
	slices.Sort(got)
	want := []string{"new-1", "new-2", "new-3", "new-4", "new-5-validity", "new-6", "new-7"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, id := range got {
		if _, err := explain.Lookup(id); err == nil {
			t.Errorf("%s has a page", id)
		}
	}
}
