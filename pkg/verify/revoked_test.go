package verify_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/evidence"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/verify"
)

func machine(t *testing.T, text string) attest.PlatformID {
	t.Helper()
	id, err := attest.ParsePlatformID(text)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// TestNotAdmitted: a machine is shown to be out only where the session names others, by
// IDs of its kind.
func TestNotAdmitted(t *testing.T) {
	here, there := machine(t, "INTEL_QE_ID:85ffc69266c833546e5dca1c676a6151"), machine(t, "INTEL_QE_ID:00ffc69266c833546e5dca1c676a6151")
	scone := machine(t, "126C8098408FEB2002F5EB8B9E6C2AE26197E3617875633C5BD4EB4454278C34")
	on := func(ids ...attest.PlatformID) session.Service { return session.Service{Name: "s", Platforms: ids} }
	inSecret := session.Service{Name: "s", PlatformSecrets: []string{"p"}}
	for name, c := range map[string]struct {
		services []session.Service
		want     check.Outcome
	}{
		"others only":                       {[]session.Service{on(there)}, check.Pass},
		"no service":                        {nil, check.Pass},
		"it is named":                       {[]session.Service{on(there), on(here)}, check.Fail},
		"anywhere":                          {[]session.Service{on(there), on()}, check.Fail},
		"in a secret":                       {[]session.Service{inSecret}, check.Skip},
		"in a secret, others named":         {[]session.Service{{Platforms: []attest.PlatformID{there}, PlatformSecrets: []string{"p"}}}, check.Skip},
		"another generation":                {[]session.Service{on(scone)}, check.Skip},
		"a secret, and anywhere":            {[]session.Service{inSecret, on()}, check.Fail},
		"a secret, and it is named":         {[]session.Service{inSecret, on(here)}, check.Fail},
		"another generation, and it":        {[]session.Service{on(scone, here)}, check.Fail},
		"another generation, then others":   {[]session.Service{on(scone), on(there)}, check.Skip},
		"another generation, and in secret": {[]session.Service{on(scone), inSecret}, check.Skip},
	} {
		t.Run(name, func(t *testing.T) {
			f := verify.Revoked(verify.Revocation{ID: here, Sessions: []*session.Session{{Name: "shop", Services: c.services}}})[0]
			if f.ID != "platform-not-admitted" {
				t.Fatalf("got %s first", f.ID)
			}
			if f.Outcome != c.want {
				t.Errorf("got %+v, want %s", f, c.want)
			}
			if f.Outcome != check.Pass && f.Hint == "" {
				t.Error("it has no hint")
			}
			if f.Outcome == check.Fail && (f.Got == "" || f.Reason != "") {
				t.Errorf("a failure: got %q, reason %q", f.Got, f.Reason)
			}
		})
	}
}

// TestNothingIsKnown of a machine when nothing was fetched.
func TestNothingIsKnown(t *testing.T) {
	findings := verify.Revoked(verify.Revocation{})
	if len(findings) != 3 {
		t.Fatalf("got %d findings, want 3", len(findings))
	}
	for _, f := range findings {
		if f.Outcome != check.Skip || f.Reason == "" || f.Hint == "" {
			t.Errorf("got %+v, want a skip with its reason and hint", f)
		}
	}
}

func TestRevokedOnTheNode(t *testing.T) {
	for name, c := range map[string]struct {
		nodes  evidence.Fetched[[]string]
		start  verify.Start
		id     string
		want   check.Outcome
		reason string
	}{
		"no pod there":        {evidence.Got([]string{"n2"}, nil), verify.Start{}, "platform-idle", check.Pass, ""},
		"a pod there":         {evidence.Got([]string{"n2", "n1"}, nil), verify.Start{}, "platform-idle", check.Fail, "still has the secrets"},
		"the cluster is away": {evidence.Got[[]string](nil, errors.New("forbidden")), verify.Start{}, "platform-idle", check.Skip, "forbidden"},
		"nobody asked":        {evidence.Fetched[[]string]{}, verify.Start{}, "platform-idle", check.Skip, "nobody asked"},
		"it ran":              {evidence.Fetched[[]string]{}, verify.Start{Ran: true}, "platform-refused", check.Fail, "got its secrets"},
		"it ran, and says no": {evidence.Fetched[[]string]{}, verify.Start{Ran: true, Output: "not permitted"}, "platform-refused", check.Fail, "got its secrets"},
		"it was refused":      {evidence.Fetched[[]string]{}, verify.Start{Output: "platform not permitted"}, "platform-refused", check.Pass, "the pod says: platform not permitted"},
		"it crashed":          {evidence.Fetched[[]string]{}, verify.Start{Output: "core dumped", Problem: "exit 139"}, "platform-refused", check.Skip, "exit 139"},
		"it was not started":  {evidence.Fetched[[]string]{}, verify.Start{Problem: "no such node"}, "platform-refused", check.Skip, "no such node"},
	} {
		t.Run(name, func(t *testing.T) {
			f, ok := verify.Revoked(verify.Revocation{Node: "n1", Nodes: c.nodes, Start: c.start}).Find(c.id)
			if !ok {
				t.Fatalf("there is no %s", c.id)
			}
			if f.Outcome != c.want {
				t.Errorf("got %+v, want %s", f, c.want)
			}
			if !strings.Contains(f.Reason, c.reason) {
				t.Errorf("got the reason %q, want %q", f.Reason, c.reason)
			}
			if f.Outcome != check.Pass && f.Hint == "" {
				t.Error("it has no hint")
			}
		})
	}
}
