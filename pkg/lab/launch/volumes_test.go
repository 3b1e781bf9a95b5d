package launch_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/lab/command"
	"github.com/confidb/confidb/pkg/lab/enclave"
	"github.com/confidb/confidb/pkg/lab/volume"
)

// TestMain is confidb-lab when a test starts it as that.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == "run" || os.Args[1] == "mount-and-become") {
		os.Exit(command.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// needsMounts skips, and says so, where nobody may mount a file system of his own.
func needsMounts(t *testing.T) {
	t.Helper()
	device, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("NOT RUN: protected volumes need /dev/fuse: %v", err)
	}
	device.Close()
	if said, err := exec.Command("unshare", "--user", "--mount", "true").CombinedOutput(); err != nil {
		t.Skipf("NOT RUN: protected volumes need user namespaces: %v: %s", err, said)
	}
}

// keeper is a CAS that remembers volumes.
type keeper struct {
	*machine
	mutex   sync.Mutex
	volumes []enclave.Volume
	uses    []enclave.Use
	// deaf drops what it is told; forget answers with other keys.
	deaf, forget bool
}

func newKeeper(t *testing.T, script string, volumes ...enclave.Volume) *keeper {
	t.Helper()
	k := &keeper{machine: newMachine(t), volumes: volumes}
	k.speak(t, func(r *enclave.Request, challenge []byte) any {
		k.mutex.Lock()
		defer k.mutex.Unlock()
		if len(r.Uses) > 0 && k.deaf {
			return enclave.Answer{Errors: []string{"CAS is deaf"}}
		}
		for _, use := range r.Uses {
			k.use(use)
		}
		c := enclave.Configuration{Command: []string{"sh", "-c", script}, Environment: map[string]string{"PATH": "/usr/bin:/bin"}, Volumes: slices.Clone(k.volumes)}
		if len(r.Uses) > 0 && k.forget {
			c.Volumes[0].Key = bytes.Repeat([]byte{9}, volume.KeySize)
		}
		return sealed(t, &c, r, challenge)
	})
	return k
}

func (k *keeper) use(use enclave.Use) {
	k.uses = append(k.uses, use)
	for i := range k.volumes {
		if known := &k.volumes[i].Known; k.volumes[i].Name == use.Volume {
			known.Epoch, known.Open = use.Epoch, len(use.Tag) == 0
			if !known.Open {
				known.Tag = use.Tag
			}
		}
	}
}

func data(path string) enclave.Volume {
	return enclave.Volume{Name: "data", Path: path, Key: bytes.Repeat([]byte{7}, volume.KeySize), Known: volume.Known{Policy: volume.RollbackProtected}}
}

// settle orders what the test does after what CAS did for a process that has ended, and
// before what it does for the next.
func (k *keeper) settle() {
	k.mutex.Lock()
	defer k.mutex.Unlock()
}

// start starts sh under the runtime; what it says goes to said.
func (k *keeper) start(t *testing.T, said *bytes.Buffer) *exec.Cmd {
	t.Helper()
	k.settle()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	t.Cleanup(cancel)
	c := exec.CommandContext(ctx, os.Args[0], "run", "sh")
	c.Env = append(os.Environ(), "SCONE_CONFIG_ID="+configID, "SCONE_CAS_ADDR="+k.cas, "SCONE_LAS_ADDR="+k.las.Address)
	c.Stdout, c.Stderr = said, said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	return c
}

func (k *keeper) run(t *testing.T) (said string, code int) {
	t.Helper()
	var out bytes.Buffer
	c := k.start(t, &out)
	c.Wait() // its exit code says it
	k.settle()
	return out.String(), c.ProcessState.ExitCode()
}

func TestProgramHasItsVolumes(t *testing.T) {
	needsMounts(t)
	folder, tmp := t.TempDir(), t.TempDir()
	ephemeral := enclave.Volume{Name: "tmp", Path: tmp, Key: bytes.Repeat([]byte{8}, volume.KeySize), Known: volume.Known{Policy: volume.Ephemeral}}
	script := fmt.Sprintf(`set -e
cd %s
cat seen 2>/dev/null || true
ls %s
echo again >>seen
echo x >%[2]s/temporary
mkdir -p a/b; mv a c; ls c; rm -r c
dd if=/dev/zero of=large bs=10000 count=300 2>/dev/null; wc -c <large; rm large
( echo 1; echo 2 ) >file; ln -s file link 2>/dev/null && echo linked
exec 3<file; rm file; cat <&3
echo $SECRET $SCONE_CONFIG_ID end; exit 7`, folder, tmp)
	k := newKeeper(t, script, data(folder), ephemeral)
	for i := range 2 {
		said, code := k.run(t)
		if want := strings.Repeat("again\n", i) + "b\n3000000\n1\n2\nend\n"; code != 7 || !strings.HasSuffix(said, want) || strings.Contains(said, "linked") || strings.Contains(said, "temporary") {
			t.Fatalf("run %d: exit code %d, got\n%s\nwant at the end\n%s", i, code, said, want)
		}
		if known := k.volumes[0].Known; known.Open || int(known.Epoch) != i+1 || len(known.Tag) != volume.TagSize {
			t.Errorf("run %d: CAS knows %+v", i, known)
		}
	}
	if names := namesIn(t, folder); !slices.Equal(names, []string{"log", "objects"}) {
		t.Errorf("others see %q", names)
	}
	if len(k.uses) != 4 {
		t.Errorf("CAS was told %d times of a volume with a tag, want 4", len(k.uses))
	}
}

func namesIn(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, e := range entries {
		names[e.Name()] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// What the runtime does not open is not started, and says what SCONE would.
func TestVolumeIsRefused(t *testing.T) {
	needsMounts(t)
	for name, c := range map[string]struct {
		attack func(t *testing.T, k *keeper, folder string)
		want   string
	}{
		"planted":            {func(t *testing.T, _ *keeper, f string) { write(t, filepath.Join(f, "master.info")) }, `"master.info" is no part of the volume`},
		"another tag":        {func(_ *testing.T, k *keeper, _ string) { k.volumes[0].Known.Tag = make([]byte, 16) }, "put back to an earlier state"},
		"another key":        {func(_ *testing.T, k *keeper, _ string) { k.volumes[0].Key = make([]byte, 32) }, "it belongs to another volume"},
		"not there":          {func(_ *testing.T, k *keeper, _ string) { k.volumes[0].Path += "/none" }, "no such file or directory"},
		"CAS does not know":  {func(_ *testing.T, k *keeper, _ string) { k.deaf = true }, "CAS is deaf"},
		"another CAS claims": {func(_ *testing.T, k *keeper, _ string) { k.forget = true }, "somebody else than CAS answered"},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			k := newKeeper(t, "echo the program runs", data(folder))
			if said, code := k.run(t); code != 0 || !strings.Contains(said, "the program runs") {
				t.Fatalf("exit code %d: %s", code, said)
			}
			c.attack(t, k, folder)
			said, code := k.run(t)
			if code == 0 || strings.Contains(said, "the program runs") || !strings.Contains(said, c.want) {
				t.Errorf("exit code %d: %s\nwant %q", code, said, c.want)
			}
		})
	}
}

func write(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A signal reaches the program, which ends as it likes.
func TestSignalsReachTheProgram(t *testing.T) {
	needsMounts(t)
	folder, control := t.TempDir(), t.TempDir()
	pipe := filepath.Join(control, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf("trap 'echo ended >%s/state; exit 5' TERM; echo ready >%s; while :; do read x <%[2]s; done", folder, pipe)
	k := newKeeper(t, script, data(folder))
	var said bytes.Buffer
	c := k.start(t, &said)
	if _, err := os.ReadFile(pipe); err != nil { // returns when the program is ready
		t.Fatal(err)
	}
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	c.Wait()
	k.settle()
	if c.ProcessState.ExitCode() != 5 || k.volumes[0].Known.Open {
		t.Fatalf("exit code %d, CAS knows %+v: %s", c.ProcessState.ExitCode(), k.volumes[0].Known, said.String())
	}
}

// After a kill the volume is there, and counts as open.
func TestKilledProgram(t *testing.T) {
	needsMounts(t)
	folder, control := t.TempDir(), t.TempDir()
	pipe := filepath.Join(control, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	k := newKeeper(t, fmt.Sprintf("cd %s; cat state; echo kept >state; echo ready >%s; exec sleep 60", folder, pipe), data(folder))
	for i := range 2 {
		var said bytes.Buffer
		c := k.start(t, &said)
		c.SysProcAttr = nil
		if _, err := os.ReadFile(pipe); err != nil {
			t.Fatal(err)
		}
		children, err := exec.Command("ps", "-o", "pid=", "--ppid", fmt.Sprint(c.Process.Pid)).Output()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		c.Process.Wait()
		k.settle()
		var child int
		if _, err := fmt.Sscan(string(children), &child); err != nil {
			t.Fatal(err)
		}
		syscall.Kill(child, syscall.SIGKILL) // as the end of a container does
		c.Wait()
		k.settle()
		if known := k.volumes[0].Known; !known.Open || int(known.Epoch) != i+1 || (i > 0) != strings.Contains(said.String(), "kept") {
			t.Fatalf("run %d: CAS knows %+v, the program says %s", i, known, said.String())
		}
	}
}

// Many programs write side by side, into files of their own, and read them again.
func TestSideBySide(t *testing.T) {
	needsMounts(t)
	folder := t.TempDir()
	script := "cd " + folder + `
for i in 1 2 3 4 5 6; do ( for j in 1 2 3 4 5; do dd if=/dev/urandom of=f$i bs=7001 count=40 2>/dev/null; sha256sum f$i >sum$i; sha256sum -c --quiet sum$i || echo broken; done ) & done; wait; ls | wc -l`
	k := newKeeper(t, script, data(folder))
	if said, code := k.run(t); code != 0 || !strings.HasSuffix(said, "\n12\n") || strings.Contains(said, "broken") {
		t.Fatalf("exit code %d: %s", code, said)
	}
	k = newKeeperOf(t, k, "cd "+folder+"; cat sum* | sha256sum -c --quiet && echo right")
	if said, code := k.run(t); code != 0 || !strings.HasSuffix(said, "right\n") {
		t.Fatalf("exit code %d: %s", code, said)
	}
}

// newKeeperOf is another CAS that knows the same, for another program.
func newKeeperOf(t *testing.T, k *keeper, script string) *keeper {
	t.Helper()
	return newKeeper(t, script, k.volumes...)
}
