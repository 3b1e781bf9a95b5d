package verify_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/evidence"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/pkg/verify"
	"github.com/confidb/confidb/pkg/witness"
)

// newSharded is a release of three shards, where the attested client finds everything as
// promised, and in each the mark that the last verification left there.
func newSharded(t *testing.T) *scene {
	t.Helper()
	s := newSceneOf(t, preparedSharded)
	s.about, s.seen.Statements = map[string]*evidence.Predicate{}, map[string]evidence.Fetched[[]byte]{}
	lines := map[string]witness.Line{}
	for _, i := range s.promised.Instances(topology.Database) {
		said := &evidence.Predicate{}
		if err := json.Unmarshal(must[[]byte](t)(json.Marshal(s.said)), said); err != nil {
			t.Fatal(err)
		}
		said.Member, said.Address, said.ServerName = i.Name, i.Host+":3306", i.Host
		last := witness.Mark{Number: uint64(i.Ordinal + 1), Digest: strings.Repeat(string(rune('a'+i.Ordinal)), 64)}
		said.Witness.Asked, said.Witness.Written = last.Digest, witness.Mark{Number: last.Number + 10, Digest: strings.Repeat("8", 64)}
		lines[i.Name] = witness.Line{Last: last, At: s.seen.At}
		s.about[i.Name] = said
	}
	s.seen.Demand.Line = witness.Line{Shards: lines}
	s.stand(t)
	s.sign(t)
	return s
}

// Each shard is judged as a single database is, and there is no talk of a primary.
func TestEachShardIsJudged(t *testing.T) {
	one, s := newScene(t), newSharded(t)
	var want []string
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
			if got = append(got, f.ID+" "+what); f.Outcome != check.Pass {
				t.Errorf("%s: %+v", name, f)
			}
		}
		if slices.Sort(got); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	for _, f := range result.Findings {
		if strings.HasPrefix(f.ID, "rep-") {
			t.Errorf("got %+v", f)
		}
	}
	databases := result.Path[len(result.Path)-1]
	for _, m := range databases.Members {
		if m.State != verify.Proven || m.Primary {
			t.Errorf("on the way to it, %s is %s, and the primary is said to be it: %v", m.Name, m.State, m.Primary)
		}
	}
	if databases.Count != 3 {
		t.Errorf("the way leads to %d databases", databases.Count)
	}
	for i := range 3 {
		if got := result.Line.Shards["mariadb-"+string(rune('0'+i))].Last.Number; got != uint64(i+11) {
			t.Errorf("mariadb-%d: the mark %d is kept, want %d", i, got, i+11)
		}
	}
}

// What is amiss with a shard is said of that one: whoever takes one away, or puts another one
// or an older state in its place, is noticed, and the others keep their marks.
func TestAShardIsAmiss(t *testing.T) {
	const shard = "mariadb-1"
	for name, c := range map[string]struct {
		change func(*testing.T, *scene)
		id     string
		want   check.Outcome
	}{
		"it is missing":       {func(_ *testing.T, s *scene) { s.seen.Statements[shard] = evidence.Missing[[]byte]("unreachable") }, "probe-statement", check.Skip},
		"nobody asked it":     {func(_ *testing.T, s *scene) { delete(s.seen.Statements, shard) }, "probe-statement", check.Skip},
		"another one answers": {func(_ *testing.T, s *scene) { s.seen.Statements[shard] = s.seen.Statements["mariadb-2"] }, "probe-statement", check.Fail},
		"it lacks its mark":   {func(t *testing.T, s *scene) { s.about[shard].Witness.Found = false; s.sign(t) }, "data-01", check.Fail},
		"it takes none":       {func(t *testing.T, s *scene) { s.about[shard].Witness.Written = witness.Mark{}; s.sign(t) }, "data-01", check.Skip},
		"it was asked for others": {func(t *testing.T, s *scene) {
			s.about[shard].Witness.Asked = s.about["mariadb-0"].Witness.Asked
			s.sign(t)
		}, "data-01", check.Skip},
		"it was asked for none": {func(t *testing.T, s *scene) { s.about[shard].Witness.Asked = ""; s.sign(t) }, "data-01", check.Skip},
	} {
		s := newSharded(t)
		c.change(t, s)
		result := verify.Appraise(s.promised, s.memory, s.seen)
		for instance, found := range ofDatabases(result) {
			for _, f := range found {
				if f.Outcome != check.Pass && instance != shard {
					t.Errorf("%s: %s is blamed: %+v", name, instance, f)
				}
			}
		}
		if f, _ := ofDatabases(result)[shard].Find(c.id); f.Outcome != c.want || f.Hint == "" || !strings.HasPrefix(f.Title, shard) {
			t.Errorf("%s: got %s %+v, want %s", name, f.Outcome, f, c.want)
		}
		if result.Findings.Verdict().Accepted() {
			t.Errorf("%s: accepted", name)
		}
		if _, learned := result.Line.Shards[shard]; learned || len(result.Line.Shards) != 2 {
			t.Errorf("%s: kept are %v", name, result.Line.Shards)
		}
	}
}

// A restore that was accepted is said of the shard that was restored, also later on.
func TestAnAcceptedRestoreOfAShard(t *testing.T) {
	s := newSharded(t)
	s.seen.Demand.Accept = "the backup of Monday"
	s.about["mariadb-1"].Witness.Found = false
	s.sign(t)
	result := verify.Appraise(s.promised, s.memory, s.seen)
	var said []string
	for _, l := range result.Limitations {
		if l.ID == "accepted-restore" {
			said = append(said, l.Text)
		}
	}
	if len(said) != 1 || !strings.HasPrefix(said[0], "mariadb-1: ") || !strings.Contains(said[0], "Monday") || len(result.Line.Shards["mariadb-0"].Restores) != 0 || len(result.Line.Shards["mariadb-1"].Restores) != 1 {
		t.Errorf("said %q, kept %+v", said, result.Line)
	}
	s = newSharded(t)
	s.seen.Demand.Line = s.seen.Demand.Line.Advance(*result.Line)
	for _, i := range s.promised.Instances(topology.Database) {
		s.about[i.Name].Witness.Asked = s.seen.Demand.Line.Shards[i.Name].Last.Digest
	}
	s.sign(t)
	later := verify.Appraise(s.promised, s.memory, s.seen)
	if !slices.ContainsFunc(later.Limitations, func(l evidence.Limitation) bool { return l.ID == "accepted-restore" }) || later.Line == nil {
		t.Errorf("nothing is said later on: %+v", later.Limitations)
	}
}
