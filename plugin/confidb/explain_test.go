package confidb

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/pkg/explain"
	"github.com/confidb/confidb/plugin/internal/cli"
)

// runExplain runs the command alone, without anything that knows a cluster.
func runExplain(arguments ...string) (code int, out, errOut string) {
	var stdout, stderr bytes.Buffer
	c := newExplainCommand(&cli.Env{IOStreams: genericiooptions.IOStreams{In: strings.NewReader(""), Out: &stdout, ErrOut: &stderr}})
	c.SilenceErrors, c.SilenceUsage = true, true
	c.SetOut(&stdout)
	c.SetErr(&stderr)
	c.SetArgs(append([]string{}, arguments...)) // cobra takes those of the test for nil
	return cli.Report(cli.Kubectl, c.Execute(), &stderr), stdout.String(), stderr.String()
}

func TestExplainListsAllCodes(t *testing.T) {
	_, bare, _ := runExplain()
	code, listed, errOut := runExplain("--list")
	if code != cli.OK || errOut != "" || listed != bare {
		t.Errorf("got code %d, %q, and the same as without an argument: %v", code, errOut, listed == bare)
	}
	pages, err := explain.Pages()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pages {
		if !strings.Contains(listed, "\n  "+p.Code+" ") || !strings.Contains("\n"+listed, "\n"+p.Group+"\n") {
			t.Errorf("%s or its group is missing", p.Code)
		}
	}
}

// Every page is looked at: a long word in one of them is an error of that page.
func TestExplainIsNarrow(t *testing.T) {
	pages, err := explain.Pages()
	if err != nil {
		t.Fatal(err)
	}
	_, all, _ := runExplain("--list")
	for _, p := range pages {
		_, out, _ := runExplain(p.Code)
		all += out
	}
	for line := range strings.Lines(all) {
		line = strings.TrimSuffix(line, "\n")
		if n := utf8.RuneCountInString(line); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
		if strings.TrimRight(line, " ") != line {
			t.Errorf("blanks at the end: %q", line)
		}
	}
}

func TestExplainRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		arguments []string
		code      int
		want      []string
	}{
		"a slip":                {[]string{"cas-nonse"}, cli.Failed, []string{`error: no page explains "cas-nonse"`, "\nhint: did you mean cas-nonce"}},
		"something else":        {[]string{"xyzzy"}, cli.Failed, []string{"error: ", "\nhint: kubectl confidb explain --list"}},
		"nothing":               {[]string{" "}, cli.Usage, []string{"error: there is nothing to explain"}},
		"too much":              {[]string{strings.Repeat("a", explain.MaxText+1)}, cli.Usage, []string{"error: the text is longer than 65536 bytes"}},
		"a text and the list":   {[]string{"--list", "cas-nonce"}, cli.Usage, []string{"error: got --list"}},
		"an unknown format":     {[]string{"cas-nonce", "-o", "xml"}, cli.Usage, []string{"error: "}},
		"what moves the cursor": {[]string{"xyzzy\x1b[2K\rerror: none\nhint: all is well\u202e"}, cli.Failed, []string{`error: no page explains "xyzzy error: none hint: all is well"` + "\n"}},
	} {
		code, out, errOut := runExplain(c.arguments...)
		if code != c.code || out != "" {
			t.Errorf("%s: got code %d and output %q, want code %d and none", name, code, out, c.code)
		}
		for _, want := range c.want {
			if !strings.Contains(errOut, want) {
				t.Errorf("%s: %q is missing in %q", name, want, errOut)
			}
		}
		if strings.ContainsAny(errOut, "\x1b\r\u202e") || strings.Count(errOut, "\n") > 2 {
			t.Errorf("%s: got %q, with control characters or lines that are not ours", name, errOut)
		}
	}
}

// A dash reads standard input: a log of several lines, of which the innermost cause comes
// first.
func TestExplainReadsStandardInput(t *testing.T) {
	for in, want := range map[string]string{
		"cas-nonce\n": "cas-nonce: ",
		"Caused by: Failed to establish an encrypted channel to CAS\n  Caused by: invalid certificate: UnknownIssuer\n": "scone-peer-certificate: ",
		"":                                "error: there is nothing to explain",
		strings.Repeat("a line\n", 10000): "error: the text is longer than",
	} {
		var stdout, stderr bytes.Buffer
		c := newExplainCommand(&cli.Env{IOStreams: genericiooptions.IOStreams{In: strings.NewReader(in), Out: &stdout, ErrOut: &stderr}})
		c.SilenceErrors, c.SilenceUsage = true, true
		c.SetArgs([]string{"-"})
		code := cli.Report(cli.Kubectl, c.Execute(), &stderr)
		if got := stdout.String() + stderr.String(); !strings.HasPrefix(got, want) || (code == cli.OK) == strings.HasPrefix(want, "error") {
			t.Errorf("%.40q: exit %d, got %.100q, want %q", in, code, got, want)
		}
	}
}
