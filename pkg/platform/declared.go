package platform

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/document"
)

// ParseList reads a plain list of platform IDs as people have it: separated by
// commas, spaces or lines, perhaps in brackets, perhaps after platforms:. A list
// without IDs is an error.
func ParseList(text string) ([]attest.PlatformID, error) {
	rest := strings.TrimSpace(text)
	rest = strings.TrimSpace(strings.TrimPrefix(rest, "platforms:"))
	inner, opened := strings.CutPrefix(rest, "[")
	inner, closed := strings.CutSuffix(inner, "]")
	if opened != closed {
		return nil, fmt.Errorf("list of platform IDs: got only one of [ and ] in %.80q", text)
	}
	var ids []attest.PlatformID
	for _, item := range strings.FieldsFunc(inner, isSeparator) {
		if item == "-" && !opened {
			continue // a YAML list of lines
		}
		id, err := attest.ParsePlatformID(unquote(item))
		if err != nil {
			return nil, fmt.Errorf("item %d: %w", len(ids)+1, err)
		}
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		return nil, errors.New("list of platform IDs: it is empty")
	}
	return ids, nil
}

// ParseLists reads several of them, as a flag that may be repeated gives them.
func ParseLists(texts []string) (all []attest.PlatformID, err error) {
	for _, text := range texts {
		ids, err := ParseList(text)
		if err != nil {
			return nil, err
		}
		all = append(all, ids...)
	}
	return all, nil
}

func isSeparator(r rune) bool { return strings.ContainsRune(", \t\r\n", r) }

func unquote(item string) string {
	for _, quote := range []string{`"`, `'`} {
		if len(item) >= 2 && strings.HasPrefix(item, quote) && strings.HasSuffix(item, quote) {
			return item[1 : len(item)-1]
		}
	}
	return item
}

// maxFile bounds a file of platform IDs, in bytes; a node takes about 100.
const maxFile = 4 << 20

// ParseFile reads the platform IDs of nodes: lines of NODE and ID, or a YAML or
// JSON map from node to ID. Empty lines and lines after # do not count. name is
// the file's, for errors and origins. What is wrong with the file is a
// *document.Errors.
func ParseFile(name string, text []byte) ([]Claim, error) {
	f := file{Decoder: document.NewDecoder(name), lines: map[string]int{}}
	if looksLikeMap(document.WithoutMark(text)) {
		f.readMap(text)
	} else {
		f.readLines(text)
	}
	if err := f.Err(); err != nil {
		return nil, err
	}
	if len(f.claims) == 0 {
		return nil, fmt.Errorf("%s: it names no node", name)
	}
	return f.claims, nil
}

// file is a file while it is read.
type file struct {
	*document.Decoder
	lines  map[string]int // where a node was named
	claims []Claim
}

// add takes the ID of a node; both have their places in the file.
func (f *file) add(node, id *document.Node) {
	if node.Value == "" {
		f.Fail(node, "", "the node has no name")
		return
	}
	if earlier := f.lines[node.Value]; earlier != 0 {
		f.Fail(node, "", "node %.80q was named in line %d already", node.Value, earlier)
		return
	}
	f.lines[node.Value] = node.Line
	parsed, err := attest.ParsePlatformID(id.Value)
	if err != nil {
		f.Fail(id, "", "node %.80q: %v", node.Value, err)
		return
	}
	f.claims = append(f.claims, Claim{Node: node.Value, ID: parsed, Source: SourceFile, Origin: fmt.Sprintf("%s:%d", f.File, node.Line)})
}

// looksLikeMap tells a map from lines by the first line that counts.
func looksLikeMap(text []byte) bool {
	for line := range bytes.Lines(text) {
		fields := significant(string(line))
		if len(fields) == 0 || fields[0] == "---" {
			continue
		}
		return strings.HasPrefix(fields[0], "{") || strings.HasSuffix(fields[0], ":")
	}
	return false
}

// significant returns the fields of a line before a comment.
func significant(line string) []string {
	fields := strings.Fields(line)
	for i, field := range fields {
		if strings.HasPrefix(field, "#") {
			return fields[:i]
		}
	}
	return fields
}

// readLines passes the text through the same gate as a map, but for what only YAML has.
func (f *file) readLines(text []byte) {
	text, ok := f.Characters(text, maxFile)
	if !ok {
		return
	}
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		words := wordsOf(line, number)
		switch len(words) {
		case 0:
		case 2:
			f.add(words[0], words[1])
		default:
			f.Fail(words[0], "", "got %d words, want NODE ID", len(words))
		}
	}
}

// wordsOf are the fields of a line with their places.
func wordsOf(line string, number int) []*document.Node {
	var words []*document.Node
	at := 0
	for _, field := range significant(line) {
		at += strings.Index(line[at:], field)
		words = append(words, &document.Node{Kind: document.Scalar, Value: field, Line: number, Column: 1 + utf8.RuneCountInString(line[:at])})
		at += len(field)
	}
	return words
}

func (f *file) readMap(text []byte) {
	whole := f.Read(text, document.Gate{Most: maxFile})
	if whole == nil {
		return
	}
	root := whole.Content[0]
	if root.Kind != document.Mapping {
		f.Fail(root, "", "got %s, want a map from node to platform ID", document.KindOf(root))
		return
	}
	f.Pairs(root, "", func(node, id *document.Node) {
		if id.Kind != document.Scalar {
			f.Fail(id, "", "node %.80q: got %s, want one platform ID", node.Value, document.KindOf(id))
			return
		}
		f.add(node, id)
	})
}
