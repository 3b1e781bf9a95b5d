package confidb

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"testing"

	"os"
)

const module = "github.com/confidb/confidb"

// layers are the folders from the lowest to the highest. A package may import
// packages of lower layers only, so packages of one layer never import each other.
func layers() [][]string {
	return [][]string{
		{"pkg/check", "pkg/document", "pkg/files"},
		{"pkg/sgx"},
		{"internal/sgxmint", "internal/realquotes", "pkg/attest", "pkg/collateral"},
		{"pkg/session", "pkg/policy", "pkg/platform"},
		{"pkg/diff", "pkg/lint", "pkg/topology"},
		{"pkg/evidence", "pkg/change"},
		{"pkg/inventory", "pkg/verify", "pkg/report", "pkg/fleet"},
		{"pkg/pcs", "pkg/cas", "pkg/release", "pkg/charts", "pkg/mysql", "pkg/record", "pkg/kube", "pkg/machines"},
		{"pkg/mariadb"},
		{"pkg/deploy", "pkg/watch", "pkg/probe", "pkg/rollout", "pkg/contact", "internal/castest"},
		{"pkg/observe"},
		{"plugin"},
		{"cmd"},
	}
}

// owners are the packages that alone may import what begins with the key.
func owners() map[string][]string {
	return map[string][]string{
		"os/exec":                           {"pkg/contact", "pkg/lab", "test"},
		"helm.sh/helm":                      {"pkg/release"},
		"go.yaml.in/yaml":                   {"pkg/document", "pkg/explain", "pkg/lint"},
		"github.com/spf13/cobra":            {"plugin", "pkg/lab"},
		"github.com/spf13/pflag":            {"plugin", "pkg/lab"},
		"k8s.io/client-go":                  {"pkg/machines", "pkg/release", "pkg/kube", "plugin"},
		"k8s.io/kubectl":                    {"plugin"},
		module + "/pkg/mariadb/mariadbtest": {},
		module + "/pkg/lab":                 {"pkg/lab", "cmd/confidb-lab"},
		module + "/internal":                {"pkg/lab", "internal"},
		module + "/internal/realquotes":     {},
		"github.com/google/go-cmp":          {},
		"github.com/rogpeppe/go-internal":   {},

		module + "/plugin/internal/scripttest": {}, // for tests only
	}
}

func TestImports(t *testing.T) {
	seen := 0
	eachSource(t, func(file, folder string, imports []string, test bool) {
		seen++
		for _, imported := range imports {
			if problem := refuseImport(folder, imported, test); problem != "" {
				t.Errorf("%s imports %s: %s", file, imported, problem)
			}
		}
	})
	if seen < 20 {
		t.Errorf("read %d files: the walk missed the module", seen)
	}
}

func TestRefusedImports(t *testing.T) {
	for _, c := range []struct {
		folder, imported string
		refused          bool
	}{
		{"pkg/check", module + "/pkg/sgx", true},
		{"pkg/sgx", module + "/pkg/check", false},
		{"pkg/sgx", "github.com/spf13/cobra", true},
		{"pkg/cas", module + "/pkg/kube", true},
		{"pkg/mysql", module + "/pkg/mariadb", true},
		{"pkg/deploy", module + "/pkg/probe", true},
		{"pkg/verify", "helm.sh/helm/v3/pkg/action", true},
		{"plugin/confidb", module + "/pkg/lab/cas", true},
		{"pkg/session", "go.yaml.in/yaml/v3", true},
		{"pkg/document", "go.yaml.in/yaml/v3", false},
		{"pkg/lab/cas", module + "/internal/sgxmint", false},
		{"pkg/lab/cas", module + "/pkg/verify", true},
		{"pkg/lab/cas", module + "/internal/realquotes", true},
	} {
		if got := refuseImport(c.folder, c.imported, false) != ""; got != c.refused {
			t.Errorf("%s importing %s: refused %v, want %v", c.folder, c.imported, got, c.refused)
		}
	}
}

// refuseImport says why code in folder must not import a package, or nothing.
func refuseImport(folder, imported string, test bool) string {
	if test || within(folder, "pkg/mariadb/mariadbtest", "plugin/internal/scripttest") {
		return "" // tests may use any library and the lab
	}
	for prefix, allowed := range owners() {
		if within(imported, prefix) && !within(folder, allowed...) {
			return "that belongs to " + strings.Join(append(allowed, "tests"), ", ")
		}
	}
	if (folder == "pkg/check" || folder == "pkg/sgx") && strings.Contains(strings.Split(imported, "/")[0], ".") && !within(imported, module) {
		return "standard library only"
	}
	own, ok := strings.CutPrefix(imported, module+"/")
	if !ok {
		return ""
	}
	from, to := layer(folder), layer(own)
	switch {
	case within(folder, "pkg/lab") && to > layer("pkg/session") && !within(own, "pkg/lab"):
		return "the lab knows sessions and what is below them only"
	case from >= 0 && to >= from && !within(own, folder) && !within(folder, "plugin"):
		return "imports go down only"
	}
	return ""
}

// layer returns the number of the layer that folder belongs to, or -1.
func layer(folder string) int {
	for i, folders := range layers() {
		if within(folder, folders...) {
			return i
		}
	}
	return -1
}

func within(name string, prefixes ...string) bool {
	for _, p := range prefixes {
		if name == p || strings.HasPrefix(name, p+"/") {
			return true
		}
	}
	return false
}

func TestOnlyCommandsEndTheProcess(t *testing.T) {
	eachSource(t, func(file, folder string, _ []string, test bool) {
		if test || within(folder, "cmd") {
			return
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"os.Exit(", "os.Args", "os.Stdout"} {
			if strings.Contains(string(text), name) {
				t.Errorf("%s uses %s: only cmd may", file, name)
			}
		}
	})
}

// eachSource calls visit with every Go file of this module and its imports.
func eachSource(t *testing.T, visit func(file, folder string, imports []string, test bool)) {
	t.Helper()
	err := fs.WalkDir(os.DirFS("."), ".", func(file string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && file != "." && (strings.HasPrefix(entry.Name(), ".") || file == "test/cluster" || entry.Name() == "testdata" || file == "bin"):
			return fs.SkipDir
		case entry.IsDir() || path.Ext(file) != ".go":
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		var imports []string
		for _, spec := range parsed.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			imports = append(imports, name)
		}
		folder := path.Dir(file)
		visit(file, folder, imports, strings.HasSuffix(file, "_test.go") || within(folder, "test"))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
