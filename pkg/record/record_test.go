package record_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/record"
	"github.com/confidb/confidb/pkg/topology"
)

func TestReleaseIsKept(t *testing.T) {
	store := record.Store{Dir: filepath.Join(t.TempDir(), "home")}
	if _, err := store.Release("c", "ns", "db1"); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("an unknown release: got %v, want fs.ErrNotExist", err)
	}
	want := &topology.Release{
		Name: "db1", Namespace: "ns", CASAddress: "cas.scone-system.svc", Platforms: []attest.PlatformID{attest.PlatformIDFromQEID([16]byte{1})},
		Members: []topology.Member{{Role: topology.Namespace, Session: topology.Session{Name: "o", Text: "name: o\n", Hash: "h"}}}, HelmStarted: time.Unix(1, 0).UTC(),
		Values: map[string]any{"a": "b"}, Origins: map[string]string{"cas": "--cas"},
		Trust: attest.Trust{RootCA: []byte("pem"), Collateral: map[string][]byte{"x": {1, 2}}},
	}
	if err := store.SaveRelease("c", want); err != nil {
		t.Fatal(err)
	}
	got, err := store.Release("c", "ns", "db1")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the record came back changed (-want +got):\n%s", diff)
	}
	if _, err := store.Release("another cluster", "ns", "db1"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a release of another cluster: got %v, want fs.ErrNotExist", err)
	}
}

func TestFilesAreTheUsersAlone(t *testing.T) {
	store := record.Store{Dir: filepath.Join(t.TempDir(), "home")}
	if err := store.SavePin(&attest.Pin{Address: "a", Report: []byte("r")}); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Identity(time.Now()); err != nil {
		t.Fatal(err)
	}
	files := 0
	err := filepath.WalkDir(store.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %04o", path, info.Mode().Perm())
		}
		if !d.IsDir() {
			files++
			if err := os.Chmod(path, 0o644); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || files != 2 {
		t.Fatalf("saw %d files, want 2 (%v)", files, err)
	}
	if _, err := store.Pin("a"); err == nil || !strings.Contains(err.Error(), "want 0600") {
		t.Errorf("a pin that others can write: got %v", err)
	}
	if _, err := store.Identity(time.Now()); err == nil || !strings.Contains(err.Error(), "want 0600") {
		t.Errorf("a private key that others can read: got %v", err)
	}
}

func TestPinOfAnotherAddress(t *testing.T) {
	store := record.Store{Dir: t.TempDir()}
	if err := store.SavePin(&attest.Pin{Address: "a"}); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(store.Dir, "cas", "*.json"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(files[0], bytes.Replace(text, []byte(`"address": "a"`), []byte(`"address": "b"`), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Pin("a"); err == nil || !strings.Contains(err.Error(), "want kind") {
		t.Errorf("a pin of another address under this name: got %v", err)
	}
}

func TestIdentityIsMadeOnce(t *testing.T) {
	store := record.Store{Dir: t.TempDir()}
	first, err := store.Identity(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	second, err := store.Identity(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Certificate[0], second.Certificate[0]) {
		t.Error("a second call made another identity")
	}
}

func TestLock(t *testing.T) {
	store := record.Store{Dir: t.TempDir()}
	unlock, err := store.LockRelease("c", "ns", "db1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.LockRelease("c", "ns", "db1"); !errors.Is(err, record.ErrLocked) {
		t.Errorf("a second lock: got %v, want ErrLocked", err)
	}
	other, err := store.LockRelease("c", "ns", "db2")
	if err != nil {
		t.Errorf("another release: %v", err)
	} else {
		other()
	}
	unlock()
	again, err := store.LockRelease("c", "ns", "db1")
	if err != nil {
		t.Fatalf("after unlocking: %v", err)
	}
	again()
}

// TestRecordsOfVersion1AreCarriedOver: three sessions by name became members, and
// platform IDs have one form.
func TestRecordsOfVersion1AreCarriedOver(t *testing.T) {
	const before = `{"kind":"confidb.release/v1","name":"db1","namespace":"ns","casAddress":"cas.x.svc",
		"owner":%s,"client":{"name":"o/client","text":"name: o/client","hash":"hc"},"database":{"name":"o/db","text":"name: o/db","hash":""},
		"platforms":["INTEL_QE_ID:85FFC69266C833546E5DCA1C676A6151"],"host":"db1-mariadb.ns.svc","helmPending":true,"values":{"image":"i"},"trust":{"cas":{},"freshness":{},"collateral":null}}`
	client := topology.Member{Role: topology.Client, Session: topology.Session{Name: "o/client", Text: "name: o/client", Hash: "hc"}}
	database := topology.Member{Role: topology.Database, Session: topology.Session{Name: "o/db", Text: "name: o/db"}}
	for owner, want := range map[string][]topology.Member{
		`{"name":"o","text":"name: o","hash":"ho"}`: {{Role: topology.Namespace, Session: topology.Session{Name: "o", Text: "name: o", Hash: "ho"}}, client, database},
		`{"name":"","text":"","hash":""}`:           {client, database}, // the user had named both sessions
	} {
		store := record.Store{Dir: t.TempDir()}
		if err := store.SaveRelease("c", &topology.Release{Name: "db1", Namespace: "ns"}); err != nil {
			t.Fatal(err)
		}
		found, err := filepath.Glob(filepath.Join(store.Dir, "releases", "*", "ns", "db1.json"))
		if err != nil || len(found) != 1 {
			t.Fatalf("got the files %v and the error %v, want one", found, err)
		}
		if err := os.WriteFile(found[0], fmt.Appendf(nil, before, owner), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := store.Release("c", "ns", "db1")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got.Members); diff != "" {
			t.Errorf("members (-want +got):\n%s", diff)
		}
		if len(got.Platforms) != 1 || got.Platforms[0].String() != "INTEL_QE_ID:85ffc69266c833546e5dca1c676a6151" {
			t.Errorf("platforms: got %v", got.Platforms)
		}
		if !got.HelmPending {
			t.Error("that Helm's change is pending was lost")
		}
		if err := store.SaveRelease("c", got); err != nil {
			t.Fatal(err)
		}
		again, err := store.Release("c", "ns", "db1")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(got, again); diff != "" {
			t.Errorf("after it was saved as today's version (-before +after):\n%s", diff)
		}
	}
}

func TestPromised(t *testing.T) {
	store := record.Store{Dir: filepath.Join(t.TempDir(), "home")}
	_, err := store.Promised("cluster", "shop", "db1")
	var unknown *record.UnknownReleaseError
	if !errors.As(err, &unknown) {
		t.Fatalf("got %v, want an UnknownReleaseError", err)
	}
	if !strings.Contains(unknown.Error(), "shop/db1") || unknown.Hint() == "" {
		t.Errorf("got %q and the hint %q", unknown.Error(), unknown.Hint())
	}
	if err := store.SaveRelease("cluster", &topology.Release{Name: "db1", Namespace: "shop"}); err != nil {
		t.Fatal(err)
	}
	got, err := store.Promised("cluster", "shop", "db1")
	if err != nil {
		t.Fatal(err)
	}
	if got.Name != "db1" {
		t.Errorf("got the release %s", got.Name)
	}
}
