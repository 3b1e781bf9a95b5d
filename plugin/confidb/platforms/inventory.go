package platforms

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/files"
	"github.com/confidb/confidb/pkg/inventory"
	"github.com/confidb/confidb/pkg/platform"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/printers"
)

func newInventory(s search) *cobra.Command {
	o := merging{search: s}
	return s.verb("inventory", cli.Exactly(1, "the name of one file"), time.Minute, o.addFlags, o.run)
}

// merging brings an inventory file up to date.
type merging struct {
	search
	// write replaces the file; otherwise only the difference is printed.
	write bool
	// acceptChange are the nodes whose new identity somebody looked into.
	acceptChange []string
	// acceptSimulated makes a difference that rests on simulated quotes a success. An
	// inventory with them is never written without it.
	acceptSimulated bool
}

func (o *merging) addFlags(set *pflag.FlagSet) {
	o.search.addFlags(set)
	set.BoolVar(&o.write, "write", false, "replace FILE")
	set.StringArrayVar(&o.acceptChange, "accept-change", nil, "node whose new identity is right; repeat it for more")
	set.BoolVar(&o.acceptSimulated, "accept-simulated", false, "write, and exit 0, also when quotes do not rest on Intel's root")
}

// run prints what is different, and writes the file, which need not exist yet, if it is
// wished and allowed.
func (o *merging) run(ctx context.Context, arguments []string) error {
	before, err := readInventory(arguments[0])
	if errors.Is(err, fs.ErrNotExist) {
		before, err = &inventory.File{}, nil
	}
	if err != nil {
		return err
	}
	after, err := o.merge(ctx, before)
	if err != nil {
		return err
	}
	return o.replace(arguments[0], after)
}

// merge prints what is different, and returns what may be written.
func (o *merging) merge(ctx context.Context, before *inventory.File) (*inventory.File, error) {
	options, err := o.resolve(ctx, "the IDs of nodes: an inventory is by node")
	if err != nil {
		return nil, err
	}
	found, err := o.nodes(ctx, options, platform.Shared) // the merge asks about nodes that share an ID
	if err != nil {
		return nil, err
	}
	after, entries, refused := before.Merge(found.Nodes, inventory.DateOf(o.Now()), o.acceptChange)
	if err := printers.Print(o.Out, "", printers.Inventory{Head: printers.Head{Simulated: options.Simulated}, Entries: entries}); err != nil {
		return nil, err
	}
	if _, conflict := errors.AsType[*inventory.ConflictError](refused); refused != nil && !conflict {
		refused = cli.NewUsageError("--accept-change: %w", refused)
	}
	return after, cmp.Or(refused, cli.Conclude(check.Affirming, options.Simulated, o.acceptSimulated))
}

func (o *merging) replace(file string, after *inventory.File) error {
	if !o.write {
		fmt.Fprintln(o.ErrOut, "nothing was written (--write does)")
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
