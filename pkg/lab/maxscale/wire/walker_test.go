package wire_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/lab/maxscale/wire"
)

// answer is what a server says, packet by packet, and what each is.
type answer struct {
	agreed  wire.Capabilities
	packets [][]byte
	kinds   []wire.Kind
}

func (a *answer) add(kind wire.Kind, packet []byte) *answer {
	a.packets, a.kinds = append(a.packets, packet), append(a.kinds, kind)
	return a
}

func (a *answer) ok(status wire.Status) *answer {
	return a.add(wire.KindOK, wire.OK{Status: status, Affected: 0xfb, Info: "Rows matched: 1"}.Encode())
}

func (a *answer) fail() *answer {
	return a.add(wire.KindError, wire.NewError(1064, "42000", "syntax").Encode())
}

// eof is the end of something, in the form that is agreed.
func (a *answer) eof(kind wire.Kind, status wire.Status) *answer {
	if a.agreed.Has(wire.DeprecateEOF) {
		if kind == wire.KindColumnsEnd {
			return a
		}
		p := wire.OK{Status: status}.Encode()
		p[0] = 0xfe
		return a.add(kind, p)
	}
	return a.add(kind, binary.LittleEndian.AppendUint16([]byte{0xfe, 0, 0}, uint16(status)))
}

// columns announces n columns and defines them, or says that the client knows them.
func (a *answer) columns(n int, define bool) *answer {
	p := []byte{byte(n)}
	if n > 250 {
		p = []byte{0xfc, byte(n), byte(n >> 8)}
	}
	if a.agreed.Has(wire.CacheMetadata) {
		p = append(p, map[bool]byte{false: 0, true: 1}[define])
	}
	a.add(wire.KindColumns, p)
	for range n {
		if define || !a.agreed.Has(wire.CacheMetadata) {
			a.add(wire.KindColumn, columnOf("r", 0xfe, false))
		}
	}
	return a
}

func (a *answer) rows(rows ...[]byte) *answer {
	for _, row := range rows {
		a.add(wire.KindRow, row)
	}
	return a
}

// hugeRow is the first packet of a row of more than one, which begins as an end does.
var hugeRow = sync.OnceValue(func() []byte {
	return append([]byte{0xfe, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0}, bytes.Repeat([]byte{0xff}, wire.Full-9)...)
})

// set is a whole set of two columns with the rows that are easily taken for something else.
func (a *answer) set(status wire.Status) *answer {
	huge := hugeRow()
	a.columns(2, true).eof(wire.KindColumnsEnd, wire.Autocommit)
	a.rows([]byte{0, 0}, []byte{0xfb, 0xfb}, []byte("\x01a\x01b"), huge, []byte{0xff, 0x13}, []byte{0xfb, 0})
	return a.eof(wire.KindEnd, status)
}

func (a *answer) prepared(parameters, columns int) *answer {
	p := binary.LittleEndian.AppendUint32([]byte{0}, 5)
	p = binary.LittleEndian.AppendUint16(p, uint16(columns))
	p = binary.LittleEndian.AppendUint16(p, uint16(parameters))
	a.add(wire.KindPrepared, append(p, 0, 0, 0))
	for _, part := range []struct {
		kind wire.Kind
		n    int
	}{{wire.KindParameter, parameters}, {wire.KindColumn, columns}} {
		for range part.n {
			a.add(part.kind, columnOf("?", 6, false))
		}
		if part.n > 0 {
			a.eof(wire.KindColumnsEnd, 0)
		}
	}
	return a
}

// answers are the forms of answers to commands, for parties that agree on something.
func answers(agreed wire.Capabilities) map[wire.Command][]*answer {
	begin := func() *answer { return &answer{agreed: agreed} }
	cursor := begin().columns(1, true)
	if agreed.Has(wire.DeprecateEOF) {
		cursor.eof(wire.KindEnd, wire.CursorExists|wire.Autocommit)
	} else {
		cursor.eof(wire.KindEnd, wire.CursorExists)
	}
	sets := []*answer{begin().ok(2), begin().fail(), begin().set(2), begin().set(wire.MoreResults).set(wire.MoreResults).ok(0),
		begin().ok(wire.MoreResults).ok(wire.MoreResults).fail(), begin().set(wire.MoreResults).fail(),
		begin().columns(300, true).eof(wire.KindColumnsEnd, 0).eof(wire.KindEnd, 2), begin().columns(1, false).eof(wire.KindColumnsEnd, 0).rows([]byte("\x00\x00\x01a")).eof(wire.KindEnd, 0),
		begin().columns(1, true).eof(wire.KindColumnsEnd, 0).rows([]byte("\x01a")).fail(), cursor, begin().add(wire.KindLocalFile, []byte("\xfb/etc/passwd"))}
	one := []*answer{begin().ok(2), begin().fail()}
	return map[wire.Command][]*answer{
		wire.Query: sets, wire.Execute: sets, wire.BulkExecute: sets, wire.ProcessInfo: sets,
		wire.Prepare:    {begin().prepared(0, 0), begin().prepared(2, 0), begin().prepared(0, 3), begin().prepared(1, 1), begin().fail()},
		wire.Fetch:      {begin().rows([]byte("\x00\x00\x01a")).eof(wire.KindEnd, wire.LastRowSent), begin().eof(wire.KindEnd, 0), begin().fail()},
		wire.FieldList:  {begin().add(wire.KindColumn, columnOf("r", 1, false)).eof(wire.KindEnd, 0), begin().eof(wire.KindEnd, 0), begin().fail()},
		wire.Statistics: {begin().add(wire.KindOther, []byte("Uptime: 1"))},
		wire.InitDB:     one, wire.Ping: one, wire.ResetConnection: one, wire.ResetStatement: one, wire.SetOption: one, wire.Refresh: one,
	}
}

// TestWalker walks over every form of answer, whatever is agreed.
func TestWalker(t *testing.T) {
	walked := 0
	for _, agreed := range []wire.Capabilities{0, wire.DeprecateEOF, wire.SessionTrack, wire.CacheMetadata, wire.DeprecateEOF | wire.SessionTrack | wire.CacheMetadata} {
		for command, all := range answers(agreed) {
			for i, a := range all {
				walked++
				t.Run(fmt.Sprintf("%#x/%#x/%d", uint64(agreed), byte(command), i), func(t *testing.T) { walk(t, command, a) })
			}
		}
	}
	if walked < 200 {
		t.Errorf("%d answers", walked)
	}
	for _, silent := range []wire.Command{wire.Quit, wire.CloseStatement, wire.SendLongData} {
		if w := wire.NewWalker(silent, 0); !w.Done {
			t.Errorf("an answer to %#x is awaited", byte(silent))
		}
	}
}

func walk(t *testing.T, command wire.Command, a *answer) {
	w := wire.NewWalker(command, a.agreed)
	var kinds []wire.Kind
	for i, packet := range a.packets {
		kind, err := w.Next(packet)
		if err != nil {
			t.Fatalf("packet %d: %v", i, err)
		}
		kinds = append(kinds, kind)
		if w.Done != (i == len(a.packets)-1) {
			t.Fatalf("after packet %d of %d: done is %v", i, len(a.packets), w.Done)
		}
	}
	if d := cmp.Diff(a.kinds, kinds); d != "" {
		t.Error(d)
	}
	if _, err := w.Next([]byte{0}); err == nil {
		t.Error("a packet after the end is taken")
	}
}

func TestWalkerStatus(t *testing.T) {
	w := wire.NewWalker(wire.Query, 0)
	for _, packet := range (&answer{}).set(wire.MoreResults | wire.InTransaction).ok(wire.Autocommit).packets {
		if w.Columns == 2 && w.Status == wire.MoreResults|wire.InTransaction && w.Done {
			t.Error("done while more results are to come")
		}
		if _, err := w.Next(packet); err != nil {
			t.Fatal(err)
		}
	}
	if w.Status != wire.Autocommit || !w.HasStatus {
		t.Errorf("status %#x", w.Status)
	}
	if w := wire.NewWalker(wire.Query, 0); w.HasStatus {
		t.Error("a status before any packet")
	}
}

// TestWalkerRefuses: what is no answer to the command is an error, and not passed on.
func TestWalkerRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		command wire.Command
		agreed  wire.Capabilities
		packets []string
	}{
		"an empty packet":                 {wire.Query, 0, []string{""}},
		"an OK cut short":                 {wire.Ping, 0, []string{"\x00\x00"}},
		"a number with something behind":  {wire.Query, 0, []string{"\x01\x01"}},
		"no word on definitions":          {wire.Query, wire.CacheMetadata, []string{"\x01"}},
		"too many columns":                {wire.Query, 0, []string{"\xfd\x01\x00\x01"}},
		"the end of columns too early":    {wire.Query, 0, []string{"\x01", "\xfe\x00\x00\x02\x00"}},
		"a row without end of columns":    {wire.Query, 0, []string{"\x01", string(columnOf("r", 1, false)), "\x01a"}},
		"a short answer to a prepare":     {wire.Prepare, 0, []string{"\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00"}},
		"another answer to a prepare":     {wire.Prepare, 0, []string{"\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"}},
		"an end in the place of a column": {wire.Prepare, 0, []string{"\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00", "\xfe\x00\x00\x02\x00"}},
		"a column in the place of an end": {wire.Prepare, 0, []string{"\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00", "\x03def", "\x03def"}},
		"a row where one packet is due":   {wire.Ping, 0, []string{"\x01"}},
	} {
		w := wire.NewWalker(c.command, c.agreed)
		var err error
		for i, packet := range c.packets {
			if _, err = w.Next([]byte(packet)); err != nil && i < len(c.packets)-1 {
				t.Errorf("%s: packet %d: %v", name, i, err)
			}
		}
		if err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
