// Package printers writes results: a page for people, one JSON or YAML document
// for programs. A simulated result says so in each of them. All text of the plugins is
// here.
package printers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"unicode"
	"unicode/utf16"

	"sigs.k8s.io/yaml"
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
	text, err := escaped(b.String(), inJSON), error(nil)
	if format == "yaml" {
		var y []byte
		y, err = yaml.JSONToYAML([]byte(escaped(b.String(), inYAML)))
		text = string(y)
	}
	if err != nil {
		return err
	}
	_, err = io.WriteString(out, text)
	return err
}

// escaped replaces what is not printable in a JSON text: it can only be in strings, but
// for the ends of lines.
func escaped(text string, escape func(rune) string) string {
	var b bytes.Buffer
	for _, r := range text {
		if r == '\n' || unicode.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		b.WriteString(escape(r))
	}
	return b.String()
}

// inJSON is the escape of JSON (RFC 8259, section 7): programs read what was there.
func inJSON(r rune) string {
	if high, low := utf16.EncodeRune(r); high != unicode.ReplacementChar {
		return fmt.Sprintf(`\u%04x\u%04x`, high, low)
	}
	return fmt.Sprintf(`\u%04x`, r)
}

// inYAML makes the escape visible: YAML would write some of these characters as they are.
func inYAML(r rune) string { return fmt.Sprintf(`\\u%04x`, r) }
