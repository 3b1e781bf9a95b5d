package verify_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/evidence"
	"github.com/confidb/confidb/pkg/promise"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/pkg/verify"
	"github.com/confidb/confidb/pkg/witness"
)

// newSeveral is a release of three databases, of which the first is the primary, where the
// attested client finds everything as promised. What runs in the cluster is that of one.
func newSeveral(t *testing.T) *scene {
	t.Helper()
	s := newSceneOf(t, preparedSeveral)
	s.about, s.seen.Statements = map[string]*evidence.Predicate{}, map[string]evidence.Fetched[[]byte]{}
	for _, i := range s.promised.Instances(topology.Database) {
		said := &evidence.Predicate{}
		if err := json.Unmarshal(must[[]byte](t)(json.Marshal(s.said)), said); err != nil {
			t.Fatal(err)
		}
		said.Member, said.Address, said.ServerName = i.Name, i.Host+":3306", i.Host
		for _, id := range verify.RequiredBeside() {
			said.Findings = append(said.Findings, check.Finding{ID: id, Title: id, Outcome: check.Pass})
		}
		said.Replication = standing(i)
		if i.Ordinal > 0 { // asked once more, for what the primary has taken
			said.Witness.Written, said.Witness.Asked = witness.Mark{}, said.Witness.Written.Digest
		}
		s.about[i.Name] = said
	}
	s.stand(t)
	s.sign(t)
	return s
}

// standing is what a database says of its place among those of newSeveral.
func standing(i topology.Instance) *evidence.Replication {
	r := &evidence.Replication{Begin: evidence.Standing{Role: promise.Primary, ServerID: 1, Written: "0-1-40", Current: "0-1-40", Applied: "0-3-20"}}
	if i.Ordinal > 0 {
		r.Begin = evidence.Standing{Role: promise.Replica, ServerID: uint32(i.ServerID()), ReadOnly: true, Written: "0-1-44", Current: "0-1-44", Applied: "0-1-44", SourceHost: "db1-mariadb-0", SourceID: 1}
	}
	r.End = r.Begin
	if i.Ordinal == 0 {
		r.End.Written, r.End.Current = "0-1-42", "0-1-42"
	}
	return r
}

// ofDatabases are the findings about databases, by what they are about.
func ofDatabases(r verify.Result) map[string]check.Report {
	all := map[string]check.Report{}
	for _, f := range r.Findings {
		if instance, _, _ := strings.Cut(f.Subject, "/"); strings.HasPrefix(instance, "mariadb-") {
			all[instance] = append(all[instance], f)
		}
	}
	return all
}

// Each database is asked for everything that one is asked for, and says which one it is.
func TestEachDatabaseIsJudged(t *testing.T) {
	one, s := newScene(t), newSeveral(t)
	want := []string{"rep-01 ", "rep-02 ", "rep-03 ", "rep-04 ", "msk-03 "}
	for _, f := range verify.Appraise(one.promised, one.memory, one.seen).Findings {
		if slices.Contains([]string{"probe-statement", "statement-ca", "data-01"}, f.ID) || slices.Contains(verify.Required(), f.ID) {
			want = append(want, f.ID+" "+f.Subject)
		}
	}
	result := verify.Appraise(s.promised, s.memory, s.seen)
	all := ofDatabases(result)
	if len(all) != 3 {
		t.Fatalf("got findings about %d databases, want 3", len(all))
	}
	for name, found := range all {
		var got []string
		for _, f := range found {
			_, what, _ := strings.Cut(f.Subject, "/")
			got = append(got, f.ID+" "+what)
			if f.Outcome != check.Pass || !strings.HasPrefix(f.Title, name+": ") {
				t.Errorf("%s: %+v", name, f)
			}
		}
		if slices.Sort(got); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if f, _ := result.Findings.Find("rep-05"); f.Outcome != check.Pass || f.Got != "mariadb-0" {
		t.Errorf("got %+v", f)
	}
	if result.Line == nil || result.Line.Last.Number != 8 {
		t.Errorf("the mark that the primary took is not kept: %+v", result.Line)
	}
}

// What one database lacks is a finding about that one, and about no other: however it is
// done, the whole is not accepted.
func TestOneOfSeveralIsAmiss(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*testing.T, *scene)
		id     string
		want   check.Outcome
	}{
		"nobody reached it":         {func(_ *testing.T, s *scene) { s.seen.Statements["mariadb-1"] = evidence.Missing[[]byte]("unreachable") }, "probe-statement", check.Skip},
		"nobody asked it":           {func(_ *testing.T, s *scene) { delete(s.seen.Statements, "mariadb-1") }, "probe-statement", check.Skip},
		"another one answers":       {func(_ *testing.T, s *scene) { s.seen.Statements["mariadb-1"] = s.seen.Statements["mariadb-2"] }, "probe-statement", check.Fail},
		"it is the primary's":       {func(_ *testing.T, s *scene) { s.seen.Statements["mariadb-1"] = s.seen.Statements["mariadb-0"] }, "probe-statement", check.Fail},
		"of another run":            {func(t *testing.T, s *scene) { s.about["mariadb-1"].Nonce = strings.Repeat("f", 32); s.sign(t) }, "probe-statement", check.Fail},
		"that of a single database": {func(t *testing.T, s *scene) { s.about["mariadb-1"].Member = "database"; s.sign(t) }, "probe-statement", check.Fail},
		"another address":           {func(t *testing.T, s *scene) { s.about["mariadb-1"].Address = "elsewhere:3306"; s.sign(t) }, "probe-statement", check.Fail},
		"a check fails":             {func(t *testing.T, s *scene) { find(s.about["mariadb-1"], "enc-01").Outcome = check.Fail; s.sign(t) }, "enc-01", check.Fail},
		"a check is left out": {func(t *testing.T, s *scene) {
			said := s.about["mariadb-1"]
			said.Findings = slices.DeleteFunc(said.Findings, func(f check.Finding) bool { return f.ID == "enc-01" })
			s.sign(t)
		}, "enc-01", check.Skip},
		"an account is let in": {func(t *testing.T, s *scene) { find(s.about["mariadb-1"], "mtls-09").Outcome = check.Fail; s.sign(t) }, "mtls-09", check.Fail},
		"rep-01 is left out": {func(t *testing.T, s *scene) {
			said := s.about["mariadb-1"]
			said.Findings = slices.DeleteFunc(said.Findings, func(f check.Finding) bool { return f.ID == "rep-01" })
			s.sign(t)
		}, "rep-01", check.Skip},
		"it lacks the mark of the primary": {func(t *testing.T, s *scene) { s.about["mariadb-1"].Witness.Found = false; s.sign(t) }, "data-01", check.Skip},
		"it was asked for that of before":  {func(t *testing.T, s *scene) { s.about["mariadb-1"].Witness.Asked = lastMark.Digest; s.sign(t) }, "data-01", check.Skip},
		"it was asked for somebody else": {func(t *testing.T, s *scene) {
			s.about["mariadb-1"].Witness.Verifier = strings.Repeat("e", 32)
			s.sign(t)
		}, "data-01", check.Skip},
		"it was asked for another mark": {func(t *testing.T, s *scene) { s.about["mariadb-1"].Witness.Asked = ""; s.sign(t) }, "data-01", check.Skip},
		"it says nothing of marks":      {func(t *testing.T, s *scene) { s.about["mariadb-1"].Witness = nil; s.sign(t) }, "data-01", check.Skip},
		"marks were not read":           {func(t *testing.T, s *scene) { s.about["mariadb-1"].Witness.Read = false; s.sign(t) }, "data-01", check.Skip},
	} {
		s := newSeveral(t)
		c.change(t, s)
		result := verify.Appraise(s.promised, s.memory, s.seen)
		for instance, found := range ofDatabases(result) {
			for _, f := range found {
				if wrong := f.Outcome != check.Pass; wrong && instance != "mariadb-1" {
					t.Errorf("%s: %s is blamed: %+v", name, instance, f)
				}
			}
		}
		f, _ := ofDatabases(result)["mariadb-1"].Find(c.id)
		if f.Outcome != c.want || f.Hint == "" && f.Outcome == check.Skip {
			t.Errorf("%s: got %s %+v, want %s", name, f.Outcome, f, c.want)
		}
		if result.Findings.Verdict().Accepted() {
			t.Errorf("%s: accepted", name)
		}
	}
}

// find is the first finding of a check in a statement.
func find(said *evidence.Predicate, id string) *check.Finding {
	return &said.Findings[slices.IndexFunc(said.Findings, func(f check.Finding) bool { return f.ID == id })]
}

// A client is proven only where every database refuses what it must refuse.
func TestClientsOfSeveralDatabases(t *testing.T) {
	s := newSeveral(t)
	find(s.about["mariadb-2"], "mtls-09").Outcome = check.Fail
	s.sign(t)
	guest := verify.Appraise(s.promised, s.memory, s.seen).Guests[0]
	if guest.Proven || guest.Accounts[0].Tried[2].Outcome != check.Fail {
		t.Errorf("got %+v", guest)
	}
	delete(s.seen.Statements, "mariadb-1")
	guest = verify.Appraise(s.promised, s.memory, s.seen).Guests[0]
	if guest.Proven || guest.Accounts[0].Tried[0].Outcome != check.Skip {
		t.Errorf("one database was not asked, and the client is taken as refused: %+v", guest)
	}
}

// The primary is the one that takes a mark: two are amiss, and none, or one that was not
// asked, prove nothing.
func TestOnePrimary(t *testing.T) {
	written := witness.Mark{Number: 8, Digest: strings.Repeat("9", 64)}
	for name, c := range map[string]struct {
		change func(*scene)
		want   check.Outcome
		got    string
	}{
		"another one is the primary": {func(s *scene) {
			s.about["mariadb-0"].Witness.Written, s.about["mariadb-2"].Witness.Written = witness.Mark{}, written
		}, check.Pass, "mariadb-2"},
		"two":           {func(s *scene) { s.about["mariadb-2"].Witness.Written = written }, check.Fail, "mariadb-0 and mariadb-2"},
		"none":          {func(s *scene) { s.about["mariadb-0"].Witness.Written = witness.Mark{} }, check.Skip, "none"},
		"one not asked": {func(s *scene) { s.about["mariadb-1"].Witness = nil }, check.Skip, "mariadb-0"},
		"two, and one not asked": {func(s *scene) {
			s.about["mariadb-1"].Witness, s.about["mariadb-2"].Witness.Written = nil, written
		}, check.Fail, "mariadb-0 and mariadb-2"},
	} {
		s := newSeveral(t)
		c.change(s)
		s.sign(t)
		if f, _ := verify.Appraise(s.promised, s.memory, s.seen).Findings.Find("rep-05"); f.Outcome != c.want || f.Got != c.got {
			t.Errorf("%s: got %+v, want %s with %q", name, f, c.want, c.got)
		}
	}
}
