// Package relay carries TCP connections from one listener to one address that
// may live in another network namespace.
//
// It knows bytes only: no TLS, no names, no limits on who may connect. It is
// meant for a listener on loopback.
package relay

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// acceptPause is the wait after a listener's passing error, such as too many
// open files.
const acceptPause = 50 * time.Millisecond

// Dialer opens one connection to the relay's target.
type Dialer func(context.Context) (net.Conn, error)

// Serve accepts connections from listener and joins each with a fresh one from
// dial, until ctx ends. It then closes the listener and every connection, waits
// for them, and returns nil; it returns an error only if the listener breaks
// before. A connection that cannot be joined is closed, and report is told why;
// report may be called from several goroutines at once.
func Serve(ctx context.Context, listener net.Listener, dial Dialer, report func(error)) error {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(ctx, func() { listener.Close() })
	var open sync.WaitGroup
	defer func() {
		cancel()
		stop()
		listener.Close()
		open.Wait()
	}()
	for {
		client, err := listener.Accept()
		if ctx.Err() != nil {
			if client != nil {
				client.Close()
			}
			return nil
		}
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		if err != nil {
			report(err)
			wait(ctx, acceptPause)
			continue
		}
		open.Go(func() {
			if err := join(ctx, client, dial); err != nil && ctx.Err() == nil {
				report(err)
			}
		})
	}
}

func wait(ctx context.Context, pause time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, pause)
	defer cancel()
	<-ctx.Done()
}

// join carries both directions until both have ended or ctx has.
func join(ctx context.Context, client net.Conn, dial Dialer) error {
	defer client.Close()
	server, err := dial(ctx)
	if err != nil {
		return err
	}
	defer server.Close()
	stop := context.AfterFunc(ctx, func() {
		client.Close()
		server.Close()
	})
	defer stop()
	var forward sync.WaitGroup
	forward.Go(func() { carry(server, client) })
	carry(client, server)
	forward.Wait()
	return nil
}

// carry copies until from ends, and then ends that direction of to only: the
// answer may still be on its way. An error means that a peer has gone, so it
// ends both directions.
func carry(to, from net.Conn) {
	_, err := io.Copy(to, from)
	half, ok := to.(interface{ CloseWrite() error })
	if err != nil || !ok || half.CloseWrite() != nil {
		to.Close()
		from.Close()
	}
}
