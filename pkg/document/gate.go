package document

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

const (
	// MaxText bounds a document, in bytes, unless its Gate says otherwise.
	MaxText = 1 << 20
	// maxDepth bounds how many lists and mappings are within each other.
	maxDepth = 64
)

// byteOrderMark begins a text that Windows' Notepad saved as "UTF-8 with BOM".
const byteOrderMark = "\ufeff"

// WithoutMark takes the byte order mark off the beginning of a text.
func WithoutMark(text []byte) []byte { return bytes.TrimPrefix(text, []byte(byteOrderMark)) }

// Gate is what differs between the documents that Read lets through. Nothing else
// does: each kind of document is read as strictly as every other.
type Gate struct {
	// Most bounds the text, in bytes; 0 means MaxText.
	Most int
	// Want says what an empty document should be, Advice what to do about it.
	Want, Advice string
	// Aliases lets anchors, aliases, merges and tags through, for documents of others: of
	// Kubernetes, whose readers all take them.
	Aliases bool
}

// Read returns the document node of the only document in a text. It refuses what one
// reader takes for something else than another does: text that is not what it looks
// like, a second document, aliases, anchors, tags, merges and keys that are there twice.
// After a problem it returns nil, since looking for further ones would be pointless.
func (p *Problems) Read(text []byte, g Gate) *Node {
	before := p.count
	text, ok := p.Characters(text, g.Most)
	if !ok {
		return nil
	}
	var first, second Node
	stream := yaml.NewDecoder(bytes.NewReader(text))
	switch err := stream.Decode(&first); {
	case errors.Is(err, io.EOF), err == nil && (len(first.Content) != 1 || IsNull(first.Content[0])):
		p.empty(g)
		return nil
	case err != nil:
		p.syntax(text, err)
		return nil
	}
	switch err := stream.Decode(&second); {
	case err == nil:
		p.Fail(&second, "", "got a second document, want one in a file").Advice = "remove it, or put it into a file of its own"
		return nil
	case !errors.Is(err, io.EOF):
		p.syntax(text, err)
		return nil
	}
	walk := values{p, cursor{text: text, line: 1, column: 1}, g.Aliases}
	walk.value(first.Content[0], "", 0)
	if p.count > before {
		return nil
	}
	return &first
}

func (p *Problems) empty(g Gate) {
	if g.Want == "" {
		p.At(1, 1, "", "got an empty document").Advice = g.Advice
		return
	}
	p.At(1, 1, "", "got an empty document, want %s", g.Want).Advice = g.Advice
}

// Characters takes the byte order mark off a text and refuses what is not what it looks
// like: other encodings than UTF-8, invisible characters, and line breaks that only
// some readers know. most bounds the text, in bytes; 0 means MaxText.
func (p *Problems) Characters(text []byte, most int) ([]byte, bool) {
	if most == 0 {
		most = MaxText
	}
	if len(text) > most {
		p.At(1, 1, "", "got %d bytes, want at most %d", len(text), most)
		return nil, false
	}
	text = WithoutMark(text)
	for i := 0; i < len(text); {
		if c := text[i]; ' ' <= c && c <= '~' || c == '\n' || c == '\t' {
			i++
			continue
		}
		r, size := utf8.DecodeRune(text[i:])
		if problem, advice := refuse(r, text[i:], size); problem != "" {
			line, column := position(text[:i])
			p.At(line, column, "", "%s", problem).Advice = advice
			return nil, false
		}
		i += size
	}
	return text, true
}

// refuse says what is wrong with the character that begins a text, and what to do
// about it.
func refuse(r rune, text []byte, size int) (problem, advice string) {
	switch {
	case r == utf8.RuneError && size == 1:
		return fmt.Sprintf("got the byte 0x%02x, want UTF-8", text[0]), "save the file as UTF-8"
	case bytes.HasPrefix(text, []byte("\r\n")):
		return "", ""
	case strings.ContainsRune("\r\u0085\u2028\u2029", r):
		return fmt.Sprintf("got the line break %U, want LF or CR LF", r), "remove it"
	case r == '\ufeff':
		return fmt.Sprintf("got a byte order mark (%U) within the text, want it at the beginning or not at all", r), "remove it"
	case Invisible(r), r == '\ufffe', r == '\uffff':
		return fmt.Sprintf("got the invisible character %U, want text that reads as it is shown", r), "remove it, or write it as an escape between double quotes"
	}
	return "", ""
}

// Invisible reports whether a character changes how text is shown without being seen
// itself: control characters and those that turn the direction of writing (Trojan
// Source, CVE-2021-42574).
func Invisible(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }

// position is the line and column, in characters, of what follows the text.
func position(before []byte) (line, column int) {
	start := bytes.LastIndexByte(before, '\n') + 1
	return 1 + bytes.Count(before, []byte("\n")), 1 + utf8.RuneCount(before[start:])
}

const (
	shapeAdvice = "look at this line and the ones beside it; YAML wants the same indentation for all keys of a mapping, and spaces"
	starAdvice  = "write each value out, or put text that begins with * or & between quotes: YAML takes it for an alias or anchor, which are not allowed here"
)

// syntax reports what the YAML library says. It knows only a line, which may be the
// one before, and none for the first line.
func (p *Problems) syntax(text []byte, err error) {
	line, column, advice := 1, 1, shapeAdvice
	problem := strings.TrimPrefix(err.Error(), "yaml: ")
	if found := regexp.MustCompile(`^line (\d+): `).FindStringSubmatch(problem); found != nil {
		line, _ = strconv.Atoi(found[1]) // digits, as the expression says
		problem = strings.TrimPrefix(problem, found[0])
	}
	if found := regexp.MustCompile(`^unknown anchor '(.*)' referenced`).FindStringSubmatch(problem); found != nil {
		line, column = position(text[:max(0, bytes.Index(text, []byte("*"+found[1])))])
		advice = starAdvice
	}
	if strings.Contains(problem, "alphabetic or numeric character") { // a * or & without a name
		advice = starAdvice
	}
	p.At(line, column, "", "got text that is not YAML: %s", Clip(problem)).Advice = advice
}

// values looks at all values of a document, in the order of its text.
type values struct {
	*Problems
	at      cursor
	aliases bool
}

// value refuses what makes a value something else than what is written at its place.
func (v *values) value(n *Node, path string, depth int) {
	begins := v.at.move(n.Line, n.Column)
	switch {
	case n.Kind != Scalar && depth >= maxDepth:
		v.Fail(n, "", "got values nested more than %d deep", maxDepth)
		return
	case v.aliases:
	case n.Kind == yaml.AliasNode:
		v.Fail(n, "", "got the alias *%s, want the value itself", Clip(n.Value)).Advice = starAdvice
	case n.Anchor != "":
		v.Fail(n, "", "got the anchor &%s, want a value without one", Clip(n.Anchor)).Advice = "remove it: there are no aliases"
	case n.Style&yaml.TaggedStyle != 0:
		v.Fail(n, "", "got the tag %q, want a value without one", Clip(n.Tag)).Advice = "remove it; what is between quotes is text"
	case begins == '!': // a tag without a name: text to YAML, nothing to some libraries
		v.Fail(n, "", "got the tag \"!\", want a value without one").Advice = "remove it; what is between quotes is text"
	}
	if n.Kind == Mapping {
		v.members(n, path, depth)
		return
	}
	for i, c := range n.Content {
		v.value(c, Item(path, i), depth+1)
	}
}

func (v *values) members(n *Node, path string, depth int) {
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		v.value(key, "", depth+1)
		switch {
		case v.aliases && key.Tag == "!!merge":
		case key.Kind != Scalar || IsNull(key):
			v.Fail(key, path, "got %s as a key, want a word", KindOf(key))
		case key.Tag == "!!merge":
			v.Fail(key, path, "got the merge <<, want the keys themselves").Advice = "write the keys out; YAML's merges are not allowed here"
		case seen[key.Value]:
			v.Fail(key, path, "got the key %q a second time, want it once", Clip(key.Value)).Advice = "keep one of them"
		}
		seen[key.Value] = true
		v.value(value, Member(path, key.Value), depth+1)
	}
}

// cursor follows the places of values through a text. Their order is that of the
// text, so it reads the text once.
type cursor struct {
	text             []byte
	at, line, column int
}

// move goes forward to a place and returns the byte there, or 0 at the end.
func (c *cursor) move(line, column int) byte {
	for c.at < len(c.text) && (c.line < line || c.line == line && c.column < column) {
		r, size := utf8.DecodeRune(c.text[c.at:])
		c.at += size
		c.column++
		if r == '\n' {
			c.line, c.column = c.line+1, 1
		}
	}
	if c.at == len(c.text) || c.line != line || c.column != column {
		return 0
	}
	return c.text[c.at]
}
