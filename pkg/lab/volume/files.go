package volume

import (
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Attributes describe a file or a folder.
type Attributes struct {
	ID       uint64
	Mode     fs.FileMode // with fs.ModeDir for a folder
	Size     int64
	Modified time.Time
}

// Entry is one name in a folder.
type Entry struct {
	Name string
	Attributes
}

func (n *node) attributes() Attributes {
	a := Attributes{ID: n.id, Mode: n.mode, Size: n.size, Modified: n.modified}
	if n.isFolder() {
		a.Mode |= fs.ModeDir
	}
	return a
}

// The errors of all methods below are syscall.Errno; EIO is that of a file which
// is not what was written into it.

// Lookup finds a name in a folder.
func (s *Store) Lookup(folder uint64, name string) (Attributes, error) {
	s.mutex.RLock()
	defer s.mutex.RUnlock()
	_, n, err := s.tree.child(folder, name)
	if err != nil {
		return Attributes{}, err
	}
	if n == nil {
		return Attributes{}, syscall.ENOENT
	}
	return n.attributes(), nil
}

// Attributes returns those of a file or a folder.
func (s *Store) Attributes(id uint64) (Attributes, error) {
	s.mutex.RLock()
	defer s.mutex.RUnlock()
	n := s.tree.nodes[id]
	if n == nil {
		return Attributes{}, syscall.ENOENT
	}
	return n.attributes(), nil
}

// List returns what is in a folder, by name.
func (s *Store) List(folder uint64) ([]Entry, error) {
	s.mutex.RLock()
	defer s.mutex.RUnlock()
	n := s.tree.nodes[folder]
	switch {
	case n == nil:
		return nil, syscall.ENOENT
	case !n.isFolder():
		return nil, syscall.ENOTDIR
	}
	var all []Entry
	for name, child := range n.children {
		all = append(all, Entry{Name: name, Attributes: child.attributes()})
	}
	slices.SortFunc(all, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// Make adds a folder (fs.ModeDir) or an empty file.
func (s *Store) Make(folder uint64, name string, mode fs.FileMode) (Attributes, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	_, n, err := s.tree.child(folder, name)
	if err != nil {
		return Attributes{}, err
	}
	if n != nil {
		return Attributes{}, syscall.EEXIST
	}
	id := s.tree.next
	if err := s.write(&record{op: opMake, id: id, folder: folder, name: name, mode: mode.Perm(), isFolder: mode.IsDir()}); err != nil {
		return Attributes{}, err
	}
	return s.tree.nodes[id].attributes(), nil
}

// Remove removes a file or, if isFolder, an empty folder.
func (s *Store) Remove(folder uint64, name string, isFolder bool) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	_, n, err := s.tree.child(folder, name)
	if err != nil {
		return err
	}
	if err := removable(n, isFolder); err != nil {
		return err
	}
	if err := s.write(&record{op: opRemove, id: n.id}); err != nil {
		return err
	}
	s.forget(n)
	s.shorten()
	return nil
}

func removable(n *node, isFolder bool) error {
	switch {
	case n == nil:
		return syscall.ENOENT
	case isFolder && !n.isFolder():
		return syscall.ENOTDIR
	case !isFolder && n.isFolder():
		return syscall.EISDIR
	case len(n.children) > 0:
		return syscall.ENOTEMPTY
	}
	return nil
}

// Move gives a file or a folder another name. What has that name already is
// removed, unless keep is set.
func (s *Store) Move(folder uint64, name string, toFolder uint64, toName string, keep bool) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	_, n, err := s.tree.child(folder, name)
	if err != nil {
		return err
	}
	to, old, err := s.tree.child(toFolder, toName)
	switch {
	case err != nil:
		return err
	case n == nil:
		return syscall.ENOENT
	case n == old:
		return nil
	case old != nil && keep:
		return syscall.EEXIST
	case n.holds(to):
		return syscall.EINVAL
	case old != nil:
		if err := removable(old, n.isFolder()); err != nil {
			return err
		}
	}
	if err := s.write(&record{op: opMove, id: n.id, folder: to.id, name: toName}); err != nil {
		return err
	}
	if old != nil {
		s.forget(old)
	}
	return nil
}

// holds reports whether inner is n or below it.
func (n *node) holds(inner *node) bool {
	for ; inner != nil; inner = inner.folder {
		if inner == n {
			return true
		}
	}
	return false
}

// SetMode sets the permissions.
func (s *Store) SetMode(id uint64, mode fs.FileMode) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.tree.nodes[id] == nil {
		return syscall.ENOENT
	}
	return s.write(&record{op: opMode, id: id, mode: mode.Perm()})
}

// SetModified sets the time of the last change, which is not kept for later.
func (s *Store) SetModified(id uint64, at time.Time) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	n := s.tree.nodes[id]
	if n == nil {
		return syscall.ENOENT
	}
	n.modified = at
	return nil
}

// Hold keeps a file for its user also when it is removed, until Release.
func (s *Store) Hold(id uint64) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	n := s.tree.nodes[id]
	switch {
	case n == nil:
		return syscall.ENOENT
	case n.isFolder():
		return syscall.EISDIR
	}
	n.users++
	return nil
}

// Release ends one Hold.
func (s *Store) Release(id uint64) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if n := s.tree.nodes[id]; n != nil && n.users > 0 {
		n.users--
		s.forget(n)
	}
}

func (s *Store) file(id uint64) (*node, error) {
	n := s.tree.nodes[id]
	switch {
	case n == nil:
		return nil, syscall.ENOENT
	case n.isFolder():
		return nil, syscall.EISDIR
	}
	return n, nil
}

// Read fills out from an offset on, as far as the file goes.
func (s *Store) Read(id uint64, offset int64, out []byte) (int, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	n, err := s.file(id)
	if err != nil {
		return 0, err
	}
	if offset < 0 || offset >= n.size {
		return 0, nil
	}
	out = out[:min(int64(len(out)), n.size-offset)]
	var text [blockSize]byte
	for done := 0; done < len(out); {
		at := offset + int64(done)
		if s.readBlock(n, at/blockSize, text[:]) != nil {
			return 0, syscall.EIO
		}
		done += copy(out[done:], text[at%blockSize:])
	}
	return len(out), nil
}

// Write writes at an offset; what lies between the old end and it reads as zeros.
func (s *Store) Write(id uint64, offset int64, in []byte) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	n, err := s.file(id)
	switch {
	case err != nil:
		return err
	case len(in) == 0:
		return nil
	case offset < 0 || offset > maxFile-int64(len(in)):
		return syscall.EFBIG
	}
	for len(in) > 0 { // one record names so many blocks
		some := in[:min(int64(len(in)), maxBlocks*blockSize-offset%blockSize)]
		if err := s.writeSome(n, offset, some); err != nil {
			return err
		}
		in, offset = in[len(some):], offset+int64(len(some))
	}
	s.shorten()
	return nil
}

func (s *Store) writeSome(n *node, offset int64, in []byte) error {
	end := offset + int64(len(in))
	first, behind := offset/blockSize, blocksOf(end)
	text := make([]byte, (behind-first)*blockSize)
	for _, at := range slices.Compact([]int64{first, behind - 1}) { // all others are written whole
		covered := at*blockSize >= offset && min((at+1)*blockSize, max(n.size, end)) <= end
		if covered || at >= int64(len(n.blocks)) {
			continue
		}
		if s.readBlock(n, at, text[(at-first)*blockSize:][:blockSize]) != nil {
			return syscall.EIO
		}
	}
	copy(text[offset-first*blockSize:], in)
	return s.put(n, first, text, max(n.size, end))
}

// put writes whole blocks: into the log what they are, then the blocks.
func (s *Store) put(n *node, first int64, text []byte, size int64) error {
	if s.broken != nil {
		return syscall.EIO
	}
	if err := s.need(n, true); err != nil {
		return s.fail(err)
	}
	sealed, blocks := s.sealBlocks(n, first, text)
	if err := s.write(&record{op: opWrite, id: n.id, size: size, first: first, blocks: blocks}); err != nil {
		return err
	}
	if _, err := n.object.WriteAt(sealed, first*blockSize); err != nil {
		return s.fail(err)
	}
	if n.users == 0 {
		s.forget(n)
	}
	return nil
}

// Truncate sets the size of a file; what is added reads as zeros.
func (s *Store) Truncate(id uint64, size int64) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	n, err := s.file(id)
	switch {
	case err != nil:
		return err
	case size < 0 || size > maxFile:
		return syscall.EFBIG
	case size < n.size && size%blockSize != 0 && !n.blocks[size/blockSize].hole():
		if err := s.zeroTail(n, size); err != nil {
			return err
		}
	}
	if err := s.write(&record{op: opSize, id: n.id, size: size}); err != nil {
		return err
	}
	if n.object != nil {
		n.object.Truncate(blocksOf(size) * blockSize) // it only gives space back
	}
	s.forget(n)
	return nil
}

// Extend makes a file at least as long as a part of it reaches.
func (s *Store) Extend(id uint64, offset, length int64) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	n, err := s.file(id)
	switch {
	case err != nil:
		return err
	case offset < 0 || length <= 0 || offset > maxFile || length > maxFile-offset:
		return syscall.EFBIG
	case offset+length <= n.size:
		return nil
	}
	return s.write(&record{op: opSize, id: id, size: offset + length})
}

// zeroTail keeps what is cut off from being seen when the file grows again.
func (s *Store) zeroTail(n *node, size int64) error {
	var text [blockSize]byte
	if s.readBlock(n, size/blockSize, text[:]) != nil {
		return syscall.EIO
	}
	clear(text[size%blockSize:])
	return s.put(n, size/blockSize, text[:], n.size)
}

// Space is that of the file system below, as statfs(2) tells it.
func (s *Store) Space() (syscall.Statfs_t, error) {
	var space syscall.Statfs_t
	s.mutex.RLock()
	defer s.mutex.RUnlock()
	return space, syscall.Fstatfs(int(s.lock.Fd()), &space)
}
