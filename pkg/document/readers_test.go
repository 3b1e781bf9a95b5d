package document_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/confidb/confidb/pkg/document"
	"github.com/confidb/confidb/pkg/inventory"
	"github.com/confidb/confidb/pkg/platform"
	"github.com/confidb/confidb/pkg/policy"
	"github.com/confidb/confidb/pkg/render"
	"github.com/confidb/confidb/pkg/session"
)

// reader is one of those that read a document of the user's.
type reader struct {
	parse func(text string) error
	// before, value and after are a document that is read. value is a plain scalar,
	// key a key at its top.
	before, value, after, key string
}

func (r reader) valid() string { return r.before + r.value + r.after }

const machine = "INTEL_QE_ID:85ffc69266c833546e5dca1c676a6151"

func readers() map[string]reader {
	return map[string]reader{
		"session": {
			func(text string) error { _, err := session.Parse("f", []byte(text)); return err },
			"version: \"0.3\"\nname: ", "ns/db", "\nservices: []\n", "name",
		},
		"session template": {
			func(text string) error {
				_, err := render.Session("f", []byte(text), func(string) (string, bool) { return "", false }, "")
				return err
			},
			"version: \"0.3\"\nname: ", "ns/db", "\nservices: []\n", "name",
		},
		"policy": {
			func(text string) error { _, err := policy.Parse("f", []byte(text)); return err },
			"kind: confidb.policy/v1\nrequire-provenance: ", "quoted", "\naccept-tcb: []\n", "accept-tcb",
		},
		"inventory": {
			func(text string) error { _, err := inventory.Parse("f", []byte(text)); return err },
			"kind: confidb.inventory/v1\nnodes:\n- node: n1\n  platformID: " + machine + "\n  generation: intel-qe-id\n  provenance: declared\n  osImage: ", "Debian",
			"\n  firstSeen: \"2026-11-01\"\n  lastSeen: \"2026-11-02\"\n", "nodes",
		},
		"platforms file, map": {
			func(text string) error { _, err := platform.ParseFile("f", []byte(text)); return err },
			"n1: ", machine, "\nn2: " + strings.ReplaceAll(machine, "a6", "a7") + "\n", "n1",
		},
	}
}

// lines is the reader that reads no YAML.
func lines() reader {
	return reader{func(text string) error { _, err := platform.ParseFile("f", []byte(text)); return err }, "n1 ", machine, " # rack 1\n", "n1"}
}

// Odd documents that every reader reads.
func TestEveryReaderAccepts(t *testing.T) {
	for name, change := range map[string]func(reader) string{
		"as it is":                 reader.valid,
		"byte order mark":          func(r reader) string { return bom + r.valid() },
		"CR LF":                    func(r reader) string { return strings.ReplaceAll(r.valid(), "\n", "\r\n") },
		"Notepad":                  func(r reader) string { return bom + strings.ReplaceAll(r.valid(), "\n", "\r\n") },
		"no line end":              func(r reader) string { return strings.TrimSuffix(r.valid(), "\n") },
		"a comment in other words": func(r reader) string { return "# Größe 大きさ 🔑\n" + r.valid() },
		"a tab before a comment":   func(r reader) string { return r.valid() + "#\tx\n" },
		"the beginning is marked":  func(r reader) string { return "---\n" + r.valid() },
		"mark and beginning":       func(r reader) string { return bom + "---\n" + r.valid() },
		"the end is marked":        func(r reader) string { return r.valid() + "...\n" },
		"quotes":                   func(r reader) string { return r.before + `"` + r.value + `"` + r.after },
		"1 MB":                     func(r reader) string { return r.valid() + "#" + strings.Repeat(" ", document.MaxText-len(r.valid())-1) },
	} {
		for who, r := range readers() {
			if err := r.parse(change(r)); err != nil {
				t.Errorf("%s: %s: %v", who, name, err)
			}
		}
	}
}

func utf16Text(order binary.ByteOrder, text string) string {
	var all []byte
	for _, unit := range utf16.Encode([]rune(bom + text)) {
		all = append(all, 0, 0)
		order.PutUint16(all[len(all)-2:], unit)
	}
	return string(all)
}

// characters are the texts that no reader takes, YAML or not, by what they add to a
// comment at the end. The column is that of the character.
func characters() map[string]struct{ add, want string } {
	return map[string]struct{ add, want string }{
		"a mark in the middle":  {"# " + bom, "3: got a byte order mark (U+FEFF)"},
		"a lone CR":             {"#\r#", "2: got the line break U+000D"},
		"CR CR LF":              {"#\r\r", "2: got the line break U+000D"},
		"NEL":                   {"# \u0085", "3: got the line break U+0085"},
		"line separator":        {"# ü\u2028", "4: got the line break U+2028"},
		"paragraph separator":   {"# \u2029", "3: got the line break U+2029"},
		"NUL":                   {"# \x00", "3: got the invisible character U+0000"},
		"escape":                {"# \x1b[2J", "3: got the invisible character U+001B"},
		"delete":                {"# \x7f", "3: got the invisible character U+007F"},
		"a control sequence":    {"# \u009b2J", "3: got the invisible character U+009B"},
		"right to left":         {"# \u202e", "3: got the invisible character U+202E"},
		"an isolate":            {"# \u2066", "3: got the invisible character U+2066"},
		"a mark of direction":   {"# \u200f", "3: got the invisible character U+200F"},
		"no character":          {"# \ufffe", "3: got the invisible character U+FFFE"},
		"no UTF-8":              {"# ü\xff", "4: got the byte 0xff, want UTF-8"},
		"Latin 1":               {"# Gr\xf6\xdfe", "5: got the byte 0xf6, want UTF-8"},
		"a long form of NUL":    {"# \xc0\x80", "3: got the byte 0xc0, want UTF-8"},
		"half a surrogate pair": {"# \xed\xa0\x80", "3: got the byte 0xed, want UTF-8"},
		"a cut character":       {"# \xc3", "3: got the byte 0xc3, want UTF-8"},
	}
}

// Nobody reads text that is not what it looks like, and everybody says where.
func TestEveryReaderRefusesCharacters(t *testing.T) {
	all := readers()
	all["platforms file, lines"] = lines()
	for who, r := range all {
		for name, c := range characters() {
			for _, mark := range []string{"", bom} {
				text := mark + r.valid() + c.add + "\n"
				place := fmt.Sprintf("f:%d:", strings.Count(r.valid(), "\n")+1)
				refused(t, who+": "+name, r.parse(text), place+c.want)
			}
		}
		refused(t, who+": two marks", r.parse(bom+bom+r.valid()), "f:1:1: got a byte order mark")
		refused(t, who+": UTF-16, little end first", r.parse(utf16Text(binary.LittleEndian, r.valid())), "f:1:1: got the byte 0xff, want UTF-8")
		refused(t, who+": UTF-16, big end first", r.parse(utf16Text(binary.BigEndian, r.valid())), "f:1:1: got the byte 0xfe, want UTF-8")
		refused(t, who+": 10 MB", r.parse(r.valid()+"#"+strings.Repeat(" ", 10<<20)), "f:1:1: got 104", "want at most")
	}
}

// What two readers of YAML read in two ways, nobody reads.
func TestEveryReaderRefusesYAML(t *testing.T) {
	value := func(text string) func(reader) string {
		return func(r reader) string { return r.before + strings.ReplaceAll(text, "VALUE", r.value) + r.after }
	}
	added := func(text string) func(reader) string {
		return func(r reader) string { return r.valid() + strings.ReplaceAll(text, "KEY", r.key) }
	}
	for name, c := range map[string]struct {
		change func(reader) string
		want   string
	}{
		"a second document":          {func(r reader) string { return r.valid() + "---\n" + r.valid() }, "got a second document, want one in a file"},
		"an empty second document":   {added("---\n"), "got a second document"},
		"a second, broken document":  {added("---\nx: [\n"), "got text that is not YAML"},
		"an anchor":                  {value("&a VALUE"), "got the anchor &a, want a value without one"},
		"an anchor of the document":  {func(r reader) string { return "--- &a\n" + r.valid() }, "got the anchor &a"},
		"an alias":                   {added("x: *a\n"), "unknown anchor 'a'"},
		"a bomb of aliases":          {added("a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]\n"), "got the alias *a, want the value itself"},
		"an alias of itself":         {added("a: &a [*a]\n"), "got the anchor &a"},
		"a star":                     {value("*"), "got text that is not YAML"},
		"!!binary":                   {value("!!binary VALUE"), `got the tag "!!binary", want a value without one`},
		"!!python":                   {value("!!python/object/apply:os.system [VALUE]"), `got the tag "!!python/object/apply:os.system"`},
		"!custom":                    {value("!custom VALUE"), `got the tag "!custom"`},
		"!!str":                      {value("!!str VALUE"), `got the tag "!!str"`},
		"the whole name of a tag":    {value("!<tag:yaml.org,2002:str> VALUE"), `got the tag "!!str"`},
		"a tag without a name":       {value("! VALUE"), `got the tag "!"`},
		"one before quotes":          {value(`! "VALUE"`), `got the tag "!"`},
		"one of the whole document":  {func(r reader) string { return "--- !\n" + r.valid() }, `got the tag "!"`},
		"a tag that is defined here": {func(r reader) string { return "%TAG !e! tag:e,2000:\n---\n" + value("!e!x VALUE")(r) }, ""}, // a platforms file has lines then
		"a merge":                    {added("<<: {x: y}\n"), "got the merge <<, want the keys themselves"},
		"a merge of a word":          {added("<<: x\n"), "got the merge <<"},
		"a key twice":                {added("KEY: x\n"), "a second time, want it once"},
		"a key twice, quoted":        {added("\"KEY\": x\n"), "a second time, want it once"},
		"a key twice, deeper":        {added("x: {y: [{a: b, a: c}]}\n"), `x.y[0]: got the key "a" a second time`},
		"a list as a key":            {added("? [a]\n: b\n"), "got a list as a key, want a word"},
		"a key of nothing":           {added("~: b\n"), "got nothing as a key, want a word"},
		"a tab":                      {added("\tx: y\n"), "got text that is not YAML"},
		"65 lists":                   {added("x: " + strings.Repeat("[", 65) + strings.Repeat("]", 65) + "\n"), "got values nested more than 64 deep"},
		"a million lists":            {added("x: " + strings.Repeat("[", 1<<20-500) + "\n"), "got text that is not YAML"},
		"a list":                     {func(reader) string { return "--- [x]\n" }, ""},
		"nothing":                    {func(reader) string { return "" }, ""},
		"a mark alone":               {func(reader) string { return bom }, ""},
		"line ends":                  {func(reader) string { return "\n\r\n\n" }, ""},
		"a comment":                  {func(reader) string { return "# nothing\n" }, ""},
		"an empty document":          {func(reader) string { return "---\n...\n" }, ""},
		"null":                       {func(reader) string { return "null\n" }, ""},
		"tilde":                      {func(reader) string { return "~\n" }, ""},
	} {
		for who, r := range readers() {
			if who == "session template" && c.change(r) == "--- [x]\n" {
				continue // a template has any form; the session that comes out has not
			}
			refused(t, who+": "+name, r.parse(c.change(r)), c.want, "f:")
		}
	}
}

// Columns are characters, and a byte order mark is none, wherever an error is found.
func TestEveryReaderKnowsThePlace(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"in brackets":            {"{größe: 大, größe: x}\n", `f:1:12: got the key "größe" a second time`},
		"after a comment":        {"# 大きさ\n\n  größe: {ä: 1, ä: 2}\n", `f:3:17: größe: got the key "ä" a second time`},
		"an anchor":              {"größe: &a 1\n", "f:1:8: got the anchor &a"},
		"a tag without a name":   {"{größe: ! 1}\n", `f:1:9: got the tag "!"`},
		"a character beyond 16b": {"\"🔑🔑\": *x\n", "f:1:7: got text that is not YAML: unknown anchor 'x'"},
	} {
		for who, r := range readers() {
			for _, mark := range []string{"", bom} {
				for _, end := range []string{"\n", "\r\n"} {
					err := r.parse(mark + strings.ReplaceAll(c.text, "\n", end))
					refused(t, who+": "+name, err, c.want)
				}
			}
		}
	}
}

// The same holds for what a reader refuses after the gate.
func TestEveryReaderKnowsThePlaceOfAValue(t *testing.T) {
	for who, c := range map[string]struct{ text, want string }{
		"session":                {"{\"näme\": 1, version: x}", `f:1:22: version: got "x"`},
		"session template":       {"größe: [$Ä, $V]", "f:1:13: größe[1]: Value for variable $V is missing at line 1 column 13"},
		"policy":                 {"{\"größe\": 1, kind: x}", `f:1:20: kind: got "x"`},
		"inventory":              {"{\"größe\": 1, kind: x}", `f:1:20: kind: got "x"`},
		"platforms file, map":    {"größe: x", `f:1:8: node "größe": platform ID: got "x"`},
		"platforms file, lines":  {"größe x", `f:1:7: node "größe": platform ID: got "x"`},
		"platforms file, spaces": {" größe\t x", `f:1:9: node "größe": platform ID: got "x"`},
	} {
		r, ok := readers()[who]
		if !ok {
			r = lines()
		}
		refused(t, who, r.parse(c.text), c.want)
		refused(t, who+" with mark", r.parse(bom+c.text), c.want)
	}
}

// All forms of a platforms file begin with a mark as well as without.
func TestPlatformsFileWithMark(t *testing.T) {
	for name, text := range map[string]string{
		"lines":     "n1 " + machine + "\n",
		"YAML":      "n1: " + machine + "\n",
		"JSON":      `{"n1": "` + machine + `"}`,
		"long JSON": "{\n\t\"n1\": \"" + machine + "\"\n}\n",
	} {
		claims, err := platform.ParseFile("f", []byte(bom+text))
		if err != nil || len(claims) != 1 {
			t.Errorf("%s: got %v and %v", name, claims, err)
			continue
		}
		if claims[0].Node != "n1" || claims[0].ID.String() != machine {
			t.Errorf("%s: got %+v", name, claims[0])
		}
	}
	text := readers()["inventory"].valid()
	if !inventory.IsFile([]byte(bom + text)) {
		t.Error("an inventory with a mark is not seen as one")
	}
	if inventory.IsFile([]byte(bom + bom + text)) {
		t.Error("two marks are taken for one")
	}
}

// The mark is not part of the session: CAS must not get it, nor must edits move.
func TestSessionWithMark(t *testing.T) {
	plain := "version: \"0.3\" # language\nname: ns/db\n"
	s, err := session.Parse("f", []byte(bom+plain))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(s.Source()); got != plain {
		t.Errorf("the source is %q", got)
	}
	if got := s.Where("version"); got != "f:1:10" {
		t.Errorf("version is at %s", got)
	}
	if err := s.SetName("ns/other"); err != nil {
		t.Fatal(err)
	}
	if got, want := string(s.Source()), strings.Replace(plain, "ns/db", "ns/other", 1); got != want {
		t.Errorf("edited: got %q, want %q", got, want)
	}
	rendered, err := render.Session("f", []byte(bom+"version: $V\n"), func(string) (string, bool) { return "x", true }, "")
	if err != nil || string(rendered) != "version: x\n" {
		t.Errorf("rendered: got %q and %v", rendered, err)
	}
}

func TestEveryReaderGivesErrorsOfDocuments(t *testing.T) {
	for who, r := range readers() {
		var all *document.Errors
		if err := r.parse("a: [\n"); !errors.As(err, &all) || len(all.Problems) != 1 {
			t.Errorf("%s: got %v", who, err)
		}
	}
}
