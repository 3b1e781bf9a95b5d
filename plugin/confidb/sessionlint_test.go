package confidb_test

import (
	"encoding/json"
	"encoding/xml"
	"os"
	"path/filepath"
	"regexp"
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
	c.SetArgs(arguments)
	return cli.Report(cli.Kubectl, c.Execute(), stderr), stdout.String(), stderr.String()
}

// rule is a file of a rule's folder.
func rule(code, name string) string {
	return filepath.Join("..", "..", "pkg", "lint", "testdata", code, name+".yaml")
}

func TestLintText(t *testing.T) {
	isolate(t, t.TempDir())
	file := rule("CDB1008", "bad")
	code, out, errOut := runLint("", file)
	if code != cli.Contraindicated || errOut != "" {
		t.Fatalf("exit %d\n%s%s", code, out, errOut)
	}
	want := []string{
		file + ":27:16: CDB1008 fatal: enclaves in", "\n  at   security.attestation.tolerate[0]\n", "\n  got  tolerate debug-mode\n", "\n  fix  Remove debug-mode from tolerate.\n",
		"\n  why  kubectl confidb explain CDB1008\n", "\n1 session: 1 fatal\n",
	}
	for _, w := range want {
		if !strings.Contains(out, w) {
			t.Errorf("%q is missing in\n%s", w, out)
		}
	}
}

// TestLintIsNarrow looks at every rule.
func TestLintIsNarrow(t *testing.T) {
	isolate(t, t.TempDir())
	files, err := filepath.Glob(rule("CDB*", "bad*"))
	if err != nil || len(files) < len(lintRules(t)) {
		t.Fatalf("got %d files and error %v", len(files), err)
	}
	_, all, errOut := runLint("", append(files, rule("CDB3011", "with-other"))...)
	_, rules, _ := runLint("", "--list")
	if errOut != "" {
		t.Fatal(errOut)
	}
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

func TestLintExitCodes(t *testing.T) {
	folder := t.TempDir()
	isolate(t, folder)
	bad, note, clean := rule("CDB3014", "bad"), rule("CDB3024", "bad"), rule("CDB0000", "good")
	for name, c := range map[string]struct {
		in        string
		arguments []string
		code      int
		want      string
	}{
		"clean":                   {"", []string{clean, "--fail-on", "note"}, 0, "1 session: no problems\n"},
		"an error":                {"", []string{bad}, 3, "1 session: 1 error\n"},
		"an error below the line": {"", []string{bad, "--fail-on", "fatal"}, 0, "1 session: 1 error\n"},
		"a note":                  {"", []string{note}, 0, "1 session: 1 note\n"},
		"a note that counts":      {"", []string{note, "--fail-on", "note"}, 3, "1 session: 1 note\n"},
		"two files":               {"", []string{clean, bad}, 3, "2 sessions: 1 error\n"},
		"a suppressed warning":    {"", []string{rule("CDB0004", "good-top"), "--fail-on", "note"}, 0, "1 session: no problems, 1 suppressed\n"},
		"no session":              {"a: b\n", []string{"-"}, 3, "standard input:1:1: CDB0000 fatal: the document cannot be read"},
		"one that can be read and one that cannot": {"a: b\n", []string{"-", bad}, 3, " fatal, 1 error\n"},
		"no file":          {"", []string{filepath.Join(folder, "none")}, 1, "error: reading the "},
		"nothing":          {"", nil, 2, "error: got nothing to look at"},
		"unknown format":   {"", []string{bad, "-o", "html"}, 2, "error: -o: got \"html\""},
		"unknown severity": {"", []string{bad, "--fail-on", "info"}, 2, "error: --fail-on: got \"info\""},
		"twice stdin":      {"", []string{"-", "-"}, 2, "error: got - more than once"},
		"list and file":    {"", []string{bad, "--list"}, 2, "error: got --list"},
		"list as sarif":    {"", []string{"--list", "-o", "sarif"}, 2, "error: -o: got sarif"},
		"cas and template": {"", []string{"--cas", "cas:8081", "db", "--use-env"}, 2, "error: got variables and --cas"},
		"cas not attested": {"", []string{"--cas", "cas:8081", "db"}, 1, "error: "},
	} {
		code, out, errOut := runLint(c.in, c.arguments...)
		if code != c.code || !strings.Contains(out+errOut, c.want) {
			t.Errorf("%s: got exit %d, want %d and %q in\n%s%s", name, code, c.code, c.want, out, errOut)
		}
	}
}

func TestLintTemplates(t *testing.T) {
	isolate(t, t.TempDir())
	text, err := os.ReadFile(rule("CDB2009", "bad"))
	if err != nil {
		t.Fatal(err)
	}
	list := regexp.MustCompile(`platforms: \[.*\]`)
	template := list.ReplaceAllString(string(text), "platforms: [$$PLATFORMS]")
	code, out, _ := runLint(template, "-")
	if code != 3 || !strings.Contains(out, "CDB0000") {
		t.Errorf("without variables: exit %d\n%s", code, out)
	}
	code, out, _ = runLint(template, "-", "-e", "PLATFORMS="+id1+","+id1, "--fail-on", "warning")
	if code != 3 || !strings.Contains(out, "CDB2009") {
		t.Errorf("with -e: exit %d\n%s", code, out)
	}
	t.Setenv("PLATFORMS", id1)
	if code, out, _ = runLint(template, "-", "--use-env", "--fail-on", "note"); code != 0 {
		t.Errorf("with --use-env: exit %d\n%s", code, out)
	}
	code, out, _ = runLint(strings.Replace(template, "PLATFORMS", "NOBODY_SET_THIS", 1), "-", "--use-env")
	if code != 3 || !strings.Contains(out, "CDB0000") || !strings.Contains(out, "$NOBODY_SET_THIS is missing") {
		t.Errorf("with a variable that is not there: exit %d\n%s", code, out)
	}
}

func TestLintJSON(t *testing.T) {
	isolate(t, t.TempDir())
	code, out, errOut := runLint("", rule("CDB1008", "bad"), rule("CDB0004", "good-top"), "-o", "json")
	var d struct {
		Kind      string
		Simulated *bool
		Failed    bool
		FailOn    string
		Sessions  []string
		Problems  []struct {
			Code, Name, Severity, Title, File, Path, Got, Fix, Reason, Until string
			Line, Column                                                     int
			Suppressed                                                       *bool
		}
	}
	if err := json.Unmarshal([]byte(out), &d); err != nil || code != 3 || errOut != "" {
		t.Fatalf("exit %d, %v\n%s%s", code, err, out, errOut)
	}
	if d.Kind != "confidb.lint/v1" || d.Simulated == nil || *d.Simulated || !d.Failed || d.FailOn != "error" || len(d.Sessions) != 2 || len(d.Problems) != 2 {
		t.Fatalf("got %+v", d)
	}
	// a file that cannot be read does not come before others
	if _, out, _ := runLint("", rule("CDB1008", "bad"), rule("CDB2004", "bad")); strings.Index(out, "CDB1008") > strings.Index(out, "CDB2004") {
		t.Errorf("got another order than that of the files:\n%s", out)
	}
	if p := d.Problems[0]; p.Code != "CDB1008" || p.Severity != "fatal" || p.Name != "debug-mode" || p.Line != 27 || p.Column != 16 || p.Suppressed == nil || *p.Suppressed {
		t.Errorf("got %+v", p)
	}
	if p := d.Problems[1]; p.Code != "CDB1005" || !*p.Suppressed || p.Reason != "the signer has one product" || p.Until != "2099-06-30" {
		t.Errorf("got %+v", p)
	}
	_, out, _ = runLint("", "--list", "-o", "json")
	var rules struct {
		Kind  string
		Rules []lint.Rule
	}
	if err := json.Unmarshal([]byte(out), &rules); err != nil || rules.Kind != "confidb.lint-rules/v1" || len(rules.Rules) != len(lintRules(t)) {
		t.Errorf("got %v\n%s", err, out)
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

// TestLintHostileDocument shows that what a document says cannot forge lines.
func TestLintHostileDocument(t *testing.T) {
	isolate(t, t.TempDir())
	text, err := os.ReadFile(rule("CDB6004", "bad"))
	if err != nil {
		t.Fatal(err)
	}
	hostile := strings.Replace(string(text), "path: /etc/app.json", `path: "/etc/app\x1b[2J\n1 session: no problems\n"`, 1)
	code, out, errOut := runLint(hostile, "-", "--fail-on", "warning")
	if code != 3 || strings.Contains(out, "\x1b") || strings.Contains(out, "\n1 session: no problems") {
		t.Errorf("exit %d\n%s%s", code, out, errOut)
	}
}

func TestLintStoredSessions(t *testing.T) {
	u := newUser(t).attested(t)
	file := u.write(t, "db.yml", template)
	if code, _, errOut := u.create(file, "-e", "DBSESSION=db", "-e", "GREETING=hi", "-e", "PLATFORMS="+id1); code != 0 {
		t.Fatalf("creating: exit %d\n%s", code, errOut)
	}
	code, out, errOut := runLint("", "--cas", u.address, "db", "--fail-on", "warning")
	if code != 3 || errOut != "" || !strings.HasPrefix(out, "SIMULATED: ") || !strings.Contains(out, "db:2:7: CDB5001 warning: ") {
		t.Errorf("exit %d\n%s%s", code, out, errOut)
	}
	for _, code := range []string{"CDB0000", "CDB5002", "CDB5003"} {
		if strings.Contains(out, code) {
			t.Errorf("got %s, which is about files:\n%s", code, out)
		}
	}
	if code, _, errOut := runLint("", "--cas", u.address, "none"); code != 1 || !strings.Contains(errOut, `reading session "none"`) {
		t.Errorf("no such session: exit %d\n%s", code, errOut)
	}
	var d struct{ Simulated bool }
	_, out, _ = runLint("", "--cas", u.address, "db", "-o", "json")
	if err := json.Unmarshal([]byte(out), &d); err != nil || !d.Simulated {
		t.Errorf("got %v and simulated %v", err, d.Simulated)
	}
}
