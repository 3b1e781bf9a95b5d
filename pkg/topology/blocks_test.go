package topology

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

// The templates of a single database are, byte for byte, what they were before they shared
// parts with others: each release that is recorded was made from them.
func TestTemplatesOfASingleDatabaseStay(t *testing.T) {
	for name, want := range map[string]string{
		"client":    "825d9931cfae03e7add2aa4af4813b189692e4d8d639490ab5d271ecd9270de4",
		"database":  "38652515879d88450f358d9c470739ad41e1a6033537376a489ef419729ed349",
		"namespace": "977cfc1cdf103a6828da56395299dfa7f8f658048fc32179096b33e2371d4967",
	} {
		text, err := Template(name)
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != want {
			t.Errorf("template %s: got %x, want %s. If it is to change, so do all sessions that are made from it", name, sum, want)
		}
	}
	if _, err := Template("other"); err == nil {
		t.Error("there is a template for anything")
	}
	if _, err := whole([]byte("  # part none\n")); err == nil {
		t.Error("a part that there is not is put in")
	}
}

func kinds() map[string][]map[string]string {
	return map[string][]map[string]string{
		"database": {{"ORDINAL": "0", "SERVER_ID": "1"}, {"ORDINAL": "1", "SERVER_ID": "2"}},
		"absent":   {},
		"there":    {{}},
	}
}

func TestBlocksAreRepeated(t *testing.T) {
	for name, c := range map[string]struct{ from, want string }{
		"no block":           {"a: $ORDINAL\n", "a: $ORDINAL\n"},
		"an end without":     {"# end\n", "# end\n"},
		"one line":           {"x:\n  # each database\n  - db-$ORDINAL\n  # end\ny\n", "x:\n  - db-0\n  - db-1\ny\n"},
		"braces, and others": {"# each database\n$$SCONE::a_${ORDINAL}_key:pem$$ $SERVER_ID $OTHER\n# end\n", "$$SCONE::a_0_key:pem$$ 1 $OTHER\n$$SCONE::a_1_key:pem$$ 2 $OTHER\n"},
		"none of them":       {"a\n# each absent\nb\n# end\nc\n", "a\nc\n"},
		"one after another":  {"# each absent\n# end\n# each database\n$ORDINAL\n# end\n", "0\n1\n"},
		"an end of the line": {"# each database\r\n$ORDINAL\r\n# end\r\n", "0\r\n1\r\n"},
		"no end of the file": {"# each database\n$ORDINAL\n# end", "0\n1\n"},
		"a comment":          {"# each of them\n# each \n", "# each of them\n# each \n"},
		"within another":     {"# each database\na $SERVER_ID\n# only there\nb\n# end\n# each database\nc $SERVER_ID\n# end\n# end\n", "a 1\nb\nc 1\nc 2\na 2\nb\nc 1\nc 2\n"},
		"not in this case":   {"a\n# only absent\n# each database\nb\n# end\n# end\nc\n", "a\nc\n"},
		"one that is open":   {"# each database\n# only there\n# end\n", ""},
		"without an end":     {"# each database\n", ""},
		"of another kind":    {"# each maxscale\n# end\n", ""},
	} {
		got, err := repeat("t", []byte(c.from), kinds())
		var wrong *BlockError
		if c.want == "" && !errors.As(err, &wrong) || c.want != "" && (err != nil || string(got) != c.want) {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
		if err != nil && (err.Error() == "" || !strings.Contains(err.Error(), "# each") && !strings.Contains(err.Error(), "# only")) {
			t.Errorf("%s: got %v", name, err)
		}
		if same, err := repeat("t", []byte(c.from), nil); err != nil || string(same) != c.from {
			t.Errorf("%s: where nothing is repeated: got %q, %v", name, same, err)
		}
	}
}

// FuzzRepeat: whatever a template holds, nothing outside of blocks is changed, and no mark
// of a block is left.
func FuzzRepeat(f *testing.F) {
	f.Add("a\n# each database\n$ORDINAL\n# end\nb")
	f.Add("# each absent\n# end\n# end\n")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := repeat("t", []byte(text), kinds())
		if err != nil {
			return
		}
		inside, at := 0, string(got)
		for line := range strings.Lines(text) {
			_, mark := margin(line)
			switch {
			case begins(mark):
				inside++
			case inside > 0 && mark == endMark:
				inside--
			case inside == 0:
				_, rest, found := strings.Cut(at, line)
				if !found {
					t.Fatalf("%q: the line %q is lost in %q", text, line, got)
				}
				at = rest
			}
		}
		for line := range strings.Lines(string(got)) {
			if _, mark := margin(line); begins(mark) {
				t.Fatalf("%q: %q is left", text, line)
			}
		}
	})
}

func begins(mark string) bool {
	_, ok := blockOf(mark)
	return ok
}
