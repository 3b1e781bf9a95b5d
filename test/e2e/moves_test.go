//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func idOf(t *testing.T, node string) string {
	t.Helper()
	return strings.TrimSpace(run(t, confidb("platforms", "-o", `jsonpath={.items[?(@.name=="`+node+`")].platformID}`)...))
}

// proven says whether a release is what was promised, on the machines of now.
func proven(t *testing.T, release string) {
	t.Helper()
	if code, report := verify(t, release); code != 0 {
		t.Errorf("%s is not proven: exit %d, failed: %v", release, code, report.failed())
	}
}

// works asks the database something as its client.
func works(t *testing.T, release string) {
	t.Helper()
	if out := run(t, confidb("sql", release, "--", "-e", "select 40+2")...); !strings.Contains(out, "42") {
		t.Errorf("the client of %s: %s", release, out)
	}
}

// onlyOutdated wants a release to be proven but for the machines, of which the cluster
// has more than its sessions admit.
func onlyOutdated(t *testing.T, release string) {
	t.Helper()
	code, report := verify(t, release)
	var unproven []string
	for _, f := range report.Findings {
		if f.Outcome == "skip" {
			unproven = append(unproven, f.ID)
		}
	}
	if code != 4 || len(report.failed()) > 0 || !slices.Equal(unproven, []string{"platforms-current"}) {
		t.Errorf("%s: exit %d, failed: %v, unproven: %v", release, code, report.failed(), unproven)
	}
}

// platformFlags name machines.
func platformFlags(ids ...string) []string {
	var flags []string
	for _, id := range ids {
		flags = append(flags, "--platform", id)
	}
	return flags
}

// placed installs a release of which the database runs on one node.
func placed(t *testing.T, release, node string) {
	t.Helper()
	installed(t, release, "--set", "nodeSelector.kubernetes\\.io/hostname="+node, "--values", filepath.Join(absolute(t, lab), "values.yaml"))
}

// A machine leaves and comes back: the sessions follow in step, the database and its
// clients go on, and a start on the machine that left is refused.
func TestPlatformsFollowTheCluster(t *testing.T) {
	plan := filepath.Join(t.TempDir(), "plan.json")
	placed(t, "moves", "n1")
	one, two, left := idOf(t, "n1"), idOf(t, "n2"), idOf(t, "n3")
	before, after := platformFlags(one, two, left), platformFlags(one, two)
	planned := func(flags []string) result {
		return try(t, append(confidb("platforms", "plan", "moves", "--to", plan), flags...)...)
	}
	apply := func(file string, flags ...string) []string {
		return append(confidb("platforms", "apply", "moves", file), flags...)
	}
	if r := planned(before); r.code != 0 || !strings.Contains(r.err, "admit these machines already") {
		t.Errorf("nothing to do: %v", r)
	}
	if r := planned(after); r.code != 0 || strings.Count(r.out, ": narrowed") != 2 || !strings.Contains(r.out, left) || strings.Contains(r.out, "BREAKS") {
		t.Fatalf("planning: %v", r)
	}
	if r := try(t, apply(plan, before...)...); r.code != 1 || !strings.Contains(r.err, "machines have changed since the plan was made") {
		t.Errorf("the machine came back meanwhile: %v", r)
	}
	edited := filepath.Join(t.TempDir(), "edited.json")
	const setting = "require_secure_transport = O"
	everywhere := strings.ReplaceAll(string(read(t, plan)), setting+"N", setting+"FF")
	last := strings.LastIndex(string(read(t, plan)), setting+"N")
	onlyNew := string(read(t, plan))[:last] + setting + "FF" + string(read(t, plan))[last+len(setting)+1:]
	for text, want := range map[string]string{onlyNew: "something else than platforms", everywhere: "was changed meanwhile"} {
		if err := os.WriteFile(edited, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if r := try(t, apply(edited, after...)...); r.code != 1 || !strings.Contains(r.err, want) {
			t.Errorf("an edited plan: want %q: %v", want, r)
		}
	}
	steps := []string{"session ", "session ", "restarting"}
	for n, step := range steps {
		t.Logf("killed at %q", step)
		killAt(t, steps, n, apply(plan, after...)...)
	}
	run(t, apply(plan, after...)...)
	onlyOutdated(t, "moves")
	works(t, "moves")
	revoked(t, "moves", "n3", 0, "not permitted")
	revoked(t, "moves", "n2", 3, "service probe admits it")
	revoked(t, "moves", "n1", 3, "still has the secrets")

	if r := planned(before); r.code != 0 || strings.Count(r.out, ": widened") != 2 {
		t.Fatalf("planning the way back: %v", r)
	}
	run(t, apply(plan, append(before, "--no-restart")...)...)
	proven(t, "moves")
	works(t, "moves")
	placed(t, "moves", "n1") // installing again finds all as it is
	remove(t, "moves")
}

// revoked says what is shown of a node that left, and how it ends.
func revoked(t *testing.T, release, node string, code int, want string) {
	t.Helper()
	if r := try(t, confidb("platforms", "revoked", release, node, "--accept-simulated", "-o", "json")...); r.code != code || !strings.Contains(r.out, want) {
		t.Errorf("want exit %d and %q: %v", code, want, r)
	}
}

// Microcode, LAS or SGX were changed: the same machines have other IDs, and of another
// generation. CAS is down when the first half is done; the second run ends it.
func TestPlatformsWithOtherIDs(t *testing.T) {
	plan := filepath.Join(t.TempDir(), "plan.json")
	installed(t, "renewed")
	setGeneration(t, "6")
	defer setGeneration(t, "7")
	if r := try(t, confidb("platforms", "diff", "renewed", "--accept-simulated")...); r.code != 3 || !strings.Contains(r.out, "n1") {
		t.Errorf("other IDs: %v", r)
	}
	run(t, confidb("platforms", "plan", "renewed", "--to", plan)...)
	killAt(t, []string{"session ", "session "}, 1, confidb("platforms", "apply", "renewed", plan)...)
	run(t, "kubectl", "scale", "--namespace", "scone-system", "statefulset/cas", "--replicas=0")
	run(t, "kubectl", "wait", "--namespace", "scone-system", "--for=delete", "pod/cas-0", "--timeout=60s")
	if r := try(t, confidb("platforms", "apply", "renewed", plan)...); r.code != 1 || !strings.Contains(r.err, "error: reaching the CAS") {
		t.Errorf("without CAS: %v", r)
	}
	run(t, "kubectl", "scale", "--namespace", "scone-system", "statefulset/cas", "--replicas=1")
	run(t, "kubectl", "rollout", "status", "--namespace", "scone-system", "statefulset/cas", "--timeout=60s")
	run(t, confidb("platforms", "apply", "renewed", plan)...)
	if out := run(t, "kubectl", "get", "events", "--field-selector", "reason=PlatformsUpdated", "-o", "name"); !strings.Contains(out, "event/") {
		t.Errorf("no event says that the sessions were updated: %q", out)
	}
	waitFor(t, "the proof under the new IDs", time.Minute, func() bool {
		code, _ := verify(t, "renewed")
		return code == 0
	})
	works(t, "renewed")
	remove(t, "renewed")
}

// A plan that takes the database's own machine away is undone when it does not come back.
func TestPlatformsAreSetBack(t *testing.T) {
	plan := filepath.Join(t.TempDir(), "plan.json")
	placed(t, "back", "n3")
	without := platformFlags(idOf(t, "n1"), idOf(t, "n2"))
	run(t, append(confidb("platforms", "plan", "back", "--to", plan), without...)...)
	edited := filepath.Join(t.TempDir(), "edited.json")
	if err := os.WriteFile(edited, []byte(strings.Replace(string(read(t, plan)), idOf(t, "n3"), "INTEL_QE_ID:"+strings.Repeat("0", 32), 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := try(t, append(confidb("platforms", "apply", "back", edited), without...)...); r.code != 1 || !strings.Contains(r.err, "the plan begins with the machines") {
		t.Errorf("a plan that would set back to a stranger: %v", r)
	}
	r := try(t, append(confidb("platforms", "apply", "back", plan, "--patience", "90s"), without...)...)
	if r.code != 1 || !strings.Contains(r.err, "were set back") || !strings.Contains(r.err, "not permitted") {
		t.Errorf("got %v", r)
	}
	if out := run(t, "kubectl", "get", "events", "--field-selector", "reason=PlatformsRolledBack", "-o", "name"); !strings.Contains(out, "event/") {
		t.Errorf("no event says that the sessions were set back: %q", out)
	}
	proven(t, "back")
	works(t, "back")
	remove(t, "back")
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// pretender is a pod that looks like LAS on a node and writes a platform ID of its own.
func pretender(t *testing.T, node, line string) func() {
	t.Helper()
	manifest := filepath.Join(t.TempDir(), "pretender.yaml")
	text := `apiVersion: v1
kind: Pod
metadata: {name: pretender, namespace: scone-system, labels: {app.kubernetes.io/name: las}}
spec:
  nodeName: ` + node + `
  containers:
    - name: las
      image: lab.local/mariadb:10.11
      imagePullPolicy: IfNotPresent
      command: [sh, -c, "echo '` + line + `'; exec sleep 600"]
`
	if err := os.WriteFile(manifest, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "kubectl", "apply", "-f", manifest)
	run(t, "kubectl", "wait", "--namespace", "scone-system", "--for=condition=Ready", "--timeout=60s", "pod/pretender")
	return func() { run(t, "kubectl", "delete", "pod", "--namespace", "scone-system", "pretender", "--now") }
}

// Logs that look like those of LAS name another machine, one that is there already, and
// one of another generation: nothing is believed, and no session follows.
func TestForgedLogs(t *testing.T) {
	plan := filepath.Join(t.TempDir(), "plan.json")
	installed(t, "logs")
	other := strings.TrimPrefix(idOf(t, "n2"), "INTEL_QE_ID:")
	for name, c := range map[string]struct{ line, want string }{
		"a stranger's ID":      {"INFO Intel QE ID: 00112233445566778899aabbccddeeff", "n1"},
		"the ID of a neighbor": {"INFO Intel QE ID: " + other, "n1"},
		"another generation":   {"public key 00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF", "n1"},
	} {
		gone := pretender(t, "n1", c.line)
		for _, arguments := range [][]string{confidb("platforms", "-o", "session"), confidb("platforms", "plan", "logs", "--to", plan)} {
			if r := try(t, arguments...); r.code != 1 || r.out != "" || !strings.Contains(r.err, c.want) {
				t.Errorf("%s: %v", name, r)
			}
		}
		gone()
	}
	if r := try(t, append(confidb("platforms", "plan", "logs", "--to", plan), platformFlags(idOf(t, "n1"), strings.Repeat("AB", 32))...)...); r.code != 1 || !strings.Contains(r.err, "generation") {
		t.Errorf("IDs of two generations: %v", r)
	}
	if _, err := os.Stat(plan); err == nil {
		t.Error("a plan was written")
	}
	proven(t, "logs")
	works(t, "logs")
	remove(t, "logs")
}

// Two people change a session of a running release at once: one of them is told, or
// both changes are there, and the release says that it is not what was promised.
func TestConcurrentUpdateOfARelease(t *testing.T) {
	installed(t, "twice")
	session := variable(t, "twice", "DBCLIENT")
	current := run(t, confidb("session", "get", session)...)
	endings := make(chan result, 2)
	for _, value := range []string{"none-a", "none-b"} {
		file := filepath.Join(t.TempDir(), "session.yaml")
		changed := strings.Replace(current, `\@\@CONFIDB_NONCE: none`, `\@\@CONFIDB_NONCE: `+value, 1)
		if changed == current {
			t.Fatal("the session is not what this test knows")
		}
		if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
			t.Fatal(err)
		}
		go func() { endings <- try(t, confidb("session", "update", file)...) }()
	}
	for range 2 {
		r := <-endings
		if r.code != 0 && !(r.code == 1 && strings.Contains(r.err, "was changed meanwhile")) {
			t.Errorf("an update: %v", r)
		}
	}
	if code, report := verify(t, "twice"); code != 3 || !slices.Contains(report.failed(), "session-client") {
		t.Errorf("exit %d, failed: %v", code, report.failed())
	}
	works(t, "twice")
	remove(t, "twice")
}
