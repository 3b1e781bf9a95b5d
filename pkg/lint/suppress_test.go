package lint_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/lint"
)

// TestSuppressionReach says at which places a comment accepts a problem of a secret.
func TestSuppressionReach(t *testing.T) {
	const comment = `# confidb:ignore CDB3024 until=2026-06-30 reason="it is needed soon"`
	text, err := os.ReadFile("testdata/CDB3024/bad.yaml")
	if err != nil {
		t.Fatal(err)
	}
	const old = "  - name: old\n    kind: ascii\n"
	for name, c := range map[string]struct {
		now  string
		want []string
	}{
		"before the value":        {"  " + comment + "\n" + old, nil},
		"before another comment":  {"  " + comment + "\n  # left over\n" + old, nil},
		"beside it":               {"  - name: old " + comment + "\n    kind: ascii\n", nil},
		"within it":               {"  - name: old\n    " + comment + "\n    kind: ascii\n", []string{"CDB0004", "CDB3024"}},
		"before another value":    {old + "  " + comment + "\n", []string{"CDB0004", "CDB3024"}},
		"twice":                   {"  " + comment + "\n  " + comment + "\n" + old, nil},
		"of another code":         {strings.Replace("  "+comment+"\n"+old, "3024", "3022", 1), []string{"CDB0004", "CDB3024"}},
		"before the whole list":   {old, nil},
		"at the top of the file":  {old, nil},
		"with small letters":      {strings.Replace("  "+comment+"\n"+old, "CDB", "cdb", 1), []string{"CDB0002", "CDB3024"}},
		"with blanks as reason":   {"  " + strings.Replace(comment, "it is needed soon", "  ", 1) + "\n" + old, []string{"CDB0001", "CDB3024"}},
		"with something after it": {"  " + comment + " and more\n" + old, []string{"CDB0001", "CDB3024"}},
	} {
		changed := strings.Replace(string(text), old, c.now, 1)
		switch name {
		case "before the whole list":
			changed = strings.Replace(changed, "secrets:\n", comment+"\nsecrets:\n", 1)
		case "at the top of the file":
			changed = comment + "\n" + changed
		}
		problems := checkText(t, "a.yaml", []byte(changed))
		if diff := cmp.Diff(c.want, open(problems)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if c.want == nil && (len(problems) != 1 || !problems[0].Suppressed || problems[0].Reason != "it is needed soon" || problems[0].Until != "2026-06-30") {
			t.Errorf("%s: got %+v, want one suppressed problem with reason and date", name, problems)
		}
	}
}

// TestNearbyCode helps with a slip in a code.
func TestNearbyCode(t *testing.T) {
	problems := checkFile(t, "testdata/CDB0002/bad.yaml")
	var fix string
	for _, p := range problems {
		if p.Code == "CDB0002" {
			fix = p.Fix
		}
	}
	if !strings.HasPrefix(fix, "Did you mean CDB30") {
		t.Errorf("got the fix %q", fix)
	}
}

// TestNoSecretIsShown plants a value in each place that may hold one.
func TestNoSecretIsShown(t *testing.T) {
	const canary = "canary-3f9a1c-do-not-show"
	text, err := os.ReadFile("testdata/CDB3014/bad-token.yaml")
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.NewReplacer("letmein", canary, "    size: 32\n", "    value: "+canary+"\n", "--config=/etc/app.json", "--password="+canary).Replace(string(text))
	problems := checkText(t, "a.yaml", []byte(changed))
	if diff := cmp.Diff([]string{"CDB3014"}, open(problems)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, p := range problems {
		if strings.Contains(p.Got+p.Fix+p.Path, canary) {
			t.Errorf("%s shows a secret", p.Code)
		}
	}
}

func TestSeverities(t *testing.T) {
	if !lint.Fatal.AtLeast(lint.Error) || !lint.Note.AtLeast(lint.Note) || lint.Warning.AtLeast(lint.Error) {
		t.Error("got another order than note, warning, error, fatal")
	}
}
