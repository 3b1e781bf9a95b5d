// Package fuse shows an open volume to one program as a file system, by Linux's
// FUSE (linux/fuse.h, version 7.31). It does no more than a database needs: no
// links, no special files, no extended attributes.
package fuse

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/confidb/confidb/pkg/lab/volume"
)

// workers answer requests side by side.
const workers = 4

// Server answers the kernel's requests for one mounted volume.
type Server struct {
	store        *volume.Store
	device       *os.File
	owner, group uint32
	// handlers are what this file system can do; everything else is ENOSYS, which the
	// kernel asks for once and then does by itself or refuses.
	handlers map[opcode]func(*request) (reply, error)

	mutex sync.Mutex
	lists map[uint64][]volume.Entry // of open folders
	next  uint64
}

// NewServer serves a volume to whoever has mounted the device. Everything belongs
// to the user of this process.
func NewServer(store *volume.Store, device *os.File) *Server {
	s := &Server{store: store, device: device, owner: uint32(os.Getuid()), group: uint32(os.Getgid()), lists: map[uint64][]volume.Entry{}}
	s.handlers = map[opcode]func(*request) (reply, error){
		opInit: s.init, opLookup: s.lookup, opGetAttr: s.getAttr, opSetAttr: s.setAttr,
		opMknod: s.mknod, opMkdir: s.mkdir, opUnlink: s.unlink, opRmdir: s.rmdir, opRename: s.rename, opRename2: s.rename2,
		opOpen: s.open, opCreate: s.create, opRead: s.read, opWrite: s.write, opFallocate: s.fallocate, opRelease: s.release,
		opOpendir: s.openFolder, opReaddir: s.readFolder, opReleasedir: s.releaseFolder,
		opStatfs: s.statfs, opFsync: nothing, opFsyncdir: nothing,
	}
	return s
}

// Serve answers until the file system is unmounted.
func (s *Server) Serve() error {
	fd := int(s.device.Fd()) // blocking from now on, as reads of this device are
	var group sync.WaitGroup
	failed := make(chan error, workers)
	for range workers {
		group.Go(func() {
			if err := s.work(fd); err != nil {
				failed <- err
			}
		})
	}
	group.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

func (s *Server) work(fd int) error {
	buffer := make([]byte, bufferSize)
	for {
		n, err := syscall.Read(fd, buffer)
		switch {
		case errors.Is(err, syscall.ENODEV) || errors.Is(err, syscall.ECONNABORTED): // unmounted, perhaps with the namespace that it was mounted in
			return nil
		case errors.Is(err, syscall.EINTR) || errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.ENOENT):
			continue // ENOENT: the request was interrupted
		case err != nil:
			return fmt.Errorf("reading from /dev/fuse: %w", err)
		}
		r, ok := parseRequest(buffer[:n])
		if !ok {
			return fmt.Errorf("reading from /dev/fuse: a request of %d bytes is none", n)
		}
		body, err := s.answer(&r)
		if r.op == opForget || r.op == opBatchForget || r.op == opInterrupt {
			continue // nobody waits for an answer
		}
		if err := send(fd, r.unique, body, err); err != nil {
			return err
		}
	}
}

// send writes one answer. One that nobody waits for any more is no error.
func send(fd int, unique uint64, body reply, failed error) error {
	var number syscall.Errno
	if failed != nil {
		body = nil
		if !errors.As(failed, &number) {
			number = syscall.EIO
		}
	}
	message := make([]byte, outHeader, outHeader+len(body))
	binary.NativeEndian.PutUint32(message, uint32(outHeader+len(body)))
	binary.NativeEndian.PutUint32(message[4:], uint32(-int32(number)))
	binary.NativeEndian.PutUint64(message[8:], unique)
	_, err := syscall.Write(fd, append(message, body...))
	if err != nil && !errors.Is(err, syscall.ENOENT) && !errors.Is(err, syscall.ENODEV) && !errors.Is(err, syscall.ECONNABORTED) {
		return fmt.Errorf("writing to /dev/fuse: %w", err)
	}
	return nil
}

func (s *Server) answer(r *request) (reply, error) {
	if handler, ok := s.handlers[r.op]; ok {
		return handler(r)
	}
	return nil, syscall.ENOSYS
}

func nothing(*request) (reply, error) { return nil, nil }

func (s *Server) init(r *request) (out reply, err error) {
	if r.u32(0) != major || r.u32(4) < minor {
		return nil, syscall.EPROTO
	}
	out.u32(major)
	out.u32(minor)
	out.u32(r.u32(8)) // max_readahead
	out.u32(r.u32(12) & (flagAsyncRead | flagBigWrites | flagMaxPages))
	out.u16(16) // max_background
	out.u16(12) // congestion_threshold
	out.u32(maxWrite)
	out.u32(1) // time_gran in ns
	out.u16(maxWrite / pageSize)
	out.u16(0) // map_alignment
	return append(out, make([]byte, 32)...), nil
}

func (s *Server) entry(a volume.Attributes, err error) (out reply, _ error) {
	if err == nil {
		out.entry(a, s.owner, s.group)
	}
	return out, err
}

func (s *Server) lookup(r *request) (reply, error) {
	name, _ := r.names(0)
	return s.entry(s.store.Lookup(r.node, name))
}

func (s *Server) getAttr(r *request) (out reply, _ error) {
	a, err := s.store.Attributes(r.node)
	if err == nil {
		out.validity(1)
		out.u32(0)
		out.attributes(a, s.owner, s.group)
	}
	return out, err
}

// Bits of fuse_setattr_in.valid.
const (
	setMode, setOwner, setGroup, setSize = 1 << 0, 1 << 1, 1 << 2, 1 << 3
	setModified, setModifiedNow          = 1 << 5, 1 << 8
)

func (s *Server) setAttr(r *request) (reply, error) {
	valid := r.u32(0)
	switch {
	case valid&setOwner != 0 && r.u32(76) != s.owner, valid&setGroup != 0 && r.u32(80) != s.group:
		return nil, syscall.EPERM
	}
	if valid&setMode != 0 {
		if err := s.store.SetMode(r.node, permissions(r.u32(68))); err != nil {
			return nil, err
		}
	}
	if valid&setSize != 0 {
		if err := s.store.Truncate(r.node, int64(r.u64(16))); err != nil {
			return nil, err
		}
	}
	if valid&setModified != 0 && valid&setModifiedNow == 0 {
		if err := s.store.SetModified(r.node, time.Unix(int64(r.u64(40)), int64(r.u32(60)))); err != nil {
			return nil, err
		}
	}
	return s.getAttr(r)
}

func (s *Server) mknod(r *request) (reply, error) {
	if r.u32(0)&syscall.S_IFMT != syscall.S_IFREG {
		return nil, syscall.EPERM
	}
	name, _ := r.names(16)
	return s.entry(s.store.Make(r.node, name, permissions(r.u32(0))))
}

func (s *Server) mkdir(r *request) (reply, error) {
	name, _ := r.names(8)
	return s.entry(s.store.Make(r.node, name, permissions(r.u32(0))|os.ModeDir))
}

func (s *Server) unlink(r *request) (reply, error) {
	name, _ := r.names(0)
	return nil, s.store.Remove(r.node, name, false)
}

func (s *Server) rmdir(r *request) (reply, error) {
	name, _ := r.names(0)
	return nil, s.store.Remove(r.node, name, true)
}

func (s *Server) rename(r *request) (reply, error) {
	old, new := r.names(8)
	return nil, s.store.Move(r.node, old, r.u64(0), new, false)
}

// renameKeep is RENAME_NOREPLACE.
const renameKeep = 1

func (s *Server) rename2(r *request) (reply, error) {
	flags := r.u32(8)
	if flags&^renameKeep != 0 {
		return nil, syscall.EINVAL
	}
	old, new := r.names(16)
	return nil, s.store.Move(r.node, old, r.u64(0), new, flags&renameKeep != 0)
}

func (s *Server) open(r *request) (out reply, _ error) {
	err := s.store.Hold(r.node)
	if err == nil {
		out.opened(0)
	}
	return out, err
}

func (s *Server) create(r *request) (reply, error) {
	name, _ := r.names(16)
	a, err := s.store.Make(r.node, name, permissions(r.u32(4)))
	if errors.Is(err, syscall.EEXIST) && r.u32(0)&syscall.O_EXCL == 0 {
		a, err = s.store.Lookup(r.node, name)
	}
	if err != nil {
		return nil, err
	}
	if err := s.store.Hold(a.ID); err != nil {
		return nil, err
	}
	out, err := s.entry(a, nil)
	out.opened(0)
	return out, err
}

func (s *Server) read(r *request) (reply, error) {
	out := make(reply, min(r.u32(16), maxWrite))
	n, err := s.store.Read(r.node, int64(r.u64(8)), out)
	return out[:n], err
}

func (s *Server) write(r *request) (out reply, _ error) {
	const fixed = 40
	size := r.u32(16)
	if len(r.body) != fixed+int(size) {
		return nil, syscall.EINVAL
	}
	err := s.store.Write(r.node, int64(r.u64(8)), r.body[fixed:])
	out.u32(size)
	out.u32(0)
	return out, err
}

// allocateKeep is FALLOC_FL_KEEP_SIZE.
const allocateKeep = 1

// fallocate only makes a file longer: without it, a database writes a byte into each
// block of a new log.
func (s *Server) fallocate(r *request) (reply, error) {
	switch mode := r.u32(24); {
	case mode == allocateKeep:
		return nil, nil
	case mode != 0:
		return nil, syscall.EOPNOTSUPP
	}
	return nil, s.store.Extend(r.node, int64(r.u64(8)), int64(r.u64(16)))
}

func (s *Server) release(r *request) (reply, error) {
	s.store.Release(r.node)
	return nil, nil
}

// openFolder keeps what is in the folder now: readers see one state of it.
func (s *Server) openFolder(r *request) (out reply, _ error) {
	entries, err := s.store.List(r.node)
	if err != nil {
		return nil, err
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.next++
	s.lists[s.next] = entries
	out.opened(s.next)
	return out, nil
}

func (s *Server) readFolder(r *request) (out reply, _ error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if r.u64(8) == 0 { // from the beginning, maybe again
		entries, err := s.store.List(r.node)
		if err != nil {
			return nil, err
		}
		s.lists[r.u64(0)] = entries
	}
	out.names(s.lists[r.u64(0)], r.u64(8), int(min(r.u32(16), maxWrite)))
	return out, nil
}

func (s *Server) releaseFolder(r *request) (reply, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	delete(s.lists, r.u64(0))
	return nil, nil
}

// statfs writes struct fuse_kstatfs.
func (s *Server) statfs(*request) (out reply, _ error) {
	space, err := s.store.Space()
	if err != nil {
		return nil, syscall.EIO
	}
	for _, v := range []uint64{space.Blocks, space.Bfree, space.Bavail, space.Files, space.Ffree} {
		out.u64(v)
	}
	for _, v := range []uint32{uint32(space.Bsize), 255, uint32(space.Frsize)} {
		out.u32(v)
	}
	return append(out, make([]byte, 28)...), nil
}
