package printers_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"sigs.k8s.io/yaml"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/printers"
)

// hostile is what a peer could send to forge what a terminal shows.
const hostile = "a\x1b[2Jb\u009b1Ac\u202ed\u2066e\u2028f\u0085g\u200bh\U000e0041i\rj\x00k\x7fl\u00adm\ufeffn"

func TestNoFormatMovesTheCursor(t *testing.T) {
	r := printers.Result{
		Head: printers.Head{Kind: "confidb.test/v1", Simulated: true}, Subject: hostile, Verdict: check.Contraindicated,
		Findings: check.Report{{ID: "x", Title: "it is " + hostile, Outcome: check.Fail, Got: hostile, Want: hostile, Reason: hostile, Hint: hostile}},
		Origins:  map[string]string{hostile: hostile},
	}
	for _, format := range append(cli.Formats(), "") {
		var out bytes.Buffer
		if err := printers.Print(&out, format, r); err != nil {
			t.Fatal(err)
		}
		if i := strings.IndexFunc(out.String(), func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); i >= 0 {
			t.Errorf("format %q: something that is not printable at %d: %q", format, i, out.String()[max(0, i-10):i+4])
		}
	}
}

// TestJSONSaysWhatWasThere: escapes change nothing for a program.
func TestJSONSaysWhatWasThere(t *testing.T) {
	var out bytes.Buffer
	if err := printers.Encode(&out, "json", map[string]string{"text": hostile}); err != nil {
		t.Fatal(err)
	}
	var read map[string]string
	if err := json.Unmarshal(out.Bytes(), &read); err != nil {
		t.Fatal(err)
	}
	if read["text"] != hostile {
		t.Errorf("got %q, want %q", read["text"], hostile)
	}
}

// TestYAMLShowsWhatWasThere: as an escape that can be seen.
func TestYAMLShowsWhatWasThere(t *testing.T) {
	var out bytes.Buffer
	if err := printers.Encode(&out, "yaml", map[string]string{"text": "a\u202eb: ä\nc"}); err != nil {
		t.Fatal(err)
	}
	var read map[string]string
	if err := yaml.Unmarshal(out.Bytes(), &read); err != nil {
		t.Fatal(err)
	}
	if want := "a\\u202eb: ä\nc"; read["text"] != want {
		t.Errorf("got %q, want %q", read["text"], want)
	}
}

// document is one of another room's.
type document struct {
	printers.Head
	Said string `json:"text"`
}

func (d document) Text(p *printers.Page) { p.Wrap("", d.Said) }

func TestTheBannerIsOnEverySimulatedText(t *testing.T) {
	for _, simulated := range []bool{true, false} {
		var out bytes.Buffer
		if err := printers.Print(&out, "", document{printers.Head{Simulated: simulated}, "result"}); err != nil {
			t.Fatal(err)
		}
		if got := strings.HasPrefix(out.String(), "SIMULATED: "); got != simulated {
			t.Errorf("simulated %v: the text begins with %q", simulated, out.String())
		}
		for _, format := range cli.Formats() {
			out.Reset()
			if err := printers.Print(&out, format, document{printers.Head{Simulated: simulated}, "result"}); err != nil {
				t.Fatal(err)
			}
			var read struct{ Simulated *bool }
			if err := yaml.Unmarshal(out.Bytes(), &read); err != nil {
				t.Fatal(err)
			}
			if read.Simulated == nil || *read.Simulated != simulated {
				t.Errorf("%s: got %s", format, out.String())
			}
		}
	}
}

func TestColumns(t *testing.T) {
	var p printers.Page
	p.Columns([][]string{{"NODE", "ID"}, {"n\x1b[1m1", ""}, {"a-longer-name", "äö\n"}})
	want := "NODE           ID\nn1             <none>\na-longer-name  äö\n"
	if p.String() != want {
		t.Errorf("got\n%s\nwant\n%s", p.String(), want)
	}
	p.Columns(nil)
	if p.String() != want {
		t.Error("no rows write something")
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int]string{0: "0 machines", 1: "1 machine", 2: "2 machines"} {
		if got := printers.Count(n, "machine"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
