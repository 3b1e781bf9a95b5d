package wire_test

import (
	"bytes"
	"testing"

	"github.com/confidb/confidb/pkg/lab/maxscale/wire"
)

// FuzzHandshake reads anything as each packet of a handshake. What is read is written in a
// form that is read as the same again.
func FuzzHandshake(f *testing.F) {
	f.Add(wire.Greeting{Version: "5.5.5-10.11.19-MariaDB", Challenge: challenge, Capabilities: wire.Plain}.Encode())
	for _, l := range logins() {
		f.Add(l.Encode())
		f.Add(l.EncodeChangeUser())
	}
	f.Add(wire.SwitchRequest(challenge))
	f.Fuzz(func(t *testing.T, packet []byte) {
		if g, err := wire.ParseGreeting(packet); err == nil {
			if again, err := wire.ParseGreeting(g.Encode()); err != nil || *again != *g {
				t.Errorf("%+v is read as %+v: %v", g, again, err)
			}
		}
		if l, err := wire.ParseLogin(packet); err == nil {
			again, err := wire.ParseLogin(l.Encode())
			if err != nil || again.User != l.User || !bytes.Equal(again.Reply, l.Reply) || again.Database != l.Database || again.Plugin != l.Plugin || !bytes.Equal(again.Attributes, l.Attributes) {
				t.Errorf("%+v is read as %+v: %v", l, again, err)
			}
		}
		for _, agreed := range []wire.Capabilities{0, wire.PluginAuth | wire.ConnectAttributes} {
			if l, err := wire.ParseChangeUser(packet, agreed); err == nil && len(l.Reply) > 255 {
				t.Errorf("an answer of %d bytes", len(l.Reply))
			}
		}
		wire.ParseSwitchRequest(packet)
		wire.IsTLSRequest(packet)
		wire.ParseError(packet)
	})
}

// FuzzAnswer walks over anything, cut into packets at their first byte, as the answer to
// each command. A walker that is done stays so.
func FuzzAnswer(f *testing.F) {
	for command, all := range answers(wire.SessionTrack) {
		for _, a := range all {
			var text []byte
			for _, packet := range a.packets {
				if len(packet) < 255 {
					text = append(append(text, byte(len(packet))), packet...)
				}
			}
			f.Add(byte(command), uint64(a.agreed), text)
		}
	}
	f.Fuzz(func(t *testing.T, command byte, agreed uint64, text []byte) {
		w := wire.NewWalker(wire.Command(command), wire.Capabilities(agreed))
		for len(text) > 0 {
			n := min(int(text[0]), len(text)-1)
			packet, was := text[1:1+n], w.Done
			kind, err := w.Next(packet)
			if was && err == nil {
				t.Errorf("%q is taken after the end, as %d", packet, kind)
			}
			if err != nil {
				break
			}
			text = text[1+n:]
		}
	})
}

// FuzzRows reads anything as columns, rows and ends. Values stand within their row, one
// after the other, and an OK packet without what is tracked says the rest of the same.
func FuzzRows(f *testing.F) {
	f.Add([]byte("\x03abc\xfb\x00\xfc\x02\x00de"), []byte{1, 0xfd, 0xfe, 8})
	f.Add(columnOf("r", 0xfe, true), []byte{})
	f.Add([]byte(tracked), []byte{})
	f.Fuzz(func(t *testing.T, packet, kinds []byte) {
		types := make([]wire.Type, len(kinds))
		for i, k := range kinds {
			types[i] = wire.Type(k)
		}
		text, err := wire.TextRow(packet, len(kinds))
		within(t, packet, text, err)
		values, err := wire.BinaryRow(packet, types)
		within(t, packet, values, err)
		wire.ParseColumn(packet, 0)
		wire.ParseColumn(packet, wire.ExtendedMetadata)
		sameWithoutTracking(t, packet)
	})
}

func within(t *testing.T, row []byte, values []wire.Value, err error) {
	t.Helper()
	at := 0
	for _, v := range values {
		if err == nil && (v.Start < at || v.End < v.Start || v.End > len(row)) {
			t.Errorf("value at %d to %d of %d bytes, after %d", v.Start, v.End, len(row), at)
		}
		at = v.End
	}
}

func sameWithoutTracking(t *testing.T, packet []byte) {
	t.Helper()
	const agreed = wire.SessionTrack | wire.DeprecateEOF
	o, err := wire.ParseOK(packet, agreed)
	if err != nil {
		return
	}
	less, err := wire.Untrack(packet)
	if err != nil {
		t.Fatalf("%q: %v", packet, err)
	}
	got, err := wire.ParseOK(less, wire.DeprecateEOF)
	if err != nil || got.Affected != o.Affected || got.InsertID != o.InsertID || got.Warnings != o.Warnings || got.Info != o.Info || got.Status != o.Status&^wire.StateChanged {
		t.Errorf("%+v without what is tracked is %+v: %v", o, got, err)
	}
}
