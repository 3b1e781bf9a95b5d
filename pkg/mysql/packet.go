package mysql

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	// maxHandshakePacket bounds a packet before the login, maxResultPacket one after
	// it, in bytes. The protocol itself would allow 16 MiB, and any number of them.
	maxHandshakePacket = 64 << 10
	maxResultPacket    = 1 << 20
	// maxFrame is the payload of one packet; one that is as long goes on in the next.
	maxFrame = 1<<24 - 1
)

var errShort = errors.New("packet ends too early")

// packetStream frames packets (page "MySQL Packets"): three bytes of length
// (little endian), one byte of sequence number, payload. It refuses a packet that
// is out of sequence, longer than limit, or empty. A packet that continues in
// another one has 16 MiB - 1 bytes; all parts together are within limit.
type packetStream struct {
	stream   io.ReadWriter
	sequence byte
	limit    int
}

func (s *packetStream) read() (payload []byte, err error) {
	for {
		var header [4]byte
		if _, err := io.ReadFull(s.stream, header[:]); err != nil {
			return nil, fmt.Errorf("reading a packet header: %w", err)
		}
		length := int(header[0]) | int(header[1])<<8 | int(header[2])<<16
		if len(payload)+length > s.limit {
			return nil, fmt.Errorf("packet of %d bytes: want at most %d", len(payload)+length, s.limit)
		}
		if header[3] != s.sequence {
			return nil, fmt.Errorf("packet number %d: want %d", header[3], s.sequence)
		}
		s.sequence++
		before := len(payload)
		payload = append(payload, make([]byte, length)...)
		if _, err := io.ReadFull(s.stream, payload[before:]); err != nil {
			return nil, fmt.Errorf("reading a packet of %d bytes: %w", length, err)
		}
		if len(payload) == 0 {
			return nil, errors.New("empty packet")
		}
		if length < maxFrame {
			return payload, nil
		}
	}
}

func (s *packetStream) write(payload []byte) error {
	if len(payload) > s.limit {
		return fmt.Errorf("packet of %d bytes: want at most %d", len(payload), s.limit)
	}
	for {
		part := payload[:min(len(payload), maxFrame)]
		frame := make([]byte, 0, 4+len(part))
		frame = append(frame, byte(len(part)), byte(len(part)>>8), byte(len(part)>>16), s.sequence)
		s.sequence++
		if _, err := s.stream.Write(append(frame, part...)); err != nil {
			return fmt.Errorf("writing a packet: %w", err)
		}
		if payload = payload[len(part):]; len(part) < maxFrame {
			return nil
		}
	}
}

// cursor takes fields off the front of a packet. After the first field that is
// missing, failed is set and every further field is empty: whoever uses a field
// looks at failed before.
type cursor struct {
	rest   []byte
	failed bool
}

func (c *cursor) bytes(n uint64) []byte {
	if c.failed || n > uint64(len(c.rest)) {
		c.failed, c.rest = true, nil
		return nil
	}
	field := c.rest[:n]
	c.rest = c.rest[n:]
	return field
}

// number reads an unsigned little endian number of size bytes, at most 8.
func (c *cursor) number(size uint64) uint64 {
	var wide [8]byte
	copy(wide[:], c.bytes(size))
	return binary.LittleEndian.Uint64(wide[:])
}

// terminated reads up to a zero byte, and drops that byte (page "String types":
// NulTerminatedString).
func (c *cursor) terminated() string {
	end := bytes.IndexByte(c.rest, 0)
	if end < 0 {
		c.failed, c.rest = true, nil
		return ""
	}
	field := c.bytes(uint64(end))
	c.bytes(1)
	return string(field)
}

// lengthEncoded reads a number that says how long it is (page "Integer types":
// LengthEncodedInteger). In a row, 0xfb in its place is SQL's NULL; 0xff begins no number.
func (c *cursor) lengthEncoded() (value uint64, null bool) {
	switch first := c.number(1); first {
	case 0xfb:
		return 0, true
	case 0xfc:
		return c.number(2), false
	case 0xfd:
		return c.number(3), false
	case 0xfe:
		return c.number(8), false
	case 0xff:
		c.failed = true
		return 0, false
	default:
		return first, false
	}
}

// value reads a text with its length before it, or NULL (LengthEncodedString).
func (c *cursor) value() Value {
	length, null := c.lengthEncoded()
	if null {
		return Value{Null: true}
	}
	return Value{Text: string(c.bytes(length))}
}
