package record

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/confidb/confidb/pkg/witness"
)

const witnessKind = "confidb.witness/v1"

type witnessFile struct {
	Kind string `json:"kind"`
	// Session is that of the database. It is made once for an installation, so that the
	// marks of one database are never demanded of another.
	Session string       `json:"session"`
	Line    witness.Line `json:"line"`
}

// Demand is what a verification by this user asks of the database of a session: their last
// mark in it. Accept is why they accept that it is not there; empty means that they do not.
func (s Store) Demand(session, accept string, now time.Time) (witness.Demand, error) {
	verifier, err := s.verifier(session, now)
	if err != nil {
		return witness.Demand{}, err
	}
	line, err := s.line(session)
	return witness.Demand{Verifier: verifier, Line: line, Accept: accept}, err
}

// verifier is under which name this user leaves marks in the database of a session: 32
// lower-case hex digits, of the user's public key and the session. It is no secret.
func (s Store) verifier(session string, now time.Time) (string, error) {
	key, err := s.Fingerprint(now)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(witnessKind + "\n" + session + "\n" + key))
	return hex.EncodeToString(sum[:16]), nil
}

// line reads what is known of the marks in the database of a session: nothing at first.
func (s Store) line(session string) (witness.Line, error) {
	var f witnessFile
	err := s.read(s.witnessPath(session), &f)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return witness.Line{}, nil
	case err != nil:
		return witness.Line{}, fmt.Errorf("reading the marks of earlier verifications: %w", err)
	case f.Kind != witnessKind || f.Session != session:
		return witness.Line{}, fmt.Errorf("reading the marks of earlier verifications: %s: got kind %q for %q, want %q for %q", s.witnessPath(session), f.Kind, f.Session, witnessKind, session)
	}
	return f.Line, nil
}

// Advance keeps what a verification has learned, unless another one of this user has
// kept something later meanwhile. nil is nothing.
func (s Store) Advance(session string, next *witness.Line) error {
	if next == nil {
		return nil
	}
	unlock, err := s.lock(s.witnessPath(session)+".lock", wait)
	if err != nil {
		return fmt.Errorf("keeping the mark of this verification: %w", err)
	}
	defer unlock()
	line, err := s.line(session)
	if err != nil {
		return err
	}
	if err := s.write(s.witnessPath(session), witnessFile{witnessKind, session, line.Advance(*next)}); err != nil {
		return fmt.Errorf("keeping the mark of this verification: %w", err)
	}
	return nil
}

func (s Store) witnessPath(session string) string {
	return filepath.Join(s.Dir, "witness", digest(session)+".json")
}
