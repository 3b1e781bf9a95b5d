package mysql

import "testing"

// FuzzPrepared plays a server that answers what is prepared.
func FuzzPrepared(f *testing.F) {
	const definition = "\x03def\x00\x00\x00\x01a\x00\x0c\x2d\x00\x04\x00\x00\x00\xfd\x00\x00\x00\x00\x00"
	f.Add([]byte("\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00"), []byte(definition), []byte("\x00\x00\x01a"))
	f.Add([]byte("\x00\x01\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00"), []byte(definition), []byte("\x00\x04"))
	f.Fuzz(func(t *testing.T, answer, definition, row []byte) {
		for _, packet := range [][]byte{answer, definition, row} {
			if len(packet) == 0 {
				return
			}
		}
		made, err := readPrepared(feed([]string{string(answer), string(definition), "\xfe\x00\x00\x00\x00"}))
		if err == nil && made.parameters > maxParameters {
			t.Errorf("got %d parameters", made.parameters)
		}
		rows, err := readRows(feed([]string{"\x01", string(definition), "\xfe\x00\x00\x00\x00", string(row), "\xfe\x00\x00\x00\x00"}), parseBinaryRow)
		if err == nil && rows != nil && len(rows.Values) > 0 && len(rows.Values[0]) != 1 {
			t.Errorf("got %d values of one column", len(rows.Values[0]))
		}
	})
}

// TestBinaryRowsThatAreRefused: what does not fit its columns to the last byte is no row.
func TestBinaryRowsThatAreRefused(t *testing.T) {
	text, number, date, odd := column{name: "a", kind: 0xfd}, column{name: "n", kind: 0x08}, column{name: "d", kind: 0x0a}, column{name: "t", kind: 0x0b}
	for name, c := range map[string]struct {
		row     string
		columns []column
	}{
		"no marker":             {"\x01\x00\x01a", []column{text}},
		"no bits":               {"\x00", []column{text}},
		"cut":                   {"\x00\x00\x02a", []column{text}},
		"more":                  {"\x00\x00\x01ab", []column{text}},
		"NULL for a value":      {"\x00\x00\xfb", []column{text}},
		"half a number":         {"\x00\x00\x01\x00", []column{number}},
		"a date of three bytes": {"\x00\x00\x03\xe8\x07\x01", []column{date}},
		"a type that is unread": {"\x00\x00\x00", []column{odd}},
	} {
		if row, err := parseBinaryRow([]byte(c.row), c.columns); err == nil {
			t.Errorf("%s: got %v", name, row)
		}
	}
	row, err := parseBinaryRow([]byte("\x00\x08\x01a\x04\xb2\x07\x01\x02"), []column{text, number, date})
	if err != nil || row[0].Text != "a" || !row[1].Null || row[2].Text != "1970-01-02" {
		t.Errorf("got %v, %v", row, err)
	}
}
