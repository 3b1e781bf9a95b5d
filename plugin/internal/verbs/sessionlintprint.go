package verbs

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/lint"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/printers"
)

func (l linted) print(out io.Writer, format string) error {
	switch format {
	case "json":
		return writeJSON(out, l.document())
	case "sarif":
		return writeJSON(out, l.sarif())
	case "junit":
		return l.junit(out)
	}
	_, err := io.WriteString(out, l.text())
	return err
}

func writeJSON(out io.Writer, document any) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(document)
}

func (l linted) text() string {
	var b strings.Builder
	if l.simulated {
		b.WriteString("SIMULATED: nothing here rests on Intel's root; no hardware protects anything.\n\n")
	}
	for _, p := range l.problems {
		if p.Suppressed {
			continue
		}
		r := p.Rule()
		printers.Wrap(&b, "", fmt.Sprintf("%s:%d:%d: %s %s: %s", p.File, p.Line, p.Column, p.Code, r.Severity, r.Title))
		if p.Path != "" {
			printers.Wrap(&b, "  at   ", p.Path)
		}
		printers.Wrap(&b, "  got  ", p.Got)
		printers.Wrap(&b, "  fix  ", p.Fix)
		printers.Wrap(&b, "  why  ", "kubectl confidb explain "+p.Code)
		b.WriteByte('\n')
	}
	printers.Wrap(&b, "", l.summary())
	return b.String()
}

// lintDocument is the result for programs.
type lintDocument struct {
	Kind      string        `json:"kind"`
	Simulated bool          `json:"simulated"`
	FailOn    lint.Severity `json:"failOn"`
	Failed    bool          `json:"failed"`
	Sessions  []string      `json:"sessions"`
	Summary   string        `json:"summary"`
	Problems  []lintProblem `json:"problems"`
}

type lintProblem struct {
	lint.Problem
	Name     string        `json:"name"`
	Severity lint.Severity `json:"severity"`
	Title    string        `json:"title"`
}

func (l linted) document() lintDocument {
	d := lintDocument{
		Kind: "confidb.lint/v1", Simulated: l.simulated, FailOn: l.failOn, Failed: l.failed(),
		Sessions: l.files, Summary: l.summary(), Problems: []lintProblem{},
	}
	for _, p := range l.problems {
		r := p.Rule()
		d.Problems = append(d.Problems, lintProblem{p, r.Name, r.Severity, r.Title})
	}
	return d
}

func printLintRules(out io.Writer, format string, rules []lint.Rule) error {
	if format == "json" {
		return writeJSON(out, struct {
			Kind  string      `json:"kind"`
			Rules []lint.Rule `json:"rules"`
		}{"confidb.lint-rules/v1", rules})
	}
	var b strings.Builder
	for _, r := range rules {
		printers.Wrap(&b, fmt.Sprintf("%s %-7s  ", r.Code, r.Severity), r.Title)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// The types below are the part of SARIF 2.1.0 that is written (OASIS, section 3).
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool        sarifTool         `json:"tool"`
		ColumnKind  string            `json:"columnKind"`
		Artifacts   []sarifArtifact   `json:"artifacts"`
		Results     []sarifResult     `json:"results"`
		Invocations []sarifInvocation `json:"invocations"`
		Properties  map[string]any    `json:"properties"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID                   string             `json:"id"`
		Name                 string             `json:"name"`
		ShortDescription     sarifText          `json:"shortDescription"`
		FullDescription      sarifText          `json:"fullDescription"`
		Help                 sarifText          `json:"help"`
		DefaultConfiguration sarifConfiguration `json:"defaultConfiguration"`
		Properties           map[string]any     `json:"properties"`
	}
	sarifConfiguration struct {
		Level string `json:"level"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifArtifact struct {
		Location sarifArtifactLocation `json:"location"`
	}
	sarifArtifactLocation struct {
		URI string `json:"uri"`
	}
	sarifInvocation struct {
		ExecutionSuccessful bool `json:"executionSuccessful"`
	}
	sarifResult struct {
		RuleID       string             `json:"ruleId"`
		RuleIndex    int                `json:"ruleIndex"`
		Level        string             `json:"level"`
		Message      sarifText          `json:"message"`
		Locations    []sarifLocation    `json:"locations"`
		Suppressions []sarifSuppression `json:"suppressions"`
	}
	sarifLocation struct {
		PhysicalLocation sarifPhysical  `json:"physicalLocation"`
		LogicalLocations []sarifLogical `json:"logicalLocations,omitempty"`
	}
	sarifPhysical struct {
		ArtifactLocation sarifArtifactLocation `json:"artifactLocation"`
		Region           sarifRegion           `json:"region"`
	}
	sarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn"`
	}
	sarifLogical struct {
		FullyQualifiedName string `json:"fullyQualifiedName"`
	}
	sarifSuppression struct {
		Kind          string `json:"kind"`
		Status        string `json:"status"`
		Justification string `json:"justification"`
	}
)

func (l linted) sarif() sarifLog {
	run := sarifRun{
		Tool:       sarifTool{sarifDriver{Name: "confidb", Version: cli.Version()}},
		ColumnKind: "unicodeCodePoints", Artifacts: []sarifArtifact{}, Results: []sarifResult{},
		Invocations: []sarifInvocation{{true}}, Properties: map[string]any{"simulated": l.simulated},
	}
	index := map[string]int{}
	for i, r := range l.rules {
		index[r.Code] = i
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, newSARIFRule(r))
	}
	for _, f := range l.files {
		if a := (sarifArtifact{sarifArtifactLocation{fileURI(f)}}); !slices.Contains(run.Artifacts, a) {
			run.Artifacts = append(run.Artifacts, a)
		}
	}
	for _, p := range l.problems {
		run.Results = append(run.Results, newSARIFResult(p, index[p.Code]))
	}
	return sarifLog{"https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json", "2.1.0", []sarifRun{run}}
}

func newSARIFRule(r lint.Rule) sarifRule {
	return sarifRule{
		ID: r.Code, Name: r.Name, ShortDescription: sarifText{r.Title}, FullDescription: sarifText{r.Meaning},
		Help:                 sarifText{r.Attack + "\n" + r.Fix},
		DefaultConfiguration: sarifConfiguration{sarifLevel(r.Severity)},
		Properties:           map[string]any{"severity": r.Severity},
	}
}

// newSARIFResult always has suppressions: SARIF wants them for all results or none.
func newSARIFResult(p lint.Problem, index int) sarifResult {
	r := sarifResult{
		RuleID: p.Code, RuleIndex: index, Level: sarifLevel(p.Rule().Severity),
		Message: sarifText{fmt.Sprintf("%s: got %s. %s", p.Rule().Title, p.Got, p.Fix)},
		Locations: []sarifLocation{{PhysicalLocation: sarifPhysical{
			sarifArtifactLocation{fileURI(p.File)}, sarifRegion{max(p.Line, 1), max(p.Column, 1)},
		}}},
		Suppressions: []sarifSuppression{},
	}
	if p.Path != "" {
		r.Locations[0].LogicalLocations = []sarifLogical{{p.Path}}
	}
	if p.Suppressed {
		r.Suppressions = append(r.Suppressions, sarifSuppression{"inSource", "accepted", fmt.Sprintf("%s (until %s)", p.Reason, p.Until)})
	}
	return r
}

// sarifLevel is the level of a severity: SARIF has nothing above error.
func sarifLevel(s lint.Severity) string {
	if s == lint.Fatal {
		return "error"
	}
	return string(s)
}

// fileURI is a URI reference of a file, relative as it was given.
func fileURI(file string) string {
	u := url.URL{Path: filepath.ToSlash(file)}
	if filepath.IsAbs(file) {
		u.Scheme = "file"
	}
	return u.String()
}

// The types below are the part of JUnit's format that CI systems read.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name       string          `xml:"name,attr"`
		Tests      int             `xml:"tests,attr"`
		Failures   int             `xml:"failures,attr"`
		Errors     int             `xml:"errors,attr"`
		Skipped    int             `xml:"skipped,attr"`
		Properties []junitProperty `xml:"properties>property"`
		Cases      []junitCase     `xml:"testcase"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		Name      string        `xml:"name,attr"`
		ClassName string        `xml:"classname,attr"`
		Skipped   *junitMessage `xml:"skipped"`
		Failure   *junitMessage `xml:"failure"`
		Output    string        `xml:"system-out,omitempty"`
	}
	junitMessage struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// junit writes a suite for each session and a case for each rule. A rule fails when
// the command does for it; what weighs less is output of the case.
func (l linted) junit(out io.Writer) error {
	var all junitSuites
	for _, file := range l.files {
		suite := l.suite(file)
		all.Suites = append(all.Suites, suite)
		all.Tests += suite.Tests
		all.Failures += suite.Failures
	}
	text, err := xml.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s%s\n", xml.Header, text)
	return err
}

func (l linted) suite(file string) junitSuite {
	suite := junitSuite{Name: file, Properties: []junitProperty{{"simulated", fmt.Sprint(l.simulated)}}}
	for _, r := range l.rules {
		c := l.testCase(file, r)
		suite.Tests++
		switch {
		case c.Failure != nil:
			suite.Failures++
		case c.Skipped != nil:
			suite.Skipped++
		}
		suite.Cases = append(suite.Cases, c)
	}
	return suite
}

func (l linted) testCase(file string, r lint.Rule) junitCase {
	c := junitCase{Name: r.Code + " " + r.Name, ClassName: file}
	var failures, output, accepted []string
	for _, p := range l.problems {
		line := fmt.Sprintf("%s:%d:%d: got %s; %s", p.File, p.Line, p.Column, p.Got, p.Fix)
		switch {
		case p.File != file || p.Code != r.Code:
		case p.Suppressed:
			accepted = append(accepted, fmt.Sprintf("%s (until %s)", p.Reason, p.Until))
		case l.fails(p):
			failures = append(failures, line)
		default:
			output = append(output, fmt.Sprintf("%s: %s", r.Severity, line))
		}
	}
	c.Output = strings.Join(output, "\n")
	switch {
	case len(failures) > 0:
		c.Failure = &junitMessage{string(r.Severity) + ": " + r.Title, strings.Join(failures, "\n")}
	case len(accepted) > 0:
		c.Skipped = &junitMessage{Message: "suppressed: " + strings.Join(accepted, "; ")}
	}
	return c
}
