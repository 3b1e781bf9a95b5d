package verify_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/evidence"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/pkg/verify"
	"github.com/confidb/confidb/pkg/witness"
)

// ends are two ways in which a link is not accepted.
type ends struct{ fail, skip func(*testing.T, *scene) }

// hold changes the session that CAS has of a member.
func hold(role topology.Role) func(*testing.T, *scene) {
	return func(_ *testing.T, s *scene) {
		s.stored(role, func(held *session.Stored) { held.Hash = strings.Repeat("b", 64) })
	}
}

// lose takes away what CAS has of a member.
func lose(role topology.Role) func(*testing.T, *scene) {
	return func(_ *testing.T, s *scene) {
		s.seen.Sessions[s.promised.Session(role).Name] = evidence.Missing[session.Stored]("away")
	}
}

// write replaces the recorded text of a member's session.
func write(role topology.Role, edit func(string) string) func(*testing.T, *scene) {
	return func(t *testing.T, s *scene) {
		recorded := s.promised.Session(role)
		if changed := edit(recorded.Text); changed != recorded.Text {
			recorded.Text = changed
			s.promised.SetSession(role, recorded)
			return
		}
		t.Fatal("the edit changes nothing")
	}
}

// tokenizer is the role of the only client of the user's own.
const tokenizer topology.Role = "client tokenizer"

func tolerant(text string) string { return strings.Replace(text, "CREATOR", "ANY", 1) }

func unreadable(string) string { return "a: [" }

// howLinksEnd says of each link how it fails and how it is skipped.
func howLinksEnd() map[string]ends {
	return map[string]ends{
		"platforms-current": {
			fail: func(_ *testing.T, s *scene) { s.seen.Platforms.Value = nil },
			skip: func(_ *testing.T, s *scene) { s.seen.Platforms = evidence.Missing[[]attest.PlatformID]("away") },
		},
		"cas-attested": {
			fail: func(_ *testing.T, s *scene) { s.seen.CAS.Value.Peer = nil },
			skip: func(_ *testing.T, s *scene) { s.seen.CAS = evidence.Missing[evidence.CAS]("away") },
		},
		"session-namespace":   {fail: hold(topology.Namespace), skip: lose(topology.Namespace)},
		"session-client":      {fail: hold(topology.Client), skip: lose(topology.Client)},
		"session-database":    {fail: hold(topology.Database), skip: lose(topology.Database)},
		"session-application": {fail: hold(tokenizer), skip: lose(tokenizer)},
		"session-maxscale":    {fail: hold(topology.MaxScale), skip: lose(topology.MaxScale)},
		"maxscale-session-policy": {
			fail: write(topology.MaxScale, tolerant), skip: write(topology.MaxScale, unreadable),
		},
		"rep-03": {
			fail: func(_ *testing.T, s *scene) { s.promise("relay_log = relay", "relay_log = /srv/relay") },
			skip: write(topology.Database, unreadable),
		},
		"rep-04": {
			fail: func(t *testing.T, s *scene) {
				s.about["mariadb-1"].Replication.End.Written = "0-2-42" // the primary has 0-1-42
				s.sign(t)
			},
			skip: func(t *testing.T, s *scene) { s.about["mariadb-1"].Replication = nil; s.sign(t) },
		},
		"rep-05": {
			fail: func(t *testing.T, s *scene) {
				s.about["mariadb-1"].Witness.Written = witness.Mark{Number: 8, Digest: strings.Repeat("9", 64)}
				s.sign(t)
			},
			skip: func(t *testing.T, s *scene) { s.about["mariadb-0"].Witness.Written = witness.Mark{}; s.sign(t) },
		},
		"front-statement": {
			fail: func(t *testing.T, s *scene) { s.about["front"].Nonce = strings.Repeat("f", 32); s.sign(t) },
			skip: func(_ *testing.T, s *scene) { s.seen.Statements["front"] = evidence.Missing[[]byte]("away") },
		},
		"front-seen": {
			fail: func(t *testing.T, s *scene) { s.about["front"].Findings[0].Outcome = check.Fail; s.sign(t) },
			skip: func(t *testing.T, s *scene) { s.about["front"].Findings = s.about["front"].Findings[1:]; s.sign(t) },
		},
		"application-session-policy": {
			fail: write(tokenizer, tolerant), skip: write(tokenizer, unreadable),
		},
		"guests": {
			fail: func(t *testing.T, s *scene) {
				to := "    export:\n      - session: "
				write(topology.Database, func(text string) string {
					return strings.Replace(text, to+s.promised.Session(tokenizer).Name, to+s.promised.Session(topology.Client).Name, 1)
				})(t, s)
			},
			skip: write(topology.Database, unreadable),
		},
		"guests-outside": {
			fail: func(t *testing.T, s *scene) { letIn(t, s); s.promised.Applications.Outside = nil },
			skip: write(topology.Database, unreadable),
		},
		"client-session-policy": {
			fail: write(topology.Client, tolerant), skip: write(topology.Client, unreadable),
		},
		"database-session-policy": {
			fail: write(topology.Database, tolerant), skip: write(topology.Database, unreadable),
		},
		"enc-07": {
			fail: func(_ *testing.T, s *scene) { s.promise("path: /var/lib/mysql-tmp", "path: /somewhere") },
			skip: write(topology.Database, unreadable),
		},
		"release-deployed": {
			fail: func(_ *testing.T, s *scene) { s.seen.Release.Value.Status = "failed" },
			skip: func(_ *testing.T, s *scene) { s.seen.Release = evidence.Missing[evidence.HelmRelease]("away") },
		},
		"release-session": {
			fail: func(_ *testing.T, s *scene) { s.mariadb().Env = nil },
			skip: func(_ *testing.T, s *scene) { s.seen.Pods = evidence.Missing[[]evidence.Pod]("away") },
		},
		"release-manifest": {
			fail: func(_ *testing.T, s *scene) { s.seen.Release.Value.Digest = strings.Repeat("0", 64) },
			skip: func(_ *testing.T, s *scene) { s.seen.Release.Value.Digest = "" },
		},
		"release-objects": {
			fail: func(_ *testing.T, s *scene) {
				s.seen.Objects["Service/db1-mariadb"] = evidence.Got(json.RawMessage("null"), nil)
			},
			skip: func(_ *testing.T, s *scene) { delete(s.seen.Objects, "StatefulSet/db1-mariadb") },
		},
		"release-endpoints": {
			fail: func(_ *testing.T, s *scene) { s.seen.Endpoints["db1-mariadb"].Value[0].Pod = "" },
			skip: func(_ *testing.T, s *scene) { s.seen.Endpoints = nil },
		},
		"disk-01": {
			fail: func(t *testing.T, s *scene) { s.onDisk(t, "v:app/t.ibd "+clearSpace) },
			skip: func(_ *testing.T, s *scene) { s.seen.Volumes = nil },
		},
		"probe-statement": {
			fail: func(_ *testing.T, s *scene) { s.seen.Nonce = "" },
			skip: func(_ *testing.T, s *scene) { s.seen.Statement = evidence.Missing[[]byte]("away") },
		},
		"database-seen": {
			fail: func(t *testing.T, s *scene) { s.said.Findings[0].Outcome = check.Fail; s.sign(t) },
			skip: func(t *testing.T, s *scene) { s.said.Findings = s.said.Findings[1:]; s.sign(t) },
		},
		"data-01": {
			fail: func(t *testing.T, s *scene) { s.said.Witness.Found = false; s.sign(t) },
			skip: func(t *testing.T, s *scene) { s.said.Witness = nil; s.sign(t) },
		},
	}
}

func verdictOf(t *testing.T, s *scene, id string) check.Verdict {
	t.Helper()
	all := verify.ByLink(s.promised, s.memory, s.seen)
	i := slices.IndexFunc(all, func(l verify.Link) bool { return l.ID == id })
	if i < 0 {
		t.Fatalf("there is no link %s", id)
	}
	return all[i].Findings.Verdict()
}

// TestEachLinkPassesFailsAndIsSkipped goes over the whole table: a new link needs a line.
func TestEachLinkPassesFailsAndIsSkipped(t *testing.T) {
	how := howLinksEnd()
	single, several := newScene(t), newSeveral(t)
	ofSeveral := verify.ByLink(several.promised, several.memory, several.seen)
	for n, l := range verify.ByLink(single.promised, single.memory, single.seen) {
		t.Run(l.ID, func(t *testing.T) {
			newScene := newScene
			if len(l.Findings) == 0 { // it is of several databases
				l, newScene = ofSeveral[n], newSeveral
			}
			if v := l.Findings.Verdict(); v != check.Affirming {
				t.Errorf("as promised it ends with %s: %+v", v, l.Findings)
			}
			for end, c := range map[check.Verdict]func(*testing.T, *scene){check.Contraindicated: how[l.ID].fail, check.None: how[l.ID].skip} {
				if c == nil {
					t.Fatalf("no test says how it ends with %s", end)
				}
				s := newScene(t)
				c(t, s)
				if v := verdictOf(t, s, l.ID); v != end {
					t.Errorf("got %s, want %s", v, end)
				}
				if v := verify.Appraise(s.promised, s.memory, s.seen).Findings.Verdict(); v.Accepted() {
					t.Errorf("the release is accepted: %s", v)
				}
			}
		})
	}
}

// TestTheReportHasItsOrder: programs read it.
func TestTheReportHasItsOrder(t *testing.T) {
	s := newScene(t)
	var ids []string
	for _, f := range verify.Appraise(s.promised, s.memory, s.seen).Findings {
		ids = append(ids, f.ID)
	}
	strength := []string{"attestation", "platforms", "tolerations", "ca-key", "secrets", "access"}
	want := []string{"platforms-current", "cas-quote"}
	want = append(want, ids[2:slices.Index(ids, "cas-tls-peer")]...) // those of pkg/attest
	want = append(want, "cas-tls-peer", "clock", "tcb-info-rollback", "qe-identity-rollback", "session-namespace", "session-client", "session-database", "session-application")
	for _, which := range []string{"client", "database", "application"} {
		for _, what := range strength {
			want = append(want, which+"-session-"+what)
		}
	}
	want = append(want, "guests", "guests", "guests-outside", "enc-07", "release-deployed", "release-manifest", "release-session", "release-objects", "release-endpoints", "disk-01", "probe-statement", "statement-ca")
	for _, f := range s.said.Findings {
		want = append(want, f.ID)
	}
	want = append(want, "data-01")
	if diff := cmp.Diff(want, ids); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestWhatNothingWasFetchedOf: the report of a run that reached nobody names what each
// link would have shown.
func TestWhatNothingWasFetchedOf(t *testing.T) {
	s := newScene(t)
	var ids []string
	for _, f := range verify.Appraise(s.promised, s.memory, evidence.Observation{At: s.seen.At}).Findings {
		if f.Outcome != check.Skip {
			continue
		}
		ids = append(ids, f.ID)
		if f.Reason == "" || f.Hint == "" || f.Title == "" {
			t.Errorf("it does not say enough: %+v", f)
		}
	}
	want := []string{"platforms-current", "cas-attested", "session-namespace", "session-client", "session-database", "session-application", "release-deployed", "release-manifest", "release-session", "release-objects", "release-endpoints", "probe-statement", "database-seen", "data-01"}
	if diff := cmp.Diff(want, ids); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestLinksAreWellFormed: what is needed comes earlier, and everything has its words.
func TestLinksAreWellFormed(t *testing.T) {
	s := newScene(t)
	known := map[string]bool{}
	levels := []verify.Level{verify.LevelPlatform, verify.LevelCAS, verify.LevelSession, verify.LevelRelease, verify.LevelDatabase}
	last := 0
	for _, l := range verify.ByLink(s.promised, s.memory, s.seen) {
		if known[l.ID] {
			t.Errorf("%s is in the table twice", l.ID)
		}
		if l.Title == "" {
			t.Errorf("%s has no title", l.ID)
		}
		for _, need := range l.Needs {
			if !known[need] {
				t.Errorf("%s needs %s, which does not come earlier", l.ID, need)
			}
		}
		if level := slices.Index(levels, l.Level); level < last {
			t.Errorf("%s has the level %q after higher ones", l.ID, l.Level)
		} else {
			last = level
		}
		known[l.ID] = true
	}
}

// TestWhatAnUntrustedCASSaysIsWorthNothing: none of its answers makes a link pass.
func TestWhatAnUntrustedCASSaysIsWorthNothing(t *testing.T) {
	for _, id := range []string{"session-namespace", "session-client", "session-database", "probe-statement", "database-seen"} {
		for name, change := range map[string]func(*testing.T, *scene){"refused": howLinksEnd()["cas-attested"].fail, "unreachable": howLinksEnd()["cas-attested"].skip} {
			s := newScene(t)
			change(t, s)
			if v := verdictOf(t, s, id); v != check.None {
				t.Errorf("%s of a CAS that is %s: got %s", id, name, v)
			}
		}
	}
}

// TestAMemberThatIsNotRecorded: a record without a session must not look better than one
// with it. Only the session that owns the names may be missing.
func TestAMemberThatIsNotRecorded(t *testing.T) {
	for role, accepted := range map[topology.Role]bool{topology.Namespace: true, topology.Client: false, topology.Database: false} {
		s := newScene(t)
		s.promised.Members = slices.DeleteFunc(s.promised.Members, func(m topology.Member) bool { return m.Role == role })
		r := verify.Appraise(s.promised, s.memory, s.seen)
		if got := r.Findings.Verdict().Accepted(); got != accepted {
			t.Errorf("without the session %s: accepted %v, want %v", role, got, accepted)
		}
	}
}

// TestAnObservationDoesNotSayWhomToBelieve: it may come from a file that anybody wrote.
func TestAnObservationDoesNotSayWhomToBelieve(t *testing.T) {
	for _, backend := range attest.Backends() {
		s := newScene(t)
		pin := &s.seen.CAS.Value.Pin
		pin.Address, pin.Trust, pin.Kind = "elsewhere", attest.Trust{}, "other"
		if backend == attest.BackendReport {
			if v := verdictOf(t, s, "cas-attested"); v != check.Affirming {
				t.Errorf("a report is judged by what the observation says of whom to believe: %s", v)
			}
			continue
		}
		pin.Backend = backend
		if backend == attest.BackendCLI || backend == attest.BackendPinned {
			pin.Report = pinnedChain(s)
		}
		if v := verdictOf(t, s, "cas-attested"); v != check.None {
			t.Errorf("evidence of the kind %s: got %s, want none", backend, v)
		}
		if v := verify.Appraise(s.promised, s.memory, s.seen).Findings.Verdict(); v.Accepted() {
			t.Errorf("evidence of the kind %s: the release is accepted", backend)
		}
	}
}

func TestStatementCA(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*testing.T, *scene)
		want   check.Outcome
	}{
		"the CA that CAS exports": {func(*testing.T, *scene) {}, check.Pass},
		"another CA":              {func(t *testing.T, s *scene) { s.seen.DatabaseCA = newScene(t).seen.DatabaseCA }, check.Fail},
		"a CA of the same digest": {func(t *testing.T, s *scene) {
			_, leaf := certify(t)
			s.said.Server.LeafPEM = encode("CERTIFICATE", leaf.Raw)
			s.said.Server.LeafSHA256 = evidence.SHA256(leaf.Raw)
			s.sign(t)
		}, check.Fail},
		"CAS exports none":            {func(_ *testing.T, s *scene) { s.seen.DatabaseCA = evidence.Missing[string]("none") }, check.Skip},
		"CAS exports no PEM":          {func(_ *testing.T, s *scene) { s.seen.DatabaseCA.Value = "none" }, check.Skip},
		"CAS exports no certificate":  {func(_ *testing.T, s *scene) { s.seen.DatabaseCA.Value = encode("CERTIFICATE", []byte{1}) }, check.Skip},
		"the probe had no connection": {func(t *testing.T, s *scene) { s.said.Server = nil; s.sign(t) }, check.Skip},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			c.change(t, s)
			f, ok := verify.Appraise(s.promised, s.memory, s.seen).Findings.Find("statement-ca")
			if !ok {
				t.Fatal("there is no such finding")
			}
			if f.Outcome != c.want {
				t.Errorf("got %+v, want %s", f, c.want)
			}
		})
	}
}
