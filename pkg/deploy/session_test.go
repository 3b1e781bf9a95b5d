package deploy_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/cas"
	"github.com/confidb/confidb/pkg/deploy"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/topology"
)

// prepared is a session as topology makes one.
func prepared(name string) topology.Session {
	return topology.Session{Name: name, Text: "version: \"0.3.11\"\nname: " + name + "\naccess_policy:\n  read:\n    - CREATOR\n  update:\n    - CREATOR\n"}
}

// fakeCAS keeps sessions by name. It only stands for the order of calls; what a
// CAS does with sessions is the lab's business.
type fakeCAS struct {
	sessions map[string]session.Stored
	created  int
	open     int           // connections
	far      time.Duration // one round trip
	lost     bool          // the answer to a creation is lost
	do       func(format string, arguments ...any) error
}

func newFakeCAS() *fakeCAS {
	return &fakeCAS{sessions: map[string]session.Stored{}, do: func(string, ...any) error { return nil }}
}

func (f *fakeCAS) Session(_ context.Context, name string) (*session.Stored, error) {
	time.Sleep(f.far)
	if err := f.do("look"); err != nil {
		return nil, err
	}
	s, ok := f.sessions[name]
	if !ok {
		return nil, &cas.StatusError{Code: 404}
	}
	return &s, nil
}

func (f *fakeCAS) PublicValue(_ context.Context, name, hash, secret string) (string, error) {
	if f.sessions[name].Hash != hash {
		return "", &cas.StatusError{Code: 404}
	}
	return secret + " of " + name, f.do("ask")
}

func (f *fakeCAS) CreateSession(_ context.Context, document []byte) (string, error) {
	s, err := session.Parse("upload", document)
	if err != nil {
		return "", err
	}
	time.Sleep(f.far)
	if err := f.do("create %d", f.created+1); err != nil {
		return "", err
	}
	if s.Predecessor != f.sessions[s.Name].Hash {
		return "", cas.ErrMoved
	}
	f.created++
	hash := fmt.Sprintf("%064x", f.created)
	f.sessions[s.Name] = session.Stored{Hash: hash, Text: "creator: me\n" + string(document)}
	if f.lost {
		return "", errors.New("connection lost")
	}
	return hash, nil
}

func TestEnsureSession(t *testing.T) {
	db, client := prepared("o/db"), prepared("o/client")
	c := newFakeCAS()
	c.lost = true
	if _, err := deploy.EnsureSession(t.Context(), c, &db); err == nil {
		t.Fatal("the lost answer was not noticed")
	}
	c.lost = false
	// the next run finds the session and takes its hash
	did, err := deploy.EnsureSession(t.Context(), c, &db)
	if err != nil || did != deploy.Kept || c.created != 1 || db.Hash == "" {
		t.Fatalf("%s, %d uploads, hash %q, %v", did, c.created, db.Hash, err)
	}
	t.Run("changed in CAS", func(t *testing.T) {
		s := c.sessions[db.Name]
		defer func() { c.sessions[db.Name] = s }()
		c.sessions[db.Name] = session.Stored{Hash: strings.Repeat("b", 64), Text: s.Text}
		if _, err := deploy.EnsureSession(t.Context(), c, &db); err == nil || !strings.Contains(err.Error(), "was changed in CAS") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("somebody else's", func(t *testing.T) {
		mine := client
		c.sessions[mine.Name] = session.Stored{Hash: strings.Repeat("b", 64), Text: strings.Replace(mine.Text, "CREATOR", "ANY", 1)}
		if _, err := deploy.EnsureSession(t.Context(), c, &mine); err == nil || !strings.Contains(err.Error(), "is not the one that was prepared") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("lost by CAS", func(t *testing.T) {
		delete(c.sessions, db.Name)
		if _, err := deploy.EnsureSession(t.Context(), c, &db); err == nil || !strings.Contains(err.Error(), "lost its store") {
			t.Errorf("got %v", err)
		}
	})
}
