package check_test

import (
	"encoding/json"
	"testing"

	"github.com/confidb/confidb/pkg/check"
)

func TestVerdict(t *testing.T) {
	of := func(outcomes ...check.Outcome) check.Report {
		var r check.Report
		for _, o := range outcomes {
			r = append(r, check.Finding{ID: "x", Outcome: o})
		}
		return r
	}
	for name, c := range map[string]struct {
		report check.Report
		want   check.Verdict
	}{
		"nothing asked":      {nil, check.None},
		"a zero finding":     {check.Report{{}}, check.None},
		"all passed":         {of(check.Pass, check.Pass), check.Affirming},
		"one skipped":        {of(check.Pass, check.Skip, check.Warn), check.None},
		"one warned":         {of(check.Pass, check.Warn), check.Warning},
		"one failed":         {of(check.Skip, check.Fail, check.Pass), check.Contraindicated},
		"an unknown outcome": {of(check.Pass, check.Outcome(7)), check.Contraindicated},
		"a negative outcome": {of(check.Pass, check.Outcome(-1)), check.Contraindicated},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.report.Verdict(); got != c.want {
				t.Errorf("Verdict() = %s, want %s", got, c.want)
			}
		})
	}
}

func TestAccepted(t *testing.T) {
	for v, want := range map[check.Verdict]bool{
		check.Affirming: true, check.Warning: true,
		check.None: false, check.Contraindicated: false, "": false, "Affirming": false, "affirming ": false,
	} {
		if got := v.Accepted(); got != want {
			t.Errorf("%q: got %v, want %v", v, got, want)
		}
	}
	var nothing check.Report
	if nothing.Verdict().Accepted() {
		t.Error("nothing was asked, and that was accepted")
	}
}

func TestOutcomeAsText(t *testing.T) {
	for _, o := range []check.Outcome{check.Skip, check.Pass, check.Warn, check.Fail} {
		text, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		var back check.Outcome
		if err := json.Unmarshal(text, &back); err != nil || back != o {
			t.Errorf("%s: came back as %v (%v)", text, back, err)
		}
	}
	var o check.Outcome
	if err := json.Unmarshal([]byte(`"PASS"`), &o); err == nil {
		t.Error("an unknown word was taken as an outcome")
	}
	if _, err := json.Marshal(check.Outcome(9)); err == nil {
		t.Error("an outcome without a word was written")
	}
}

func TestReportLookups(t *testing.T) {
	r := check.Report{{ID: "a", Outcome: check.Pass}, {ID: "b", Outcome: check.Fail}}
	if f, ok := r.Find("b"); !ok || f.Outcome != check.Fail {
		t.Errorf("Find(b) = %v, %v", f, ok)
	}
	if _, ok := r.Find("c"); ok {
		t.Error("found a check that nobody asked")
	}
	if got := r.With(check.Fail); len(got) != 1 || got[0].ID != "b" {
		t.Errorf("With(Fail) = %v", got)
	}
}
