package charts_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/confidb/confidb/pkg/charts"
	"github.com/confidb/confidb/pkg/release"
)

// member is a pod of a database, with shell scripts in the place of enclaves.
type member struct {
	t      *testing.T
	folder string
	// patience is how many seconds leaving may take.
	patience string
}

func newMember(t *testing.T) *member {
	t.Helper()
	m := &member{t, t.TempDir(), "30"}
	if err := syscall.Mkfifo(m.path("up"), 0o600); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *member) path(name string) string { return filepath.Join(m.folder, name) }

func (m *member) write(name, text string, mode os.FileMode) {
	m.t.Helper()
	if err := os.WriteFile(m.path(name), []byte(text), mode); err != nil {
		m.t.Fatal(err)
	}
}

// calls are what was called, one a line, but for the service `watch`, which is called beside
// the others.
func (m *member) calls() string {
	text, err := os.ReadFile(m.path("calls"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		m.t.Fatal(err)
	}
	return regexp.MustCompile(`(?m)^watch-.*\n`).ReplaceAllString(string(text), "")
}

// rendered are the specifications of a database's pods by architecture, with programs that
// begin with PROGRAM.
var rendered = sync.OnceValues(func() (map[string]corev1.PodSpec, error) {
	all := map[string]corev1.PodSpec{}
	for _, architecture := range []string{"replicated", "sharded"} {
		var values map[string]any
		err := yaml.Unmarshal([]byte(scalableRequired+"command: [PROGRAM]\narchitecture: "+architecture+"\n"), &values)
		if err != nil {
			return nil, err
		}
		h, err := release.New(nil, "shop", release.Settings{Own: charts.For})
		if err != nil {
			return nil, err
		}
		spec := release.Spec{Name: "db1", Architecture: architecture, Values: values}
		chart, err := h.Load(spec)
		if err != nil {
			return nil, err
		}
		manifests, err := h.Render(context.Background(), spec, chart)
		if err != nil {
			return nil, err
		}
		sets := map[string]appsv1.StatefulSet{}
		for _, document := range strings.Split(string(manifests), "\n---\n") {
			if strings.Contains(document, "\nkind: StatefulSet\n") {
				err = errors.Join(err, into(document, sets))
			}
		}
		all[architecture] = sets["db1-mariadb"].Spec.Template.Spec
		if err != nil {
			return nil, err
		}
	}
	return all, nil
})

// script is the command of a container of the chart, with its paths below the folder, and
// with services that are shell scripts: cases of service and program.
func (m *member) script(architecture string, init bool, services string) (command []string) {
	m.t.Helper()
	m.write("program", "#!/bin/sh -e\ncd "+m.folder+"\nservice=${SCONE_CONFIG_ID#db1-00/db/}\necho \"$service $*\" >>calls\n[ -z \"$(cat)\" ] || exit 77\ncase \"$service $*\" in\n"+services+"\n*) exit 99 ;;\nesac\n", 0o700)
	specs, err := rendered()
	if err != nil {
		m.t.Fatal(err)
	}
	command = specs[architecture].Containers[0].Command
	if init {
		command = specs[architecture].InitContainers[0].Command
	}
	return m.below(command)
}

// below moves the paths of a command below the folder.
func (m *member) below(command []string) (moved []string) {
	replacer := strings.NewReplacer("/run/mysqld/", m.folder+"/", "PROGRAM", m.path("program"), "timeout -k 1 30 ", "timeout -k 1 "+m.patience+" ", "  sleep 1\n", "  sleep 0.2\n", "sleep 5;", "sleep 0.2;")
	for _, word := range command {
		moved = append(moved, replacer.Replace(word))
	}
	return moved
}

// start starts a command as the first process of a group of its own.
func (m *member) start(command []string) *exec.Cmd {
	m.t.Helper()
	run := exec.Command(command[0], command[1:]...)
	run.Dir, run.SysProcAttr = m.folder, &syscall.SysProcAttr{Setpgid: true}
	run.Env = append(os.Environ(), "POD_NAME=db1-mariadb-1", "SCONE_CONFIG_ID=db1-00/db/db-db1-mariadb-1")
	output, err := os.Create(m.path("output"))
	if err != nil {
		m.t.Fatal(err)
	}
	defer output.Close()
	run.Stdout, run.Stderr = output, output
	if err := run.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { _ = syscall.Kill(-run.Process.Pid, syscall.SIGKILL) })
	return run
}

// end waits for a command, and returns its exit code: 128 and the signal for one that was
// killed. Nothing of its group is left, as nothing is of a container.
func (m *member) end(run *exec.Cmd) int {
	m.t.Helper()
	late := time.AfterFunc(time.Minute, func() { _ = syscall.Kill(-run.Process.Pid, syscall.SIGKILL) })
	err := run.Wait()
	if !late.Stop() {
		m.t.Fatalf("it does not end: %s", m.calls())
	}
	_ = syscall.Kill(-run.Process.Pid, syscall.SIGKILL)
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		m.t.Fatal(err)
	}
	status := run.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}

// await waits until a service says that it is up.
func (m *member) await() {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), time.Minute)
	defer cancel()
	up := make(chan error, 1)
	go func() { _, err := os.ReadFile(m.path("up")); up <- err }()
	select {
	case err := <-up:
		if err != nil {
			m.t.Fatal(err)
		}
	case <-ctx.Done():
		m.t.Fatalf("nothing came up: %s", m.calls())
	}
}

// running is a service that says that it is up, and ends in order when it is told to.
const running = `trap 'echo "ended $service" >>calls; kill $sleeper; exit 0' TERM; sleep 1000 & sleeper=$!; echo >up; wait $sleeper; exit 5`

// TestMemberWords: each word of the gate, on its last line, starts what it says; and what is
// no word starts nothing.
func TestMemberWords(t *testing.T) {
	const gate = "gate-db1-mariadb-1 confidb-probe\n"
	for name, c := range map[string]struct {
		word, code, server string
		want               string
		exit               int
	}{
		"late":                   {"late\n", "0", "0", gate + "db-db1-mariadb-1 mariadbd\n", 0},
		"cold":                   {"cold\n", "0", "0", gate + "cold-db1-mariadb-1 mariadbd\n", 0},
		"after other lines":      {"waiting for member 2\ncold\nlate\n", "0", "0", gate + "db-db1-mariadb-1 mariadbd\n", 0},
		"a server that fails":    {"cold\n", "0", "7", gate + "cold-db1-mariadb-1 mariadbd\n", 7},
		"a word and a failure":   {"late\n", "3", "0", gate, 3},
		"a gate that was kept":   {"late\n", "255", "0", gate, 255},
		"nothing":                {"", "0", "0", gate, 1},
		"half a line":            {"late", "0", "0", gate, 1},
		"found":                  {"found\n", "0", "0", gate, 1},
		"seed":                   {"seed 1\n", "0", "0", gate, 1},
		"wait":                   {"wait\n", "0", "0", gate, 1},
		"two words":              {"late cold\n", "0", "0", gate, 1},
		"in capitals":            {"LATE\n", "0", "0", gate, 1},
		"a pattern":              {"*\n", "0", "0", gate, 1},
		"a command":              {"$(touch evil)\n", "0", "0", gate, 1},
		"another one at the end": {"late\nno\n", "0", "0", gate, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMember(t)
			m.write("word", c.word, 0o600)
			command := m.script("replicated", false, "gate-*) cat word; exit "+c.code+" ;;\ndb-*|cold-*) exit "+c.server+" ;;")
			if code := m.end(m.start(command)); code != c.exit {
				t.Errorf("got exit code %d, want %d", code, c.exit)
			}
			if diff := cmp.Diff(c.want, m.calls()); diff != "" {
				t.Errorf("called (-want +got):\n%s", diff)
			}
			if _, err := os.Stat(m.path("evil")); err == nil {
				t.Error("the gate's word was run")
			}
		})
	}
}

// TestMemberLeaves: a member that is told to end has another one made the primary, and is
// killed if that is not done.
func TestMemberLeaves(t *testing.T) {
	const began = "gate-db1-mariadb-1 confidb-probe\ndb-db1-mariadb-1 mariadbd\nleave-db1-mariadb-1 confidb-probe\n"
	for name, c := range map[string]struct{ leave, want string }{
		"another one is primary": {"exit 0", began + "ended db-db1-mariadb-1\n"},
		"none could be made":     {"exit 1", began},
		"CAS refuses it":         {"exit 255", began},
		"it hangs":               {"sleep 1000", began},
		"it does not listen":     {"trap '' TERM; while :; do sleep 1000; done", began},
		"told twice":             {"set -- $(cat /proc/$PPID/stat); kill -TERM $4; exit 0", began + "ended db-db1-mariadb-1\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMember(t)
			if strings.HasPrefix(name, "it ") {
				m.patience = "2"
			}
			run := m.start(m.script("replicated", false, "gate-*) echo late ;;\ndb-*) "+running+" ;;\nleave-*) "+c.leave+" ;;"))
			m.await()
			if err := run.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if code := m.end(run); code != 0 {
				t.Errorf("got exit code %d, want 0", code)
			}
			// One that ends just when it is told again may count as one that failed.
			got := m.calls()
			if name == "told twice" && got == began {
				got = c.want
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("called (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("at the gate", func(t *testing.T) {
		m := newMember(t)
		run := m.start(m.script("replicated", false, "gate-*) "+running+" ;;"))
		m.await()
		if err := run.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if code := m.end(run); code != 0 || m.calls() != "gate-db1-mariadb-1 confidb-probe\nended gate-db1-mariadb-1\n" {
			t.Errorf("got exit code %d and %s", code, m.calls())
		}
	})
	t.Run("as long as a pod has", func(t *testing.T) {
		specs, err := rendered()
		if err != nil {
			t.Fatal(err)
		}
		spec := specs["replicated"]
		if script := spec.Containers[0].Command[2]; !strings.Contains(script, "timeout -k 1 30 ") || *spec.TerminationGracePeriodSeconds < 50 {
			t.Errorf("a pod has %d s to end, of which leaving takes at most what is in\n%s", *spec.TerminationGracePeriodSeconds, script)
		}
	})
}

// TestMemberIsLeftBehind: a member is killed when the service `watch` says that the others go
// on without it, and at no other end of that service.
func TestMemberIsLeftBehind(t *testing.T) {
	t.Parallel()
	m := newMember(t)
	services := "gate-*) echo late ;;\ndb-*) " + running + " ;;\nwatch-*) [ -e asked ] || { touch asked; exit 1; }; cat word; exit 0 ;;"
	if err := syscall.Mkfifo(m.path("word"), 0o600); err != nil {
		t.Fatal(err)
	}
	run := m.start(m.script("replicated", false, services))
	m.await()
	m.write("word", "", 0o600)         // it is read by the second call
	if code := m.end(run); code == 0 { // so that it is started anew
		t.Error("it ended as if all were well")
	}
	if diff := cmp.Diff("gate-db1-mariadb-1 confidb-probe\ndb-db1-mariadb-1 mariadbd\n", m.calls()); diff != "" {
		t.Errorf("called (-want +got):\n%s", diff)
	}
}

// interrupted are the script with a signal to itself before each of its lines where that is
// a statement.
func interrupted(t *testing.T, command []string, signal string) (all [][]string) {
	t.Helper()
	lines := strings.Split(command[2], "\n")
	for i := range lines {
		changed := strings.Join(lines[:i], "\n") + "\nkill -" + signal + " $$\n" + strings.Join(lines[i:], "\n")
		if exec.Command("sh", "-n", "-c", changed).Run() != nil || strings.HasPrefix(strings.TrimSpace(lines[i]), "#") {
			continue
		}
		all = append(all, append([]string{command[0], command[1], changed}, command[3:]...))
	}
	return all
}

// TestMemberTerminatedAnywhere: wherever a member is told to end, it ends; a server that
// runs is ended only after leaving, and none starts after that.
func TestMemberTerminatedAnywhere(t *testing.T) {
	const services = "gate-*) echo cold ;;\ncold-*) trap 'echo \"ended $service\" >>calls; kill $sleeper; exit 0' TERM; sleep 1000 & sleeper=$!; wait $sleeper ;;\nleave-*) exit 0 ;;"
	specs, err := rendered()
	if err != nil {
		t.Fatal(err)
	}
	variants := interrupted(t, specs["replicated"].Containers[0].Command, "TERM")
	if len(variants) < 25 {
		t.Fatalf("got %d places", len(variants))
	}
	for i, variant := range variants {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			m := newMember(t)
			m.script("replicated", false, services)
			run := m.start(m.below(variant))
			// A line of leave() and what comes after the end is not reached: told once more.
			if err := m.nudge(run); err != nil {
				t.Fatal(err)
			}
			m.end(run)
			calls := m.calls()
			started, left := strings.Count(calls, "cold-db1-mariadb-1 mariadbd"), strings.Count(calls, "leave-")
			if started > 1 || left > 1 || left < started { // a server may be ended before it says that it was called
				t.Errorf("called:\n%s", calls)
			}
		})
	}
}

// nudge tells a command to end as soon as its server was called, if it has not ended by then.
func (m *member) nudge(run *exec.Cmd) error {
	for range 6000 {
		if strings.Contains(m.calls(), "cold-") {
			_ = run.Process.Signal(syscall.SIGTERM)
			return nil
		}
		if state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", run.Process.Pid)); err != nil || bytes.Contains(state, []byte(") Z ")) {
			return nil
		}
		time.Sleep(5 * time.Millisecond)
	}
	return errors.New("it neither starts a server nor ends")
}

// disk are services that make a database as those of the session do: a folder that is
// whole takes its place by one rename, and anything less is cleared away.
const disk = `volume-*)
  [ ! -e data ] || exit 0
  if [ -e seed/whole ]; then mv seed data; exit 0; fi
  if [ -e new/whole ] && [ ! -e seed ]; then mv new data; exit 0; fi
  rm -rf new seed; mkdir new; exit 3 ;;
seedbed-*) if [ -e new/whole ]; then [ -d seed ] || exit 67; cp -r new/. seed; rm -r new seed/whole; else mkdir seed; fi ;;
seeding-*) [ -e seed/part ] || exit 68; while [ ! -e seed/filled ]; do [ -e seed ] || exit 69; sleep 0.01; done; mv seed/filled seed/whole ;;
seed-*) [ ! -e failing ] || exit 70; while [ ! -e seed ]; do sleep 0.01; done; touch seed/filled ;;
gate-*) [ ! -e data ] || exit 88; echo "waiting"; cat word ;;
init-*) [ -d new ] && [ ! -e new/part ] || exit 66; touch new/part; touch new/whole ;;`

// TestJoinWords: a member without a database makes one when the gate says so, and only then.
func TestJoinWords(t *testing.T) {
	const volume, gate, server = "volume-db1-mariadb-1 confidb-probe\n", "gate-db1-mariadb-1 confidb-probe\n", "init-db1-mariadb-1 mariadbd\n"
	const bed, seeding, copier = "seedbed-db1-mariadb-1 confidb-probe\n", "seeding-db1-mariadb-1 mariadbd\n", "seed-db1-mariadb-1 confidb-probe\n"
	for name, c := range map[string]struct {
		word, prepare, want string
		exit                int
	}{
		"found":             {"found", ":", volume + gate + server + volume, 0},
		"join":              {"join", ":", volume + gate + server + volume, 0},
		"seed":              {"seed", ":", volume + gate + bed + server + bed + seeding + copier + volume, 0},
		"a seed that fails": {"seed", "touch failing", volume + gate + bed + server + bed + seeding + copier, 70},
		"half a seed":       {"seed", "mkdir new seed && touch new/part new/whole seed/part", volume + gate + bed + server + bed + seeding + copier + volume, 0},
		"a whole seed":      {"seed", "mkdir seed && touch seed/part seed/whole", volume, 0},
		"it has one":        {"found", "mkdir data", volume, 0},
		"it has half":       {"found", "mkdir new && touch new/part", volume + gate + server + volume, 0},
		"one is made":       {"found", "mkdir new && touch new/whole", volume, 0},
		"late":              {"late", ":", volume + gate, 1},
		"cold":              {"cold", ":", volume + gate, 1},
		"nothing":           {"", ":", volume + gate, 1},
		"seed of somebody":  {"seed 0", ":", volume + gate, 1},
		"found and more":    {"found 1", ":", volume + gate, 1},
		"waiting for ever":  {"wait", ":", volume + gate, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMember(t)
			m.write("word", c.word+"\n", 0o600)
			command := m.script("replicated", true, disk)
			if output, err := exec.Command("sh", "-c", "cd "+m.folder+" && "+c.prepare).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, output)
			}
			if code := m.end(m.start(command)); code != c.exit {
				t.Errorf("got exit code %d, want %d", code, c.exit)
			}
			if diff := cmp.Diff(c.want, strings.Replace(m.calls(), copier+seeding, seeding+copier, 1)); diff != "" {
				t.Errorf("called (-want +got):\n%s", diff)
			}
		})
	}
}

// TestJoinCodes: what a service refuses is not passed over.
func TestJoinCodes(t *testing.T) {
	for services, want := range map[string]int{
		"volume-*) exit 1 ;;":                                           1,
		"volume-*) exit 255 ;;":                                         255,
		"volume-*) exit 3 ;;\ngate-*) echo found; exit 4 ;;":            4,
		"volume-*) exit 3 ;;\ngate-*) echo found ;;\ninit-*) exit 5 ;;": 5,
		"volume-*) exit 3 ;;\ngate-*) echo found ;;\ninit-*) exit 0 ;;": 3,
	} {
		m := newMember(t)
		if code := m.end(m.start(m.script("replicated", true, services))); code != want {
			t.Errorf("%s: got exit code %d, want %d", services, code, want)
		}
	}
}

// TestMadeThoughKilledAnywhere: killed or told to end before any line, a later run makes the
// database, in both architectures.
func TestMadeThoughKilledAnywhere(t *testing.T) {
	specs, err := rendered()
	if err != nil {
		t.Fatal(err)
	}
	for architecture, spec := range specs {
		for _, signal := range []string{"KILL", "TERM"} {
			variants := interrupted(t, spec.InitContainers[0].Command, signal)
			if len(variants) < 8 {
				t.Fatalf("%s: got %d places", architecture, len(variants))
			}
			for i := range 2 * len(variants) {
				variant, word := variants[i/2], []string{"found", "seed"}[i%2]
				t.Run(architecture+signal+strconv.Itoa(i), func(t *testing.T) {
					t.Parallel()
					m := newMember(t)
					m.write("word", word+"\n", 0o600)
					own := m.script(architecture, true, disk)
					m.end(m.start(m.below(variant)))
					if code := m.end(m.start(own)); code != 0 {
						output, _ := os.ReadFile(m.path("output"))
						t.Errorf("the run after it: got exit code %d: %s\n%s", code, output, m.calls())
					}
					if _, err := os.Stat(m.path("data/whole")); err != nil {
						t.Errorf("no database was made: %s", m.calls())
					}
				})
			}
		}
	}
}

// A database of a shard asks nobody: it is made, and runs without a shell.
func TestShard(t *testing.T) {
	specs, err := rendered()
	if err != nil {
		t.Fatal(err)
	}
	spec := specs["sharded"]
	if got := strings.Join(spec.Containers[0].Command, " "); got != "PROGRAM mariadbd" || strings.Contains(spec.InitContainers[0].Command[2], "gate") {
		t.Errorf("got %q", got)
	}
	m := newMember(t)
	if code := m.end(m.start(m.script("sharded", true, disk))); code != 0 || m.calls() != "volume-db1-mariadb-1 confidb-probe\ninit-db1-mariadb-1 mariadbd\nvolume-db1-mariadb-1 confidb-probe\n" {
		t.Errorf("got exit code %d and %s", code, m.calls())
	}
}
