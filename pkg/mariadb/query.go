package mariadb

import (
	"context"
	"errors"
	"fmt"
)

const (
	maxColumns     = 64
	maxRows        = 20000
	maxResultBytes = 16 << 20
	queryCommand   = 3
)

// Value is one field of a row. The zero value is the empty text.
type Value struct {
	Text string
	Null bool
}

// Rows is a whole result. A statement without a result set has no columns.
type Rows struct {
	Columns []string
	Values  [][]Value // each as long as Columns
}

// column returns the index of a column by its name.
func (r *Rows) column(name string) (int, error) {
	for i, column := range r.Columns {
		if column == name {
			return i, nil
		}
	}
	return 0, fmt.Errorf("no column %q in the answer: got %q", name, r.Columns)
}

// Query runs one statement and reads its whole result. What the server refuses
// is a *ServerError. After any other error the connection is of no more use.
func (c *Conn) Query(ctx context.Context, statement string) (*Rows, error) {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	release := c.limit(ctx)
	defer release()
	rows, err := c.query(statement)
	if err != nil && ctx.Err() != nil {
		return nil, fmt.Errorf("querying: %w: %w", ctx.Err(), err)
	}
	if err != nil {
		return nil, fmt.Errorf("querying: %w", err)
	}
	return rows, nil
}

func (c *Conn) query(statement string) (*Rows, error) {
	c.packets.sequence, c.packets.limit = 0, maxResultPacket
	if err := c.packets.write(append([]byte{queryCommand}, statement...)); err != nil {
		return nil, err
	}
	return readResult(c.packets.read)
}

// readResult reads the answer to a query, packet by packet.
func readResult(next func() ([]byte, error)) (*Rows, error) {
	packet, err := next()
	if err != nil {
		return nil, err
	}
	switch packet[0] {
	case 0:
		return &Rows{}, nil
	case errorMarker:
		return nil, parseServerError(packet)
	case 0xfb:
		return nil, errors.New("the server asked for a local file: refused")
	}
	fields := cursor{rest: packet}
	count, _ := fields.lengthEncoded()
	if fields.failed || count == 0 || count > maxColumns {
		return nil, fmt.Errorf("result of %d columns: want 1 to %d", count, maxColumns)
	}
	rows := &Rows{}
	for range count {
		name, err := readColumn(next)
		if err != nil {
			return nil, err
		}
		rows.Columns = append(rows.Columns, name)
	}
	if packet, err = next(); err != nil {
		return nil, err
	}
	if !isEnd(packet) {
		return nil, fmt.Errorf("packet of type %#x after the columns: want an end", packet[0])
	}
	return rows, rows.read(next)
}

func readColumn(next func() ([]byte, error)) (string, error) {
	packet, err := next()
	if err != nil {
		return "", err
	}
	fields := cursor{rest: packet}
	for range 4 { // catalog, schema, table, original table
		fields.value()
	}
	name := fields.value()
	if fields.failed {
		return "", fmt.Errorf("column of %d bytes: %w", len(packet), errShort)
	}
	return name.Text, nil
}

func isEnd(packet []byte) bool { return packet[0] == 0xfe && len(packet) < 9 }

func (r *Rows) read(next func() ([]byte, error)) error {
	total := 0
	for {
		packet, err := next()
		if err != nil {
			return err
		}
		if isEnd(packet) {
			return nil
		}
		if packet[0] == errorMarker {
			return parseServerError(packet)
		}
		total += len(packet)
		if len(r.Values) == maxRows || total > maxResultBytes {
			return fmt.Errorf("result too large: want at most %d rows and %d bytes", maxRows, maxResultBytes)
		}
		row, err := parseRow(packet, len(r.Columns))
		if err != nil {
			return err
		}
		r.Values = append(r.Values, row)
	}
}

func parseRow(packet []byte, columns int) ([]Value, error) {
	fields := cursor{rest: packet}
	row := make([]Value, columns)
	for i := range row {
		row[i] = fields.value()
	}
	if fields.failed || len(fields.rest) > 0 {
		return nil, fmt.Errorf("row of %d bytes does not hold exactly %d values", len(packet), columns)
	}
	return row, nil
}
