// Package loopback gives tests ports of this machine that stay theirs.
//
// A port that the kernel chose and that is closed again is anybody's: the next program that
// asks, or an outgoing connection, gets it before the server that it was meant for. A port
// of this package is one that the kernel gives to nobody, and no two tests hold the same.
package loopback

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
)

// first and end are the ports that are held: below those that the kernel gives to outgoing
// connections and Kubernetes to services.
const first, end = 20_000, 30_000

// Port is a TCP port of 127.0.0.1 on which nobody listens yet.
type Port struct {
	Number int
	lock   net.Listener
}

// Hold takes a port. It is held, whether somebody listens on it or not, until it is
// released or this process ends. Tests of other processes hold others.
func Hold() (*Port, error) {
	from, given := rand.IntN(end-first), ephemeral()
	for i := range end - first {
		number := first + (from+i)%(end-first)
		if given(number) {
			continue
		}
		if lock, err := lock(number); err == nil {
			if free(number) {
				return &Port{number, lock}, nil
			}
			lock.Close()
		}
	}
	return nil, fmt.Errorf("no port of 127.0.0.1 from %d to %d is free", first, end-1)
}

// Address is that to listen on, and to connect to.
func (p *Port) Address() string { return address(p.Number) }

// Release gives the port up. Nobody should listen on it then.
func (p *Port) Release() error { return p.lock.Close() }

func address(number int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(number)) }

// lock takes a name that the kernel gives to one process at a time, and takes back from one
// that ends. Such names (unix(7), abstract sockets) belong to a network namespace, as ports
// do, and leave no files.
func lock(number int) (net.Listener, error) {
	return net.Listen("unix", "@confidb-test-port-"+strconv.Itoa(number))
}

// free reports whether a port can be listened on: programs that are no tests hold no lock.
func free(number int) bool {
	listener, err := net.Listen("tcp", address(number))
	return err == nil && listener.Close() == nil
}

// ephemeral reports of a port whether the kernel gives it to whoever asks for any. Where it
// gives all of them, or does not say, no port is left out.
func ephemeral() func(number int) bool {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	var low, high int
	if _, wrong := fmt.Sscan(string(text), &low, &high); errors.Join(err, wrong) != nil || low <= first && high >= end-1 {
		return func(int) bool { return false }
	}
	return func(number int) bool { return low <= number && number <= high }
}
