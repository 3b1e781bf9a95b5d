package verify_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/evidence"
	"github.com/confidb/confidb/pkg/verify"
	"github.com/confidb/confidb/pkg/witness"
)

func (s *scene) appraise() verify.Result { return verify.Appraise(s.promised, s.memory, s.seen) }

// What is learned of marks is what a statement says that counts, and nothing else.
func TestWhatIsLearnedOfMarks(t *testing.T) {
	learned := &witness.Line{Last: witness.Mark{Number: 8, Digest: strings.Repeat("8", 64)}}
	for name, c := range map[string]struct {
		change func(*testing.T, *scene)
		want   check.Verdict
		line   *witness.Line
	}{
		"the mark is there":            {func(*testing.T, *scene) {}, check.Affirming, learned},
		"the mark is missing":          {func(t *testing.T, s *scene) { s.said.Witness.Found = false; s.sign(t) }, check.Contraindicated, nil},
		"another check fails":          {func(t *testing.T, s *scene) { s.said.Findings[0].Outcome = check.Fail; s.sign(t) }, check.Contraindicated, learned},
		"the first run":                {func(t *testing.T, s *scene) { s.first(); s.sign(t) }, check.Affirming, learned},
		"no mark was left":             {func(t *testing.T, s *scene) { s.said.Witness.Written = witness.Mark{}; s.sign(t) }, check.None, nil},
		"the statement is of nobody":   {func(_ *testing.T, s *scene) { s.seen.Nonce = "" }, check.Contraindicated, nil},
		"there is no statement":        {func(_ *testing.T, s *scene) { s.seen.Statement = evidence.Missing[[]byte]("away") }, check.None, nil},
		"the CAS is not proven":        {func(_ *testing.T, s *scene) { s.seen.CAS.Value.Peer = nil }, check.Contraindicated, nil},
		"it looked for an older mark":  {func(t *testing.T, s *scene) { s.said.Witness.Asked = strings.Repeat("6", 64); s.sign(t) }, check.None, nil},
		"it looked for no mark at all": {func(t *testing.T, s *scene) { s.said.Witness.Asked, s.said.Witness.Found = "", false; s.sign(t) }, check.None, nil},
		"it looked for marks of another": {func(t *testing.T, s *scene) {
			s.said.Witness.Verifier = strings.Repeat("b", 32)
			s.sign(t)
		}, check.None, nil},
	} {
		s := newScene(t)
		c.change(t, s)
		got := s.appraise()
		if c.line != nil {
			c.line.At = s.seen.At
		}
		if v := got.Findings.Verdict(); v != c.want || !cmp.Equal(got.Line, c.line) {
			t.Errorf("%s: got %s and %+v, want %s and %+v", name, v, got.Line, c.want, c.line)
		}
	}
}

// first makes the run one of somebody who knows of no mark.
func (s *scene) first() {
	s.seen.Demand.Line, s.said.Witness.Asked, s.said.Witness.Found = witness.Line{}, "", false
}

// What was accepted is said at once, and by each later result, whatever else it says.
func TestAnAcceptedRestoreIsSaid(t *testing.T) {
	said := func(r verify.Result) int {
		n := 0
		for _, l := range r.Limitations {
			if l.ID == "accepted-restore" && strings.Contains(l.Text, "of Monday") {
				n++
			}
		}
		return n
	}
	s := newScene(t)
	if n := said(s.appraise()); n != 0 {
		t.Errorf("before anything was accepted: said %d times", n)
	}
	s.seen.Demand.Accept, s.said.Witness.Found = "the backup of Monday", false
	s.sign(t)
	got := s.appraise()
	if v := got.Findings.Verdict(); v != check.Warning || said(got) != 1 || got.Line == nil {
		t.Fatalf("got %s, %+v and %+v", v, got.Limitations, got.Line)
	}
	later := newScene(t)
	later.seen.Demand.Line.Restores = got.Line.Restores
	after := later.appraise()
	if v := after.Findings.Verdict(); v != check.Affirming || said(after) != 1 || len(after.Line.Restores) != 1 {
		t.Errorf("later: got %s, %+v and %+v", v, after.Limitations, after.Line)
	}
	later.seen.Statement = evidence.Missing[[]byte]("away")
	if n := said(later.appraise()); n != 1 {
		t.Errorf("without a statement: said %d times", n)
	}
}

// The words are those of somebody who reads them for the first time.
func TestWhatAMissingMarkSays(t *testing.T) {
	s := newScene(t)
	s.said.Witness.Found = false
	s.sign(t)
	f, _ := s.appraise().Findings.Find("data-01")
	text := strings.Join([]string{f.Got, f.Reason, f.Hint}, " ")
	for _, want := range []string{"older state", "snapshot", "another database", s.seen.At.Add(-time.Hour).UTC().Format(time.RFC3339), "{verify db1 --accept-restore 'REASON'}"} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q: %s", want, text)
		}
	}
	first := newScene(t)
	first.first()
	first.sign(t)
	f, _ = first.appraise().Findings.Find("data-01")
	if f.Outcome != check.Pass || !strings.Contains(f.Reason, "none could be demanded") {
		t.Errorf("the first run: got %+v", f)
	}
	if !slices.Contains(verify.Required(), "data-02") {
		t.Error("a statement need not say whether one database answers")
	}
}
