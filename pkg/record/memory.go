package record

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/confidb/confidb/pkg/attest"
)

const memoryKind = "confidb.memory/v1"

type memoryFile struct {
	Kind          string `json:"kind"`
	attest.Memory `json:",inline"`
}

// Memory reads what must not go back. There is none at first.
func (s Store) Memory() (attest.Memory, error) {
	var f memoryFile
	err := s.read(s.memoryPath(), &f)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return attest.Memory{}, nil
	case err != nil:
		return attest.Memory{}, fmt.Errorf("reading what was seen earlier: %w", err)
	case f.Kind != memoryKind:
		return attest.Memory{}, fmt.Errorf("reading what was seen earlier: %s: got kind %q, want %q", s.memoryPath(), f.Kind, memoryKind)
	}
	return f.Memory, nil
}

// Learn replaces what is remembered by what learn makes of it, while no other
// process of this user does.
func (s Store) Learn(learn func(attest.Memory) attest.Memory) error {
	unlock, err := s.lock(s.memoryPath()+".lock", wait)
	if err != nil {
		return fmt.Errorf("keeping what was seen: %w", err)
	}
	defer unlock()
	m, err := s.Memory()
	if err != nil {
		return err
	}
	return s.write(s.memoryPath(), memoryFile{memoryKind, learn(m)})
}

func (s Store) memoryPath() string { return filepath.Join(s.Dir, "memory.json") }
