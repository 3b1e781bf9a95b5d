package session

import (
	"fmt"
	"regexp"
	"sort"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Render replaces $NAME and ${NAME} in the values of a template, as the SCONE CLI
// does with --use-env and -e. $$SCONE::…$$, \@\@NAME and @@1 stay as they are, and
// so does everything else, comments included. A variable that lookup does not know
// is an *Error. newName, unless empty, replaces the name of the session afterwards.
//
// A value stays one value, whatever it holds. The exception is a list that
// consists of one variable only, as in platforms: [$PLATFORMS]: there a value of
// several words, separated by commas or white space and perhaps in brackets,
// becomes several items.
func Render(file string, template []byte, lookup func(string) (string, bool), newName string) ([]byte, error) {
	root, err := parseYAML(file, template)
	if err != nil {
		return nil, err
	}
	r := &renderer{decoder: decoder{file: file}, lookup: lookup, lines: strings.SplitAfter(string(template), "\n")}
	r.walk(root, "", false)
	if r.err != nil {
		return nil, r.err
	}
	if newName != "" {
		r.rename(root, newName)
	}
	text := r.apply()
	if _, err := parseYAML(file, text); err != nil {
		return nil, err
	}
	return text, r.errOrNil()
}

type renderer struct {
	decoder
	lookup func(string) (string, bool)
	lines  []string
	edits  []edit
}

func (r *renderer) errOrNil() error {
	if r.err == nil {
		return nil
	}
	return r.err
}

// edit replaces text on one line. Columns count bytes from 0.
type edit struct {
	line, column, length int
	text                 string
}

func variable() *regexp.Regexp {
	return regexp.MustCompile(`\$\$[^$]*\$\$|\$\$|\$\{([A-Za-z_][A-Za-z0-9_]*)\}|\$([A-Za-z_][A-Za-z0-9_]*)`)
}

func (r *renderer) walk(n *yaml.Node, path string, alone bool) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			r.walk(n.Content[i+1], join(path, n.Content[i].Value), false)
		}
	case yaml.SequenceNode:
		for i, c := range n.Content {
			r.walk(c, fmt.Sprintf("%s[%d]", path, i), n.Style&yaml.FlowStyle != 0 && len(n.Content) == 1)
		}
	case yaml.ScalarNode:
		r.scalar(n, path, alone)
	}
}

// scalar replaces the variables of one value, line by line in the source.
func (r *renderer) scalar(n *yaml.Node, path string, alone bool) {
	if r.err != nil {
		return // the first error keeps its place
	}
	first, last := n.Line-1, n.Line-1
	block := n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0
	if block {
		first++
		last = first + strings.Count(n.Value, "\n") + 1
	}
	for line := first; line <= min(last, len(r.lines)-1); line++ {
		text, from := r.lines[line], 0
		if !block {
			from = min(n.Column-1, len(text))
		}
		end := len(text)
		if !block {
			end = from + scalarLength(n, text[from:])
		}
		for _, m := range variable().FindAllStringSubmatchIndex(text[from:end], -1) {
			name := group(text[from:end], m, 1) + group(text[from:end], m, 2)
			if name == "" {
				continue // $$SCONE::…$$
			}
			value, ok := r.lookup(name)
			if !ok {
				r.fail(n, "", "%s: Value for variable $%s is missing at line %d column %d", path, name, line+1, from+m[0]+1)
				r.err.Line, r.err.Column = line+1, from+m[0]+1
				r.err.hint = fmt.Sprintf("give it with -e %s=VALUE, or in the environment with --use-env", name)
				return
			}
			quoted := r.quote(n, path, value, alone && m[0] == 0 && m[1] == end-from)
			r.edits = append(r.edits, edit{line, from + m[0], m[1] - m[0], quoted})
		}
	}
}

// scalarLength is how much of the source line belongs to a plain or quoted value.
func scalarLength(n *yaml.Node, rest string) int {
	if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
		for i := 1; i < len(rest); i++ {
			if rest[i] == '\\' && n.Style&yaml.DoubleQuotedStyle != 0 {
				i++
				continue
			}
			if rest[i] == rest[0] {
				return i + 1
			}
		}
		return len(rest)
	}
	if strings.HasPrefix(rest, n.Value) {
		return len(n.Value)
	}
	return len(strings.TrimRight(rest, "\r\n"))
}

func group(text string, m []int, n int) string {
	if m[2*n] < 0 {
		return ""
	}
	return text[m[2*n]:m[2*n+1]]
}

// safe are the characters that mean themselves in every YAML style.
func safe() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_./~+=:-]*$`) }

// quote makes a value fit where the variable stands, or refuses it.
func (r *renderer) quote(n *yaml.Node, path, value string, list bool) string {
	if list {
		words := strings.FieldsFunc(strings.Trim(strings.TrimSpace(value), "[]"), func(c rune) bool { return strings.ContainsRune(", \t\r\n", c) })
		if len(words) == 0 {
			r.fail(n, path, "the variable holds no value")
		}
		for _, w := range words {
			r.quote(n, path, w, false)
		}
		return strings.Join(words, ", ")
	}
	switch {
	case n.Style&yaml.DoubleQuotedStyle != 0:
		return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(value)
	case n.Style&yaml.SingleQuotedStyle != 0 && !strings.ContainsAny(value, "\r\n"):
		return strings.ReplaceAll(value, "'", "''")
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 && !strings.ContainsAny(value, "\r\n"):
		return value
	case safe().MatchString(value) && value != "" && !strings.HasSuffix(value, ":"):
		return value
	}
	// the value may be a secret, so it is not shown
	r.fail(n, path, "the value of the variable would change the document here: put the variable between double quotes")
	return ""
}

// rename replaces the value of the name at the top of the document.
func (r *renderer) rename(root *yaml.Node, newName string) {
	for i := 0; i+1 < len(root.Content); i += 2 {
		if n := root.Content[i+1]; root.Content[i].Value == "name" {
			if !regexp.MustCompile(names).MatchString(newName) {
				r.fail(n, "name", "got %q, want at most 128 of %s in each part between slashes", clip(newName), nameChars)
				return
			}
			line := n.Line - 1
			kept := r.edits[:0]
			for _, e := range r.edits {
				if e.line != line {
					kept = append(kept, e)
				}
			}
			r.edits = append(kept, edit{line, n.Column - 1, scalarLength(n, r.lines[line][n.Column-1:]), newName})
		}
	}
}

func (r *renderer) apply() []byte {
	sort.Slice(r.edits, func(i, j int) bool {
		a, b := r.edits[i], r.edits[j]
		return a.line > b.line || a.line == b.line && a.column > b.column
	})
	for _, e := range r.edits {
		l := r.lines[e.line]
		r.lines[e.line] = l[:e.column] + e.text + l[e.column+e.length:]
	}
	return []byte(strings.Join(r.lines, ""))
}
