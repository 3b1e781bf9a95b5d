package session

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"sync"

	"github.com/confidb/confidb/pkg/document"
)

// Error says what is wrong at one place of a session, and Errors everything.
type (
	Error  = document.Error
	Errors = document.Errors
)

// decoder reads sessions. What it adds to document's are the versions of the language.
type decoder struct {
	*document.Decoder
	// minor is that of version 0.3.minor.
	minor int
	// places are the objects of the language that have a key; nil until one is asked for.
	places map[string][]string
}

func newDecoder(file string) *decoder {
	d := &decoder{Decoder: document.NewDecoder(file), minor: newest}
	d.Elsewhere, d.Compiled = d.placesOf, compiled()
	return d
}

// compiled are the expressions that nearly every document needs: to compile them takes
// longer than to read one, and plans read several.
var compiled = sync.OnceValue(func() map[string]*regexp.Regexp {
	all := map[string]*regexp.Regexp{}
	for _, expression := range []string{hex32, hex64, name, NamePattern, version, reference, either(hex64, reference)} {
		all[expression] = regexp.MustCompile(expression)
	}
	return all
})

// since says which minor version of the language is the first that has a key.
func (d *decoder) since(minor int, f document.Field) document.Field {
	f.Note = "From version " + versionText(minor) + "."
	f.Key = func(n *document.Node, path string) { d.needs(n, path, minor) }
	return f
}

// needs refuses what the version of the document does not have yet.
func (d *decoder) needs(n *document.Node, path string, minor int) {
	if minor > d.minor {
		d.Fail(n, path, "it needs version 0.3.%d, got %s", minor, versionText(d.minor)).Advice = fmt.Sprintf("write version: \"0.3.%d\"", minor)
	}
}

func versionText(minor int) string {
	if minor == 0 {
		return "0.3"
	}
	return fmt.Sprintf("0.3.%d", minor)
}

// scalar is the text of one value, or empty after a problem.
func (d *decoder) scalar(n *document.Node, path string) string {
	text, _ := d.Scalar(n, path, "a value")
	return text
}

// number reads a whole number within bounds. Templates have variables for numbers, which
// are between quotes where the template would not be YAML otherwise.
func number[T ~int | ~uint16](d *decoder, into *T, low, high int) document.Field {
	f := document.Number(d.Decoder, into, low, high)
	read := f.Read
	f.Read = func(n *document.Node, path string) {
		if n.Kind == document.Scalar && n.Tag == "!!str" && d.Matches(`^(0|[1-9][0-9]*)$`, n.Value) {
			plain := *n
			plain.Tag, plain.Style = "!!int", 0
			n = &plain
		}
		read(n, path)
	}
	return f
}

// placesOf are the objects of the language that have a key, such as services[].
func (d *decoder) placesOf(key string) []string {
	if d.places == nil {
		d.places = map[string][]string{}
		document.WalkSchema("", sessionShape(), d.place)
	}
	places := slices.Clone(d.places[key])
	slices.Sort(places)
	return slices.Compact(places)
}

func (d *decoder) place(path string, keys []string) {
	if path == "" {
		path = "the top of the document"
	}
	for _, key := range keys {
		d.places[key] = append(d.places[key], path)
	}
}

// Schema is a JSON Schema of the newest version of the language, for editors. It
// is made from the tables by which Parse reads a document. It is coarser than
// Parse: what depends on two keys, on the version, or on a name somewhere else is
// not in it.
func Schema() []byte {
	whole := sessionShape()
	whole["$schema"] = "http://json-schema.org/draft-07/schema#"
	whole["title"] = "SCONE session, language 0.3"
	whole["definitions"] = document.Shape{"accessRule": accessRuleShape()}
	text, err := json.MarshalIndent(whole, "", "  ")
	if err != nil {
		return nil // not possible: it consists of maps, lists and texts
	}
	return append(text, '\n')
}

func sessionShape() document.Shape { return newDecoder("").session(&Session{}).Shape() }
