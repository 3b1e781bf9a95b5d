//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

const canaryRow = "日本語-canary-7d1f"

// What the shell shows is in no file of any node, and text is Unicode on every way.
func TestShellLeavesNoRows(t *testing.T) {
	installed(t, "db1")
	if r := sql(t, "db1", "create table if not exists said (t text character set utf8mb4); delete from said; insert into said values ('"+canaryRow+"')"); r.code != 0 {
		t.Fatal(r)
	}
	const ask = "select t, hex(left(t,3)) as h from said;"
	const wantHex = "E697A5E69CACE8AA9E"
	if r := sql(t, "db1", ask); r.code != 0 || !strings.Contains(r.out, wantHex) || !strings.Contains(r.out, canaryRow) {
		t.Errorf("-e: %v", r)
	}
	piped := command(t, t.Context(), confidb("sql", "db1")...)
	piped.Stdin = strings.NewReader(ask)
	if out, err := piped.CombinedOutput(); err != nil || !strings.Contains(string(out), wantHex) {
		t.Errorf("standard input: %v: %s", err, out)
	}
	out, code := atTerminal(t, ask+"\nselect nonsense;\nselect hex('日本語') as again;\n\\! echo ran\n;\n\x04")
	if code != 0 || strings.Count(out, wantHex) < 2 || !strings.Contains(out, canaryRow) || !strings.Contains(out, "Unknown column") || strings.Contains(out, "\nran") {
		t.Errorf("at a terminal: exit %d: %s", code, out)
	}
	t.Run("logs", func(t *testing.T) {
		if strings.Contains(os.Getenv("LAB"), "current-context") {
			t.Skip("NOT RUN: the files of the nodes of a cluster of one's own are out of reach")
		}
		if logs := inLogs(t, "ready for connections"); len(logs) == 0 {
			t.Fatal("nothing is found in any log: the search proves nothing")
		}
		for _, secret := range []string{"canary-7d1f", wantHex} {
			if logs := inLogs(t, secret); len(logs) > 0 {
				t.Errorf("%s is in %q", secret, logs)
			}
		}
	})
}

// inLogs are the files below /var/log of the lab's nodes that hold a text.
func inLogs(t *testing.T, text string) []string {
	t.Helper()
	return strings.Fields(run(t, "bash", "-c", `set -eu; . ../../test/cluster/lib.sh; for n in n1 n2 n3; do in_node $n grep -rlF -e "$0" /var/log || true; done`, text))
}

// atTerminal types into the shell at a terminal; it returns what is shown and the exit code.
func atTerminal(t *testing.T, typed string) (string, int) {
	t.Helper()
	c := command(t, t.Context(), "script", "-qec", "kubectl confidb sql db1", "/dev/null")
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	shown, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	buffer, waiting := make([]byte, 1<<12), true
	for {
		n, err := shown.Read(buffer)
		out.Write(buffer[:n])
		if waiting && strings.Contains(out.String(), "sql> ") { // before, keys are the system's
			waiting = false
			fmt.Fprint(in, strings.ReplaceAll(typed, "\n", "\r"))
		}
		if err != nil {
			break
		}
	}
	c.Wait() // the exit code says it
	return out.String(), c.ProcessState.ExitCode()
}

// Ctrl-C is 130, in a word; a time limit is 124.
func TestBrokenOff(t *testing.T) {
	installed(t, "db1")
	c := command(t, t.Context(), confidb("sql", "db1", "--", "-e", "select sleep(100)")...)
	var errOut strings.Builder
	c.Stderr = &errOut
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the client runs", time.Minute, func() bool {
		return strings.Contains(run(t, "kubectl", "get", "pods"), "confidb-sql-")
	})
	if err := c.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	c.Wait()
	if lines := strings.Split(strings.TrimSpace(errOut.String()), "\n"); c.ProcessState.ExitCode() != 130 || lines[len(lines)-1] != "error: interrupted" || len(lines) > 2 {
		t.Errorf("exit %d: %s", c.ProcessState.ExitCode(), errOut.String())
	}
	if out, code := atTerminal(t, "select sleep(100);\n\x03"); code != 130 {
		t.Errorf("at a terminal: exit %d: %s", code, out)
	}
	waitFor(t, "the client is gone", time.Minute, func() bool {
		return !strings.Contains(run(t, "kubectl", "get", "pods"), "confidb-sql-")
	})
	if r := try(t, confidb("verify", "db1", "--timeout", "2s", "--accept-simulated")...); r.code != 124 || !strings.Contains(r.err, "proves nothing") {
		t.Errorf("verify --timeout: %v", r)
	}
}
