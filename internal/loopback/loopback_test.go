package loopback_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/confidb/confidb/internal/loopback"
)

const others = "CONFIDB_TEST_HOLDS_PORTS"

// TestMain is, told so, another process that holds ports until nobody listens to it.
func TestMain(m *testing.M) {
	n, err := strconv.Atoi(os.Getenv(others))
	if err != nil {
		os.Exit(m.Run())
	}
	for range n {
		port, err := loopback.Hold()
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(port.Number)
	}
	bufio.NewReader(os.Stdin).ReadByte()
}

// TestNobodyHoldsTheSame holds ports from several processes and many goroutines at once.
func TestNobodyHoldsTheSame(t *testing.T) {
	const processes, each = 4, 200
	held := make(chan int, (processes+1)*each)
	var working sync.WaitGroup
	for range processes {
		read := another(t, each)
		working.Go(func() { read(held) })
	}
	for range each {
		working.Go(func() {
			port, err := loopback.Hold()
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(func() { port.Release() })
			held <- port.Number
		})
	}
	working.Wait()
	close(held)
	seen := map[int]bool{}
	for number := range held {
		if seen[number] {
			t.Errorf("port %d is held twice", number)
		}
		seen[number] = true
	}
	if len(seen) != (processes+1)*each {
		t.Errorf("%d ports are held, want %d", len(seen), (processes+1)*each)
	}
}

// another starts a process that holds n ports until the test ends; read sends them.
func another(t *testing.T, n int) (read func(chan<- int)) {
	t.Helper()
	command := exec.Command(os.Args[0])
	command.Env, command.Stderr = append(os.Environ(), fmt.Sprintf("%s=%d", others, n)), os.Stderr
	hold, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	said, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		hold.Close()
		if err := command.Wait(); err != nil {
			t.Error(err)
		}
	})
	return func(held chan<- int) {
		lines := bufio.NewScanner(said)
		for range n {
			if !lines.Scan() {
				t.Errorf("another process ended: %v", lines.Err())
				return
			}
			number, err := strconv.Atoi(lines.Text())
			if err != nil {
				t.Error(err)
				return
			}
			held <- number
		}
	}
}

func TestAHeldPort(t *testing.T) {
	port, err := loopback.Hold()
	if err != nil {
		t.Fatal(err)
	}
	if conn, err := net.Dial("tcp", port.Address()); err == nil {
		conn.Close()
		t.Error("somebody listens on it")
	}
	for range 3 { // as a server that is started again
		listener, err := net.Listen("tcp", port.Address())
		if err != nil {
			t.Fatal(err)
		}
		conn, err := net.Dial("tcp", port.Address())
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		if err := listener.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := port.Release(); err != nil {
		t.Error(err)
	}
	if err := port.Release(); err == nil {
		t.Error("a port is released twice")
	}
}

// TestTheKernelGivesNobodyAHeldPort: what asks for any port gets another.
func TestTheKernelGivesNobodyAHeldPort(t *testing.T) {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		t.Fatal(err)
	}
	low, _ := strconv.Atoi(strings.Fields(string(text))[0])
	high, _ := strconv.Atoi(strings.Fields(string(text))[1])
	port, err := loopback.Hold()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { port.Release() })
	if all := low <= 20_000 && high >= 29_999; !all && low <= port.Number && port.Number <= high {
		t.Errorf("port %d is one of those that the kernel gives, from %d to %d", port.Number, low, high)
	}
}
