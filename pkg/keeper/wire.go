package keeper

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

const (
	// protocol names the messages of gates and keepers in TLS (ALPN), so that no other server
	// of the same name is taken for one.
	protocol = "confidb-cluster/1"
	// maxMessage bounds a message, which is one line of JSON.
	maxMessage = 1024
	// answerTime bounds how long a peer may take for the handshake and its one message.
	answerTime = 3 * time.Second
	// maxAsked is how many are answered at once.
	maxAsked = 32
)

// exchange sends one message and reads one, both of one line. A message that is nil is not
// sent. Time bounds all of it.
func exchange(ctx context.Context, address string, secure *tls.Config, message, answer any, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	dialer := tls.Dialer{NetDialer: &net.Dialer{Timeout: answerTime}, Config: secure} // with the handshake: one that is down keeps nobody from the next
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if state := conn.(*tls.Conn).ConnectionState(); state.NegotiatedProtocol != protocol {
		return errors.New("the other end does not speak this protocol")
	}
	if message != nil {
		if err := send(conn, message); err != nil {
			return err
		}
	}
	return receive(conn, answer)
}

func send(to io.Writer, message any) error {
	text, err := json.Marshal(message)
	if err == nil && len(text) >= maxMessage {
		err = fmt.Errorf("a message of %d bytes", len(text))
	}
	if err == nil {
		_, err = to.Write(append(text, '\n'))
	}
	return err
}

// receive reads one line and what it says.
func receive(from io.Reader, message any) error {
	line, err := bufio.NewReaderSize(io.LimitReader(from, maxMessage), maxMessage).ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("reading a message: %w", err)
	}
	return decode(line, message)
}

// serve answers whoever proves to be one of those that secure lets in, until ctx is done.
// Answer is given the connection, on which it may read one message.
func serve(ctx context.Context, listener net.Listener, secure *tls.Config, patience time.Duration, answer func(context.Context, net.Conn) error) {
	var answering sync.WaitGroup
	defer answering.Wait()
	stop := context.AfterFunc(ctx, func() { listener.Close() })
	defer stop()
	slots := make(chan struct{}, maxAsked)
	for {
		conn, err := listener.Accept()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			continue
		}
		select {
		case slots <- struct{}{}:
		default: // whoever is not let in must not keep out who is
			conn.Close()
			continue
		}
		answering.Go(func() {
			defer func() { <-slots }()
			attend(ctx, tls.Server(conn, secure), patience, answer)
		})
	}
}

// attend answers a connection, and closes it.
func attend(ctx context.Context, conn *tls.Conn, patience time.Duration, answer func(context.Context, net.Conn) error) {
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	handshake, done := context.WithTimeout(ctx, answerTime)
	defer done()
	if conn.HandshakeContext(handshake) != nil || conn.ConnectionState().NegotiatedProtocol != protocol {
		return
	}
	if err := answer(ctx, conn); err == nil {
		conn.CloseWrite()
	}
}
