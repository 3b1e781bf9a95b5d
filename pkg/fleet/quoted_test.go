package fleet

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/platform"
	"github.com/confidb/confidb/pkg/sgx"
)

// Which status a machine has does not matter for its ID.
func TestQuoted(t *testing.T) {
	for _, status := range sgx.Statuses() {
		if status == sgx.Revoked {
			continue
		}
		f := newFactory(t)
		f.Status, f.Advisories, f.EvaluationNumber = status, []string{advisory}, 17
		p := f.platform()
		got, err := f.appraiser(attest.Policy{}).Quoted(t.Context(), []Machine{{Node: "n", Quote: f.quote(p, 1), Origin: "n.bin"}})
		if err != nil {
			t.Errorf("%s: %v", status, err)
			continue
		}
		want := []platform.Quote{{Node: "n", Origin: "n.bin", ID: attest.PlatformIDFromQEID(p.QEID), FMSPC: "c0ffee000000", Status: status, EvaluationNumber: 17}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", status, diff)
		}
	}
}

func TestQuotedRefuses(t *testing.T) {
	f := newFactory(t)
	p := f.platform()
	one := func(quote []byte) []Machine { return []Machine{{Node: "n", Quote: quote, Origin: "n.bin"}} }
	revokedStatus, revokedKey := newFactory(t), newFactory(t)
	revokedStatus.Status = sgx.Revoked
	lost := revokedKey.platform()
	revokedKey.revoke(lost)
	late := f.options()
	late.Time = now.AddDate(0, 3, 0)
	for title, c := range map[string]struct {
		appraiser *Appraiser
		machines  []Machine
		want      string
	}{
		"no evidence":   {f.appraiser(attest.Policy{}), []Machine{{Node: "n"}}, "quote: unknown"},
		"not genuine":   {f.appraiser(attest.Policy{}), one([]byte("x")), "quote: quote-unreadable"},
		"no collateral": {NewAppraiser(nil, f.options(), attest.Policy{}), one(f.quote(p, 1)), "no-"},
		"too late":      {NewAppraiser(sgx.CollateralSet{f.collateral()}, late, attest.Policy{}), one(f.quote(p, 1)), "-expired"},
		"cloned":        {f.appraiser(attest.Policy{}), append(one(f.quote(p, 1)), Machine{Node: "m", Quote: f.quote(p, 1), Origin: "m.bin"}), "platforms-shared: cloned evidence"},
		"revoked":       {revokedStatus.appraiser(attest.Policy{}), one(revokedStatus.machine("n").Quote), "tcb-status: Intel revoked the keys"},
		"a revoked key": {revokedKey.appraiser(attest.Policy{}), one(revokedKey.quote(lost, 1)), "pck-revoked"},
	} {
		got, err := c.appraiser.Quoted(t.Context(), c.machines)
		var refused *QuoteError
		if !errors.As(err, &refused) {
			t.Errorf("%s: got %v and %v, want a *QuoteError", title, got, err)
			continue
		}
		if !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), `quote of node "n" (`) {
			t.Errorf("%s: got %q, want %q", title, err, c.want)
		}
		if refused.Hint() == "" || got != nil {
			t.Errorf("%s: got %v and the hint %q", title, got, refused.Hint())
		}
	}
}

// Only what was looked at proves something.
func TestUnproven(t *testing.T) {
	claims := &attest.Claims{TCB: &attest.TCBClaims{Status: sgx.UpToDate}, Platform: &attest.PlatformClaims{}}
	finding := func(id string, o check.Outcome) check.Report { return check.Report{{ID: id, Outcome: o}} }
	for title, c := range map[string]struct {
		node   Node
		proven bool
	}{
		"all is well":       {Node{Claims: claims, Findings: finding("quote", check.Pass)}, true},
		"a warning":         {Node{Claims: claims, Findings: finding("tcb-info-validity", check.Warn)}, true},
		"a bad status":      {Node{Claims: claims, Findings: finding("tcb-status", check.Fail)}, true},
		"advisories":        {Node{Claims: claims, Findings: finding("tcb-advisories", check.Fail)}, true},
		"nothing":           {Node{}, false},
		"no platform":       {Node{Claims: &attest.Claims{TCB: claims.TCB}}, false},
		"no TCB":            {Node{Claims: &attest.Claims{Platform: claims.Platform}}, false},
		"no status":         {Node{Claims: &attest.Claims{TCB: &attest.TCBClaims{}, Platform: claims.Platform}}, false},
		"revoked":           {Node{Claims: &attest.Claims{TCB: &attest.TCBClaims{Status: sgx.Revoked}, Platform: claims.Platform}}, false},
		"a skip":            {Node{Claims: claims, Findings: finding("pck-crl", check.Skip)}, false},
		"a failure":         {Node{Claims: claims, Findings: finding("platforms-shared", check.Fail)}, false},
		"an unheard-of one": {Node{Claims: claims, Findings: finding("new", check.Fail)}, false},
	} {
		f := c.node.unproven()
		if (f == nil) != c.proven {
			t.Errorf("%s: got %+v, want proven %v", title, f, c.proven)
		}
	}
}
