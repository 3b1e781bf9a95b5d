//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// host is whoever has the volume of one release, and its copies.
type host struct {
	release, folder string
	// old is a copy of before the last run, newest one of after it, live one of within it.
	old, newest, live string
}

func newHost(t *testing.T, release string) *host {
	t.Helper()
	copies := t.TempDir()
	return &host{release, volume(t, release), filepath.Join(copies, "old"), filepath.Join(copies, "newest"), filepath.Join(copies, "live")}
}

func (h *host) stop(t *testing.T) {
	t.Helper()
	run(t, "kubectl", "scale", "statefulset/"+h.release+"-mariadb", "--replicas=0")
	run(t, "kubectl", "wait", "--for=delete", "pod/"+h.release+"-mariadb-0", "--timeout=90s")
}

func (h *host) start(t *testing.T) {
	t.Helper()
	run(t, "kubectl", "scale", "statefulset/"+h.release+"-mariadb", "--replicas=1")
}

func (h *host) takeCopy(t *testing.T, to string) {
	t.Helper()
	run(t, "cp", "-a", h.folder+"/.", to)
}

// putBack makes the volume what a copy is.
func (h *host) putBack(t *testing.T, from string) {
	t.Helper()
	run(t, "bash", "-c", fmt.Sprintf("rm -rf '%s'/* && cp -a '%s'/. '%s'", h.folder, from, h.folder))
}

// says waits until the runtime says why it does not start, or the database is ready. A
// container that failed is started again, so what it said may be in its previous log.
func (h *host) says(t *testing.T) string {
	t.Helper()
	pod, said := h.release+"-mariadb-0", ""
	waitFor(t, "the pod of "+h.release+" to start or to fail", time.Minute, func() bool {
		if try(t, "kubectl", "get", "pod", pod, "-o", "jsonpath={.status.containerStatuses[0].ready}").out == "true" {
			said = "the database runs"
			return true
		}
		for _, which := range []string{"--previous=false", "--previous"} {
			if said = try(t, "kubectl", "logs", pod, "--container", "init", which).out; strings.Contains(said, "[SCONE|FATAL]") {
				return true
			}
		}
		return false
	})
	return said
}

func (h *host) write(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(h.folder, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// largest are the cipher texts of the largest files.
func (h *host) largest(t *testing.T) []string {
	t.Helper()
	return strings.Fields(run(t, "bash", "-c", "cd '"+h.folder+"' && ls -S objects/* | head -2"))
}

// changed is the cipher text of a file that is another one in the older copy.
func (h *host) changed(t *testing.T) string {
	t.Helper()
	names := strings.Fields(run(t, "bash", "-c", fmt.Sprintf("cd '%s' && for f in objects/*; do [ ! -e '%s'/$f ] || cmp -s $f '%s'/$f || echo $f; done", h.folder, h.old, h.old)))
	if len(names) == 0 {
		t.Fatal("no file is another one in the older copy")
	}
	return names[0]
}

// What the host plants on the volume while the database is down, each in a row: the
// database does not start. With the volume as it was left, it does.
func TestPlantedOnTheVolume(t *testing.T) {
	installed(t, "planted")
	h := newHost(t, "planted")
	insert := func(text string) {
		t.Helper()
		if r := sql(t, "planted", "create table if not exists kept (t text); insert into kept values ('"+text+"')"); r.code != 0 {
			t.Fatal(r)
		}
	}
	insert("one")
	h.stop(t)
	h.takeCopy(t, h.old)
	h.start(t)
	run(t, "kubectl", "rollout", "status", "statefulset/planted-mariadb", "--timeout=90s")
	insert("two")
	h.takeCopy(t, h.live)
	insert("three")
	h.stop(t)
	h.takeCopy(t, h.newest)
	if seen := run(t, "bash", "-c", "cd '"+h.folder+"' && find . -type f | sort | sed 's/[0-9a-f]\\{16\\}$/ID/' | uniq"); seen != "./log\n./objects/ID\n" {
		t.Errorf("the host sees names:\n%s", seen)
	}
	const noPart, changed, older = "is no part of the volume", "it was changed, it belongs to another volume, or it is of another time", "put back to an earlier state"
	for _, c := range []struct {
		name, want string
		attack     func()
	}{
		{"replication (H1)", noPart, func() { h.write(t, "data/master.info", "18\n"); h.write(t, "data/relay-log.info", "5\n") }},
		{"system tables of another server with a trigger (H2)", noPart, func() {
			h.write(t, "data/mysql/global_priv.MAD", "x")
			h.write(t, "data/mysql/plugin.TRG", "TYPE=TRIGGERS\n")
		}},
		{"a foreign data directory (H3)", noPart, func() { h.clear(t); h.write(t, "data/ibdata1", "x"); h.write(t, "data/mysql/db.opt", "x") }},
		{"a trigger beside the log (H4)", noPart, func() { h.write(t, "objects/global_priv.TRG", "TYPE=TRIGGERS\n") }},
		{"two files swapped (H5)", changed, func() { f := h.largest(t); h.shell(t, "mv %s x && mv %s %s && mv x %s", f[0], f[1], f[0], f[1]) }},
		{"an object of a known form (H6)", noPart, func() { h.write(t, "objects/00000000ffffffff", strings.Repeat("x", 8192)) }},
		{"an older copy of one file", changed, func() { f := h.changed(t); h.shell(t, "cp '%s'/%s %s", h.old, f, f) }},
		{"an older copy of the log", changed, func() { h.shell(t, "cp '%s'/log log", h.old) }},
		{"an older copy of all, clean", older, func() { h.putBack(t, h.old) }},
		{"an older copy of all, of within the run", older, func() { h.putBack(t, h.live) }},
		{"a missing file", changed, func() { h.shell(t, "rm %s", h.largest(t)[1]) }},
		{"one flipped bit", changed, func() {
			h.shell(t, `printf '\001' | dd of=%s bs=1 seek=9000 conv=notrunc status=none`, h.largest(t)[0])
		}},
		{"a block of zeros", changed, func() {
			h.shell(t, "dd if=/dev/zero of=%s bs=4096 seek=2 count=1 conv=notrunc status=none", h.largest(t)[0])
		}},
		{"nothing at all", "the log of the volume is missing", func() { h.clear(t) }},
	} {
		c.attack()
		h.start(t)
		// The same text may come of an older log: what matters is that it says why.
		if said := h.says(t); !strings.Contains(said, "[SCONE|FATAL]") || !strings.Contains(said, c.want) && !(c.want == changed && strings.Contains(said, older)) {
			t.Errorf("%s: %s", c.name, said)
		}
		h.stop(t)
		h.putBack(t, h.newest)
	}
	h.start(t)
	run(t, "kubectl", "rollout", "status", "statefulset/planted-mariadb", "--timeout=90s")
	if code, report := verify(t, "planted"); code != 0 || report.Verdict != "affirming" {
		t.Errorf("with the volume as it was left: exit %d, failed %v", code, report.failed())
	}
	if r := sql(t, "planted", "select group_concat(t order by t) as all_of_it from kept"); r.code != 0 || !strings.HasSuffix(r.out, "one,three,two\n") {
		t.Errorf("with the volume as it was left: %v", r)
	}
	h.kill(t)
	remove(t, "planted")
}

func (h *host) clear(t *testing.T) {
	t.Helper()
	run(t, "bash", "-c", "rm -rf '"+h.folder+"'/*")
}

func (h *host) shell(t *testing.T, command string, arguments ...any) {
	t.Helper()
	run(t, "bash", "-ec", "cd '"+h.folder+"'; "+fmt.Sprintf(command, arguments...))
}

// kill ends the enclave as a host can, at any moment: the database comes back by
// itself with what was committed, and is proven; what the volume was before is refused.
func (h *host) kill(t *testing.T) {
	t.Helper()
	if r := sql(t, h.release, "insert into kept values ('zzz')"); r.code != 0 {
		t.Fatal(r)
	}
	uid := strings.ReplaceAll(run(t, "kubectl", "get", "pod", h.release+"-mariadb-0", "-o", "jsonpath={.metadata.uid}"), "-", "")
	for _, pid := range enclavesOf(t, uid) {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	waitFor(t, "the container to be started again", time.Minute, func() bool {
		return try(t, "kubectl", "get", "pod", h.release+"-mariadb-0", "-o", "jsonpath={.status.containerStatuses[0].restartCount} {.status.containerStatuses[0].ready}").out == "1 true"
	})
	if code, report := verify(t, h.release); code != 0 {
		t.Errorf("after a kill: exit %d, failed %v", code, report.failed())
	}
	if r := sql(t, h.release, "select count(*) as n from kept where t='zzz'"); r.code != 0 || r.out != "n\n1\n" {
		t.Errorf("after a kill: %v", r)
	}
}

// enclavesOf are the runtimes in the containers of a pod, by its UID without dashes.
func enclavesOf(t *testing.T, uid string) []int {
	t.Helper()
	folders, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	var all []int
	for _, folder := range folders {
		groups, _ := os.ReadFile(filepath.Join(folder, "cgroup")) // one that has ended has none
		line, _ := os.ReadFile(filepath.Join(folder, "cmdline"))
		if strings.Contains(strings.ReplaceAll(string(groups), "-", ""), uid) && strings.HasPrefix(string(line), "confidb-lab\x00run\x00") {
			pid, err := strconv.Atoi(filepath.Base(folder))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, pid)
		}
	}
	if len(all) == 0 {
		t.Fatal("no enclave runs in the pod")
	}
	return all
}

// bareSession is our template without volumes, and a policy that accepts that.
func bareSession(t *testing.T) (file, policy string) {
	t.Helper()
	template := run(t, confidb("session", "template", "database")...)
	bare := regexp.MustCompile(`(?m)^(volumes:\n(  .*\n)+|    volumes:\n(      .*\n)+?)((?:images|    [a-z_]+):)`).ReplaceAllString(template, "$4")
	if strings.Contains(bare, "volumes:") {
		t.Fatalf("the template has another form:\n%s", bare)
	}
	folder := t.TempDir()
	file, policy = filepath.Join(folder, "database.yml"), filepath.Join(folder, "policy.yaml")
	text, err := os.ReadFile(filepath.Join(lab, "policy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(bare), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(policy, append(text, "accept-deviations: [unprotected-volume]\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, policy
}

// A session without volumes works with the same chart, fails enc-07, and is a warning
// where the policy names it.
func TestUnprotectedVolume(t *testing.T) {
	file, policy := bareSession(t)
	if r := install(t, "bare", "--database-template", file); r.code != 3 || strings.Count(r.out, "\nFAIL ") != 1 || !strings.Contains(r.out, "FAIL enc-07") {
		t.Fatalf("got %v", r)
	}
	if r := install(t, "bare", "--database-template", file, "--policy", policy); r.code != 0 || !strings.Contains(r.out, "WARN enc-07") || !strings.Contains(r.out, "Whoever writes the volume runs SQL with every right") {
		t.Errorf("with a policy that names it: %v", r)
	}
	if code, report := verify(t, "bare"); code != 0 || report.Verdict != "warning" || !slices.ContainsFunc(report.Limitations, func(l struct{ ID string }) bool { return l.ID == "unprotected-volume" }) {
		t.Errorf("exit %d, %s, limitations %v", code, report.Verdict, report.Limitations)
	}
	remove(t, "bare")
}
