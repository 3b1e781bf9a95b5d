package probe_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/probe"
)

// look runs the service volume, as the session starts it.
func look(t *testing.T, volume string) (code int, said string) {
	t.Helper()
	var out bytes.Buffer
	code = probe.Main([]string{"volume", volume, "app/db.opt"}, func(string) string { return "" }, &out, &out)
	return code, out.String()
}

func write(t *testing.T, elements ...string) {
	t.Helper()
	path := filepath.Join(elements...)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func there(elements ...string) bool {
	_, err := os.Lstat(filepath.Join(elements...))
	return err == nil
}

func TestVolume(t *testing.T) {
	const there0, empty3 = 0, 3
	for name, c := range map[string]struct {
		files []string
		code  int
		want  []string
		gone  []string
	}{
		"an empty volume":               {nil, empty3, []string{"new"}, []string{"data"}},
		"half a database":               {[]string{"new/ibdata1", "new/mysql/db.opt"}, empty3, []string{"new"}, []string{"new/ibdata1", "new/mysql", "data"}},
		"a whole one":                   {[]string{"new/ibdata1", "new/app/db.opt"}, there0, []string{"data/ibdata1", "data/app/db.opt"}, []string{"new"}},
		"one that is in use":            {[]string{"data/ibdata1"}, there0, []string{"data/ibdata1"}, []string{"new"}},
		"one in use, and half a new":    {[]string{"data/ibdata1", "new/ibdata1"}, there0, []string{"data/ibdata1", "new/ibdata1"}, nil},
		"one in use, and a whole new":   {[]string{"data/ibdata1", "new/app/db.opt"}, there0, []string{"data/ibdata1", "new/app/db.opt"}, []string{"data/app"}},
		"a folder made last, half":      {[]string{"new/app/other"}, empty3, []string{"new"}, []string{"new/app"}},
		"something else on the volume":  {[]string{"lost+found/x"}, empty3, []string{"new", "lost+found/x"}, nil},
		"a file where a folder must be": {[]string{"new"}, empty3, []string{"new"}, []string{"data"}},
	} {
		t.Run(name, func(t *testing.T) {
			volume := t.TempDir()
			for _, f := range c.files {
				write(t, volume, f)
			}
			for range 2 { // it may be begun again at any time
				if code, said := look(t, volume); code != c.code {
					t.Fatalf("got exit code %d, want %d: %s", code, c.code, said)
				}
			}
			for _, f := range c.want {
				if !there(volume, f) {
					t.Errorf("%s is missing", f)
				}
			}
			for _, f := range c.gone {
				if there(volume, f) {
					t.Errorf("%s is there", f)
				}
			}
		})
	}
}

func TestVolumeThatIsNot(t *testing.T) {
	if code, said := look(t, filepath.Join(t.TempDir(), "none")); code != 1 || !strings.Contains(said, "preparing the volume") {
		t.Errorf("got %d: %s", code, said)
	}
	for _, arguments := range [][]string{{"volume"}, {"volume", "/x"}, {"volume", "/x", "y", "z", "a"}, {"volumes", "/x", "y"}, {"volumes", "/x", "y", "z"}} {
		if code := probe.Main(arguments, func(string) string { return "" }, &bytes.Buffer{}, &bytes.Buffer{}); code != 2 {
			t.Errorf("%q: got %d, want 2", arguments, code)
		}
	}
}

// A database that was made on a volume of its own is taken over whole, or not at all.
func TestVolumeTakesOver(t *testing.T) {
	const there0, empty3, wrong1 = 0, 3, 1
	for name, c := range map[string]struct {
		files, link []string
		code, then  int // then is the code of the second time
		want, gone  []string
	}{
		"nothing":                            {nil, nil, empty3, empty3, []string{"from/new"}, []string{"to/new", "to/data"}},
		"half a database":                    {[]string{"from/new/ibdata1"}, nil, empty3, empty3, []string{"from/new"}, []string{"from/new/ibdata1", "to/data"}},
		"a whole one":                        {[]string{"from/new/ibdata1", "from/new/app/db.opt", "from/new/app/t/u"}, nil, there0, there0, []string{"to/data/ibdata1", "to/data/app/db.opt", "to/data/app/t/u"}, []string{"from/new", "to/new"}},
		"a whole one, and half a copy":       {[]string{"from/new/app/db.opt", "to/new/stale"}, nil, there0, there0, []string{"to/data/app/db.opt"}, []string{"to/data/stale", "to/new"}},
		"a whole one where it is not made":   {[]string{"to/new/app/db.opt"}, nil, empty3, empty3, []string{"from/new"}, []string{"to/data"}},
		"one in use, and a whole new":        {[]string{"to/data/ibdata1", "from/new/app/db.opt"}, nil, there0, there0, []string{"to/data/ibdata1"}, []string{"to/data/app"}},
		"one that points out of the volumes": {[]string{"from/new/app/db.opt", "secret"}, []string{"from/new/link"}, wrong1, wrong1, nil, []string{"to/data"}},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			write(t, folder, "from/.keep")
			write(t, folder, "to/.keep")
			for _, f := range c.files {
				write(t, folder, f)
			}
			for _, l := range c.link {
				if err := os.Symlink(filepath.Join(folder, "secret"), filepath.Join(folder, l)); err != nil {
					t.Fatal(err)
				}
			}
			for _, want := range []int{c.code, c.then} {
				var out bytes.Buffer
				if code := probe.Main([]string{"volume", filepath.Join(folder, "to"), "app/db.opt", filepath.Join(folder, "from")}, func(string) string { return "" }, &out, &out); code != want {
					t.Fatalf("got exit code %d, want %d: %s", code, want, &out)
				}
			}
			for _, f := range c.want {
				if !there(folder, f) {
					t.Errorf("%s is missing", f)
				}
			}
			for _, f := range c.gone {
				if there(folder, f) {
					t.Errorf("%s is there", f)
				}
			}
		})
	}
}

// What is copied is what was made.
func TestVolumeCopiesContents(t *testing.T) {
	folder := t.TempDir()
	write(t, folder, "to/.keep")
	write(t, folder, "from/new/app/db.opt")
	content := bytes.Repeat([]byte("page"), 100_000)
	if err := os.WriteFile(filepath.Join(folder, "from/new/ibdata1"), content, 0o600); err != nil {
		t.Fatal(err)
	}
	probe.Main([]string{"volume", filepath.Join(folder, "to"), "app/db.opt", filepath.Join(folder, "from")}, func(string) string { return "" }, &bytes.Buffer{}, &bytes.Buffer{})
	if got, err := os.ReadFile(filepath.Join(folder, "to/data/ibdata1")); err != nil || !bytes.Equal(got, content) {
		t.Errorf("got %d bytes, %v, want %d", len(got), err, len(content))
	}
}

// The data of another server takes its place only when it is whole, and a volume that was
// prepared for it and not filled is as good as an empty one: whatever ran before was killed
// anywhere.
func TestVolumeForTheDataOfAnother(t *testing.T) {
	const mark = "app/db.opt"
	for name, c := range map[string]struct {
		files             []string
		bed               int // exit code of the service seedbed, before and after a database is made
		look              int
		want, gone        []string
		wantBed, wantGone []string
	}{
		"nothing":              {nil, 0, 3, nil, []string{"to/data", "to/seed"}, []string{"to/seed"}, nil},
		"made, not yet put":    {[]string{"to/seed/", "from/new/app/db.opt", "from/new/ibdata1"}, 0, 3, []string{"from/new"}, []string{"to/data", "to/seed", "from/new/app"}, []string{"to/seed/ibdata1", "to/seed/app/db.opt"}, nil},
		"half put":             {[]string{"to/seed/old", "from/new/app/db.opt"}, 0, 3, nil, []string{"to/data", "to/seed"}, []string{"to/seed/app/db.opt"}, []string{"to/seed/old"}},
		"put, not filled":      {[]string{"to/seed/app/db.opt"}, 0, 3, nil, []string{"to/data", "to/seed"}, nil, nil},
		"filled":               {[]string{"to/seed/app/db.opt", "to/seed/confidb_seeded/db.opt"}, 0, 0, []string{"to/data/app/db.opt"}, []string{"to/seed", "to/data/confidb_seeded"}, nil, nil},
		"in its place, marked": {[]string{"to/data/app/db.opt", "to/data/confidb_seeded/db.opt", "to/seed/x"}, 1, 0, []string{"to/data/app/db.opt"}, []string{"to/seed", "to/data/confidb_seeded"}, nil, nil},
		"made for itself":      {[]string{"from/new/app/db.opt"}, 1, 0, []string{"to/data/app/db.opt"}, []string{"to/seed"}, nil, []string{"to/seed"}},
		"there is one already": {[]string{"to/data/ibdata1"}, 1, 0, []string{"to/data/ibdata1"}, nil, nil, []string{"to/seed"}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, service := range []string{"look", "bed"} {
				folder := t.TempDir()
				for _, f := range append([]string{"to/", "from/"}, c.files...) {
					if strings.HasSuffix(f, "/") {
						if err := os.MkdirAll(filepath.Join(folder, f), 0o700); err != nil {
							t.Fatal(err)
						}
						continue
					}
					write(t, folder, f)
				}
				arguments, code, want, gone := []string{"volume", filepath.Join(folder, "to"), mark, filepath.Join(folder, "from")}, c.look, c.want, c.gone
				if service == "bed" {
					arguments, code, want, gone = append(arguments, "seed"), c.bed, c.wantBed, c.wantGone
				}
				var out bytes.Buffer
				if got := probe.Main(arguments, func(string) string { return "" }, &out, &out); got != code {
					t.Errorf("%s: got exit code %d, want %d: %s", service, got, code, &out)
				}
				for _, f := range want {
					if !there(folder, f) {
						t.Errorf("%s: %s is not there", service, f)
					}
				}
				for _, f := range gone {
					if there(folder, f) {
						t.Errorf("%s: %s is there", service, f)
					}
				}
			}
		})
	}
}
