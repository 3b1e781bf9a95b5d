package forms

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// json looks at every value of a JSON document, or of several objects and lists that follow
// each other. A text of which not all is JSON is none.
func (s *search) json(text []byte, way []string, depth int) {
	var documents []json.RawMessage
	decoder := json.NewDecoder(bytes.NewReader(text))
	for {
		var document json.RawMessage
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return
		}
		if documents = append(documents, document); len(documents) > 1 && (!isCompound(document) || !isCompound(documents[0])) {
			return
		}
	}
	for _, document := range documents {
		s.value(document, "", place{way, depth, 0})
	}
}

// isCompound reports whether a value is an object or a list.
func isCompound(value json.RawMessage) bool { return value[0] == '{' || value[0] == '[' }

// place is how a value was come to: the forms around its document, how many there are,
// and how deep in the document it is.
type place struct {
	way          []string
	depth, level int
}

func (p place) deeper() place { return place{p.way, p.depth, p.level + 1} }

// value looks at one value: as text if it is one, else as it stands, then inside.
func (s *search) value(raw json.RawMessage, path string, p place) {
	s.nodes++
	if s.work += len(raw); s.nodes > maxNodes || s.work > maxWork || p.level > maxLevel {
		return
	}
	switch raw[0] {
	case '"':
		var text string
		if json.Unmarshal(raw, &text) == nil {
			s.look([]byte(text), with(p.way, member(path)), p.depth+1)
		}
	case '{':
		if s.accept(raw) {
			s.add(raw, with(p.way, member(path)))
			return
		}
		s.members(raw, path, p.deeper())
	case '[':
		if numbers, ok := byteArray(raw); ok {
			way := p.way
			if path != "" {
				way = with(way, member(path))
			}
			s.look(numbers, with(way, "an array of numbers"), p.depth+1)
			return
		}
		s.elements(raw, path, p.deeper())
	}
}

// members looks at the values of an object, also at those of a name that is there twice.
func (s *search) members(raw json.RawMessage, path string, p place) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.Token()
	for decoder.More() {
		name, err := decoder.Token()
		var value json.RawMessage
		if err != nil || decoder.Decode(&value) != nil {
			return
		}
		s.value(value, strings.TrimPrefix(path+"."+fmt.Sprint(name), "."), p)
	}
}

func (s *search) elements(raw json.RawMessage, path string, p place) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.Token()
	for i := 0; decoder.More(); i++ {
		var value json.RawMessage
		if decoder.Decode(&value) != nil {
			return
		}
		s.value(value, fmt.Sprintf("%s[%d]", path, i), p)
	}
}

// member says where in a document something stands.
func member(path string) string {
	if path == "" {
		return "a text in JSON"
	}
	if len(path) > maxPath {
		path = strings.ToValidUTF8(path[:maxPath], "") + "…"
	}
	return "the member " + path + " of JSON"
}

// maxPath bounds how much of the way to a member is told, in bytes.
const maxPath = 80

// byteArray reads an array of numbers from 0 to 255.
func byteArray(raw json.RawMessage) ([]byte, bool) {
	if !bytes.ContainsAny(raw[1:min(len(raw), 8)], "0123456789") {
		return nil, false
	}
	var numbers []uint8
	var list []uint16
	if json.Unmarshal(raw, &list) != nil || len(list) == 0 {
		return nil, false
	}
	for _, n := range list {
		if n > 0xff {
			return nil, false
		}
		numbers = append(numbers, byte(n))
	}
	return numbers, true
}

// Members returns the members of a JSON object, each value as it stands. A name that is
// there twice is an error: readers differ in which of them counts.
func Members(text []byte) (map[string]json.RawMessage, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	start, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	if start != json.Delim('{') {
		return nil, fmt.Errorf("got %.40v, want an object", start)
	}
	all := map[string]json.RawMessage{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, err
		}
		name := fmt.Sprint(token)
		if _, twice := all[name]; twice {
			return nil, fmt.Errorf("the member %.40q is there twice", name)
		}
		all[name] = value
	}
	if _, err := decoder.Token(); err != nil {
		return nil, err
	}
	if len(bytes.Trim(text[decoder.InputOffset():], " \t\r\n")) > 0 {
		return nil, errors.New("got something after the object")
	}
	return all, nil
}
