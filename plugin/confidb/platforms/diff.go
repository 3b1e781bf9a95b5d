package platforms

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/contact"
	"github.com/confidb/confidb/pkg/inventory"
	"github.com/confidb/confidb/pkg/machines"
	"github.com/confidb/confidb/pkg/platform"
	"github.com/confidb/confidb/pkg/record"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/pkg/watch"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/flags"
	"github.com/confidb/confidb/plugin/internal/printers"
	"github.com/confidb/confidb/plugin/internal/verbs"
)

func newDiff(s search, w watcher) *cobra.Command {
	o := difference{search: s, watcher: w}
	return s.env.Command(cli.Verb{Name: "platforms diff", Args: cli.Exactly(1, "the name of one release"), Flags: o.addFlags, Run: o.run})
}

// difference compares the machines with what the sessions of a release admit.
type difference struct {
	search
	watcher
	// inventory is the path of one, or empty, and file what it holds, or nil.
	inventory string
	file      *inventory.File
	result    cli.Result
	options   flags.PlatformOptions
	release   *verbs.OpenedRelease
}

func (o *difference) addFlags(set *pflag.FlagSet) {
	o.search.addFlags(set)
	o.watcher.addFlags(set)
	o.result.AddFlags(set)
	set.StringVar(&o.inventory, "inventory", "", "file of platforms inventory to compare with as well")
}

// run compares, prints the result and ends with its code.
func (o *difference) run(ctx context.Context, arguments []string) (err error) {
	if err := o.refuse(o.result.Output); err != nil {
		return err
	}
	if o.options, err = o.resolve(ctx, "the nodes of the cluster: sessions are compared with them"); err != nil {
		return err
	}
	if o.inventory != "" {
		if o.file, err = readInventory(o.inventory); err != nil {
			return err
		}
	}
	if o.release, err = verbs.OpenRelease(o.env, arguments[0]); err != nil {
		return err
	}
	compare := o.once
	if o.watch {
		compare = o.follow
	}
	document, err := compare(ctx)
	if err != nil || document == nil {
		return err
	}
	return cli.Conclude(document.Verdict, document.Simulated, o.result.AcceptSimulated)
}

func (o *difference) once(ctx context.Context) (*printers.PlatformsDiff, error) {
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	document, err := o.compare(ctx)
	if err != nil {
		return nil, err
	}
	if err := printers.Print(o.env.Out, o.result.Output, document); err != nil {
		return nil, fmt.Errorf("printing: %w", err)
	}
	return document, nil
}

// follow prints the difference, and then a line for each change until ctx ends. It
// returns the last one; nil if there was none.
func (o *difference) follow(ctx context.Context) (last *printers.PlatformsDiff, err error) {
	err = o.watcher.follow(ctx, &o.search, func(ctx context.Context, first bool) (watch.Picture, error) {
		document, err := o.compare(ctx)
		if err != nil {
			return nil, err
		}
		if last = document; first {
			err = printers.Print(o.env.Out, "", document)
		}
		return watch.Difference(document.Difference), err
	})
	return last, err
}

// compare looks at the nodes and the sessions.
func (o *difference) compare(ctx context.Context) (*printers.PlatformsDiff, error) {
	nodes, problems, err := o.nodes(ctx)
	if err != nil {
		return nil, err
	}
	services, simulated, err := o.services(ctx)
	if err != nil {
		return nil, err
	}
	found := inventory.Comparison{Nodes: nodes, Problems: problems, Services: services, File: o.file}.Compare()
	for i := range found.Changes {
		found.Changes[i].Do = cli.Kubectl.Say(found.Changes[i].Do)
	}
	known := map[attest.Provenance]int{}
	for _, n := range nodes {
		if n.SGX && n.ID != (attest.PlatformID{}) {
			known[n.Provenance]++
		}
	}
	promised := o.release.Promised
	return &printers.PlatformsDiff{
		Head:    printers.Head{Kind: "confidb.platforms-diff/v1", Simulated: simulated || o.options.Simulated},
		Subject: "platforms of release " + promised.Namespace + "/" + promised.Name,
		Verdict: found.Verdict(), Difference: found, Nodes: known,
	}, nil
}

// nodes returns what the cluster has, and in which way it contradicts itself. What is
// refused, and a file of the user's that names strangers, is an error: nothing that
// is compared then would be right.
func (o *difference) nodes(ctx context.Context) ([]platform.Node, []platform.Problem, error) {
	found, err := machines.Find(ctx, o.env.Getter, o.options.Options)
	var inconsistent *platform.InconsistentError
	if !errors.As(err, &inconsistent) {
		if err != nil {
			return nil, nil, err
		}
		printers.Warn(o.env.ErrOut, found.Warnings...)
		return found.Nodes, nil, nil
	}
	for _, p := range inconsistent.Problems {
		if p.Kind == platform.Stranger || p.Kind == platform.Refused {
			return nil, nil, err
		}
	}
	if err := platform.Require(inconsistent.Seen, o.options.Require); err != nil {
		return nil, nil, err
	}
	printers.Warn(o.env.ErrOut, inconsistent.Seen.Warnings...)
	return inconsistent.Seen.Nodes, inconsistent.Problems, nil
}

// services attests the CAS and reads what both sessions admit.
func (o *difference) services(ctx context.Context) (all []inventory.Service, simulated bool, err error) {
	promised := o.release.Promised
	c, err := verbs.Connect(ctx, o.env, promised.CASAddress, promised.Trust)
	if err != nil {
		return nil, false, err
	}
	defer c.Close()
	for _, s := range []struct {
		which string
		topology.Session
	}{{"client", promised.Session(topology.Client)}, {"database", promised.Session(topology.Database)}} {
		services, err := o.session(ctx, c, s.which, s.Session)
		if err != nil {
			return nil, false, err
		}
		all = append(all, services...)
	}
	return all, c.Appraisal.Simulated, nil
}

func (o *difference) session(ctx context.Context, c *contact.Connection, which string, promised topology.Session) ([]inventory.Service, error) {
	release := o.release.Promised
	if promised.Name == "" {
		return nil, &record.UnknownReleaseError{Namespace: release.Namespace, Name: release.Name}
	}
	stored, err := c.Session(ctx, promised.Name)
	if err != nil {
		return nil, err
	}
	if promised.Hash != "" && !strings.EqualFold(stored.Hash, promised.Hash) {
		printers.Warn(o.env.ErrOut, fmt.Sprintf("session %s in CAS is not the one that was created: kubectl confidb verify %s", promised.Name, release.Name))
	}
	parsed, err := session.Parse(promised.Name, []byte(stored.Text))
	if err != nil {
		return nil, fmt.Errorf("session %q in CAS: %w", promised.Name, err)
	}
	services := inventory.Services(which, parsed)
	if len(services) == 0 {
		return nil, fmt.Errorf("session %q in CAS: got no service, want those that admit machines", promised.Name)
	}
	return services, nil
}
