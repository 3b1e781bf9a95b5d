package verify_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/evidence"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/pkg/verify"
)

// states are those of the members of a path, by name; that of the primary has a star.
func states(p verify.Path) map[string]verify.State {
	all := map[string]verify.State{}
	for _, t := range p {
		for _, m := range t.Members {
			name := m.Name
			if m.Primary {
				name += "*"
			}
			all[name] = m.State
		}
	}
	return all
}

// What is drawn says no more than the findings: a database is proven only where all of
// them, and what they rest on, were accepted.
func TestPath(t *testing.T) {
	good := map[string]verify.State{"haproxy-7d-x": verify.Proven, "maxscale-0": verify.Proven, "maxscale-1": verify.Proven, "mariadb-0*": verify.Proven, "mariadb-1": verify.Proven, "mariadb-2": verify.Proven}
	for name, c := range map[string]struct {
		change func(*testing.T, *scene)
		want   map[string]verify.State
	}{
		"as promised":       {func(*testing.T, *scene) {}, nil},
		"one was not asked": {func(_ *testing.T, s *scene) { delete(s.seen.Statements, "mariadb-1") }, map[string]verify.State{"mariadb-1": verify.Unproven, "mariadb-0*": "", "mariadb-0": verify.Proven}},
		"one is amiss":      {func(t *testing.T, s *scene) { find(s.about["mariadb-2"], "enc-01").Outcome = check.Fail; s.sign(t) }, map[string]verify.State{"mariadb-2": verify.Failed}},
		"the policy accepts something of one": {func(t *testing.T, s *scene) { find(s.about["mariadb-2"], "enc-01").Outcome = check.Warn; s.sign(t) },
			map[string]verify.State{"mariadb-2": verify.Tolerated}},
		"the session in CAS is another one": {func(_ *testing.T, s *scene) {
			s.stored(topology.Database, func(held *session.Stored) { held.Hash = strings.Repeat("b", 64) })
		}, map[string]verify.State{"mariadb-0*": verify.Unproven, "mariadb-1": verify.Unproven, "mariadb-2": verify.Unproven,
			"haproxy-7d-x": verify.Unproven, "maxscale-0": verify.Unproven, "maxscale-1": verify.Unproven}},
		"MaxScale's session is another one": {func(_ *testing.T, s *scene) {
			s.stored(topology.MaxScale, func(held *session.Stored) { held.Hash = strings.Repeat("b", 64) })
		}, map[string]verify.State{"maxscale-0": verify.Unproven, "maxscale-1": verify.Unproven}},
		"one HAProxy ends TLS": {func(t *testing.T, s *scene) {
			of(s.about["front"], "hap-01", "10.0.0.9:3306").Outcome = check.Fail
			s.sign(t)
		},
			map[string]verify.State{"haproxy-7d-x": verify.Failed}},
		"the CAS is not proven": {func(_ *testing.T, s *scene) { s.seen.CAS = evidence.Missing[evidence.CAS]("away") },
			map[string]verify.State{"mariadb-0*": "", "mariadb-0": verify.Unproven, "mariadb-1": verify.Unproven, "mariadb-2": verify.Unproven,
				"haproxy-7d-x": "", "haproxy": verify.NotAsked, "maxscale-0": verify.NotAsked, "maxscale-1": verify.NotAsked}},
	} {
		s := newSeveral(t)
		c.change(t, s)
		want := map[string]verify.State{}
		for member, state := range good {
			want[member] = state
		}
		for member, state := range c.want {
			if want[member] = state; state == "" {
				delete(want, member)
			}
		}
		if diff := cmp.Diff(want, states(verify.Appraise(s.promised, s.memory, s.seen).Path)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	s := newScene(t)
	if path := verify.Appraise(s.promised, attest.Memory{}, s.seen).Path; path != nil || path.Drawing() != nil {
		t.Errorf("a single database has a path: %+v", path)
	}
}

// A path is drawn within 80 columns, in ASCII, whatever of it was asked.
func TestDrawing(t *testing.T) {
	member := func(name string, state verify.State) verify.TierMember {
		return verify.TierMember{Name: name, State: state}
	}
	primary := verify.TierMember{Name: "mariadb-0", State: verify.Unproven, Primary: true}
	for want, path := range map[string]verify.Path{
		`
client -> HAProxy x2 -> MaxScale x2 -+-> mariadb-0  primary  unproven
          not asked     1 FAILED     +-> mariadb-1           FAILED
                        1 proven     +-> mariadb-2           not asked
                                     +-> mariadb-3           proven`: {
			{"HAProxy", 2, []verify.TierMember{member("haproxy", verify.NotAsked)}},
			{"MaxScale", 2, []verify.TierMember{member("maxscale-0", verify.Proven), member("maxscale-1", verify.Failed)}},
			{"MariaDB", 4, []verify.TierMember{primary, member("mariadb-1", verify.Failed), member("mariadb-2", verify.NotAsked), member("mariadb-3", verify.Proven)}}},
		`
client -> HAProxy   -> MaxScale x4 -+-> mariadb-0  primary  unproven
          tolerated    1 FAILED
                       1 not asked
                       1 unproven
                       1 proven`: {
			{"HAProxy", 0, []verify.TierMember{member("haproxy", verify.Tolerated)}},
			{"MaxScale", 4, []verify.TierMember{member("0", verify.Proven), member("1", verify.Failed), member("2", verify.NotAsked), member("3", verify.Unproven)}},
			{"MariaDB", 1, []verify.TierMember{primary}}},
	} {
		lines := path.Drawing()
		if diff := cmp.Diff(want, "\n"+strings.Join(lines, "\n")); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		for _, l := range lines {
			if len(l) > 78 || strings.ContainsFunc(l, func(r rune) bool { return r > '~' }) {
				t.Errorf("a line of %d bytes, or not of ASCII: %q", len(l), l)
			}
		}
	}
}

// Findings stand below the tier that they are about. What is the same of several members is
// one, with their names; what differs in anything that is shown stays apart.
func TestGroups(t *testing.T) {
	about := func(id, subject, title string, outcome check.Outcome, reason string) check.Finding {
		return check.Finding{ID: id, Subject: subject, Title: title, Outcome: outcome, Reason: reason}
	}
	findings := check.Report{about("cas-quote", "", "the CAS is genuine", check.Pass, "")}
	for i, outcome := range []check.Outcome{check.Pass, check.Fail, check.Pass} {
		name := []string{"m-0", "m-1", "m-2"}[i]
		findings = append(findings, about("enc-01", name, name+": all is encrypted", check.Pass, "of "+name), about("set-01", name, name+": settings", outcome, "x"),
			about("mtls-09", name+"/'a'@'%'", name+": a is refused", check.Pass, ""), about("mtls-09", name+"/'b'@'%'", name+": b is refused", outcome, ""),
			about("mtls-08", name+"/a", name+": it opens not: a", check.Pass, "x"), about("mtls-08", name+"/b", name+": it opens not: b", check.Pass, "y"),
			about("data-01", name, name+": only of "+name, check.Pass, ""), about("rep-05", name, name+": x", check.Skip, "because of "+name), about("rep-04", name, name+": y", check.Skip, "away"))
	}
	findings = append(findings, about("guests", "m-0", "the client m-0 may come in", check.Pass, ""), about("hap-01", "h", "h: it passes on", check.Pass, ""))
	before := findings[1].Title
	path := verify.Path{{"HAProxy", 1, []verify.TierMember{{Name: "h"}}}, {"MaxScale", 0, nil}, {"MariaDB", 3, []verify.TierMember{{Name: "m-0"}, {Name: "m-1"}, {Name: "m-2"}}}}
	got := map[string][]string{}
	for _, g := range path.Groups(findings) {
		for _, f := range g.Findings {
			got[g.Title] = append(got[g.Title], f.Outcome.String()+" "+f.Title)
		}
	}
	want := map[string][]string{
		"":        {"pass the CAS is genuine"},
		"HAProxy": {"pass h: it passes on"},
		"MariaDB": {"pass m-0, m-1, m-2: all is encrypted", "pass m-0, m-2: settings", "pass m-0, m-1, m-2: a is refused", "pass m-0, m-2: b is refused", "pass m-0, m-1, m-2: it opens not: a, b", "pass m-0: only of m-0", "skip m-0: x",
			"skip m-0, m-1, m-2: y", "fail m-1: settings", "fail m-1: b is refused", "pass m-1: only of m-1", "skip m-1: x", "pass m-2: only of m-2", "skip m-2: x", "pass the client m-0 may come in"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if findings[1].Title != before {
		t.Errorf("the result itself was changed: %q", findings[1].Title)
	}
	if groups := verify.Path(nil).Groups(findings[:1]); len(groups) != 1 || groups[0].Title != "" {
		t.Errorf("without a path there are %+v", groups)
	}
}
