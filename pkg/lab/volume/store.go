// Package volume stands in for SCONE's protected volumes: a tree of files in a
// folder that somebody else can write. A log, each record of which is sealed and
// chained to the one before, says which files there are and which cipher text each
// block of them has; so whatever is added, changed, swapped, put back or missing is
// an error, also while the volume is in use. The log itself can be put back as a
// whole: Known, which a CAS keeps, tells that, but for what was written since the
// volume was last opened by somebody who was then killed.
//
// It survives the end of its process at any moment, not that of its machine: it does
// not wait for the disk.
package volume

import (
	"bufio"
	"bytes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Names in the folder of a volume. lost+found is made by file systems.
const (
	logName, newLogName = "log", "log.new"
	objectsName         = "objects"
	lostFound           = "lost+found"
)

// longLog is the size in bytes from which a log is written anew.
const longLog = 64 << 20

// errForged is all that can be said of what does not verify.
var errForged = errors.New("it was changed, it belongs to another volume, or it is of another time")

// Store is an open volume. It is safe for concurrent use.
type Store struct {
	mutex   sync.RWMutex
	folder  *os.Root
	objects *os.Root
	lock    *os.File
	content cipher.AEAD
	log     *os.File
	length  int64
	longest int64
	chain   chain
	tree    *tree
	broken  error
}

// Open opens the volume in a folder, or makes an empty one where known allows it.
// The folder belongs to the Store then. Everything in it is verified.
func Open(folder *os.Root, key []byte, known *Known, now func() time.Time) (*Store, error) {
	s := &Store{folder: folder, longest: longLog}
	var err error
	if s.content, err = newBox(key, "content"); err != nil {
		return nil, err
	}
	if s.chain.box, err = newBox(key, "log"); err != nil {
		return nil, err
	}
	if err := s.open(known, now); err != nil {
		return nil, errors.Join(err, s.release())
	}
	return s, nil
}

func (s *Store) open(known *Known, now func() time.Time) error {
	isNew, err := s.survey()
	if err != nil {
		return err
	}
	if err := s.claim(); err != nil {
		return err
	}
	left, err := entriesOf(s.objects)
	switch {
	case err != nil:
		return err
	case known.Policy == Ephemeral, isNew && len(left) == 0 && known.never():
		return s.makeAnew(left, now)
	case isNew:
		return errors.New("the log of the volume is missing")
	}
	if err := s.load(now); err != nil {
		return fmt.Errorf("reading the log of the volume: %w", err)
	}
	if err := known.accepts(s.head()); err != nil {
		return err
	}
	if err := s.verify(); err != nil {
		return err
	}
	return s.rewrite(known.begin(s.head()))
}

// survey reports whether the folder holds no volume. Anything that is no part of
// one is an error.
func (s *Store) survey() (isNew bool, err error) {
	entries, err := entriesOf(s.folder)
	if err != nil {
		return false, err
	}
	isNew = true
	for _, e := range entries {
		switch {
		case e.Name() == lostFound && e.IsDir(), e.Name() == newLogName && e.Type().IsRegular(), e.Name() == objectsName && e.IsDir():
		case e.Name() == logName && e.Type().IsRegular():
			isNew = false
		default:
			return false, fmt.Errorf("%.80q is no part of the volume", e.Name())
		}
	}
	return isNew, nil
}

func entriesOf(folder *os.Root) ([]fs.DirEntry, error) {
	f, err := folder.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.ReadDir(-1)
}

// claim keeps a second user of the folder out until this one has ended.
func (s *Store) claim() error {
	if err := s.folder.Mkdir(objectsName, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	var err error
	if s.objects, err = s.folder.OpenRoot(objectsName); err != nil {
		return err
	}
	if s.lock, err = s.objects.Open("."); err != nil {
		return err
	}
	if err := syscall.Flock(int(s.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("another process uses the volume: %w", err)
	}
	return nil
}

// makeAnew begins with nothing. Whatever an earlier use has left goes.
func (s *Store) makeAnew(left []fs.DirEntry, now func() time.Time) error {
	for _, e := range left {
		if err := s.objects.RemoveAll(e.Name()); err != nil {
			return err
		}
	}
	s.tree = newTree(now)
	return s.rewrite(record{op: opBegin, epoch: 1})
}

// load reads the log from its beginning to its end.
func (s *Store) load(now func() time.Time) error {
	f, err := s.folder.Open(logName)
	if err != nil {
		return err
	}
	defer f.Close()
	reader := bufio.NewReaderSize(f, 1<<20)
	header := make([]byte, len(logHeader))
	if _, err := io.ReadFull(reader, header); err != nil || string(header) != logHeader {
		return errForged
	}
	s.tree = newTree(now)
	for {
		r, err := s.chain.open(reader)
		if err == io.EOF || errors.Is(err, errTorn) && !s.tree.closed {
			break
		}
		if err != nil {
			return err
		}
		if err := s.tree.apply(&r); err != nil {
			return err
		}
	}
	if !s.tree.ready {
		return errForged // a log appears under its name only when it is whole
	}
	return nil
}

func (s *Store) head() head {
	t := s.tree
	return head{epoch: t.begin.epoch, parent: t.begin.parent, tag: s.chain.last, touched: t.touched, closed: t.closed}
}

// verify reads every block of every file, and finds what is no file.
func (s *Store) verify() error {
	entries, err := entriesOf(s.objects)
	if err != nil {
		return err
	}
	for _, e := range entries {
		id, ok := objectID(e.Name())
		if !ok || !e.Type().IsRegular() || s.tree.nodes[id] == nil || s.tree.nodes[id].isFolder() {
			return fmt.Errorf("%s/%.80q is no part of the volume", objectsName, e.Name())
		}
	}
	s.takeBack()
	for _, id := range slices.Sorted(maps.Keys(s.tree.nodes)) {
		n := s.tree.nodes[id]
		if err := s.verifyFile(n); err != nil && !n.removed() {
			return fmt.Errorf("file %.200q: %w", n.path(), errForged)
		}
		s.forget(n)
	}
	return nil
}

func (s *Store) verifyFile(n *node) error {
	var text [blockSize]byte
	for i := range n.blocks {
		if err := s.readBlock(n, int64(i), text[:]); err != nil {
			return err
		}
	}
	return nil
}

// takeBack undoes what a killed process had written into the log but not into the
// file: only the last record can be such a write.
func (s *Store) takeBack() {
	u := s.tree.undo
	if u == nil {
		return
	}
	var text [blockSize]byte
	missing := 0
	for i, old := range u.blocks {
		at := u.first + int64(i)
		if s.readBlock(u.node, at, text[:]) != nil {
			u.node.blocks[at] = old
			missing++
		}
	}
	if missing == len(u.blocks) {
		u.node.resize(u.size)
	}
}

// path is the name of a node from the volume's root, for people.
func (n *node) path() string {
	if n.folder == nil || n.folder.id == RootID {
		return n.name
	}
	return n.folder.path() + "/" + n.name
}

// rewrite replaces the log by one that begins with r and says what there is now.
// It appears whole, by one rename.
func (s *Store) rewrite(begin record) error {
	f, err := s.folder.OpenFile(newLogName, os.O_CREATE|os.O_RDWR|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	next := chain{box: s.chain.box}
	length, err := s.writeAll(f, &next, begin)
	if err == nil {
		err = s.folder.Rename(newLogName, logName)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("writing the log of the volume: %w", err), f.Close())
	}
	if s.log != nil {
		s.log.Close()
	}
	s.log, s.chain, s.length = f, next, length
	s.longest = max(longLog, 2*length)
	s.tree.begin, s.tree.ready, s.tree.touched, s.tree.closed, s.tree.undo = begin, true, begin.again, false, nil
	return nil
}

func (s *Store) writeAll(f *os.File, c *chain, begin record) (int64, error) {
	w := bufio.NewWriterSize(f, 1<<20)
	length := int64(len(logHeader))
	w.WriteString(logHeader)
	put := func(r *record) { // a bufio.Writer keeps its first error
		frame := c.seal(r)
		length += int64(len(frame))
		w.Write(frame)
	}
	put(&begin)
	for _, n := range s.tree.ordered() {
		for _, r := range n.records() {
			put(&r)
		}
	}
	put(&record{op: opReady})
	return length, w.Flush()
}

// maxBlocks is how many blocks one record of a log names.
const maxBlocks = 4096

// ordered returns all nodes, each behind its folder.
func (t *tree) ordered() []*node {
	all := []*node{t.nodes[RootID]}
	for _, n := range t.nodes {
		if n.removed() { // and still open
			all = append(all, n)
		}
	}
	for i := 0; i < len(all); i++ {
		all = slices.AppendSeq(all, maps.Values(all[i].children))
	}
	return all
}

// records describe a node.
func (n *node) records() []record {
	r := record{op: opMake, id: n.id, name: n.name, mode: n.mode, isFolder: n.isFolder()}
	if n.folder != nil {
		r.folder = n.folder.id
	}
	all := []record{r}
	for first := 0; first < len(n.blocks); first += maxBlocks {
		some := n.blocks[first:min(first+maxBlocks, len(n.blocks))]
		all = append(all, record{op: opWrite, id: n.id, size: n.size, first: int64(first), blocks: some})
	}
	return all
}

// write appends a record to the log, then makes it true in memory.
func (s *Store) write(r *record) error {
	if s.broken != nil {
		return syscall.EIO
	}
	frame := s.chain.seal(r)
	if _, err := s.log.WriteAt(frame, s.length); err != nil {
		return s.fail(err)
	}
	s.length += int64(len(frame))
	if err := s.tree.apply(r); err != nil {
		return s.fail(err)
	}
	return nil
}

// fail ends all further changes: what is in the folder may be half of one.
func (s *Store) fail(err error) error {
	s.broken = err
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return syscall.ENOSPC
	}
	return syscall.EIO
}

// Broken is why the volume cannot be changed any more, or nil.
func (s *Store) Broken() error {
	s.mutex.RLock()
	defer s.mutex.RUnlock()
	return s.broken
}

// shorten writes a log anew that has become long.
func (s *Store) shorten() {
	if s.length < s.longest || s.broken != nil {
		return
	}
	begin := s.tree.begin
	begin.again = true
	if err := s.rewrite(begin); err != nil {
		s.broken = err
	}
}

// place of a block is authenticated with it.
func placeOf(n *node, at int64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, n.id), uint64(at))
}

// readBlock reads one block into text, which has its size.
func (s *Store) readBlock(n *node, at int64, text []byte) error {
	b := n.blocks[at]
	if b.hole() {
		clear(text)
		return nil
	}
	if err := s.need(n, false); err != nil {
		return err
	}
	var sealed [blockSize + TagSize]byte
	if _, err := n.object.ReadAt(sealed[:blockSize], at*blockSize); err != nil {
		return err
	}
	copy(sealed[blockSize:], b.tag[:])
	_, err := s.content.Open(text[:0], b.nonce[:], sealed[:], placeOf(n, at))
	return err
}

// need opens the file with the cipher text.
func (s *Store) need(n *node, create bool) error {
	if n.object != nil {
		return nil
	}
	flags := os.O_RDWR | syscall.O_NONBLOCK
	if create {
		flags |= os.O_CREATE
	}
	var err error
	n.object, err = s.objects.OpenFile(objectName(n.id), flags, 0o600)
	return err
}

// forget closes the file of a node that nobody uses; that of a removed one goes.
func (s *Store) forget(n *node) {
	if n.users > 0 || n.isFolder() && !n.removed() {
		return
	}
	if n.object != nil {
		n.object.Close()
		n.object = nil
	}
	if !n.removed() {
		return
	}
	// One that stays is still known as removed, and goes at the next opening.
	if err := s.objects.Remove(objectName(n.id)); err == nil || errors.Is(err, fs.ErrNotExist) {
		delete(s.tree.nodes, n.id)
	}
}

// sealBlocks encrypts whole blocks from first on.
func (s *Store) sealBlocks(n *node, first int64, text []byte) (sealed []byte, blocks []block) {
	sealed = make([]byte, 0, len(text)+TagSize)
	blocks = make([]block, len(text)/blockSize)
	for i := range blocks {
		rand.Read(blocks[i].nonce[:]) // never fails
		out := s.content.Seal(sealed[i*blockSize:i*blockSize], blocks[i].nonce[:], text[i*blockSize:(i+1)*blockSize], placeOf(n, first+int64(i)))
		copy(blocks[i].tag[:], out[blockSize:])
		sealed = sealed[:(i+1)*blockSize]
	}
	return sealed, blocks
}

// Close ends the use of the volume. It returns the tag of what the folder holds,
// which is for its Known; with an error there is none.
func (s *Store) Close() (tag []byte, err error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	err = s.broken
	if err == nil {
		err = s.write(&record{op: opClose})
	}
	if err == nil {
		err = s.log.Sync()
	}
	tag = bytes.Clone(s.chain.last[:])
	return tag, errors.Join(err, s.release())
}

// Epoch counts how often the volume was opened, this time included.
func (s *Store) Epoch() uint64 {
	s.mutex.RLock()
	defer s.mutex.RUnlock()
	return s.tree.begin.epoch
}

// release gives everything back that was opened.
func (s *Store) release() error {
	var all []error
	if s.tree != nil {
		for _, n := range s.tree.nodes {
			if n.object != nil {
				all = append(all, n.object.Close())
			}
		}
	}
	for _, f := range []*os.File{s.log, s.lock} {
		if f != nil {
			all = append(all, f.Close())
		}
	}
	if s.objects != nil {
		all = append(all, s.objects.Close())
	}
	s.broken = fs.ErrClosed
	return errors.Join(append(all, s.folder.Close())...)
}
