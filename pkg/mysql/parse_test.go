package mysql

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
)

// greetingPacket is one as a server of the 10.11 line sends it.
func greetingPacket() []byte {
	packet := append([]byte{10}, "5.5.5-10.11.19-MariaDB\x00"...)
	packet = binary.LittleEndian.AppendUint32(packet, 42)
	packet = append(packet, "12345678\x00"...)
	flags := uint32(capabilities | capTLS)
	packet = binary.LittleEndian.AppendUint16(packet, uint16(flags))
	packet = append(packet, charsetUTF8MB4, 2, 0)
	packet = binary.LittleEndian.AppendUint16(packet, uint16(flags>>16))
	packet = append(packet, 21)
	packet = append(packet, make([]byte, 10)...)
	return append(packet, "abcdefghijkl\x00mysql_native_password\x00"...)
}

func TestParseGreeting(t *testing.T) {
	whole := greetingPacket()
	for length := range whole {
		if _, err := parseGreeting(whole[:length]); err == nil {
			t.Errorf("accepted the first %d of %d bytes", length, len(whole))
		}
	}
	greeting, err := parseGreeting(whole)
	if err != nil {
		t.Fatal(err)
	}
	if greeting.Version != "10.11.19-MariaDB" || greeting.ConnectionID != 42 || !greeting.OffersTLS || string(greeting.scramble) != "12345678abcdefghijkl" {
		t.Errorf("got %+v", greeting)
	}
	refusal, ok := errors.AsType[*ServerError](func() error { _, err := parseGreeting([]byte("\xff\x69\x04blocked")); return err }())
	if !ok || refusal.Code != 1129 || refusal.Message != "blocked" {
		t.Errorf("got %v, want ERROR 1129", refusal)
	}
}

func TestServerErrors(t *testing.T) {
	for text, want := range map[string]ServerError{
		"\xff\x15\x04#28000denied":        {1045, "28000", "denied"},
		"\xff\x15\x04#HY000denied":        {1045, "HY000", "denied"},
		"\xff\x15\x04#\x1b[2Jx":           {1045, "", ""},
		"\xff\x15\x04denied":              {1045, "", "denied"},
		"\xff\x15\x04#2800":               {1045, "", "#2800"},
		"\xff\x15\x04#28000" + long(5000): {1045, "28000", long(longestMessage)},
	} {
		got, ok := errors.AsType[*ServerError](parseServerError([]byte(text)))
		if !ok || *got != want {
			t.Errorf("%.40q: got %+v, want %+v", text, got, want)
		}
	}
}

func long(length int) string { return strings.Repeat("m", length) }

func TestPacketsAreBoundedAndInSequence(t *testing.T) {
	for name, text := range map[string]string{
		"out of sequence": "\x01\x00\x00\x01x", "too long": "\xff\xff\xff\x00x", "empty": "\x00\x00\x00\x00", "cut": "\x02\x00\x00\x00x", "no header": "\x01",
	} {
		stream := packetStream{stream: bytes.NewBufferString(text), limit: 8}
		if packet, err := stream.read(); err == nil {
			t.Errorf("%s: got %q, want an error", name, packet)
		}
	}
	stream := packetStream{stream: new(bytes.Buffer), limit: 8}
	if err := stream.write(make([]byte, 9)); err == nil {
		t.Error("wrote more than the limit")
	}
}

func TestResultsThatAreRefused(t *testing.T) {
	column := "\x03def\x00\x00\x00\x01a\x00"
	for name, packets := range map[string][]string{
		"a local file":      {"\xfb/etc/passwd"},
		"no column":         {"\xfc\x00\x00"},
		"too many columns":  {"\xfc\xff\xff"},
		"no end":            {"\x01", column, "\x00"},
		"a short row":       {"\x01", column, "\xfe\x00\x00\x00\x00", "\x05abc"},
		"a long row":        {"\x01", column, "\xfe\x00\x00\x00\x00", "\x01ab"},
		"an error mid-way":  {"\x01", column, "\xfe\x00\x00\x00\x00", "\x01a", "\xff\x28\x05#70100gone"},
		"a dropped session": {"\x01", column, "\xfe\x00\x00\x00\x00", "\x01a"},
		"a cut column":      {"\x01", "\x03de"},
	} {
		if rows, err := readResult(feed(packets)); err == nil {
			t.Errorf("%s: got %+v, want an error", name, rows)
		}
	}
	rows, err := readResult(feed([]string{"\x01", column, "\xfe\x00\x00\x00\x00", "\x01a", "\xfb", "\xfe\x00\x00\x00\x00"}))
	if err != nil || len(rows.Values) != 2 || !rows.Values[1][0].Null {
		t.Errorf("got %+v and %v, want two rows", rows, err)
	}
}

func feed(packets []string) func() ([]byte, error) {
	return func() ([]byte, error) {
		if len(packets) == 0 {
			return nil, io.ErrUnexpectedEOF
		}
		next := packets[0]
		packets = packets[1:]
		return []byte(next), nil
	}
}

func FuzzGreeting(f *testing.F) {
	f.Add(greetingPacket())
	f.Fuzz(func(_ *testing.T, packet []byte) { parseGreeting(packet) })
}

func FuzzServerError(f *testing.F) {
	f.Add([]byte("\xff\x15\x04#28000Access denied"))
	f.Fuzz(func(t *testing.T, packet []byte) {
		if parseServerError(packet) == nil {
			t.Error("got no error from an error packet")
		}
	})
}

func FuzzResult(f *testing.F) {
	f.Add([]byte("\x01"), []byte("\x03def\x00\x00\x00\x01a\x00"), []byte("\x01a"))
	f.Fuzz(func(_ *testing.T, count, column, row []byte) {
		for _, packet := range [][]byte{count, column, row} {
			if len(packet) == 0 {
				return
			}
		}
		readResult(feed([]string{string(count), string(column), "\xfe\x00\x00\x00\x00", string(row)}))
	})
}
