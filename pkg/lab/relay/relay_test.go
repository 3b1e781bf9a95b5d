package relay

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestConnectionThatCannotBeJoinedIsClosed(t *testing.T) {
	refused := errors.New("nobody there")
	reports := make(chan error, 1)
	address := serve(t, func(context.Context) (net.Conn, error) { return nil, refused }, func(err error) { reports <- err })
	client := dial(t, address)
	if got, err := io.ReadAll(client); len(got) > 0 || err != nil {
		t.Errorf("reading: got %q and error %v, want nothing and the end", got, err)
	}
	if err := <-reports; !errors.Is(err, refused) {
		t.Errorf("report: got %v, want %v", err, refused)
	}
}

func TestDialInNamesAMissingNamespace(t *testing.T) {
	file := t.TempDir() + "/none"
	conn, err := DialIn(file, "127.0.0.1:1")(t.Context())
	if err == nil || conn != nil || !strings.Contains(err.Error(), file) {
		t.Errorf("got connection %v and error %v, want an error that names %s", conn, err, file)
	}
}

// The answer comes only after the question has ended, so the relay must carry
// one direction's end without ending the other.
func TestEndOfOneDirectionLeavesTheOther(t *testing.T) {
	target := listen(t)
	go func() {
		conn, err := target.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		question, _ := io.ReadAll(conn)
		conn.Write(bytes.ToUpper(question))
	}()
	client := dial(t, serve(t, DialIn("", target.Addr().String()), fatal(t)))
	question := strings.Repeat("a", 1<<20)
	if _, err := io.WriteString(client, question); err != nil {
		t.Fatal(err)
	}
	if err := client.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(client)
	if err != nil || string(answer) != strings.ToUpper(question) {
		t.Errorf("got %d bytes and error %v, want %d upper-case ones", len(answer), err, len(question))
	}
}

func TestConnectionsDoNotWaitForEachOther(t *testing.T) {
	target := listen(t)
	go func() {
		for {
			conn, err := target.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				io.Copy(conn, conn)
			}()
		}
	}()
	address := serve(t, DialIn("", target.Addr().String()), fatal(t))
	dial(t, address) // stays open and silent
	var all sync.WaitGroup
	for range 20 {
		client := dial(t, address)
		all.Go(func() {
			if _, err := io.WriteString(client, "hello"); err != nil {
				t.Error(err)
			}
			answer := make([]byte, 5)
			if _, err := io.ReadFull(client, answer); err != nil || string(answer) != "hello" {
				t.Errorf("got %q and error %v, want hello", answer, err)
			}
		})
	}
	all.Wait()
}

func TestEndOfContextEndsConnections(t *testing.T) {
	target := listen(t)
	accepted := make(chan net.Conn, 1)
	go func() {
		if conn, err := target.Accept(); err == nil {
			accepted <- conn
		}
	}()
	ctx, cancel := context.WithCancel(t.Context())
	listener := listen(t)
	ended := make(chan error, 1)
	go func() {
		ended <- Serve(ctx, listener, DialIn("", target.Addr().String()), fatal(t))
	}()
	client := dial(t, listener.Addr().String())
	server := <-accepted
	defer server.Close()
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Serve: got %v, want nil", err)
	}
	if _, err := client.Read(make([]byte, 1)); err == nil {
		t.Error("the connection is still open")
	}
	if _, err := net.Dial("tcp", listener.Addr().String()); err == nil {
		t.Error("the listener is still open")
	}
}

func TestBrokenListenerIsAnError(t *testing.T) {
	listener := listen(t)
	listener.Close()
	if err := Serve(t.Context(), listener, DialIn("", "127.0.0.1:1"), fatal(t)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve: got %v, want %v", err, net.ErrClosed)
	}
}

func TestCommandRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"no target":       {nil, "required flag"},
		"name as target":  {[]string{"--to", "localhost:1"}, "want IP:PORT"},
		"open to all":     {[]string{"--to", "127.0.0.1:1", "--listen", "0.0.0.0:0"}, "want a loopback"},
		"name to listen":  {[]string{"--to", "127.0.0.1:1", "--listen", "localhost:0"}, "want a loopback"},
		"words left over": {[]string{"--to", "127.0.0.1:1", "more"}, "unknown command"},
	} {
		t.Run(name, func(t *testing.T) {
			command := NewCommand()
			command.SetArgs(append([]string{}, test.args...))
			command.SetOut(io.Discard)
			command.SetErr(io.Discard)
			if err := command.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want one with %q", err, test.want)
			}
		})
	}
}

func serve(t *testing.T, dial Dialer, report func(error)) string {
	t.Helper()
	listener := listen(t)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, listener, dial, report) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return listener.Addr().String()
}

func fatal(t *testing.T) func(error) {
	return func(err error) { t.Errorf("report: %v", err) }
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}
