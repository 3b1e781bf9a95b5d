package fuse

import (
	"bytes"
	"encoding/binary"
	"io/fs"
	"syscall"
	"time"

	"github.com/confidb/confidb/pkg/lab/volume"
)

// opcode is what the kernel asks for (linux/fuse.h, enum fuse_opcode).
type opcode uint32

const (
	opLookup      opcode = 1
	opForget      opcode = 2
	opGetAttr     opcode = 3
	opSetAttr     opcode = 4
	opMknod       opcode = 8
	opMkdir       opcode = 9
	opUnlink      opcode = 10
	opRmdir       opcode = 11
	opRename      opcode = 12
	opOpen        opcode = 14
	opRead        opcode = 15
	opWrite       opcode = 16
	opStatfs      opcode = 17
	opRelease     opcode = 18
	opFsync       opcode = 20
	opInit        opcode = 26
	opOpendir     opcode = 27
	opReaddir     opcode = 28
	opReleasedir  opcode = 29
	opFsyncdir    opcode = 30
	opCreate      opcode = 35
	opInterrupt   opcode = 36
	opBatchForget opcode = 42
	opFallocate   opcode = 43
	opRename2     opcode = 45
)

// Sizes of the protocol's structures in bytes, and its version.
const (
	inHeader, outHeader = 40, 16
	major, minor        = 7, 31
	pageSize            = 4096
	maxWrite            = 1 << 20
	bufferSize          = maxWrite + pageSize
)

// Flags of INIT.
const (
	flagAsyncRead uint32 = 1 << 0
	flagBigWrites uint32 = 1 << 5
	flagMaxPages  uint32 = 1 << 22
)

// forever is how long the kernel may keep what it was told: nobody else changes a
// mounted volume.
const forever = 1 << 20 * time.Second

// request is one message of the kernel.
type request struct {
	op     opcode
	unique uint64
	node   uint64
	body   []byte
}

func parseRequest(message []byte) (request, bool) {
	if len(message) < inHeader || int(binary.NativeEndian.Uint32(message)) != len(message) {
		return request{}, false
	}
	return request{
		op:     opcode(binary.NativeEndian.Uint32(message[4:])),
		unique: binary.NativeEndian.Uint64(message[8:]),
		node:   binary.NativeEndian.Uint64(message[16:]),
		body:   message[inHeader:],
	}, true
}

// u32 and u64 read a member of the body; one that is missing is zero.
func (r *request) u32(at int) uint32 {
	if at+4 > len(r.body) {
		return 0
	}
	return binary.NativeEndian.Uint32(r.body[at:])
}

func (r *request) u64(at int) uint64 {
	if at+8 > len(r.body) {
		return 0
	}
	return binary.NativeEndian.Uint64(r.body[at:])
}

// names are the texts behind the fixed part of the body, each ended by a zero.
func (r *request) names(at int) (first, second string) {
	if at > len(r.body) {
		return "", ""
	}
	one, rest, _ := bytes.Cut(r.body[at:], []byte{0})
	two, _, _ := bytes.Cut(rest, []byte{0})
	return string(one), string(two)
}

// reply is the body of an answer.
type reply []byte

func (b *reply) u16(v uint16) { *b = binary.NativeEndian.AppendUint16(*b, v) }
func (b *reply) u32(v uint32) { *b = binary.NativeEndian.AppendUint32(*b, v) }
func (b *reply) u64(v uint64) { *b = binary.NativeEndian.AppendUint64(*b, v) }

func (b *reply) validity(times int) {
	for range times {
		b.u64(uint64(forever / time.Second))
	}
	for range times {
		b.u32(0)
	}
}

// attributes writes struct fuse_attr.
func (b *reply) attributes(a volume.Attributes, owner, group uint32) {
	const blockUnit = 512
	b.u64(a.ID)
	b.u64(uint64(a.Size))
	b.u64(uint64((a.Size + blockUnit - 1) / blockUnit))
	for range 3 { // atime, mtime, ctime
		b.u64(uint64(a.Modified.Unix()))
	}
	for range 3 {
		b.u32(uint32(a.Modified.Nanosecond()))
	}
	mode, links := uint32(syscall.S_IFREG), uint32(1)
	if a.Mode.IsDir() {
		mode, links = syscall.S_IFDIR, 2
	}
	b.u32(mode | uint32(a.Mode.Perm()))
	b.u32(links)
	b.u32(owner)
	b.u32(group)
	b.u32(0) // rdev
	b.u32(pageSize)
	b.u32(0) // flags
}

// entry writes struct fuse_entry_out.
func (b *reply) entry(a volume.Attributes, owner, group uint32) {
	b.u64(a.ID)
	b.u64(0) // generation: no identity is used twice
	b.validity(2)
	b.attributes(a, owner, group)
}

// opened writes struct fuse_open_out.
func (b *reply) opened(handle uint64) {
	b.u64(handle)
	b.u64(0)
}

// names writes as many struct fuse_dirent as fit into size bytes.
func (b *reply) names(entries []volume.Entry, from uint64, size int) {
	for i := int(min(from, uint64(len(entries)))); i < len(entries); i++ {
		e := entries[i]
		const fixed = 24
		padded := (fixed + len(e.Name) + 7) &^ 7
		if len(*b)+padded > size {
			return
		}
		kind := uint32(syscall.DT_REG)
		if e.Mode.IsDir() {
			kind = syscall.DT_DIR
		}
		end := len(*b) + padded
		b.u64(e.ID)
		b.u64(uint64(i + 1))
		b.u32(uint32(len(e.Name)))
		b.u32(kind)
		*b = append(*b, e.Name...)
		*b = append(*b, make([]byte, end-len(*b))...)
	}
}

// permissions are those of a mode as the kernel sends it.
func permissions(mode uint32) fs.FileMode { return fs.FileMode(mode).Perm() }
