package verbs

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/sgx"
)

func TestDidYouMean(t *testing.T) {
	names := []string{"worker-1", "worker-2", "control"}
	for got, want := range map[string]string{
		"worker-l": "; did you mean worker-1?", "wroker-2": "; did you mean worker-2?", "contrl": "; did you mean control?",
		"database": "", "x": "", "": "",
	} {
		if hint := didYouMean(got, names); hint != want {
			t.Errorf("%q: got %q, want %q", got, hint, want)
		}
	}
}

// Every status has its words, and those that nobody may tolerate have none.
func TestSCONEWords(t *testing.T) {
	for _, s := range sgx.Statuses() {
		none := s == sgx.UpToDate || s == sgx.Revoked
		if got := sconeWords(s); (len(got) == 0) != none || strings.Contains(strings.Join(got, ""), "*") {
			t.Errorf("%s: got %q", s, got)
		}
	}
}

func TestHashed(t *testing.T) {
	a, b := hashed([]byte("0123456789abcdef")), hashed([]byte("0123456789abcdeg"))
	if a == b || !strings.HasPrefix(a, "sha256:") || len(a) != 71 || hashed(nil) != "" {
		t.Errorf("got %s, %s, %q", a, b, hashed(nil))
	}
}

func TestStepsLeaveOutWhatIsSaidHere(t *testing.T) {
	do := "Update it.\nkubectl confidb tcb\naccept-tcb: [X]\nName it under accept-tcb of the policy.\nRestart."
	if diff := cmp.Diff([]string{"Update it.", "Restart."}, steps(do)); diff != "" {
		t.Error(diff)
	}
}

func TestUpToFive(t *testing.T) {
	for want, names := range map[string][]string{
		"a":                           {"a"},
		"a, b, c, d, e":               {"a", "b", "c", "d", "e"},
		"a, b, c, d, e and 2 more":    {"a", "b", "c", "d", "e", "f", "g"},
		strings.Repeat("x", 60) + "…": {strings.Repeat("x", 253)},
	} {
		if got := upToFive(names); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestWorst(t *testing.T) {
	of := func(outcomes ...check.Outcome) check.Report {
		var r check.Report
		for _, o := range outcomes {
			r = append(r, check.Finding{Outcome: o})
		}
		return r
	}
	for want, r := range map[check.Outcome]check.Report{
		check.Fail: of(check.Skip, check.Fail, check.Warn), check.Skip: of(check.Pass, check.Warn, check.Skip),
		check.Warn: of(check.Warn, check.Pass), check.Pass: of(check.Pass),
	} {
		if got := worst(r); got != want {
			t.Errorf("%v: got %s", r, got)
		}
	}
}
