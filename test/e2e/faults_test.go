//go:build e2e

package e2e

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/mysql"
)

// faultRounds is the environment variable that says how many faults happen at random: none
// unless it does, as ten of them were not yet seen to pass. faultSeed repeats a run.
const (
	faultRounds = "CONFIDB_FAULT_ROUNDS"
	faultSeed   = "CONFIDB_FAULT_SEED"
)

// fault is something that happens to a replicated release while it is written to.
type fault struct {
	name string
	// limit is the longest time without an acknowledged commit.
	limit time.Duration
	// happens makes it happen, and returns what ends it; nil means that it ends by itself.
	happens func(t *testing.T, w *writer) (end func())
}

// Limits of the time without an acknowledged commit: where databases are concerned, and where
// only what stands before them is.
const (
	ofDatabase = 30 * time.Second
	ofFront    = 15 * time.Second
)

func faults() []fault {
	return []fault{
		{"the primary is killed", ofDatabase, killed(primaryOf, "mariadb")},
		{"the machine of the primary loses its power", ofDatabase, powerCut},
		{"the primary is cut off", ofDatabase, cutOff("ip saddr", "ip daddr")},
		{"nobody hears the primary", ofDatabase, cutOff("ip saddr")},
		{"the primary hears nobody", ofDatabase, cutOff("ip daddr")},
		{"the primary stalls", ofDatabase, stalls},
		{"a MaxScale is killed", ofFront, killed(member("maxscale-0"), "maxscale")},
		{"a HAProxy is killed", ofFront, killed(haproxyOf, "haproxy")},
		{"CAS is killed", ofFront, killedCAS},
		{"the primary and the MaxScale that acts are killed", ofDatabase, both(killed(primaryOf, "mariadb"), killed(actingMaxScale, "maxscale"))},
		{"a HAProxy and a MaxScale are killed", ofFront, both(killed(haproxyOf, "haproxy"), killed(member("maxscale-1"), "maxscale"))},
	}
}

// happensTo lets a fault happen, wants the writers to go on in time while it lasts, and ends it.
func (f fault) happensTo(t *testing.T, w *writer) {
	t.Helper()
	end := f.happens(t, w)
	if end == nil {
		end = func() {}
	}
	defer end()
	w.goesOn(t, time.Now(), f.limit)
}

// TestFaults installs a primary with two replicas behind MaxScale and HAProxy, and lets one
// thing after another happen to them while applications write. After each, all is proven again
// without anybody's work, and what was acknowledged is there, once.
func TestFaults(t *testing.T) {
	embedded(t)
	const name = "faults"
	installed(t, name, "--architecture", "replicated", "--values", filepath.Join(absolute(t, lab), "values-scalable.yaml"))
	w := startWriter(t, name)
	w.goesOn(t, time.Now(), ofDatabase)
	for _, f := range faults() {
		t.Run(f.name, func(t *testing.T) {
			f.happensTo(t, w)
			w.provenAgain(t)
			w.judge(t)
		})
	}
	t.Run("planned", func(t *testing.T) {
		began, to := time.Now(), fmt.Sprintf("mariadb-%d", (w.primary(t)+1)%3)
		if said := run(t, confidb("switchover", name, "--to", name+"-"+to)...); said != to+" is the primary\n" {
			t.Errorf("got %q, want that %s is the primary", said, to)
		}
		w.goesOn(t, began, ofFront)
		w.judge(t)
	})
	if text := os.Getenv(faultRounds); text != "" {
		rounds, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("%s: %v", faultRounds, err)
		}
		t.Run("random", func(t *testing.T) { w.random(t, rounds) })
	}
	remove(t, name)
}

// random lets faults happen, one after the other, as soon as all members are whole again.
func (w *writer) random(t *testing.T, rounds int) {
	seed, err := strconv.ParseUint(cmp.Or(os.Getenv(faultSeed), fmt.Sprint(time.Now().UnixNano())), 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", faultSeed, err)
	}
	t.Logf("again: %s=%d", faultSeed, seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for round := range rounds {
		f := faults()[random.IntN(len(faults()))]
		t.Logf("round %d: %s", round+1, f.name)
		f.happensTo(t, w)
		w.whole(t)
		if t.Failed() {
			break
		}
	}
	w.provenAgain(t)
	w.judge(t)
}

// provenAgain waits until verify affirms, while the writers go on. Until then it may find
// members that are not there, but nothing that is wrong.
func (w *writer) provenAgain(t *testing.T) {
	t.Helper()
	w.allReady(t)
	waitFor(t, "the proof", 2*time.Minute, func() bool {
		code, found := verify(t, w.release)
		for _, f := range found.Findings {
			if f.Outcome == "fail" {
				t.Errorf("%s: %s (got %s, want %s)", f.ID, f.Reason, f.Got, f.Want)
			}
		}
		return code == 0 || t.Failed()
	})
}

// whole waits until all pods are ready, and until each replica has answered a read: with causal
// reads it does so when it has what was acknowledged before.
func (w *writer) whole(t *testing.T) {
	t.Helper()
	w.allReady(t)
	waitFor(t, "both replicas to have what is acknowledged", 2*time.Minute, func() bool {
		conn, _ := mysql.Connect(t.Context(), w.login)
		if conn == nil {
			return false
		}
		defer conn.Close()
		answered := map[string]bool{fmt.Sprint(w.primary(t) + 1): true}
		for range 6 {
			rows, err := conn.Query(t.Context(), "SELECT @@server_id FROM ledger.writes LIMIT 1")
			if err != nil {
				return false
			}
			answered[rows.Values[0][0].Text] = true
		}
		return len(answered) == 3
	})
}

// allReady waits until all pods are ready.
func (w *writer) allReady(t *testing.T) {
	t.Helper()
	waitFor(t, "all pods to be ready", 2*time.Minute, func() bool {
		said := try(t, "kubectl", "get", "pods", "-l", "app.kubernetes.io/instance="+w.release, "-o", `jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}`)
		states := strings.Fields(said.out)
		return len(states) == 7 && !slices.Contains(states, "False") && !slices.Contains(states, "Unknown")
	})
}

// who is the pod that a fault is about.
type who func(t *testing.T, w *writer) string

func member(name string) who {
	return func(_ *testing.T, w *writer) string { return w.release + "-" + name }
}

func primaryOf(t *testing.T, w *writer) string {
	return fmt.Sprintf("%s-mariadb-%d", w.release, w.primary(t))
}

// haproxyOf is the HAProxy that has been there for the longest time.
func haproxyOf(t *testing.T, w *writer) string {
	return run(t, "kubectl", "get", "pods", "-l", "app.kubernetes.io/component=haproxy,app.kubernetes.io/instance="+w.release, "--sort-by", ".metadata.creationTimestamp", "-o", "jsonpath={.items[0].metadata.name}")
}

// actingMaxScale is the MaxScale of which the keeper acts: the one that holds the locks.
func actingMaxScale(t *testing.T, w *writer) string {
	for _, name := range []string{w.release + "-maxscale-0", w.release + "-maxscale-1"} {
		lines := strings.Split(strings.TrimSpace(run(t, "kubectl", "logs", name, "-c", "keeper", "--tail=1")), "\n")
		if strings.Contains(lines[len(lines)-1], "is written to") {
			return name
		}
	}
	t.Fatal("no MaxScale acts")
	return ""
}

// killed ends all processes of a container, as the kernel does where memory is short.
func killed(whom who, container string) func(*testing.T, *writer) func() {
	return func(t *testing.T, w *writer) func() {
		signal(t, "default", whom(t, w), container, syscall.SIGKILL)
		return nil
	}
}

func killedCAS(t *testing.T, _ *writer) func() {
	signal(t, "scone-system", "cas-0", "cas", syscall.SIGKILL)
	return nil
}

// stalls stops the primary's server in the middle of its work; it goes on afterwards.
func stalls(t *testing.T, w *writer) func() {
	pod := primaryOf(t, w)
	signal(t, "default", pod, "mariadb", syscall.SIGSTOP)
	return func() { signal(t, "default", pod, "mariadb", syscall.SIGCONT) }
}

// both lets two things happen at once.
func both(one, other func(*testing.T, *writer) func()) func(*testing.T, *writer) func() {
	return func(t *testing.T, w *writer) func() {
		one(t, w)
		other(t, w)
		return nil
	}
}

// cutOff drops what the pod of the primary sends, or what it is sent, at its machine. Its
// machine's kubelet still reaches it.
func cutOff(matches ...string) func(*testing.T, *writer) func() {
	return func(t *testing.T, w *writer) func() {
		pod := primaryOf(t, w)
		address := run(t, "kubectl", "get", "pod", pod, "-o", "jsonpath={.status.podIP}")
		namespace := namespaceOf(nodeOf(t, pod))
		rules := "table ip faults {\nchain cut {\ntype filter hook forward priority -300\n"
		for _, match := range matches {
			rules += match + " " + address + " drop\n"
		}
		machine(t, "nsenter", "--net="+namespace, "nft", rules+"}\n}")
		return func() { machine(t, "nsenter", "--net="+namespace, "nft", "delete table ip faults") }
	}
}

// powerCut cuts the power of the machine of the primary, and switches it on again.
func powerCut(t *testing.T, w *writer) func() {
	node := nodeOf(t, primaryOf(t, w))
	w.off[node].Store(true)
	machine(t, "../cluster/power.sh", "off", fmt.Sprint(node))
	return func() {
		machine(t, "../cluster/power.sh", "on", fmt.Sprint(node))
		w.off[node].Store(false)
	}
}

// nodeOf is the number of the machine of a pod.
func nodeOf(t *testing.T, pod string) (number int) {
	t.Helper()
	name := run(t, "kubectl", "get", "pod", pod, "-o", "jsonpath={.spec.nodeName}")
	if _, err := fmt.Sscanf(name, "n%d", &number); err != nil {
		t.Fatalf("got the machine %q: %v", name, err)
	}
	return number
}

// machine runs a program that does something to the machines of the lab.
func machine(t *testing.T, program ...string) {
	t.Helper()
	if out, err := exec.Command(program[0], program[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%q: %v: %s", program, err, out)
	}
}

// signal sends a signal to all processes of a container.
func signal(t *testing.T, namespace, pod, container string, what syscall.Signal) {
	t.Helper()
	id := run(t, "kubectl", "get", "pod", "-n", namespace, pod, "-o", `jsonpath={.status.containerStatuses[?(@.name=="`+container+`")].containerID}`)
	id = strings.TrimPrefix(id, "containerd://")
	groups, err := filepath.Glob("/proc/[0-9]*/cgroup")
	if err != nil || id == "" {
		t.Fatalf("the container %s of %s is %q, %v", container, pod, id, err)
	}
	sent := 0
	for _, group := range groups {
		text, err := os.ReadFile(group)
		pid, wrong := strconv.Atoi(filepath.Base(filepath.Dir(group)))
		if err != nil || wrong != nil || !strings.Contains(string(text), id) {
			continue // it has ended
		}
		if syscall.Kill(pid, what) == nil {
			sent++
		}
	}
	if sent == 0 {
		t.Fatalf("the container %s of %s has no process", container, pod)
	}
}
