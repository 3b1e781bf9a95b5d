package confidb

import (
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/plugin/internal/cli"
)

// silence takes connections, and never says anything.
func silence(t *testing.T) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		var taken []net.Conn // one that nobody holds is closed when memory is cleared
		for {
			c, err := listener.Accept()
			if err != nil {
				break
			}
			taken = append(taken, c)
		}
		for _, c := range taken {
			_ = c.Close()
		}
	}()
	return listener.Addr().String()
}

// reaching are the commands that may have to wait for somebody, with what they need so that
// they do: SILENT stands for an address from which nothing comes, and DIR for a folder.
func reaching() map[string]string {
	const judged = " --policy DIR/policy.yaml --collateral DIR"
	return map[string]string{
		"attest cas":          "SILENT" + judged,
		"client add":          "db1 web --mrenclave " + strings.Repeat("a", 64) + judged,
		"client remove":       "db1 web" + judged,
		"client update":       "db1 web --mrenclave " + strings.Repeat("a", 64) + judged,
		"collateral fetch":    "--from https://SILENT --fmspc c0ffee000000 --ca platform --to DIR/new",
		"install":             "db1 --set image=registry.test/db:1 --bootstrap-sql DIR/tables.sql" + judged,
		"platforms":           "",
		"platforms apply":     "db1 DIR/plan.json",
		"platforms diff":      "db1",
		"platforms inventory": "DIR/machines.yaml",
		"platforms plan":      "db1 --to DIR/new.json",
		"platforms revoked":   "node-1 db1",
		"session apply":       "DIR/plan.json --cas SILENT",
		"session create":      "DIR/db.yaml --cas SILENT",
		"session diff":        "cas:shop/db DIR/db.yaml --cas SILENT",
		"session get":         "shop/db --cas SILENT",
		"session history":     "shop/db --cas SILENT",
		"session lint":        "--cas SILENT shop/db",
		"session plan":        "DIR/db.yaml --cas SILENT --to DIR/new.json",
		"session sign":        "DIR/plan.json --key DIR/key.pem",
		"session update":      "DIR/db.yaml --cas SILENT",
		"switchover":          "db1",
		"tcb":                 "--collateral DIR",
		"verify":              "db1",
	}
}

// endless runs a command of which the outside world says nothing.
func endless(t *testing.T, command string, more ...string) (code int, took time.Duration, said string) {
	t.Helper()
	dir := t.TempDir()
	address := silence(t)
	t.Setenv("CONFIDB_HOME", filepath.Join(dir, "home"))
	t.Setenv("HOME", dir)
	t.Setenv("KUBECONFIG", filepath.Join(dir, "kubeconfig"))
	writeAll(t, dir, map[string][]byte{
		"kubeconfig": []byte("apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: c, cluster: {server: 'http://" + address + "'}}]\ncontexts: [{name: c, context: {cluster: c, user: u}}]\nusers: [{name: u, user: {}}]\n"),
		"db.yaml":    []byte("name: shop/db\nversion: \"0.3.10\"\nservices: []\n"),
	})
	arguments := strings.Fields(strings.NewReplacer("SILENT", address, "DIR", dir).Replace(command))
	streams, _, out, errOut := genericiooptions.NewTestIOStreams()
	began := time.Now()
	code = Main(append(arguments, more...), streams)
	return code, time.Since(began), out.String() + errOut.String()
}

// Whatever a command waits for, a time limit ends it with 124: by name of the command, so
// that a new one is not forgotten.
func TestEveryCommandThatWaitsEndsInTime(t *testing.T) {
	known := reaching()
	var walk func(c *cobra.Command, name string)
	walk = func(c *cobra.Command, name string) {
		for _, child := range c.Commands() {
			walk(child, strings.TrimSpace(name+" "+child.Name()))
		}
		if c.Flags().Lookup("timeout") == nil || !c.Runnable() {
			return
		}
		arguments, here := known[name]
		if !here {
			t.Errorf("%s has a time limit, and is not tried", name)
			return
		}
		delete(known, name)
		if name == "platforms diff" {
			return // the limit is of a look, and the record is read before
		}
		t.Run(name, func(t *testing.T) {
			code, took, said := endless(t, name+" "+arguments, "--timeout", "1ns")
			if code != cli.TimedOut || took > 5*time.Second {
				t.Errorf("exit %d after %s, want %d at once:\n%s", code, took, cli.TimedOut, said)
			}
		})
	}
	help, err := readHelp()
	if err != nil {
		t.Fatal(err)
	}
	walk(newRootCommand(&cli.Env{Program: cli.Kubectl, Help: help}), "")
	for name := range known {
		t.Errorf("%s has no time limit", name)
	}
}

// Commands that have begun to wait for somebody who says nothing are ended by a time limit,
// and by Ctrl-C.
func TestWaitingIsBrokenOff(t *testing.T) {
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt) // one that comes too early ends no test
	defer signal.Stop(interrupts)
	for _, name := range []string{"collateral fetch", "platforms", "platforms inventory"} {
		command := name + " " + reaching()[name]
		t.Run(name+" in time", func(t *testing.T) {
			code, took, said := endless(t, command, "--timeout", "300ms")
			if code != cli.TimedOut || took > 5*time.Second {
				t.Errorf("exit %d after %s, want %d:\n%s", code, took, cli.TimedOut, said)
			}
		})
		t.Run(name+" interrupted", func(t *testing.T) {
			stop := interrupt()
			code, took, said := endless(t, command)
			stop()
			if code != cli.Interrupted || took > 5*time.Second {
				t.Errorf("exit %d after %s, want %d:\n%s", code, took, cli.Interrupted, said)
			}
		})
	}
}

// interrupt sends Ctrl-C again and again until it is stopped. No signal comes after that, as
// it would end the tests: a thread has one that it sends to itself before it goes on, where
// one that is sent to the process may come at any later time.
func interrupt() (stop func()) {
	ended, done := make(chan bool), make(chan bool)
	go func() {
		runtime.LockOSThread()
		defer close(done)
		again := time.NewTicker(100 * time.Millisecond)
		defer again.Stop()
		for {
			select {
			case <-ended:
				return
			case <-again.C:
				_ = unix.Tgkill(unix.Getpid(), unix.Gettid(), unix.SIGINT)
			}
		}
	}()
	return func() { close(ended); <-done }
}

// Commands that read standard input from somebody who writes nothing are ended by Ctrl-C.
func TestReadingIsBrokenOff(t *testing.T) {
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	defer signal.Stop(interrupts)
	for _, command := range []string{"explain -", "policy check -", "attest quote -", "session lint -", "session diff - x", "session create - --dry-run=client"} {
		in, writer, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		streams, _, out, errOut := genericiooptions.NewTestIOStreams()
		streams.In = in
		began, stop := time.Now(), interrupt()
		code := Main(strings.Fields(command), streams)
		stop()
		if took := time.Since(began); code != cli.Interrupted || took > 5*time.Second {
			t.Errorf("%s: exit %d after %s, want %d:\n%s%s", command, code, took, cli.Interrupted, out, errOut)
		}
		_ = writer.Close() // what still reads ends now
		_ = in.Close()
	}
}
