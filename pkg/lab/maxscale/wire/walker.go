package wire

import (
	"encoding/binary"
	"fmt"
)

// Kind is what a packet of an answer is.
type Kind int

// Kinds of packets of an answer.
const (
	// KindOther is all of an answer whose form nobody here looks at.
	KindOther Kind = iota
	// KindOK is an OK packet that is no end of rows.
	KindOK
	// KindError ends an answer.
	KindError
	// KindColumns says how many columns follow.
	KindColumns
	// KindColumn defines a column of an answer, or of a statement that was prepared.
	KindColumn
	// KindColumnsEnd is the EOF after the definitions of columns.
	KindColumnsEnd
	// KindRow is a row, or the rest of one.
	KindRow
	// KindEnd ends rows: an EOF packet, or with DeprecateEOF an OK packet in its place.
	KindEnd
	// KindPrepared says that a statement was prepared.
	KindPrepared
	// KindParameter defines a parameter of a statement that was prepared.
	KindParameter
	// KindLocalFile asks the client for a file. No answer to it is passed on here.
	KindLocalFile
)

// Walker knows, packet by packet, what an answer of a server consists of and where it
// ends. What it holds does not grow.
type Walker struct {
	// Status is that of the last packet that had one, and HasStatus whether any had.
	Status    Status
	HasStatus bool
	// Columns is how many the present set of rows has.
	Columns int
	// Done is set once the answer is whole.
	Done bool

	agreed    Capabilities
	expect    func(w *Walker, packet []byte) (Kind, error)
	columns   int     // definitions that are still to come
	parts     [4]part // of what was prepared
	continues bool    // a row
}

// NewWalker returns a walker over the answer to a command between parties with these
// capabilities.
func NewWalker(to Command, agreed Capabilities) *Walker {
	w := &Walker{agreed: agreed, Done: to.Silent()}
	switch to {
	case Query, Execute, BulkExecute, ProcessInfo:
		w.expect = (*Walker).first
	case Prepare:
		w.expect = (*Walker).prepared
	case FieldList:
		w.expect = (*Walker).fieldList
	case Fetch:
		w.expect = (*Walker).row
	case Statistics:
		w.expect = (*Walker).only
	default:
		w.expect = (*Walker).single
	}
	return w
}

// Next says what the next packet of the answer is. An error means that it is none of the
// answer that was expected: then the connection is of no more use.
func (w *Walker) Next(packet []byte) (Kind, error) {
	if w.Done {
		return 0, fmt.Errorf("packet of %d bytes after the end of an answer", len(packet))
	}
	if w.continues {
		w.continues = len(packet) == Full
		return KindRow, nil
	}
	if len(packet) == 0 {
		return 0, fmt.Errorf("empty packet in an answer: %w", ErrShort)
	}
	if packet[0] == errMarker {
		w.Done = true
		return KindError, nil
	}
	return w.expect(w, packet)
}

// only is an answer of one packet in a form of its own.
func (w *Walker) only([]byte) (Kind, error) {
	w.Done = true
	return KindOther, nil
}

// single is an answer of one OK packet, or of EOF in its place.
func (w *Walker) single(packet []byte) (Kind, error) {
	w.Done = true
	return KindOK, w.see(packet)
}

// see keeps the status of an OK or EOF packet.
func (w *Walker) see(packet []byte) error {
	o, err := ParseOK(packet, w.agreed)
	if err != nil {
		return err
	}
	w.Status, w.HasStatus = o.Status, true
	return nil
}

// first is the first packet of a set of rows, or an OK in its place.
func (w *Walker) first(packet []byte) (Kind, error) {
	switch packet[0] {
	case okMarker:
		return KindOK, w.end(packet)
	case nullMarker:
		w.Done = true
		return KindLocalFile, nil
	}
	r := reader{rest: packet}
	n, _ := r.length()
	follow := uint64(1)
	if w.agreed.Has(CacheMetadata) {
		follow = r.number(1)
	}
	if r.failed || len(r.rest) > 0 || n == 0 || n > 1<<16 {
		return 0, fmt.Errorf("answer that begins with %d bytes that are no number of columns", len(packet))
	}
	w.Columns, w.columns = int(n), int(n)
	if follow == 0 {
		w.columns = 0
	}
	w.definitions()
	return KindColumns, nil
}

// definitions awaits what is left of the definitions of columns.
func (w *Walker) definitions() {
	switch {
	case w.columns > 0:
		w.expect = (*Walker).column
	case w.agreed.Has(DeprecateEOF):
		w.expect = (*Walker).row
	default:
		w.expect = (*Walker).columnsEnd
	}
}

func (w *Walker) column(packet []byte) (Kind, error) {
	if isEOF(packet) {
		return 0, fmt.Errorf("%d definitions of columns are missing", w.columns)
	}
	w.columns--
	w.definitions()
	return KindColumn, nil
}

// columnsEnd is the EOF after definitions. Where a cursor was opened no rows follow.
func (w *Walker) columnsEnd(packet []byte) (Kind, error) {
	if !isEOF(packet) {
		return 0, fmt.Errorf("packet of kind %#x after definitions of columns: want EOF", packet[0])
	}
	if err := w.see(packet); err != nil {
		return 0, err
	}
	w.expect = (*Walker).row
	if w.Status.Has(CursorExists) {
		return KindEnd, w.end(packet)
	}
	return KindColumnsEnd, nil
}

func (w *Walker) row(packet []byte) (Kind, error) {
	if isEOF(packet) || w.agreed.Has(DeprecateEOF) && packet[0] == eofMarker && len(packet) < Full {
		return KindEnd, w.end(packet)
	}
	w.continues = len(packet) == Full
	return KindRow, nil
}

// end ends one of the sets of an answer.
func (w *Walker) end(packet []byte) error {
	err := w.see(packet)
	w.expect, w.Done = (*Walker).first, !w.Status.Has(MoreResults)
	return err
}

// Prepared is what a server says of a statement that it has prepared (page
// "COM_STMT_PREPARE").
type Prepared struct {
	ID                  uint32
	Columns, Parameters int
}

// ParsePrepared reads the first packet of an answer to COM_STMT_PREPARE.
func ParsePrepared(packet []byte) (Prepared, error) {
	const shortest = 12
	if len(packet) < shortest || packet[0] != okMarker {
		return Prepared{}, fmt.Errorf("answer to a prepare of %d bytes: %w", len(packet), ErrShort)
	}
	return Prepared{ID: binary.LittleEndian.Uint32(packet[1:]), Columns: int(binary.LittleEndian.Uint16(packet[5:])),
		Parameters: int(binary.LittleEndian.Uint16(packet[7:]))}, nil
}

// part is what a number of packets are.
type part struct {
	kind Kind
	n    int
}

// prepared is the first packet of an answer to COM_STMT_PREPARE: definitions of parameters
// and of columns follow, each with an EOF after them unless that is not agreed.
func (w *Walker) prepared(packet []byte) (Kind, error) {
	p, err := ParsePrepared(packet)
	if err != nil {
		return 0, err
	}
	ends := func(n int) int {
		if n == 0 || w.agreed.Has(DeprecateEOF) {
			return 0
		}
		return 1
	}
	w.parts = [4]part{{KindParameter, p.Parameters}, {KindColumnsEnd, ends(p.Parameters)}, {KindColumn, p.Columns}, {KindColumnsEnd, ends(p.Columns)}}
	w.Columns, w.expect = p.Columns, (*Walker).part
	w.Done = w.left() == nil
	return KindPrepared, nil
}

// left is the part that the next packet belongs to, or nil.
func (w *Walker) left() *part {
	for i := range w.parts {
		if w.parts[i].n > 0 {
			return &w.parts[i]
		}
	}
	return nil
}

func (w *Walker) part(packet []byte) (Kind, error) {
	p := w.left()
	if isEOF(packet) != (p.kind == KindColumnsEnd) {
		return 0, fmt.Errorf("packet of kind %#x in the answer to a prepare, at part %d", packet[0], p.kind)
	}
	p.n--
	w.Done = w.left() == nil
	return p.kind, nil
}

// fieldList is an answer to COM_FIELD_LIST: definitions, and an end.
func (w *Walker) fieldList(packet []byte) (Kind, error) {
	if packet[0] == eofMarker {
		w.Done = true
		return KindEnd, w.see(packet)
	}
	return KindColumn, nil
}
