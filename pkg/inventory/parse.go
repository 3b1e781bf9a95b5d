package inventory

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
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/document"
	"github.com/confidb/confidb/pkg/nearest"
	"github.com/confidb/confidb/pkg/sgx"
)

// MaxFile bounds a document, in bytes; a node takes about 450.
const MaxFile = 4 << 20

// Error says what is wrong at one place of an inventory.
type Error = document.Error

// IsFile reports whether text says that it is an inventory.
func IsFile(text []byte) bool {
	return regexp.MustCompile(`(?m)^["']?kind["']?:\s*["']?` + regexp.QuoteMeta(Kind) + `["']?\s*(#.*)?$`).Match(text)
}

// Parse reads an inventory, strictly: nothing is left out or means two things. name
// is the file's. The first problem is an *Error with its place.
func Parse(name string, text []byte) (*File, error) {
	d := decoder{name}
	root, err := d.document(text)
	if err != nil {
		return nil, err
	}
	var kind string
	f := &File{}
	if err := d.object(root, []string{"kind", "nodes"}, map[string]field{
		"kind": func(n *yaml.Node) error {
			return d.text(&kind, func(text string) bool { return text == Kind }, Kind)(n)
		},
		"nodes": func(n *yaml.Node) error {
			if n.Kind != yaml.SequenceNode {
				return d.fail(n, "nodes: got %s, want a list", kindOf(n))
			}
			return d.nodes(f, n.Content)
		},
	}); err != nil {
		return nil, err
	}
	slices.SortFunc(f.Nodes, func(a, b Node) int { return strings.Compare(a.Name, b.Name) })
	return f, nil
}

// decoder reads the parts of one file.
type decoder struct{ file string }

// field reads one value.
type field func(*yaml.Node) error

func (d decoder) fail(n *yaml.Node, format string, arguments ...any) error {
	return &Error{File: d.file, Line: max(1, n.Line), Column: max(1, n.Column), Problem: fmt.Sprintf(format, arguments...)}
}

// document returns the only document's root, in which nothing means something else
// than it says where one looks.
func (d decoder) document(text []byte) (*yaml.Node, error) {
	var first, second yaml.Node
	start := &yaml.Node{}
	if len(text) > MaxFile {
		return nil, d.fail(start, "got %d bytes, want at most %d", len(text), MaxFile)
	}
	if !utf8.Valid(text) {
		return nil, d.fail(start, "got bytes that are not UTF-8")
	}
	stream := yaml.NewDecoder(bytes.NewReader(text))
	switch err := stream.Decode(&first); {
	case errors.Is(err, io.EOF):
		return nil, d.fail(start, "got an empty file, want kind: %s", Kind)
	case err != nil:
		return nil, d.syntax(err)
	}
	switch err := stream.Decode(&second); {
	case err == nil:
		return nil, d.fail(&second, "got a second document, want one in a file")
	case !errors.Is(err, io.EOF):
		return nil, d.syntax(err)
	}
	return first.Content[0], d.plain(first.Content[0])
}

// syntax gives the line that the YAML library says, which may be the one before.
func (d decoder) syntax(err error) error {
	at := &yaml.Node{Line: 1}
	problem := strings.TrimPrefix(err.Error(), "yaml: ")
	if found := regexp.MustCompile(`^line (\d+): `).FindStringSubmatch(problem); found != nil {
		at.Line, _ = strconv.Atoi(found[1]) // digits, as the expression says
		problem = strings.TrimPrefix(problem, found[0])
	}
	return d.fail(at, "got text that is not YAML: %.80s", problem)
}

func (d decoder) plain(n *yaml.Node) error {
	if n.Kind == yaml.AliasNode || n.Anchor != "" || n.Style&yaml.TaggedStyle != 0 {
		return d.fail(n, "got an alias, anchor or tag, want the value itself")
	}
	for _, c := range n.Content {
		if err := d.plain(c); err != nil {
			return err
		}
	}
	return nil
}

// object reads a mapping of known keys, of which some must be there.
func (d decoder) object(n *yaml.Node, required []string, fields map[string]field) error {
	if n.Kind != yaml.MappingNode {
		return d.fail(n, "got %s, want a mapping", kindOf(n))
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		read, known := fields[key.Value]
		switch {
		case key.Kind != yaml.ScalarNode || !known:
			return d.unknown(key, fields)
		case seen[key.Value]:
			return d.fail(key, "got the key %q a second time, want it once", key.Value)
		}
		seen[key.Value] = true
		if err := read(value); err != nil {
			return err
		}
	}
	for _, key := range required {
		if !seen[key] {
			return d.fail(n, "got no %s, want it", key)
		}
	}
	return nil
}

func (d decoder) unknown(key *yaml.Node, fields map[string]field) error {
	words := slices.Sorted(maps.Keys(fields))
	e := &Error{File: d.file, Line: key.Line, Column: key.Column, Problem: fmt.Sprintf("got the unknown key %.80q, want %s", key.Value, strings.Join(words, ", "))}
	if best := nearest.Word(key.Value, words); best != "" {
		e.Advice = fmt.Sprintf("write %q", best)
	}
	return e
}

func kindOf(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Tag == "!!null":
		return "nothing"
	}
	return fmt.Sprintf("%.80q", n.Value)
}

// text reads a value that is as it should be; want says how.
func (d decoder) text(into *string, fits func(string) bool, want string) field {
	return func(n *yaml.Node) error {
		if n.Kind != yaml.ScalarNode || n.Tag == "!!null" || !fits(n.Value) {
			return d.fail(n, "got %s, want %s", kindOf(n), want)
		}
		*into = n.Value
		return nil
	}
}

// parsed reads a value with the parser of its type.
func parsed[T any](d decoder, into *T, parse func(string) (T, error)) field {
	return func(n *yaml.Node) error {
		if n.Kind != yaml.ScalarNode {
			return d.fail(n, "got %s, want one value", kindOf(n))
		}
		v, err := parse(n.Value)
		if err != nil {
			return d.fail(n, "%v", err)
		}
		*into = v
		return nil
	}
}

func (d decoder) nodes(f *File, items []*yaml.Node) error {
	lines := map[string]int{}
	for _, item := range items {
		n, err := d.node(item)
		if err != nil {
			return err
		}
		if earlier := lines[n.Name]; earlier != 0 {
			return d.fail(item, "node %q is in line %d already", n.Name, earlier)
		}
		lines[n.Name] = item.Line
		f.Nodes = append(f.Nodes, n)
	}
	return nil
}

// maxFree bounds text that a node gives of itself, in characters.
const maxFree = 256

// printable reports whether text is in one line and not long.
func printable(text string) bool {
	return text != "" && utf8.RuneCountInString(text) <= maxFree && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}

// isName reports whether text could be the name of a node.
func isName(text string) bool {
	const inside, outside = "abcdefghijklmnopqrstuvwxyz0123456789-.", "-."
	return text != "" && len(text) <= 253 && strings.Trim(text, inside) == "" && strings.Trim(text, outside) == text
}

func isFMSPC(text string) bool {
	return len(text) == 12 && strings.Trim(text, "0123456789abcdef") == ""
}

func isNumber(text string) bool {
	return text == "0" || text != "" && len(text) <= 6 && text[0] != '0' && strings.Trim(text, "0123456789") == ""
}

func isWord(text string) bool { return text != "" }

func (d decoder) node(item *yaml.Node) (Node, error) {
	var n Node
	var q Quote
	var generation, evaluation string
	quoted := []string{"fmspc", "tcbStatus", "tcbEvaluation"}
	required := []string{"node", "platformID", "generation", "provenance", "firstSeen", "lastSeen"}
	if err := d.object(item, required, map[string]field{
		"node":          d.text(&n.Name, isName, "the name of a node"),
		"platformID":    parsed(d, &n.ID, attest.ParsePlatformID),
		"generation":    d.text(&generation, isWord, "a generation"),
		"provenance":    parsed(d, &n.Provenance, parseProvenance),
		"fmspc":         d.text(&q.FMSPC, isFMSPC, "12 lower-case hexadecimal digits"),
		"tcbStatus":     parsed(d, &q.Status, parseStatus),
		"tcbEvaluation": d.text(&evaluation, isNumber, "a number"),
		"kernelVersion": d.text(&n.KernelVersion, printable, "printable text"),
		"osImage":       d.text(&n.OSImage, printable, "printable text"),
		"bootID":        d.text(&n.BootID, printable, "printable text"),
		"firstSeen":     parsed(d, &n.FirstSeen, ParseDate),
		"lastSeen":      parsed(d, &n.LastSeen, ParseDate),
		"retired":       parsed(d, &n.Retired, ParseDate),
	}); err != nil {
		return n, err
	}
	q.EvaluationNumber, _ = strconv.Atoi(evaluation) // digits, or it is not there
	if n.Provenance == attest.Quoted {
		n.Quote = &q
		if err := d.hasKeys(item, quoted, true); err != nil {
			return n, err
		}
	} else if err := d.hasKeys(item, quoted, false); err != nil {
		return n, err
	}
	return n, d.agrees(item, n, generation)
}

// hasKeys wants all of these keys to be there, or none.
func (d decoder) hasKeys(item *yaml.Node, keys []string, want bool) error {
	for _, key := range keys {
		has := false
		for i := 0; i < len(item.Content); i += 2 {
			has = has || item.Content[i].Value == key
		}
		switch {
		case has && !want:
			return d.fail(item, "got %s of an ID that is not quoted", key)
		case !has && want:
			return d.fail(item, "got no %s of an ID that is quoted, want it", key)
		}
	}
	return nil
}

// agrees refuses a node whose fields contradict each other.
func (d decoder) agrees(item *yaml.Node, n Node, generation string) error {
	switch {
	case generation != string(n.ID.Generation()):
		return d.fail(item, "node %q: got generation %.40q of a platform ID of generation %s", n.Name, generation, n.ID.Generation())
	case n.Quote != nil && n.ID.Generation() != attest.IntelQEID:
		return d.fail(item, "node %q: got a quoted ID of SCONE up to 6, which is in no quote of Intel's", n.Name)
	case n.LastSeen < n.FirstSeen:
		return d.fail(item, "node %q: got lastSeen %s before firstSeen %s", n.Name, n.LastSeen, n.FirstSeen)
	case n.Retired != "" && n.Retired < n.LastSeen:
		return d.fail(item, "node %q: got retired %s before lastSeen %s", n.Name, n.Retired, n.LastSeen)
	}
	return nil
}

func parseProvenance(text string) (attest.Provenance, error) {
	p := attest.Provenance(text)
	if !slices.Contains([]attest.Provenance{attest.Quoted, attest.Declared, attest.Claimed}, p) {
		return "", fmt.Errorf("got provenance %.40q, want %s, %s or %s", text, attest.Quoted, attest.Declared, attest.Claimed)
	}
	return p, nil
}

func parseStatus(text string) (sgx.TCBStatus, error) {
	var s sgx.TCBStatus
	err := s.UnmarshalText([]byte(text))
	return s, err
}
