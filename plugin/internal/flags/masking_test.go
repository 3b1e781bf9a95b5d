package flags

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/deploy"
	"github.com/confidb/confidb/pkg/topology"
)

// TestMasking: rules are read where MaxScale masks, with the place of what is wrong; what is
// not said stays as it was, and none ends it.
func TestMasking(t *testing.T) {
	folder := t.TempDir()
	file := func(name, text string) string {
		at := filepath.Join(folder, name)
		if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return at
	}
	const rules, before = `{"rules": [{"replace": {"column": "a"}, "with": {"fill": "X"}}]}`, "those of before"
	good, bad := file("good.json", rules), file("bad.json", strings.Replace(rules, "fill", "fil", 1))
	for name, c := range map[string]struct {
		flags        Installation
		architecture topology.Architecture
		want, wrong  string
		accounts     []string
	}{
		"nothing said":           {architecture: topology.Replicated, want: before, accounts: []string{"old"}},
		"a file":                 {flags: Installation{masking: good}, architecture: topology.Replicated, want: rules, accounts: []string{"old"}},
		"a misspelt key":         {flags: Installation{masking: bad}, architecture: topology.Replicated, wrong: "bad.json:1:"},
		"no file":                {flags: Installation{masking: folder + "/x"}, architecture: topology.Replicated, wrong: "--masking"},
		"a single database":      {flags: Installation{masking: good}, wrong: "want --architecture replicated"},
		"shards":                 {flags: Installation{masking: good}, architecture: topology.Sharded, wrong: "want --architecture replicated"},
		"none":                   {flags: Installation{masking: "none"}, architecture: topology.Replicated},
		"accounts":               {flags: Installation{maskedAccounts: []string{"b", "a"}}, architecture: topology.Replicated, want: before, accounts: []string{"a", "b"}},
		"no account, but masked": {flags: Installation{maskedAccounts: []string{"none"}}, architecture: topology.Replicated, want: before},
	} {
		in := &deploy.Inputs{Plan: topology.Plan{Architecture: c.architecture, Applications: topology.Applications{Masking: before, MaskedAccounts: []string{"old"}}}}
		err := c.flags.addMasking(in, nil)
		if c.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("%s: got %v, want %q", name, err, c.wrong)
			}
			continue
		}
		if got := in.Plan.Applications; err != nil || got.Masking != c.want || !slices.Equal(got.MaskedAccounts, c.accounts) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}
