package document_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/confidb/confidb/pkg/document"
)

const bom = "\ufeff"

// refused wants an error that says all of this, and whose place is in the document.
func refused(t *testing.T, what string, err error, want ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: accepted", what)
		return
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%s: got %.200v, want %q", what, err, w)
		}
	}
	if len(err.Error()) > 4096 {
		t.Errorf("%s: an error of %d bytes", what, len(err.Error()))
	}
}

func TestGateOfDepth(t *testing.T) {
	for text, good := range map[string]bool{
		strings.Repeat("[", 64) + "x" + strings.Repeat("]", 64):     true,
		strings.Repeat("[", 65) + strings.Repeat("]", 65):           false,
		strings.Repeat("{a: ", 64) + "x" + strings.Repeat("}", 64):  true,
		strings.Repeat("{a: ", 65) + "x" + strings.Repeat("}", 65):  false,
		strings.Repeat("- ", 64) + "x":                              true,
		strings.Repeat("- ", 65) + "x":                              false,
		strings.Repeat("[", 200000) + strings.Repeat("]", 200000):   false,
		strings.Repeat("- ", 9000) + "x":                            false,
		"[" + strings.Repeat("[],", 1000) + strings.Repeat("]", 1):  true,
		strings.Repeat("? ", 65) + "x" + strings.Repeat(": y", 100): false,
	} {
		var p document.Problems
		if got := p.Read([]byte(text), document.Gate{}) != nil; got != good {
			t.Errorf("%.20s…: read %v, want %v: %.200v", text, got, good, p.Err())
		}
	}
}

func TestGateOfSize(t *testing.T) {
	for _, c := range []struct {
		size, most int
		good       bool
	}{{10, 10, true}, {11, 10, false}, {document.MaxText, 0, true}, {document.MaxText + 1, 0, false}, {document.MaxText + 1, document.MaxText + 1, true}} {
		var p document.Problems
		text := "x" + strings.Repeat(" ", c.size-1)
		if got := p.Read([]byte(text), document.Gate{Most: c.most}) != nil; got != c.good {
			t.Errorf("%d bytes of %d: read %v, want %v: %v", c.size, c.most, got, c.good, p.Err())
		}
	}
}

func TestGateOfTagsThatAreDefined(t *testing.T) {
	p := document.Problems{File: "f"}
	p.Read([]byte("%TAG ! tag:e,2000:\n---\na: !x 1\n"), document.Gate{})
	refused(t, "a tag", p.Err(), `f:3:4: got the tag "tag:e,2000:x", want a value without one`)
}

func TestEmptyDocuments(t *testing.T) {
	for _, text := range []string{"", "\n", "# x\n", "---\n", "null", "~", bom, bom + "# x"} {
		p := document.Problems{File: "f"}
		if p.Read([]byte(text), document.Gate{Want: "a song", Advice: "sing"}) != nil {
			t.Errorf("%q: read", text)
		}
		err := p.Err()
		refused(t, text, err, "f:1:1: got an empty document, want a song")
		if got := hint(t, err); got != "sing" {
			t.Errorf("%q: hint %q", text, got)
		}
	}
}

func TestWord(t *testing.T) {
	for word, want := range map[string]string{
		"a": "a", "ns/db": "ns/db", "INTEL_QE_ID:00": "INTEL_QE_ID:00",
		"007": `"007"`, "1e3": `"1e3"`, "true": `"true"`, "": `""`, "~": `"~"`, "null": `"null"`, "a: b": `"a: b"`, "<<": `"<<"`, "- a": `"- a"`, "*a": `"*a"`,
	} {
		if got := document.Word(word); got != want {
			t.Errorf("%q is written %s, want %s", word, got, want)
		}
	}
}

// Whatever the text, what comes through the gate means what is written at its place.
func FuzzRead(f *testing.F) {
	for _, text := range []string{
		"", "a: b\n", "{a: [1, 'x', \"y\\n\"], ü: ~}\n", "- |\n  x\n- >-\n  y\n", "? a\n: b\n", "a: &x [*x]\n", "! a: ! b\n", "--- !!map\n", "a: !\n", "{a: !, b: ! }\n", "- !\n- ! \n",
		"a: 1\na: 2\n", "<<: {a: b}\n", "~: 1\n", "[[[[a]]]]", "a: # x\n  b: c # y\n", "%YAML 1.1\n---\na\n", "a\n---\nb\n", bom + "a: b\r\n", "# \u202e\n", "a: 'x\n\n  y'\n", "a:\t!b c\n",
		"\"a\":!x\n", "[a,!,b]", "{? !\n: x}", "a:\n!x b\n", "é: [é, ! é]\n", "a: &x b\n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p := document.Problems{File: "f"}
		whole := p.Read([]byte(text), document.Gate{})
		if (whole == nil) == (p.Err() == nil) {
			t.Fatalf("got %v and %v", whole, p.Err())
		}
		if !strings.HasPrefix(text, bom) {
			sameWithMark(t, text, whole, p.Err())
		}
		if whole == nil {
			checkPlaces(t, text, p.Err())
			return
		}
		text = strings.TrimPrefix(text, bom)
		if !utf8.ValidString(text) || strings.ContainsAny(text, "\x00\x1b\u0085\u009b\u2028\u2029\u202e\u2066\ufeff") {
			t.Fatalf("read %q", text)
		}
		checkValue(t, strings.Split(text, "\n"), whole.Content[0], 0)
	})
}

// sameWithMark sees that a byte order mark changes nothing, least of all a place.
func sameWithMark(t *testing.T, text string, whole *document.Node, err error) {
	t.Helper()
	if len(text)+len(bom) > document.MaxText {
		return
	}
	marked := document.Problems{File: "f"}
	again := marked.Read([]byte(bom+text), document.Gate{})
	if (again == nil) != (whole == nil) {
		t.Fatalf("read %v without mark and %v with it: %v, %v", whole != nil, again != nil, err, marked.Err())
	}
	if err != nil && err.Error() != marked.Err().Error() {
		t.Errorf("got %v without mark and %v with it", err, marked.Err())
	}
	if whole != nil && !samePlaces(whole, again) {
		t.Errorf("%q: the values are at other places with a mark", text)
	}
}

func samePlaces(a, b *document.Node) bool {
	if a.Line != b.Line || a.Column != b.Column || a.Value != b.Value || len(a.Content) != len(b.Content) {
		return false
	}
	for i := range a.Content {
		if !samePlaces(a.Content[i], b.Content[i]) {
			return false
		}
	}
	return true
}

// checkPlaces sees that problems are within the text and can be shown.
func checkPlaces(t *testing.T, text string, err error) {
	t.Helper()
	var all *document.Errors
	if !errors.As(err, &all) {
		t.Fatalf("got %v", err)
	}
	for _, e := range all.Problems {
		if e.Line < 1 || e.Line > 2+strings.Count(text, "\n") || e.Column < 1 {
			t.Errorf("%q: no place: %v", text, e)
		}
		if e.Problem == "" || strings.ContainsAny(e.Error()+e.Hint(), "\x1b\r\n\x07\u202e\u009b") {
			t.Errorf("got %q with %q", e, e.Hint())
		}
	}
}

// checkValue looks at a value and all within it with the eyes of somebody else.
func checkValue(t *testing.T, lines []string, n *document.Node, depth int) {
	t.Helper()
	if depth > 64 {
		t.Fatal("nested more than 64 deep")
	}
	if n.Kind == yaml.AliasNode || n.Anchor != "" || n.Style&yaml.TaggedStyle != 0 {
		t.Fatalf("got %+v", n)
	}
	rest := textAt(lines, n)
	if strings.HasPrefix(rest, "!") || strings.HasPrefix(rest, "&") || strings.HasPrefix(rest, "*") {
		t.Fatalf("%q is read at %d:%d", rest, n.Line, n.Column)
	}
	if n.Kind == document.Scalar && n.Style == 0 && !strings.HasPrefix(rest, strings.SplitN(n.Value, " ", 2)[0]) && !strings.Contains(n.Value, "\n") {
		t.Fatalf("%q is not at %d:%d, where %q is", n.Value, n.Line, n.Column, rest)
	}
	seen := map[string]bool{}
	for i, c := range n.Content {
		if n.Kind == document.Mapping && i%2 == 0 {
			if c.Kind != document.Scalar || c.Tag == "!!null" || c.Tag == "!!merge" || seen[c.Value] {
				t.Fatalf("got the key %+v", c)
			}
			seen[c.Value] = true
		}
		below := depth
		if n.Kind != document.Scalar {
			below++
		}
		checkValue(t, lines, c, below)
	}
}

// textAt is the rest of the line from a value on.
func textAt(lines []string, n *document.Node) string {
	if n.Line > len(lines) {
		return ""
	}
	line := []rune(lines[n.Line-1])
	return string(line[min(n.Column-1, len(line)):])
}

// TestAliases: documents of others may have what YAML has for writing a value once, and
// still no key twice and nothing that is not what it looks like.
func TestAliases(t *testing.T) {
	for text, ok := range map[string]bool{
		"a: &x {b: 1}\nc: *x\n": true, "a: &x {b: 1}\nc: {<<: *x, d: 2}\n": true, "a: !!str 1\n": true, "a: ! x\n": true,
		"a: 1\na: 2\n": false, "a: *x\n": false, "a: {b: 1, b: 2}\n": false, "a: \u202ex\n": false, "a: 1\n---\nb: 2\n": false, "[a]: 1\n": false,
	} {
		loose, strict := &document.Problems{File: "f"}, &document.Problems{File: "f"}
		if got := loose.Read([]byte(text), document.Gate{Aliases: true}) != nil; got != ok {
			t.Errorf("%q: let through %v, want %v: %v", text, got, ok, loose.Err())
		}
		if strict.Read([]byte(text), document.Gate{}) != nil {
			t.Errorf("%q is let through without being asked for", text)
		}
	}
}
