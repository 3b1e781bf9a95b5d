package volume_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/lab/volume"
)

var key = bytes.Repeat([]byte{7}, volume.KeySize)

// held is a volume, what a CAS knows of it, and the store while it is open.
type held struct {
	folder string
	known  volume.Known
	*volume.Store
}

func newVolume(t *testing.T) *held {
	t.Helper()
	h := &held{folder: t.TempDir()}
	h.open(t)
	return h
}

func tryOpen(folder string, key []byte, known *volume.Known) (*volume.Store, error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	return volume.Open(root, key, known, time.Now)
}

func (h *held) open(t *testing.T) {
	t.Helper()
	var err error
	if h.Store, err = tryOpen(h.folder, key, &h.known); err != nil {
		t.Fatal(err)
	}
	h.known.Epoch, h.known.Open = h.Epoch(), true
}

func (h *held) close(t *testing.T) {
	t.Helper()
	tag, err := h.Close()
	if err != nil {
		t.Fatal(err)
	}
	h.known.Tag, h.known.Open = tag, false
}

// copyOf copies the folder, as whoever has it can.
func (h *held) copyOf(t *testing.T) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(h.folder)); err != nil {
		t.Fatal(err)
	}
	return to
}

func put(t *testing.T, s *volume.Store, folder uint64, name, text string) uint64 {
	t.Helper()
	a, err := s.Make(folder, name, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Write(a.ID, 0, []byte(text)); err != nil {
		t.Fatal(err)
	}
	return a.ID
}

func content(t *testing.T, s *volume.Store, id uint64) string {
	t.Helper()
	a, err := s.Attributes(id)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]byte, a.Size+10)
	n, err := s.Read(id, 0, out)
	if err != nil {
		t.Fatal(err)
	}
	return string(out[:n])
}

// everything is all that is in a volume, by path.
func everything(t *testing.T, s *volume.Store) map[string]string {
	t.Helper()
	all := map[string]string{}
	var walk func(uint64, string)
	walk = func(folder uint64, prefix string) {
		entries, err := s.List(folder)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Mode.IsDir() {
				all[prefix+e.Name+"/"] = e.Mode.String()
				walk(e.ID, prefix+e.Name+"/")
			} else {
				all[prefix+e.Name] = e.Mode.String() + " " + content(t, s, e.ID)
			}
		}
	}
	walk(volume.RootID, "")
	return all
}

func same(t *testing.T, what string, got, want map[string]string) {
	t.Helper()
	for name := range want {
		if got[name] != want[name] {
			t.Fatalf("%s: %s is another one or missing (%d bytes, want %d)", what, name, len(got[name]), len(want[name]))
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%s: got %d names, want %d", what, len(got), len(want))
	}
}

// actor makes random changes to a volume and to what it should be.
type actor struct {
	*rand.Rand
	volume  *held
	folders []uint64
	names   []string
}

func (a *actor) act(t *testing.T) {
	t.Helper()
	s := a.volume.Store
	folder, name := a.folders[a.IntN(len(a.folders))], a.names[a.IntN(len(a.names))]
	other, otherName := a.folders[a.IntN(len(a.folders))], a.names[a.IntN(len(a.names))]
	found, err := s.Lookup(folder, name)
	exists := err == nil && !found.Mode.IsDir()
	switch a.IntN(9) {
	case 0:
		_, err = s.Make(folder, name, 0o640)
	case 1:
		var made volume.Attributes
		if made, err = s.Make(folder, name, fs.ModeDir|0o750); err == nil {
			a.folders = append(a.folders, made.ID)
		}
	case 2:
		err = s.Remove(folder, name, a.IntN(4) == 0)
	case 3:
		err = s.Move(folder, name, other, otherName, a.IntN(3) == 0)
	case 4:
		if exists {
			err = s.Truncate(found.ID, a.Int64N(20_000))
		}
	default:
		if exists {
			text := bytes.Repeat([]byte{byte('a' + a.IntN(26))}, 1+a.IntN(9_000))
			offset := a.Int64N(20_000)
			want := append([]byte(content(t, s, found.ID)), make([]byte, 40_000)...)[:max(found.Size, offset+int64(len(text)))]
			copy(want[offset:], text)
			clear(want[min(found.Size, offset):offset])
			if err = s.Write(found.ID, offset, text); err == nil && content(t, s, found.ID) != string(want) {
				t.Fatalf("writing %d bytes at %d of %d: another content", len(text), offset, found.Size)
			}
		}
	}
	var expected syscall.Errno
	if err != nil && (!errors.As(err, &expected) || expected == syscall.EIO) {
		t.Fatal(err)
	}
}

// Whatever is done, and however often the volume is closed or its process killed
// between: what comes back is what was there.
func TestWhatIsThereStays(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	for range 8 {
		h := newVolume(t)
		a := &actor{Rand: random, volume: h, folders: []uint64{volume.RootID}, names: []string{"a", "b", "c", "d"}}
		for range 12 {
			if random.IntN(3) == 0 {
				h.SetLongest(4_000) // the log is written anew within the run
			}
			for range 30 {
				a.act(t)
			}
			want := everything(t, h.Store)
			if random.IntN(2) == 0 {
				h.close(t)
			} else if err := h.Kill(); err != nil {
				t.Fatal(err)
			}
			h.open(t)
			same(t, "opened again", everything(t, h.Store), want)
		}
		h.close(t)
	}
}

func TestFilesAndFolders(t *testing.T) {
	h := newVolume(t)
	a := put(t, h.Store, volume.RootID, "a", "one")
	b := put(t, h.Store, volume.RootID, "b", "two")
	sub, err := h.Make(volume.RootID, "sub", fs.ModeDir|0o700)
	if err != nil {
		t.Fatal(err)
	}
	inner, err := h.Make(sub.ID, "inner", fs.ModeDir|0o700)
	if err != nil {
		t.Fatal(err)
	}
	put(t, h.Store, sub.ID, "c", "three")
	for what, c := range map[string]struct{ got, want error }{
		"a folder as file":               {h.Remove(volume.RootID, "sub", false), syscall.EISDIR},
		"a file as folder":               {h.Remove(volume.RootID, "a", true), syscall.ENOTDIR},
		"a full folder":                  {h.Remove(volume.RootID, "sub", true), syscall.ENOTEMPTY},
		"nothing":                        {h.Remove(volume.RootID, "x", false), syscall.ENOENT},
		"a folder into itself":           {h.Move(volume.RootID, "sub", inner.ID, "x", false), syscall.EINVAL},
		"a file over a folder":           {h.Move(volume.RootID, "a", volume.RootID, "sub", false), syscall.EISDIR},
		"a folder over a file":           {h.Move(volume.RootID, "sub", volume.RootID, "a", false), syscall.ENOTDIR},
		"over what is there, not wanted": {h.Move(volume.RootID, "a", volume.RootID, "b", true), syscall.EEXIST},
		"to no folder":                   {h.Move(volume.RootID, "a", a, "b", false), syscall.ENOTDIR},
		"a name that is too long":        {h.Move(volume.RootID, "a", volume.RootID, strings.Repeat("n", 256), false), syscall.ENAMETOOLONG},
		"a folder, truncated":            {h.Truncate(sub.ID, 1), syscall.EISDIR},
		"too large":                      {h.Truncate(a, 1<<50), syscall.EFBIG},
		"too far":                        {h.Write(a, 1<<50, []byte{1}), syscall.EFBIG},
		"open what is not there":         {h.Hold(999), syscall.ENOENT},
		"extended too far":               {h.Extend(a, 1<<62, 1<<62), syscall.EFBIG},
		"extended by nothing":            {h.Extend(a, 0, 0), syscall.EFBIG},
		"a folder, extended":             {h.Extend(sub.ID, 0, 1), syscall.EISDIR},
	} {
		if !errors.Is(c.got, c.want) {
			t.Errorf("%s: got %v, want %v", what, c.got, c.want)
		}
	}
	if err := errors.Join(h.Extend(a, 1, 1), h.Extend(a, 2, 5_000)); err != nil || content(t, h.Store, a) != "one"+strings.Repeat("\x00", 4_999) {
		t.Errorf("extended: %v, %q", err, content(t, h.Store, a))
	}
	if err := errors.Join(h.Hold(b), h.Move(volume.RootID, "a", volume.RootID, "b", false)); err != nil {
		t.Fatal(err)
	}
	if got := content(t, h.Store, b); got != "two" {
		t.Errorf("a file that is open and was replaced: got %q", got)
	}
	h.Release(b)
	if _, err := h.Attributes(b); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("a removed file that nobody has open: got %v", err)
	}
	if entries, err := os.ReadDir(filepath.Join(h.folder, "objects")); err != nil || len(entries) != 2 {
		t.Errorf("%d files are left, want 2: %v", len(entries), err)
	}
	h.close(t)
}

// A file that was open and removed when the process was killed is gone.
func TestKilledWithAnOpenRemovedFile(t *testing.T) {
	for _, long := range []int64{1 << 30, 1} {
		h := newVolume(t)
		h.SetLongest(long)
		id := put(t, h.Store, volume.RootID, "tmp", "text")
		if err := errors.Join(h.Hold(id), h.Remove(volume.RootID, "tmp", false), h.Kill()); err != nil {
			t.Fatal(err)
		}
		h.open(t)
		same(t, "opened again", everything(t, h.Store), nil)
		if entries, err := os.ReadDir(filepath.Join(h.folder, "objects")); err != nil || len(entries) != 0 {
			t.Errorf("%d files are left: %v", len(entries), err)
		}
		h.close(t)
	}
}

// A killed process may have written less of its last change than it meant to.
func TestKilledWithinAWrite(t *testing.T) {
	h := newVolume(t)
	id := put(t, h.Store, volume.RootID, "a", strings.Repeat("x", 10_000))
	before := h.copyOf(t)
	if err := errors.Join(h.Write(id, 2_000, bytes.Repeat([]byte("y"), 12_000)), h.Kill()); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(h.folder, "log")
	old, err := os.ReadFile(filepath.Join(before, "log"))
	if err != nil {
		t.Fatal(err)
	}
	newer, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	object := filepath.Join("objects", fmt.Sprintf("%016x", id))
	data, err := os.ReadFile(filepath.Join(h.folder, object))
	if err != nil {
		t.Fatal(err)
	}
	oldData, err := os.ReadFile(filepath.Join(before, object))
	if err != nil {
		t.Fatal(err)
	}
	for n := len(old); n < len(newer); n++ { // the log alone, and not all of it
		folder := t.TempDir()
		opensWith(t, h, folder, newer[:n], oldData, object, func(text string) bool { return text == strings.Repeat("x", 10_000) })
	}
	for blocks := 0; blocks <= len(data)/4096; blocks++ { // the log, and some blocks
		mixed := append(slices.Clone(data[:blocks*4096]), oldData[min(len(oldData), blocks*4096):]...)
		opensWith(t, h, t.TempDir(), newer, mixed, object, func(text string) bool {
			return len(strings.Trim(text, "xy\x00")) == 0 && (len(text) == 14_000 || len(text) == 10_000)
		})
	}
}

func opensWith(t *testing.T, h *held, folder string, log, data []byte, object string, right func(string) bool) {
	t.Helper()
	if err := errors.Join(os.Mkdir(filepath.Join(folder, "objects"), 0o700), os.WriteFile(filepath.Join(folder, "log"), log, 0o600),
		os.WriteFile(filepath.Join(folder, object), data, 0o600)); err != nil {
		t.Fatal(err)
	}
	s, err := tryOpen(folder, key, &h.known)
	if err != nil {
		t.Fatalf("%d bytes of the log, %d of the file: %v", len(log), len(data), err)
	}
	defer s.Kill()
	a, err := s.Lookup(volume.RootID, "a")
	if err != nil {
		t.Fatal(err)
	}
	if text := content(t, s, a.ID); !right(text) {
		t.Errorf("%d bytes of the log, %d of the file: the file has %d bytes that nobody wrote", len(log), len(data), len(text))
	}
}

// attacks are what whoever writes the folder can do to it. Before is an older copy.
var attacks = map[string]func(t *testing.T, folder, before string){
	"a planted file":           func(t *testing.T, folder, _ string) { plant(t, folder, "master.info", "x") },
	"a planted folder":         func(t *testing.T, folder, _ string) { plant(t, folder, "mysql/db.MAD", "x") },
	"a planted object":         func(t *testing.T, folder, _ string) { plant(t, folder, "objects/00000000000000ff", "x") },
	"a planted object's name":  func(t *testing.T, folder, _ string) { plant(t, folder, "objects/x", "x") },
	"a planted link":           func(t *testing.T, folder, _ string) { must(t, os.Symlink("/etc", filepath.Join(folder, "etc"))) },
	"an object that is a link": func(t *testing.T, folder, _ string) { relink(t, folder, object(2), object(3)) },
	"an object that is a pipe": func(t *testing.T, folder, _ string) { pipe(t, folder, object(2)) },
	"a log that is a link":     func(t *testing.T, folder, _ string) { relink(t, folder, "log", "x") },
	"a swap of two files":      func(t *testing.T, folder, _ string) { swap(t, folder, object(2), object(3)) },
	"an older copy of a file":  func(t *testing.T, folder, before string) { restore(t, folder, before, object(2)) },
	"an older copy of the log": func(t *testing.T, folder, before string) { restore(t, folder, before, "log") },
	"a missing file":           func(t *testing.T, folder, _ string) { must(t, os.Remove(filepath.Join(folder, object(2)))) },
	"an empty file":            func(t *testing.T, folder, _ string) { must(t, os.Truncate(filepath.Join(folder, object(2)), 0)) },
	"a shorter file":           func(t *testing.T, folder, _ string) { must(t, os.Truncate(filepath.Join(folder, object(2)), 4096)) },
	"a block of zeros":         func(t *testing.T, folder, _ string) { overwrite(t, folder, object(2), 4096, make([]byte, 4096)) },
	"one flipped bit":          func(t *testing.T, folder, _ string) { flip(t, folder, object(2), 5000) },
	"one flipped bit of a log": func(t *testing.T, folder, _ string) { flip(t, folder, "log", 100) },
	"another beginning":        func(t *testing.T, folder, _ string) { flip(t, folder, "log", 1) },
	"a missing log":            func(t *testing.T, folder, _ string) { must(t, os.Remove(filepath.Join(folder, "log"))) },
	"an empty log":             func(t *testing.T, folder, _ string) { must(t, os.Truncate(filepath.Join(folder, "log"), 0)) },
	"swapped blocks of a file": func(t *testing.T, folder, _ string) { swapBlocks(t, folder, object(2)) },
	"no objects":               func(t *testing.T, folder, _ string) { must(t, os.RemoveAll(filepath.Join(folder, "objects"))) },
	"nothing at all":           func(t *testing.T, folder, _ string) { empty(t, folder) },
	"a foreign data directory": func(t *testing.T, folder, _ string) { empty(t, folder); plant(t, folder, "data/ibdata1", "x") },
	"a renamed file": func(t *testing.T, folder, _ string) {
		must(t, os.Rename(filepath.Join(folder, object(2)), filepath.Join(folder, object(9))))
	},
	"the volume of another key": func(t *testing.T, folder, _ string) { foreign(t, folder) },
}

func object(id int) string { return fmt.Sprintf("objects/%016x", id) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func plant(t *testing.T, folder, name, text string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(filepath.Join(folder, name)), 0o700))
	must(t, os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600))
}

func relink(t *testing.T, folder, name, to string) {
	t.Helper()
	must(t, os.Remove(filepath.Join(folder, name)))
	must(t, os.Symlink(filepath.Base(to), filepath.Join(folder, name)))
}

func pipe(t *testing.T, folder, name string) {
	t.Helper()
	must(t, os.Remove(filepath.Join(folder, name)))
	must(t, syscall.Mkfifo(filepath.Join(folder, name), 0o600))
}

func swap(t *testing.T, folder, one, two string) {
	t.Helper()
	third := filepath.Join(folder, "third")
	must(t, os.Rename(filepath.Join(folder, one), third))
	must(t, os.Rename(filepath.Join(folder, two), filepath.Join(folder, one)))
	must(t, os.Rename(third, filepath.Join(folder, two)))
}

func restore(t *testing.T, folder, before, name string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(before, name))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(folder, name), text, 0o600))
}

func overwrite(t *testing.T, folder, name string, at int64, text []byte) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(folder, name), os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	_, err = f.WriteAt(text, at)
	must(t, err)
}

func flip(t *testing.T, folder, name string, at int64) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, name))
	must(t, err)
	overwrite(t, folder, name, at, []byte{text[at] ^ 1})
}

func swapBlocks(t *testing.T, folder, name string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, name))
	must(t, err)
	overwrite(t, folder, name, 0, append(slices.Clone(text[4096:8192]), text[:4096]...))
}

func empty(t *testing.T, folder string) {
	t.Helper()
	must(t, os.RemoveAll(filepath.Join(folder, "objects")))
	must(t, os.Remove(filepath.Join(folder, "log")))
}

func foreign(t *testing.T, folder string) {
	t.Helper()
	empty(t, folder)
	s, err := tryOpen(folder, bytes.Repeat([]byte{8}, volume.KeySize), &volume.Known{})
	must(t, err)
	put(t, s, volume.RootID, "a", "x")
	_, err = s.Close()
	must(t, err)
}

// attacked is a volume of two files that has an older state.
func attacked(t *testing.T) (h *held, before string) {
	t.Helper()
	h = newVolume(t)
	one := put(t, h.Store, volume.RootID, "a", strings.Repeat("a", 12_000))
	put(t, h.Store, volume.RootID, "b", strings.Repeat("b", 12_000))
	h.close(t)
	before = h.copyOf(t)
	h.open(t)
	if err := h.Write(one, 5_000, []byte("changed")); err != nil {
		t.Fatal(err)
	}
	return h, before
}

func TestPlantedWhileClosed(t *testing.T) {
	for name, attack := range attacks {
		t.Run(name, func(t *testing.T) {
			h, before := attacked(t)
			h.close(t)
			refuses(t, h, before, attack)
		})
	}
}

func TestPlantedAfterAKill(t *testing.T) {
	for name, attack := range attacks {
		t.Run(name, func(t *testing.T) {
			h, before := attacked(t)
			put(t, h.Store, volume.RootID, "c", "the last change")
			if err := h.Kill(); err != nil {
				t.Fatal(err)
			}
			refuses(t, h, before, attack)
		})
	}
}

func refuses(t *testing.T, h *held, before string, attack func(t *testing.T, folder, before string)) {
	t.Helper()
	attack(t, h.folder, before)
	if s, err := tryOpen(h.folder, key, &h.known); err == nil {
		s.Kill()
		t.Error("it was opened")
	}
}

// A volume of no known age is refused for all but its age.
func TestWithoutRollbackProtection(t *testing.T) {
	for name, attack := range attacks {
		if name == "nothing at all" { // is a volume that was never used
			continue
		}
		t.Run(name, func(t *testing.T) {
			h, before := attacked(t)
			h.close(t)
			h.known = volume.Known{Policy: volume.NoRollback}
			refuses(t, h, before, attack)
		})
	}
}

// While a volume is in use, whatever happens to its folder is an error of reading.
func TestChangedInUse(t *testing.T) {
	for name, attack := range map[string]func(*testing.T, string, string){
		"an older copy": attacks["an older copy of a file"], "a swap": attacks["a swap of two files"], "a flipped bit": attacks["one flipped bit"],
		"zeros": attacks["a block of zeros"], "nothing": attacks["an empty file"], "a missing file": attacks["a missing file"],
	} {
		t.Run(name, func(t *testing.T) {
			h, before := attacked(t)
			defer h.Kill()
			attack(t, h.folder, before)
			a, err := h.Lookup(volume.RootID, "a")
			if err != nil {
				t.Fatal(err)
			}
			if n, err := h.Read(a.ID, 4096, make([]byte, 4096)); !errors.Is(err, syscall.EIO) {
				t.Errorf("read %d bytes, %v, want EIO", n, err)
			}
		})
	}
}

// The whole folder, put back.
func TestRolledBack(t *testing.T) {
	h, before := attacked(t)
	opens := func(what, folder string, known volume.Known, want bool) {
		t.Helper()
		again := &held{folder: folder}
		s, err := tryOpen(again.copyOf(t), key, &known)
		if err == nil {
			s.Kill()
		}
		if (err == nil) != want || err != nil && !errors.Is(err, volume.ErrRolledBack) {
			t.Errorf("%s: got %v, want it opened: %v", what, err, want)
		}
	}
	killed := h.known
	opens("as it is", h.folder, killed, true)
	opens("of the run before, after a kill", before, killed, false)
	inRun := h.copyOf(t)
	put(t, h.Store, volume.RootID, "c", "x")
	opens("of this run, after a kill", inRun, killed, true) // what SCONE leaves open as well
	h.close(t)
	opens("as it is", h.folder, h.known, true)
	opens("of the run before", before, h.known, false)
	opens("of this run", inRun, h.known, false)
	opens("of the run before, without a tag", before, volume.Known{Policy: volume.NoRollback}, true)
}

// Opening is two steps, in the folder and at CAS, and a kill may come between.
func TestKilledBeforeCASKnows(t *testing.T) {
	for _, clean := range []bool{true, false} {
		h, _ := attacked(t)
		if clean {
			h.close(t)
		} else if err := h.Kill(); err != nil {
			t.Fatal(err)
		}
		cas := h.known
		for range 3 {
			h.open(t)
			if err := h.Kill(); err != nil {
				t.Fatal(err)
			}
			h.known = cas
		}
		h.open(t)
		if h.Epoch() != cas.Epoch+1 {
			t.Errorf("clean %v: epoch %d, want %d", clean, h.Epoch(), cas.Epoch+1)
		}
		put(t, h.Store, volume.RootID, "c", "x")
		must(t, h.Kill())
		h.known = cas // CAS was never told: then the volume was not used, and this one was
		if _, err := tryOpen(h.folder, key, &h.known); !errors.Is(err, volume.ErrRolledBack) {
			t.Errorf("clean %v: a volume of which CAS knows nothing: got %v", clean, err)
		}
	}
}

// The first opening may be killed before CAS knows of it: the volume was not used.
func TestKilledWhenItWasNew(t *testing.T) {
	h := newVolume(t)
	must(t, h.Kill())
	h.known = volume.Known{}
	h.open(t)
	h.close(t)
}

// What is on a volume that CAS does not know is of somebody else, such as of a release
// that was uninstalled: it is not used, and it stays.
func TestVolumeOfAnother(t *testing.T) {
	h, _ := attacked(t)
	h.close(t)
	before := h.copyOf(t)
	for _, known := range []volume.Known{{}, {Policy: volume.NoRollback}} {
		if _, err := tryOpen(h.folder, bytes.Repeat([]byte{8}, volume.KeySize), &known); err == nil || !strings.Contains(err.Error(), "it belongs to another volume") {
			t.Errorf("%+v: got %v", known, err)
		}
	}
	if said, err := exec.Command("diff", "-r", before, h.folder).CombinedOutput(); err != nil {
		t.Errorf("it was changed: %s", said)
	}
	h.open(t)
	h.close(t)
	h.known = volume.Known{} // its own key, and a CAS that has forgotten it
	if _, err := tryOpen(h.folder, key, &h.known); !errors.Is(err, volume.ErrRolledBack) {
		t.Errorf("got %v", err)
	}
}

func TestEphemeral(t *testing.T) {
	h := &held{folder: t.TempDir(), known: volume.Known{Policy: volume.Ephemeral}}
	for _, end := range []func() error{func() error { _, err := h.Close(); return err }, func() error { return h.Kill() }} {
		h.open(t)
		same(t, "each time", everything(t, h.Store), nil)
		put(t, h.Store, volume.RootID, "a", "x")
		must(t, end())
	}
	h.open(t)
	same(t, "each time", everything(t, h.Store), nil)
	h.close(t)
}

func TestOneUserAtATime(t *testing.T) {
	h := newVolume(t)
	if _, err := tryOpen(h.folder, key, &h.known); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a second user: got %v", err)
	}
	h.close(t)
	h.open(t)
	h.close(t)
}

// A file system of its own has a folder for what it has found.
func TestLostAndFound(t *testing.T) {
	h := &held{folder: t.TempDir()}
	must(t, os.Mkdir(filepath.Join(h.folder, "lost+found"), 0o700))
	h.open(t)
	h.close(t)
}

// Nothing of what is in a volume, and no name, can be read outside.
func TestNothingInClear(t *testing.T) {
	const canary = "canary-of-the-volume"
	h := newVolume(t)
	put(t, h.Store, volume.RootID, canary, canary)
	h.close(t)
	err := filepath.WalkDir(h.folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if bytes.Contains(text, []byte(canary)) || strings.Contains(path, canary) {
			t.Errorf("%s shows it", path)
		}
		return err
	})
	must(t, err)
}

// A full disk ends the changes; what was there stays.
func TestBrokenKeepsWhatWasThere(t *testing.T) {
	h := newVolume(t)
	id := put(t, h.Store, volume.RootID, "a", "text")
	must(t, os.RemoveAll(filepath.Join(h.folder, "objects")))
	other, err := h.Make(volume.RootID, "b", 0o600)
	must(t, err)
	if err := h.Write(other.ID, 0, []byte("x")); err == nil || h.Broken() == nil {
		t.Errorf("written without a place for it: %v", err)
	}
	if err := h.Write(id, 0, []byte("x")); err == nil {
		t.Error("written after a failure")
	}
	if _, err := h.Close(); err == nil {
		t.Error("closed cleanly after a failure")
	}
}

func FuzzRecord(f *testing.F) {
	f.Add([]byte{3, 2, 1, 0x80, 3, 0, 1, 'a'})
	f.Add([]byte{8, 2, 1, 0})
	f.Fuzz(func(t *testing.T, text []byte) {
		again, ok := volume.Recode(text)
		if !ok {
			return
		}
		if third, ok := volume.Recode(again); !ok || !bytes.Equal(again, third) {
			t.Errorf("%x is read as %x, then as %x", text, again, third)
		}
	})
}
