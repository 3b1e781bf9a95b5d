//go:build e2e

// Package e2e tests the whole on a real cluster: the embedded lab, which the tests
// start and the caller stops (make lab-down).
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// lab is where the embedded lab keeps what it writes.
const lab = "../../.lab"

// patience bounds one command.
const patience = 4 * time.Minute

func TestMain(m *testing.M) {
	up := exec.Command("../../scripts/lab-up")
	up.Stdout, up.Stderr = os.Stderr, os.Stderr
	if err := up.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "starting the lab:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// result is how a command ended.
type result struct {
	code     int
	out, err string
}

func (r result) String() string { return fmt.Sprintf("exit %d\n%s%s", r.code, r.out, r.err) }

// everything is what all commands have printed, to be searched for secrets.
var everything struct {
	sync.Mutex
	bytes.Buffer
}

// command prepares a program of the lab as a user runs it who has sourced .lab/env.
func command(t testing.TB, ctx context.Context, arguments ...string) *exec.Cmd {
	t.Helper()
	environment, err := filepath.Abs(filepath.Join(lab, "env"))
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(ctx, "bash", append([]string{"-c", `. "$0" && exec "$@"`, environment}, arguments...)...)
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "SCONE_") || strings.HasPrefix(name, "CONFIDB_") || name == "CAS_MRENCLAVE" || name == "DBSESSION" || name == "DBCLIENT" || name == "PLATFORMS" {
			continue
		}
		c.Env = append(c.Env, v)
	}
	return c
}

// try runs a program of the lab, however it ends.
func try(t testing.TB, arguments ...string) result {
	t.Helper()
	return tryWith(t, nil, arguments...)
}

// tryWith adds variables to the environment.
func tryWith(t testing.TB, environment []string, arguments ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c := command(t, ctx, arguments...)
	c.Env = append(c.Env, environment...)
	var out, errOut bytes.Buffer
	c.Stdout, c.Stderr = &out, &errOut
	err := c.Run()
	everything.Lock()
	everything.Write(out.Bytes())
	everything.Write(errOut.Bytes())
	everything.Unlock()
	if ended, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || ended.ExitCode() < 0) {
		t.Fatalf("%s: %v\n%s%s", strings.Join(arguments, " "), err, out.String(), errOut.String())
	}
	return result{c.ProcessState.ExitCode(), out.String(), errOut.String()}
}

// run runs a program of the lab that must succeed, and returns what it printed.
func run(t testing.TB, arguments ...string) string {
	t.Helper()
	r := try(t, arguments...)
	if r.code != 0 {
		t.Fatalf("%s: %v", strings.Join(arguments, " "), r)
	}
	return r.out
}

// labFlags are the flags that $CONFIDB_LAB_FLAGS holds.
func labFlags(t testing.TB) []string {
	t.Helper()
	return strings.Fields(run(t, "bash", "-c", "echo $CONFIDB_LAB_FLAGS"))
}

func confidb(arguments ...string) []string {
	return append([]string{"kubectl", "confidb"}, arguments...)
}

// install installs a release with the lab's flags and more.
func install(t testing.TB, name string, more ...string) result {
	t.Helper()
	return try(t, append(append(confidb("install", name, "--accept-simulated"), labFlags(t)...), more...)...)
}

// installed makes sure that a release is there and proven.
func installed(t testing.TB, name string, more ...string) {
	t.Helper()
	if r := install(t, name, more...); r.code != 0 {
		t.Fatalf("installing %s: %v", name, r)
	}
}

// report is the JSON of a verification.
type report struct {
	Kind, Verdict string
	Simulated     bool
	Findings      []struct{ ID, Outcome, Got, Want, Reason, Hint string }
	Limitations   []struct{ ID string }
	Origins       map[string]string
}

func (r *report) outcome(id string) string {
	for _, f := range r.Findings {
		if f.ID == id {
			return f.Outcome
		}
	}
	return "not asked"
}

// failed are the IDs of what failed.
func (r *report) failed() []string {
	var ids []string
	for _, f := range r.Findings {
		if f.Outcome == "fail" {
			ids = append(ids, f.ID)
		}
	}
	return ids
}

// verify proves a release and returns the exit code and the report.
func verify(t testing.TB, name string, more ...string) (int, *report) {
	t.Helper()
	r := try(t, append(confidb("verify", name, "-o", "json", "--accept-simulated"), more...)...)
	var parsed report
	if err := json.Unmarshal([]byte(r.out), &parsed); err != nil {
		t.Fatalf("verify %s: %v in %v", name, err, r)
	}
	return r.code, &parsed
}

// sql runs a statement as the attested client.
func sql(t testing.TB, name, statement string) result {
	t.Helper()
	return try(t, confidb("sql", name, "--", "-e", statement)...)
}

// waitFor repeats a question until the answer is yes.
func waitFor(t testing.TB, what string, limit time.Duration, answer func() bool) {
	t.Helper()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for !answer() {
		select {
		case <-deadline.C:
			t.Fatalf("waited %s for %s", limit, what)
		case <-tick.C:
		}
	}
}
