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
// those for several databases, client-several, database-several and maxscale.
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

// Lines of a template between which it is repeated: `# each database` begins it, and so does
// `# only replicated` what stands there for one architecture; `# end` ends it. To YAML, and
// to the configuration files within, all are comments.
const (
	eachMark = "# each "
	onlyMark = "# only "
	endMark  = "# end"
)

// block is a part of a template that stands there once for each of a kind.
type block struct {
	mark, kind string
	lines      []string
}

// repeat writes the blocks of a template out, those within others first: groups are the
// kinds of blocks, with the variables of each repetition, whose values are letters, digits,
// dots and hyphens, or the name of a variable. Without groups the template stays as it is. A
// block of another kind, and one that does not end, are errors.
func repeat(template string, source []byte, groups map[string][]map[string]string) ([]byte, error) {
	if len(groups) == 0 {
		return source, nil
	}
	open := []*block{{}} // the first is the template itself
	for line := range strings.Lines(string(source)) {
		_, mark := margin(line)
		kind, begins := blockOf(mark)
		inner := open[len(open)-1]
		switch _, known := groups[kind]; {
		case begins && !known:
			return nil, &BlockError{template, mark, false}
		case begins:
			open = append(open, &block{mark: mark, kind: kind})
		case mark == endMark && len(open) > 1:
			open = open[:len(open)-1]
			outer := open[len(open)-1]
			outer.lines = append(outer.lines, inner.written(groups[inner.kind]))
		default:
			inner.lines = append(inner.lines, line)
		}
	}
	if inner := open[len(open)-1]; len(open) > 1 {
		return nil, &BlockError{template, inner.mark, true}
	}
	return []byte(strings.Join(open[0].lines, "")), nil
}

// blockOf is the kind of the blocks that a line begins: one word, as comments may begin with
// the same.
func blockOf(mark string) (kind string, begins bool) {
	if kind, begins = strings.CutPrefix(mark, eachMark); !begins {
		kind, begins = strings.CutPrefix(mark, onlyMark)
	}
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
	// Open means that it does not end.
	Open bool
}

func (e *BlockError) Error() string {
	if e.Open {
		return fmt.Sprintf("template %s: %q: want a line %q that ends it", e.Template, e.Mark, endMark)
	}
	return fmt.Sprintf("template %s: %q: there is nothing of this kind", e.Template, e.Mark)
}
