package volume

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
)

// Sizes in bytes.
const (
	blockSize = 4096
	nonceSize = 12
	// TagSize is that of a tag.
	TagSize = 16
	// KeySize is that of a volume's key.
	KeySize = 32
)

// maxRecord bounds one record of the log.
const maxRecord = 1 << 20

// logHeader begins the log.
const logHeader = "confidb lab volume v1\n"

// operation is what a record says. The numbers are those in the log.
type operation byte

const (
	// opBegin: epoch; parent, the tag of the log that the first of this epoch
	// replaced; again, whether this log replaced another of this epoch.
	opBegin  operation = iota + 1
	opReady            // everything that was there at the beginning has been said
	opMake             // id, folder, name, mode, isFolder
	opMove             // id, folder, name
	opRemove           // id
	opMode             // id, mode
	opSize             // id, size
	opWrite            // id, size, first, blocks
	opClose            // the volume was closed: nothing follows
)

// block is what is known of one block of a file: with it, exactly one cipher text
// is the right one. The zero block is a hole and reads as zeros.
type block struct {
	nonce [nonceSize]byte
	tag   [TagSize]byte
}

func (b block) hole() bool { return b == block{} }

// record is one entry of the log; which members count depends on the operation.
type record struct {
	op         operation
	epoch      uint64
	parent     [TagSize]byte
	again      bool
	id, folder uint64
	name       string
	mode       fs.FileMode
	isFolder   bool
	size       int64
	first      int64
	blocks     []block
}

// encode writes every member of an operation in one order.
func (r *record) encode() []byte {
	out := []byte{byte(r.op)}
	number := func(v uint64) { out = binary.AppendUvarint(out, v) }
	switch r.op {
	case opBegin:
		number(r.epoch)
		number(bit(r.again))
		out = append(out, r.parent[:]...)
	case opMake, opMove:
		number(r.id)
		number(r.folder)
		number(uint64(r.mode.Perm()))
		number(bit(r.isFolder))
		number(uint64(len(r.name)))
		out = append(out, r.name...)
	case opRemove:
		number(r.id)
	case opMode:
		number(r.id)
		number(uint64(r.mode.Perm()))
	case opSize, opWrite:
		number(r.id)
		number(uint64(r.size))
		number(uint64(r.first))
		for _, b := range r.blocks {
			out = append(append(out, b.nonce[:]...), b.tag[:]...)
		}
	}
	return out
}

func bit(is bool) uint64 {
	if is {
		return 1
	}
	return 0
}

var errRecord = errors.New("a record of the log cannot be understood")

// decode reads what encode wrote. Only authentic records get here, so an error
// means another version of this program.
func decode(in []byte) (r record, err error) {
	if len(in) == 0 {
		return r, errRecord
	}
	d := decoder{in: in[1:]}
	switch r.op = operation(in[0]); r.op {
	case opReady, opClose:
	case opBegin:
		r.epoch, r.again = d.number(), d.number() == 1
		copy(r.parent[:], d.bytes(TagSize))
	case opMake, opMove:
		r.id, r.folder = d.number(), d.number()
		r.mode, r.isFolder = fs.FileMode(d.number()).Perm(), d.number() == 1
		r.name = string(d.bytes(d.number()))
	case opRemove:
		r.id = d.number()
	case opMode:
		r.id, r.mode = d.number(), fs.FileMode(d.number()).Perm()
	case opSize, opWrite:
		r.id, r.size, r.first = d.number(), int64(d.number()), int64(d.number())
		for len(d.in) > 0 && !d.bad {
			var b block
			copy(b.nonce[:], d.bytes(nonceSize))
			copy(b.tag[:], d.bytes(TagSize))
			r.blocks = append(r.blocks, b)
		}
	default:
		return r, errRecord
	}
	if d.bad || len(d.in) > 0 || !r.plausible() {
		return r, errRecord
	}
	return r, nil
}

// plausible keeps later arithmetic within bounds.
func (r *record) plausible() bool {
	return r.size >= 0 && r.size <= maxFile && r.first >= 0 && r.first+int64(len(r.blocks)) <= blocksOf(maxFile)
}

type decoder struct {
	in  []byte
	bad bool
}

func (d *decoder) number() uint64 {
	v, n := binary.Uvarint(d.in)
	if n <= 0 {
		d.bad, d.in = true, nil
		return 0
	}
	d.in = d.in[n:]
	return v
}

func (d *decoder) bytes(n uint64) []byte {
	if n > uint64(len(d.in)) {
		d.bad, d.in = true, nil
		return nil
	}
	out := d.in[:n]
	d.in = d.in[n:]
	return out
}

// chain seals records one behind the other: each is authentic only at its place.
type chain struct {
	box   cipher.AEAD
	count uint64
	// last is the tag of the record before, and so of all that came before.
	last [TagSize]byte
}

// newBox derives one of the two keys of a volume.
func newBox(key []byte, purpose string) (cipher.AEAD, error) {
	derived, err := hkdf.Key(sha256.New, key, nil, "confidb lab volume v1 "+purpose, 32)
	if err != nil {
		return nil, err
	}
	cipherBlock, err := aes.NewCipher(derived)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(cipherBlock)
}

func (c *chain) place() []byte {
	return append(binary.BigEndian.AppendUint64([]byte(logHeader), c.count), c.last[:]...)
}

func (c *chain) advance(frame []byte) {
	c.count++
	copy(c.last[:], frame[len(frame)-TagSize:])
}

// seal returns the next frame of the log: its length, a nonce, the cipher text.
func (c *chain) seal(r *record) []byte {
	text := r.encode()
	frame := make([]byte, 4+nonceSize, 4+nonceSize+len(text)+TagSize)
	rand.Read(frame[4:]) // never fails
	binary.BigEndian.PutUint32(frame, uint32(nonceSize+len(text)+TagSize))
	frame = c.box.Seal(frame, frame[4:4+nonceSize], text, c.place())
	c.advance(frame)
	return frame
}

// errTorn means that the log ends in the middle of a frame, as a killed writer
// leaves it.
var errTorn = errors.New("the log ends within a record")

// open reads the next frame. At the end of the log it returns io.EOF.
func (c *chain) open(from io.Reader) (record, error) {
	var length [4]byte
	if _, err := io.ReadFull(from, length[:]); err != nil {
		return record{}, torn(err)
	}
	n := binary.BigEndian.Uint32(length[:])
	if n < nonceSize+TagSize || n > maxRecord {
		return record{}, errForged
	}
	frame := make([]byte, n)
	if _, err := io.ReadFull(from, frame); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return record{}, torn(err)
	}
	text, err := c.box.Open(nil, frame[:nonceSize], frame[nonceSize:], c.place())
	if err != nil {
		return record{}, errForged
	}
	c.advance(frame)
	return decode(text)
}

func torn(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errTorn
	}
	return err
}
