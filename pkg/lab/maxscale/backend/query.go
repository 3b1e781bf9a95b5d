package backend

import (
	"context"
	"fmt"

	"github.com/confidb/confidb/pkg/lab/maxscale/wire"
)

// mostBytes bounds what is kept of an answer.
const mostBytes = 16 << 20

// Cell is a value of an answer.
type Cell struct {
	Text string
	Null bool
}

// Result is the answer to a question.
type Result struct {
	Columns []string
	Rows    [][]Cell
	// OK is of an answer without rows, or of their end.
	OK *wire.OK
}

// Query asks a question and reads the answer, all of it: of several sets of rows the last.
// A refusal of the server is a *wire.Error; after any other error the connection is of no
// more use.
func (c *Conn) Query(ctx context.Context, sql string) (*Result, error) {
	release := c.bound(ctx)
	defer release()
	if err := c.Send(0, append([]byte{byte(wire.Query)}, sql...)); err != nil {
		return nil, fmt.Errorf("asking '%s': %w", c.Server, err)
	}
	w, kept := wire.NewWalker(wire.Query, c.Agreed), &answer{agreed: c.Agreed}
	for !w.Done {
		p, err := c.Read()
		if err != nil {
			return nil, fmt.Errorf("the answer of '%s': %w", c.Server, err)
		}
		kind, err := w.Next(p.Payload)
		if err == nil {
			err = kept.keep(kind, p.Payload)
		}
		if err != nil {
			return nil, fmt.Errorf("the answer of '%s': %w", c.Server, err)
		}
	}
	if kept.refused != nil {
		return nil, kept.refused
	}
	return &kept.Result, nil
}

// answer is what is kept of an answer.
type answer struct {
	Result
	agreed  wire.Capabilities
	bytes   int
	refused error
}

func (a *answer) keep(kind wire.Kind, packet []byte) (err error) {
	if a.bytes += len(packet); a.bytes > mostBytes {
		return fmt.Errorf("more than %d bytes: %w", mostBytes, wire.ErrLarge)
	}
	switch kind {
	case wire.KindColumns:
		a.Result = Result{}
	case wire.KindColumn:
		column, err := wire.ParseColumn(packet, a.agreed)
		a.Columns = append(a.Columns, column.Name)
		return err
	case wire.KindRow:
		return a.row(packet)
	case wire.KindOK, wire.KindEnd:
		a.OK, err = wire.ParseOK(packet, a.agreed)
	case wire.KindError:
		a.refused = wire.ParseError(packet)
	case wire.KindLocalFile:
		return fmt.Errorf("it wants a file")
	}
	return err
}

func (a *answer) row(packet []byte) error {
	values, err := wire.TextRow(packet, len(a.Columns))
	if err != nil {
		return err
	}
	cells := make([]Cell, len(values))
	for i, v := range values {
		cells[i] = Cell{string(packet[v.Start:v.End]), v.Null}
	}
	a.Rows = append(a.Rows, cells)
	return nil
}
