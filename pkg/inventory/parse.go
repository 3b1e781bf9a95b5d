package inventory

import (
	"regexp"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/document"
	"github.com/confidb/confidb/pkg/sgx"
)

// MaxFile bounds a document, in bytes; a node takes about 450.
const MaxFile = 4 << 20

// Error says what is wrong at one place of an inventory.
type Error = document.Error

// IsFile reports whether text says that it is an inventory.
func IsFile(text []byte) bool {
	form := regexp.MustCompile(`(?m)^["']?kind["']?:\s*["']?` + regexp.QuoteMeta(Kind) + `["']?\s*(#.*)?$`)
	return form.Match(document.WithoutMark(text))
}

// Parse reads an inventory, strictly: nothing is left out or means two things. name
// is the file's. What is wrong is an error of document, in which each problem is an
// *Error with its place.
func Parse(name string, text []byte) (*File, error) {
	d := decoder{document.NewDecoder(name)}
	f := &File{}
	if whole := d.Read(text, document.Gate{Most: MaxFile, Want: "kind: " + Kind}); whole != nil {
		d.file(whole.Content[0], f)
	}
	if err := d.Err(); err != nil {
		return nil, err
	}
	sort.Slice(f.Nodes, func(i, j int) bool { return f.Nodes[i].Name < f.Nodes[j].Name })
	return f, nil
}

// decoder reads inventories.
type decoder struct{ *document.Decoder }

func (d decoder) file(root *document.Node, f *File) {
	if !d.OfKind(root, Kind) {
		return
	}
	lines := map[string]int{}
	d.Object(document.Fields{
		"kind":  read(func(*document.Node, string) {}),
		"nodes": document.Required(document.Each(d.Decoder, &f.Nodes, func(n *Node) document.Field { return d.node(n, lines) })),
	}, nil).Read(root, "")
}

// read is a field of which no schema is made.
func read(r document.Reader) document.Field { return document.Field{Read: r} }

// text reads a value that is as it should be; want says how.
func (d decoder) text(into *string, fits func(string) bool, want string) document.Field {
	return read(func(n *document.Node, path string) {
		text, ok := d.Scalar(n, path, want)
		if ok && !fits(text) {
			d.Fail(n, path, "got %s, want %s", document.KindOf(n), want)
			return
		}
		*into = text
	})
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

// maxEvaluation bounds the number of an evaluation of Intel's; it was 20 in 2026.
const maxEvaluation = 999_999

// node reads one node. lines are where the names of those before it are.
func (d decoder) node(into *Node, lines map[string]int) document.Field {
	var q Quote
	var generation string
	entry := d.Object(document.Fields{
		"node":          document.Required(d.text(&into.Name, isName, "the name of a node")),
		"platformID":    document.Required(document.Parsed(d.Decoder, &into.ID, attest.ParsePlatformID)),
		"generation":    document.Required(d.Text(&generation)),
		"provenance":    document.Required(document.Parsed(d.Decoder, &into.Provenance, attest.ParseProvenance)),
		"fmspc":         d.text(&q.FMSPC, isFMSPC, "12 lower-case hexadecimal digits"),
		"tcbStatus":     document.Parsed(d.Decoder, &q.Status, parseStatus),
		"tcbEvaluation": document.Number(d.Decoder, &q.EvaluationNumber, 0, maxEvaluation),
		"kernelVersion": d.text(&into.KernelVersion, printable, "printable text"),
		"osImage":       d.text(&into.OSImage, printable, "printable text"),
		"bootID":        d.text(&into.BootID, printable, "printable text"),
		"firstSeen":     document.Required(document.Parsed(d.Decoder, &into.FirstSeen, ParseDate)),
		"lastSeen":      document.Required(document.Parsed(d.Decoder, &into.LastSeen, ParseDate)),
		"retired":       document.Parsed(d.Decoder, &into.Retired, ParseDate),
	}, nil)
	return read(func(n *document.Node, path string) {
		before := d.Count()
		if entry.Read(n, path); d.Count() > before {
			return
		}
		if earlier := lines[into.Name]; earlier != 0 {
			d.Fail(n, path, "node %q is in line %d already", into.Name, earlier)
		}
		lines[into.Name] = n.Line
		d.quoted(n, path, into.Provenance == attest.Quoted)
		if into.Provenance == attest.Quoted {
			into.Quote = &q
		}
		d.agrees(n, path, *into, generation)
	})
}

// quoted wants all that a quote says of a machine to be there, or nothing.
func (d decoder) quoted(n *document.Node, path string, want bool) {
	for _, key := range []string{"fmspc", "tcbStatus", "tcbEvaluation"} {
		_, value := document.Lookup(n, key)
		switch {
		case value != nil && !want:
			d.Fail(n, path, "got %s of an ID that is not quoted", key)
		case value == nil && want:
			d.Fail(n, path, "got no %s of an ID that is quoted, want it", key)
		}
	}
}

// agrees refuses a node whose fields contradict each other.
func (d decoder) agrees(item *document.Node, path string, n Node, generation string) {
	switch {
	case generation != string(n.ID.Generation()):
		d.Fail(item, path, "node %q: got generation %.40q of a platform ID of generation %s", n.Name, generation, n.ID.Generation())
	case n.Quote != nil && n.ID.Generation() != attest.IntelQEID:
		d.Fail(item, path, "node %q: got a quoted ID of SCONE up to 6, which is in no quote of Intel's", n.Name)
	case n.LastSeen < n.FirstSeen:
		d.Fail(item, path, "node %q: got lastSeen %s before firstSeen %s", n.Name, n.LastSeen, n.FirstSeen)
	case n.Retired != "" && n.Retired < n.LastSeen:
		d.Fail(item, path, "node %q: got retired %s before lastSeen %s", n.Name, n.Retired, n.LastSeen)
	}
}

func parseStatus(text string) (sgx.TCBStatus, error) {
	var s sgx.TCBStatus
	err := s.UnmarshalText([]byte(text))
	return s, err
}
