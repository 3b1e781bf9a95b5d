package relay

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// dialTimeout bounds one connection attempt to the target.
const dialTimeout = 5 * time.Second

// DialIn returns a Dialer to address, which must be numeric, as seen from the
// network namespace that file names, such as /run/netns/NAME. An empty file is
// the caller's own namespace. Entering another one needs CAP_SYS_ADMIN.
func DialIn(file, address string) Dialer {
	return func(ctx context.Context) (net.Conn, error) {
		if file == "" {
			return dialHere(ctx, address)
		}
		type result struct {
			conn net.Conn
			err  error
		}
		done := make(chan result, 1)
		go func() {
			runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
			if err := enter(file); err != nil {
				done <- result{nil, fmt.Errorf("entering network namespace %s: %w", file, err)}
				return
			}
			conn, err := dialHere(ctx, address)
			done <- result{conn, err}
		}()
		got := <-done
		return got.conn, got.err
	}
}

// dialHere makes the socket on the calling thread, since the address is a
// literal and there is only one to try.
func dialHere(ctx context.Context, address string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: dialTimeout}
	return dialer.DialContext(ctx, "tcp", address)
}

func enter(file string) error {
	namespace, err := os.Open(file)
	if err != nil {
		return err
	}
	defer namespace.Close()
	return unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET)
}
