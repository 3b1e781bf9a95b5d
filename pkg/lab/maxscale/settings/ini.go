package settings

import (
	"fmt"
	"strings"
)

// line is one key of a section, as it stands in a file.
type line struct {
	key, value string
	number     int
}

// block is a section of a file.
type block struct {
	name  string
	lines []line
	file  string
}

// File is a configuration file: its name, which is said, and its bytes.
type File struct {
	Name string
	Data []byte
}

// scan cuts a file into sections. A line that begins with white space continues the value
// before; what of the syntax was not measured (keys twice, signs of comments within a
// value) is refused.
func scan(f File) (blocks []block, problems []string) {
	wrong := func(number int, text string) {
		problems = append(problems, fmt.Sprintf("%s:%d: %s", f.Name, number, text))
	}
	keep := func(number int, text string) *line {
		key, value, found := strings.Cut(text, "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		switch {
		case !found || key == "":
			wrong(number, "Syntax error: want key=value")
		case len(blocks) == 0:
			wrong(number, "Syntax error: a parameter before the first section")
		case commented(value):
			wrong(number, unsure)
		default:
			b := &blocks[len(blocks)-1]
			b.lines = append(b.lines, line{key, value, number})
			return &b.lines[len(b.lines)-1]
		}
		return nil
	}
	var last *line
	for i, text := range strings.Split(string(f.Data), "\n") {
		trimmed := strings.TrimSpace(text)
		switch {
		case trimmed == "" || trimmed[0] == '#' || trimmed[0] == ';':
		case text[0] == '[':
			last = nil
			name, rest, found := strings.Cut(trimmed[1:], "]")
			if !found || rest != "" || name == "" || strings.ContainsAny(name, " \t[/@") {
				wrong(i+1, "Syntax error: want [name]")
			}
			blocks = append(blocks, block{name: name, file: f.Name})
		case text[0] == ' ' || text[0] == '\t':
			if last == nil {
				wrong(i+1, "Syntax error: nothing to continue")
				continue
			}
			if last.value += trimmed; commented(last.value) {
				wrong(i+1, unsure)
			}
		default:
			last = keep(i+1, trimmed)
		}
	}
	return blocks, problems
}

const unsure = "lab stand-in: unmeasured ?1: a comment after a value"

// commented reports whether a value may end with a comment.
func commented(value string) bool {
	return strings.Contains(value, " #") || strings.Contains(value, " ;") || strings.Contains(value, "\t#") || strings.Contains(value, "\t;")
}

// unquoted takes the quotes around a value away.
func unquoted(value string) string {
	if n := len(value); n > 1 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
		return value[1 : n-1]
	}
	return value
}

// substitute puts variables of the environment in place of values that begin with $, if
// [maxscale] says so; otherwise they are taken as they stand.
func substitute(blocks []block, env func(string) (string, bool)) (problems []string) {
	for i := range blocks {
		for k := range blocks[i].lines {
			l := &blocks[i].lines[k]
			name, found := strings.CutPrefix(l.value, "$")
			if !found {
				continue
			}
			value, set := env(name)
			if !set {
				problems = append(problems, fmt.Sprintf("Could not substitute environment variable '%s' at line %d. The variable is not set.", name, l.number))
			}
			l.value = value
		}
	}
	return problems
}
