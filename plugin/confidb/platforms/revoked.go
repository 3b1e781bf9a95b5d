package platforms

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/machines"
	"github.com/confidb/confidb/pkg/rollout"
	"github.com/confidb/confidb/pkg/verify"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/printers"
)

func newRevoked(s search) *cobra.Command {
	o := revocation{search: s}
	return s.verb("revoked", cli.Exactly(2, "a release and a node"), 3*time.Minute, o.addFlags, o.run)
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
func (o *revocation) run(ctx context.Context, arguments []string) error {
	progress := o.Progress()
	defer progress.Done()
	id, err := o.platformID(ctx, arguments[1])
	if err != nil {
		return err
	}
	progress.Step("attesting the CAS, and reading the sessions")
	return o.with(ctx, arguments[0], func(m *move) error { return o.observe(ctx, m, id, arguments[1], progress) })
}

func (o *revocation) observe(ctx context.Context, m *move, id attest.PlatformID, node string, progress *cli.Progress) error {
	seen, err := rollout.Revocation{CAS: m.Client, Pods: m.pods, Progress: progress, Release: m.Promised}.Observe(ctx, id, node)
	if err != nil {
		return err
	}
	progress.Done()
	findings := verify.Revoked(seen)
	return printers.Conclude(o.Out, o.result, printers.Result{
		Head:    printers.Head{Kind: "confidb.revocation/v1", Simulated: m.Appraisal.Simulated},
		Subject: fmt.Sprintf("node %s (%s) and release %s/%s", node, id, m.Promised.Namespace, m.Promised.Name),
		Verdict: findings.Verdict(), Findings: o.Program.Findings(findings),
	}, findings.Verdict())
}

// platformID is the machine's, as the user or else the cluster says.
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
	found, err := machines.Find(ctx, o.Getter, options)
	if err != nil {
		return attest.PlatformID{}, err
	}
	if n := found.Node(node); n != nil && n.ID != (attest.PlatformID{}) {
		return n.ID, nil
	}
	return attest.PlatformID{}, cli.NewUsageError("the cluster does not say the platform ID of node %q: want --id", node)
}
