package render_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/render"
	"github.com/confidb/confidb/pkg/session"
)

// Values of several lines, each in its style, and what stands after them.
func TestRenderLongValues(t *testing.T) {
	const template = `version: "0.3.11" # $C
name: $N
services:
  - name: s
    command: >-
      run $A
      and $B

      again $A   # no comment
    environment:
      \@\@X: 'it''s $A
        and $B'
      Y: "a \" $A
        and \
        $B" # $C
      Z: plain $A
        and $B
        end
      U: [ü, $A, "é $B"]
      $A: key
images:
  - name: i
    injection_files:
      - path: /f
        content: |2
            # $A
          x = $B
      - path: /$A
        content: |
          $$SCONE::s$$ $A $
secrets: [{name: s, kind: ascii}]
`
	got, err := render.Session("t.yml", []byte(template), lookup(map[string]string{"N": "n", "A": "aa", "B": "b"}), "")
	if err != nil {
		t.Fatal(err)
	}
	want := strings.NewReplacer("$N", "n", "      $A: key", "      $A: key", "$A", "aa", "$B", "b").Replace(template)
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRenderAllMissing(t *testing.T) {
	_, err := render.Session("t.yml", []byte("name: $A\nx: [é, $B, \"$B and $C\"]\n"), lookup(map[string]string{"B": "b"}), "")
	var all *session.Errors
	if !errors.As(err, &all) || len(all.Problems) != 2 {
		t.Fatalf("got %v", err)
	}
	const want = "t.yml:1:7: name: Value for variable $A is missing at line 1 column 7\nt.yml:2:20: x[2]: Value for variable $C is missing at line 2 column 20"
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if want := "2:20: give it with -e C=VALUE, or have variables taken from the environment"; !strings.HasSuffix(all.Hint(), want) {
		t.Errorf("hint %q", all.Hint())
	}
}

func TestRenderNameInOtherForms(t *testing.T) {
	for template, want := range map[string]string{
		"{version: '0.3', name: $N, x: $N}\n": "{version: '0.3', name: new, x: n}\n",
		"name: \"a $N\" # $N\n":               "name: new # $N\n",
		"name: ü\n":                           "name: new\n",
	} {
		got, err := render.Session("t.yml", []byte(template), lookup(map[string]string{"N": "n"}), "new")
		if err != nil || string(got) != want {
			t.Errorf("%q becomes %q, %v", template, got, err)
		}
	}
	for _, template := range []string{"version: x\n", "name: [a]\n", "name:\n  a\n  b\n"} {
		if got, err := render.Session("t.yml", []byte(template), lookup(nil), "new"); err == nil {
			t.Errorf("%q becomes %q", template, got)
		}
	}
	got, err := render.Session("t.yml", []byte("name: a\n"), lookup(nil), "007")
	if err != nil || string(got) != "name: \"007\"\n" {
		t.Errorf("got %q, %v", got, err)
	}
}

// A list of one variable may have any style; a reference to a secret is no variable.
func TestRenderLists(t *testing.T) {
	for template, want := range map[string]string{
		"p: [$P]\n":              "p: [a, b]\n",
		"p: [\"$P\"]\n":          "p: [\"a\", \"b\"]\n",
		"p: ['${P}']\n":          "p: ['a', 'b']\n",
		"p: [$$SCONE::P$$]\n":    "p: [$$SCONE::P$$]\n",
		"p: [\n  $P # $P\n]\n":   "p: [\n  a, b # $P\n]\n",
		"p: {q: [$P], r: [s]}\n": "p: {q: [a, b], r: [s]}\n",
	} {
		got, err := render.Session("t.yml", []byte(template), lookup(map[string]string{"P": "[a,\n b]"}), "")
		if err != nil || string(got) != want {
			t.Errorf("%q becomes %q, %v", template, got, err)
		}
	}
}

// A value may hold what a document must not show as it is: between double quotes it is
// written as an escape, and elsewhere it is refused.
func TestRenderInvisible(t *testing.T) {
	for _, value := range []string{"a\u202eb", "\u2066a", "\u200f", "\ufeffa", "a\u2028b", "a\u0085b"} {
		values := lookup(map[string]string{"V": value})
		text, err := render.Session("t.yml", []byte("version: '0.3.11'\nname: a\nservices: [{name: s, pwd: \"$V\"}]\n"), values, "")
		if err != nil {
			t.Errorf("%q between double quotes: %v", value, err)
			continue
		}
		if got := parse(t, string(text)).Services[0].Pwd; got != value {
			t.Errorf("%q between double quotes is read as %q", value, got)
		}
		for _, template := range []string{"name: '$V'\n", "name: x$V\n", "name: |\n  $V\n"} {
			if text, err := render.Session("t.yml", []byte(template), values, ""); err == nil || !strings.Contains(err.Error(), "double quotes") {
				t.Errorf("%q in %q: got %q and %v", value, template, text, err)
			}
		}
	}
}

// In a block each line of a value is a line of the text.
func TestRenderLines(t *testing.T) {
	got, err := render.Session("t.yml", []byte("version: '0.3.11'\nname: a\nservices:\n  - name: s\n    pwd: |\n      first $V\n      $V\n      last\n"), lookup(map[string]string{"V": "a: b\n  - c #\n\nd"}), "")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := parse(t, string(got)).Services[0].Pwd, "first a: b\n  - c #\n\nd\na: b\n  - c #\n\nd\nlast\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

const platform = "INTEL_QE_ID:85ffc69266c833546e5dca1c676a6151"

func lookup(values map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := values[name]; return v, ok }
}

func TestRender(t *testing.T) {
	const text = `# keep: $THIS comment
version: "0.3.11"
name: $NAME # and $THIS
services:
  - name: s
    environment:
      \@\@HOST: ${A}-x
      Q: "say $Q"
      S: 'it is $S'
      P: $$SCONE::secret$$
    command: run @@1 $A
    platforms: [$P]
`
	got, err := render.Session("t.yml", []byte(text), lookup(map[string]string{"NAME": "ns/db", "A": "a", "Q": "\"q\"\n", "S": "S'", "P": "[" + platform + " , " + strings.ToUpper(platform) + "]"}), "")
	if err != nil {
		t.Fatal(err)
	}
	want := strings.NewReplacer("name: $NAME", "name: ns/db", "${A}", "a", "run @@1 $A", "run @@1 a", "say $Q", `say \"q\"\n`, "it is $S", "it is S''", "[$P]", "["+platform+", "+strings.ToUpper(platform)+"]").Replace(text)
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRenderName(t *testing.T) {
	got, err := render.Session("t.yml", []byte("version: \"0.3.11\"\nname: $N\n"), lookup(map[string]string{"N": "a"}), "other/name")
	if err != nil || string(got) != "version: \"0.3.11\"\nname: other/name\n" {
		t.Errorf("got %q, %v", got, err)
	}
	// as in the SCONE CLI, substitution comes before the name
	_, err = render.Session("t.yml", []byte("version: \"0.3.11\"\nname: $SESSION\n"), lookup(nil), "other")
	if err == nil || !strings.Contains(err.Error(), "t.yml:2:7: name: Value for variable $SESSION is missing at line 2 column 7") {
		t.Errorf("got %v", err)
	}
}

// A value must not become structure.
func TestRenderRefuses(t *testing.T) {
	for name, c := range map[string]struct{ template, value string }{
		"a newline in a plain value":   {"name: $V\n", "a\nservices: []"},
		"a colon in a plain value":     {"name: $V\n", "a: b"},
		"a newline in a single quote":  {"name: '$V'\n", "a\nb"},
		"a newline in a folded block":  {"name: >\n  $V\n", "a\nb: c"},
		"a newline deeper in a block":  {"name: |\n  a\n    $V\n", "a\nb: c"},
		"a newline at the end":         {"name: |\n  $V\n", "a\n"},
		"leading blanks in a block":    {"name: |\n  $V\n", "  a"},
		"a tab in a plain value":       {"name: $V\n", "a\tb"},
		"an empty list":                {"platforms: [$V]\n", " , "},
		"a list item with a structure": {"platforms: [$V]\n", "a, {b}"},
		"a comma in one of two items":  {"platforms: [x, $V]\n", "a, b"},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := render.Session("t.yml", []byte(c.template), lookup(map[string]string{"V": c.value}), ""); err == nil {
				t.Errorf("rendered as %q", got)
			}
		})
	}
}

// Whatever a variable holds, it cannot add a key to the document.
func FuzzRender(f *testing.F) {
	f.Add("a: b")
	f.Add("x\ny: z")
	f.Add(`"`)
	f.Add("],[")
	f.Add("x\n  D: y")
	f.Fuzz(func(t *testing.T, value string) {
		const text = "version: \"0.3.11\"\nname: a\nservices:\n  - name: s\n    pwd: \"$V\"\n    environment:\n      A: $V\n      B: '$V'\n      C: |\n        x\n        $V\n        y\n"
		rendered, err := render.Session("t.yml", []byte(text), func(string) (string, bool) { return value, true }, "")
		if err != nil {
			return
		}
		s, err := session.Parse("t.yml", rendered)
		if err != nil {
			return
		}
		if len(s.Services) != 1 || len(s.Services[0].Environment) != 3 || s.Services[0].Pwd != value || s.Services[0].Environment["C"] != "x\n"+value+"\ny\n" {
			t.Errorf("%q changed the document to %q", value, rendered)
		}
	})
}

func parse(t *testing.T, text string) *session.Session {
	t.Helper()
	s, err := session.Parse("s.yml", []byte(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return s
}
