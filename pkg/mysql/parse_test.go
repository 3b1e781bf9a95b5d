package mysql

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
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
	for _, flag := range []int{capProtocol41, capSecureConnection} {
		old := bytes.Clone(whole)
		binary.LittleEndian.PutUint16(old[len("\x0a5.5.5-10.11.19-MariaDB\x00")+4+9:], uint16((capabilities|capTLS)&^flag))
		if _, err := parseGreeting(old); err == nil {
			t.Errorf("accepted a server without capability %#x", flag)
		}
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

// TestWhatAServerSaysIsCleaned shows that neither version nor message moves a cursor.
func TestWhatAServerSaysIsCleaned(t *testing.T) {
	for _, said := range []string{"a\x1b[2Jb", "a\nb", "a\u009b2Jb", "a\u202eb", "a\xffb", "a\r\tb"} {
		greeting, err := parseGreeting(bytes.Replace(greetingPacket(), []byte("10.11.19-MariaDB"), []byte(said), 1))
		if err != nil {
			t.Fatal(err)
		}
		refusal, ok := errors.AsType[*ServerError](parseServerError([]byte("\xff\x15\x04#28000" + said)))
		if !ok {
			t.Fatalf("%q: got no *ServerError", said)
		}
		for _, shown := range []string{greeting.Version, refusal.Message} {
			if shown != "a b" && shown != "ab" {
				t.Errorf("%q: got %q", said, shown)
			}
		}
	}
	if _, err := parseGreeting(bytes.Replace(greetingPacket(), []byte("10.11.19"), []byte(long(300)), 1)); err == nil {
		t.Error("accepted a version of 300 bytes")
	}
}

func long(length int) string { return strings.Repeat("m", length) }

func TestPacketsAreBoundedAndInSequence(t *testing.T) {
	for name, text := range map[string]string{
		"out of sequence": "\x01\x00\x00\x01x", "too long": "\x09\x00\x00\x00123456789", "endless": "\xff\xff\xff\x00x", "empty": "\x00\x00\x00\x00", "cut": "\x02\x00\x00\x00x", "no header": "\x01",
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
	const column, end = "\x03def\x00\x00\x00\x01a\x00\x0c\x2d\x00\x04\x00\x00\x00\xfd\x00\x00\x00\x00\x00", "\xfe\x00\x00\x00\x00"
	many := append([]string{"\x41"}, slices.Repeat([]string{column}, 65)...)
	rowOf := func(bytes int) string {
		return string(binary.LittleEndian.AppendUint32([]byte{0xfe}, uint32(bytes))) + "\x00\x00\x00\x00" + long(bytes)
	}
	for name, packets := range map[string][]string{
		"a local file":      {"\xfb/etc/passwd"},
		"no column":         {"\xfc\x00\x00"},
		"too many columns":  {"\xfc\xff\xff"},
		"too many, in full": append(many, end, end),
		"a long name":       {"\x01", "\x03def\x00\x00\x00\xfc\x01\x04" + long(1025) + "\x00\x0c\x2d\x00\x04\x00\x00\x00\xfd\x00\x00\x00\x00\x00", end, end},
		"too many rows":     append([]string{"\x01", column, end}, append(slices.Repeat([]string{"\x01a"}, maxRows+1), end)...),
		"too many bytes":    append([]string{"\x01", column, end}, append(slices.Repeat([]string{rowOf(1 << 20)}, maxResultBytes>>20), end)...),
		"no end":            {"\x01", column, "\x00", end},
		"a short row":       {"\x01", column, end, "\x05abc", end},
		"a long row":        {"\x01", column, end, "\x01ab", end},
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

func FuzzAuthSwitch(f *testing.F) {
	f.Add([]byte(authSwitch))
	f.Add([]byte("\xfemysql_clear_password\x00"))
	f.Fuzz(func(t *testing.T, packet []byte) {
		if challenge, err := parseAuthSwitch(packet); err == nil && len(challenge) != scrambleBytes {
			t.Errorf("accepted a challenge of %d bytes", len(challenge))
		}
	})
}

// FuzzLogin plays a server in clear: nothing that it sends is a refusal that counts.
func FuzzLogin(f *testing.F) {
	f.Add([]byte(denied), []byte(authSwitch))
	f.Add([]byte(authSwitch), []byte(denied))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		var sent bytes.Buffer
		for i, packet := range [][]byte{first, second} {
			sent.Write([]byte{byte(len(packet)), byte(len(packet) >> 8), byte(len(packet) >> 16), byte(2*i + 2)})
			sent.Write(packet)
		}
		conn := &Conn{packets: packetStream{stream: struct {
			io.Reader
			io.Writer
		}{&sent, io.Discard}, sequence: 1, limit: maxHandshakePacket}}
		attempt := Attempt{Stage: LoggingIn, Greeting: &Greeting{scramble: []byte(greetingChallenge)}}
		attempt.Err = conn.authenticate(Login{Account: "app", Password: "secret"}, &attempt)
		if _, alerted := attempt.Alert(); alerted || attempt.Denied() || attempt.Admitted() {
			t.Errorf("%v counts as a refusal", attempt.Err)
		}
	})
}

func FuzzResult(f *testing.F) {
	f.Add([]byte("\x01"), []byte("\x03def\x00\x00\x00\x01a\x00\x0c\x2d\x00\x04\x00\x00\x00\xfd\x00\x00\x00\x00\x00"), []byte("\x01a"))
	f.Fuzz(func(_ *testing.T, count, column, row []byte) {
		for _, packet := range [][]byte{count, column, row} {
			if len(packet) == 0 {
				return
			}
		}
		readResult(feed([]string{string(count), string(column), "\xfe\x00\x00\x00\x00", string(row)}))
	})
}
