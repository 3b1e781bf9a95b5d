package attest_test

import (
	"testing"

	"github.com/confidb/confidb/pkg/attest"
)

func TestParseNonce(t *testing.T) {
	want := [16]byte{0x00, 0x11, 0xff, 15: 1}
	for text, good := range map[string]bool{
		"0011ff00000000000000000000000001": true, "0011FF00000000000000000000000001": true,
		"": false, "0011ff000000000000000000000000": false, "0011ff0000000000000000000000000100": false, "0x11ff00000000000000000000000001": false,
	} {
		got, err := attest.ParseNonce(text)
		if (err == nil) != good {
			t.Errorf("%q: got %v", text, err)
		}
		if good && got != want {
			t.Errorf("%q: got %x", text, got)
		}
		if !good && got != [16]byte{} {
			t.Errorf("%q: got %x beside an error", text, got)
		}
	}
}
