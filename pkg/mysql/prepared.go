package mysql

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
)

const (
	prepareCommand, executeCommand, closeCommand = 0x16, 0x17, 0x19

	preparedOK    = 0
	parameterType = 0xfd // MYSQL_TYPE_VAR_STRING
	maxParameters = 8
)

// QueryPrepared runs one statement as Query does, prepared and in binary rows (pages
// "COM_STMT_PREPARE", "COM_STMT_EXECUTE" and "Binary Protocol Resultset"), with texts for
// its parameters. Values are given back as a query in text would say them, but for numbers
// with a point, whose digits are Go's.
func (c *Conn) QueryPrepared(ctx context.Context, statement string, parameters ...string) (*Rows, error) {
	return c.within(ctx, func() (*Rows, error) { return c.queryPrepared(statement, parameters) })
}

func (c *Conn) queryPrepared(statement string, parameters []string) (*Rows, error) {
	if err := c.command(prepareCommand, []byte(statement)); err != nil {
		return nil, err
	}
	made, err := readPrepared(c.packets.read)
	if err != nil {
		return nil, err
	}
	if len(parameters) != made.parameters || len(parameters) > maxParameters {
		return nil, fmt.Errorf("the statement has %d parameters: got %d, want at most %d", made.parameters, len(parameters), maxParameters)
	}
	if err := c.command(executeCommand, made.execute(parameters)); err != nil {
		return nil, err
	}
	rows, err := readRows(c.packets.read, parseBinaryRow)
	if refused, _ := errors.AsType[*ServerError](err); err != nil && refused == nil {
		return nil, err
	}
	if closing := c.command(closeCommand, made.id[:]); closing != nil { // has no answer
		return nil, closing
	}
	return rows, err
}

// prepared is what the server says of a statement that it has prepared.
type prepared struct {
	id         [4]byte
	parameters int
}

// readPrepared reads the answer to a statement that is prepared (page "COM_STMT_PREPARE
// Response"), with the columns of parameters and rows, which are said again with the rows.
func readPrepared(next func() ([]byte, error)) (made prepared, err error) {
	packet, err := next()
	if err != nil {
		return made, err
	}
	switch packet[0] {
	case errorMarker:
		return made, parseServerError(packet)
	case preparedOK:
	default:
		return made, fmt.Errorf("packet of type %#x after a statement that is prepared", packet[0])
	}
	fields := cursor{rest: packet[1:]}
	copy(made.id[:], fields.bytes(4))
	columns, parameters := fields.number(2), fields.number(2)
	if fields.failed || columns > maxColumns || parameters > maxParameters {
		return made, fmt.Errorf("a prepared statement with %d columns and %d parameters: want at most %d and %d", columns, parameters, maxColumns, maxParameters)
	}
	made.parameters = int(parameters)
	for _, count := range []uint64{parameters, columns} {
		if count > 0 {
			if _, err := readColumns(next, count); err != nil {
				return made, err
			}
		}
	}
	return made, nil
}

// execute is what runs a prepared statement, with texts for its parameters.
func (p prepared) execute(parameters []string) []byte {
	payload := append(p.id[:], 0, 1, 0, 0, 0) // no cursor, once
	if len(parameters) == 0 {
		return payload
	}
	payload = append(payload, 0, 1) // none of at most eight is NULL; their types follow
	for range parameters {
		payload = append(payload, parameterType, 0)
	}
	for _, text := range parameters {
		const two = 0xfc // a length of two bytes follows
		payload = append(binary.LittleEndian.AppendUint16(append(payload, two), uint16(len(text))), text...)
	}
	return payload
}

// parseBinaryRow reads a row (page "Binary Protocol Resultset Row"). A type that is not
// read is an error, as where the next value begins is not known.
func parseBinaryRow(packet []byte, columns []column) ([]Value, error) {
	fields := cursor{rest: packet}
	marker := fields.number(1)
	nulls := fields.bytes(uint64(len(columns)+9) / 8)
	if fields.failed || marker != 0 {
		return nil, fmt.Errorf("binary row of %d bytes: %w", len(packet), errShort)
	}
	row := make([]Value, len(columns))
	for i, c := range columns {
		const first = 2 // the bit of the first column
		if bit := i + first; nulls[bit/8]&(1<<(bit%8)) != 0 {
			row[i].Null = true
			continue
		}
		var err error
		if row[i], err = c.binary(&fields); err != nil {
			return nil, err
		}
	}
	if fields.failed || len(fields.rest) > 0 {
		return nil, fmt.Errorf("binary row of %d bytes does not hold exactly %d values", len(packet), len(columns))
	}
	return row, nil
}

// binary takes a value of the column off (pages "Binary Protocol Value" and "Column Type").
func (c column) binary(fields *cursor) (Value, error) {
	switch c.kind {
	case 0x01: // TINY
		return c.integer(fields.number(1), 8), nil
	case 0x02, 0x0d: // SHORT, YEAR
		return c.integer(fields.number(2), 16), nil
	case 0x03, 0x09: // LONG, INT24
		return c.integer(fields.number(4), 32), nil
	case 0x08: // LONGLONG
		return c.integer(fields.number(8), 64), nil
	case 0x04: // FLOAT
		return Value{Text: strconv.FormatFloat(float64(math.Float32frombits(uint32(fields.number(4)))), 'g', -1, 32)}, nil
	case 0x05: // DOUBLE
		return Value{Text: strconv.FormatFloat(math.Float64frombits(fields.number(8)), 'g', -1, 64)}, nil
	case 0x06: // NULL
		return Value{Null: true}, nil
	case 0x07, 0x0a, 0x0c: // TIMESTAMP, DATE, DATETIME
		return c.moment(fields), nil
	case 0x00, 0x0f, 0x10, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff: // texts, BLOBs and decimals
		if v := fields.value(); !v.Null {
			return v, nil
		}
		return Value{}, errors.New("NULL in a binary row, in the place of a value")
	}
	return Value{}, fmt.Errorf("column %.64q is of type %#x, which is not read in binary rows", c.name, c.kind)
}

// integer is a number of some bits as text.
func (c column) integer(n uint64, bits int) Value {
	if c.unsigned {
		return Value{Text: strconv.FormatUint(n, 10)}
	}
	unused := 64 - bits
	return Value{Text: strconv.FormatInt(int64(n<<unused)>>unused, 10)}
}

// moment reads a date, and the time where there is one.
func (c column) moment(fields *cursor) Value {
	const date, seconds, micros, kindDate = 4, 7, 11, 0x0a
	length := fields.number(1)
	part := cursor{rest: fields.bytes(length)}
	year, month, day := part.number(2), part.number(1), part.number(1)
	text := fmt.Sprintf("%04d-%02d-%02d", year, month, day)
	if length == 0 || length > date || c.kind != kindDate {
		hour, minute, second := part.number(1), part.number(1), part.number(1)
		if c.kind != kindDate {
			text += fmt.Sprintf(" %02d:%02d:%02d", hour, minute, second)
		}
		if length == micros {
			text += fmt.Sprintf(".%06d", part.number(4))
		}
	}
	if length != 0 && length != date && length != seconds && length != micros {
		fields.failed = true
	}
	return Value{Text: text}
}
