package wire_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/lab/maxscale/wire"
)

// pipe reads from one side and writes to another.
type pipe struct {
	io.Reader
	io.Writer
}

// TestMessages sends messages around the length at which they are cut.
func TestMessages(t *testing.T) {
	for _, length := range []int{0, 1, 1000, wire.Full - 1, wire.Full, wire.Full + 1} {
		var sent bytes.Buffer
		message := bytes.Repeat([]byte{'m'}, length)
		if err := wire.NewBuffered(pipe{nil, &sent}).Send(7, message); err != nil {
			t.Fatal(err)
		}
		packets := length/wire.Full + 1
		if want := length + 4*packets; sent.Len() != want {
			t.Errorf("%d bytes are sent as %d, want %d", length, sent.Len(), want)
		}
		got, next, err := wire.NewBuffered(pipe{&sent, nil}).ReadMessage(length)
		if err != nil || !bytes.Equal(got, message) || int(next) != 7+packets {
			t.Errorf("a message of %d bytes came as %d, next %d: %v", length, len(got), next, err)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		sent  []byte
		limit int
		want  error
	}{
		"nothing":         {nil, 10, io.EOF},
		"half a header":   {[]byte{1, 0}, 10, io.ErrUnexpectedEOF},
		"half a packet":   {[]byte{3, 0, 0, 0, 'a'}, 10, io.ErrUnexpectedEOF},
		"no packet":       {[]byte{3, 0, 0, 0}, 10, io.ErrUnexpectedEOF},
		"a large message": {[]byte{3, 0, 0, 0, 'a', 'b', 'c'}, 2, wire.ErrLarge},
		"a large packet":  {[]byte{0, 0, 1, 0}, 1 << 20, io.ErrUnexpectedEOF},
	} {
		if _, _, err := wire.NewBuffered(pipe{bytes.NewReader(c.sent), nil}).ReadMessage(c.limit); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if _, err := wire.NewStream(pipe{bytes.NewReader([]byte{1, 0, 1, 0}), io.Discard}).Read(); !errors.Is(err, wire.ErrLarge) {
		t.Errorf("before a login a packet of more than 64 KiB is read: %v", err)
	}
}

// TestUnbufferedReadsNoFurther: what follows a request for TLS is TLS.
func TestUnbufferedReadsNoFurther(t *testing.T) {
	rest := bytes.NewReader([]byte{1, 0, 0, 0, 'a', 0x16, 3, 1})
	if _, err := wire.NewStream(pipe{rest, io.Discard}).Read(); err != nil || rest.Len() != 3 {
		t.Errorf("%d bytes are left, want 3: %v", rest.Len(), err)
	}
}

var challenge = wire.Challenge([]byte("abcdefghijklmnopqrst"))

// TestGreetingBytes has the capabilities as they were measured, where they stand.
func TestGreetingBytes(t *testing.T) {
	for _, c := range []struct {
		capabilities    wire.Capabilities
		low, high, more string
	}{
		{wire.Plain, "\xde\xff", "\xbf\x01", "\x1c\x00\x00\x00"},
		{wire.Rewriting, "\xde\xff", "\xbf\x00", "\x04\x00\x00\x00"},
	} {
		g := wire.Greeting{Version: "5.5.5-10.11.19-MariaDB", ConnectionID: 3, Challenge: challenge, Capabilities: c.capabilities, Charset: 8, Status: wire.Autocommit}
		want := "\x0a5.5.5-10.11.19-MariaDB\x00\x03\x00\x00\x00abcdefgh\x00" + c.low + "\x08\x02\x00" + c.high +
			"\x15\x00\x00\x00\x00\x00\x00" + c.more + "ijklmnopqrst\x00mysql_native_password\x00"
		if got := string(g.Encode()); got != want {
			t.Errorf("greeting %q\nwant %q", got, want)
		}
		read, err := wire.ParseGreeting(g.Encode())
		if err != nil || *read != g {
			t.Errorf("%+v is read as %+v: %v", g, read, err)
		}
		for n := range strings.Index(want, "mysql_native") - 1 {
			if _, err := wire.ParseGreeting([]byte(want[:n])); err == nil {
				t.Errorf("%d bytes are a greeting", n)
			}
		}
	}
	refusal := wire.NewError(1040, "08004", "Too many connections")
	var e *wire.Error
	if _, err := wire.ParseGreeting(refusal.EncodeEarly()); !errors.As(err, &e) || e.Code != 1040 || e.State != "" {
		t.Errorf("a server that refuses: %v", err)
	}
}

func logins() []wire.Login {
	const least = wire.Protocol41 | wire.SecureConnection
	all := least | wire.PluginAuth | wire.PluginAuthLength | wire.ConnectAttributes | wire.ConnectWithDB | wire.BulkOperations
	return []wire.Login{
		{Capabilities: least, MaxPacket: 1 << 24, Charset: 33, User: "u", Reply: []byte("12345678901234567890")},
		{Capabilities: least | wire.LongPassword, Charset: 8, User: ""},
		{Capabilities: least | wire.PluginAuth, Charset: 45, User: "u", Reply: []byte{}, Plugin: "client_ed25519"},
		{Capabilities: all, Charset: 45, User: "üser", Reply: bytes.Repeat([]byte{9}, 250), Database: "shop", Plugin: wire.NativePassword, Attributes: []byte("\x01a\x01b")},
	}
}

func TestLogin(t *testing.T) {
	empty := cmp.Transformer("text", func(b []byte) string { return string(b) })
	for _, l := range logins() {
		sent := l.Encode()
		got, err := wire.ParseLogin(sent)
		if err != nil {
			t.Errorf("%+v: %v", l, err)
		} else if d := cmp.Diff(l, *got, empty); d != "" {
			t.Error(d)
		}
		if wire.IsTLSRequest(sent) || !wire.IsTLSRequest(l.TLSRequest()) {
			t.Errorf("a login of %d bytes is taken for a request for TLS, or that for a login", len(sent))
		}
		for n := range len(sent) {
			if _, err := wire.ParseLogin(sent[:n]); err == nil && n != len(sent)-1-len(l.Attributes) {
				t.Errorf("%d of %d bytes are a login", n, len(sent))
			}
		}
		change, err := wire.ParseChangeUser(l.EncodeChangeUser(), l.Capabilities)
		l.MaxPacket = 0
		if err != nil {
			t.Errorf("%+v: %v", l, err)
		} else if d := cmp.Diff(l, *change, empty); d != "" {
			t.Error(d)
		}
	}
	if _, err := wire.ParseLogin(make([]byte, 100)); err == nil {
		t.Error("a client from before 4.1 logs in")
	}
}

func TestSwitchRequest(t *testing.T) {
	got, ok := wire.ParseSwitchRequest(wire.SwitchRequest(challenge))
	if !ok || got != challenge {
		t.Errorf("%q, %v", got, ok)
	}
	for _, packet := range []string{"", "\xfe", "\xfeclient_ed25519\x00aaaaaaaaaaaaaaaaaaaaaaaaa\x00", "\x00mysql_native_password\x00abcdefghijklmnopqrst\x00", "\xfemysql_native_password\x00abc"} {
		if _, ok := wire.ParseSwitchRequest([]byte(packet)); ok {
			t.Errorf("%q is a request to switch", packet)
		}
	}
}

func TestNativePassword(t *testing.T) {
	// SELECT PASSWORD('mypass') of MariaDB's documentation.
	const of = "*6C8989366EAF75BB670AD8EA7A7FC1176A95CEF4"
	stored, ok := wire.ParseStored(of)
	if !ok || wire.HashPassword("mypass").Stored() != stored {
		t.Fatalf("%x, %v", stored, ok)
	}
	reply := wire.HashPassword("mypass").Answer(challenge)
	if h, ok := wire.Recover(challenge, reply, stored); !ok || h != wire.HashPassword("mypass") {
		t.Errorf("the right password: %x, %v", h, ok)
	}
	other := challenge
	other[19]++
	for name, wrong := range map[string][]byte{"another password": wire.HashPassword("mypast").Answer(challenge), "another challenge": wire.HashPassword("mypass").Answer(other),
		"none": nil, "a short one": reply[:19], "a long one": append(reply[:20:20], 0)} {
		if h, ok := wire.Recover(challenge, wrong, stored); ok || h != (wire.Hash{}) {
			t.Errorf("%s is taken: %x", name, h)
		}
	}
	for _, text := range []string{"", of[1:], "*", of[:40], of + "0", "*zz" + of[3:], "-" + of[1:]} {
		if _, ok := wire.ParseStored(text); ok {
			t.Errorf("%q is a hash", text)
		}
	}
}

func TestChallengeHasNoZero(t *testing.T) {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	for random := bytes.NewReader(every); random.Len() >= wire.ChallengeBytes; {
		if c, err := wire.NewChallenge(random); err != nil || bytes.ContainsFunc(c[:], func(r rune) bool { return r < 1 || r > 127 }) {
			t.Errorf("%v: %v", c, err)
		}
	}
	if _, err := wire.NewChallenge(bytes.NewReader(every[:19])); err == nil {
		t.Error("a challenge without randomness")
	}
}

func TestError(t *testing.T) {
	for _, e := range []wire.Error{{1045, "28000", "Access denied"}, {1040, "", "Too many connections"}, {1, "HY000", ""}} {
		var got *wire.Error
		if err := wire.ParseError(e.Encode()); !errors.As(err, &got) || *got != e {
			t.Errorf("%+v is read as %v", e, err)
		}
	}
	var e *wire.Error
	for _, packet := range []string{"", "\xff", "\xff\x01", "\x00\x01\x02"} {
		if err := wire.ParseError([]byte(packet)); err == nil || errors.As(err, &e) {
			t.Errorf("%q is an error packet", packet)
		}
	}
}

// tracked is an OK packet with session tracking, of MariaDB: info, then last_gtid, a
// database, and autocommit.
const tracked = "\x00\x01\xfc\x00\x01\x02\x40\x03\x00" + "\x04Rows" + "\x29" +
	"\x00\x12\x09last_gtid\x070-1-234" + "\x01\x05\x04shop" + "\x00\x0c\x0aautocommit\x00"

func TestOK(t *testing.T) {
	const all = wire.SessionTrack | wire.DeprecateEOF
	for _, c := range []struct {
		packet string
		agreed wire.Capabilities
		want   wire.OK
	}{
		{"\x00\x00\x00\x02\x00\x00\x00", 0, wire.OK{Status: 2}},
		{"\x00\x00\x00\x02\x00\x00\x00", all, wire.OK{Status: 2}},
		{"\x00\x01\xfd\x00\x00\x01\x03\x00\x05\x00\x04text", 0, wire.OK{Affected: 1, InsertID: 1 << 16, Status: 3, Warnings: 5, Info: "text"}},
		{"\xfe\x00\x00\x0a\x00\x01\x00", all, wire.OK{Status: 10, Warnings: 1}},
		{"\xfe\x01\x00\x0a\x00", 0, wire.OK{Status: 10, Warnings: 1}},
		{tracked, all, wire.OK{Affected: 1, InsertID: 256, Status: 0x4002, Warnings: 3, Info: "Rows", Tracked: []wire.Variable{{"last_gtid", "0-1-234"}, {"autocommit", ""}}}},
	} {
		got, err := wire.ParseOK([]byte(c.packet), c.agreed)
		if err != nil {
			t.Errorf("%q: %v", c.packet, err)
		} else if d := cmp.Diff(c.want, *got); d != "" {
			t.Errorf("%q: %s", c.packet, d)
		}
	}
	for _, packet := range []string{"", "\x00", "\xfe\x00", "\xff\x00\x00\x02\x00\x00\x00", "\x00\x00\x00\x02\x40\x00\x00\x00\x09a"} {
		if o, err := wire.ParseOK([]byte(packet), all&^wire.DeprecateEOF); err == nil {
			t.Errorf("%q is %+v", packet, o)
		}
	}
}

func TestEncodeOK(t *testing.T) {
	for _, agreed := range []wire.Capabilities{0, wire.SessionTrack} {
		for _, o := range []wire.OK{{}, {Affected: 300, InsertID: 1 << 40, Status: 3, Warnings: 1, Info: "Records: 1"}} {
			got, err := wire.ParseOK(o.Encode(), agreed)
			if d := cmp.Diff(&o, got); err != nil || d != "" {
				t.Errorf("%v%s", err, d)
			}
		}
	}
}

// TestUntrack: the part that is tracked goes, and nothing else changes.
func TestUntrack(t *testing.T) {
	const all = wire.SessionTrack | wire.DeprecateEOF
	for _, packet := range []string{tracked, "\x00\x00\x00\x02\x00\x00\x00", "\xfe\x00\x00\x0a\x00\x01\x00", "\x00\x00\x00\x02\x40\x00\x00\x00\x00"} {
		want, err := wire.ParseOK([]byte(packet), all)
		if err != nil {
			t.Fatal(err)
		}
		less, err := wire.Untrack([]byte(packet))
		if err != nil {
			t.Fatal(err)
		}
		got, err := wire.ParseOK(less, wire.DeprecateEOF)
		want.Tracked, want.Status = nil, want.Status&^wire.StateChanged
		if d := cmp.Diff(want, got); err != nil || d != "" {
			t.Errorf("%v%s", err, d)
		}
	}
	if _, err := wire.Untrack([]byte("\x00\x00\x00\x02\x40\x00\x00\x05a")); err == nil {
		t.Error("a short packet loses its end")
	}
}

func columnOf(name string, kind wire.Type, extended bool) []byte {
	p := []byte("\x03def\x03lab\x01p\x06person\x01" + name + "\x03ssn")
	if extended {
		p = append(p, 5, 0, 3, 'u', 'u', 'i')
	}
	p = append(p, 0x0c, 45, 0, 44, 0, 0, 0, byte(kind))
	return append(binary.LittleEndian.AppendUint16(p, 0x1001), 0, 0, 0)
}

func TestColumn(t *testing.T) {
	want := wire.Column{Schema: "lab", Table: "p", OrgTable: "person", Name: "r", OrgName: "ssn", Charset: 45, Length: 44, Type: 0xfe, Flags: 0x1001}
	for _, extended := range []bool{false, true} {
		agreed := wire.Capabilities(0)
		if extended {
			agreed = wire.ExtendedMetadata
		}
		packet := columnOf("r", 0xfe, extended)
		if got, err := wire.ParseColumn(packet, agreed); err != nil || got != want {
			t.Errorf("%+v, want %+v: %v", got, want, err)
		}
		if _, err := wire.ParseColumn(packet[:len(packet)-6], agreed); err == nil {
			t.Error("half a definition is read")
		}
	}
}

func TestRows(t *testing.T) {
	text := "\x03abc\xfb\x00\xfc\x02\x00de"
	got, err := wire.TextRow([]byte(text), 4)
	if d := cmp.Diff([]wire.Value{{1, 4, false}, {5, 5, true}, {6, 6, false}, {9, 11, false}}, got); err != nil || d != "" {
		t.Errorf("%v%s", err, d)
	}
	for columns, row := range map[int]string{3: text, 5: text, 1: "\x05abc", 2: "\xff"} {
		if _, err := wire.TextRow([]byte(row), columns); err == nil {
			t.Errorf("%q is a row of %d columns", row, columns)
		}
	}
	types := []wire.Type{wire.TypeTiny, 0xfd, wire.TypeLongLong, wire.TypeDateTime, wire.TypeShort, 0xfe, wire.TypeTime, wire.TypeDouble}
	// NULL are the third and the sixth: bits 4 and 7.
	binaryRow := "\x00\x90\x00" + "\x07" + "\x02hi" + "\x04\xd0\x07\x01\x01" + "\x05\x00" + "\x00" + "12345678"
	got, err = wire.BinaryRow([]byte(binaryRow), types)
	want := []wire.Value{{3, 4, false}, {5, 7, false}, {7, 7, true}, {8, 12, false}, {12, 14, false}, {14, 14, true}, {15, 15, false}, {15, 23, false}}
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Errorf("%v%s", err, d)
	}
	for n := range len(binaryRow) {
		if _, err := wire.BinaryRow([]byte(binaryRow[:n]), types); err == nil {
			t.Errorf("%d bytes are a row", n)
		}
	}
	if _, err := wire.BinaryRow([]byte(binaryRow+"x"), types); err == nil {
		t.Error("a row with a byte too many")
	}
}
