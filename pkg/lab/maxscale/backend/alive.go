package backend

import (
	"errors"
	"net"
	"syscall"
)

// Alive reports whether nothing has come from the server since the last answer: whatever
// comes unasked, the end of the connection or a farewell, means that it is of no more use.
func (c *Conn) Alive() bool {
	if c.Waiting() > 0 {
		return false
	}
	socket, ok := c.tcp.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return false
	}
	alive := false
	err = raw.Read(func(descriptor uintptr) bool {
		var one [1]byte
		_, _, wrong := syscall.Recvfrom(int(descriptor), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		alive = errors.Is(wrong, syscall.EAGAIN)
		return true // whatever it is: nobody waits for more
	})
	return err == nil && alive
}

var _ syscall.Conn = (*net.TCPConn)(nil)
