package cli_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/plugin/internal/cli"
)

const helpPage = "# kubectl confidb\n\nProve things\n\n## attest cas [ADDRESS]\n\nAttest a `CAS`\n\nAsks `DIR/<x>.json`:\n```text\n  a  `b`\n\n  # c\n```\nThen:\n\n```text\n{{words}}\n```\n\n" +
	"```sh\n# one\nkubectl \\\n  --all\n\nkubectl\n```\n\n## sql\nRun\n"

func fill() map[string]string { return map[string]string{"words": "W:\n  w\n"} }

func TestHelp(t *testing.T) {
	help, err := cli.ReadHelp(helpPage, fill())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for path := range help {
		c := help.Command(path)
		got[path] = []string{c.Use, c.Short, c.Long, c.Example}
	}
	want := map[string][]string{
		"":           {"kubectl-confidb", "Prove things", "", ""},
		"attest cas": {"cas [ADDRESS]", "Attest a CAS", "Asks DIR/<x>.json:\n  a  `b`\n\n  # c\nThen:\n\nW:\n  w", "  # one\n  kubectl \\\n    --all\n\n  kubectl"},
		"sql":        {"sql", "Run", "", ""},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestHelpOfAnotherCommand(t *testing.T) {
	for path, use := range map[string]string{"attest quote": "quote", "env": "env", "": ""} {
		if c := (cli.Help)(nil).Command(path); c.Use != use || c.Short != "" {
			t.Errorf("%q: got %q and %q, want %q and nothing", path, c.Use, c.Short, use)
		}
	}
}

func TestBrokenHelp(t *testing.T) {
	for name, c := range map[string]struct {
		page string
		line int // 0 for the end
	}{
		"nothing":                    {"", 0},
		"no program first":           {"\n## attest\n\nAttest\n", 2},
		"text first":                 {"Prove\n", 1},
		"a fence first":              {"```text\n", 1},
		"a program with arguments":   {"# kubectl [X]\n\nProve\n", 1},
		"two programs":               {"# a\n\nProve\n\n# b\n", 5},
		"a deeper heading":           {"# a\n\nProve\n\n### b\n", 5},
		"a heading of arguments":     {"# a\n\nProve\n\n## [X]\n", 5},
		"a heading of nothing":       {"# a\n\nProve\n\n## \n", 5},
		"a section twice":            {"# a\n\nProve\n\n## b X\n\nSay\n\n## b Y\n", 9},
		"a heading and no text":      {"# a\n\n## b\n", 3},
		"a last heading and no text": {"# a\n\nProve\n\n## b\n", 0},
		"two first lines":            {"# a\n\nProve\nit\n", 4},
		"a fence before any text":    {"# a\n\n```sh\n", 3},
		"a fence at the first line":  {"# a\n\nProve\n```sh\n", 4},
		"a fence of another kind":    {"# a\n\nProve\n\n```go\n", 5},
		"a fence of no kind":         {"# a\n\nProve\n\n```\n", 5},
		"a fence in a fence":         {"# a\n\nProve\n\n```text\n```sh\n", 6},
		"an open fence":              {"# a\n\nProve\n\n```text\n## b\n", 0},
		"open examples":              {"# a\n\nProve\n\n```sh\nb\n", 0},
		"text after the examples":    {"# a\n\nProve\n\n```sh\nb\n```\nmore\n", 8},
		"a fence after the examples": {"# a\n\nProve\n\n```sh\nb\n```\n```text\n", 8},
		"an unknown text":            {"# a\n\nProve\n\n{{letters}}\n", 5},
		"half a name":                {"# a\n\nProve\n\n{{words\n", 5},
	} {
		place := "the help's end:"
		if c.line > 0 {
			place = fmt.Sprintf("the help's line %d:", c.line)
		}
		if _, err := cli.ReadHelp(c.page, fill()); err == nil || !strings.HasPrefix(err.Error(), place) {
			t.Errorf("%s: got %v, want an error of %s", name, err, place)
		}
	}
}

// FuzzHelp: what is read has the program and a line for every command, and no line of an
// accepted page is lost between the first heading and the end.
func FuzzHelp(f *testing.F) {
	f.Add(helpPage)
	f.Add("# a\n\nProve\n\n```sh\nb\n```\n")
	f.Fuzz(func(t *testing.T, page string) {
		help, err := cli.ReadHelp(page, fill())
		if err != nil {
			return
		}
		said := ""
		for path := range help {
			c := help.Command(path)
			if c.Use == "" || c.Short == "" {
				t.Errorf("%q: got %q and %q, want both", path, c.Use, c.Short)
			}
			said += c.Use + c.Short + c.Long + c.Example
		}
		if _, ok := help[""]; !ok {
			t.Error("the program has no section")
		}
		for line := range strings.Lines(page) {
			words := strings.Trim(strings.ReplaceAll(line, "`", ""), "# \n")
			last := words[strings.LastIndex(words, " ")+1:]
			if !strings.Contains(line, "```") && !strings.HasPrefix(line, "{{") && !strings.Contains(strings.ReplaceAll(said, "`", ""), last) {
				t.Errorf("%q is lost", line)
			}
		}
	})
}
