package deploy_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/deploy"
	"github.com/confidb/confidb/pkg/outside"
	"github.com/confidb/confidb/pkg/topology"
)

const reported = "kind: confidb.accounts/v1\naccounts:\n  - {name: report, client: bi, privileges: [{database: app, grant: [SELECT]}]}\n"

// letOut is a release with one client outside of enclaves, and what that logs in with.
func letOut(t *testing.T, now time.Time) (topology.Applications, *outside.Identity) {
	t.Helper()
	i, err := outside.New(rand.Reader, "confidb-outside-report", now, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return topology.Applications{Accounts: reported}.WithOutside(i.Client("bi", "a report")), i
}

// silent fails if what was recorded, said or given to CAS holds what the client logs in with.
func silent(t *testing.T, w *world, i *outside.Identity) {
	t.Helper()
	record, err := json.Marshal(w.stored)
	if err != nil {
		t.Fatal(err)
	}
	said := string(record) + strings.Join(w.steps, "\n") + strings.Join(w.done, "\n")
	for _, s := range w.cas.sessions {
		said += s.Text
	}
	for _, secret := range []string{i.Password, strings.Split(string(i.Key), "\n")[1], strings.Split(string(i.Key), "\n")[2]} {
		if strings.Contains(said, secret) {
			t.Errorf("a secret of the client is told to others")
		}
	}
}

// TestOutsideKilledAfterEachStep: a client outside of enclaves is let in and sent away, and
// ends by itself, and a run that was killed after any step is continued to the same end.
func TestOutsideKilledAfterEachStep(t *testing.T) {
	none := topology.Applications{Accounts: reported}
	first := newWorld(t)
	in, identity := letOut(t, first.now)
	for name, c := range map[string]struct{ from, to topology.Applications }{"let in": {none, in}, "sent away": {in, in.Without("bi")}, "ended": {in, in.At(first.now.Add(2 * time.Hour))}} {
		first := newWorld(t)
		first.must(first.install(deploy.Install{}, giving(c.from)))
		before, n := first.copy(t), len(first.done)
		before.must(before.install(deploy.Install{}, giving(c.to)))
		settled(t, before, c.to)
		silent(t, before, identity)
		if trusted := strings.Contains(before.cas.sessions[before.stored.Session(topology.Database).Name].Text, "BEGIN CERTIFICATE"); !started(before) || trusted != (len(c.to.Outside) > 0) {
			t.Errorf("%s: started anew: %t, the session trusts a certificate: %t", name, started(before), trusted)
		}
		for at := n + 1; at < len(before.done); at++ {
			t.Run(fmt.Sprintf("%s, after %s", name, before.done[at-1]), func(t *testing.T) {
				w := first.copy(t)
				w.killAt = at
				if _, err := w.install(deploy.Install{}, giving(c.to)); !errors.Is(err, errKilled) {
					t.Fatalf("got %v", err)
				}
				w.killAt, w.random, w.now = 0, bytes.NewReader(bytes.Repeat([]byte{0xcd}, 64)), w.now.Add(time.Minute)
				w.must(w.install(deploy.Install{}, giving(c.to)))
				settled(t, w, c.to)
				silent(t, w, identity)
			})
		}
	}
}

// TestOutsideIsTold: what lets people in is said before it is done, and what would let in
// others is refused.
func TestOutsideIsTold(t *testing.T) {
	w := newWorld(t)
	w.must(w.install(deploy.Install{}, giving(topology.Applications{Accounts: reported})))
	in, _ := letOut(t, w.now)
	w.steps = nil
	w.must(w.install(deploy.Install{DryRun: deploy.Server}, giving(in)))
	if said := strings.Join(w.steps, "\n"); !strings.Contains(said, "client bi is admitted: OUTSIDE OF ENCLAVES") || !strings.Contains(said, "a report") {
		t.Errorf("got %s", said)
	}
	if len(w.stored.Applications.Outside) != 0 || w.stored.Changing != nil {
		t.Error("a dry run lets somebody in")
	}
	wrong := func(change func(c *outside.Client), accounts string) topology.Applications {
		c := in.Outside[0]
		change(&c)
		return topology.Applications{Accounts: accounts}.WithOutside(c)
	}
	same := func(*outside.Client) {}
	for mention, a := range map[string]topology.Applications{
		"want exactly one certificate": wrong(func(c *outside.Client) { c.Certificate += "x" }, reported),
		"the hash of its password":     wrong(func(c *outside.Client) { c.Hash = "x' OR 'y" }, reported),
		"want CN=confidb-outside-r2":   wrong(same, strings.Replace(reported, "report", "r2", 1)),
		"no account belongs to it":     wrong(same, strings.Replace(reported, "client: bi", "client: other", 1)),
		"2 accounts belong to it":      wrong(same, reported+"  - {name: second, client: bi, privileges: [{database: app, grant: [SELECT]}]}\n"),
	} {
		_, err := w.install(deploy.Install{}, giving(a))
		wantError(t, err, mention)
	}
}

// drawer is the folder of a client, of which a run can be killed after each file.
type drawer struct {
	w     *world
	files map[string]string
}

func (d *drawer) Path() string { return "/home/me/bi" }

func (d *drawer) Read(name string) ([]byte, error) {
	if text, there := d.files[name]; there {
		return []byte(text), nil
	}
	return nil, fs.ErrNotExist
}

func (d *drawer) Write(texts map[string][]byte) error {
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		if err := d.w.do("file %s", name); err != nil {
			return err
		}
		d.files[name] = string(texts[name])
	}
	return nil
}

func (d *drawer) Remove() error {
	d.files = map[string]string{}
	return d.w.do("remove")
}

// admitting lets the client in as a command does.
func admitting(w *world, d *drawer, how deploy.DryRun, most *time.Duration) error {
	w.t.Helper()
	o := &deploy.Outside{Name: "bi", Reason: "a report", Lasts: time.Hour, DryRun: how, Folder: d, Random: rand.Reader, Now: func() time.Time { return w.now }}
	var refused error
	_, err := w.install(deploy.Install{Outside: o, DryRun: how}, func(in *deploy.Inputs) {
		in.Plan.Applications = topology.Applications{Accounts: reported}
		if w.stored != nil {
			in.Plan.Applications = w.stored.Wanted()
		}
		in.Plan.Applications, refused = o.Admit(in.Plan.Applications, most)
	})
	return errors.Join(refused, err)
}

// TestOutsideFilesKilledAfterEachStep: whenever a run is killed, the next one ends with one
// key, whose certificate the session trusts; a key that a session may have is not made anew.
func TestOutsideFilesKilledAfterEachStep(t *testing.T) {
	first := newWorld(t)
	first.must(first.install(deploy.Install{}, giving(topology.Applications{Accounts: reported})))
	n, whole := len(first.done), first.copy(t)
	if err := admitting(whole, &drawer{whole, map[string]string{}}, deploy.None, nil); err != nil {
		t.Fatal(err)
	}
	for at := n + 1; at < len(whole.done); at++ {
		t.Run(fmt.Sprintf("%d, after %s", at, whole.done[at-1]), func(t *testing.T) {
			w := first.copy(t)
			d := &drawer{w, map[string]string{}}
			w.killAt = at
			if err := admitting(w, d, deploy.None, nil); !errors.Is(err, errKilled) {
				t.Fatalf("got %v", err)
			}
			before := maps.Clone(d.files)
			w.killAt, w.random, w.now = 0, bytes.NewReader(bytes.Repeat([]byte{0xcd}, 64)), w.now.Add(time.Minute)
			if err := admitting(w, d, deploy.None, nil); err != nil {
				t.Fatal(err)
			}
			identity := &outside.Identity{Key: []byte(d.files[outside.FileKey]), Certificate: []byte(d.files[outside.FileCertificate]), Password: strings.TrimSpace(d.files[outside.FilePassword])}
			if len(before) >= 3 && before[outside.FileKey] != d.files[outside.FileKey] {
				t.Error("the key is made anew")
			}
			if err := identity.Check("confidb-outside-report"); err != nil || len(d.files) != 5 || d.files[outside.FileCA] != "ca of "+w.stored.Session(topology.Database).Name {
				t.Errorf("got %d files: %v", len(d.files), err)
			}
			settled(t, w, topology.Applications{Accounts: reported}.WithOutside(identity.Client("bi", "a report")))
			silent(t, w, identity)
			w.must(w.install(deploy.Install{Gone: d}, giving(topology.Applications{Accounts: reported})))
			if len(d.files) != 0 {
				t.Error("the files are there")
			}
		})
	}
}

// TestOutsideRefused: what may not be leaves no file, nor does a dry run.
func TestOutsideRefused(t *testing.T) {
	w := newWorld(t)
	w.must(w.install(deploy.Install{}, giving(topology.Applications{Accounts: reported})))
	d := &drawer{w, map[string]string{}}
	none, short := time.Duration(0), time.Minute
	for name, most := range map[string]*time.Duration{"forbidden": &none, "for less": &short} {
		if err := admitting(w, d, deploy.Client, most); err == nil || len(d.files) != 0 {
			t.Errorf("%s: got %v, %d files", name, err, len(d.files))
		}
	}
	for _, how := range []deploy.DryRun{deploy.Client, deploy.Server} {
		if err := admitting(w, d, how, nil); err != nil || len(d.files) != 0 || len(w.stored.Wanted().Outside) != 0 {
			t.Errorf("a dry run: got %v, %d files", err, len(d.files))
		}
	}
	if err := admitting(w, d, deploy.None, nil); err != nil {
		t.Fatal(err)
	}
	key := d.files[outside.FileKey]
	d.files = map[string]string{} // lost
	var there *deploy.AdmittedError
	if err := admitting(w, d, deploy.Client, nil); !errors.As(err, &there) || there.Hint() == "" {
		t.Errorf("with the key lost: got %v", err)
	}
	w.now = w.now.Add(2 * time.Hour) // it has ended, so it can come in again
	if err := admitting(w, d, deploy.None, nil); err != nil || d.files[outside.FileKey] == key || len(w.stored.Applications.Outside) != 1 {
		t.Errorf("after the end: %v", err)
	}
	w.now = w.now.Add(2 * time.Hour)
	w.must(w.install(deploy.Install{}, giving(w.stored.Wanted())))
	if len(w.stored.Applications.Outside) != 0 {
		t.Error("who has ended is not sent away by the next change")
	}
}

// TestOutsideIsSaid: the account of a client that is let in outside of enclaves is not said to
// be locked.
func TestOutsideIsSaid(t *testing.T) {
	in, _ := letOut(t, newWorld(t).now)
	said := strings.Join(topology.Applications{}.Changes(in), "\n")
	if strings.Contains(said, "is locked") || !strings.Contains(said, "client bi is admitted: OUTSIDE OF ENCLAVES") {
		t.Errorf("got %s", said)
	}
	if said := strings.Join(in.Changes(topology.Applications{Accounts: reported}), "\n"); !strings.Contains(said, "locked") {
		t.Errorf("sent away: got %s", said)
	}
}
