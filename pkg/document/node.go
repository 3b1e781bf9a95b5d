// Package document reads the documents that people write: YAML and JSON, strictly and
// with the place of everything. One gate refuses what two readers could read in two
// ways. Tables of fields say which keys a document has and how each value is read;
// the schema for editors comes from the same tables. What is wrong is told all at
// once, with file, line, column and what to write instead.
//
// The package knows no language: sessions, policies and inventories bring their own
// tables. It does no I/O.
package document

import (
	"bytes"
	"fmt"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// Node is a value, or a whole document, with its place. Line and Column count from 1;
// columns are characters, and a byte order mark is none.
type Node = yaml.Node

// Kind tells scalars, lists and mappings apart.
type Kind = yaml.Kind

// The kinds of values.
const (
	Scalar  = yaml.ScalarNode
	List    = yaml.SequenceNode
	Mapping = yaml.MappingNode
)

// How a value is written. A plain scalar has none of these styles.
const (
	Flow         = yaml.FlowStyle
	DoubleQuoted = yaml.DoubleQuotedStyle
	SingleQuoted = yaml.SingleQuotedStyle
	Literal      = yaml.LiteralStyle
	Folded       = yaml.FoldedStyle
)

// Member is the path of a key below path.
func Member(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// Item is the path of an item of the list at path. Items count from 0.
func Item(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }

// Lookup finds a key of a mapping. Both are nil where there is none.
func Lookup(n *Node, name string) (key, value *Node) {
	for i := 0; n.Kind == Mapping && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i], n.Content[i+1]
		}
	}
	return nil, nil
}

// IsNull reports whether there is no value: nothing is written, or ~ or null.
func IsNull(n *Node) bool { return n.Kind == Scalar && n.Tag == "!!null" }

// KindOf is what an error says that it got: the text of a scalar, in quotes, or what
// else the node is.
func KindOf(n *Node) string {
	switch {
	case n.Kind == Mapping:
		return "a mapping"
	case n.Kind == List:
		return "a list"
	case IsNull(n):
		return "nothing"
	}
	return strconv.Quote(Clip(n.Value))
}

// Clip keeps the text of an error short.
func Clip(text string) string {
	if runes := []rune(text); len(runes) > 80 {
		return string(runes[:80]) + "…"
	}
	return text
}

// Word writes a word such that it is read as text, with quotes where YAML would take
// it for something else. The word has no quotes or backslashes of its own.
func Word(word string) string {
	var n Node
	if err := yaml.Unmarshal([]byte(word), &n); err != nil || len(n.Content) != 1 || n.Content[0].Tag != "!!str" || n.Content[0].Value != word {
		return `"` + word + `"`
	}
	return word
}

// Print writes a document in one layout: indented by two, with its comments and in
// its order.
func Print(document *Node) ([]byte, error) {
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	if err := e.Encode(document); err != nil {
		return nil, fmt.Errorf("printing YAML: %w", err)
	}
	return out.Bytes(), e.Close()
}
