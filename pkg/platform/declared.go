package platform

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/confidb/confidb/pkg/attest"
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

func isSeparator(r rune) bool { return strings.ContainsRune(", \t\r\n", r) }

func unquote(item string) string {
	for _, quote := range []string{`"`, `'`} {
		if len(item) >= 2 && strings.HasPrefix(item, quote) && strings.HasSuffix(item, quote) {
			return item[1 : len(item)-1]
		}
	}
	return item
}

// ParseFile reads the platform IDs of nodes: lines of NODE and ID, or a YAML or
// JSON map from node to ID. Empty lines and lines after # do not count. name is
// the file's, for errors and origins.
func ParseFile(name string, text []byte) ([]Claim, error) {
	f := file{name: name, lines: map[string]int{}}
	parse := f.parseLines
	if looksLikeMap(text) {
		parse = f.parseMap
	}
	if err := parse(text); err != nil {
		return nil, err
	}
	if len(f.claims) == 0 {
		return nil, fmt.Errorf("%s: it names no node", name)
	}
	return f.claims, nil
}

// file is a file while it is read.
type file struct {
	name   string
	lines  map[string]int // where a node was named
	claims []Claim
}

func (f *file) errorf(line int, format string, arguments ...any) error {
	return fmt.Errorf("%s:%d: %w", f.name, line, fmt.Errorf(format, arguments...))
}

func (f *file) add(line int, node, text string) error {
	if node == "" {
		return f.errorf(line, "the node has no name")
	}
	if earlier := f.lines[node]; earlier != 0 {
		return f.errorf(line, "node %q was named in line %d already", node, earlier)
	}
	id, err := attest.ParsePlatformID(text)
	if err != nil {
		return f.errorf(line, "node %q: %w", node, err)
	}
	f.lines[node] = line
	f.claims = append(f.claims, Claim{Node: node, ID: id, Source: SourceFile, Origin: fmt.Sprintf("%s:%d", f.name, line)})
	return nil
}

// looksLikeMap tells a map from lines by the first line that counts.
func looksLikeMap(text []byte) bool {
	for line := range bytes.Lines(text) {
		fields := significant(line)
		if len(fields) == 0 || fields[0] == "---" {
			continue
		}
		return strings.HasPrefix(fields[0], "{") || strings.HasSuffix(fields[0], ":")
	}
	return false
}

// significant returns the fields of a line before a comment.
func significant(line []byte) []string {
	fields := strings.Fields(string(line))
	for i, field := range fields {
		if strings.HasPrefix(field, "#") {
			return fields[:i]
		}
	}
	return fields
}

func (f *file) parseLines(text []byte) error {
	number := 0
	for line := range bytes.Lines(text) {
		number++
		fields := significant(line)
		if len(fields) == 0 {
			continue
		}
		if len(fields) != 2 {
			return f.errorf(number, "got %d words, want NODE ID", len(fields))
		}
		if err := f.add(number, fields[0], fields[1]); err != nil {
			return err
		}
	}
	return nil
}

func (f *file) parseMap(text []byte) error {
	var document, more yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	if err := decoder.Decode(&document); err != nil {
		return f.yamlError(err)
	}
	if err := decoder.Decode(&more); !errors.Is(err, io.EOF) {
		return f.errorf(max(1, more.Line), "want one map and nothing behind it")
	}
	if len(document.Content) != 1 || document.Content[0].Kind != yaml.MappingNode {
		return f.errorf(1, "want a map from node to platform ID")
	}
	entries := document.Content[0].Content
	for i := 0; i+1 < len(entries); i += 2 {
		node, id := entries[i], entries[i+1]
		if node.Kind != yaml.ScalarNode || id.Kind != yaml.ScalarNode {
			return f.errorf(id.Line, "node %.80q: want one platform ID", node.Value)
		}
		if err := f.add(node.Line, node.Value, id.Value); err != nil {
			return err
		}
	}
	return nil
}

// yamlError puts the line that the YAML parser names where editors look for it.
func (f *file) yamlError(err error) error {
	line := 1
	if match := regexp.MustCompile(`line (\d+): (.*)`).FindStringSubmatch(err.Error()); match != nil {
		line, _ = strconv.Atoi(match[1]) // digits, or 0
		return f.errorf(line, "%s", match[2])
	}
	return f.errorf(line, "%w", err)
}
