package document

import (
	"fmt"
	"iter"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Decoder walks a document and collects its problems.
type Decoder struct {
	Problems
	// Seen, unless nil, is told each key and each item of a list that is read.
	Seen func(n *Node, path string)
	// Elsewhere, unless nil, names the objects of the language that have a key, for
	// whoever wrote it at the wrong place.
	Elsewhere func(key string) []string
	// Compiled are expressions that need not be compiled again. It may be nil, and is
	// not changed.
	Compiled map[string]*regexp.Regexp

	forms    map[string]*regexp.Regexp
	misspelt map[string]bool
}

// NewDecoder returns a decoder for one document; file is what errors call it.
func NewDecoder(file string) *Decoder {
	return &Decoder{Problems: Problems{File: file}, forms: map[string]*regexp.Regexp{}, misspelt: map[string]bool{}}
}

// Reader reads one value. It came through Read, so keys are words and there once.
type Reader func(n *Node, path string)

// Field is the value of one key: how it is read and, for editors, what it may be.
// Both come from one table, so that they cannot differ.
//
// The functions that make fields are not inlined: there are hundreds of calls, and
// each would get closures of its own, which add up.
type Field struct {
	Read Reader
	// Shape is what Schema says of the value. It may be nil where no schema is made.
	Shape func() Shape
	// Key, unless nil, looks at the key before its value is read.
	Key Reader
	// Note explains the key in the schema.
	Note string
	// Missing is the problem if the key is not there; empty if it need not be.
	Missing string
}

// Fields are the keys of an object.
type Fields map[string]Field

// Required says that a key must be there.
func Required(f Field) Field { f.Missing = "it is missing"; return f }

// Then reads a value and looks at it afterwards.
//
//go:noinline
func Then(f Field, check Reader) Field {
	read := f.Read
	f.Read = func(n *Node, path string) { read(n, path); check(n, path) }
	return f
}

// OfKind looks for the kind of the document alone: in one of another kind the rest
// means something else.
func (d *Decoder) OfKind(root *Node, kind string) bool {
	_, value := Lookup(root, "kind")
	switch {
	case root.Kind != Mapping:
		d.Fail(root, "", "got %s, want a mapping with kind: %s", KindOf(root), kind)
	case value == nil:
		d.Fail(root, "kind", "got nothing, want %q", kind).Advice = "begin the file with kind: " + kind
	case value.Kind != Scalar || value.Value != kind:
		d.Fail(value, "kind", "got %s, want %q", KindOf(value), kind).Advice = Suggest(value.Value, []string{kind})
	default:
		return true
	}
	return false
}

// Pairs visits the keys of a mapping in their order. It is false for something else.
func (d *Decoder) Pairs(n *Node, path string, visit func(key, value *Node)) bool {
	if n.Kind != Mapping {
		d.Fail(n, path, "got %s, want a mapping", KindOf(n))
		return false
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		visit(n.Content[i], n.Content[i+1])
	}
	return true
}

// Object reads a mapping of known keys. check, unless nil, sees whether the values go
// together.
//
//go:noinline
func (d *Decoder) Object(known Fields, check Reader) Field {
	read := func(n *Node, path string) {
		seen := map[string]bool{}
		if !d.Pairs(n, path, func(key, value *Node) { seen[key.Value] = true; d.member(key, value, path, known) }) {
			return
		}
		for _, key := range slices.Sorted(d.missing(known, seen, path)) {
			d.Fail(n, Member(path, key), "%s", known[key].Missing)
		}
		if check != nil {
			check(n, path)
		}
	}
	return Field{Read: read, Shape: func() Shape { return objectShape(known) }}
}

// missing are the keys that an object must have and has not, in any order.
func (d *Decoder) missing(known Fields, seen map[string]bool, path string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for key, f := range known {
			if f.Missing != "" && !seen[key] && !d.Misspelt(Member(path, key)) && !yield(key) {
				return
			}
		}
	}
}

func (d *Decoder) member(key, value *Node, path string, known Fields) {
	f, ok := known[key.Value]
	if !ok {
		d.Unknown(key, path, slices.Sorted(maps.Keys(known)))
		return
	}
	at := Member(path, key.Value)
	d.saw(key, at)
	if f.Key != nil {
		f.Key(key, at)
	}
	f.Read(value, at)
}

func (d *Decoder) saw(n *Node, path string) {
	if d.Seen != nil {
		d.Seen(n, path)
	}
}

// Unknown reports a key that is none of those that an object has.
func (d *Decoder) Unknown(key *Node, path string, known []string) {
	e := d.Fail(key, path, "got the unknown key %q", Clip(key.Value))
	near := Nearest(key.Value, known)
	d.misspelt[Member(path, near)] = true
	var places []string
	if d.Elsewhere != nil {
		places = d.Elsewhere(key.Value)
	}
	switch {
	case len(places) > 0:
		e.Advice = fmt.Sprintf("%q belongs to %s", key.Value, strings.Join(places, " or "))
	case near != "":
		e.Advice = fmt.Sprintf("write %q", near)
	default:
		e.Problem += ", want " + strings.Join(known, ", ")
	}
}

// Misspelt reports whether a key seems to be there, but with another spelling. Then
// it is not missing as well.
func (d *Decoder) Misspelt(path string) bool { return d.misspelt[path] }

// ByKind reads a value that has several forms, told apart by their kind.
//
//go:noinline
func (d *Decoder) ByKind(forms map[Kind]Field) Field {
	read := func(n *Node, path string) {
		if f, ok := forms[n.Kind]; ok && !IsNull(n) {
			f.Read(n, path)
			return
		}
		var want []string
		words := map[Kind]string{Scalar: "a value", List: "a list", Mapping: "a mapping"}
		for _, k := range among(forms) {
			want = append(want, words[k])
		}
		d.Fail(n, path, "got %s, want %s", KindOf(n), strings.Join(want, " or "))
	}
	return Field{Read: read, Shape: func() Shape {
		var all []Shape
		for _, k := range among(forms) {
			all = append(all, forms[k].Shape())
		}
		return Shape{"anyOf": all}
	}}
}

// among are the kinds that a value may have, in the order in which they are told.
func among(forms map[Kind]Field) []Kind {
	return slices.DeleteFunc([]Kind{Scalar, List, Mapping}, func(k Kind) bool { _, ok := forms[k]; return !ok })
}

// Each reads a list. An item that is refused is in the list as well.
//
//go:noinline
func Each[T any](d *Decoder, into *[]T, item func(*T) Field) Field {
	read := func(n *Node, path string) {
		if n.Kind != List {
			d.Fail(n, path, "got %s, want a list", KindOf(n))
			return
		}
		for i, c := range n.Content {
			var v T
			d.saw(c, Item(path, i))
			item(&v).Read(c, Item(path, i))
			*into = append(*into, v)
		}
	}
	return Field{Read: read, Shape: func() Shape {
		var v T
		return Shape{"type": "array", "items": item(&v).Shape()}
	}}
}

// Pointer reads into a new value, so that nil means that it is not there.
//
//go:noinline
func Pointer[T any](into **T, field func(*T) Field) Field {
	read := func(n *Node, path string) {
		v := new(T)
		field(v).Read(n, path)
		*into = v
	}
	return Field{Read: read, Shape: func() Shape { return field(new(T)).Shape() }}
}

// Scalar returns the text of one value, whatever YAML takes it for. want says in
// errors what it should be.
func (d *Decoder) Scalar(n *Node, path, want string) (string, bool) {
	if n.Kind != Scalar || IsNull(n) {
		d.Fail(n, path, "got %s, want %s", KindOf(n), want)
		return "", false
	}
	return n.Value, true
}

// Text reads a value as it is written: a number or boolean is text as well.
//
//go:noinline
func (d *Decoder) Text(into *string) Field {
	read := func(n *Node, path string) { *into, _ = d.Scalar(n, path, "a value") }
	return Field{Read: read, Shape: func() Shape { return Shape{"type": []string{"string", "number", "boolean"}} }}
}

// OptionalText reads a text and keeps an empty one apart from none.
func (d *Decoder) OptionalText(into **string) Field { return Pointer(into, d.Text) }

// Texts reads a list of texts.
func (d *Decoder) Texts(into *[]string) Field { return Each(d, into, d.Text) }

// Matches reports whether a text is as a regular expression says.
func (d *Decoder) Matches(expression, text string) bool {
	form, ok := d.Compiled[expression]
	if !ok {
		form, ok = d.forms[expression]
	}
	if !ok {
		form = regexp.MustCompile(expression)
		d.forms[expression] = form
	}
	return form.MatchString(text)
}

// Matching reads a text that is as a regular expression says; want says it in words.
//
//go:noinline
func (d *Decoder) Matching(into *string, expression, want string) Field {
	read := func(n *Node, path string) {
		text, ok := d.Scalar(n, path, "a value")
		*into = text
		if ok && !d.Matches(expression, text) {
			d.Fail(n, path, "got %q, want %s", Clip(text), want)
		}
	}
	return Field{Read: read, Shape: func() Shape { return Shape{"type": []string{"string", "number"}, "pattern": expression} }}
}

// Hidden is Matching for a value that may be a secret: errors do not show it.
//
//go:noinline
func (d *Decoder) Hidden(into *string, expression, want string) Field {
	read := func(n *Node, path string) {
		if n.Kind != Scalar {
			d.Fail(n, path, "got %s, want %s", KindOf(n), want)
			return
		}
		*into = n.Value
		if !d.Matches(expression, *into) {
			d.Fail(n, path, "got %d characters that are something else, want %s", len(*into), want)
		}
	}
	return Field{Read: read, Shape: func() Shape { return Shape{"type": []string{"string", "number"}, "pattern": expression} }}
}

// Parsed reads a value with the parser of its type, whose error is the problem.
//
//go:noinline
func Parsed[T any](d *Decoder, into *T, parse func(string) (T, error)) Field {
	return Field{Read: func(n *Node, path string) {
		text, ok := d.Scalar(n, path, "a value")
		if !ok {
			return
		}
		v, err := parse(text)
		if err != nil {
			d.Fail(n, path, "%v", err)
			return
		}
		*into = v
	}}
}

// OneOf reads one of some words.
//
//go:noinline
func OneOf[T ~string](d *Decoder, into *T, words ...T) Field {
	read := func(n *Node, path string) {
		text, ok := d.Scalar(n, path, "a value")
		*into = T(text)
		if !ok || slices.Contains(words, *into) {
			return
		}
		var all []string
		for _, w := range words {
			all = append(all, string(w))
		}
		d.Fail(n, path, "got %q, want %s", Clip(text), strings.Join(all, ", ")).Advice = Suggest(text, all)
	}
	return Field{Read: read, Shape: func() Shape { return Shape{"enum": words} }}
}

// Flag reads true or false, and not the other words that older YAML takes for them.
//
//go:noinline
func (d *Decoder) Flag(into *bool) Field {
	read := func(n *Node, path string) {
		if n.Kind != Scalar || n.Tag != "!!bool" || n.Decode(into) != nil {
			d.Fail(n, path, "got %s, want true or false", KindOf(n)).Advice = unquote(n)
		}
	}
	return Field{Read: read, Shape: func() Shape { return Shape{"type": "boolean"} }}
}

// wholeNumber has no second reading: a zero in front makes a number octal, and
// underscores are part of numbers, to some readers only.
const wholeNumber = `^(0|[1-9][0-9]{0,18}|0x[0-9a-fA-F]{1,15})$`

// Number reads a whole number within bounds, in decimal or hexadecimal digits.
//
//go:noinline
func Number[T ~int | ~uint16](d *Decoder, into *T, low, high int) Field {
	read := func(n *Node, path string) {
		v, err := strconv.ParseInt(n.Value, 0, 64)
		if n.Kind != Scalar || n.Tag != "!!int" || !d.Matches(wholeNumber, n.Value) || err != nil || v < int64(low) || v > int64(high) {
			d.Fail(n, path, "got %s, want a number from %d to %d", KindOf(n), low, high).Advice = unquote(n)
			return
		}
		*into = T(v)
	}
	return Field{Read: read, Shape: func() Shape { return Shape{"type": "integer", "minimum": low, "maximum": high} }}
}

// unquote is the advice for a number or boolean that is text because of its quotes.
func unquote(n *Node) string {
	if n.Style&(DoubleQuoted|SingleQuoted) != 0 {
		return "write it without quotes"
	}
	return ""
}

// Any reads any value into what encoding/json would make of it.
//
//go:noinline
func (d *Decoder) Any(into *any) Field {
	read := func(n *Node, path string) { *into = d.anything(n, path) }
	return Field{Read: read, Shape: func() Shape { return Shape{} }}
}

func (d *Decoder) anything(n *Node, path string) any {
	switch n.Kind {
	case List:
		all := []any{}
		for i, c := range n.Content {
			all = append(all, d.anything(c, Item(path, i)))
		}
		return all
	case Mapping:
		all := map[string]any{}
		d.Pairs(n, path, func(key, value *Node) { all[key.Value] = d.anything(value, Member(path, key.Value)) })
		return all
	}
	return d.anyScalar(n, path)
}

func (d *Decoder) anyScalar(n *Node, path string) any {
	var v any
	switch n.Tag {
	case "!!null":
		return nil
	case "!!int", "!!float", "!!bool":
		if err := n.Decode(&v); err != nil || d.Matches(`(?i)^[-+]?\.(inf|nan)$`, n.Value) {
			d.Fail(n, path, "got a number that JSON does not have")
			return nil
		}
		return v
	}
	return n.Value
}
