package check_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"github.com/confidb/confidb/pkg/check"
)

func FuzzEscapeJSON(f *testing.F) {
	for _, text := range []string{"", "äö", "a\x1b[2Jb\u009b1A", "\u202e\u2066\U000e0041\x00\x7f\ufeff", "a\nb\\u202e"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		encoded, err := json.MarshalIndent(map[string]string{"text": text}, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		for name, escaped := range map[string]string{"escaped": check.EscapeJSON(string(encoded)), "shown": check.ShowJSON(string(encoded))} {
			if i := strings.IndexFunc(escaped, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); i >= 0 {
				t.Errorf("%s: something that is not printable at %d: %q", name, i, escaped)
			}
			var read, want map[string]string
			if err := json.Unmarshal([]byte(escaped), &read); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if err := json.Unmarshal(encoded, &want); err != nil {
				t.Fatal(err)
			}
			if name == "escaped" && read["text"] != want["text"] {
				t.Errorf("got %q, want %q", read["text"], want["text"])
			}
		}
	})
}

func TestShowJSON(t *testing.T) {
	for text, want := range map[string]string{"\"a\u202eb\"": `"a\\u202eb"`, "\"\U000e0041\"": `"\\udb40\\udc41"`, "{\n}": "{\n}"} {
		if got := check.ShowJSON(text); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestVisible(t *testing.T) {
	for text, want := range map[string]string{"  a  b ": "  a  b ", "a\tb": "a b", "a\x1b[2Jb": "ab", "a\u202eb\nc\xff": "a b c "} {
		if got := check.Visible(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
