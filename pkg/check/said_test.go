package check_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/confidb/confidb/pkg/check"
)

func TestSaid(t *testing.T) {
	for text, want := range map[string]string{
		"":                            "",
		"as it is: äöü 漢字":            "as it is: äöü 漢字",
		"two\nlines\r\nand\ttabs":     "two lines and tabs",
		"\x1b[31mred\x1b[0m":          "red",
		"\u009b31mred\u009b0m":        "red",
		"\x9b31m":                     "31m",
		"\x1b]0;title\x07rest":        "]0;title rest",
		"\x1b[2K\x1b[1Averdict":       "verdict",
		"left\u202eright":             "left right",
		"a\u2066b\u2069c":             "a b c",
		"a\u200eb\u061cc":             "a b c",
		"line\u2028paragraph\u2029":   "line paragraph",
		"nul\x00, del\x7f":            "nul , del",
		"invalid \xff\xfe utf-8":      "invalid utf-8",
		"zero\u200bwidth\ufeff":       "zero width",
		"soft\u00adhyphen":            "soft hyphen",
		"cut \x1b[":                   "cut",
		"cut \x1b[12;":                "cut",
		"  many \u00a0\u3000 blanks ": "many blanks",
	} {
		if got := check.Said(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestSaidIsBounded(t *testing.T) {
	for _, letter := range []string{"x", "ä", "漢", "😀"} {
		got := check.Said(strings.Repeat(letter, check.MaxSaid+1))
		if want := strings.Repeat(letter, check.MaxSaid) + "…"; got != want {
			t.Errorf("%s: got %d characters that end in %q", letter, utf8.RuneCountInString(got), got[len(got)-8:])
		}
	}
}

func TestSaidLines(t *testing.T) {
	got := check.SaidLines("one\x1b[2J\r\n\n  two \x9b \u202e\nthree\n")
	if want := "one\ntwo\nthree"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	long := check.SaidLines(strings.Repeat("noise\n", 10_000) + "the reason")
	if !strings.HasSuffix(long, "\nthe reason") {
		t.Errorf("the end was lost: it ends in %q", long[len(long)-20:])
	}
	if len(long) > check.MaxSaid+len("noise\n")*1000 {
		t.Errorf("got %d bytes", len(long))
	}
}

// FuzzSaid: whatever comes in, one line comes out in which everything can be seen.
func FuzzSaid(f *testing.F) {
	for _, seed := range []string{"plain", "\x1b[31m", "\u009b0m", "\x9b\xff", "a\u202eb", "漢\xe6\xbc"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := check.Said(text)
		if !utf8.ValidString(got) {
			t.Errorf("%q: got invalid UTF-8 %q", text, got)
		}
		if i := strings.IndexFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
			t.Errorf("%q: got %q, which has something that is not printable at %d", text, got, i)
		}
		if utf8.RuneCountInString(got) > check.MaxSaid+1 {
			t.Errorf("got %d characters", utf8.RuneCountInString(got))
		}
		if again := check.Said(got); again != got && utf8.RuneCountInString(got) <= check.MaxSaid {
			t.Errorf("%q: cleaning %q again gives %q", text, got, again)
		}
		for line := range strings.SplitSeq(check.SaidLines(text), "\n") {
			if line != check.Said(line) {
				t.Errorf("%q: the line %q is not clean", text, line)
			}
		}
	})
}
