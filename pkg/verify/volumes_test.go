package verify_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/pkg/verify"
)

// promise makes another session of the database the one that was promised.
func (s *scene) promise(old, new string) {
	m := s.promised.Session(topology.Database)
	m.Text = strings.ReplaceAll(m.Text, old, new)
	s.promised.SetSession(topology.Database, m)
	held := s.seen.Sessions[m.Name]
	held.Value.Text = "creator: me\n" + m.Text
	s.seen.Sessions[m.Name] = held
}

func wantLimitations(t *testing.T, r verify.Result, want ...string) {
	t.Helper()
	var got []string
	for _, l := range r.Limitations {
		got = append(got, l.ID)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("limitations (-want +got):\n%s", diff)
	}
}

// A database on files of the host's fails, unless the policy names it; and each time
// it is said what that means.
func TestUnprotectedVolume(t *testing.T) {
	for _, accepted := range []bool{false, true} {
		s := newScene(t)
		s.promise("update_policy: rollback_protected", "update_policy: no_rollback_protection")
		want := check.Contraindicated
		if accepted {
			s.promised.Trust.Deviations = []attest.Deviation{attest.UnprotectedVolume}
			want = check.Warning
		}
		r := verify.Appraise(s.promised, attest.Memory{}, s.seen)
		f, _ := r.Findings.Find("enc-07")
		if v := r.Findings.Verdict(); v != want || !strings.Contains(f.Reason, "service db: datadir /var/lib/mysql/data: its volume data has update_policy") {
			t.Errorf("accepted %v: got %s, %+v", accepted, v, f)
		}
		wantLimitations(t, r, "unprotected-volume", "clear-aria-log", "no-integrity", "self-report")
		if text := r.Limitations[0].Text; text != "Whoever writes the volume runs SQL with every right and reads everything." {
			t.Error(text)
		}
	}
}

// Without a statement there is nothing to say of the database.
func TestNoLimitationsOfNothing(t *testing.T) {
	s := newScene(t)
	s.seen.Nonce = ""
	wantLimitations(t, verify.Appraise(s.promised, attest.Memory{}, s.seen))
}
