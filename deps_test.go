package confidb

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/confidb/confidb"

// kind is what code in a room may do (ARCHITECTURE.md).
type kind string

const (
	words  kind = "words" // has no idea of the field
	judge  kind = "judge" // decides, and does no I/O
	reach  kind = "reach" // talks to one outside, and decides nothing
	story  kind = "do"    // carries something out, over interfaces that it declares
	typed  kind = "type"  // what is typed and printed
	start  kind = "start" // begins a program
	aside  kind = "aside" // lab, tools and tests: no part of the product
	longer      = 650     // a room with more lines must say which one idea it is
	most        = 3_400   // no room has more lines than this; the nearest is the session language
	plugin      = 7_050   // all of what is typed and printed together has no more lines than this: masking is two flags
)

// room is a folder with Go files. A room may import rooms of lower floors only; the
// order of the list is that of the floors.
type room struct {
	kind   kind
	folder string
	// idea is the one idea of a room of more than 650 lines.
	idea string
}

// floors are all folders with Go files, from the lowest floor to the highest. Rooms of
// one floor do not import each other.
func floors() [][]room {
	return [][]room{
		{{words, "pkg/check", ""}, {words, "pkg/document", "strict YAML with positions"}, {words, "pkg/files", ""}, {words, "pkg/forms", ""}, {judge, "pkg/leaks", ""}, {judge, "pkg/haproxy", ""}},
		{{judge, "pkg/sgx", "a quote and what Intel signs about its platform, verified"}, {judge, "pkg/promise", "what a session promises of its database, and the SQL that says so"}, {judge, "pkg/witness", ""}},
		{{aside, "internal/sgxmint", ""}, {aside, "internal/loopback", ""}, {aside, "internal/realquotes", ""}, {aside, "internal/realinputs", ""}, {judge, "pkg/outside", ""}, {judge, "pkg/attest", "evidence of a CAS against a policy (RFC 9334)"}},
		{{judge, "pkg/session", "the session language of SCONE"}, {judge, "pkg/accounts", "which accounts applications have: a document, and the SQL that makes them"}, {judge, "pkg/masking", ""}, {judge, "pkg/policy", "the user's policy as a document"}, {judge, "pkg/collateral", ""}, {judge, "pkg/baseline", "what a version of MariaDB is by itself, and what a server is beside that"}},
		{{judge, "pkg/layout", "what the services of sessions that belong together run, and what protects it"}},
		{{judge, "pkg/diff", "what a change of a session means"}, {judge, "pkg/lint", "what is dangerous in sessions, rule by rule"}, {judge, "pkg/render", ""}, {judge, "pkg/platform", "a machine's facts, and what they say together"}, {judge, "pkg/envelope", ""}},
		{{judge, "pkg/topology", "what is to run, and what was promised of it"}, {judge, "pkg/explain", ""}, {judge, "pkg/atrest", ""}, {judge, "pkg/inventory", "the machines over time"}},
		{{judge, "pkg/evidence", "what was seen, and no judgement"}},
		{{judge, "pkg/manifest", "what the objects of a chart run, judged and compared with what exists"}, {judge, "pkg/change", "an update of sessions: what it does, and whether it may be done"}, {judge, "pkg/fleet", "many machines, judged and compared"}},
		{{judge, "pkg/verify", "the chain of a proof, judged link by link"}, {judge, "pkg/report", ""}},
		{{reach, "pkg/record", "what a user keeps: who they are, what they were promised and what earlier runs have seen"}, {reach, "pkg/pcs", ""}, {reach, "pkg/cas", ""}, {reach, "pkg/kube", "Services, workloads and Jobs of a cluster"},
			{reach, "pkg/machines", "what a cluster says of its machines"}, {reach, "pkg/charts", ""}, {reach, "pkg/release", "a Helm release, by Helm's SDK"}, {reach, "pkg/console", ""}, {reach, "pkg/maxscale", ""}, {reach, "pkg/mysql", "the MySQL protocol for logins that must be refused"}},
		{{reach, "pkg/mariadb/ask", "everything that a database says of itself, whole or not at all"}, {reach, "pkg/mariadb/seed", ""}},
		{{reach, "pkg/mariadb", "a database, tried, and what it says of itself compared with what was promised"}, {aside, "pkg/mariadb/mariadbtest", ""}, {aside, "internal/castest", ""}, {aside, "pkg/machines/machinestest", ""}},
		{{story, "pkg/contact", ""}, {story, "pkg/deploy", "an installation, from nothing to a running release and back"}, {story, "pkg/rollout", "a change of what runs: of sessions, machines or the primary"}, {story, "pkg/watch", ""}, {story, "pkg/probe", "the attested client: what CAS gives it, what it looks at, and what it signs"}, {story, "pkg/keeper", "when a member of a replicated database starts, and which one is written to"}},
		{{story, "pkg/observe", ""}},
		{{typed, "plugin/internal/cli", ""}},
		{{typed, "plugin/internal/flags", ""}, {typed, "plugin/internal/printers", ""}},
		{{typed, "plugin/internal/verbs", ""}},
		{{typed, "plugin/confidb", ""}, {typed, "plugin/scone", ""}},
		{{aside, "pkg/lab", ""}},
		{{start, "cmd", ""}},
		{{aside, ".", ""}, {aside, "plugin/internal/scripttest", ""}, {aside, "test", ""}, {aside, "scripts", ""}},
	}
}

// owners are the packages that alone may import what begins with the key.
func owners() map[string][]string {
	return map[string][]string{
		"go.yaml.in/yaml":                       {"pkg/document", "pkg/explain", "pkg/lint"},
		"sigs.k8s.io/yaml":                      {"plugin/internal/printers", "pkg/manifest"},
		"helm.sh/helm":                          {"pkg/release"},
		"github.com/spf13/cobra":                {"plugin", "pkg/lab"},
		"github.com/spf13/pflag":                {"plugin", "pkg/lab"},
		"k8s.io/client-go":                      {"pkg/kube", "pkg/machines", "pkg/release", "plugin"},
		"k8s.io/kubectl":                        {"plugin"},
		"github.com/secure-systems-lab":         {"pkg/evidence"},
		"golang.org/x/sys":                      {"pkg/record", "pkg/lab"},
		"os/exec":                               {"pkg/contact", "pkg/lab"},
		module + "/plugin/internal/scripttest":  {},
		module + "/internal/realquotes":         {},
		module + "/internal/realinputs":         {},
		module + "/pkg/mariadb/mariadbtest":     {},
		module + "/pkg/machines/machinestest":   {},
		module + "/pkg/lab":                     {"pkg/lab", "cmd/confidb-lab", "cmd/confidb-lab-maxscale"},
		module + "/internal":                    {"pkg/lab"},
		"github.com/google/go-cmp":              {},
		"github.com/rogpeppe/go-internal":       {},
		"github.com/santhosh-tekuri/jsonschema": {},
	}
}

// effects are packages by which code does I/O, or is not the same at each run. Judges
// import none of them, and no room that does.
func effects() []string {
	return []string{"os", "os/exec", "net", "net/http", "crypto/rand", "math/rand", "k8s.io/client-go", "helm.sh/helm", "github.com/spf13/cobra", "github.com/spf13/pflag"}
}

// exceptions are broken rules, each with the reason for which it is accepted.
func exceptions() map[string]string {
	return map[string]string{
		"pkg/explain names the program":   "its pages are read as they stand, by whoever looks a code up",
		"pkg/lint names the program":      "its texts are read as they stand, as those of explain",
		"pkg/fleet names the program":     "it leaves the line of a page out that names the command it is",
		"pkg/inventory names the program": "the file that it writes says in its first lines how it is renewed, for whoever finds it in a repository",
		"pkg/deploy names flags":          "a chart without a key is refused with the name of the flag that says where it is, which both plugins share",
		"pkg/inventory names flags":       "the flag stands in the braces of its verb, which are written in pieces",
		"pkg/release names flags":         "it speaks of the flags of Helm, in whose words values are given",
		"pkg/layout names flags":          "they are those of MariaDB's server, as they stand in the command that is judged",
		"pkg/leaks names flags":           "it is one of curl, in whose command a password may stand",
		"pkg/contact names flags":         "they are those of SCONE's program, which it runs",
		"pkg/mariadb makes findings":      "what a database answered, and what that means, are one table of questions: the cut is inside the room, between Observe and Report, and what asks is a room of its own",
	}
}

// insecure are the files that leave out the verification of a TLS peer, and how often.
// Each has the check that replaces it beside it.
func insecure() map[string]int {
	return map[string]int{
		"pkg/cas/contact.go": 2, // first contact: the evidence is appraised; RA-TLS: the key is compared
		"pkg/pcs/client.go":  1, // collateral is signed by Intel, whoever serves it
	}
}

// source is one Go file of this module.
type source struct {
	file, folder string
	test         bool
	imports      []string
	text         []byte
	tree         *ast.File
}

// sources reads every Go file of this module.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	files := token.NewFileSet()
	err := fs.WalkDir(os.DirFS("."), ".", func(file string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && file != "." && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata" || file == "bin" || file == "test/cluster"):
			return fs.SkipDir
		case entry.IsDir() || path.Ext(file) != ".go":
			return nil
		}
		s := source{file: file, folder: path.Dir(file)}
		s.test = strings.HasSuffix(file, "_test.go") || within(s.folder, "test")
		if s.text, err = os.ReadFile(file); err != nil {
			return err
		}
		if s.tree, err = parser.ParseFile(files, file, s.text, parser.SkipObjectResolution); err != nil {
			return err
		}
		for _, spec := range s.tree.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			s.imports = append(s.imports, name)
		}
		all = append(all, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 100 {
		t.Fatalf("read %d files: the walk missed the module", len(all))
	}
	return all
}

// product calls visit with every file that is no test.
func product(t *testing.T, visit func(s source)) {
	t.Helper()
	for _, s := range sources(t) {
		if !s.test {
			visit(s)
		}
	}
}

// place returns the room that a folder is in, the innermost if there are several, and
// its floor; -1 for a folder that is in none.
func place(folder string) (found room, floor int) {
	floor = -1
	for i, rooms := range floors() {
		for _, r := range rooms {
			if within(folder, r.folder) && (floor < 0 || len(r.folder) >= len(found.folder)) {
				found, floor = r, i
			}
		}
	}
	return found, floor
}

func within(name string, prefixes ...string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return name == p || strings.HasPrefix(name, p+"/") })
}

func TestEveryFolderHasARoom(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range sources(t) {
		if _, floor := place(s.folder); floor < 0 {
			t.Errorf("%s: folder %s is in no room: name it in floors()", s.file, s.folder)
		}
		seen[s.folder] = true
	}
	for _, rooms := range floors() {
		for _, r := range rooms {
			used := r.folder == "scripts"
			for folder := range seen {
				used = used || within(folder, r.folder)
			}
			if !used {
				t.Errorf("room %s has no Go file: take it out of floors()", r.folder)
			}
		}
	}
}

func TestImports(t *testing.T) {
	product(t, func(s source) {
		for _, imported := range s.imports {
			if problem := refuseImport(s.folder, imported); problem != "" {
				t.Errorf("%s imports %s: %s", s.file, imported, problem)
			}
		}
	})
}

func TestRefusedImports(t *testing.T) {
	for _, c := range []struct {
		folder, imported string
		refused          bool
	}{
		{"pkg/check", module + "/pkg/sgx", true},
		{"pkg/sgx", module + "/pkg/check", false},
		{"pkg/sgx", "github.com/spf13/cobra", true},
		{"pkg/sgx", "go.yaml.in/yaml/v3", true},
		{"pkg/cas", module + "/pkg/kube", true},
		{"pkg/mysql", module + "/pkg/mariadb", true},
		{"pkg/deploy", module + "/pkg/contact", true},
		{"pkg/observe", module + "/pkg/contact", false},
		{"pkg/observe", module + "/pkg/deploy", true},
		{"pkg/record", module + "/pkg/deploy", true},
		{"pkg/verify", "helm.sh/helm/v3/pkg/action", true},
		{"pkg/verify", module + "/pkg/record", true},
		{"plugin/confidb", module + "/pkg/lab/cas", true},
		{"plugin/internal/flags", module + "/plugin/internal/printers", true},
		{"pkg/lab/cas", module + "/internal/sgxmint", false},
		{"pkg/lab/cas", module + "/pkg/lab/enclave", false},
		{"pkg/lab/cas", module + "/pkg/verify", true},
		{"pkg/new", module + "/pkg/check", true},
	} {
		if got := refuseImport(c.folder, c.imported) != ""; got != c.refused {
			t.Errorf("%s importing %s: refused %v, want %v", c.folder, c.imported, got, c.refused)
		}
	}
}

// refuseImport says why code in folder must not import a package, or nothing.
func refuseImport(folder, imported string) string {
	from, at := place(folder)
	if from.kind == aside && !within(folder, "pkg/lab") {
		return "" // tools and tests may use any library and the lab
	}
	for prefix, allowed := range owners() {
		if within(imported, prefix) && !within(folder, allowed...) {
			return "that belongs to " + strings.Join(append(allowed, "tests"), ", ")
		}
	}
	own, isOwn := strings.CutPrefix(imported, module+"/")
	if !isOwn {
		return ""
	}
	to, above := place(own)
	switch {
	case at < 0 || above < 0:
		return "one of them is in no room"
	case to.folder == from.folder:
		return ""
	case within(folder, "pkg/lab") && to.kind != words && to.kind != judge && to.kind != aside:
		return "the lab imitates what the product talks to, and knows documents and quotes only"
	case within(folder, "pkg/lab") && !within(own, "pkg/check", "pkg/document", "pkg/files", "pkg/sgx", "pkg/attest", "pkg/session", "internal"):
		return "the lab knows sessions and what is below them only"
	case above >= at:
		return "imports go down only"
	case from.kind == reach && to.kind == reach && !within(from.folder, "pkg/mariadb"):
		return "rooms that reach out do not know each other"
	case from.kind == story && to.kind == story && (from.folder != "pkg/observe" || to.folder != "pkg/contact"):
		return "stories do not tell each other"
	}
	return ""
}

// TestJudgesDoNoIO follows the imports of judges through the module.
func TestJudgesDoNoIO(t *testing.T) {
	imports := map[string][]string{}
	product(t, func(s source) { imports[s.folder] = append(imports[s.folder], s.imports...) })
	var search func(folder string, seen map[string]bool) string
	search = func(folder string, seen map[string]bool) string {
		if seen[folder] {
			return ""
		}
		seen[folder] = true
		for _, imported := range imports[folder] {
			if own, ok := strings.CutPrefix(imported, module+"/"); ok {
				if found := search(own, seen); found != "" {
					return found
				}
				continue
			}
			for _, e := range effects() {
				if imported == e || strings.Contains(e, ".") && within(imported, e) {
					return folder + " imports " + imported
				}
			}
		}
		return ""
	}
	for _, rooms := range floors() {
		for _, r := range rooms {
			if found := search(r.folder, map[string]bool{}); r.kind == judge && found != "" {
				t.Errorf("%s decides, and may do I/O: %s", r.folder, found)
			}
		}
	}
	product(t, func(s source) {
		if r, _ := place(s.folder); r.kind == judge {
			for _, name := range []string{"time.Now", "time.Sleep", "time.Since(", "rand.Reader"} {
				if bytes.Contains(s.text, []byte(name)) {
					t.Errorf("%s: %s is passed in to rooms that decide", s.file, name)
				}
			}
		}
	})
}

// TestOnlyJudgesMakeFindings: whoever fetches, carries out or prints does not say how a
// check ended.
func TestOnlyJudgesMakeFindings(t *testing.T) {
	product(t, func(s source) {
		if r, _ := place(s.folder); r.kind == judge || r.kind == words || r.kind == aside {
			return
		}
		if _, accepted := exceptions()[s.folder+" makes findings"]; accepted {
			return
		}
		ast.Inspect(s.tree, func(n ast.Node) bool {
			if literal, ok := n.(*ast.CompositeLit); ok && isFinding(literal.Type) {
				t.Errorf("%s makes a finding", s.file)
			}
			if assigned, ok := n.(*ast.AssignStmt); ok {
				for _, left := range assigned.Lhs {
					if selected, ok := left.(*ast.SelectorExpr); ok && selected.Sel.Name == "Outcome" {
						t.Errorf("%s sets the outcome of a check", s.file)
					}
				}
			}
			return true
		})
	})
}

// isFinding reports whether a type is check.Finding.
func isFinding(e ast.Expr) bool {
	selected, ok := e.(*ast.SelectorExpr)
	if !ok || selected.Sel.Name != "Finding" {
		return false
	}
	in, ok := selected.X.(*ast.Ident)
	return ok && in.Name == "check"
}

// TestRoomsAreSmall: a room that is larger than others has one idea, which is named.
func TestRoomsAreSmall(t *testing.T) {
	lines, inPlugin := map[string]int{}, 0
	product(t, func(s source) {
		n := bytes.Count(s.text, []byte("\n"))
		lines[s.folder] += n
		if r, _ := place(s.folder); r.kind == typed {
			inPlugin += n
		}
	})
	for folder, n := range lines {
		r, _ := place(folder)
		switch {
		case r.kind == aside || r.kind == start:
		case n > most:
			t.Errorf("%s has %d lines, want at most %d", folder, n, most)
		case n > longer && r.idea == "" && r.kind != typed:
			t.Errorf("%s has %d lines: name its one idea in floors(), or cut it", folder, n)
		case n > 2_500 && r.kind == typed:
			t.Errorf("%s has %d lines, want at most 2,500", folder, n)
		}
	}
	if inPlugin > plugin {
		t.Errorf("plugin has %d lines, want at most %d", inPlugin, plugin)
	}
}

func TestOnlyCommandsEndTheProcess(t *testing.T) {
	product(t, func(s source) {
		if within(s.folder, "cmd", "internal") {
			return
		}
		for _, name := range []string{"os.Exit(", "os.Args", "os.Stdout"} {
			if bytes.Contains(s.text, []byte(name)) {
				t.Errorf("%s uses %s: only cmd may", s.file, name)
			}
		}
	})
}

// TestFlagsAreNamedWhereTheyAreTyped: a flag of ours stands with its verb, in braces. Those
// of helm and kubectl stand in commands of theirs.
func TestFlagsAreNamedWhereTheyAreTyped(t *testing.T) {
	command, flag := regexp.MustCompile(`\{[^{}]*\}|\{[^{}]*$|^[^{}]*\}`), regexp.MustCompile("[ (\"`]--[a-z]")
	product(t, func(s source) {
		if r, _ := place(s.folder); r.kind == aside || !within(s.folder, "pkg") || within(s.folder, "pkg/explain", "pkg/lint") {
			return
		}
		ast.Inspect(s.tree, func(n ast.Node) bool {
			literal, ok := n.(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING || strings.Contains(literal.Value, "helm ") || strings.Contains(literal.Value, "kubectl ") {
				return true
			}
			if flag.MatchString(command.ReplaceAllString(literal.Value, "")) {
				if _, accepted := exceptions()[s.folder+" names flags"]; !accepted {
					t.Errorf("%s names a flag in %.80s: want {verb --flag}", s.file, literal.Value)
				}
			}
			return true
		})
	})
}

// TestProgramsAreNamedWhereTheyAreTyped: hints in pkg say {verify}, and whoever prints
// them knows what the program is called.
func TestProgramsAreNamedWhereTheyAreTyped(t *testing.T) {
	product(t, func(s source) {
		_, accepted := exceptions()[s.folder+" names the program"]
		if !within(s.folder, "pkg") || within(s.folder, "pkg/lab") || accepted {
			return
		}
		ast.Inspect(s.tree, func(n ast.Node) bool {
			literal, ok := n.(*ast.BasicLit)
			if ok && literal.Kind == token.STRING && strings.Contains(literal.Value, "kubectl confidb") {
				t.Errorf("%s names the program in %.60s: want {verb}", s.file, literal.Value)
			}
			return true
		})
	})
}

func TestPeersAreVerified(t *testing.T) {
	found := map[string]int{}
	product(t, func(s source) {
		if r, _ := place(s.folder); r.kind == aside {
			return
		}
		ast.Inspect(s.tree, func(n ast.Node) bool {
			if name, ok := n.(*ast.Ident); ok && name.Name == "InsecureSkipVerify" {
				found[s.file]++
			}
			return true
		})
	})
	for file, n := range found {
		if n != insecure()[file] {
			t.Errorf("%s leaves the verification of a TLS peer out %d times, want %d", file, n, insecure()[file])
		}
	}
	for file := range insecure() {
		if found[file] == 0 {
			t.Errorf("%s verifies every TLS peer: take it out of insecure()", file)
		}
	}
}
