package document_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/document"
)

// song is what the documents of these tests hold.
type song struct {
	Title, Key, Secret string
	Words              []string
	Verses             int
	Loud               bool
	Refrain            *string
	Any                any
	Length             length
	Chords             []chord
}

type chord struct{ Name string }

// length is a type with a parser of its own.
type length int

func parseLength(text string) (length, error) {
	var minutes int
	if _, err := fmt.Sscanf(text, "%dm", &minutes); err != nil {
		return 0, fmt.Errorf("got %q, want minutes", text)
	}
	return length(minutes), nil
}

func table(d *document.Decoder, s *song) document.Field {
	length := document.Parsed(d, &s.Length, parseLength)
	length.Shape = func() document.Shape { return document.Shape{"type": "string"} }
	length.Note = "Of the recording."
	length.Key = func(n *document.Node, path string) {
		if s.Title == "early" {
			d.Fail(n, path, "not yet")
		}
	}
	return d.Object(document.Fields{
		"title":   document.Required(d.Text(&s.Title)),
		"key":     document.OneOf(d, &s.Key, "major", "minor"),
		"secret":  d.Hidden(&s.Secret, "^[a-z]+$", "small letters"),
		"words":   d.Texts(&s.Words),
		"verses":  document.Number(d, &s.Verses, 1, 99),
		"loud":    d.Flag(&s.Loud),
		"refrain": d.OptionalText(&s.Refrain),
		"any":     d.Any(&s.Any),
		"length":  length,
		"chords": document.Each(d, &s.Chords, func(c *chord) document.Field {
			return d.ByKind(map[document.Kind]document.Field{
				document.Scalar:  d.Matching(&c.Name, "^[A-G]$", "a letter from A to G"),
				document.Mapping: d.Object(document.Fields{"name": document.Required(d.Text(&c.Name))}, nil),
			})
		}),
	}, func(n *document.Node, path string) {
		if s.Loud && s.Key == "minor" {
			d.Fail(n, path, "got a loud song in minor")
		}
	})
}

func decode(text string) (*song, error) {
	d := document.NewDecoder("f")
	s := &song{}
	if whole := d.Read([]byte(text), document.Gate{}); whole != nil {
		table(d, s).Read(whole.Content[0], "")
	}
	return s, d.Err()
}

func TestDecode(t *testing.T) {
	got, err := decode(bom + "title: 007\nkey: minor\nsecret: abc\nwords: [true, 1e3, ~x, '']\nverses: 0x10\nloud: false\nrefrain: ''\nlength: 3m\nchords: [A, {name: B}]\n" +
		"any: {a: [1, 1.5, true, ~, x, '2'], 3: 2026-11-27}\n")
	if err != nil {
		t.Fatal(err)
	}
	empty := ""
	want := &song{
		Title: "007", Key: "minor", Secret: "abc", Words: []string{"true", "1e3", "~x", ""}, Verses: 16, Refrain: &empty, Length: 3, Chords: []chord{{"A"}, {"B"}},
		Any: map[string]any{"a": []any{1, 1.5, true, nil, "x", "2"}, "3": "2026-11-27"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for name, c := range map[string]struct{ text, want, hint string }{
		"no mapping":             {"[x]", "f:1:1: got a list, want a mapping", ""},
		"a missing key":          {"{}", "f:1:1: title: it is missing", ""},
		"an unknown key":         {"title: x\ntempo: 3\n", `f:2:1: got the unknown key "tempo", want any, chords, key, length, loud, refrain, secret, title, verses, words`, ""},
		"a misspelt key":         {"titel: x\n", `f:1:1: got the unknown key "titel"`, `write "title"`},
		"a number as a list":     {"title: [x]", "f:1:8: title: got a list, want a value", ""},
		"nothing":                {"title:", "f:1:7: title: got nothing, want a value", ""},
		"none of the words":      {"title: x\nkey: manor", `f:2:6: key: got "manor", want major, minor`, `write "major"`},
		"no word":                {"title: x\nkey: {}", "f:2:6: key: got a mapping, want a value", ""},
		"a list that is none":    {"title: x\nwords: a", `f:2:8: words: got "a", want a list`, ""},
		"an item":                {"title: x\nwords: [a, []]", "f:2:12: words[1]: got a list, want a value", ""},
		"a number in quotes":     {"title: x\nverses: '3'", `f:2:9: verses: got "3", want a number from 1 to 99`, "write it without quotes"},
		"an octal number":        {"title: x\nverses: 010", `f:2:9: verses: got "010"`, ""},
		"another octal number":   {"title: x\nverses: 0o10", `f:2:9: verses: got "0o10"`, ""},
		"a binary number":        {"title: x\nverses: 0b10", `f:2:9: verses: got "0b10"`, ""},
		"an underscore":          {"title: x\nverses: 1_0", `f:2:9: verses: got "1_0"`, ""},
		"a sign":                 {"title: x\nverses: +3", `f:2:9: verses: got "+3"`, ""},
		"a negative number":      {"title: x\nverses: -3", `f:2:9: verses: got "-3"`, ""},
		"too little":             {"title: x\nverses: 0", `f:2:9: verses: got "0"`, ""},
		"too much":               {"title: x\nverses: 100", `f:2:9: verses: got "100"`, ""},
		"far too much":           {"title: x\nverses: 99999999999999999999", `f:2:9: verses: got "99999999999999999999"`, ""},
		"far too much, in hex":   {"title: x\nverses: 0xffffffffffffffffff", `f:2:9: verses: got "0xffff`, ""},
		"half":                   {"title: x\nverses: 1.5", `f:2:9: verses: got "1.5"`, ""},
		"no number":              {"title: x\nverses:", "f:2:8: verses: got nothing, want a number", ""},
		"yes":                    {"title: x\nloud: yes", `f:2:7: loud: got "yes", want true or false`, ""},
		"a flag in quotes":       {"title: x\nloud: 'true'", `f:2:7: loud: got "true", want true or false`, "write it without quotes"},
		"a flag of nothing":      {"title: x\nloud: ~", "f:2:7: loud: got nothing, want true or false", ""},
		"a parser's":             {"title: x\nlength: long", `f:2:9: length: got "long", want minutes`, ""},
		"a parser's of nothing":  {"title: x\nlength:", "f:2:8: length: got nothing, want a value", ""},
		"a form that is none":    {"title: x\nchords: [[]]", "f:2:10: chords[0]: got a list, want a value or a mapping", ""},
		"a form of nothing":      {"title: x\nchords: [~]", "f:2:10: chords[0]: got nothing, want a value or a mapping", ""},
		"no match":               {"title: x\nchords: [H]", `f:2:10: chords[0]: got "H", want a letter from A to G`, ""},
		"below":                  {"title: x\nchords: [{}]", "f:2:10: chords[0].name: it is missing", ""},
		"what does not fit":      {"title: x\nloud: true\nkey: minor", "f:1:1: got a loud song in minor", ""},
		"a key too early":        {"title: early\nlength: 3m", "f:2:1: length: not yet", ""},
		"infinity":               {"title: x\nany: [.inf]", "f:2:7: any[0]: got a number that JSON does not have", ""},
		"no number at all":       {"title: x\nany: {a: .NaN}", "f:2:10: any.a: got a number that JSON does not have", ""},
		"a key of any twice":     {"title: x\nany: {a: 1, a: 2}", `f:2:13: any: got the key "a" a second time`, "keep one of them"},
		"a long text is clipped": {"title: x\nkey: " + strings.Repeat("ü", 1000), `f:2:6: key: got "` + strings.Repeat("ü", 80) + `…", want major, minor`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := decode(c.text)
			var all *document.Errors
			if !errors.As(err, &all) {
				t.Fatalf("got %v", err)
			}
			if len(all.Problems) != 1 {
				t.Errorf("got %d problems, want 1: %v", len(all.Problems), err)
			}
			if got := all.Problems[0].Error(); !strings.HasPrefix(got, c.want) {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if got := all.Problems[0].Hint(); got != c.hint {
				t.Errorf("got hint %q, want %q", got, c.hint)
			}
		})
	}
}

func TestHiddenIsNotShown(t *testing.T) {
	_, err := decode("title: x\nsecret: CANARY\n")
	refused(t, "a secret", err, "f:2:9: secret: got 6 characters that are something else, want small letters")
	if strings.Contains(err.Error(), "CANARY") {
		t.Errorf("got %v", err)
	}
}

func TestElsewhere(t *testing.T) {
	d := document.NewDecoder("f")
	d.Elsewhere = func(key string) []string {
		if key == "tempo" {
			return []string{"score", "score.parts[]"}
		}
		return nil
	}
	table(d, &song{}).Read(d.Read([]byte("title: x\ntempo: 3\nkez: minor\n"), document.Gate{}).Content[0], "")
	if got, want := hint(t, d.Err()), "2:1: \"tempo\" belongs to score or score.parts[]\n3:1: write \"key\""; got != want {
		t.Errorf("got hint %q, want %q", got, want)
	}
}

func TestSeen(t *testing.T) {
	d := document.NewDecoder("f")
	var seen []string
	d.Seen = func(n *document.Node, path string) {
		seen = append(seen, fmt.Sprintf("%s %d:%d", path, n.Line, n.Column))
	}
	table(d, &song{}).Read(d.Read([]byte(bom+"title: ü\nchords: [A, {name: B}]\nx: y\n"), document.Gate{}).Content[0], "")
	want := []string{"title 1:1", "chords 2:1", "chords[0] 2:10", "chords[1] 2:13", "chords[1].name 2:14"}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Error(diff)
	}
}

func TestOfKind(t *testing.T) {
	for text, want := range map[string]string{
		"kind: song/v1\nx: y": "",
		"'kind': 'song/v1'":   "",
		"x: y":                `f:1:1: kind: got nothing, want "song/v1"`,
		"kind: song/v2":       `f:1:7: kind: got "song/v2", want "song/v1"`,
		"kind: [song/v1]":     `f:1:7: kind: got a list, want "song/v1"`,
		"kind:":               `f:1:6: kind: got nothing, want "song/v1"`,
		"[kind]":              "f:1:1: got a list, want a mapping with kind: song/v1",
	} {
		d := document.NewDecoder("f")
		good := d.OfKind(d.Read([]byte(text), document.Gate{}).Content[0], "song/v1")
		if good != (want == "") {
			t.Errorf("%q: got %v", text, good)
		}
		if err := d.Err(); (err == nil) != good || err != nil && err.Error() != want {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

func TestSchema(t *testing.T) {
	schema := table(document.NewDecoder(""), &song{}).Shape()
	text, err := json.Marshal(schema)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"required":["title"]`, `"additionalProperties":false`, `"key":{"enum":["major","minor"]}`, `"verses":{"maximum":99,"minimum":1,"type":"integer"}`,
		`"length":{"description":"Of the recording.","type":"string"}`, `"pattern":"^[A-G]$"`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s is not in %s", want, text)
		}
	}
	objects := map[string]string{}
	document.WalkSchema("", schema, func(path string, keys []string) { objects[path] = strings.Join(keys, " ") })
	want := map[string]string{"": "any chords key length loud refrain secret title verses words", "chords[]": "name"}
	if diff := cmp.Diff(want, objects); diff != "" {
		t.Error(diff)
	}
}

// Whatever comes through the gate is decoded or refused with a place, and a song that
// is read has only what its table permits.
func FuzzDecode(f *testing.F) {
	for _, text := range []string{
		"title: 007\nkey: minor\nwords: [true, 1e3, '']\nverses: 0x10\nrefrain: ''\nlength: 3m\nchords: [A, {name: B}]\nany: {a: [1, 1.5, true, ~, x]}\n",
		"{\"title\": \"x\", \"any\": [.inf, 1e999, 0x7fffffffffffffffff, 2026-11-27]}", "titel: x\n", "- x\n", "title: x\nany: 18446744073709551616\n", "title: x\nany: -0.0\n", "title: x\nany: 1_000\n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := decode(text)
		if err != nil {
			checkPlaces(t, text, err)
			return
		}
		if s.Verses < 0 || s.Verses > 99 {
			t.Errorf("%d verses", s.Verses)
		}
		if s.Key != "" && s.Key != "major" && s.Key != "minor" {
			t.Errorf("the key %q", s.Key)
		}
		for _, c := range s.Chords {
			if c.Name == "" && !strings.Contains(text, "name") {
				t.Errorf("a chord without a name in %q", text)
			}
		}
		if _, err := json.Marshal(s.Any); err != nil {
			t.Errorf("%q holds what JSON does not have: %v", text, err)
		}
		if v, ok := s.Any.(float64); ok && (math.IsInf(v, 0) || math.IsNaN(v)) {
			t.Errorf("got the number %v", v)
		}
	})
}
