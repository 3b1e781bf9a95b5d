package command

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

func TestMainReportsErrors(t *testing.T) {
	for name, args := range map[string][]string{
		"unknown command": {"no-such-command"},
		"unknown flag":    {"pki", "--no-such-flag"},
		"missing flag":    {"image"},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errOut bytes.Buffer
			if code := Main(args, strings.NewReader(""), &out, &errOut); code != 1 || !strings.HasPrefix(errOut.String(), "error: ") || out.Len() > 0 {
				t.Errorf("got code %d, out %q and error text %q, want 1, nothing and an error", code, out.String(), errOut.String())
			}
		})
	}
}

func TestMainHasTheScriptsCommands(t *testing.T) {
	for _, name := range []string{"image", "pki", "relay", "pause"} {
		var out, errOut bytes.Buffer
		if code := Main([]string{name, "--help"}, strings.NewReader(""), &out, &errOut); code != 0 || !strings.Contains(out.String(), "confidb-lab "+name) {
			t.Errorf("%s --help: got code %d and %q, want 0 and its usage", name, code, out.String()+errOut.String())
		}
	}
}

func TestPauseEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	command := newPauseCommand()
	command.SetArgs([]string{})
	ended := make(chan error, 1)
	go func() { ended <- command.ExecuteContext(ctx) }()
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("got %v, want nil", err)
	}
}
