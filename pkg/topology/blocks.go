package topology

import (
	"bytes"
	"embed"
	"fmt"
	"maps"
	"slices"
	"strings"
)

//go:embed templates/*.yml templates/parts/*
var templates embed.FS

// Template returns one of our own session templates: namespace, client or database, or
// those for several databases, client-replicated, database-replicated and maxscale.
func Template(name string) ([]byte, error) {
	text, err := templates.ReadFile("templates/" + name + ".yml")
	if err != nil {
		return nil, err
	}
	return whole(text)
}

// partMark begins a line of our files in whose place a part of them stands, with the mark's
// indentation: what two templates share they have once.
const partMark = "# part "

// whole puts the parts of a template in.
func whole(text []byte) ([]byte, error) {
	var all bytes.Buffer
	for line := range bytes.Lines(text) {
		indentation, mark := margin(string(line))
		name, ok := strings.CutPrefix(mark, partMark)
		if !ok {
			all.Write(line)
			continue
		}
		part, err := templates.ReadFile("templates/parts/" + name)
		if err != nil {
			return nil, err
		}
		for line := range bytes.Lines(part) {
			if len(line) > 1 {
				all.WriteString(indentation)
			}
			all.Write(line)
		}
	}
	return all.Bytes(), nil
}

// margin is the white space that a line begins with, and the rest without its end.
func margin(line string) (indentation, rest string) {
	rest = strings.TrimLeft(line, " ")
	return line[:len(line)-len(rest)], strings.TrimRight(rest, "\r\n")
}

// Lines of a template between which it is repeated: `# each database` begins it, `# end`
// ends it. To YAML, and to the configuration files within, both are comments.
const (
	eachMark = "# each "
	endMark  = "# end"
)

// block is a part of a template that stands there once for each of a kind.
type block struct {
	kind  string
	lines []string
}

// repeat writes the blocks of a template out: groups are the kinds of blocks, with the
// variables of each repetition, whose values are letters, digits, dots and hyphens. Without
// groups the template stays as it is. A block of another kind, one within another, and one
// that does not end are errors.
func repeat(template string, source []byte, groups map[string][]map[string]string) ([]byte, error) {
	if len(groups) == 0 {
		return source, nil
	}
	var all strings.Builder
	var open *block
	for line := range strings.Lines(string(source)) {
		_, mark := margin(line)
		kind, begins := blockOf(mark)
		switch _, known := groups[kind]; {
		case begins && (open != nil || !known):
			return nil, &BlockError{template, mark, open != nil}
		case begins:
			open = &block{kind: kind}
		case open == nil:
			all.WriteString(line)
		case mark == endMark:
			all.WriteString(open.written(groups[open.kind]))
			open = nil
		default:
			open.lines = append(open.lines, line)
		}
	}
	if open != nil {
		return nil, &BlockError{template, eachMark + open.kind, true}
	}
	return []byte(all.String()), nil
}

// blockOf is the kind of the blocks that a line begins: one word, as comments may begin with
// the same.
func blockOf(mark string) (kind string, begins bool) {
	kind, begins = strings.CutPrefix(mark, eachMark)
	return kind, begins && kind != "" && !strings.Contains(kind, " ")
}

// written is the block for each of a group.
func (b *block) written(group []map[string]string) string {
	text, all := strings.Join(b.lines, ""), ""
	for _, variables := range group {
		var pairs []string
		for _, name := range slices.SortedFunc(maps.Keys(variables), func(a, b string) int { return strings.Compare(b, a) }) {
			pairs = append(pairs, "${"+name+"}", variables[name], "$"+name, variables[name])
		}
		all += strings.NewReplacer(pairs...).Replace(text)
	}
	return all
}

// BlockError means that a template has a block that cannot be repeated.
type BlockError struct {
	Template, Mark string
	// Open means that a block before it, or it, does not end.
	Open bool
}

func (e *BlockError) Error() string {
	if e.Open {
		return fmt.Sprintf("template %s: %q: want a line %q that ends each block before the next one begins", e.Template, e.Mark, endMark)
	}
	return fmt.Sprintf("template %s: %q: there is nothing of this kind", e.Template, e.Mark)
}
