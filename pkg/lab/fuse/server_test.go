package fuse

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/lab/volume"
)

func newServer(t testing.TB) *Server {
	t.Helper()
	folder, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	store, err := volume.Open(folder, bytes.Repeat([]byte{7}, volume.KeySize), &volume.Known{}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return NewServer(store, nil)
}

// message is a request as the kernel writes it.
func message(op opcode, node uint64, body []byte) []byte {
	m := make([]byte, inHeader, inHeader+len(body))
	binary.NativeEndian.PutUint32(m, uint32(inHeader+len(body)))
	binary.NativeEndian.PutUint32(m[4:], uint32(op))
	binary.NativeEndian.PutUint64(m[8:], 42)
	binary.NativeEndian.PutUint64(m[16:], node)
	return append(m, body...)
}

func TestRequestsThatAreNone(t *testing.T) {
	good := message(opLookup, 1, []byte("name\x00"))
	if r, ok := parseRequest(good); !ok || r.op != opLookup || r.unique != 42 || r.node != 1 || string(r.body) != "name\x00" {
		t.Errorf("got %+v, %v", r, ok)
	}
	for n := range len(good) {
		if r, ok := parseRequest(good[:n]); ok {
			t.Errorf("%d bytes: got %+v", n, r)
		}
	}
	if r, ok := parseRequest(append(good, 0)); ok {
		t.Errorf("one byte more: got %+v", r)
	}
}

// What this file system has not got is refused, and nothing is made.
func TestWhatItHasNot(t *testing.T) {
	s := newServer(t)
	mode := func(v uint32) []byte {
		return append(binary.NativeEndian.AppendUint32(nil, v), append(make([]byte, 12), "x\x00"...)...)
	}
	for what, c := range map[string]struct {
		op   opcode
		body []byte
		want syscall.Errno
	}{
		"a symbolic link": {6, []byte("x\x00target\x00"), syscall.ENOSYS},
		"a hard link":     {13, append(make([]byte, 8), "x\x00"...), syscall.ENOSYS},
		"a pipe":          {opMknod, mode(syscall.S_IFIFO | 0o600), syscall.EPERM},
		"a device":        {opMknod, mode(syscall.S_IFCHR | 0o600), syscall.EPERM},
		"a socket":        {opMknod, mode(syscall.S_IFSOCK | 0o600), syscall.EPERM},
		"an attribute":    {21, make([]byte, 16), syscall.ENOSYS},
		"an exchange":     {opRename2, append(append(binary.NativeEndian.AppendUint64(nil, 1), 2, 0, 0, 0, 0, 0, 0, 0), "a\x00b\x00"...), syscall.EINVAL},
		"another owner":   {opSetAttr, append(append([]byte{setOwner, 0, 0, 0}, make([]byte, 72)...), 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), syscall.EPERM},
	} {
		if _, err := s.answer(&request{op: c.op, node: volume.RootID, body: c.body}); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", what, err, c.want)
		}
	}
	if entries, err := s.store.List(volume.RootID); err != nil || len(entries) != 0 {
		t.Errorf("%d files were made: %v", len(entries), err)
	}
}

// No request ends the server or breaks the volume.
func FuzzAnswer(f *testing.F) {
	f.Add(uint32(opCreate), uint64(1), append(make([]byte, 16), "a\x00"...))
	f.Add(uint32(opWrite), uint64(2), append(binary.NativeEndian.AppendUint64(make([]byte, 8), 1<<62), make([]byte, 24)...))
	f.Add(uint32(opSetAttr), uint64(2), append([]byte{setSize}, make([]byte, 87)...))
	f.Add(uint32(opReaddir), uint64(1), make([]byte, 40))
	f.Fuzz(func(t *testing.T, op uint32, node uint64, body []byte) {
		s := newServer(t)
		if _, err := s.store.Make(volume.RootID, "file", 0o600); err != nil { // node 2
			t.Fatal(err)
		}
		for range 2 {
			s.answer(&request{op: opcode(op), node: node, body: body})
		}
		if err := s.store.Broken(); err != nil {
			t.Errorf("the volume is broken: %v", err)
		}
	})
}
