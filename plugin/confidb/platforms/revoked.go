package platforms

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/evidence"
	"github.com/confidb/confidb/pkg/kube"
	"github.com/confidb/confidb/pkg/machines"
	"github.com/confidb/confidb/pkg/rollout"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/pkg/verify"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/printers"
)

func newRevoked(s search) *cobra.Command {
	o := revocation{search: s}
	return s.env.Command(cli.Verb{Name: "platforms revoked", Args: cli.Exactly(2, "a release and a node"), Patience: 3 * time.Minute, Flags: o.addFlags, Run: func(ctx context.Context, arguments []string) error {
		return o.run(ctx, arguments[0], arguments[1])
	}})
}

// revocation shows that a machine is no longer admitted.
type revocation struct {
	search
	// id is the machine's, where the cluster does not say it any more.
	id     string
	result cli.Result
}

func (o *revocation) addFlags(set *pflag.FlagSet) {
	o.where.AddFlags(set)
	set.StringVar(&o.id, "id", "", "platform ID that the node has or had (default: what the cluster says)")
	o.result.AddFlags(set)
}

// run reads the sessions from the attested CAS, and tries a start on the node.
func (o *revocation) run(ctx context.Context, name, node string) error {
	progress := o.env.Progress()
	defer progress.Done()
	id, err := o.platformID(ctx, node)
	if err != nil {
		return err
	}
	progress.Step("attesting the CAS, and reading the sessions")
	m, err := o.open(ctx, name)
	if err != nil {
		return err
	}
	defer m.close()
	seen := verify.Revocation{ID: id, Node: node}
	for _, s := range m.Promised.Admitting() {
		held, err := rollout.Read(ctx, m.Client, s.Name)
		if err != nil {
			return err
		}
		seen.Sessions = append(seen.Sessions, held.Session)
	}
	seen.Nodes = evidence.Got(o.nodes(ctx, m))
	progress.Step("trying a start on node %s", node)
	seen.Start = tryStart(ctx, m, node)
	progress.Done()
	findings := verify.Revoked(seen)
	verdict, simulated := findings.Verdict(), m.Appraisal.Simulated
	return printers.Conclude(o.env.Out, o.result, printers.Result{
		Head: printers.Head{Kind: "confidb.revocation/v1", Simulated: simulated}, Subject: fmt.Sprintf("node %s (%s) and release %s/%s", node, id, m.Promised.Namespace, name),
		Verdict: verdict, Findings: o.env.Program.Findings(findings),
	}, verdict)
}

func (o *revocation) platformID(ctx context.Context, node string) (attest.PlatformID, error) {
	if o.id != "" {
		id, err := attest.ParsePlatformID(o.id)
		if err != nil {
			return id, cli.NewUsageError("--id: %w", err)
		}
		return id, nil
	}
	options, err := o.where.Resolve()
	if err != nil {
		return attest.PlatformID{}, err
	}
	inventory, err := machines.Find(ctx, o.env.Getter, options.Options)
	if err != nil {
		return attest.PlatformID{}, err
	}
	for _, n := range inventory.Nodes {
		if n.Name == node {
			return n.ID, nil
		}
	}
	return attest.PlatformID{}, cli.NewUsageError("the cluster does not say the platform ID of node %q: want --id", node)
}

// nodes are those on which pods of the release have what CAS gave them.
func (o *revocation) nodes(ctx context.Context, m *move) ([]string, error) {
	workloads, err := m.Workloads(ctx)
	if err != nil {
		return nil, err
	}
	return m.Cluster.Occupied(ctx, m.Promised.Namespace, workloads)
}

// tryStart starts the attested client on the node.
func tryStart(ctx context.Context, m *move, node string) verify.Start {
	_, err := m.Cluster.Run(ctx, kube.Client{
		Name: "confidb-revoked", Namespace: m.Promised.Namespace, How: m.Promised.Pod, Nodes: []string{node}, Program: topology.ProgramProbe, Lifetime: 4 * time.Minute,
		Environment: map[string]string{"SCONE_CONFIG_ID": m.Promised.Session(topology.Client).Name + "/" + topology.ServiceProbe, "CONFIDB_NONCE": strings.Repeat("0", 32)},
	})
	if err == nil {
		return verify.Start{Ran: true}
	}
	start := verify.Start{Problem: err.Error()}
	if ended, ok := errors.AsType[*kube.ExitError](err); ok {
		start.Output = ended.Output
	}
	return start
}
