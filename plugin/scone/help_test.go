package scone

import (
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/confidb/confidb/plugin/internal/cli"
)

// TestEveryCommandHasItsHelp: every section of the page is that of one command, and every
// command has one.
func TestEveryCommandHasItsHelp(t *testing.T) {
	help, err := readHelp()
	if err != nil {
		t.Fatal(err)
	}
	root := newRootCommand(&cli.Env{Program: cli.Helm, Help: help, Getter: newEnvironment(os.LookupEnv)})
	said := map[string]bool{}
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		path := strings.TrimSpace(strings.TrimPrefix(c.CommandPath(), string(cli.Helm)))
		if said[path] {
			t.Errorf("%q is the path of several commands", path)
		}
		if said[path] = true; c.Short == "" || c.Short != help.Command(path).Short {
			t.Errorf("%q says %q, want its section of the page", path, c.Short)
		}
		for _, below := range c.Commands() {
			walk(below)
		}
	}
	walk(root)
	for path := range help {
		if !said[path] {
			t.Errorf("a section is of %q, which is no command", path)
		}
	}
	if len(said) < 7 {
		t.Errorf("got %d commands, want 7 or more", len(said))
	}
}
