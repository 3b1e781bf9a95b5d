package collateral_test

import (
	"testing"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/collateral"
)

func TestSays(t *testing.T) {
	i := newIntel(t)
	b := collateral.Parse("x.json", i.bundle(now.Add(-day)), i.options())
	s := b.Says(now)
	if s.FMSPC != "c0ffee000000" || s.CA != "platform" || s.File != "x.json" {
		t.Errorf("got %+v", s)
	}
	if s.Verdict != check.Affirming {
		t.Errorf("got the verdict %s", s.Verdict)
	}
	first := s.First()
	for _, v := range s.Validities {
		if v.Until.Before(first.Until) {
			t.Errorf("%s ends before %s", v.Part, first.Part)
		}
	}
	if first.DaysLeft != 29 { // of the 30 for which Intel signs
		t.Errorf("got %d days left of %s", first.DaysLeft, first.Part)
	}
	if got := b.Says(first.Until).First().DaysLeft; got != 0 {
		t.Errorf("at its end %d days are left", got)
	}
	if got := b.Says(first.Until.Add(1)).First().DaysLeft; got != -1 {
		t.Errorf("after its end %d days are left", got)
	}
}

// What cannot be read says nothing, and is refuted.
func TestSaysOfWhatIsForged(t *testing.T) {
	i, other := newIntel(t), newIntel(t)
	for title, text := range map[string][]byte{"no bundle": []byte("{"), "another root": other.bundle(now)} {
		s := collateral.Parse("x.json", text, i.options()).Says(now)
		if s.Verdict != check.Contraindicated {
			t.Errorf("%s: got the verdict %s", title, s.Verdict)
		}
		if s.FMSPC != "" || s.PCEID != "" {
			t.Errorf("%s: got FMSPC %q and PCE ID %q", title, s.FMSPC, s.PCEID)
		}
		if s.Validities == nil || s.First() != (collateral.Validity{}) {
			t.Errorf("%s: got %v", title, s.Validities)
		}
	}
}
