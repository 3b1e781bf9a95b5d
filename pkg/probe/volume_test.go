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
	for _, arguments := range [][]string{{"volume"}, {"volume", "/x"}, {"volume", "/x", "y", "z"}, {"volumes", "/x", "y"}} {
		if code := probe.Main(arguments, func(string) string { return "" }, &bytes.Buffer{}, &bytes.Buffer{}); code != 2 {
			t.Errorf("%q: got %d, want 2", arguments, code)
		}
	}
}
