package rollout_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/change"
	"github.com/confidb/confidb/pkg/rollout"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/topology"
)

const cluster = "a cluster"

const (
	before = "db=a+b backup=a" // what the shop and its client admit at first
	after  = "db=c backup=c"
)

// house is a release in a cluster, with the CAS that holds its sessions and a plan for
// other machines.
type house struct {
	cas      *fakeCAS
	cluster  *fakeCluster
	store    *fakeStore
	progress *fakeProgress
	release  *topology.Release
	plan     *change.PlatformsPlan
}

func newHouse(t *testing.T) *house { return newHouseOf(t, shop) }

func newHouseOf(t *testing.T, text string) *house {
	t.Helper()
	client := strings.Replace(text, "name: shop", "name: client", 1)
	h := &house{cas: newCAS(client, text), cluster: &fakeCluster{}, store: &fakeStore{}, progress: &fakeProgress{}}
	h.release = &topology.Release{Name: "db1", Namespace: "shop-ns", Platforms: ids(t, idA, idB)}
	h.release.SetSession(topology.Namespace, topology.Session{Name: "owner"})
	h.release.SetSession(topology.Client, topology.Session{Name: "client", Text: client, Hash: h.cas.newest("client").Hash})
	h.release.SetSession(topology.Database, topology.Session{Name: "shop", Text: text, Hash: h.cas.newest("shop").Hash})
	h.plan = h.planned(t)
	if err := h.store.SaveRelease(cluster, h.release); err != nil {
		t.Fatal(err)
	}
	h.store.saves = 0
	return h
}

func (h *house) planned(t *testing.T) *change.PlatformsPlan {
	t.Helper()
	p, err := rollout.PlanPlatforms(t.Context(), h.cas, cluster, h.release, ids(t, idC))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (h *house) mover() *rollout.Platforms {
	return &rollout.Platforms{
		CAS: h.cas, Cluster: h.cluster, Store: h.store, Progress: h.progress, ClusterID: cluster, Release: h.release, Patience: time.Minute,
	}
}

func (h *house) apply(t *testing.T) error {
	t.Helper()
	return h.mover().Apply(t.Context(), h.plan, ids(t, idC))
}

// killed ends a run in the middle, as kill -9 does.
type killed struct{}

// applyKilled is apply in a process of its own: what is known afterwards is the record.
func (h *house) applyKilled(t *testing.T) (err error) {
	t.Helper()
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(killed); !ok {
				panic(r)
			}
			err = errors.New("killed")
		}
		h.release = h.store.read(t)
	}()
	return h.apply(t)
}

// wantAdmitted checks both sessions, and that the record is what CAS has.
func (h *house) wantAdmitted(t *testing.T, client, database string) {
	t.Helper()
	for name, want := range map[string]string{"client": client, "shop": database} {
		if got := h.cas.admitted(t, name); got != want {
			t.Errorf("session %s admits %s, want %s", name, got, want)
		}
	}
}

// wantRecord checks what is promised after a run that came to its end.
func (h *house) wantRecord(t *testing.T, machines ...string) {
	t.Helper()
	r := h.store.read(t)
	if got, want := fmt.Sprint(r.Platforms), fmt.Sprint(ids(t, machines...)); got != want {
		t.Errorf("recorded machines: got %s, want %s", got, want)
	}
	for _, s := range r.Admitting() {
		held := h.cas.newest(s.Name)
		if err := topology.SameSession(*s, &held); err != nil {
			t.Error(err)
		}
		if s.Previous != "" {
			t.Errorf("session %s: a way back is left", s.Name)
		}
	}
}

func TestApply(t *testing.T) {
	h := newHouse(t)
	if err := h.apply(t); err != nil {
		t.Fatal(err)
	}
	h.wantAdmitted(t, after, after)
	h.wantRecord(t, idC)
	if got := strings.Join(h.progress.lines, "|"); got != "session client|session shop|restarting the database|  pod db-0" {
		t.Errorf("got the steps %s", got)
	}
	if got := strings.Join(h.cluster.said, "|"); got != "PlatformsUpdated: the sessions admit 1 machine" {
		t.Errorf("got the events %s", got)
	}
}

func TestApplyWithoutRestart(t *testing.T) {
	h := newHouse(t)
	m := h.mover()
	m.NoRestart = true
	if err := m.Apply(t.Context(), h.plan, ids(t, idC)); err != nil {
		t.Fatal(err)
	}
	h.wantAdmitted(t, after, after)
	h.wantRecord(t, idC)
	if h.cluster.restarted != 0 {
		t.Error("the database was restarted")
	}
}

// TestApplyOfAStrangerChangesNothing: what does not fit is refused before anything is done.
func TestApplyOfAStrangerChangesNothing(t *testing.T) {
	h := newHouse(t)
	err := h.mover().Apply(t.Context(), h.plan, ids(t, idA))
	wants(t, err, "the machines have changed")
	if h.cas.uploads != 0 || h.store.saves != 0 || h.cluster.restarted != 0 {
		t.Errorf("got %d uploads, %d saves and %d restarts", h.cas.uploads, h.store.saves, h.cluster.restarted)
	}
}

func TestAnnounceNeedsARight(t *testing.T) {
	h := newHouse(t)
	h.cluster.forbidden = errors.New("events is forbidden")
	if err := h.apply(t); err != nil {
		t.Fatal(err)
	}
	if got := h.progress.lines[len(h.progress.lines)-1]; got != "  no event was left: events is forbidden" {
		t.Errorf("got %q", got)
	}
}

func TestEventsCountMachines(t *testing.T) {
	h := newHouse(t)
	two := ids(t, idB, idC)
	var err error
	if h.plan, err = rollout.PlanPlatforms(t.Context(), h.cas, cluster, h.release, two); err != nil {
		t.Fatal(err)
	}
	if err := h.mover().Apply(t.Context(), h.plan, two); err != nil {
		t.Fatal(err)
	}
	if got := h.cluster.said[0]; !strings.HasSuffix(got, "2 machines") {
		t.Errorf("got %s", got)
	}
}

// other is a version by somebody else.
func (c *fakeCAS) other(name string) {
	text := strings.Replace(strings.Replace(shop, "name: shop", "name: "+name, 1), "dump", "other", 1)
	c.add(strings.Replace(text, "name: "+name, "predecessor: "+c.newest(name).Hash+"\nname: "+name, 1))
}

// TestCASMoves: a session that somebody else changed is left as it is, whenever it was.
func TestCASMoves(t *testing.T) {
	for name, c := range map[string]struct {
		when         func(h *house)
		client, shop string
	}{
		"before the first":             {func(h *house) { h.cas.other("client") }, "db=a+b backup=a", before},
		"before the second":            {func(h *house) { h.cas.other("shop") }, before, "db=a+b backup=a"},
		"as the first is uploaded":     {func(h *house) { h.at(1, func() { h.cas.other("client") }) }, "db=a+b backup=a", before},
		"as the second is uploaded":    {func(h *house) { h.at(2, func() { h.cas.other("shop") }) }, before, "db=a+b backup=a"},
		"between the two":              {func(h *house) { h.at(1, func() { h.cas.other("shop") }) }, before, "db=a+b backup=a"},
		"after the plan, by two steps": {func(h *house) { h.cas.other("client"); h.cas.other("client") }, "db=a+b backup=a", before},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			c.when(h)
			err := h.apply(t)
			var moved *change.MovedError
			if !errors.As(err, &moved) || moved.Again != "{platforms plan}" {
				t.Fatalf("got %v, want a MovedError", err)
			}
			h.wantAdmitted(t, c.client, c.shop)
			if h.cluster.restarted != 0 {
				t.Error("the database was restarted")
			}
			for _, s := range h.store.read(t).Admitting() {
				if s.Previous != "" {
					t.Errorf("session %s: a way back is left that nobody may take", s.Name)
				}
			}
		})
	}
}

// TestNothingIsUploadedUnlessEverythingCanBe: the word of the refusal, that nothing was
// changed, is true.
func TestNothingIsUploadedUnlessEverythingCanBe(t *testing.T) {
	h := newHouse(t)
	h.cas.other("shop")
	var moved *change.MovedError
	if err := h.apply(t); !errors.As(err, &moved) {
		t.Fatalf("got %v, want a MovedError", err)
	}
	if h.cas.uploads != 0 {
		t.Errorf("got %d uploads, want none", h.cas.uploads)
	}
	if h.store.saves != 0 {
		t.Errorf("the record was saved %d times", h.store.saves)
	}
}

// TestTheWayBackFromHalfway: when CAS does not take it, the error says both.
func TestTheWayBackFromHalfway(t *testing.T) {
	h := newHouse(t)
	h.at(2, func() { h.cas.other("shop") })
	h.cas.refused = []int{3}
	err := h.apply(t)
	wants(t, err, "setting the sessions back after")
	wants(t, err, "connection refused")
}

// at does something before upload n.
func (h *house) at(n int, do func()) {
	h.cas.before = func(now int) {
		if now == n {
			do()
		}
	}
}

// TestCASFails: whatever CAS does not answer ends the run, and the next run ends the work.
func TestCASFails(t *testing.T) {
	broken := errors.New("broken line")
	for name, when := range map[string]func(h *house){
		"the first read": func(h *house) {
			h.cas.answer = func(name, _ string, _ *session.Stored) (*session.Stored, error) { return nil, broken }
		},
		"the second read": func(h *house) {
			h.cas.answer = func(name, _ string, _ *session.Stored) (*session.Stored, error) {
				if name == "shop" {
					return nil, broken
				}
				return nil, nil
			}
		},
		"nonsense": func(h *house) {
			h.cas.answer = func(name, _ string, _ *session.Stored) (*session.Stored, error) {
				return &session.Stored{Text: "broken line"}, nil
			}
		},
		"the first upload":         func(h *house) { h.cas.refused = []int{1} },
		"the second upload":        func(h *house) { h.cas.refused = []int{2} },
		"the answer to the first":  func(h *house) { h.cas.lost = []int{1} },
		"the answer to the second": func(h *house) { h.cas.lost = []int{2} },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			when(h)
			if err := h.applyKilled(t); err == nil {
				t.Fatal("got no error")
			}
			h.cas.answer, h.cas.lost, h.cas.refused = nil, nil, nil
			if err := h.applyKilled(t); err != nil {
				t.Fatal(err)
			}
			h.wantAdmitted(t, after, after)
			h.wantRecord(t, idC)
		})
	}
}

func TestPlanPlatformsFails(t *testing.T) {
	h := newHouse(t)
	delete(h.cas.versions, "shop")
	_, err := rollout.PlanPlatforms(t.Context(), h.cas, cluster, h.release, ids(t, idC))
	wants(t, err, "not found")
}

// TestRollBack: when the database does not come back, each service admits what it
// admitted before, and nothing else.
func TestRollBack(t *testing.T) {
	anywhere := strings.Replace(shop, "    platforms: ["+idA+"]\n", "", 1)
	for name, c := range map[string]struct {
		text   string
		fails  func(c *fakeCluster)
		before string
	}{
		"it does not stop":      {shop, func(c *fakeCluster) { c.restarts = []error{errors.New("does not stop")} }, before},
		"it does not come back": {shop, func(c *fakeCluster) { c.awaits = []error{errors.New("not permitted")} }, before},
		"one may run anywhere":  {anywhere, func(c *fakeCluster) { c.awaits = []error{errors.New("not permitted")} }, "db=a+b backup="},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouseOf(t, c.text)
			c.fails(h.cluster)
			err := h.apply(t)
			var rolled *rollout.RolledBackError
			if !errors.As(err, &rolled) {
				t.Fatalf("got %v, want a RolledBackError", err)
			}
			h.wantAdmitted(t, c.before, c.before)
			h.wantRecord(t, idA, idB)
			if h.cluster.restarted != 2 {
				t.Errorf("got %d restarts, want 2", h.cluster.restarted)
			}
			if got := strings.Join(h.cluster.said, "|"); !strings.HasPrefix(got, "PlatformsRolledBack: ") {
				t.Errorf("got the events %s", got)
			}
			for _, name := range []string{"client", "shop"} {
				held := parse(t, h.cas.newest(name).Text)
				if want := h.cas.versions[name][1].Hash; held.Predecessor != want {
					t.Errorf("session %s: got the predecessor %s, want %s", name, held.Predecessor, want)
				}
				if want := parse(t, h.cas.versions[name][0].Text); !session.Equal(held, want) {
					t.Errorf("session %s: got another one:\n%s", name, held.Source())
				}
			}
			if rolled.Hint() == "" || errors.Unwrap(rolled) == nil {
				t.Error("the error has no hint or no cause")
			}
		})
	}
}

// TestRollBackGoesTheWayItCame: the database first, then its clients.
func TestRollBackGoesTheWayItCame(t *testing.T) {
	h := newHouse(t)
	h.cluster.awaits = []error{errors.New("not permitted")}
	h.at(4, func() { h.wantAdmitted(t, after, before) })
	wants(t, h.apply(t), "set back")
	if h.cas.uploads != 4 {
		t.Errorf("got %d uploads, want 4", h.cas.uploads)
	}
}

// TestRollBackNeedsCASsWord: where CAS's answers do not hold together, no session is set
// back: not one of the two.
func TestRollBackNeedsCASsWord(t *testing.T) {
	stranger := strings.Replace(shop, "["+idA+"]", "["+idA+", "+idB+"]", 1) // widens backup
	for name, c := range map[string]struct {
		answer func(hash string, stored *session.Stored) (*session.Stored, error)
		want   string
	}{
		"no hash": {func(_ string, s *session.Stored) (*session.Stored, error) { return &session.Stored{Text: s.Text}, nil }, "asked CAS for the version"},
		"another hash": {func(hash string, s *session.Stored) (*session.Stored, error) {
			return &session.Stored{Hash: strings.Repeat("0", 64), Text: s.Text}, nil
		}, "asked CAS for the version"},
		"another thing": {func(hash string, s *session.Stored) (*session.Stored, error) {
			return &session.Stored{Hash: hash, Text: strings.Replace(s.Text, "dump", "steal", 1)}, nil
		}, "in more than platforms"},
		"a stranger": {func(hash string, _ *session.Stored) (*session.Stored, error) {
			return &session.Stored{Hash: strings.Repeat("1", 64), Text: stranger}, nil
		}, "asked CAS for the version"},
		"another name": {func(hash string, _ *session.Stored) (*session.Stored, error) {
			return &session.Stored{Hash: hash, Text: strings.Replace(stranger, "name: shop", "name: shed", 1)}, nil
		}, `got session "shed"`},
		"no answer": {func(string, *session.Stored) (*session.Stored, error) { return nil, errors.New("broken line") }, "broken line"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.cluster.awaits = []error{errors.New("not permitted")}
			first := h.cas.newest("shop").Hash
			h.cas.answer = func(name, hash string, stored *session.Stored) (*session.Stored, error) {
				if name != "shop" || hash != first {
					return nil, nil
				}
				return c.answer(hash, stored)
			}
			err := h.apply(t)
			wants(t, err, c.want)
			wants(t, err, "setting the sessions back after not permitted")
			h.wantAdmitted(t, after, after)
			if h.cas.uploads != 2 {
				t.Errorf("got %d uploads, want 2", h.cas.uploads)
			}
		})
	}
}

// TestRollBackLeavesStrangersAlone: who changed a session while the database started is
// not overwritten.
func TestRollBackLeavesStrangersAlone(t *testing.T) {
	for _, name := range []string{"client", "shop"} {
		h := newHouse(t)
		m := h.mover()
		m.Cluster = &whileStarting{h.cluster, func() { h.cas.other(name) }}
		err := m.Apply(t.Context(), h.plan, ids(t, idC))
		wants(t, err, "was changed meanwhile")
		if got := h.cas.admitted(t, name); got != before { // the stranger's
			t.Errorf("got %s", got)
		}
		if h.cas.uploads != 2 {
			t.Errorf("got %d uploads, want 2", h.cas.uploads)
		}
	}
}

type whileStarting struct {
	*fakeCluster
	do func()
}

func (c *whileStarting) AwaitReady(context.Context, func(string)) error {
	c.do()
	return errors.New("not permitted")
}

// TestRollBackFails half-way, in each way; the next run ends the work in either way.
func TestRollBackFails(t *testing.T) {
	bad := errors.New("not permitted")
	for name, c := range map[string]struct {
		when         func(h *house)
		want         string
		client, shop string
	}{
		"the current version is not read": {func(h *house) {
			h.cas.answer = func(name, hash string, _ *session.Stored) (*session.Stored, error) {
				if h.cluster.restarted > 0 && hash == "" {
					return nil, errors.New("broken line")
				}
				return nil, nil
			}
		}, "broken line", after, after},
		"the first upload":          {func(h *house) { h.cas.refused = []int{3} }, "connection refused", after, after},
		"the second upload":         {func(h *house) { h.cas.refused = []int{4} }, "connection refused", after, before},
		"the first answer":          {func(h *house) { h.cas.lost = []int{3} }, "connection lost", after, before},
		"the second answer":         {func(h *house) { h.cas.lost = []int{4} }, "connection lost", before, before},
		"the record":                {func(h *house) { h.store.fails = []int{5} }, "no space left", after, before},
		"the database stays away":   {func(h *house) { h.cluster.awaits = append(h.cluster.awaits, errors.New("still not")) }, "still not", before, before},
		"the database does not end": {func(h *house) { h.cluster.restarts = []error{nil, errors.New("does not stop")} }, "does not stop", before, before},
	} {
		for _, again := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, then good %v", name, again), func(t *testing.T) {
				h := newHouse(t)
				h.cluster.awaits = []error{bad}
				c.when(h)
				err := h.applyKilled(t)
				wants(t, err, c.want)
				wants(t, err, "setting the sessions back after ")
				h.wantAdmitted(t, c.client, c.shop)

				h.cas.answer, h.cas.lost, h.cas.refused, h.store.fails = nil, nil, nil, nil
				h.cluster.awaits, h.cluster.restarts = nil, nil
				if again {
					if err := h.applyKilled(t); err != nil {
						t.Fatal(err)
					}
					h.wantAdmitted(t, after, after)
					h.wantRecord(t, idC)
					return
				}
				h.cluster.awaits = []error{bad}
				wants(t, h.applyKilled(t), "were set back")
				h.wantAdmitted(t, before, before)
				h.wantRecord(t, idA, idB)
			})
		}
	}
}

// TestKilledAtEachStep: wherever a run is killed, no service admits what it admits neither
// before nor after, and the next run ends the work in either way.
func TestKilledAtEachStep(t *testing.T) {
	bad := errors.New("not permitted")
	steps := map[string]func(h *house, n int){
		"after save": func(h *house, n int) {
			h.store.kill = func(now int) {
				if now == n {
					panic(killed{})
				}
			}
		},
		"before upload": func(h *house, n int) { h.at(n, func() { panic(killed{}) }) },
		"after upload":  func(h *house, n int) { h.cas.lost = []int{n} },
	}
	// the first run is good only where that is another step: after the record is finished
	for _, c := range []struct {
		step  string
		steps int
		first error
	}{{"after save", 6, bad}, {"before upload", 4, bad}, {"after upload", 4, bad}, {"after save", 5, nil}} {
		for n := 1; n <= c.steps; n++ {
			if c.first == nil && n < c.steps {
				continue
			}
			for _, second := range []error{nil, bad} {
				t.Run(fmt.Sprintf("%s %d, %v, %v", c.step, n, c.first, second), func(t *testing.T) {
					h := newHouse(t)
					steps[c.step](h, n)
					h.cluster.awaits = []error{c.first}
					if err := h.applyKilled(t); err == nil || strings.Contains(err.Error(), "were set back") {
						t.Fatalf("the run was not killed: %v", err)
					}
					h.store.kill, h.cas.before, h.cas.lost = nil, nil, nil
					for _, name := range []string{"client", "shop"} {
						if got := h.cas.admitted(t, name); got != before && got != after {
							t.Fatalf("session %s admits %s", name, got)
						}
					}
					h.cluster.awaits = []error{second}
					err := h.applyKilled(t)
					switch {
					case second == nil:
						wants(t, err, "")
						h.wantAdmitted(t, after, after)
						h.wantRecord(t, idC)
					case c.first == nil: // killed after its end: there is no way back
						wants(t, err, "carried out before")
						h.wantAdmitted(t, after, after)
						h.wantRecord(t, idC)
					default:
						wants(t, err, "were set back, and the database runs again as before: not permitted")
						h.wantAdmitted(t, before, before)
						h.wantRecord(t, idA, idB)
					}
				})
			}
		}
	}
}

// TestACompletedPlanIsNotUndone: whoever runs a plan again that came to its end long ago
// must not let in again whom it kept out, however often the database fails.
func TestACompletedPlanIsNotUndone(t *testing.T) {
	h := newHouse(t)
	if err := h.applyKilled(t); err != nil {
		t.Fatal(err)
	}
	h.cluster.awaits = []error{errors.New("not permitted")}
	err := h.applyKilled(t)
	wants(t, err, "this plan was carried out before, so no session is set back: not permitted")
	var rolled *rollout.RolledBackError
	if errors.As(err, &rolled) {
		t.Error("it says that the sessions were set back")
	}
	h.wantAdmitted(t, after, after)
	h.wantRecord(t, idC)
}

// TestAForgedPlanUndoesNothing: a plan that was edited so that it ends in what CAS has
// does not name a version to go back to.
func TestAForgedPlanUndoesNothing(t *testing.T) {
	h := newHouse(t)
	forged := h.plan
	h.plan = h.planned(t)
	if err := h.applyKilled(t); err != nil {
		t.Fatal(err)
	}
	forged.Before, forged.After = ids(t, idA, idB), ids(t, idC)
	h.plan = forged
	for i := range h.release.Members { // a way back of another change is left
		h.release.Members[i].Session.Previous = strings.Repeat("0", 64)
	}
	h.cluster.awaits = []error{errors.New("not permitted")}
	wants(t, h.applyKilled(t), "no session is set back")
	h.wantAdmitted(t, after, after)
}

// TestRollBackIsOfThisPlanOnly: a later plan does not undo an earlier one.
func TestRollBackIsOfThisPlanOnly(t *testing.T) {
	h := newHouse(t)
	h.store.kill = func(n int) {
		if n == 4 { // both sessions are changed, and the database was not restarted
			panic(killed{})
		}
	}
	wants(t, h.applyKilled(t), "killed")
	h.store.kill = nil
	two := ids(t, idB, idC)
	var err error
	if h.plan, err = rollout.PlanPlatforms(t.Context(), h.cas, cluster, h.release, two); err != nil {
		t.Fatal(err)
	}
	h.cluster.awaits = []error{errors.New("not permitted")}
	wants(t, h.mover().Apply(t.Context(), h.plan, two), "were set back")
	h.wantAdmitted(t, after, after)
}

// TestRecordCannotBeSaved: each failure ends the run, nothing more is admitted than the
// plan says, and the next run ends the work.
func TestRecordCannotBeSaved(t *testing.T) {
	for n := 1; n <= 5; n++ {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			h := newHouse(t)
			h.store.fails = []int{n}
			wants(t, h.applyKilled(t), "keeping the record of the release: no space left")
			h.store.fails = nil
			if err := h.applyKilled(t); err != nil {
				t.Fatal(err)
			}
			h.wantAdmitted(t, after, after)
			h.wantRecord(t, idC)
		})
	}
}

// TestUploadFollowsTheRecord: the way back is on disk before the session is changed.
func TestUploadFollowsTheRecord(t *testing.T) {
	h := newHouse(t)
	h.cas.before = func(n int) {
		name := []string{"client", "shop"}[n-1]
		for _, s := range h.store.read(t).Admitting() {
			if s.Name == name && s.Previous != h.cas.newest(name).Hash {
				t.Errorf("session %s is changed, and the record says %q", name, s.Previous)
			}
		}
	}
	if err := h.apply(t); err != nil {
		t.Fatal(err)
	}
}

// TestAgainAfterASetBackThatCannotBeRead: where CAS does not say what was undone, nothing
// is uploaded.
func TestAgainAfterASetBackThatCannotBeRead(t *testing.T) {
	for name, c := range map[string]struct {
		answer *session.Stored
		err    error
		want   string
	}{
		"it is gone":  {nil, nil, "was changed meanwhile"},
		"broken line": {nil, errors.New("broken line"), "broken line"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.cas.other("client")
			first := h.cas.versions["client"][0].Hash
			h.cas.answer = func(_, hash string, _ *session.Stored) (*session.Stored, error) {
				if hash == first && c.err != nil {
					return nil, c.err
				}
				return nil, nil
			}
			if c.err == nil {
				h.cas.versions["client"] = h.cas.versions["client"][1:]
			}
			wants(t, h.apply(t), c.want)
			if h.cas.uploads != 0 {
				t.Errorf("got %d uploads", h.cas.uploads)
			}
		})
	}
}
