package confidb

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/confidb/confidb/plugin/internal/cli"
)

// TestEveryCommandHasItsHelp: every section of the page is that of one command, and every
// command has one.
func TestEveryCommandHasItsHelp(t *testing.T) {
	help, err := readHelp()
	if err != nil {
		t.Fatal(err)
	}
	root := newRootCommand(&cli.Env{Program: cli.Kubectl, Help: help, Getter: genericclioptions.NewConfigFlags(true)})
	said := map[string]bool{}
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		path := strings.TrimSpace(strings.TrimPrefix(c.CommandPath(), string(cli.Kubectl)))
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
	if len(said) < 36 {
		t.Errorf("got %d commands, want 36 or more", len(said))
	}
}
