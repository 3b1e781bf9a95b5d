package volume

import (
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// maxFile bounds the size of a file in bytes.
const maxFile = 1 << 36

// maxName bounds a name in bytes, as Linux does.
const maxName = 255

// RootID is the identity of the volume's own folder.
const RootID = 1

// node is a file or a folder.
type node struct {
	id       uint64
	folder   *node // nil for the root, and for what was removed
	name     string
	mode     fs.FileMode
	modified time.Time

	children map[string]*node // of a folder; nil for a file

	size   int64
	blocks []block
	// object is the file with the cipher text; nil while nobody needs it.
	object *os.File
	// users count those who have the file open: it lives on for them when removed.
	users int
}

func (n *node) isFolder() bool { return n.children != nil }

func (n *node) removed() bool { return n.folder == nil && n.id != RootID }

// objectName is the name of the file with the cipher text.
func objectName(id uint64) string { return fmt.Sprintf("%016x", id) }

func objectID(name string) (uint64, bool) {
	id, err := strconv.ParseUint(name, 16, 64)
	return id, err == nil && objectName(id) == name
}

func blocksOf(size int64) int64 { return (size + blockSize - 1) / blockSize }

// tree is what the records of a log say, applied one after the other.
type tree struct {
	nodes map[uint64]*node
	// next is the first identity that was never used.
	next uint64
	now  func() time.Time

	begin record
	// ready is set behind the beginning of the log, touched by the first change
	// after it, closed at the end.
	ready, touched, closed bool
	// undo is what the last record replaced, if it was a write.
	undo *undo
}

// undo describes the blocks and the size of a file before its last write.
type undo struct {
	node   *node
	first  int64
	blocks []block
	size   int64
}

func newTree(now func() time.Time) *tree {
	root := &node{id: RootID, mode: 0o700, children: map[string]*node{}, modified: now()}
	return &tree{nodes: map[uint64]*node{RootID: root}, next: RootID + 1, now: now}
}

// apply makes a record true, or says why it cannot be.
func (t *tree) apply(r *record) error {
	t.undo = nil
	if t.closed || (t.begin.op == 0) != (r.op == opBegin) {
		return errRecord
	}
	t.touched = t.touched || t.ready && r.op != opClose
	switch r.op {
	case opBegin:
		t.begin, t.touched = *r, r.again
	case opReady:
		t.ready = true
	case opClose:
		t.closed = true
	case opMake:
		return t.make(r)
	default:
		n := t.nodes[r.id]
		if n == nil {
			return errRecord
		}
		return t.change(n, r)
	}
	return nil
}

// make adds a node. One without a folder was removed, but somebody had it open.
func (t *tree) make(r *record) error {
	switch {
	case r.id == RootID && r.isFolder:
		t.nodes[RootID].mode = r.mode
		return nil
	case t.nodes[r.id] != nil:
		return errRecord
	}
	n := &node{id: r.id, mode: r.mode, modified: t.now()}
	if r.isFolder {
		n.children = map[string]*node{}
	}
	t.next = max(t.next, r.id+1)
	t.nodes[r.id] = n
	if r.folder == 0 {
		return nil
	}
	return t.place(n, r.folder, r.name)
}

// place puts a node into a folder; what has the name there is removed.
func (t *tree) place(n *node, folder uint64, name string) error {
	in := t.nodes[folder]
	if in == nil || !in.isFolder() || name == "" {
		return errRecord
	}
	if old := in.children[name]; old != nil && old != n {
		t.take(old)
	}
	n.folder, n.name = in, name
	in.children[name] = n
	in.modified = t.now()
	return nil
}

// take removes a node from its folder.
func (t *tree) take(n *node) {
	delete(n.folder.children, n.name)
	n.folder.modified = t.now()
	n.folder = nil
}

func (t *tree) change(n *node, r *record) error {
	switch r.op {
	case opMove:
		if n.removed() || n.id == RootID {
			return errRecord
		}
		t.take(n)
		return t.place(n, r.folder, r.name)
	case opRemove:
		if n.removed() || n.id == RootID {
			return errRecord
		}
		t.take(n)
	case opMode:
		n.mode = r.mode
	case opSize:
		n.resize(r.size)
		n.modified = t.now()
	case opWrite:
		t.undo = &undo{node: n, first: r.first, size: n.size, blocks: n.cut(r.first, len(r.blocks))}
		n.resize(r.size)
		if r.first+int64(len(r.blocks)) > int64(len(n.blocks)) {
			return errRecord
		}
		copy(n.blocks[r.first:], r.blocks)
		n.modified = t.now()
	}
	return nil
}

// cut copies blocks; those behind the end are holes.
func (n *node) cut(first int64, count int) []block {
	out := make([]block, count)
	if first < int64(len(n.blocks)) {
		copy(out, n.blocks[first:])
	}
	return out
}

// resize sets the size; what is added is a hole.
func (n *node) resize(size int64) {
	want := int(blocksOf(size))
	if want <= len(n.blocks) {
		clear(n.blocks[want:])
		n.blocks = n.blocks[:want]
	} else {
		n.blocks = append(n.blocks, make([]block, want-len(n.blocks))...)
	}
	n.size = size
}

// child finds a folder, and what has a name in it, if anything.
func (t *tree) child(folder uint64, name string) (in, found *node, err error) {
	in = t.nodes[folder]
	switch {
	case in == nil || in.removed():
		return nil, nil, syscall.ENOENT
	case !in.isFolder():
		return nil, nil, syscall.ENOTDIR
	case len(name) > maxName:
		return nil, nil, syscall.ENAMETOOLONG
	case name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00"):
		return nil, nil, syscall.EINVAL
	}
	return in, in.children[name], nil
}
