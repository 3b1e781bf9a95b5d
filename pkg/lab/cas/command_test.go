package cas_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/lab/cas"
	"github.com/confidb/confidb/pkg/lab/enclave"
)

func run(ctx context.Context, out, errOut *lines, arguments ...string) error {
	command := cas.NewCommand(time.Now)
	command.SetArgs(arguments)
	command.SetOut(out)
	command.SetErr(errOut)
	return command.ExecuteContext(ctx)
}

func TestHashIsPrinted(t *testing.T) {
	t.Setenv("SCONE_HASH", "1")
	t.Setenv("SCONE_HEAP", "128M")
	var out, errOut lines
	if err := run(t.Context(), &out, &errOut); err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	want, err := enclave.Measure(program, enclave.Settings{Heap: 128 << 20, AllowDlopen: "0"})
	if err != nil || out.String() != want.MRENCLAVE.String()+"\n" {
		t.Errorf("got %q, want %s (%v)", out.String(), want.MRENCLAVE, err)
	}
}

func TestCommand(t *testing.T) {
	l := newLab(t)
	folder := t.TempDir()
	files, err := l.authority.CollateralFiles(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	files["root.pem"] = l.authority.RootPEM()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	users, enclaves := listen(t), listen(t)
	l.users, l.enclaves = users.Addr().String(), enclaves.Addr().String()
	users.Close()
	enclaves.Close()
	arguments := []string{"--store", l.store, "--collateral", folder, "--root-ca", filepath.Join(folder, "root.pem"), "--las", l.las.Address, "--listen", l.users, "--enclave-listen", l.enclaves, "--version", "7.0"}
	for i := 0; i < 8; i += 2 {
		var out, errOut lines
		if err := run(t.Context(), &out, &errOut, append(append([]string{}, arguments[:i]...), arguments[i+2:]...)...); err == nil || !strings.Contains(err.Error(), arguments[i]+" is missing") {
			t.Errorf("without %s: got %v", arguments[i], err)
		}
	}
	var out lines
	log := &waiting{text: "answering users", seen: make(chan struct{})}
	ended := make(chan error, 1)
	go func() {
		command := cas.NewCommand(time.Now)
		command.SetArgs(arguments)
		command.SetOut(&out)
		command.SetErr(log)
		ended <- command.ExecuteContext(t.Context())
	}()
	select {
	case <-log.seen:
	case err := <-ended:
		t.Fatal(err)
	}
	connection, err := l.dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	connection.Close()
	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("the end is not clean: %v", err)
	}
	if text := log.String(); !strings.Contains(text, "CAS key hash ") || !strings.Contains(text, "MRENCLAVE") {
		t.Errorf("log: %s", text)
	}
}

// waiting is a log that tells when a text was written.
type waiting struct {
	lines
	text string
	seen chan struct{}
}

func (w *waiting) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(w.text)) {
		close(w.seen)
	}
	return w.lines.Write(p)
}
