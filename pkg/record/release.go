package record

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/confidb/confidb/pkg/topology"
)

const (
	releaseKind  = "confidb.release/v2"
	releaseKind1 = "confidb.release/v1"
)

// Release reads what was promised for a release. It returns fs.ErrNotExist when
// nothing is known of it. cluster tells clusters apart that have releases of the
// same name. A record of version 1 is carried over.
func (s Store) Release(cluster, namespace, name string) (*topology.Release, error) {
	var read storedRelease
	if err := s.read(s.releaseFile(cluster, namespace, name), &read); err != nil {
		return nil, fmt.Errorf("reading the record of release %s/%s: %w", namespace, name, err)
	}
	if read.Kind == releaseKind1 {
		read.carryOver()
	}
	r := &read.Release
	if r.Kind != releaseKind || r.Name != name || r.Namespace != namespace {
		return nil, fmt.Errorf("reading the record of release %s/%s: got kind %q for %s/%s, want kind %q", namespace, name, r.Kind, r.Namespace, r.Name, releaseKind)
	}
	if err := r.CheckCounts(); err != nil {
		return nil, fmt.Errorf("reading the record of release %s/%s: %w", namespace, name, err)
	}
	return r, nil
}

// Promised is Release, and an *UnknownReleaseError when nothing is known of it.
func (s Store) Promised(cluster, namespace, name string) (*topology.Release, error) {
	r, err := s.Earlier(cluster, namespace, name)
	if err == nil && r == nil {
		err = &UnknownReleaseError{Namespace: namespace, Name: name}
	}
	return r, err
}

// UnknownReleaseError means that this user's records hold no such release.
type UnknownReleaseError struct{ Namespace, Name string }

func (e *UnknownReleaseError) Error() string {
	return fmt.Sprintf("nothing is recorded of a release %s/%s: it is not known what was promised", e.Namespace, e.Name)
}

// Hint says how to go on.
func (e *UnknownReleaseError) Hint() string {
	return "Check the name and -n; install it with {install}; or set CONFIDB_HOME to the folder of whoever did."
}

// Earlier is Release, and nil when nothing is known of it.
func (s Store) Earlier(cluster, namespace, name string) (*topology.Release, error) {
	r, err := s.Release(cluster, namespace, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return r, err
}

// storedRelease is a record of any version. Version 1 had three sessions by name in
// place of members.
type storedRelease struct {
	topology.Release
	Owner    topology.Session `json:"owner"`
	Client   topology.Session `json:"client"`
	Database topology.Session `json:"database"`
}

// carryOver makes a record of version 1 one of today's.
func (r *storedRelease) carryOver() {
	r.Kind, r.Members = releaseKind, nil
	for _, m := range []topology.Member{{Role: topology.Namespace, Session: r.Owner}, {Role: topology.Client, Session: r.Client}, {Role: topology.Database, Session: r.Database}} {
		if m.Session.Name != "" {
			r.Members = append(r.Members, m)
		}
	}
}

// SaveRelease replaces the record of r.
func (s Store) SaveRelease(cluster string, r *topology.Release) error {
	r.Kind = releaseKind
	return s.write(s.releaseFile(cluster, r.Namespace, r.Name), r)
}

// ErrLocked means that another process works on the same release.
var ErrLocked error = lockedError{}

type lockedError struct{}

func (lockedError) Error() string { return "another confidb works on this release" }

// Hint says how to go on.
func (lockedError) Hint() string { return "Wait until it ends, and run this command again." }

// LockRelease keeps other processes of this user from the same release until the
// returned function is called or the process ends, however it ends.
func (s Store) LockRelease(cluster, namespace, name string) (unlock func(), err error) {
	unlock, err = s.lock(s.releaseFile(cluster, namespace, name)+".lock", unix.LOCK_NB)
	if err != nil {
		return nil, fmt.Errorf("locking release %s/%s: %w", namespace, name, err)
	}
	return unlock, nil
}

func (s Store) releaseFile(cluster, namespace, name string) string {
	return filepath.Join(s.Dir, "releases", digest(cluster), namespace, name+".json")
}
