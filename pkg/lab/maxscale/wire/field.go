package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// ErrShort means that a packet ends before its fields do.
var ErrShort = errors.New("packet ends too early")

// reader takes fields off the front of a packet. After the first field that is missing,
// failed is set and every further field is empty: whoever uses one looks at failed before.
type reader struct {
	rest   []byte
	failed bool
}

func (r *reader) fail() []byte {
	r.rest, r.failed = nil, true
	return nil
}

func (r *reader) bytes(n uint64) []byte {
	if r.failed || n > uint64(len(r.rest)) {
		return r.fail()
	}
	field := r.rest[:n:n]
	r.rest = r.rest[n:]
	return field
}

// number reads an unsigned little endian number of size bytes, at most 8.
func (r *reader) number(size uint64) uint64 {
	var wide [8]byte
	copy(wide[:], r.bytes(size))
	return binary.LittleEndian.Uint64(wide[:])
}

// terminated reads up to a zero byte, and drops that byte.
func (r *reader) terminated() string {
	end := bytes.IndexByte(r.rest, 0)
	if r.failed || end < 0 {
		r.fail()
		return ""
	}
	field := r.bytes(uint64(end))
	r.bytes(1)
	return string(field)
}

const (
	nullMarker = 0xfb // in the place of a length: SQL's NULL
	noLength   = 0xff // begins no length
)

// length reads a number that says how long it is (page "Protocol Data Types", int<lenenc>).
func (r *reader) length() (value uint64, null bool) {
	switch first := r.number(1); first {
	case nullMarker:
		return 0, true
	case 0xfc:
		return r.number(2), false
	case 0xfd:
		return r.number(3), false
	case 0xfe:
		return r.number(8), false
	case noLength:
		r.fail()
		return 0, false
	default:
		return first, false
	}
}

// text reads bytes with their length before them, of which NULL is none.
func (r *reader) text() []byte {
	length, null := r.length()
	if null {
		return r.fail()
	}
	return r.bytes(length)
}

// appendLength appends a number in the form that length reads.
func appendLength(to []byte, n uint64) []byte {
	switch {
	case n < nullMarker:
		return append(to, byte(n))
	case n < 1<<16:
		return binary.LittleEndian.AppendUint16(append(to, 0xfc), uint16(n))
	case n < 1<<24:
		return append(to, 0xfd, byte(n), byte(n>>8), byte(n>>16))
	default:
		return binary.LittleEndian.AppendUint64(append(to, 0xfe), n)
	}
}

// appendText appends bytes in the form that text reads.
func appendText[T string | []byte](to []byte, text T) []byte {
	return append(appendLength(to, uint64(len(text))), text...)
}
