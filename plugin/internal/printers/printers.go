// Package printers writes results: a page for people, one JSON or YAML document
// for programs. A simulated result says so in each of them. All text of the plugins is
// here.
package printers

import (
	"bytes"
	"encoding/json"
	"io"

	"sigs.k8s.io/yaml"

	"github.com/confidb/confidb/pkg/check"
)

// Head begins every document.
type Head struct {
	// Kind names the document: confidb.<what>/v1.
	Kind string `json:"kind"`
	// Simulated is true unless everything rests on Intel's root, or nothing rests on any.
	Simulated bool `json:"simulated"`
}

func (h Head) head() Head { return h }

// Document is a result for people and for programs. Its type embeds Head.
type Document interface {
	head() Head
	// Text writes it for people. The banner of a simulated one is on the page already.
	Text(p *Page)
}

// Print writes a document in a format.
func Print(out io.Writer, format string, d Document) error {
	if format != "" {
		return Encode(out, format, d)
	}
	var p Page
	if d.head().Simulated {
		p.Line(banner)
		p.Gap()
	}
	d.Text(&p)
	_, err := io.WriteString(out, p.String())
	return err
}

// Encode writes a value in JSON or YAML. What would not be printable on a terminal is
// escaped.
func Encode(out io.Writer, format string, value any) error {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		return err
	}
	text := check.EscapeJSON(b.String())
	if format == "yaml" {
		shown, err := yaml.JSONToYAML([]byte(check.ShowJSON(b.String())))
		if err != nil {
			return err
		}
		text = string(shown)
	}
	_, err := io.WriteString(out, text)
	return err
}
