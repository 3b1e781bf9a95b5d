package platforms

import (
	"context"
	"errors"
	"fmt"
	"os"
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
	c := &cobra.Command{
		Use:   "diff NAME",
		Short: "Compare the machines with what the sessions of a release admit",
		Long: `Compares the nodes with SGX as they are now, and an inventory if there is one,
with what both sessions of release NAME admit in CAS, which is attested first.

Work to be done (exit 4):
  added          no session admits the node yet
  unlisted       the inventory does not have the node, or has it as retired
  renamed        the inventory has the machine under the name of a node that is
                 gone
  unknown        no source knows the ID of the node
  unattributed   the admitted ID may be that of a node whose ID is not known
Not as promised (exit 3):
  removed        sessions admit a machine that is no node: a way in for old ones
  id-changed     the node has another ID than in the inventory: microcode, LAS
                 or an SGX reset, or another machine under the name
  cloned         several nodes have one ID
  contradiction  the sources of IDs contradict each other
  generation     there are IDs of SCONE 6 and of SCONE 7
  out-of-step    some services admit the machine and others do not
  open           a service names no machine
Nothing of that: exit 0.

Sessions have IDs and no names: only with --inventory is it known which node a
removed ID was, and that a node has a new one.

` + rightsTable(true) + `
And what attest cas needs, if the CAS is reached through the cluster.`,
		Example: `  kubectl confidb platforms diff db1 --inventory machines.yaml
  kubectl confidb platforms diff db1 -o json | jq .changes
  kubectl confidb platforms diff db1 --watch`,
		Args: cli.Exactly(1, "the name of one release"),
		RunE: func(c *cobra.Command, arguments []string) error {
			if err := cli.CheckFormat(o.output); err != nil {
				return err
			}
			home, err := cli.Home(os.LookupEnv)
			if err != nil {
				return err
			}
			return o.run(c.Context(), home, arguments[0])
		},
	}
	o.addFlags(c.Flags())
	return c
}

// difference compares the machines with what the sessions of a release admit.
type difference struct {
	search
	watcher
	// inventory is the path of one, or empty, and file what it holds, or nil.
	inventory       string
	file            *inventory.File
	output          string
	acceptSimulated bool
	options         flags.PlatformOptions
	release         *verbs.OpenedRelease
}

func (o *difference) addFlags(set *pflag.FlagSet) {
	o.search.addFlags(set)
	o.watcher.addFlags(set)
	flags.AddResult(set, &o.output, &o.acceptSimulated)
	set.StringVar(&o.inventory, "inventory", "", "file of platforms inventory to compare with as well")
}

// run compares, prints the result and ends with its code.
func (o *difference) run(ctx context.Context, home, name string) (err error) {
	if err := o.refuse(o.output); err != nil {
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
	if o.release, err = verbs.OpenRelease(o.getter, home, name); err != nil {
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
	return cli.Conclude(document.Verdict, document.Simulated, o.acceptSimulated)
}

func (o *difference) once(ctx context.Context) (*printers.PlatformsDiff, error) {
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	document, err := o.compare(ctx)
	if err != nil {
		return nil, err
	}
	if err := printers.Print(o.streams.Out, o.output, document); err != nil {
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
			err = printers.Print(o.streams.Out, "", document)
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
	found, err := machines.Find(ctx, o.getter, o.options.Options)
	var inconsistent *platform.InconsistentError
	if !errors.As(err, &inconsistent) {
		if err != nil {
			return nil, nil, err
		}
		printers.Warn(o.streams.ErrOut, found.Warnings...)
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
	printers.Warn(o.streams.ErrOut, inconsistent.Seen.Warnings...)
	return inconsistent.Seen.Nodes, inconsistent.Problems, nil
}

// services attests the CAS and reads what both sessions admit.
func (o *difference) services(ctx context.Context) (all []inventory.Service, simulated bool, err error) {
	promised := o.release.Promised
	c, err := verbs.NewDesk(o.getter, o.release.Store.Dir, o.now).Connect(ctx, promised.CASAddress, promised.Trust)
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
		printers.Warn(o.streams.ErrOut, fmt.Sprintf("session %s in CAS is not the one that was created: kubectl confidb verify %s", promised.Name, release.Name))
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
