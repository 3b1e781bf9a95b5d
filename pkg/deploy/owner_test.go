package deploy_test

import (
	"errors"
	"testing"

	"github.com/confidb/confidb/pkg/deploy"
	"github.com/confidb/confidb/pkg/release"
	"github.com/confidb/confidb/pkg/topology"
)

// beaten is the world of a user who tried to install a name, and whose try failed after
// the record said that it began: somebody else was faster.
func beaten(t *testing.T, winner *release.Release) *world {
	t.Helper()
	w := newWorld(t)
	w.owner = " that was slower"
	w.fail["apply begins"] = errors.New("cannot re-use a name that is still in use")
	if _, err := w.install(deploy.Install{}); err == nil || w.stored == nil || w.stored.HelmStarted.IsZero() {
		t.Fatalf("got %v and the record %+v, want a failure after Helm was started", err, w.stored)
	}
	w.fail = map[string]error{}
	w.revision, w.done = winner, nil
	return w
}

// TestASecondInstallerTakesNothingOver: whose a release is stands in the cluster; that we
// once tried to use its name does not make it ours.
func TestASecondInstallerTakesNothingOver(t *testing.T) {
	first := newWorld(t)
	first.must(first.install(deploy.Install{}))
	session := first.stored.Session(topology.Database).Name
	pending := *first.revision
	pending.Status = "pending-install"
	for name, winner := range map[string]*release.Release{
		"deployed":                         first.revision,
		"pending":                          &pending,
		"uninstalled, its history is kept": {Chart: "mariadb", Status: "uninstalled", Owner: "owner"},
		"without a mark":                   {Chart: "mariadb", Status: "deployed"},
		"without a mark, another session":  {Chart: "mariadb", Status: "deployed", Manifest: "SCONE_CONFIG_ID: x" + session[:len(session)-3]},
		"of Helm's own":                    {Chart: "wordpress", Status: "deployed"},
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 {
				w := beaten(t, winner)
				_, err := w.install(deploy.Install{})
				if hint := wantError(t, err, "exists already"); hint == "" {
					t.Error("no hint")
				}
				if _, err := w.install(deploy.Install{MustExist: true}); err == nil {
					t.Error("an upgrade took it over")
				}
				if _, err := w.uninstall(deploy.None); err == nil {
					t.Error("it was uninstalled")
				}
				if made := w.made(); len(made) > 0 {
					t.Errorf("it made %q", made)
				}
			}
		})
	}
}

// TestAReleaseOfOursIsContinued: by its mark, or, where it has none, by our session.
func TestAReleaseOfOursIsContinued(t *testing.T) {
	for name, change := range map[string]func(w *world){
		"with our mark": func(*world) {},
		"our mark, another manifest": func(w *world) {
			w.revision.Manifest = "{apiVersion: v1, kind: ConfigMap, metadata: {name: changed-with-helm}}"
		},
		"no mark, and our own session": func(w *world) {
			w.revision.Owner, w.revision.Manifest = "", "{apiVersion: v1, kind: ConfigMap, metadata: {name: "+w.stored.Session(topology.Database).Name+"}}"
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.must(w.install(deploy.Install{}))
			change(w)
			w.must(w.install(deploy.Install{}))
			if w.applied.Owner != "owner" {
				t.Errorf("got the mark %q", w.applied.Owner)
			}
			change(w)
			if _, err := w.uninstall(deploy.None); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestWithoutAnIdentityNothingIsTakenOver: who cannot say who they are own nothing.
func TestWithoutAnIdentityNothingIsTakenOver(t *testing.T) {
	w := newWorld(t)
	w.must(w.install(deploy.Install{}))
	w.fail["owner"], w.done = errors.New("no identity"), nil
	if _, err := w.install(deploy.Install{}); err == nil || len(w.made()) > 0 {
		t.Errorf("got %v and %q", err, w.made())
	}
	if _, err := w.uninstall(deploy.None); err == nil || len(w.made()) > 0 {
		t.Errorf("got %v and %q", err, w.made())
	}
}

// TestAnImportedReleaseIsNotChanged: who was handed a promise verifies, and no more.
func TestAnImportedReleaseIsNotChanged(t *testing.T) {
	w := newWorld(t)
	w.must(w.install(deploy.Install{}))
	w.stored.Import = &topology.Import{Signer: "somebody"}
	for _, there := range []bool{true, false} {
		w.done = nil
		if !there {
			w.revision = nil
		}
		for _, o := range []deploy.Install{{}, {MustExist: true}, {DryRun: deploy.Server}} {
			if _, err := w.install(o); err == nil || len(w.made()) > 0 {
				t.Errorf("%+v: got %v and %q", o, err, w.made())
			}
		}
	}
}
