// Package record keeps what the user knows and the cluster must not be asked
// for: the user's identity towards CAS, the evidence of attested CASes, and what
// was promised for each release. Everything is in one folder of the user's,
// files are 0600 and replaced as a whole. It does not judge what it keeps.
package record

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/files"
	"github.com/confidb/confidb/pkg/topology"
)

// Store is a folder of records. Its zero value is unusable.
type Store struct{ Dir string }

// maxFile bounds how much of one record is read, in bytes.
const maxFile = 8 << 20

const (
	pinKind      = "confidb.cas-pin/v1"
	releaseKind  = "confidb.release/v2"
	releaseKind1 = "confidb.release/v1"
)

// Pin reads the pin of a CAS address. It returns fs.ErrNotExist when there is none.
func (s Store) Pin(address string) (*attest.Pin, error) {
	var p attest.Pin
	if err := s.read(s.pinFile(address), &p); err != nil {
		return nil, fmt.Errorf("reading the pin of CAS %s: %w", address, err)
	}
	if p.Kind != pinKind || p.Address != address {
		return nil, fmt.Errorf("reading the pin of CAS %s: got kind %q for %q, want kind %q for this address", address, p.Kind, p.Address, pinKind)
	}
	return &p, nil
}

// SavePin replaces the pin of p's address.
func (s Store) SavePin(p *attest.Pin) error {
	p.Kind = pinKind
	return s.write(s.pinFile(p.Address), p)
}

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
	return r, nil
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
var ErrLocked = errors.New("another confidb works on this release")

// LockRelease keeps other processes of this user from the same release until the
// returned function is called or the process ends, however it ends.
func (s Store) LockRelease(cluster, namespace, name string) (unlock func(), err error) {
	unlock, err = lock(s.releaseFile(cluster, namespace, name)+".lock", unix.LOCK_NB)
	if err != nil {
		return nil, fmt.Errorf("locking release %s/%s: %w", namespace, name, err)
	}
	return unlock, nil
}

// wait makes lock wait for the other process.
const wait = 0

// lock holds a file for this process, or is ErrLocked when another one does and how
// is unix.LOCK_NB.
func lock(path string, how int) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|how)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = ErrLocked
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}

func (s Store) pinFile(address string) string {
	return filepath.Join(s.Dir, "cas", digest(address)+".json")
}

func (s Store) releaseFile(cluster, namespace, name string) string {
	return filepath.Join(s.Dir, "releases", digest(cluster), namespace, name+".json")
}

// digest makes a file name of text that may hold anything.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

func (s Store) read(path string, into any) error {
	text, err := files.ReadPrivate(path, maxFile, "others could have changed it")
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func (s Store) write(path string, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	return files.Replace(path, append(text, '\n'), files.Private)
}
