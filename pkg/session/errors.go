package session

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/confidb/confidb/pkg/document"
	"github.com/confidb/confidb/pkg/nearest"
)

// Error says what is wrong at one place of a session, and Errors everything.
type (
	Error  = document.Error
	Errors = document.Errors
)

// problems collects what is wrong with one document.
type problems struct {
	file string
	all  []*Error
}

// fail records a problem, unless there is one already at that path and place: the
// second is a consequence of the first.
func (p *problems) fail(n *yaml.Node, path, format string, arguments ...any) *Error {
	return p.at(n.Line, n.Column, path, format, arguments...)
}

func (p *problems) at(line, column int, path, format string, arguments ...any) *Error {
	e := &Error{File: p.file, Line: max(line, 1), Column: max(column, 1), Path: path, Problem: fmt.Sprintf(format, arguments...)}
	if !slices.ContainsFunc(p.all, func(o *Error) bool { return o.Path == path && document.Compare(o, e) == 0 }) {
		p.all = append(p.all, e)
	}
	return e
}

// under reports whether there is a problem at or below a path.
func (p *problems) under(path string) bool {
	return slices.ContainsFunc(p.all, func(e *Error) bool { return strings.HasPrefix(e.Path, path) })
}

// err is nil or an *Errors.
func (p *problems) err() error { return document.Join(p.all) }

// unknown reports a key that an object does not have.
func (d *decoder) unknown(key *yaml.Node, path string, known fields) {
	e := d.fail(key, path, "got the unknown key %q", clip(key.Value))
	near := nearest.Word(key.Value, sortedKeys(known))
	d.misspelt[join(path, near)] = true
	switch places := placesOf(key.Value); {
	case len(places) > 0:
		e.Advice = fmt.Sprintf("%q belongs to %s", key.Value, strings.Join(places, " or "))
	case near != "":
		e.Advice = fmt.Sprintf("write %q", near)
	}
}

// placesOf are the objects of the language that have a key, such as services[].
func placesOf(key string) []string {
	var places []string
	walkSchema("", sessionShape(), func(path string, keys []string) {
		if slices.Contains(keys, key) {
			if path == "" {
				path = "the top of the document"
			}
			places = append(places, path)
		}
	})
	slices.Sort(places)
	return slices.Compact(places)
}

func sortedKeys(f fields) []string {
	var keys []string
	for k := range f {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	if n.Tag == "!!null" {
		return "nothing"
	}
	return fmt.Sprintf("%q", clip(n.Value))
}

func clip(text string) string {
	if runes := []rune(text); len(runes) > 60 {
		return string(runes[:60]) + "…"
	}
	return text
}
