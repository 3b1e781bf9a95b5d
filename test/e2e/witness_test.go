//go:build e2e

package e2e

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// remembers asks that a verification finds the mark of the one before.
func remembers(t *testing.T, release, when string) {
	t.Helper()
	if code, report := verify(t, release); code != 0 || report.outcome("data-01") != "pass" {
		t.Errorf("%s: exit %d, data-01 %s, failed %v", when, code, report.outcome("data-01"), report.failed())
	}
}

// forgot asks that a verification misses the mark, each time until that is accepted, and
// that this is said from then on.
func forgot(t *testing.T, release, when string) {
	t.Helper()
	for range 2 {
		if code, report := verify(t, release); code != 3 || !slices.Equal(report.failed(), []string{"data-01"}) {
			t.Errorf("%s: exit %d, failed %v, want data-01", when, code, report.failed())
		}
	}
	if code, report := verify(t, release, "--accept-restore", when); code != 0 || report.outcome("data-01") != "warn" {
		t.Errorf("%s, accepted: exit %d, data-01 %s, failed %v", when, code, report.outcome("data-01"), report.failed())
	}
	code, report := verify(t, release)
	if said := slices.ContainsFunc(report.Limitations, func(l struct{ ID string }) bool { return l.ID == "accepted-restore" }); code != 0 || report.outcome("data-01") != "pass" || !said {
		t.Errorf("%s, after it was accepted: exit %d, data-01 %s, said %v", when, code, report.outcome("data-01"), said)
	}
}

func (h *host) ready(t *testing.T) {
	t.Helper()
	h.start(t)
	run(t, "kubectl", "rollout", "status", "statefulset/"+h.release+"-mariadb", "--timeout=90s")
}

// signal sends the enclaves of the database a signal.
func (h *host) signal(t *testing.T, what syscall.Signal) {
	t.Helper()
	uid := strings.ReplaceAll(run(t, "kubectl", "get", "pod", h.release+"-mariadb-0", "-o", "jsonpath={.metadata.uid}"), "-", "")
	for _, pid := range enclavesOf(t, uid) {
		if err := syscall.Kill(pid, what); err != nil {
			t.Fatal(err)
		}
	}
}

// cut ends the database within a run, as a host can: it is told nothing, and CAS neither.
func (h *host) cut(t *testing.T) {
	t.Helper()
	pod := h.release + "-mariadb-0"
	h.signal(t, syscall.SIGSTOP)
	run(t, "kubectl", "scale", "statefulset/"+h.release+"-mariadb", "--replicas=0")
	waitFor(t, "the pod to be ended", time.Minute, func() bool {
		return try(t, "kubectl", "get", "pod", pod, "-o", "jsonpath={.metadata.deletionTimestamp}").out != ""
	})
	h.signal(t, syscall.SIGKILL)
	run(t, "kubectl", "wait", "--for=delete", "pod/"+pod, "--timeout=90s")
}

// On a protected volume CAS refuses what is older than the last start. What a kill leaves
// open, the state of an earlier moment of the same run, the next verification notices. What
// happens to a pod every day is no alarm.
func TestOlderMomentOfTheRunIsNoticed(t *testing.T) {
	installed(t, "moment")
	h := newHost(t, "moment")
	remembers(t, "moment", "after the installation")
	run(t, "kubectl", "delete", "pod", "moment-mariadb-0")
	h.ready(t)
	remembers(t, "moment", "after a reschedule")
	h.cut(t)
	h.ready(t)
	remembers(t, "moment", "after a kill")

	h.signal(t, syscall.SIGSTOP) // so that the snapshot is of one moment
	h.takeCopy(t, h.live)
	h.signal(t, syscall.SIGCONT)
	remembers(t, "moment", "after the snapshot")
	h.cut(t)
	h.putBack(t, h.live)
	h.ready(t)
	forgot(t, "moment", "an earlier moment, after a kill")
	remove(t, "moment")
}

// Without a protected volume nothing but the marks tells an older volume, a snapshot, or an
// instance that begins with a volume of its own.
func TestOlderVolumeIsNoticed(t *testing.T) {
	template, policy := bareSession(t)
	if r := install(t, "older", "--database-template", template, "--policy", policy); r.code != 0 {
		t.Fatal(r)
	}
	h := newHost(t, "older")
	remembers(t, "older", "after the installation")
	h.stop(t)
	h.takeCopy(t, h.old)
	h.ready(t)
	remembers(t, "older", "after a restart")
	h.stop(t)
	h.takeCopy(t, h.newest)
	h.putBack(t, h.old)
	h.ready(t)
	forgot(t, "older", "an older volume, after a clean stop")
	h.stop(t)
	h.putBack(t, h.newest)
	h.ready(t)
	forgot(t, "older", "the newer volume, which went on elsewhere")
	h.stop(t)
	h.clear(t)
	h.ready(t)
	forgot(t, "older", "an instance of the session with a volume of its own")

	run(t, "kubectl", "scale", "statefulset/older-mariadb", "--replicas=2")
	run(t, "kubectl", "rollout", "status", "statefulset/older-mariadb", "--timeout=90s")
	waitFor(t, "the second database behind the Service to be noticed by the marks", time.Minute, func() bool {
		code, report := verify(t, "older")
		if code != 3 || !slices.Contains(report.failed(), "release-endpoints") {
			t.Errorf("two databases: exit %d, failed %v", code, report.failed())
		}
		return report.outcome("data-02") == "fail" // once in 256 times all connections go to one
	})
	remove(t, "older")
}
