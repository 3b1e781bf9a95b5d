package platforms

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/contact"
	"github.com/confidb/confidb/pkg/files"
	"github.com/confidb/confidb/pkg/inventory"
	"github.com/confidb/confidb/pkg/kube"
	"github.com/confidb/confidb/pkg/machines"
	"github.com/confidb/confidb/pkg/platform"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/flags"
	"github.com/confidb/confidb/plugin/internal/printers"
	"github.com/confidb/confidb/plugin/internal/verbs"
)

// search is how every verb here finds machines: where it looks, and what proves them.
type search struct {
	*cli.Env
	where flags.Platforms
	proof flags.Provenance
}

// verb returns the command of a verb that takes so long at most; 0 is no limit.
func (s *search) verb(
	name string, args cobra.PositionalArgs, patience time.Duration, addFlags func(*pflag.FlagSet), run func(context.Context, []string) error,
) *cobra.Command {
	return s.Command(cli.Verb{Name: "platforms " + name, Args: args, Patience: patience, Flags: addFlags, Run: run})
}

func (s *search) addFlags(set *pflag.FlagSet) {
	s.where.AddFlags(set)
	s.proof.AddFlags(set)
}

// resolve returns what the flags say, and the quotes prove. wanted is what a list of
// platform IDs is refused for; empty accepts one.
func (s *search) resolve(ctx context.Context, wanted string) (machines.Options, error) {
	options, err := s.where.Resolve()
	if err != nil {
		return options, err
	}
	if wanted != "" && len(options.IDs) > 0 {
		return options, cli.NewUsageError("got a list of platform IDs (from %s), want %s", options.Origin, wanted)
	}
	err = s.proof.Resolve(ctx, &options, s.Now())
	return options, err
}

// nodes finds the nodes of the cluster, and warns. What contradicts itself in a way that is
// tolerated is said by whoever does with them what is to be done.
func (s *search) nodes(ctx context.Context, o machines.Options, tolerated ...platform.ProblemKind) (*platform.Inventory, error) {
	found, err := machines.Find(ctx, s.Getter, o, tolerated...)
	if err == nil {
		printers.Warn(s.ErrOut, found.Warnings...)
	}
	return found, err
}

// ids asks for the machines. They must be known as well as the policy of the
// installation says, and as the flags say.
func (s *search) ids(ctx context.Context, m *move) ([]attest.PlatformID, error) {
	options, err := s.resolve(ctx, "")
	if err != nil {
		return nil, err
	}
	found, err := machines.Find(ctx, s.Getter, options)
	if err != nil {
		return nil, err
	}
	return found.IDs(), platform.Require(found, m.Promised.Trust.RequireProvenance)
}

func readInventory(path string) (*inventory.File, error) {
	text, err := files.Read(path)
	if err != nil {
		return nil, fmt.Errorf("reading the inventory: %w", err)
	}
	return inventory.Parse(path, text)
}

// move is a release whose sessions are to admit other machines.
type move struct {
	*verbs.OpenedRelease
	*contact.Connection
	// pods are those of the release, as Helm installed it.
	pods kube.Installed
}

// with attests the CAS of a release afresh, and keeps other processes from the release
// while something is done with it.
func (s *search) with(ctx context.Context, name string, do func(m *move) error) error {
	known, err := verbs.OpenRelease(s.Env, name)
	if err != nil {
		return err
	}
	unlock, err := known.Store.LockRelease(known.ID, known.Promised.Namespace, name)
	if err != nil {
		return err
	}
	defer unlock()
	c, err := verbs.Connect(ctx, s.Env, known.Promised.CASAddress, known.Promised.Trust)
	if err != nil {
		return err
	}
	defer c.Close()
	pods := kube.Installed{Cluster: known.Cluster, Namespace: known.Promised.Namespace, Workloads: known.Workloads, Now: s.Now}
	return do(&move{known, c, pods})
}
