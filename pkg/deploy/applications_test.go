package deploy_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/accounts"
	"github.com/confidb/confidb/pkg/deploy"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/pkg/topology"
)

// admitted are applications with one client.
func admitted() topology.Applications {
	return topology.Applications{Accounts: accounts.Example()}.With(topology.Application{Name: "tokenizer", MRENCLAVEs: []sgx.Measurement{{9}}, Command: []string{"/tokenizer"}, Files: topology.GivenByDefault()})
}

func giving(a topology.Applications) func(*deploy.Inputs) {
	return func(in *deploy.Inputs) { in.Plan.Applications = a }
}

// copy is a world that goes on from here on its own.
func (w *world) copy(t *testing.T) *world {
	t.Helper()
	stored, known := *w.stored, *w.cas
	stored.Members, known.sessions = slices.Clone(stored.Members), maps.Clone(known.sessions)
	c := *w
	c.t, c.stored, c.cas, c.done, c.random = t, &stored, &known, slices.Clone(w.done), nil
	c.cas.do = c.do
	return &c
}

// settled fails unless the record, CAS and the applications agree.
func settled(t *testing.T, w *world, want topology.Applications) {
	t.Helper()
	if diff := cmp.Diff(want, w.stored.Applications); diff != "" || w.stored.Changing != nil {
		t.Errorf("recorded as %+v: %s", w.stored.Changing, diff)
	}
	for _, m := range w.stored.Members {
		held := w.cas.sessions[m.Session.Name]
		if m.Session.Next != "" || m.Session.Hash != held.Hash || m.Session.Hash == "" {
			t.Errorf("session %s: recorded %q, CAS has %q", m.Session.Name, m.Session.Hash, held.Hash)
		}
		if same, err := topology.SameMeaning(m.Session.Text, held.Text); !same || err != nil {
			t.Errorf("session %s is recorded as another: %v", m.Session.Name, err)
		}
	}
	if w.done[len(w.done)-1] != "verify" {
		t.Errorf("the end is %q", w.done[len(w.done)-1])
	}
}

// started reports whether the database started anew after the last session was changed.
func started(w *world) bool {
	last := func(begin string) int {
		for i, d := range slices.Backward(w.done) {
			if strings.HasPrefix(d, begin) {
				return i
			}
		}
		return -1
	}
	return last("start anew") > last("create")
}

// TestApplicationsKilledAfterEachStep: a client is admitted and sent away, and a run that
// was killed after any step is continued by the next one, to the same end.
func TestApplicationsKilledAfterEachStep(t *testing.T) {
	none := topology.Applications{}
	for _, c := range []struct {
		name     string
		from, to topology.Applications
	}{{"admitted", none, admitted()}, {"sent away", admitted(), admitted().Without("tokenizer")}, {"changed", admitted(), admitted().With(topology.Application{Name: "tokenizer", MRENCLAVEs: []sgx.Measurement{{8}}, Command: []string{"/tokenizer"}, Files: topology.GivenByDefault()})}} {
		first := newWorld(t)
		first.must(first.install(deploy.Install{}, giving(c.from)))
		before, n := first.copy(t), len(first.done)
		before.must(before.install(deploy.Install{}, giving(c.to)))
		settled(t, before, c.to)
		if !started(before) {
			t.Errorf("%s: the database does not start anew: %q", c.name, before.done[n:])
		}
		for at := n + 1; at < len(before.done); at++ {
			t.Run(fmt.Sprintf("%s, after %s", c.name, before.done[at-1]), func(t *testing.T) {
				w := first.copy(t)
				w.killAt = at
				if _, err := w.install(deploy.Install{}, giving(c.to)); !errors.Is(err, errKilled) {
					t.Fatalf("got %v", err)
				}
				w.killAt, w.random, w.now = 0, bytes.NewReader(bytes.Repeat([]byte{0xcd}, 64)), w.now.Add(time.Hour)
				w.must(w.install(deploy.Install{}, giving(c.to)))
				settled(t, w, c.to)
				if !started(w) {
					t.Errorf("the database does not start anew: %q", w.done)
				}
			})
		}
	}
}

// TestApplicationsTurnBack: after a kill the user may want something else.
func TestApplicationsTurnBack(t *testing.T) {
	w := newWorld(t)
	w.must(w.install(deploy.Install{}))
	n := w.cas.created
	w.killAt = len(w.done) + 8
	for w.cas.created == n { // until a session was changed
		w.killAt++
		if _, err := w.install(deploy.Install{}, giving(admitted())); !errors.Is(err, errKilled) {
			t.Fatalf("got %v", err)
		}
	}
	w.killAt = 0
	w.must(w.install(deploy.Install{}, giving(topology.Applications{Accounts: admitted().Accounts})))
	settled(t, w, topology.Applications{Accounts: admitted().Accounts})
}

// TestApplicationsOfAMovedSession: a session that somebody changed is not replaced.
func TestApplicationsOfAMovedSession(t *testing.T) {
	w := newWorld(t)
	w.must(w.install(deploy.Install{}))
	name := w.stored.Session(topology.Database).Name
	w.cas.sessions[name] = session.Stored{Hash: strings.Repeat("b", 64), Text: strings.Replace(w.cas.sessions[name].Text, "valid_for: 10 years", "valid_for: 20 years", 1)}
	_, err := w.install(deploy.Install{}, giving(admitted()))
	wantError(t, err, "was changed in CAS")
	if got := w.cas.sessions[name]; got.Hash != strings.Repeat("b", 64) {
		t.Error("it was replaced")
	}
}

// TestApplicationsAreTold: who gains or loses what is said before it is done, also where
// nothing is.
func TestApplicationsAreTold(t *testing.T) {
	w := newWorld(t)
	w.must(w.install(deploy.Install{}))
	w.steps = nil
	made := w.cas.created
	w.must(w.install(deploy.Install{DryRun: deploy.Server}, giving(admitted())))
	said := strings.Join(w.steps, "\n")
	for _, want := range []string{`database "shop" is made`, `account "tokenizer" of client tokenizer is new, with these rights: SELECT, INSERT, CREATE ON "shop".*; DELETE ON "shop"."cards"; UPDATE ON column "last_used" of "shop"."cards"; EXECUTE ON PROCEDURE "shop"."clean_up"`, "client tokenizer is admitted: the enclave 09", "would be changed", "would be created"} {
		if !strings.Contains(said, want) {
			t.Errorf("want %q in\n%s", want, said)
		}
	}
	if w.cas.created != made || len(w.stored.Applications.Clients) != 0 || w.stored.Changing != nil {
		t.Error("a dry run changes something")
	}
	const nothing = "applications: no session and no account changes"
	w.steps = nil
	w.must(w.install(deploy.Install{}, giving(admitted())))
	if said := strings.Join(w.steps, "\n"); strings.Contains(said, nothing) {
		t.Errorf("got %s", said)
	}
	w.steps = nil
	w.must(w.install(deploy.Install{}, giving(admitted())))
	if said := strings.Join(w.steps, "\n"); !strings.Contains(said, nothing) {
		t.Errorf("the same once more: want %q in\n%s", nothing, said)
	}
	_, err := w.install(deploy.Install{}, giving(topology.Applications{}))
	if hint := wantError(t, err, `the database "shop" is in the accounts document`); !strings.Contains(hint, "Keep it") {
		t.Errorf("got the hint %q", hint)
	}
}
