// Package printers writes results: a table for people, one JSON or YAML document
// for programs. A simulated result says so in each of them.
package printers

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/confidb/confidb/pkg/check"
)

// Result is what a verification ends with.
type Result struct {
	// Kind names the document: confidb.<what>/v1.
	Kind string `json:"kind"`
	// Subject is what was looked at.
	Subject   string        `json:"subject"`
	Verdict   check.Verdict `json:"verdict"`
	Simulated bool          `json:"simulated"`
	Findings  check.Report  `json:"findings"`
	// Origins says where inputs came from.
	Origins map[string]string `json:"origins,omitempty"`
	// Limitations are what is not claimed.
	Limitations any `json:"limitations,omitempty"`
}

// Formats lists the output formats; the empty one is the table.
func Formats() []string { return []string{"json", "yaml"} }

// Print writes a result in a format.
func Print(out io.Writer, format string, r Result) error {
	switch format {
	case "json":
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(r)
	case "yaml":
		text, err := yaml.Marshal(r)
		if err != nil {
			return err
		}
		_, err = out.Write(text)
		return err
	}
	return table(out, r)
}

// width is how many columns the table takes.
const width = 80

func table(out io.Writer, r Result) error {
	var b strings.Builder
	if r.Simulated {
		b.WriteString("SIMULATED: nothing here rests on Intel's root; no hardware protects anything.\n\n")
	}
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "%s %-26s %s\n", strings.ToUpper(f.Outcome.String()), f.ID, f.Title)
		if f.Outcome != check.Pass {
			detail(&b, "got", f.Got)
			detail(&b, "want", f.Want)
			detail(&b, "because", f.Reason)
			detail(&b, "next", f.Hint)
		}
	}
	fmt.Fprintf(&b, "\n%s: %s\n", r.Subject, Words(r.Verdict, r.Simulated))
	_, err := io.WriteString(out, b.String())
	return err
}

// Words says a verdict; the word affirming never stands alone for a simulated one.
func Words(v check.Verdict, simulated bool) string {
	if simulated {
		return string(v) + " (simulated)"
	}
	return string(v)
}

func detail(b *strings.Builder, label, text string) {
	if text == "" {
		return
	}
	const indent = 14
	fmt.Fprintf(b, "     %8s ", label)
	column := indent
	for i, word := range strings.Fields(text) {
		if i > 0 && column+1+len(word) > width {
			fmt.Fprintf(b, "\n%*s", indent, "")
			column = indent
		} else if i > 0 {
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += len(word)
	}
	b.WriteByte('\n')
}
