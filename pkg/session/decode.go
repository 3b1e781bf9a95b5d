package session

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/confidb/confidb/pkg/nearest"
)

// decoder walks a document and collects its problems.
type decoder struct {
	problems
	// minor is that of version 0.3.minor.
	minor    int
	forms    map[string]*regexp.Regexp
	misspelt map[string]bool
}

func newDecoder(file string) *decoder {
	return &decoder{problems: problems{file: file}, minor: newest, forms: map[string]*regexp.Regexp{}, misspelt: map[string]bool{}}
}

// reader reads one value.
type reader func(n *yaml.Node, path string)

// field is the value of one key: how it is read and, for editors, what it may be.
// Both come from one table, so that they cannot differ.
type field struct {
	read  reader
	shape func() shape
	// since is the first minor version that has the key; 0 means that all have it.
	since int
	// missing is the problem if the key is not there; empty if it need not be.
	missing string
}

// fields are the keys of an object.
type fields map[string]field

func since(minor int, f field) field { f.since = minor; return f }

func required(f field) field { f.missing = "it is missing"; return f }

func fixed(s shape) func() shape { return func() shape { return s } }

// object reads a mapping: each key must be known and be there once. check, unless
// nil, sees whether the values go together.
func (d *decoder) object(known fields, check reader) field {
	read := func(n *yaml.Node, path string) {
		if n.Kind != yaml.MappingNode {
			d.fail(n, path, "got %s, want a mapping", kindOf(n))
			return
		}
		seen := map[string]bool{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			d.member(n.Content[i], n.Content[i+1], path, known, seen)
		}
		for _, key := range sortedKeys(known) {
			if f := known[key]; f.missing != "" && !seen[key] && !d.misspelt[join(path, key)] {
				d.fail(n, join(path, key), "%s", f.missing)
			}
		}
		if check != nil {
			check(n, path)
		}
	}
	return field{read: read, shape: func() shape { return objectShape(known) }}
}

func (d *decoder) member(key, value *yaml.Node, path string, known fields, seen map[string]bool) {
	f, ok := known[key.Value]
	switch {
	case key.Kind != yaml.ScalarNode:
		d.fail(key, path, "got %s, want a key", kindOf(key))
	case !ok:
		d.unknown(key, path, known)
	case seen[key.Value]:
		d.fail(key, path, "got the key %q a second time", key.Value)
	default:
		seen[key.Value] = true
		d.needs(key, join(path, key.Value), f.since)
		f.read(value, join(path, key.Value))
	}
}

// needs refuses what the version of the document does not have yet.
func (d *decoder) needs(n *yaml.Node, path string, minor int) {
	if minor > d.minor {
		d.fail(n, path, "it needs version 0.3.%d, got %s", minor, versionText(d.minor)).Advice = fmt.Sprintf("write version: \"0.3.%d\"", minor)
	}
}

func versionText(minor int) string {
	if minor == 0 {
		return "0.3"
	}
	return fmt.Sprintf("0.3.%d", minor)
}

// byKind reads a value that has several forms, told apart by their YAML kind.
func (d *decoder) byKind(all map[yaml.Kind]field) field {
	kinds := []yaml.Kind{yaml.ScalarNode, yaml.SequenceNode, yaml.MappingNode}
	words := map[yaml.Kind]string{yaml.ScalarNode: "a value", yaml.SequenceNode: "a list", yaml.MappingNode: "a mapping"}
	read := func(n *yaml.Node, path string) {
		if f, ok := all[n.Kind]; ok && n.Tag != "!!null" {
			f.read(n, path)
			return
		}
		var want []string
		for _, k := range kinds {
			if _, ok := all[k]; ok {
				want = append(want, words[k])
			}
		}
		d.fail(n, path, "got %s, want %s", kindOf(n), strings.Join(want, " or "))
	}
	return field{read: read, shape: func() shape {
		var any []shape
		for _, k := range kinds {
			if f, ok := all[k]; ok {
				any = append(any, f.shape())
			}
		}
		return shape{"anyOf": any}
	}}
}

// each reads a list.
func each[T any](d *decoder, into *[]T, item func(*T) field) field {
	read := func(n *yaml.Node, path string) {
		if n.Kind != yaml.SequenceNode {
			d.fail(n, path, "got %s, want a list", kindOf(n))
			return
		}
		for i, c := range n.Content {
			var v T
			item(&v).read(c, fmt.Sprintf("%s[%d]", path, i))
			*into = append(*into, v)
		}
	}
	return field{read: read, shape: func() shape {
		var v T
		return shape{"type": "array", "items": item(&v).shape()}
	}}
}

// pointer reads an object into a new value, so that nil means that it is not there.
func pointer[T any](into **T, object func(*T) field) field {
	read := func(n *yaml.Node, path string) {
		v := new(T)
		object(v).read(n, path)
		*into = v
	}
	return field{read: read, shape: func() shape { return object(new(T)).shape() }}
}

// then reads a value and looks at it afterwards.
func then(f field, check reader) field {
	read := f.read
	f.read = func(n *yaml.Node, path string) { read(n, path); check(n, path) }
	return f
}

func (d *decoder) scalar(n *yaml.Node, path string) string {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		d.fail(n, path, "got %s, want a value", kindOf(n))
		return ""
	}
	return n.Value
}

func (d *decoder) text(into *string) field {
	read := func(n *yaml.Node, path string) { *into = d.scalar(n, path) }
	return field{read: read, shape: fixed(shape{"type": []string{"string", "number", "boolean"}})}
}

func (d *decoder) optionalText(into **string) field {
	return pointer(into, d.text)
}

func (d *decoder) texts(into *[]string) field { return each(d, into, d.text) }

func (d *decoder) matches(expression, text string) bool {
	form, ok := d.forms[expression]
	if !ok {
		form = regexp.MustCompile(expression)
		d.forms[expression] = form
	}
	return form.MatchString(text)
}

func (d *decoder) matching(into *string, expression, want string) field {
	read := func(n *yaml.Node, path string) {
		*into = d.scalar(n, path)
		if !d.matches(expression, *into) {
			d.fail(n, path, "got %q, want %s", clip(*into), want)
		}
	}
	return field{read: read, shape: fixed(shape{"type": []string{"string", "number"}, "pattern": expression})}
}

// hidden reads a value that may be a secret: errors do not show it.
func (d *decoder) hidden(into *string, expression, want string) field {
	read := func(n *yaml.Node, path string) {
		if n.Kind != yaml.ScalarNode {
			d.fail(n, path, "got %s, want %s", kindOf(n), want)
			return
		}
		*into = n.Value
		if !d.matches(expression, *into) {
			d.fail(n, path, "got %d characters that are none, want %s", len(*into), want)
		}
	}
	return field{read: read, shape: fixed(shape{"type": []string{"string", "number"}, "pattern": expression})}
}

func oneOf[T ~string](d *decoder, into *T, words ...T) field {
	read := func(n *yaml.Node, path string) {
		*into = T(d.scalar(n, path))
		if slices.Contains(words, *into) {
			return
		}
		var all []string
		for _, w := range words {
			all = append(all, string(w))
		}
		e := d.fail(n, path, "got %q, want %s", clip(string(*into)), strings.Join(all, ", "))
		if near := nearest.Word(string(*into), all); near != "" {
			e.Advice = fmt.Sprintf("write %q", near)
		}
	}
	return field{read: read, shape: fixed(shape{"enum": words})}
}

func (d *decoder) flag(into *bool) field {
	read := func(n *yaml.Node, path string) {
		if err := n.Decode(into); err != nil || n.Tag != "!!bool" {
			d.fail(n, path, "got %s, want true or false", kindOf(n))
		}
	}
	return field{read: read, shape: fixed(shape{"type": "boolean"})}
}

func number[T int | uint16](d *decoder, into *T, low, high int) field {
	read := func(n *yaml.Node, path string) {
		v, err := strconv.Atoi(d.scalar(n, path))
		if err != nil || v < low || v > high {
			d.fail(n, path, "got %s, want a number from %d to %d", kindOf(n), low, high)
			return
		}
		*into = T(v)
	}
	return field{read: read, shape: fixed(shape{"type": "integer", "minimum": low, "maximum": high})}
}

// value reads any YAML value into what encoding/json would make of it.
func (d *decoder) value(into *any) field {
	read := func(n *yaml.Node, path string) { *into = d.anything(n, path) }
	return field{read: read, shape: fixed(shape{})}
}

func (d *decoder) anything(n *yaml.Node, path string) any {
	switch n.Kind {
	case yaml.SequenceNode:
		all := []any{}
		for i, c := range n.Content {
			all = append(all, d.anything(c, fmt.Sprintf("%s[%d]", path, i)))
		}
		return all
	case yaml.MappingNode:
		all := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := d.scalar(n.Content[i], path)
			if _, twice := all[key]; twice {
				d.fail(n.Content[i], path, "got the key %q a second time", clip(key))
			}
			all[key] = d.anything(n.Content[i+1], join(path, key))
		}
		return all
	}
	return d.anyScalar(n, path)
}

func (d *decoder) anyScalar(n *yaml.Node, path string) any {
	var v any
	switch n.Tag {
	case "!!null":
		return nil
	case "!!int", "!!float", "!!bool":
		if err := n.Decode(&v); err != nil || d.matches(`(?i)^[-+]?\.(inf|nan)$`, n.Value) {
			d.fail(n, path, "got a number that JSON does not have")
			return nil
		}
		return v
	}
	return n.Value
}
