package charts_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/confidb/confidb/internal/loopback"
)

// greeting is how a server of MySQL's protocol begins: length, number, and version 10.
const greeting = "\x05\x00\x00\x00\x0a8.0\x00"

// greets is a server that greets, and then says what it is told.
func greets(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.WriteString(c, greeting)
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return l
}

// TestScalableHAProxyPassesOn: the real HAProxy, with the chart's configuration, gives each
// side what the other one says; and when it is told to end, those that talk go on.
func TestScalableHAProxyPassesOn(t *testing.T) {
	program := "/usr/sbin/haproxy"
	if _, err := os.Stat(program); err != nil {
		t.Skip("haproxy is not installed: nothing was passed on")
	}
	port, err := loopback.Hold()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { port.Release() })
	configuration := read(t, renderScalable(t, valuesOf(t, scalableRequired))).configs["db1-haproxy"].Data["haproxy.cfg"]
	address := greets(t).Addr().String()
	own := regexp.MustCompile(`db1-maxscale-\d\.\S+:4006`).ReplaceAllString(configuration, address)
	own = strings.NewReplacer("bind :3306 v4v6", "bind 127.0.0.1:"+strconv.Itoa(port.Number), " init-addr none resolvers cluster", "").Replace(own)
	if strings.Count(own, address) != 2 || !strings.Contains(own, "bind 127.0.0.1:") {
		t.Fatalf("the test changes nothing: %s", own)
	}
	path := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(path, []byte(own), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	run := exec.Command(program, "-W", "-db", "-f", path)
	run.Stdout, run.Stderr, run.SysProcAttr = &log, &log, &syscall.SysProcAttr{Setpgid: true}
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-run.Process.Pid, syscall.SIGKILL)
		_ = run.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := dialUntil(ctx, t, port.Address(), true, func() {})
	defer c.Close()
	talk := func(said string) {
		t.Helper()
		if _, err := io.WriteString(c, said); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(said))
		if _, err := io.ReadFull(c, got); err != nil || string(got) != said {
			t.Fatalf("got %q, %v, want %q", got, err, said)
		}
	}
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(greeting))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != greeting {
		t.Fatalf("got %q, %v, want the greeting", got, err)
	}
	talk("\x16\x03\x01 what looks like TLS, and PROXY TCP4\r\n" + strings.Repeat("\x00\xff", 40_000))
	// One that has just begun may not hear it: it is told until nobody is let in any more.
	dialUntil(ctx, t, port.Address(), false, func() { _ = run.Process.Signal(syscall.SIGUSR1) })
	talk("those that are there go on")
}

// dialUntil connects until that works, or until it does not any more, and does something
// before each time.
func dialUntil(ctx context.Context, t *testing.T, address string, works bool, before func()) net.Conn {
	t.Helper()
	for {
		before()
		c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		switch {
		case ctx.Err() != nil:
			t.Fatalf("connecting to %s: %v, want it to work: %v", address, err, works)
		case (err == nil) == works:
			return c
		case err == nil:
			c.Close()
		}
		time.Sleep(20 * time.Millisecond)
	}
}
