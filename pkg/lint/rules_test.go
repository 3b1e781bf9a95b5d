package lint

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// TestRulesAndFinders reads the file in another way than the program does.
func TestRulesAndFinders(t *testing.T) {
	var file []map[string]any
	if err := yaml.Unmarshal([]byte(rulesFile), &file); err != nil {
		t.Fatal(err)
	}
	rules, err := Rules()
	if err != nil {
		t.Fatal(err)
	}
	if len(file) != len(rules) {
		t.Fatalf("got %d rules, want the %d of the file", len(rules), len(file))
	}
	var codes []string
	for i, r := range rules {
		want := map[string]any{"code": r.Code, "name": r.Name, "severity": string(r.Severity), "title": r.Title, "meaning": r.Meaning, "attack": r.Attack, "fix": r.Fix}
		if r.ByCAS {
			want["by-cas"] = true
		}
		if diff := cmp.Diff(file[i], want); diff != "" {
			t.Errorf("%s is not what the file says (-file +rule):\n%s", r.Code, diff)
		}
		codes = append(codes, r.Code)
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(finders())), codes); diff != "" {
		t.Errorf("(-finders +rules):\n%s", diff)
	}
}

// TestOnlyOtherRulesHaveNoFinder keeps a finder from being forgotten.
func TestOnlyOtherRulesHaveNoFinder(t *testing.T) {
	elsewhere := []string{codeUnreadable, codeIncomplete, codeUnknown, codeExpired, codeNothing, codeNoPlatforms, codeMixed, codeBareID, codeUnknownSecret}
	for code, find := range finders() {
		if (find == nil) != slices.Contains(elsewhere, code) {
			t.Errorf("%s: has a finder: %v", code, find != nil)
		}
	}
}

func TestTexts(t *testing.T) {
	rules, err := Rules()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rules {
		for _, text := range []string{r.Title, r.Meaning, r.Attack, r.Fix} {
			if text != strings.Join(strings.Fields(text), " ") {
				t.Errorf("%s: %q has blanks too many, or more than one line", r.Code, text)
			}
		}
		if strings.HasSuffix(r.Title, ".") {
			t.Errorf("%s: the title %q is a whole sentence", r.Code, r.Title)
		}
		if !strings.HasSuffix(r.Meaning, ".") {
			t.Errorf("%s: the meaning %q does not end", r.Code, r.Meaning)
		}
	}
}

// TestBrokenRules shows that a broken list of rules is refused as a whole.
func TestBrokenRules(t *testing.T) {
	const one = "- {code: CDB9001, name: a, severity: note, title: t, meaning: m, attack: a, fix: f}\n"
	const two = "- {code: CDB9002, name: b, severity: fatal, title: t, meaning: m, attack: a, fix: f, by-cas: true}\n"
	for name, c := range map[string]struct {
		text, says string
	}{
		"good":                {one + two, ""},
		"nothing":             {"", "EOF"},
		"an empty list":       {"[]", "there are none"},
		"no YAML":             {"- {", "reading the rules"},
		"another document":    {one + two + "---\n" + one, "want one document"},
		"what follows":        {one + two + "---\n{", "want one document"},
		"another order":       {two + one, "rule CDB9001: it stands after rule CDB9002"},
		"a code twice":        {one + two + strings.Replace(two, "name: b", "name: c", 1), "rule CDB9002: it stands after rule CDB9002"},
		"a name twice":        {one + strings.Replace(two, "name: b", "name: a", 1), "CDB9001"},
		"an unknown severity": {one + strings.Replace(two, "fatal", "grave", 1), `"grave"`},
		"an unknown member":   {one + strings.Replace(two, "fix:", "cure: c, fix:", 1), "cure"},
		"a member twice":      {one + strings.Replace(two, "fix:", "fix: g, fix:", 1), "already"},
		"a word for a bool":   {one + strings.Replace(two, "true", "perhaps", 1), "perhaps"},
		"no code":             {one + strings.Replace(two, "code: CDB9002, ", "", 1), "missing"},
		"no name":             {one + strings.Replace(two, "name: b, ", "", 1), "missing"},
		"no severity":         {one + strings.Replace(two, "severity: fatal, ", "", 1), `severity ""`},
		"no title":            {one + strings.Replace(two, "title: t, ", "", 1), "missing"},
		"no meaning":          {one + strings.Replace(two, "meaning: m, ", "", 1), "missing"},
		"no attack":           {one + strings.Replace(two, "attack: a, ", "", 1), "missing"},
		"no fix":              {one + strings.Replace(two, "fix: f, ", "", 1), "missing"},
	} {
		b, err := read(c.text)
		if c.says == "" {
			if err != nil || len(b.rules) != 2 || b.rules[0].Code != "CDB9001" || !b.rules[1].ByCAS {
				t.Errorf("%s: got %+v and %v, want two rules by code", name, b.rules, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want an error that mentions %q", name, err, c.says)
		}
		if len(b.rules) > 0 {
			t.Errorf("%s: got rules beside the error", name)
		}
	}
}

// TestMatch shows that no rule goes without a finder, and no finder without a rule.
func TestMatch(t *testing.T) {
	rules := book{[]Rule{{Code: "CDB9001"}, {Code: "CDB9002"}}}
	for name, c := range map[string]struct {
		finders []string
		says    string
	}{
		"one for each":      {[]string{"CDB9002", "CDB9001"}, ""},
		"none":              {nil, "rule CDB9001: nothing finds its problems"},
		"a finder too few":  {[]string{"CDB9001"}, "rule CDB9002: nothing finds its problems"},
		"a finder too many": {[]string{"CDB9001", "CDB9002", "CDB9003", "CDB9004"}, "no rules for CDB9003, CDB9004"},
	} {
		finders := map[string]finder{}
		for _, code := range c.finders {
			finders[code] = nil
		}
		err := rules.match(finders)
		if got := fmt.Sprint(err); c.says == "" && err != nil || c.says != "" && got != c.says {
			t.Errorf("%s: got %v, want %q", name, err, c.says)
		}
	}
}
