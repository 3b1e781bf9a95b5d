package realquotes_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/confidb/confidb/internal/realquotes"
)

// folderWith makes a folder of cases without content.
func folderWith(t *testing.T, ids []string) string {
	t.Helper()
	folder := t.TempDir()
	type listed struct {
		ID  string `json:"id"`
		Dir string `json:"dir"`
	}
	var list []listed
	for _, id := range ids {
		if err := os.MkdirAll(filepath.Join(folder, id), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(folder, id, "quote.bin"), nil)
		list = append(list, listed{id, id})
	}
	text, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(folder, "cases.json"), text)
	return folder
}

func write(t *testing.T, file string, text []byte) {
	t.Helper()
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// checkoutWith changes into a checkout that has a folder beside it, if there is one.
func checkoutWith(t *testing.T, beside string) {
	t.Helper()
	above := t.TempDir()
	inside := filepath.Join(above, "checkout", "test", "oracle", "deep")
	if err := os.MkdirAll(inside, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(above, "checkout", "go.mod"), []byte("module github.com/confidb/confidb\n\ngo 1.26\n"))
	write(t, filepath.Join(above, "checkout", "test", "oracle", "go.mod"), []byte("module github.com/confidb/confidb/test/oracle\n"))
	if beside != "" {
		if err := os.MkdirAll(filepath.Join(above, "shared", "testdata"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(beside, filepath.Join(above, "shared", "testdata", "sgx-quotes")); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(inside)
}

func TestFind(t *testing.T) {
	ids := realquotes.IDs()
	lost := folderWith(t, ids)
	if err := os.Remove(filepath.Join(lost, ids[3], "quote.bin")); err != nil {
		t.Fatal(err)
	}
	broken := folderWith(t, ids)
	write(t, filepath.Join(broken, "cases.json"), []byte("["))
	for name, c := range map[string]struct {
		named, beside string
		found         int
		err           string
	}{
		"nothing there":             {"", "", 0, ""},
		"beside the checkout":       {"", folderWith(t, ids), len(ids), ""},
		"named":                     {folderWith(t, ids), "", len(ids), ""},
		"more than the tests know":  {folderWith(t, append([]string{"new"}, ids...)), "", len(ids) + 1, ""},
		"named, and not there":      {"/does/not/exist", folderWith(t, ids), 0, "/does/not/exist"},
		"relative to the checkout":  {"../shared/testdata/sgx-quotes", folderWith(t, ids), len(ids), ""},
		"one case less":             {folderWith(t, ids[1:]), "", 0, "has no case " + ids[0]},
		"one case less, beside":     {"", folderWith(t, ids[:len(ids)-1]), 0, "has no case " + ids[len(ids)-1]},
		"a case without its quote":  {lost, "", 0, "case " + ids[3] + ": "},
		"a list that is none":       {broken, "", 0, "cases.json: "},
		"an empty folder, required": {t.TempDir(), "", 0, "cases.json"},
		"an empty folder, beside":   {"", t.TempDir(), 0, "cases.json"},
	} {
		t.Run(name, func(t *testing.T) {
			checkoutWith(t, c.beside)
			t.Setenv(realquotes.Variable, c.named)
			cases, err := realquotes.Find()
			if len(cases) != c.found {
				t.Errorf("got %d cases, want %d", len(cases), c.found)
			}
			if (err != nil) != (c.err != "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("got error %v, want %q", err, c.err)
			}
		})
	}
}

func TestFindOutsideOfACheckout(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv(realquotes.Variable, "")
	if _, err := realquotes.Find(); err == nil {
		t.Error("got no error")
	}
}
