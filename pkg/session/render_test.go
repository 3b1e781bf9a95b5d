package session_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

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
	got, err := session.Render("t.yml", []byte(template), lookup(map[string]string{"N": "n", "A": "aa", "B": "b"}), "")
	if err != nil {
		t.Fatal(err)
	}
	want := strings.NewReplacer("$N", "n", "      $A: key", "      $A: key", "$A", "aa", "$B", "b").Replace(template)
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRenderAllMissing(t *testing.T) {
	_, err := session.Render("t.yml", []byte("name: $A\nx: [é, $B, \"$B and $C\"]\n"), lookup(map[string]string{"B": "b"}), "")
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
		got, err := session.Render("t.yml", []byte(template), lookup(map[string]string{"N": "n"}), "new")
		if err != nil || string(got) != want {
			t.Errorf("%q becomes %q, %v", template, got, err)
		}
	}
	for _, template := range []string{"version: x\n", "name: [a]\n", "name:\n  a\n  b\n"} {
		if got, err := session.Render("t.yml", []byte(template), lookup(nil), "new"); err == nil {
			t.Errorf("%q becomes %q", template, got)
		}
	}
	got, err := session.Render("t.yml", []byte("name: a\n"), lookup(nil), "007")
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
		got, err := session.Render("t.yml", []byte(template), lookup(map[string]string{"P": "[a,\n b]"}), "")
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
		text, err := session.Render("t.yml", []byte("version: '0.3.11'\nname: a\nservices: [{name: s, pwd: \"$V\"}]\n"), values, "")
		if err != nil {
			t.Errorf("%q between double quotes: %v", value, err)
			continue
		}
		if got := parse(t, string(text)).Services[0].Pwd; got != value {
			t.Errorf("%q between double quotes is read as %q", value, got)
		}
		for _, template := range []string{"name: '$V'\n", "name: x$V\n", "name: |\n  $V\n"} {
			if text, err := session.Render("t.yml", []byte(template), values, ""); err == nil || !strings.Contains(err.Error(), "double quotes") {
				t.Errorf("%q in %q: got %q and %v", value, template, text, err)
			}
		}
	}
}
