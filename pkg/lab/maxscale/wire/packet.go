package wire

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

const (
	// Full is the length in bytes of a packet that another one continues.
	Full = 1<<24 - 1
	// HandshakeLimit bounds a packet before the login has succeeded, in bytes.
	HandshakeLimit = 64 << 10

	headerBytes = 4
	bufferBytes = 16 << 10
)

// ErrLarge means that a message is longer than whoever reads it allows.
var ErrLarge = errors.New("packet bigger than allowed")

// Packet is one packet (page "0 - Packet"): three bytes of length, one of sequence number,
// payload.
type Packet struct {
	Sequence byte
	// Payload belongs to the stream that it was read from, until the next Read.
	Payload []byte
}

// Continues reports whether the next packet is a part of the same message.
func (p Packet) Continues() bool { return len(p.Payload) == Full }

// Stream frames packets. It is for one reader and one writer.
type Stream struct {
	// Limit bounds the payload of a packet that is read. Zero means that of the protocol.
	Limit int

	reader io.Reader
	writer *bufio.Writer
	buffer []byte
}

// NewStream reads from a connection no more than the packets that are asked for: what
// follows them may be TLS.
func NewStream(conn io.ReadWriter) *Stream {
	return &Stream{Limit: HandshakeLimit, reader: conn, writer: bufio.NewWriterSize(conn, bufferBytes)}
}

// NewBuffered reads ahead. Its packets have any length that the protocol allows.
func NewBuffered(conn io.ReadWriter) *Stream {
	return &Stream{reader: bufio.NewReaderSize(conn, bufferBytes), writer: bufio.NewWriterSize(conn, bufferBytes)}
}

// Read returns the next packet. Its payload is that of the stream until the next Read.
func (s *Stream) Read() (Packet, error) {
	var header [headerBytes]byte
	if _, err := io.ReadFull(s.reader, header[:]); err != nil {
		return Packet{}, err
	}
	length := int(header[0]) | int(header[1])<<8 | int(header[2])<<16
	if s.Limit > 0 && length > s.Limit {
		return Packet{}, fmt.Errorf("packet of %d bytes: %w", length, ErrLarge)
	}
	if cap(s.buffer) < length || cap(s.buffer) > 1<<20 && length < 1<<10 {
		s.buffer = make([]byte, max(length, 1<<10)) // and a large one is given back
	}
	payload := s.buffer[:length]
	if _, err := io.ReadFull(s.reader, payload); err != nil {
		return Packet{}, fmt.Errorf("reading a packet of %d bytes: %w", length, noEOF(err))
	}
	return Packet{header[3], payload}, nil
}

// noEOF makes the end of a stream within a packet an error that is no clean end.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Write puts a packet as it is into the buffer.
func (s *Stream) Write(p Packet) error {
	n := len(p.Payload)
	if n > Full {
		return fmt.Errorf("packet of %d bytes: %w", n, ErrLarge)
	}
	if _, err := s.writer.Write([]byte{byte(n), byte(n >> 8), byte(n >> 16), p.Sequence}); err != nil {
		return err
	}
	_, err := s.writer.Write(p.Payload)
	return err
}

// Waiting is how many bytes were read ahead: without any, the next Read waits for the other
// end.
func (s *Stream) Waiting() int {
	if ahead, ok := s.reader.(*bufio.Reader); ok {
		return ahead.Buffered()
	}
	return 0
}

// Flush sends what was written.
func (s *Stream) Flush() error { return s.writer.Flush() }

// ReadMessage returns a whole message of at most limit bytes, joined from its packets, and
// the sequence number that its answer begins with. The message belongs to the caller.
func (s *Stream) ReadMessage(limit int) (message []byte, next byte, err error) {
	for {
		p, err := s.Read()
		switch {
		case err != nil:
			return nil, 0, err
		case len(message)+len(p.Payload) > limit:
			return nil, p.Sequence + 1, fmt.Errorf("message of more than %d bytes: %w", limit, ErrLarge)
		}
		message = append(message, p.Payload...)
		if !p.Continues() {
			return message, p.Sequence + 1, nil
		}
	}
}

// Send writes a whole message, cut into packets that begin with this sequence number, and
// flushes.
func (s *Stream) Send(sequence byte, message []byte) error {
	for {
		part := message[:min(len(message), Full)]
		if err := s.Write(Packet{sequence, part}); err != nil {
			return err
		}
		if len(part) < Full {
			return s.Flush()
		}
		message, sequence = message[len(part):], sequence+1
	}
}
