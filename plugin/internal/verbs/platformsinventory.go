package verbs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"time"

	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/pkg/files"
	"github.com/confidb/confidb/pkg/inventory"
	"github.com/confidb/confidb/pkg/machines"
	"github.com/confidb/confidb/pkg/platform"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/printers"
)

// PlatformsInventory are the options of merging what is seen into an inventory file.
type PlatformsInventory struct {
	Flags  *PlatformFlags
	Quotes ProvenanceFlags
	// File is the inventory's path. It need not exist yet.
	File string
	// Write replaces the file; otherwise only the difference is printed.
	Write bool
	// AcceptChange are the nodes whose new identity somebody looked into.
	AcceptChange []string
	// AcceptSimulated makes a difference that rests on simulated quotes a success. An
	// inventory with them is never written without it.
	AcceptSimulated bool
	Now             func() time.Time
}

// Run prints what is different, and writes the file if it is wished and allowed.
func (o PlatformsInventory) Run(ctx context.Context, getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) error {
	before, err := readInventory(o.File)
	if errors.Is(err, fs.ErrNotExist) {
		before, err = &inventory.File{}, nil
	}
	if err != nil {
		return err
	}
	options, err := o.Flags.Resolve()
	if err != nil {
		return err
	}
	if len(options.IDs) > 0 {
		return cli.NewUsageError("got a list of platform IDs (from %s), want the IDs of nodes: an inventory is by node", options.Origin)
	}
	if err := o.Quotes.resolve(ctx, &options, o.Now); err != nil {
		return err
	}
	nodes, err := nodesOrClones(ctx, getter, options, streams.ErrOut)
	if err != nil {
		return err
	}
	after, entries, refused := before.Merge(nodes, inventory.DateOf(o.Now()), o.AcceptChange)
	if err := printers.Print(streams.Out, "", printers.Inventory{Head: printers.Head{Simulated: options.Simulated}, Entries: entries}); err != nil {
		return err
	}
	return o.conclude(streams, after, refused, options.Simulated)
}

func (o PlatformsInventory) conclude(streams genericiooptions.IOStreams, after *inventory.File, refused error, simulated bool) error {
	var conflict *inventory.ConflictError
	switch {
	case errors.As(refused, &conflict):
		return &conflictError{conflict}
	case refused != nil:
		return cli.NewUsageError("--accept-change: %w", refused)
	case simulated && !o.AcceptSimulated:
		return concludeSimulated(simulated, false)
	case !o.Write:
		fmt.Fprintln(streams.ErrOut, "nothing was written (--write does)")
		return nil
	}
	path := o.File
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target // of a link the file is replaced, not the link
	}
	if err := files.Replace(path, after.Render(), files.Public); err != nil {
		return fmt.Errorf("writing the inventory: %w", err)
	}
	return nil
}

// conflictError ends with the code of what contradicts a promise.
type conflictError struct{ *inventory.ConflictError }

// ExitCode is that of the verdict contraindicated.
func (e *conflictError) ExitCode() int { return cli.Contraindicated }

func readInventory(path string) (*inventory.File, error) {
	text, err := files.Read(path)
	if err != nil {
		return nil, fmt.Errorf("reading the inventory: %w", err)
	}
	return inventory.Parse(path, text)
}

// nodesOrClones returns the nodes of a cluster whose only fault may be that nodes
// share an ID: the merge asks about those.
func nodesOrClones(ctx context.Context, getter genericclioptions.RESTClientGetter, options PlatformOptions, errOut io.Writer) ([]platform.Node, error) {
	found, err := machines.Find(ctx, getter, options.Options)
	var inconsistent *platform.InconsistentError
	if errors.As(err, &inconsistent) && inconsistent.Only(platform.Shared) {
		found, err = inconsistent.Seen, platform.Require(inconsistent.Seen, options.Require)
	}
	if err != nil {
		return nil, err
	}
	printers.Warn(errOut, found.Warnings...)
	return found.Nodes, nil
}
