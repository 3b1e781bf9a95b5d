// Package forms takes bytes out of the texts that tools carry them in: hexadecimal
// digits, Base64, PEM, percent-encoding, listings of bytes, and members of JSON. Its
// caller says what is looked for, so a form counts only if what is inside is that; it
// knows nothing of quotes and certificates, and verifies nothing.
package forms

import (
	"bytes"
	"strings"
)

// Known names the forms, for a message about a text that is none of them.
const Known = "the bytes themselves, Base64 or base64url, hexadecimal digits with or without 0x, PEM, a listing of bytes (xxd, hexdump -C, an array of C or JSON), percent-encoding, or a member of a JSON document that is one of them"

// Bounds of one search.
const (
	// maxDepth is how many forms are within each other: Base64 of a JSON document with
	// hexadecimal digits is three.
	maxDepth = 5
	// maxLevel is how deep in a JSON document anything is looked for.
	maxLevel = 16
	// maxNodes bounds how many values of JSON documents are looked at.
	maxNodes = 20_000
	// maxWork bounds how many bytes are looked at, over all forms; a text of 4 MB in
	// three forms stays below it.
	maxWork = 24 << 20
)

// Found is something that was found in a text.
type Found struct {
	// Bytes are what was looked for.
	Bytes []byte
	// As says how it was read, from the outside in, such as "the member quote of JSON,
	// Base64". It is empty for the text as it stands.
	As string
}

// Find returns everything in a text that accept takes, each once and in the order of
// the text. What accept takes is not looked into. Where two forms are possible, that
// with something in it counts. It returns nil when nothing is found, or the text is
// larger than anything that is worth looking for.
func Find(text []byte, accept func([]byte) bool) []Found {
	s := search{accept: accept}
	s.look(text, nil, 0)
	if len(s.found) == 0 {
		return nil
	}
	return s.found
}

// One is Find for what there is one of. Without any, or with several different ones, ok
// is false, and all says what there is.
func One(text []byte, accept func([]byte) bool) (one Found, all []Found, ok bool) {
	all = Find(text, accept)
	if len(all) != 1 {
		return Found{}, all, false
	}
	return all[0], all, true
}

// search is one run of Find.
type search struct {
	accept      func([]byte) bool
	found       []Found
	nodes, work int
}

// look takes a text as it stands, or else takes a form off it and looks again. way are
// the forms that were taken off.
func (s *search) look(text []byte, way []string, depth int) {
	text = bytes.TrimPrefix(text, []byte("\ufeff")) // before anybody takes it for a part of the first line
	if s.work += len(text); s.work > maxWork || len(text) == 0 {
		return
	}
	if s.accept(text) {
		s.add(text, way)
		return
	}
	if depth == maxDepth {
		return
	}
	if inner, name, ok := trimmed(text); ok {
		s.look(inner, with(way, name), depth+1)
		return
	}
	if !printable(text) {
		return
	}
	before := len(s.found)
	if begins := text[0]; begins == '{' || begins == '[' || begins == '"' {
		s.json(text, way, depth)
	}
	for _, f := range encodings() {
		if inner, ok := f.decode(text); ok && len(s.found) == before {
			s.look(inner, with(way, f.name), depth+1)
		}
	}
}

func (s *search) add(text []byte, way []string) {
	for _, f := range s.found {
		if bytes.Equal(f.Bytes, text) {
			return
		}
	}
	s.found = append(s.found, Found{text, strings.Join(way, ", ")})
}

// with is a longer way. An empty name is nothing to tell.
func with(way []string, name string) []string {
	if name == "" {
		return way
	}
	return append(way[:len(way):len(way)], name)
}

// trimmed takes off what editors, shells and C strings leave around a text. Blanks are
// not worth telling.
func trimmed(text []byte) (inner []byte, name string, ok bool) {
	if inner, ok := fromUTF16(text); ok {
		return inner, "UTF-16", true
	}
	if n := bytes.TrimRight(text, "\x00"); len(n) < len(text) && printable(n) {
		return n, "a NUL at its end", true
	}
	if inner = text; printable(text) {
		inner = bytes.TrimSpace(text)
	}
	return inner, "", len(inner) < len(text) && len(inner) > 0
}

// printable reports whether a text has no control characters but blanks, so that it may
// be a form of something else.
func printable(text []byte) bool {
	for _, c := range text {
		if c < ' ' && c != '\n' && c != '\r' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
