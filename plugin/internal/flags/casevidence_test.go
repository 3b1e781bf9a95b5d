package flags

import (
	"errors"
	"testing"

	"github.com/confidb/confidb/plugin/internal/cli"
)

func TestParseNonce(t *testing.T) {
	want := [16]byte{0x00, 0x11, 0xff, 15: 1}
	for text, good := range map[string]bool{
		"0011ff00000000000000000000000001": true, "0011FF00000000000000000000000001": true,
		"": false, "0011ff000000000000000000000000": false, "0011ff0000000000000000000000000100": false, "0x11ff00000000000000000000000001": false,
	} {
		got, err := parseNonce(text)
		var usage *cli.UsageError
		if good && (err != nil || got != want) || !good && !errors.As(err, &usage) {
			t.Errorf("%q: got %x, %v", text, got, err)
		}
	}
}
