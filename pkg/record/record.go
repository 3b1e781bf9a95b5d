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
	"time"

	"golang.org/x/sys/unix"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/sgx"
)

// Store is a folder of records. Its zero value is unusable.
type Store struct{ Dir string }

// maxFile bounds how much of one record is read, in bytes.
const maxFile = 8 << 20

// Trust is what the user said about whom to believe. It comes from flags, files
// or the environment, never from the cluster.
type Trust struct {
	// CAS says which enclave the CAS must be.
	CAS attest.Policy `json:"cas"`
	// Freshness bounds the age of the collateral.
	Freshness attest.Freshness `json:"freshness"`
	// RequireProvenance is how well platform IDs must be known; empty asks for nothing.
	RequireProvenance attest.Provenance `json:"requireProvenance,omitempty"`
	// RootCA is a PEM certificate that replaces Intel's root. Only a lab has one;
	// whatever is appraised under it is simulated. Empty means Intel's.
	RootCA []byte `json:"rootCA,omitempty"`
	// Collateral holds Intel's signed data by file name, as sgx.CollateralFromFiles takes it.
	Collateral map[string][]byte `json:"collateral"`
}

// Pin is an attested CAS: the evidence itself, so that it can be appraised
// again at every use.
type Pin struct {
	Kind string `json:"kind"`
	// Address is how the CAS is reached: name.namespace.svc or host:port.
	Address string `json:"address"`
	// Backend is how the evidence was got; empty means attest.BackendReport.
	Backend attest.Backend `json:"backend,omitempty"`
	// Nonce was sent with the request for Report, where there was one.
	Nonce [16]byte `json:"nonce"`
	// Report is the evidence exactly as received, in the form that Backend has.
	Report []byte `json:"report"`
	// FetchedAt is when the report was received.
	FetchedAt time.Time `json:"fetchedAt"`
	Trust     Trust     `json:"trust"`
}

// Session is a session as it was uploaded.
type Session struct {
	Name string `json:"name"`
	// Text is the document that was uploaded.
	Text string `json:"text"`
	// Hash is what CAS answered. Empty means that it is not known whether the
	// upload took place.
	Hash string `json:"hash"`
}

// Release is what was promised for one release, written before each step that
// changes anything, so that a run which was killed can be continued.
type Release struct {
	Kind string `json:"kind"`
	// Name and Namespace are those of the Helm release.
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	// CASAddress is the CAS as the pods reach it (SCONE_CAS_ADDR).
	CASAddress string `json:"casAddress"`
	// Owner is the namespace session that holds the other two.
	Owner    Session `json:"owner"`
	Client   Session `json:"client"`
	Database Session `json:"database"`
	// Platforms are the platform IDs that the sessions admit.
	Platforms []string `json:"platforms"`
	// Enclaves are the measurements that the sessions admit, by enclave name, and
	// BootstrapSQL makes the system tables of the database.
	Enclaves     map[string][]sgx.Measurement `json:"enclaves"`
	BootstrapSQL string                       `json:"bootstrapSQL"`
	// Templates are those of the user's that replace our own, by name.
	Templates map[string]string `json:"templates"`
	// Host is the name in the database's certificate, under which pods reach it.
	Host string `json:"host"`
	// Chart says what Helm installs, as the user named it, and Values with which
	// values.
	Chart  Chart          `json:"chart"`
	Values map[string]any `json:"values"`
	// Pod says how clients of the database are started.
	Pod Client `json:"pod"`
	// HelmStarted is when this program began the last change of the Helm release, and
	// HelmPending is true until that change has ended. When it is still true at the
	// next run, a pending release since then was left by us and not by somebody else.
	HelmStarted time.Time `json:"helmStarted"`
	HelmPending bool      `json:"helmPending"`
	// Origins says for each input where its value came from.
	Origins map[string]string `json:"origins"`
	Trust   Trust             `json:"trust"`
}

// Chart names a Helm chart. The zero value is our own.
type Chart struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Repo    string `json:"repo"`
}

// Client says how a program of the client session is started in the cluster.
type Client struct {
	Image       string   `json:"image"`
	PullSecrets []string `json:"pullSecrets"`
	// Command comes before the program's name: what starts an enclave in this image.
	Command []string `json:"command"`
	// Environment are settings of SCONE's runtime, none of them secret.
	Environment map[string]string `json:"environment"`
	// SGXResource is what gives a pod access to SGX.
	SGXResource string `json:"sgxResource"`
}

const (
	pinKind     = "confidb.cas-pin/v1"
	releaseKind = "confidb.release/v1"
)

// Pin reads the pin of a CAS address. It returns fs.ErrNotExist when there is none.
func (s Store) Pin(address string) (*Pin, error) {
	var p Pin
	if err := s.read(s.pinFile(address), &p); err != nil {
		return nil, fmt.Errorf("reading the pin of CAS %s: %w", address, err)
	}
	if p.Kind != pinKind || p.Address != address {
		return nil, fmt.Errorf("reading the pin of CAS %s: got kind %q for %q, want kind %q for this address", address, p.Kind, p.Address, pinKind)
	}
	return &p, nil
}

// SavePin replaces the pin of p's address.
func (s Store) SavePin(p *Pin) error {
	p.Kind = pinKind
	return s.write(s.pinFile(p.Address), p)
}

// Release reads what was promised for a release. It returns fs.ErrNotExist when
// nothing is known of it. cluster tells clusters apart that have releases of the
// same name.
func (s Store) Release(cluster, namespace, name string) (*Release, error) {
	var r Release
	if err := s.read(s.releaseFile(cluster, namespace, name), &r); err != nil {
		return nil, fmt.Errorf("reading the record of release %s/%s: %w", namespace, name, err)
	}
	if r.Kind != releaseKind || r.Name != name || r.Namespace != namespace {
		return nil, fmt.Errorf("reading the record of release %s/%s: got kind %q for %s/%s, want kind %q", namespace, name, r.Kind, r.Namespace, r.Name, releaseKind)
	}
	return &r, nil
}

// SaveRelease replaces the record of r.
func (s Store) SaveRelease(cluster string, r *Release) error {
	r.Kind = releaseKind
	return s.write(s.releaseFile(cluster, r.Namespace, r.Name), r)
}

// ForgetRelease removes the record of a release. It is no error if there is none.
func (s Store) ForgetRelease(cluster, namespace, name string) error {
	err := os.Remove(s.releaseFile(cluster, namespace, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
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
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s: got mode %04o, want 0600: others could have changed it", path, info.Mode().Perm())
	}
	if info.Size() > maxFile {
		return fmt.Errorf("%s: got %d bytes, want at most %d", path, info.Size(), maxFile)
	}
	text, err := os.ReadFile(path)
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
	return writeFile(path, append(text, '\n'))
}

// writeFile replaces path as a whole: after a crash it holds the old text or the new.
func writeFile(path string, text []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".new-*") // made with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails after the rename, as it should
	if _, err := f.Write(text); err != nil {
		f.Close()
		return err
	}
	if err := f.Sync(); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
