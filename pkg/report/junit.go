package report

import (
	"encoding/xml"
	"fmt"
	"strings"

	"github.com/confidb/confidb/pkg/lint"
)

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

// JUnit is a suite for each session and a case for each rule. A rule fails when
// the command does for it; what weighs less is output of the case.
func JUnit(l lint.Result) ([]byte, error) {
	var all junitSuites
	for _, file := range l.Sessions {
		suite := suiteOf(l, file)
		all.Suites = append(all.Suites, suite)
		all.Tests += suite.Tests
		all.Failures += suite.Failures
	}
	text, err := xml.MarshalIndent(all, "", "  ")
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "%s%s\n", xml.Header, text), nil
}

func suiteOf(l lint.Result, file string) junitSuite {
	suite := junitSuite{Name: file, Properties: []junitProperty{{"simulated", fmt.Sprint(l.Simulated)}}}
	for _, r := range l.Rules {
		c := caseOf(l, file, r)
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

func caseOf(l lint.Result, file string, r lint.Rule) junitCase {
	c := junitCase{Name: r.Code + " " + r.Name, ClassName: file}
	var failures, output, accepted []string
	for _, p := range l.Problems {
		line := fmt.Sprintf("%s:%d:%d: got %s; %s", p.File, p.Line, p.Column, p.Got, p.Fix)
		switch {
		case p.File != file || p.Code != r.Code:
		case p.Suppressed:
			accepted = append(accepted, fmt.Sprintf("%s (until %s)", p.Reason, p.Until))
		case l.Fails(p):
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
