package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/confidb/confidb/pkg/document"
	"github.com/confidb/confidb/pkg/nearest"
)

// maxDocument bounds a document, in bytes.
const maxDocument = 1 << 20

// document reads the YAML. It returns nil after a problem that makes looking for
// further ones pointless.
func (d *decoder) document(text []byte) *yaml.Node {
	if len(text) > maxDocument {
		d.at(1, 1, "got %d bytes, want at most %d", len(text), maxDocument)
		return nil
	}
	if !d.characters(text) {
		return nil
	}
	var first, second yaml.Node
	stream := yaml.NewDecoder(bytes.NewReader(text))
	err := stream.Decode(&first)
	switch {
	case errors.Is(err, io.EOF) || err == nil && isNull(first.Content[0]):
		d.at(1, 1, "got an empty document, want kind: %s", Kind).Advice = "kubectl confidb policy example prints one to begin with"
		return nil
	case err != nil:
		d.syntax(text, err)
		return nil
	}
	switch err := stream.Decode(&second); {
	case err == nil:
		d.fail(&second, "", "got a second document, want one in a file").Advice = "remove it, or put it into a file of its own"
		return nil
	case !errors.Is(err, io.EOF):
		d.syntax(text, err)
		return nil
	}
	d.plain(first.Content[0])
	if len(d.problems) > 0 {
		return nil
	}
	return first.Content[0]
}

// characters refuses text that is not what it looks like.
func (d *decoder) characters(text []byte) bool {
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			line, column := position(text[:i])
			d.at(line, column, "got the byte 0x%02x, want UTF-8", text[i]).Advice = "save the file as UTF-8"
			return false
		case unicode.IsControl(r) && !strings.ContainsRune("\t\n\r", r), unicode.Is(unicode.Bidi_Control, r):
			line, column := position(text[:i])
			d.at(line, column, "got the invisible character %U, want text that reads as it is shown", r).Advice = "remove it"
			return false
		}
		i += size
	}
	return true
}

// position is the line and column, in characters, of what follows the text.
func position(before []byte) (line, column int) {
	start := bytes.LastIndexByte(before, '\n') + 1
	return 1 + bytes.Count(before, []byte("\n")), 1 + utf8.RuneCount(before[start:])
}

// syntax reports what the YAML library says. It knows only a line, which may be the
// one before, and none for the first line.
func (d *decoder) syntax(text []byte, err error) {
	line, column := 1, 1
	problem := strings.TrimPrefix(err.Error(), "yaml: ")
	if found := regexp.MustCompile(`^line (\d+): `).FindStringSubmatch(problem); found != nil {
		line, _ = strconv.Atoi(found[1]) // digits, as the expression says
		problem = strings.TrimPrefix(problem, found[0])
	}
	hint := "look at this line and the ones beside it; YAML wants the same indentation for all keys of a mapping, and spaces"
	if found := regexp.MustCompile(`^unknown anchor '(.*)' referenced`).FindStringSubmatch(problem); found != nil {
		line, column = position(text[:max(0, bytes.Index(text, []byte("*"+found[1])))])
		hint = starHint
	}
	if strings.Contains(problem, "alphabetic or numeric character") { // a * or & without a name
		hint = starHint
	}
	d.at(line, column, "got text that is not YAML: %s", clip(problem)).Advice = hint
}

const starHint = "write each name out: what begins with * is an alias of YAML, and a policy has neither aliases nor patterns"

// plain refuses what makes a document mean something else than it says where one looks.
func (d *decoder) plain(n *yaml.Node) {
	switch {
	case n.Kind == yaml.AliasNode:
		d.fail(n, "", "got the alias *%s, want the value itself", clip(n.Value)).Advice = starHint
	case n.Anchor != "":
		d.fail(n, "", "got the anchor &%s, want a value without one", clip(n.Anchor)).Advice = "remove it: a policy has no aliases"
	case n.Style&yaml.TaggedStyle != 0 && !slices.Contains([]string{"!!str", "!!int", "!!bool", "!!map", "!!seq"}, n.Tag):
		d.fail(n, "", "got the tag %q, want a value without one", clip(n.Tag)).Advice = "remove it"
	}
	for _, c := range n.Content {
		d.plain(c)
	}
}

// decoder walks a document and keeps what is wrong and where things are.
type decoder struct {
	file     string
	problems []*Error
	places   map[string]string
}

func (d *decoder) result() error {
	return document.Join(d.problems)
}

// fail keeps a problem and returns it for a hint.
func (d *decoder) fail(n *yaml.Node, path, format string, arguments ...any) *Error {
	e := d.at(n.Line, n.Column, format, arguments...)
	e.Path = path
	return e
}

func (d *decoder) at(line, column int, format string, arguments ...any) *Error {
	e := &Error{File: d.file, Line: line, Column: column, Problem: fmt.Sprintf(format, arguments...)}
	d.problems = append(d.problems, e)
	return e
}

// count says how many problems there are, to see whether a part has any.
func (d *decoder) count() int { return len(d.problems) }

func (d *decoder) remember(n *yaml.Node, path string) {
	d.places[path] = fmt.Sprintf("%s:%d:%d", d.file, n.Line, n.Column)
}

// field reads the value of one key.
type field func(value *yaml.Node, path string)

// pairs visits the keys of a mapping, each of which must be there once.
func (d *decoder) pairs(n *yaml.Node, path string, visit func(key, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		d.fail(n, path, "got %s, want a mapping", kindOf(n))
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode:
			d.fail(key, path, "got %s as a key, want a word", kindOf(key))
		case seen[key.Value]:
			d.fail(key, path, "got the key %q a second time, want it once", clip(key.Value)).Advice = "keep one of them"
		default:
			seen[key.Value] = true
			visit(key, value)
		}
	}
}

// object reads a mapping of known keys.
func (d *decoder) object(n *yaml.Node, path string, fields map[string]field) {
	d.pairs(n, path, func(key, value *yaml.Node) {
		read, known := fields[key.Value]
		if !known {
			words := slices.Sorted(maps.Keys(fields))
			d.fail(key, path, "got the unknown key %q, want %s", clip(key.Value), strings.Join(words, ", ")).Advice = suggestion(key.Value, words)
			return
		}
		d.remember(key, join(path, key.Value))
		read(value, join(path, key.Value))
	})
}

// suggestion is a hint that names the word which was probably meant, if there is one.
func suggestion(got string, words []string) string {
	best := nearest.Word(got, words)
	if best == "" {
		return ""
	}
	return fmt.Sprintf("write %q", best)
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

func kindOf(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case isNull(n):
		return "nothing"
	}
	return strconv.Quote(clip(n.Value))
}

// clip keeps an error message short.
func clip(text string) string {
	if runes := []rune(text); len(runes) > 80 {
		return string(runes[:80]) + "…"
	}
	return text
}

// given reads a value unless the key has none: where all entries are commented out,
// nothing is accepted, as without the key.
func given(read field) field {
	return func(n *yaml.Node, path string) {
		if !isNull(n) {
			read(n, path)
		}
	}
}

func (d *decoder) list(n *yaml.Node, path string, item field) {
	if n.Kind != yaml.SequenceNode {
		e := d.fail(n, path, "got %s, want a list", kindOf(n))
		if n.Kind == yaml.ScalarNode && n.Value != "" {
			e.Advice = fmt.Sprintf("write [%q]", clip(n.Value))
		}
		return
	}
	for i, c := range n.Content {
		at := fmt.Sprintf("%s[%d]", path, i)
		d.remember(c, at)
		item(c, at)
	}
}

// scalar reads one value; what it must be is said by want.
func (d *decoder) scalar(n *yaml.Node, path, want string) (string, bool) {
	if n.Kind != yaml.ScalarNode || isNull(n) {
		d.fail(n, path, "got %s, want %s", kindOf(n), want)
		return "", false
	}
	return n.Value, true
}

func (d *decoder) flag(into *bool) field {
	return func(n *yaml.Node, path string) {
		if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" || n.Decode(into) != nil {
			d.fail(n, path, "got %s, want true or false", kindOf(n)).Advice = unquote(n)
		}
	}
}

func (d *decoder) number(into *int, high int) field {
	return func(n *yaml.Node, path string) {
		// A zero in front would make the number octal.
		octal := len(n.Value) > 1 && n.Value[0] == '0' && unicode.IsDigit(rune(n.Value[1]))
		var v int
		if n.Kind != yaml.ScalarNode || n.Tag != "!!int" || octal || n.Decode(&v) != nil || v < 0 || v > high {
			d.fail(n, path, "got %s, want a number from 0 to %d", kindOf(n), high).Advice = unquote(n)
			return
		}
		*into = v
	}
}

// unquote is a hint for a number or boolean that is a text because of its quotes.
func unquote(n *yaml.Node) string {
	if n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 {
		return "write it without quotes"
	}
	return ""
}

// duration reads a Go duration from low to high.
func (d *decoder) duration(into *time.Duration, low, high time.Duration, want string) field {
	return func(n *yaml.Node, path string) {
		text, ok := d.scalar(n, path, want)
		if !ok {
			return
		}
		v, err := time.ParseDuration(text)
		if err != nil || v < low || v > high {
			d.fail(n, path, "got %q, want %s", clip(text), want).Advice = inHours(text)
			return
		}
		*into = v
	}
}

// inHours is a hint for a number of days.
func inHours(text string) string {
	number, isDays := strings.CutSuffix(text, "d")
	days, err := strconv.ParseUint(number, 10, 16)
	if !isDays || err != nil {
		return ""
	}
	return fmt.Sprintf("write %dh: Go's durations have no days", 24*days)
}
