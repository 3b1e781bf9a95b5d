package verify_test

import (
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/outside"
	"github.com/confidb/confidb/pkg/topology"
)

// letIn lets a client in outside of enclaves for eight hours, as the session of the
// database then is.
func letIn(t *testing.T, s *scene) *outside.Identity {
	t.Helper()
	i, err := outside.New(rand.Reader, "confidb-outside-report", s.seen.At, 8*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	a := &s.promised.Applications
	a.Accounts += "  - {name: report, client: bi, privileges: [{database: app, grant: [SELECT]}]}\n"
	*a = a.WithOutside(i.Client("bi", "a report"))
	write(topology.Database, func(text string) string {
		return strings.Replace(text, `"$$SCONE::ca:crt$$"`, `"$$SCONE::ca:crt$$\n`+strings.ReplaceAll(a.OutsideTrusted(), "\n", `\n`)+`"`, 1)
	})(t, s)
	return i
}

func outsiders(s *scene) check.Report {
	var all check.Report
	for _, f := range s.appraise().Findings {
		if f.ID == "guests-outside" {
			all = append(all, f)
		}
	}
	return all
}

// TestOutside: each client outside of enclaves is named, with reason and end, and never
// passes; what the database trusts beside is a failure.
func TestOutside(t *testing.T) {
	if all := outsiders(newScene(t)); len(all) != 1 || all[0].Outcome != check.Pass {
		t.Errorf("without any: got %+v", all)
	}
	hours := func(n time.Duration) *time.Duration { n *= time.Hour; return &n }
	forged := func(lasts time.Duration) func(*testing.T, *scene) {
		return func(t *testing.T, s *scene) {
			i, err := outside.New(rand.Reader, "confidb-outside-report", s.seen.At, lasts)
			if err != nil {
				t.Fatal(err)
			}
			s.promised.Applications = s.promised.Applications.WithOutside(i.Client("bi", "a report"))
		}
	}
	trusts := func(old, with string) func(*testing.T, *scene) {
		return write(topology.Database, func(text string) string { return strings.Replace(text, old, with, 1) })
	}
	for name, c := range map[string]struct {
		change func(*testing.T, *scene)
		want   check.Outcome
		says   []string
	}{
		"let in":                 {func(*testing.T, *scene) {}, check.Warn, []string{"the client bi runs in an enclave", "outside of enclaves until ", "a report", "client remove"}},
		"ended":                  {func(_ *testing.T, s *scene) { s.seen.At = s.seen.At.Add(9 * time.Hour) }, check.Fail, []string{"it has ended", "connections from before go on", "client remove"}},
		"within the policy":      {func(_ *testing.T, s *scene) { s.promised.Trust.MaxOutside = hours(8) }, check.Warn, []string{"a report"}},
		"longer than the policy": {func(_ *testing.T, s *scene) { s.promised.Trust.MaxOutside = hours(4) }, check.Fail, []string{"let in for 8h0m0s", "4h0m0s"}},
		"forbidden":              {func(_ *testing.T, s *scene) { s.promised.Trust.MaxOutside = hours(0) }, check.Fail, []string{"the policy allows no client"}},
		"forbidden, ended": {func(_ *testing.T, s *scene) {
			s.promised.Trust.MaxOutside = hours(0)
			s.seen.At = s.seen.At.Add(9 * time.Hour)
		}, check.Fail, []string{"the policy allows no client"}},
		"another certificate": {forged(time.Hour), check.Fail, []string{"the database trusts other certificates"}},
		"one of the past":     {func(_ *testing.T, s *scene) { s.promised.Applications.Outside = nil }, check.Fail, []string{"the database trusts other certificates"}},
		"a change is under way": {func(_ *testing.T, s *scene) {
			s.promised.Applications.Outside, s.promised.Changing = nil, &topology.Applications{}
		}, check.Skip, []string{"has not come to its end"}},
		"the session trusts it not":  {trusts(`\n-----BEGIN`, `\n# BEGIN`), check.Fail, []string{"trusts other certificates"}},
		"it trusts another as well":  {trusts(`\n-----BEGIN`, `\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n-----BEGIN`), check.Fail, []string{"trusts other certificates"}},
		"another CA comes first":     {trusts(`"$$SCONE::ca:crt$$`, `"$$SCONE::server:crt$$`), check.Skip, []string{"does not hold the CA"}},
		"a second CA of CAS":         {trusts(`"$$SCONE::ca:crt$$`, `"$$SCONE::ca:crt$$$$SCONE::server:crt$$`), check.Skip, []string{"does not hold the CA"}},
		"another file":               {trusts("ssl_ca = /run/confidb/ca.crt", "ssl_ca = /etc/ssl/all.crt"), check.Skip, []string{"/etc/ssl/all.crt"}},
		"a folder":                   {trusts("ssl_ca = /run", "ssl_capath = /etc/ssl\n          ssl_ca = /run"), check.Skip, []string{"/etc/ssl"}},
		"a folder by its other name": {trusts("ssl_ca = /run", "loose-ssl-capath = /etc/ssl\n          ssl_ca = /run"), check.Skip, []string{"/etc/ssl"}},
		"no CA":                      {trusts("          ssl_ca = /run/confidb/ca.crt\n", ""), check.Skip, []string{"0 files"}},
		"its account is another's": {func(_ *testing.T, s *scene) {
			s.promised.Applications.Accounts = strings.Replace(s.promised.Applications.Accounts, "name: report", "name: other", 1)
		}, check.Fail, []string{"not as this program makes it"}},
	} {
		s := newScene(t)
		letIn(t, s)
		c.change(t, s)
		all := outsiders(s)
		if len(all) != 1 || all[0].Outcome != c.want || all[0].Hint == "" {
			t.Errorf("%s: got %+v, want %v", name, all, c.want)
			continue
		}
		for _, want := range c.says {
			if said := all[0].Title + all[0].Got + all[0].Reason + all[0].Hint; !strings.Contains(said, want) {
				t.Errorf("%s: want %q in %s", name, want, said)
			}
		}
	}
}
