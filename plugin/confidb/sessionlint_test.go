package confidb_test

import (
	"encoding/json"
	"encoding/xml"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/pkg/lint"
	"github.com/confidb/confidb/plugin/confidb"
	"github.com/confidb/confidb/plugin/internal/cli"
)

// runLint runs the command with standard input.
func runLint(in string, arguments ...string) (code int, out, errOut string) {
	streams, stdin, stdout, stderr := genericiooptions.NewTestIOStreams()
	stdin.WriteString(in)
	c := confidb.SessionLintCommand(streams)
	c.SilenceErrors, c.SilenceUsage = true, true
	c.SetOut(stdout)
	c.SetErr(stderr)
	c.SetArgs(append([]string{}, arguments...)) // cobra takes those of the test for nil
	return cli.Report(cli.Kubectl, c.Execute(), stderr), stdout.String(), stderr.String()
}

// rule is a file of a rule's folder.
func rule(code, name string) string {
	return filepath.Join("..", "..", "pkg", "lint", "testdata", code, name+".yaml")
}

// TestLintIsNarrow looks at every rule.
func TestLintIsNarrow(t *testing.T) {
	isolate(t, t.TempDir())
	files, err := filepath.Glob(rule("CDB*", "bad*"))
	if err != nil || len(files) < len(lintRules(t)) {
		t.Fatalf("got %d files and error %v", len(files), err)
	}
	all := ""
	for _, file := range files { // by themselves: together they are other sets
		with := []string{file}
		if others, _ := filepath.Glob(filepath.Join(filepath.Dir(file), "with-*.yaml")); len(others) > 0 {
			with = append(with, others...)
		}
		_, out, errOut := runLint("", with...)
		if errOut != "" {
			t.Fatal(errOut)
		}
		all += out
	}
	_, rules, _ := runLint("", "--list")
	for line := range strings.Lines(all + rules) {
		line = strings.TrimSuffix(line, "\n")
		word := strings.TrimSpace(line)
		if utf8.RuneCountInString(line) > 80 && strings.Contains(word, " ") && !strings.HasPrefix(word, "got ") && !strings.HasPrefix(word, "at ") {
			t.Errorf("got %d columns, want 80: %s", utf8.RuneCountInString(line), line)
		}
	}
	for _, r := range lintRules(t) {
		if !strings.Contains(all, ": "+r.Code+" ") || !strings.Contains(rules, r.Code+" "+string(r.Severity)) {
			t.Errorf("%s is missing", r.Code)
		}
	}
}

// TestLintSARIF looks at what the specification (SARIF 2.1.0, OASIS) demands of the
// properties that we write; the section is beside each.
func TestLintSARIF(t *testing.T) {
	isolate(t, t.TempDir())
	code, out, errOut := runLint("", rule("CDB1008", "bad"), rule("CDB0004", "good-top"), rule("CDB2004", "bad"), rule("CDB0000", "good"), "-o", "sarif")
	var log map[string]any
	if err := json.Unmarshal([]byte(out), &log); err != nil || code != 3 || errOut != "" {
		t.Fatalf("exit %d, %v\n%s%s", code, err, out, errOut)
	}
	if log["version"] != "2.1.0" || !strings.HasSuffix(log["$schema"].(string), "sarif-schema-2.1.0.json") { // 3.13.2
		t.Errorf("got version %v and schema %v", log["version"], log["$schema"])
	}
	run := log["runs"].([]any)[0].(map[string]any)
	driver := run["tool"].(map[string]any)["driver"].(map[string]any) // 3.14.6, 3.18.2
	if driver["name"] != "confidb" || run["columnKind"] != "unicodeCodePoints" || len(run["artifacts"].([]any)) != 4 {
		t.Errorf("got the driver %v, columns %v and %v", driver["name"], run["columnKind"], run["artifacts"])
	}
	if invocation := run["invocations"].([]any)[0].(map[string]any); invocation["executionSuccessful"] != true { // 3.20.14
		t.Errorf("got the invocation %v", invocation)
	}
	rules := driver["rules"].([]any)
	for i, r := range lintRules(t) {
		sarifRule(t, rules[i].(map[string]any), r)
	}
	results := run["results"].([]any)
	if len(results) != 3 {
		t.Fatalf("got %d results, want 3", len(results))
	}
	suppressed := 0
	for _, r := range results {
		suppressed += sarifResult(t, r.(map[string]any), rules)
	}
	if suppressed != 1 {
		t.Errorf("got %d suppressions, want 1", suppressed)
	}
}

func lintRules(t *testing.T) []lint.Rule {
	t.Helper()
	rules, err := lint.Rules()
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

func sarifRule(t *testing.T, got map[string]any, want lint.Rule) {
	t.Helper()
	text := func(key string) any { return got[key].(map[string]any)["text"] } // 3.12.3: text is there
	texts := []any{got["id"], got["name"], text("shortDescription"), text("fullDescription"), text("help")}
	if diff := cmp.Diff([]any{want.Code, want.Name, want.Title, want.Meaning, want.Attack + "\n" + want.Fix}, texts); diff != "" { // 3.49.3
		t.Errorf("%s (-want +got):\n%s", want.Code, diff)
	}
	sarifLevel(t, got["defaultConfiguration"].(map[string]any)["level"])
}

func sarifLevel(t *testing.T, level any) {
	t.Helper()
	if level != "error" && level != "warning" && level != "note" { // 3.27.10
		t.Errorf("got the level %v", level)
	}
}

// sarifResult checks one result and counts its suppressions.
func sarifResult(t *testing.T, r map[string]any, rules []any) int {
	t.Helper()
	sarifLevel(t, r["level"])
	index := int(r["ruleIndex"].(float64))
	if rules[index].(map[string]any)["id"] != r["ruleId"] { // 3.27.6
		t.Errorf("rule %v is not number %d", r["ruleId"], index)
	}
	if r["message"].(map[string]any)["text"].(string) == "" { // 3.11.8
		t.Errorf("%v has no message", r["ruleId"])
	}
	place := r["locations"].([]any)[0].(map[string]any)["physicalLocation"].(map[string]any)
	region := place["region"].(map[string]any)
	if region["startLine"].(float64) < 1 || region["startColumn"].(float64) < 1 || place["artifactLocation"].(map[string]any)["uri"].(string) == "" { // 3.30.5, 3.29.3
		t.Errorf("%v is at %v", r["ruleId"], place)
	}
	all, ok := r["suppressions"].([]any)
	if !ok { // 3.27.23: for all results, or for none
		t.Errorf("%v has no list of suppressions", r["ruleId"])
	}
	for _, s := range all {
		if s := s.(map[string]any); s["kind"] != "inSource" || s["status"] != "accepted" || !strings.Contains(s["justification"].(string), "the signer has one product") { // 3.35
			t.Errorf("got the suppression %v", s)
		}
	}
	return len(all)
}

func TestLintJUnit(t *testing.T) {
	isolate(t, t.TempDir())
	bad, accepted, note := rule("CDB1008", "bad"), rule("CDB0004", "good-top"), rule("CDB3024", "bad")
	code, out, errOut := runLint("", bad, accepted, note, "-o", "junit")
	var d struct {
		XMLName  xml.Name `xml:"testsuites"`
		Tests    int      `xml:"tests,attr"`
		Failures int      `xml:"failures,attr"`
		Suites   []struct {
			Name     string `xml:"name,attr"`
			Tests    int    `xml:"tests,attr"`
			Failures int    `xml:"failures,attr"`
			Skipped  int    `xml:"skipped,attr"`
			Cases    []struct {
				Name    string    `xml:"name,attr"`
				Failure *struct{} `xml:"failure"`
				Skipped *struct{} `xml:"skipped"`
				Output  string    `xml:"system-out"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal([]byte(out), &d); err != nil || code != 3 || errOut != "" {
		t.Fatalf("exit %d, %v\n%s%s", code, err, out, errOut)
	}
	n := len(lintRules(t))
	if d.Tests != 3*n || d.Failures != 1 || len(d.Suites) != 3 {
		t.Fatalf("got %d tests, %d failures, %d suites", d.Tests, d.Failures, len(d.Suites))
	}
	for i, want := range []struct {
		file, code              string
		failures, skipped, said int
	}{{bad, "CDB1008", 1, 0, 0}, {accepted, "CDB1005", 0, 1, 0}, {note, "CDB3024", 0, 0, 1}} {
		suite := d.Suites[i]
		if suite.Name != want.file || suite.Tests != n || suite.Failures != want.failures || suite.Skipped != want.skipped || len(suite.Cases) != n {
			t.Errorf("got %+v, want %+v", suite, want)
		}
		for _, c := range suite.Cases {
			about := strings.HasPrefix(c.Name, want.code+" ")
			if got := c.Failure != nil || c.Skipped != nil || c.Output != ""; got != about {
				t.Errorf("%s of %s: said something %v, want %v", c.Name, want.file, got, about)
			}
		}
	}
}
