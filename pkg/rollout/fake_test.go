package rollout_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/cas"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/topology"
)

const (
	idA = "INTEL_QE_ID:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	idB = "INTEL_QE_ID:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	idC = "INTEL_QE_ID:cccccccccccccccccccccccccccccccc"
)

// shop is a session with two services that admit different machines.
const shop = `version: "0.3.11"
name: shop
services:
  - name: db
    command: [run, "$$SCONE::password:hex$$"]
    attestation: {mrenclave: ["0200000000000000000000000000000000000000000000000000000000000000"]}
    platforms: [` + idA + `, ` + idB + `]
  - name: backup
    command: dump
    attestation: {mrenclave: ["0200000000000000000000000000000000000000000000000000000000000000"]}
    platforms: [` + idA + `]
secrets:
  - {name: password, kind: binary, size: 16}
`

func ids(t *testing.T, texts ...string) []attest.PlatformID {
	t.Helper()
	var all []attest.PlatformID
	for _, text := range texts {
		id, err := attest.ParsePlatformID(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, id)
	}
	return all
}

func parse(t *testing.T, text string) *session.Session {
	t.Helper()
	s, err := session.Parse("test", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// wants fails unless err says want; an empty want wants no error.
func wants(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("got %v", err)
	case want != "" && err == nil:
		t.Errorf("got no error, want %q", want)
	case want != "" && !strings.Contains(err.Error(), want):
		t.Errorf("got %v, want %q", err, want)
	}
}

// fakeCAS keeps versions of sessions. What a CAS checks in them is the lab's business;
// here it is who was first.
type fakeCAS struct {
	versions map[string][]session.Stored
	signers  []string
	// before is called before an upload is looked at, with its number from 1.
	before func(n int)
	// lost are the uploads whose answer is lost, refused those that fail.
	lost, refused []int
	uploads       int
	// answer replaces what is answered to a question, unless it is nil.
	answer func(name, hash string, stored *session.Stored) (*session.Stored, error)
}

func newCAS(texts ...string) *fakeCAS {
	c := &fakeCAS{versions: map[string][]session.Stored{}}
	for _, text := range texts {
		c.add(text)
	}
	return c
}

// add stores a version whatever its predecessor.
func (c *fakeCAS) add(text string) string {
	s, err := session.Parse("upload", []byte(text))
	if err != nil {
		panic(err)
	}
	text += "creator: " + strings.Repeat("c", 64) + "\n"
	sum := sha256.Sum256([]byte(text))
	hash := hex.EncodeToString(sum[:])
	c.versions[s.Name] = append(c.versions[s.Name], session.Stored{Hash: hash, Text: text})
	return hash
}

func (c *fakeCAS) newest(name string) session.Stored {
	all := c.versions[name]
	return all[len(all)-1]
}

func (c *fakeCAS) SessionVersion(ctx context.Context, name, hash string) (*session.Stored, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var found *session.Stored
	for _, v := range c.versions[name] {
		if hash == "" || strings.EqualFold(hash, v.Hash) {
			found = &v
		}
	}
	if c.answer != nil {
		if stored, err := c.answer(name, hash, found); stored != nil || err != nil {
			return stored, err
		}
	}
	if found == nil {
		return nil, fmt.Errorf("reading session %q: %w", name, cas.ErrNotFound)
	}
	return found, nil
}

func (c *fakeCAS) CreateSession(_ context.Context, document []byte) (string, error) {
	c.uploads++
	if c.before != nil {
		c.before(c.uploads)
	}
	if slices.Contains(c.refused, c.uploads) {
		return "", errors.New("connection refused")
	}
	s, err := session.Parse("upload", document)
	if err != nil {
		return "", err
	}
	if s.Has("creator") {
		return "", errors.New("nobody may upload a creator")
	}
	if all := c.versions[s.Name]; len(all) > 0 && !strings.EqualFold(s.Predecessor, c.newest(s.Name).Hash) {
		return "", fmt.Errorf("uploading the session: %w", cas.ErrMoved)
	}
	hash := c.add(string(document))
	if slices.Contains(c.lost, c.uploads) {
		return "", errors.New("connection lost")
	}
	return hash, nil
}

func (c *fakeCAS) PutSignedSession(ctx context.Context, document []byte, signatures []session.Signature) (string, error) {
	for _, s := range signatures {
		c.signers = append(c.signers, s.Signer)
	}
	return c.CreateSession(ctx, document)
}

// admitted are the machines of each service in the newest version.
func (c *fakeCAS) admitted(t *testing.T, name string) string {
	t.Helper()
	var all []string
	for _, v := range parse(t, c.newest(name).Text).Services {
		var machines []string
		for _, id := range v.Platforms {
			machines = append(machines, strings.TrimPrefix(id.String(), "INTEL_QE_ID:")[:1])
		}
		all = append(all, v.Name+"="+strings.Join(append(machines, v.PlatformSecrets...), "+"))
	}
	return strings.Join(all, " ")
}

// fakeCluster runs a database. comes are the ends of its starts, in their order; all
// after them are good.
type fakeCluster struct {
	restarts, awaits []error
	forbidden        error
	restarted        int
	said             []string
}

func next(list *[]error) error {
	if len(*list) == 0 {
		return nil
	}
	err := (*list)[0]
	*list = (*list)[1:]
	return err
}

func (c *fakeCluster) Restart(context.Context, func(string)) error {
	c.restarted++
	return next(&c.restarts)
}

func (c *fakeCluster) AwaitReady(ctx context.Context, detail func(string)) error {
	if _, bounded := ctx.Deadline(); !bounded {
		return errors.New("the wait has no bound")
	}
	detail("pod db-0")
	return next(&c.awaits)
}

func (c *fakeCluster) Announce(_ context.Context, reason, message string) error {
	c.said = append(c.said, reason+": "+message)
	return c.forbidden
}

// fakeStore keeps the record as it would be read again after a crash.
type fakeStore struct {
	text  []byte
	saves int
	// fails are the saves that fail.
	fails []int
	// kill is called after each save.
	kill func(n int)
}

func (s *fakeStore) SaveRelease(_ string, r *topology.Release) error {
	s.saves++
	if slices.Contains(s.fails, s.saves) {
		return errors.New("no space left")
	}
	var err error
	s.text, err = json.Marshal(r)
	if s.kill != nil {
		s.kill(s.saves)
	}
	return err
}

func (s *fakeStore) read(t *testing.T) *topology.Release {
	t.Helper()
	var r topology.Release
	if err := json.Unmarshal(s.text, &r); err != nil {
		t.Fatal(err)
	}
	return &r
}

// fakeProgress keeps what the user is told.
type fakeProgress struct{ lines []string }

func (p *fakeProgress) Step(format string, arguments ...any) {
	p.lines = append(p.lines, fmt.Sprintf(format, arguments...))
}

func (p *fakeProgress) Detail(text string) { p.lines = append(p.lines, "  "+text) }
