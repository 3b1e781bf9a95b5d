package wire

import (
	"encoding/binary"
	"fmt"
)

const (
	okMarker   = 0x00
	eofMarker  = 0xfe
	errMarker  = 0xff
	longestEOF = 8 // bytes: a longer packet with its marker is a row
)

// Error is an ERR packet (page "ERR_Packet").
type Error struct {
	Code uint16
	// State is the SQLSTATE, five characters.
	State string
	// Message is the text as it was sent.
	Message string
}

// Error returns code, state and message.
func (e *Error) Error() string { return fmt.Sprintf("%d (%s): %s", e.Code, e.State, e.Message) }

// NewError makes an error with a text from a format.
func NewError(code uint16, state, format string, arguments ...any) *Error {
	return &Error{code, state, fmt.Sprintf(format, arguments...)}
}

// Encode returns the packet.
func (e *Error) Encode() []byte {
	p := binary.LittleEndian.AppendUint16([]byte{errMarker}, e.Code)
	if e.State != "" {
		p = append(append(p, '#'), e.State...)
	}
	return append(p, e.Message...)
}

// EncodeEarly returns the packet in the form that is sent in the place of a greeting,
// before capabilities are known: without SQLSTATE.
func (e *Error) EncodeEarly() []byte { return (&Error{Code: e.Code, Message: e.Message}).Encode() }

// ParseError reads an ERR packet. A malformed one is an error as well, but not an *Error.
func ParseError(packet []byte) error {
	r := reader{rest: packet}
	marker, code := r.number(1), r.number(2)
	if r.failed || marker != errMarker {
		return fmt.Errorf("error packet of %d bytes: %w", len(packet), ErrShort)
	}
	e := &Error{Code: uint16(code)}
	if len(r.rest) >= 6 && r.rest[0] == '#' {
		e.State = string(r.bytes(6)[1:])
	}
	e.Message = string(r.rest)
	return e
}

// OK is what an answer without rows, or its rows, end with (pages "OK_Packet" and
// "EOF_Packet").
type OK struct {
	Affected, InsertID uint64 // not in an EOF packet
	Status             Status
	Warnings           uint16
	Info               string
	// Tracked are the system variables that the server says have changed.
	Tracked []Variable
}

// Variable is a system variable of a session.
type Variable struct{ Name, Value string }

// Encode returns the packet. Tracked is not sent.
func (o OK) Encode() []byte {
	p := appendLength(appendLength([]byte{okMarker}, o.Affected), o.InsertID)
	p = binary.LittleEndian.AppendUint16(p, uint16(o.Status&^StateChanged))
	p = binary.LittleEndian.AppendUint16(p, o.Warnings)
	if o.Info == "" {
		return p
	}
	return appendText(p, o.Info)
}

// OneColumn are the packets of an answer in text with one column, between parties without
// DeprecateEOF.
func OneColumn(name string, rows []string) [][]byte {
	const utf8, longest, varString, notNull, schema = 33, 192, 0xfd, 1, "information_schema"
	column := []byte{}
	for _, text := range []string{"def", schema, "SCHEMATA", "SCHEMATA", name, "SCHEMA_NAME"} {
		column = appendText(column, text)
	}
	column = binary.LittleEndian.AppendUint16(append(column, 0x0c), utf8)
	column = binary.LittleEndian.AppendUint32(column, longest)
	column = append(column, varString, notNull, 0, 0, 0, 0)
	end := binary.LittleEndian.AppendUint16([]byte{eofMarker, 0, 0}, uint16(Autocommit))
	all := [][]byte{{1}, column, end}
	for _, row := range rows {
		all = append(all, appendText([]byte(nil), row))
	}
	return append(all, end)
}

// isEOF reports whether a packet is an EOF packet in the form without DeprecateEOF.
func isEOF(packet []byte) bool {
	return len(packet) > 0 && len(packet) <= longestEOF && packet[0] == eofMarker
}

// ParseOK reads an OK packet, or what stands for EOF between parties with these
// capabilities.
func ParseOK(packet []byte, agreed Capabilities) (*OK, error) {
	r := reader{rest: packet}
	marker := r.number(1)
	if marker == eofMarker && !agreed.Has(DeprecateEOF) {
		o := &OK{Warnings: uint16(r.number(2)), Status: Status(r.number(2))}
		return o, r.whole("EOF", packet)
	}
	o := &OK{}
	o.Affected, _ = r.length()
	o.InsertID, _ = r.length()
	o.Status, o.Warnings = Status(r.number(2)), uint16(r.number(2))
	if marker != okMarker && marker != eofMarker {
		return nil, fmt.Errorf("packet of kind %#x: want OK", marker)
	}
	if len(r.rest) > 0 {
		o.Info = string(r.text())
	}
	if agreed.Has(SessionTrack) && o.Status.Has(StateChanged) {
		o.Tracked = variables(r.text())
	}
	return o, r.whole("OK", packet)
}

func (r *reader) whole(kind string, packet []byte) error {
	if r.failed {
		return fmt.Errorf("%s packet of %d bytes: %w", kind, len(packet), ErrShort)
	}
	return nil
}

// variables reads the system variables of what a server tracks, and leaves out the rest.
func variables(tracked []byte) (all []Variable) {
	const systemVariables = 0
	for r := (reader{rest: tracked}); len(r.rest) > 0 && !r.failed; {
		kind, part := r.number(1), reader{rest: r.text()}
		for kind == systemVariables && len(part.rest) > 0 {
			v := Variable{Name: string(part.text()), Value: string(part.text())}
			if part.failed {
				break
			}
			all = append(all, v)
		}
	}
	return all
}

// Untrack returns an OK packet of a server that tracks, for a client that does not: without
// what is tracked. Nothing else changes.
func Untrack(packet []byte) ([]byte, error) {
	r := reader{rest: packet}
	r.bytes(1)
	r.length()
	r.length()
	at := len(packet) - len(r.rest)
	r.bytes(4)
	if len(r.rest) > 0 {
		r.text()
	}
	if err := r.whole("OK", packet); err != nil {
		return nil, err
	}
	made := append([]byte(nil), packet[:len(packet)-len(r.rest)]...)
	status := Status(binary.LittleEndian.Uint16(made[at:])) &^ StateChanged
	binary.LittleEndian.PutUint16(made[at:], uint16(status))
	return made, nil
}
