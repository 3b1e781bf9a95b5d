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
)

// Store is a folder of records. Its zero value is unusable.
type Store struct {
	Dir string
	// Missing says why there is no folder, or is nil. Then nothing is recorded, and nothing
	// can be.
	Missing error
}

// maxFile bounds how much of one record is read, in bytes.
const maxFile = 8 << 20

const pinKind = "confidb.cas-pin/v1"

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

// wait makes lock wait for the other process.
const wait = 0

// lock holds a file for this process, or is ErrLocked when another one does and how
// is unix.LOCK_NB.
func (s Store) lock(path string, how int) (unlock func(), err error) {
	if s.Missing != nil {
		return nil, s.Missing
	}
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

// digest makes a file name of text that may hold anything.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

func (s Store) read(path string, into any) error {
	if s.Missing != nil {
		return fmt.Errorf("%w: %w", fs.ErrNotExist, s.Missing)
	}
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
	if s.Missing != nil {
		return s.Missing
	}
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	return files.Replace(path, append(text, '\n'), files.Private)
}
