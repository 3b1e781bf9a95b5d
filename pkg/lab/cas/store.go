package cas

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/confidb/confidb/pkg/session"
)

// storeHeader begins the file and is authenticated with it.
const storeHeader = "confidb lab CAS store v1\n"

// maxStore bounds the file, in bytes.
const maxStore = 256 << 20

// store is the state of a CAS and the one encrypted file in which it survives.
type store struct {
	path string
	box  cipher.AEAD
	now  func() time.Time
	lock *os.File

	mutex sync.Mutex
	state state
}

// openStore loads the state of a folder, or begins with an empty one.
func openStore(folder string, key [32]byte, now func() time.Time) (*store, error) {
	box, err := newBox(key)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	lock, err := lockFolder(folder)
	if err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	s := &store{path: filepath.Join(folder, "cas.store"), box: box, now: now, lock: lock}
	if err := s.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the store %s: %w", s.path, err), lock.Close())
	}
	return s, nil
}

func newBox(key [32]byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// lockFolder keeps a second CAS out, which would overwrite what the first one
// stored. The lock ends with the process.
func lockFolder(folder string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(folder, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another process uses %s: %w", folder, err), f.Close())
	}
	return f, nil
}

func (s *store) close() error { return s.lock.Close() }

func (s *store) load() error {
	info, err := os.Stat(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		s.state = state{Sessions: map[string][]version{}}
		return nil
	}
	if err != nil {
		return err
	}
	if info.Size() > maxStore {
		return fmt.Errorf("got %d bytes, want at most %d", info.Size(), maxStore)
	}
	sealed, err := os.ReadFile(s.path)
	if err != nil {
		return err
	}
	s.state, err = unseal(s.box, sealed)
	return err
}

func unseal(box cipher.AEAD, sealed []byte) (state, error) {
	n := len(storeHeader)
	if len(sealed) < n || string(sealed[:n]) != storeHeader {
		return state{}, errors.New("it is no store of this version of CAS, or it was changed")
	}
	text, err := box.Open(nil, nil, sealed[n:], []byte(storeHeader))
	if err != nil {
		return state{}, errors.New("it was changed, or it was written on another platform or by another CAS program: its key is only given to the enclave that wrote it")
	}
	var read state
	if err := json.Unmarshal(text, &read); err != nil {
		return state{}, err
	}
	return read, read.parse()
}

// save replaces the file as a whole, so that a crash leaves the old or the new one.
func (s *store) save(next state) error {
	text, err := json.Marshal(next)
	if err != nil {
		return err
	}
	sealed := s.box.Seal([]byte(storeHeader), nil, text, []byte(storeHeader))
	if len(sealed) > maxStore {
		return fmt.Errorf("the store is full: got %d bytes, want at most %d", len(sealed), maxStore)
	}
	return replaceFile(s.path, sealed)
}

func replaceFile(path string, content []byte) error {
	part := path + ".new"
	f, err := os.OpenFile(part, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(part, path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// syncFolder makes a rename survive a loss of power.
func syncFolder(folder string) error {
	f, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// state is all that a CAS must remember. Versions are never changed in place: a
// transaction replaces them.
type state struct {
	Own ownKeys `json:"own"`
	// Sessions are all versions by name, oldest first.
	Sessions map[string][]version `json:"sessions"`
	// Volumes are those that were used, by session and name. An update of the
	// session does not change them.
	Volumes map[string]keptVolume `json:"volumes,omitempty"`
}

// version is one version of a session.
type version struct {
	Hash string `json:"hash"`
	// Text is the document as it is stored, with its creator.
	Text string `json:"text"`
	// Materials are the secrets that this version holds itself, by name: a value,
	// a private key (PKCS#8), a public key (SPKI) or a certificate (DER).
	Materials map[string][]byte `json:"materials"`

	parsed *session.Session
}

func (s *state) parse() error {
	for name, versions := range s.Sessions {
		for i := range versions {
			parsed, err := session.Parse(name, []byte(versions[i].Text))
			if err != nil {
				return err
			}
			versions[i].parsed = parsed
		}
	}
	return nil
}
