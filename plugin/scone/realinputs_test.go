package scone_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/confidb/confidb/internal/realinputs"
)

// A chart that passes the user's own values on takes the keys that stand in these values.
func TestRealInputsOfCharts(t *testing.T) {
	values := filepath.Join(realinputs.Case(t, "chart-own-values"), "values.yaml")
	story, err := txtar.ParseFile("testdata/script/chart-keys.txtar")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for _, file := range story.Files {
		if !strings.HasPrefix(file.Name, "chart/") {
			continue
		}
		at := filepath.Join(folder, file.Name)
		if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, file.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	code, out, errOut := newFixture(t).run(t, "template", "db1", filepath.Join(folder, "chart"), "-f", values, "--config-id-key", "myid", "--cas-key", "mycas", "--database-session", "mine/db")
	if code != 0 || !strings.Contains(out, "value: 'mine/db'\n") || !strings.Contains(out, "value: 'cas.scone-system.svc'\n") {
		t.Errorf("exit %d\n%s%s", code, out, errOut)
	}
}
