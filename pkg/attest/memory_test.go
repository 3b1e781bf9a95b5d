package attest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/sgx"
)

// verified is a verification with collateral of these evaluation numbers.
func verified(family byte, tcb, qe int) *sgx.Result {
	return &sgx.Result{Platform: &sgx.PCK{FMSPC: [6]byte{family}}, EvaluationDataNumber: tcb, QEEvaluationDataNumber: qe}
}

func TestMemoryJudges(t *testing.T) {
	rootA, rootB := []byte("root A"), []byte("root B")
	memory := attest.Memory{}.Learn(verified(1, 17, 15), rootA, at)
	for name, c := range map[string]struct {
		result  *sgx.Result
		root    []byte
		now     time.Time
		worst   string // the one finding that does not pass
		outcome check.Outcome
	}{
		"the same once more":               {verified(1, 17, 15), rootA, at, "", check.Pass},
		"newer collateral, later":          {verified(1, 18, 16), rootA, at.Add(time.Hour), "", check.Pass},
		"an older TCB info":                {verified(1, 16, 15), rootA, at, "tcb-info-rollback", check.Fail},
		"an older QE identity":             {verified(1, 17, 14), rootA, at, "qe-identity-rollback", check.Fail},
		"newer TCB info, older QE":         {verified(1, 18, 14), rootA, at, "qe-identity-rollback", check.Fail},
		"older TCB info of another family": {verified(2, 16, 15), rootA, at, "", check.Pass},
		"older QE, whatever the family":    {verified(2, 17, 14), rootA, at, "qe-identity-rollback", check.Fail},
		"older, under another root":        {verified(1, 1, 1), rootB, at, "", check.Pass},
		"older, under Intel's root":        {verified(1, 1, 1), nil, at, "", check.Pass},
		"no TCB info":                      {verified(1, 0, 15), rootA, at, "tcb-info-rollback", check.Skip},
		"no QE identity":                   {verified(1, 17, 0), rootA, at, "qe-identity-rollback", check.Skip},
		"a clock within the skew":          {verified(1, 17, 15), rootA, at.Add(-5 * time.Minute), "", check.Pass},
		"a clock that was set back":        {verified(1, 17, 15), rootA, at.Add(-5*time.Minute - time.Second), "clock", check.Skip},
		"no quote":                         {nil, rootA, at, "", check.Pass},
		"no quote, a clock set back":       {nil, rootA, at.AddDate(-1, 0, 0), "clock", check.Skip},
	} {
		t.Run(name, func(t *testing.T) {
			report := memory.Judge(c.result, c.root, c.now)
			wantOnly(t, report, c.worst, c.outcome)
			if want := 1 + 2*bit(c.result != nil); len(report) != want {
				t.Errorf("got %d findings, want %d: %+v", len(report), want, report)
			}
		})
	}
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// wantOnly wants one finding with an outcome, a reason and a hint, and a pass of all others.
func wantOnly(t *testing.T, report check.Report, id string, outcome check.Outcome) {
	t.Helper()
	for _, f := range report {
		want := check.Pass
		if f.ID == id {
			want = outcome
		}
		if f.Outcome != want {
			t.Errorf("%s: got %s, want %s: %+v", f.ID, f.Outcome, want, f)
		}
		if f.Outcome != check.Pass && (f.Reason == "" || f.Hint == "") {
			t.Errorf("%s has no reason or no hint: %+v", f.ID, f)
		}
	}
	if _, asked := report.Find(id); id != "" && !asked {
		t.Errorf("%s was not asked: %+v", id, report)
	}
}

func TestMemoryRemembersNothingAtFirst(t *testing.T) {
	for _, r := range []*sgx.Result{nil, {}, verified(1, 0, 0), verified(1, 1, 1)} {
		if v := (attest.Memory{}).Judge(r, nil, at).Verdict(); v != check.Affirming {
			t.Errorf("%+v: got %s", r, v)
		}
		if v := (attest.Memory{}).Judge(r, nil, time.Time{}).Verdict(); v != check.Affirming {
			t.Errorf("%+v with the zero time: got %s", r, v)
		}
	}
}

func TestMemoryNeverGoesBack(t *testing.T) {
	first := attest.Memory{}.Learn(verified(1, 17, 15), nil, at)
	kept := attest.Memory{Latest: first.Latest, Evaluations: maps.Clone(first.Evaluations)}
	for name, second := range map[string]attest.Memory{
		"older":    first.Learn(verified(1, 16, 14), nil, at.Add(-time.Hour)),
		"nothing":  first.Learn(nil, nil, at.Add(-time.Hour)),
		"the same": first.Learn(verified(1, 17, 15), nil, at),
	} {
		if diff := cmp.Diff(kept, second); diff != "" {
			t.Errorf("%s changes what is remembered (-want +got):\n%s", name, diff)
		}
	}
	newer := first.Learn(verified(1, 18, 16), nil, at.Add(time.Hour))
	if newer.Judge(verified(1, 17, 16), nil, at.Add(time.Hour)).Verdict() != check.Contraindicated {
		t.Error("newer collateral was not learnt")
	}
	if newer.Judge(verified(1, 18, 16), nil, at).Verdict() != check.None {
		t.Error("a later time was not learnt")
	}
	if diff := cmp.Diff(kept, first); diff != "" {
		t.Errorf("learning changed the memory that it began with:\n%s", diff)
	}
}

// numbered signs collateral once more with other evaluation numbers.
func (f *fixture) numbered(t *testing.T, tcb, qe int) map[string][]byte {
	t.Helper()
	files, err := f.authority.CollateralFiles(at)
	if err != nil {
		t.Fatal(err)
	}
	number := regexp.MustCompile(`"tcbEvaluationDataNumber":\d+`)
	for member, c := range map[string]struct {
		file   string
		number int
	}{"tcbInfo": {"tcbInfo.json", tcb}, "enclaveIdentity": {"qeIdentity.json", qe}} {
		var document map[string]json.RawMessage
		if err := json.Unmarshal(files[c.file], &document); err != nil {
			t.Fatal(err)
		}
		text := number.ReplaceAll(document[member], fmt.Appendf(nil, `"tcbEvaluationDataNumber":%d`, c.number))
		if files[c.file], err = f.authority.Sign(member, text); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// What was learnt from a CAS with current collateral is held against its old one.
func TestMemoryOfACAS(t *testing.T) {
	f := newFixture(t)
	in := f.inputs(t)
	memory := attest.Memory{}
	for _, step := range []struct {
		tcb, qe int
		fails   string
	}{
		{17, 15, ""}, {17, 15, ""}, {16, 15, "tcb-info-rollback"}, {17, 14, "qe-identity-rollback"}, {18, 15, ""}, {17, 15, "tcb-info-rollback"}, {18, 16, ""},
	} {
		in.CollateralFiles = f.numbered(t, step.tcb, step.qe)
		a, err := attest.AppraiseCAS(in)
		if err != nil {
			t.Fatal(err)
		}
		if v := a.Findings.Verdict(); v != check.Affirming {
			t.Fatalf("without memory: got %s: %+v", v, a.Findings)
		}
		report := memory.Judge(a.Result, in.RootCA, at)
		wantOnly(t, report, step.fails, check.Fail)
		if report.Verdict() == check.Affirming {
			memory = memory.Learn(a.Result, in.RootCA, at)
		}
	}
	if bytes.Equal(in.RootCA, nil) || len(memory.Evaluations) != 2 {
		t.Errorf("got %+v, want two numbers", memory)
	}
}
