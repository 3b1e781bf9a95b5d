package witness_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/witness"
)

var (
	now      = time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)
	verifier = strings.Repeat("a1", 16)
)

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func mark(number uint64) witness.Mark {
	return witness.Mark{Number: number, Digest: digest(fmt.Sprint(number))}
}

func lineOf(number uint64) witness.Line {
	return witness.Line{Last: mark(number), At: now.Add(-time.Hour)}
}

func TestJudge(t *testing.T) {
	line := lineOf(7)
	good := witness.Seen{Verifier: verifier, Asked: line.Last.Digest, Read: true, Found: true, Oldest: 3, Written: mark(9)}
	for name, c := range map[string]struct {
		change func(*witness.Demand, *witness.Seen)
		want   check.Outcome
		says   string
		next   *witness.Line
	}{
		"the mark is there":         {func(*witness.Demand, *witness.Seen) {}, check.Pass, "", &witness.Line{Last: mark(9), At: now}},
		"the first run":             {func(d *witness.Demand, s *witness.Seen) { d.Line, s.Asked, s.Found = witness.Line{}, "", false }, check.Pass, "none could be demanded", &witness.Line{Last: mark(9), At: now}},
		"the mark is not there":     {func(_ *witness.Demand, s *witness.Seen) { s.Found = false }, check.Fail, "put back to an older state", nil},
		"no mark at all":            {func(_ *witness.Demand, s *witness.Seen) { s.Found, s.Oldest = false, 0 }, check.Fail, "deleted", nil},
		"newer ones only":           {func(_ *witness.Demand, s *witness.Seen) { s.Found, s.Oldest = false, 8 }, check.Fail, "deleted", nil},
		"newer ones only, and full": {func(_ *witness.Demand, s *witness.Seen) { s.Found, s.Oldest, s.Full = false, 8, true }, check.Skip, "removed to keep", nil},
		"older ones, and full":      {func(_ *witness.Demand, s *witness.Seen) { s.Found, s.Full = false, true }, check.Fail, "put back", nil},
		"as old, and full":          {func(_ *witness.Demand, s *witness.Seen) { s.Found, s.Oldest, s.Full = false, 7, true }, check.Fail, "put back", nil},
		"missing, and nothing left": {func(_ *witness.Demand, s *witness.Seen) { s.Found, s.Written = false, witness.Mark{} }, check.Fail, "put back", nil},
		"there, and nothing left":   {func(_ *witness.Demand, s *witness.Seen) { s.Written, s.Problem = witness.Mark{}, "read only" }, check.Skip, "read only", nil},
		"first, and nothing left": {func(d *witness.Demand, s *witness.Seen) {
			d.Line, s.Asked, s.Found, s.Written = witness.Line{}, "", false, witness.Mark{}
		}, check.Skip, "no mark was left", nil},
		"not read":                       {func(_ *witness.Demand, s *witness.Seen) { s.Read, s.Found, s.Problem = false, false, "denied" }, check.Skip, "denied", nil},
		"another verifier":               {func(_ *witness.Demand, s *witness.Seen) { s.Verifier = strings.Repeat("b", 32) }, check.Skip, "changed the question", nil},
		"asked for an older mark":        {func(_ *witness.Demand, s *witness.Seen) { s.Asked = mark(3).Digest }, check.Skip, "changed the question", nil},
		"asked for none":                 {func(_ *witness.Demand, s *witness.Seen) { s.Asked, s.Found = "", false }, check.Skip, "changed the question", nil},
		"asked for one at the first run": {func(d *witness.Demand, _ *witness.Seen) { d.Line = witness.Line{} }, check.Skip, "changed the question", nil},
		"nobody asks":                    {func(d *witness.Demand, s *witness.Seen) { d.Verifier, s.Verifier = "", "" }, check.Skip, "nobody", nil},
		"accepted": {func(d *witness.Demand, s *witness.Seen) { d.Accept, s.Found = "from the backup", false }, check.Warn, "you accept it: from the backup",
			&witness.Line{Last: mark(9), At: now, Restores: []witness.Restore{{At: now, Reason: "from the backup", Lost: mark(7), Since: line.At}}}},
		"accepted after it was forgotten": {func(d *witness.Demand, s *witness.Seen) { d.Accept, s.Found, s.Oldest, s.Full = "away", false, 8, true }, check.Warn, "away",
			&witness.Line{Last: mark(9), At: now, Restores: []witness.Restore{{At: now, Reason: "away", Lost: mark(7), Since: line.At}}}},
		"accepted without a new mark": {func(d *witness.Demand, s *witness.Seen) { d.Accept, s.Found, s.Written = "away", false, witness.Mark{} }, check.Fail, "cannot be accepted", nil},
		"nothing to accept":           {func(d *witness.Demand, _ *witness.Seen) { d.Accept = "just so" }, check.Pass, "nothing to accept", &witness.Line{Last: mark(9), At: now}},
	} {
		demand, seen := witness.Demand{Verifier: verifier, Line: line}, good
		c.change(&demand, &seen)
		got := demand.Judge(&seen, now)
		if got.Outcome != c.want || !strings.Contains(got.Reason, c.says) || !cmp.Equal(got.Next, c.next) {
			t.Errorf("%s: got %+v, want %v that says %q; %s", name, got, c.want, c.says, cmp.Diff(c.next, got.Next))
		}
		if c.want != check.Pass && c.want != check.Warn && got.Hint == "" {
			t.Errorf("%s: no hint", name)
		}
		if name == "nobody asks" {
			continue
		}
		if err := seen.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := (witness.Demand{Verifier: verifier, Line: line}).Judge(nil, now); got.Outcome != check.Skip || got.Next != nil {
		t.Errorf("nothing said: got %+v", got)
	}
}

func TestValidateRefuses(t *testing.T) {
	good := witness.Seen{Verifier: verifier, Asked: mark(7).Digest, Read: true, Found: true, Written: mark(9)}
	for name, change := range map[string]func(*witness.Seen){
		"no verifier":              func(s *witness.Seen) { s.Verifier = "" },
		"upper case":               func(s *witness.Seen) { s.Verifier = strings.ToUpper(verifier) },
		"short digest":             func(s *witness.Seen) { s.Asked = s.Asked[2:] },
		"no number":                func(s *witness.Seen) { s.Written.Number = 0 },
		"no digest":                func(s *witness.Seen) { s.Written.Digest = "" },
		"found without reading":    func(s *witness.Seen) { s.Read = false },
		"found without looking":    func(s *witness.Seen) { s.Asked = "" },
		"quotes in the verifier":   func(s *witness.Seen) { s.Verifier = "'" + verifier[1:] },
		"quotes in what was asked": func(s *witness.Seen) { s.Asked = "'" + s.Asked[1:] },
	} {
		seen := good
		if change(&seen); seen.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// Two runs that end one after the other leave the mark that is the harder to lose, and
// forget no restore.
func TestAdvance(t *testing.T) {
	restored := func(number uint64) witness.Line {
		l := lineOf(number)
		l.Restores = []witness.Restore{{Reason: "r"}}
		return l
	}
	for name, c := range map[string]struct{ had, next, want witness.Line }{
		"the first":                       {witness.Line{}, lineOf(1), lineOf(1)},
		"a later mark":                    {lineOf(1), lineOf(2), lineOf(2)},
		"an earlier mark that ends later": {lineOf(2), lineOf(1), lineOf(2)},
		"a restore with an earlier mark":  {lineOf(9), restored(4), restored(4)},
		"a run from before the restore":   {restored(4), lineOf(10), restored(4)},
		"after the restore":               {restored(4), restored(5), restored(5)},
		"shards, each for itself": {shards(map[string]witness.Line{"a": lineOf(2), "b": lineOf(3)}), shards(map[string]witness.Line{"a": lineOf(1), "c": lineOf(1)}),
			shards(map[string]witness.Line{"a": lineOf(2), "b": lineOf(3), "c": lineOf(1)})},
		"the first shards": {witness.Line{}, shards(map[string]witness.Line{"a": lineOf(1)}), shards(map[string]witness.Line{"a": lineOf(1)})},
	} {
		if got := c.had.Advance(c.next); !cmp.Equal(got, c.want) {
			t.Errorf("%s: %s", name, cmp.Diff(c.want, got))
		}
	}
}

func shards(all map[string]witness.Line) witness.Line { return witness.Line{Shards: all} }

// A shard is asked for its own mark, and for none if it has none yet.
func TestDemandOfAShard(t *testing.T) {
	d := witness.Demand{Verifier: "v", Accept: "r", Line: shards(map[string]witness.Line{"a": lineOf(2)})}
	if got := d.Of("a"); got.Verifier != "v" || got.Accept != "r" || !cmp.Equal(got.Line, lineOf(2)) || got.Line.Shards != nil {
		t.Errorf("got %+v", got)
	}
	if got := d.Of("b"); !cmp.Equal(got.Line, witness.Line{}) {
		t.Errorf("got %+v", got)
	}
}

func TestReason(t *testing.T) {
	for _, text := range []string{"restored from the backup of Monday", "x", strings.Repeat("é", 150)} {
		if got, err := witness.ParseReason(text); err != nil || got != text {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"", " ", " x", "a\nb", "a\x1b[31mb", strings.Repeat("x", 301)} {
		if got, err := witness.ParseReason(text); err == nil {
			t.Errorf("%q: got %q, want an error", text, got)
		}
	}
	said := witness.Restore{At: now, Since: now.Add(-time.Hour), Reason: "backup"}.String()
	for _, want := range []string{"2026-11-27T09:00:00Z", "2026-11-27T08:00:00Z", "backup"} {
		if !strings.Contains(said, want) {
			t.Errorf("got %q, want %q in it", said, want)
		}
	}
}

// database is a model of one: its marks, and the next number.
type database struct {
	marks []owned
	next  uint64
}

type owned struct {
	verifier string
	mark     witness.Mark
}

func (d database) copied() database { return database{slices.Clone(d.marks), d.next} }

const kept = 4 // marks of one verifier, so that histories come to that end

// visit does what the attested client does.
func (d *database) visit(who, asked string, random *rand.Rand) *witness.Seen {
	seen := &witness.Seen{Verifier: who, Asked: asked, Read: true}
	var own []witness.Mark
	for _, m := range d.marks {
		if m.verifier == who {
			own = append(own, m.mark)
			seen.Found = seen.Found || m.mark.Digest == asked
		}
	}
	if len(own) > 0 {
		seen.Oldest = own[0].Number
	} else if len(d.marks) > 0 {
		seen.Oldest = d.marks[0].mark.Number
	}
	seen.Full = len(own) >= kept
	d.next++
	seen.Written = witness.Mark{Number: d.next, Digest: digest(fmt.Sprint(random.Uint64()))}
	d.marks = append(d.marks, owned{who, seen.Written})
	own = append(own, seen.Written)
	for len(own) > kept && (seen.Found || asked == "") { // what is amiss stays as it is
		oldest := own[0]
		own = own[1:]
		if oldest.Digest != asked {
			d.marks = slices.DeleteFunc(d.marks, func(m owned) bool { return m.mark == oldest })
		}
	}
	return seen
}

func (d *database) holds(m witness.Mark) bool {
	return slices.ContainsFunc(d.marks, func(o owned) bool { return o.mark == m })
}

// Histories of what users, hosts and insiders do: there is an alarm exactly if the
// database that answers lacks the last mark that was recorded.
func TestHistories(t *testing.T) {
	alarms, doubts := 0, 0
	for seed := range uint64(3000) {
		a, d := history(t, seed, rand.New(rand.NewPCG(seed, 11)))
		alarms, doubts = alarms+a, doubts+d
	}
	if t.Logf("%d alarms, %d of them doubts", alarms, doubts); alarms < 1000 || doubts > alarms/50 {
		t.Errorf("got %d alarms, of which %d are doubts", alarms, doubts)
	}
}

// history returns how often a mark was missing, and how often that was only a doubt,
// since more marks came later than are kept.
func history(t *testing.T, seed uint64, random *rand.Rand) (alarms, doubts int) {
	t.Helper()
	people := []string{verifier, strings.Repeat("b2", 16)}
	records := map[string]witness.Line{}
	live := database{}
	var snapshots []database
	var did []string
	for range 5 + random.IntN(40) {
		who := people[random.IntN(len(people))]
		line := records[who]
		at := now.Add(time.Duration(len(did)) * time.Minute)
		missing := line.Last != witness.Mark{} && !live.holds(line.Last)
		step := []string{"verify", "verify", "verify", "killed", "twice", "restart", "snapshot", "restore", "delete", "new", "accept", "fork"}[random.IntN(12)]
		did = append(did, step)
		switch step {
		case "verify", "accept":
			demand := witness.Demand{Verifier: who, Line: line}
			if step == "accept" {
				demand.Accept = "wanted"
			}
			got := demand.Judge(live.visit(who, line.Last.Digest, random), at)
			want := check.Pass
			switch {
			case missing && step == "accept":
				want = check.Warn
			case missing:
				alarms, want = alarms+1, check.Fail
			}
			if missing && got.Outcome == check.Skip {
				doubts, want = doubts+1, check.Skip
			}
			if got.Outcome != want {
				t.Fatalf("seed %d, after %v: got %+v, want %v", seed, did, got, want)
			}
			if got.Next != nil {
				records[who] = line.Advance(*got.Next)
			}
			if got.Next != nil && !live.holds(records[who].Last) {
				t.Fatalf("seed %d, after %v: the record holds a mark that the database lacks", seed, did)
			}
		case "killed": // the mark is left, and not recorded
			live.visit(who, line.Last.Digest, random)
		case "twice": // two at once, recorded in either order
			demand := witness.Demand{Verifier: who, Line: line}
			both := []*witness.Seen{live.visit(who, line.Last.Digest, random), live.visit(who, line.Last.Digest, random)}
			random.Shuffle(2, func(i, j int) { both[i], both[j] = both[j], both[i] })
			for _, seen := range both {
				if got := demand.Judge(seen, at); (got.Outcome == check.Pass) == missing {
					t.Fatalf("seed %d, after %v: got %+v", seed, did, got)
				} else if got.Next != nil {
					records[who] = records[who].Advance(*got.Next)
				}
			}
		case "restart":
		case "snapshot":
			snapshots = append(snapshots, live.copied())
		case "restore":
			if len(snapshots) > 0 {
				live = snapshots[random.IntN(len(snapshots))].copied()
			}
		case "fork": // another instance answers, and the first goes on unseen
			if len(snapshots) > 0 {
				i := random.IntN(len(snapshots))
				snapshots[i], live = live.copied(), snapshots[i].copied()
			}
		case "delete": // what an insider can
			if len(live.marks) > 0 {
				i := random.IntN(len(live.marks))
				live.marks = slices.Delete(live.marks, i, i+1)
			}
		case "new":
			live = database{}
		}
	}
	return alarms, doubts
}
