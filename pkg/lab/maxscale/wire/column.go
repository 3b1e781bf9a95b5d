package wire

import (
	"fmt"
)

// Type is the type of a column (page "Column Definition Packet").
type Type byte

// The types that have a length of their own in binary rows.
const (
	TypeTiny      Type = 0x01
	TypeShort     Type = 0x02
	TypeLong      Type = 0x03
	TypeFloat     Type = 0x04
	TypeDouble    Type = 0x05
	TypeNull      Type = 0x06
	TypeTimestamp Type = 0x07
	TypeLongLong  Type = 0x08
	TypeInt24     Type = 0x09
	TypeDate      Type = 0x0a
	TypeTime      Type = 0x0b
	TypeDateTime  Type = 0x0c
	TypeYear      Type = 0x0d
)

// Column is the definition of a column of an answer.
type Column struct {
	Schema, Table, OrgTable, Name, OrgName string
	Charset                                uint16
	Length                                 uint32
	Type                                   Type
	Flags                                  uint16
}

// ParseColumn reads a definition that is sent between parties with these capabilities.
func ParseColumn(packet []byte, agreed Capabilities) (Column, error) {
	r := reader{rest: packet}
	r.text() // the catalogue: def
	c := Column{Schema: string(r.text()), Table: string(r.text()), OrgTable: string(r.text()), Name: string(r.text()), OrgName: string(r.text())}
	if agreed.Has(ExtendedMetadata) {
		r.text()
	}
	r.length() // of what follows: 12
	c.Charset, c.Length, c.Type, c.Flags = uint16(r.number(2)), uint32(r.number(4)), Type(r.number(1)), uint16(r.number(2))
	if r.failed {
		return Column{}, fmt.Errorf("column definition of %d bytes: %w", len(packet), ErrShort)
	}
	return c, nil
}

// Value is where a value stands in a row: the bytes from Start to before End.
type Value struct {
	Start, End int
	Null       bool
}

// TextRow finds the values of a row of a text answer (page "Resultset row"). A row of more
// than one packet has to be joined before.
func TextRow(row []byte, columns int) ([]Value, error) {
	values, r := make([]Value, 0, min(columns, len(row))), reader{rest: row}
	for range columns {
		length, null := r.length()
		start := len(row) - len(r.rest)
		r.bytes(length)
		if r.failed {
			return nil, fmt.Errorf("row of %d bytes: %w", len(row), ErrShort)
		}
		values = append(values, Value{start, len(row) - len(r.rest), null})
	}
	return values, r.spent("row")
}

func (r *reader) spent(what string) error {
	if len(r.rest) > 0 {
		return fmt.Errorf("%s with %d bytes too many", what, len(r.rest))
	}
	return nil
}

// BinaryRow finds the values of a row of a binary answer, whose columns have these types.
// Start and End are those of the value without its length.
func BinaryRow(row []byte, types []Type) ([]Value, error) {
	const reserved = 2 // bits of the bitmap of NULLs
	r := reader{rest: row}
	marker, nulls := r.number(1), r.bytes(uint64(len(types)+reserved+7)/8)
	if r.failed || marker != okMarker {
		return nil, fmt.Errorf("binary row of %d bytes: %w", len(row), ErrShort)
	}
	values := make([]Value, 0, len(types))
	for i, t := range types {
		bit := i + reserved
		null := nulls[bit/8]>>(bit%8)&1 == 1
		length := uint64(0)
		if !null {
			length = r.size(t)
		}
		start := len(row) - len(r.rest)
		r.bytes(length)
		if r.failed {
			return nil, fmt.Errorf("binary row of %d bytes: %w", len(row), ErrShort)
		}
		values = append(values, Value{start, len(row) - len(r.rest), null})
	}
	return values, r.spent("binary row")
}

// size takes the length of a binary value off the front, where its type does not say it.
func (r *reader) size(t Type) uint64 {
	switch t {
	case TypeNull:
		return 0
	case TypeTiny:
		return 1
	case TypeShort, TypeYear:
		return 2
	case TypeLong, TypeInt24, TypeFloat:
		return 4
	case TypeLongLong, TypeDouble:
		return 8
	case TypeDate, TypeDateTime, TypeTimestamp, TypeTime:
		return r.number(1)
	}
	length, null := r.length()
	if null {
		r.fail()
	}
	return length
}
