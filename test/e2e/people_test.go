//go:build e2e

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// somebody is another user: who has the same rights in the cluster, and other records.
type somebody struct{ home string }

func newSomebody(t *testing.T) somebody { return somebody{t.TempDir()} }

func (s somebody) try(t *testing.T, arguments ...string) result {
	t.Helper()
	return try(t, append([]string{"env", "CONFIDB_HOME=" + s.home}, arguments...)...)
}

// verify proves a release by what this user has been handed.
func (s somebody) verify(t *testing.T, name string, more ...string) (int, *report) {
	t.Helper()
	r := s.try(t, append(confidb("verify", name, "-o", "json", "--accept-simulated"), more...)...)
	var parsed report
	if err := json.Unmarshal([]byte(r.out), &parsed); err != nil {
		t.Fatalf("verify %s: %v in %v", name, err, r)
	}
	return r.code, &parsed
}

// fingerprint is that of this user's key.
func (s somebody) fingerprint(t *testing.T) string {
	t.Helper()
	r := s.try(t, confidb("promise", "signer")...)
	found := regexp.MustCompile(`(?m)^# fingerprint ([0-9a-f]{64})$`).FindStringSubmatch(r.out)
	if found == nil {
		t.Fatalf("promise signer: %v", r)
	}
	return found[1]
}

// judgeFlags are those of the lab's flags by which a release is judged.
func judgeFlags(t *testing.T) (flags []string) {
	t.Helper()
	all := labFlags(t)
	for i, f := range all {
		if f == "--policy" || f == "--collateral" || f == "--sgx-root-ca" {
			flags = append(flags, f, all[i+1])
		}
	}
	return flags
}

// Whom the sessions name as an auditor verifies with what was handed over, and with keys of
// their own; whom they do not name proves nothing.
func TestASecondPersonVerifies(t *testing.T) {
	auditor, stranger := newSomebody(t), newSomebody(t)
	installed(t, "audited", "--auditor", auditor.fingerprint(t))
	defer try(t, "helm", "uninstall", "audited")
	owner := regexp.MustCompile(`[0-9a-f]{64}`).FindString(run(t, confidb("promise", "signer")...))
	file := filepath.Join(t.TempDir(), "audited.json")
	run(t, confidb("promise", "export", "audited", "--to", file)...)
	text, err := os.ReadFile(file)
	if err != nil || strings.Contains(string(text), "PRIVATE") {
		t.Fatalf("the promise holds a private key, or: %v", err)
	}
	for _, s := range []somebody{auditor, stranger} {
		if r := s.try(t, confidb("promise", "import", file, "--signer", owner)...); r.code != 0 || !strings.Contains(r.out, owner) {
			t.Fatalf("promise import: %v", r)
		}
	}
	if code, report := auditor.verify(t, "audited"); code != 0 || report.Verdict != "affirming" {
		t.Errorf("the auditor: exit %d, failed %v: %+v", code, report.failed(), report)
	}
	if code, report := auditor.verify(t, "audited", judgeFlags(t)...); code != 0 || report.Origins["policy"] != "--policy" || report.Origins["collateral"] != "--collateral" {
		t.Errorf("the auditor, with a policy of their own: exit %d, %+v", code, report)
	}
	if code, report := stranger.verify(t, "audited"); code != 4 || report.outcome("session-database") != "skip" || len(report.failed()) > 0 {
		t.Errorf("a stranger: exit %d, failed %v: %+v", code, report.failed(), report)
	}
	if r := auditor.try(t, append(confidb("install", "audited", "--accept-simulated"), labFlags(t)...)...); r.code == 0 {
		t.Errorf("the auditor changed the release: %v", r)
	}
}

// Who was slower takes no release over, at no try.
func TestASecondInstallerTakesNothingOver(t *testing.T) {
	installed(t, "db1")
	revision := func() string { return run(t, "helm", "history", "db1", "-o", "json") }
	before, other := revision(), newSomebody(t)
	for range 2 {
		r := other.try(t, append(confidb("install", "db1", "--accept-simulated"), labFlags(t)...)...)
		if r.code != 1 || !strings.Contains(r.err, "exists already") {
			t.Errorf("install: %v", r)
		}
	}
	if r := other.try(t, "helm", "scone", "uninstall", "db1"); r.code != 1 {
		t.Errorf("uninstall: %v", r)
	}
	if after := revision(); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	if code, report := verify(t, "db1"); code != 0 {
		t.Errorf("exit %d, failed %v", code, report.failed())
	}
}

// What keeps the client from starting is said at once, not when the time is up; what only a
// person mends ends the wait.
func TestWhatIsInTheWayIsSaid(t *testing.T) {
	installed(t, "db1")
	for name, c := range map[string]struct {
		do, undo []string
		want     string
		passes   bool // by itself, perhaps
	}{
		"a quota that is used up": {
			[]string{"kubectl", "create", "quota", "none", "--hard=pods=0"}, []string{"kubectl", "delete", "quota", "none"}, "exceeded quota: none", false,
		},
		"no node is for it": {
			[]string{"kubectl", "taint", "nodes", "--all", "confidb-test=only:NoSchedule"}, []string{"kubectl", "taint", "nodes", "--all", "confidb-test:NoSchedule-"}, "untolerated taint", true,
		},
		"no node takes a pod now": {
			[]string{"kubectl", "cordon", "--selector=kubernetes.io/os=linux"}, []string{"kubectl", "uncordon", "--selector=kubernetes.io/os=linux"}, "were unschedulable", true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, c.do...)
			defer run(t, c.undo...)
			if r := try(t, confidb("verify", "db1", "--accept-simulated", "--timeout", "5s")...); r.code != 124 || !strings.Contains(r.err, c.want) {
				t.Errorf("when the time is up: want exit 124 and %q, got %v", c.want, r)
			}
			if c.passes {
				return
			}
			began := time.Now()
			r := try(t, confidb("verify", "db1", "--accept-simulated")...)
			if took := time.Since(began); r.code != 4 || !strings.Contains(strings.Join(strings.Fields(r.out), " "), c.want) || took > 20*time.Second {
				t.Errorf("after %s, want %q and exit 4 within 20 s: %v", took, c.want, r)
			}
		})
	}
}
