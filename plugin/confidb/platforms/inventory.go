package platforms

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/files"
	"github.com/confidb/confidb/pkg/inventory"
	"github.com/confidb/confidb/pkg/machines"
	"github.com/confidb/confidb/pkg/platform"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/flags"
	"github.com/confidb/confidb/plugin/internal/printers"
)

func newInventory(s search) *cobra.Command {
	o := merge{search: s}
	return s.env.Command(cli.Verb{Name: "platforms inventory", Args: cli.Exactly(1, "the name of one file"), Patience: time.Minute, Flags: o.addFlags, Run: func(ctx context.Context, arguments []string) error {
		return o.run(ctx, arguments[0])
	}})
}

// merge brings an inventory file up to date.
type merge struct {
	search
	// write replaces the file; otherwise only the difference is printed.
	write bool
	// acceptChange are the nodes whose new identity somebody looked into.
	acceptChange []string
	// acceptSimulated makes a difference that rests on simulated quotes a success. An
	// inventory with them is never written without it.
	acceptSimulated bool
}

func (o *merge) addFlags(set *pflag.FlagSet) {
	o.search.addFlags(set)
	set.BoolVar(&o.write, "write", false, "replace FILE")
	set.StringArrayVar(&o.acceptChange, "accept-change", nil, "node whose new identity is right; repeat it for more")
	set.BoolVar(&o.acceptSimulated, "accept-simulated", false, "write, and exit 0, also when quotes do not rest on Intel's root")
}

// run prints what is different, and writes the file, which need not exist yet, if it is
// wished and allowed.
func (o *merge) run(ctx context.Context, file string) error {
	before, err := readInventory(file)
	if errors.Is(err, fs.ErrNotExist) {
		before, err = &inventory.File{}, nil
	}
	if err != nil {
		return err
	}
	options, err := o.resolve(ctx, "the IDs of nodes: an inventory is by node")
	if err != nil {
		return err
	}
	nodes, err := o.nodesOrClones(ctx, options)
	if err != nil {
		return err
	}
	after, entries, refused := before.Merge(nodes, inventory.DateOf(o.env.Now()), o.acceptChange)
	if err := printers.Print(o.env.Out, "", printers.Inventory{Head: printers.Head{Simulated: options.Simulated}, Entries: entries}); err != nil {
		return err
	}
	return o.conclude(file, after, refused, options.Simulated)
}

func (o *merge) conclude(file string, after *inventory.File, refused error, simulated bool) error {
	var conflict *inventory.ConflictError
	switch {
	case errors.As(refused, &conflict):
		return conflict
	case refused != nil:
		return cli.NewUsageError("--accept-change: %w", refused)
	case simulated && !o.acceptSimulated:
		return concludeSimulated(simulated, false)
	case !o.write:
		fmt.Fprintln(o.env.ErrOut, "nothing was written (--write does)")
		return nil
	}
	if target, err := filepath.EvalSymlinks(file); err == nil {
		file = target // of a link the file is replaced, not the link
	}
	if err := files.Replace(file, after.Render(), files.Public); err != nil {
		return fmt.Errorf("writing the inventory: %w", err)
	}
	return nil
}

func readInventory(path string) (*inventory.File, error) {
	text, err := files.Read(path)
	if err != nil {
		return nil, fmt.Errorf("reading the inventory: %w", err)
	}
	return inventory.Parse(path, text)
}

// nodesOrClones returns the nodes of a cluster whose only fault may be that nodes
// share an ID: the merge asks about those.
func (o *merge) nodesOrClones(ctx context.Context, options flags.PlatformOptions) ([]platform.Node, error) {
	found, err := machines.Find(ctx, o.env.Getter, options.Options, platform.Shared)
	if err != nil {
		return nil, err
	}
	printers.Warn(o.env.ErrOut, found.Warnings...)
	return found.Nodes, nil
}
