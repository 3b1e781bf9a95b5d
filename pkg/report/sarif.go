// Package report writes results in the formats of other tools: SARIF for code scanning
// and JUnit for CI systems. It decides nothing.
package report

import (
	"fmt"
	"net/url"
	"path/filepath"
	"slices"

	"github.com/confidb/confidb/pkg/lint"
)

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

// SARIF is the result as a log of SARIF 2.1.0. version is that of this program.
func SARIF(l lint.Result, version string) any {
	run := sarifRun{
		Tool:       sarifTool{sarifDriver{Name: "confidb", Version: version}},
		ColumnKind: "unicodeCodePoints", Artifacts: []sarifArtifact{}, Results: []sarifResult{},
		Invocations: []sarifInvocation{{true}}, Properties: map[string]any{"simulated": l.Simulated},
	}
	index := map[string]int{}
	for i, r := range l.Rules {
		index[r.Code] = i
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, newSARIFRule(r))
	}
	for _, f := range l.Sessions {
		if a := (sarifArtifact{sarifArtifactLocation{fileURI(f)}}); !slices.Contains(run.Artifacts, a) {
			run.Artifacts = append(run.Artifacts, a)
		}
	}
	for _, p := range l.Problems {
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
