//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// steps are the beginnings of the lines that install prints before each step.
func steps() []string {
	return []string{"preflight", "platforms", "attesting", "session ", "session ", "session ", "Helm release", "waiting", "verifying", "the attested client looks"}
}

// killAt starts install and kills it, so that nothing of it can react, as soon as
// it prints the n-th of the wanted steps.
func killAt(t *testing.T, wanted []string, n int, arguments ...string) {
	t.Helper()
	c := command(t, t.Context(), arguments...)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // kubectl and its plugin are one group
	errOut, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	seen := 0
	lines := bufio.NewScanner(errOut)
	for lines.Scan() {
		found := regexp.MustCompile(`^ +[0-9.]+ s  (.*)$`).FindStringSubmatch(lines.Text())
		if found == nil || !strings.HasPrefix(found[1], wanted[seen]) {
			continue
		}
		if seen++; seen > n {
			break
		}
	}
	if err := syscall.Kill(-c.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	c.Wait() // it was killed
	if seen <= n {
		t.Fatalf("it ended before its step %q", wanted[n])
	}
}

// Killed at every step, one after the other, the installation ends as if it had
// not been disturbed: one revision, three sessions, nothing left over.
func TestKilledAtEveryStep(t *testing.T) {
	before := uploads(t)
	arguments := append(confidb("install", "killed", "--accept-simulated"), labFlags(t)...)
	for n, step := range steps() {
		t.Logf("killed at %q", step)
		killAt(t, steps(), n, arguments...)
	}
	installed(t, "killed")
	if made := uploads(t) - before; made != 3 {
		t.Errorf("%d sessions were created, want 3", made)
	}
	for _, session := range []string{"DBSESSION", "DBCLIENT"} {
		if text := run(t, confidb("session", "get", variable(t, "killed", session))...); strings.Contains(text, "predecessor") {
			t.Errorf("a second version of the session:\n%s", text)
		}
	}
	var history []struct {
		Revision int
		Status   string
	}
	if err := json.Unmarshal([]byte(run(t, "helm", "history", "killed", "-o", "json")), &history); err != nil {
		t.Fatal(err)
	}
	if len(history) != 1 || history[0].Status != "deployed" {
		t.Errorf("helm history: %+v", history)
	}
	waitFor(t, "the Jobs of killed runs to go", 2*time.Minute, func() bool {
		return strings.TrimSpace(run(t, "kubectl", "get", "jobs", "-l", "app.kubernetes.io/managed-by=confidb", "-o", "name")) == ""
	})
	if pods := strings.Fields(run(t, "kubectl", "get", "pods", "-l", "app.kubernetes.io/instance=killed", "-o", "name")); len(pods) != 1 {
		t.Errorf("pods: %v", pods)
	}
	remove(t, "killed")
}

// Killed while Helm has begun and not ended, the release is not stuck.
func TestKilledInsideHelm(t *testing.T) {
	arguments := append(confidb("install", "pending", "--accept-simulated"), labFlags(t)...)
	watch := command(t, t.Context(), "kubectl", "get", "secrets", "-l", "owner=helm,name=pending", "--watch", "-o", `jsonpath={.metadata.labels.status}{"\n"}`)
	events, err := watch.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := watch.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { watch.Process.Kill(); watch.Wait() }()
	c := command(t, t.Context(), arguments...)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(events).ReadString('\n')
	if err != nil || strings.TrimSpace(line) != "pending-install" {
		t.Fatalf("first state of the release: %q, %v", line, err)
	}
	if err := syscall.Kill(-c.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	c.Wait() // it was killed
	t.Logf("helm says: %s", run(t, "helm", "list", "--all", "--filter", "^pending$", "--no-headers"))
	installed(t, "pending")
	if out := run(t, "helm", "history", "pending", "--max", "10"); !strings.Contains(out, "deployed") || strings.Contains(out, "\n2 ") {
		t.Errorf("history:\n%s", out)
	}
	remove(t, "pending")
}

// Without CAS an installation stops with a clear error, and goes on when it is back.
// CAS keeps its sessions over a restart.
func TestCASDown(t *testing.T) {
	installed(t, "db1")
	run(t, "kubectl", "scale", "--namespace", "scone-system", "statefulset/cas", "--replicas=0")
	run(t, "kubectl", "wait", "--namespace", "scone-system", "--for=delete", "pod/cas-0", "--timeout=60s")
	began := time.Now()
	if r := install(t, "nocas2"); r.code != 1 || !strings.Contains(r.err, "error: reaching the CAS") || time.Since(began) > time.Minute {
		t.Errorf("install after %s: %v", time.Since(began), r)
	}
	if code, report := verify(t, "db1"); code != 4 || report.outcome("cas-attested") != "skip" || report.outcome("session-database") != "skip" {
		t.Errorf("verify: exit %d, %+v", code, report.Findings)
	}
	run(t, "kubectl", "scale", "--namespace", "scone-system", "statefulset/cas", "--replicas=1")
	run(t, "kubectl", "rollout", "status", "--namespace", "scone-system", "statefulset/cas", "--timeout=60s")
	waitFor(t, "the proof after the restart of CAS", time.Minute, func() bool { // nodes learn of its new address at their own pace
		code, _ := verify(t, "db1")
		return code == 0
	})
	installed(t, "nocas2")
	remove(t, "nocas2")
}

// An API server that does not answer is waited for no longer than was said.
func TestAPIServerHangs(t *testing.T) {
	installed(t, "db1")
	record, err := os.ReadFile(filepath.Join(lab, "pids", "kube-apiserver"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.Fields(string(record))[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	r := try(t, append(confidb("install", "db1", "--timeout", "5s"), labFlags(t)...)...)
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if r.code != 124 || time.Since(began) > 30*time.Second {
		t.Errorf("after %s: %v", time.Since(began), r)
	}
	waitFor(t, "the API server", time.Minute, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		return command(t, ctx, "kubectl", "get", "--raw", "/readyz").Run() == nil
	})
	installed(t, "db1")
}
