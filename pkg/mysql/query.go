package mysql

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Limits of one result. The largest one that is asked for is the list of tables.
const (
	maxColumns     = 64
	maxRows        = 200_000
	maxResultBytes = 16 << 20
	longestColumn  = 1024 // bytes of a column's name, which may be an expression
	queryCommand   = 3
	// queryPatience is how often the time of a login a query may take: half a minute, unless
	// the login has another, three times what a list of 20,000 tables was seen to take at
	// worst. An enclave opens files slowly.
	queryPatience = 3

	// Limits of Each, which copies whole tables: of columns as MariaDB has them, and of a
	// row, or a statement, in bytes.
	mostColumns = 4096
	maxRow      = 256 << 20
)

// Value is one field of a row. The zero value is the empty text.
type Value struct {
	Text string
	Null bool
}

// Rows is a whole result. That of a statement that returns no rows, such as SET,
// has no columns.
type Rows struct {
	Columns []string
	Values  [][]Value // each as long as Columns
}

// Column returns the index of the column of this name, or an error if there is none.
func (r *Rows) Column(name string) (int, error) {
	i := slices.Index(r.Columns, name)
	if i < 0 {
		return 0, fmt.Errorf("no column %q among the %d of the answer", name, len(r.Columns))
	}
	return i, nil
}

// Query runs one statement (page "COM_QUERY") and reads its whole result, within
// three times the time that the login had. What the server refuses is a *ServerError. After any other error
// the connection is of no more use.
func (c *Conn) Query(ctx context.Context, statement string) (*Rows, error) {
	return c.within(ctx, func() (*Rows, error) {
		if err := c.command(queryCommand, []byte(statement)); err != nil {
			return nil, err
		}
		return readResult(c.packets.read)
	})
}

// within asks within the time of a query.
func (c *Conn) within(ctx context.Context, ask func() (*Rows, error)) (*Rows, error) {
	ctx, cancel := context.WithTimeout(ctx, queryPatience*c.patience)
	defer cancel()
	release := c.limit(ctx)
	defer release()
	rows, err := ask()
	if err != nil && ctx.Err() != nil {
		return nil, fmt.Errorf("querying: %w: %w", ctx.Err(), err)
	}
	if err != nil {
		return nil, fmt.Errorf("querying: %w", err)
	}
	return rows, nil
}

// command sends a command, which begins a new sequence of packets.
func (c *Conn) command(code byte, payload []byte) error {
	c.packets.sequence, c.packets.limit = 0, maxResultPacket
	return c.packets.write(append([]byte{code}, payload...))
}

// Each runs one statement of up to 256 MiB, and calls row with each row of its result, of
// which there may be any number; row may be nil where there are none. Only ctx bounds the
// time. An error of row ends it. What the server refuses is a *ServerError; after any other
// error the connection is of no more use.
func (c *Conn) Each(ctx context.Context, statement []byte, row func([]Value) error) error {
	release := c.limit(ctx)
	defer release()
	err := c.each(statement, row)
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("querying: %w: %w", ctx.Err(), err)
	}
	if err != nil {
		return fmt.Errorf("querying: %w", err)
	}
	return nil
}

func (c *Conn) each(statement []byte, row func([]Value) error) error {
	c.packets.sequence, c.packets.limit = 0, maxRow
	if err := c.packets.write(append([]byte{queryCommand}, statement...)); err != nil {
		return err
	}
	columns, err := readHead(c.packets.read, mostColumns)
	if err != nil || columns == nil {
		return err
	}
	if row == nil {
		return errors.New("an answer with rows, want none")
	}
	for {
		packet, err := c.packets.read()
		if err != nil {
			return err
		}
		if isEnd(packet) {
			return nil
		}
		if packet[0] == errorMarker {
			return parseServerError(packet)
		}
		values, err := parseRow(packet, columns)
		if err == nil {
			err = row(values)
		}
		if err != nil {
			return err
		}
	}
}

// readResult reads the answer to a query (page "COM_QUERY Response"), packet by
// packet. next must not return an empty packet.
func readResult(next func() ([]byte, error)) (*Rows, error) { return readRows(next, parseRow) }

// readRows reads an answer whose rows parse reads.
func readRows(next func() ([]byte, error), parse rowParser) (*Rows, error) {
	columns, err := readHead(next, maxColumns)
	if err != nil {
		return nil, err
	}
	rows := &Rows{}
	if columns == nil {
		return rows, nil
	}
	for _, c := range columns {
		rows.Columns = append(rows.Columns, c.name)
	}
	return rows, rows.read(next, func(packet []byte) ([]Value, error) { return parse(packet, columns) })
}

// readHead reads an answer up to its rows. One without rows has no columns.
func readHead(next func() ([]byte, error), most uint64) ([]column, error) {
	packet, err := next()
	if err != nil {
		return nil, err
	}
	switch packet[0] {
	case 0:
		return nil, nil
	case errorMarker:
		return nil, parseServerError(packet)
	case 0xfb:
		return nil, errors.New("the server asked for a local file: refused")
	}
	fields := cursor{rest: packet}
	count, _ := fields.lengthEncoded()
	if fields.failed || count == 0 || count > most {
		return nil, fmt.Errorf("result of %d columns: want 1 to %d", count, most)
	}
	return readColumns(next, count)
}

// rowParser reads a row of some columns.
type rowParser func(packet []byte, columns []column) ([]Value, error)

// column is what is known of one: its type as it is sent, which only binary rows need.
type column struct {
	name     string
	kind     byte
	unsigned bool
}

// readColumns reads the definitions of columns, and their end.
func readColumns(next func() ([]byte, error), count uint64) ([]column, error) {
	var all []column
	for range count {
		c, err := readColumn(next)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	packet, err := next()
	if err != nil {
		return nil, err
	}
	if !isEnd(packet) {
		return nil, fmt.Errorf("packet of type %#x after the columns: want an end", packet[0])
	}
	return all, nil
}

// readColumn reads a column's definition (page "Protocol::ColumnDefinition41").
func readColumn(next func() ([]byte, error)) (column, error) {
	packet, err := next()
	if err != nil {
		return column{}, err
	}
	fields := cursor{rest: packet}
	for range 4 { // catalog, schema, table, original table
		fields.value()
	}
	name := fields.value()
	fields.value() // original name
	fields.lengthEncoded()
	fields.bytes(2 + 4) // character set, length
	kind, flags := fields.number(1), fields.number(2)
	switch {
	case fields.failed:
		return column{}, fmt.Errorf("column of %d bytes: %w", len(packet), errShort)
	case len(name.Text) > longestColumn:
		return column{}, fmt.Errorf("column with a name of %d bytes: want at most %d", len(name.Text), longestColumn)
	}
	const unsignedFlag = 32
	return column{name.Text, byte(kind), flags&unsignedFlag != 0}, nil
}

// isEnd reports whether a packet ends columns or rows (page "EOF_Packet"). A row
// may begin with the same byte, which then announces more than 16 MiB.
func isEnd(packet []byte) bool { return packet[0] == 0xfe && len(packet) < 9 }

func (r *Rows) read(next func() ([]byte, error), parse func(packet []byte) ([]Value, error)) error {
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
		row, err := parse(packet)
		if err != nil {
			return err
		}
		r.Values = append(r.Values, row)
	}
}

// parseRow reads a row (page "Text Resultset Row"); one with too few values, or
// with something after them, is an error.
func parseRow(packet []byte, columns []column) ([]Value, error) {
	fields := cursor{rest: packet}
	row := make([]Value, len(columns))
	for i := range row {
		row[i] = fields.value()
	}
	if fields.failed || len(fields.rest) > 0 {
		return nil, fmt.Errorf("row of %d bytes does not hold exactly %d values", len(packet), len(columns))
	}
	return row, nil
}
