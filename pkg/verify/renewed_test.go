package verify_test

import (
	"strings"
	"testing"
	"time"

	"github.com/confidb/confidb/internal/sgxmint"
	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/pkg/verify"
)

// rejudged is a release that was installed under the collateral of one day, and the
// authority that issues that of another.
func rejudged(t *testing.T) (*scene, *sgxmint.Authority) {
	t.Helper()
	s := newScene(t)
	authority := must[*sgxmint.Authority](t)(sgxmint.NewAuthority(s.seen.At))
	platform := must[*sgxmint.Platform](t)(sgxmint.NewPlatform(authority, s.seen.At))
	body := sgx.ReportBody{MRENCLAVE: measured, MRSIGNER: sgx.Measurement{8}, ISVSVN: 5, Attributes: [16]byte{5}}
	leaf := s.seen.CAS.Value.Peer[0]
	s.seen.CAS.Value.Pin.Report = must[[]byte](t)(platform.CASReport(body, [16]byte{1}, []byte(encode("CERTIFICATE", leaf))))
	s.promised.Trust.RootCA = authority.RootPEM()
	s.promised.Trust.Collateral = must[map[string][]byte](t)(authority.CollateralFiles(s.seen.At))
	return s, authority
}

// TestALaterRevocationIsSeen: the recorded collateral does not know what was found since;
// that which is given for this run does.
func TestALaterRevocationIsSeen(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(*sgxmint.Authority)
		finding string
		want    check.Verdict
	}{
		"nothing was found":      {func(*sgxmint.Authority) {}, "", check.Affirming},
		"the TCB is revoked":     {func(a *sgxmint.Authority) { a.Status = sgx.Revoked }, "cas-tcb-status", check.Contraindicated},
		"the TCB is out of date": {func(a *sgxmint.Authority) { a.Status = sgx.OutOfDate }, "cas-tcb-status", check.Contraindicated},
		"the QE is revoked":      {func(a *sgxmint.Authority) { a.QEStatus = sgx.Revoked }, "cas-tcb-status", check.Contraindicated},
		"a new advisory":         {func(a *sgxmint.Authority) { a.Advisories = []string{"INTEL-SA-00615"} }, "cas-tcb-advisories", check.Contraindicated},
	} {
		t.Run(name, func(t *testing.T) {
			s, authority := rejudged(t)
			if v := verify.Appraise(s.promised, attest.Memory{}, s.seen).Findings.Verdict(); v != check.Affirming {
				t.Fatalf("by the recorded collateral: got %s", v)
			}
			c.change(authority)
			authority.EvaluationNumber++
			s.promised.Trust.Collateral = must[map[string][]byte](t)(authority.CollateralFiles(s.seen.At))
			r := verify.Appraise(s.promised, attest.Memory{}, s.seen)
			if v := r.Findings.Verdict(); v != c.want {
				t.Errorf("by that of now: got %s, want %s", v, c.want)
			}
			if f, _ := r.Findings.Find(c.finding); c.finding != "" && f.Outcome != check.Fail {
				t.Errorf("got %+v", f)
			}
		})
	}
}

// TestTheAgeOfCollateralIsShown, and when it is too old the hint judges by newer one.
func TestTheAgeOfCollateralIsShown(t *testing.T) {
	s, authority := rejudged(t)
	s.promised.Trust.Collateral = must[map[string][]byte](t)(authority.CollateralFiles(s.seen.At.AddDate(0, 0, -31)))
	r := verify.Appraise(s.promised, attest.Memory{}, s.seen)
	if got := r.Origins["collateral of"]; !strings.HasPrefix(got, s.seen.At.AddDate(0, 0, -31).UTC().Format(time.DateOnly)) || !strings.HasSuffix(got, ", 31 days before this run") {
		t.Errorf("got %q", got)
	}
	f, _ := r.Findings.Find("cas-tcb-info-validity")
	const want = "{collateral fetch --fmspc c0ffee000000 --ca platform --to collateral}, then {verify db1 --collateral collateral}"
	if f.Outcome != check.Fail || f.Hint != want {
		t.Errorf("got %+v", f)
	}
	if _, recorded := s.promised.Origins["collateral of"]; recorded {
		t.Error("the promise was changed")
	}
}
