package verbs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	flagvalues "github.com/confidb/confidb/plugin/internal/flags"

	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/evidence"
	"github.com/confidb/confidb/pkg/kube"
	"github.com/confidb/confidb/pkg/machines"
	"github.com/confidb/confidb/pkg/release"
	"github.com/confidb/confidb/pkg/rollout"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/pkg/verify"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/printers"
)

// RevokedPlatform are the options of showing that a machine is no longer admitted.
type RevokedPlatform struct {
	Name, Node string
	Platforms  *PlatformFlags
	// ID is the machine's, where the cluster does not say it any more.
	ID   string
	Home string
	Helm release.Settings
	// Output is one of cli.Formats, or empty.
	Output string
	// AcceptSimulated makes a simulated result a success.
	AcceptSimulated bool
	Now             func() time.Time
}

// AddFlags registers the flags.
func (o *RevokedPlatform) AddFlags(flags *pflag.FlagSet) {
	o.Platforms.AddFlags(flags)
	flags.StringVar(&o.ID, "id", "", "platform ID that the node has or had (default: what the cluster says)")
	flagvalues.AddResult(flags, &o.Output, &o.AcceptSimulated)
}

// Run reads the sessions from the attested CAS, and tries a start on the node.
func (o RevokedPlatform) Run(ctx context.Context, getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) error {
	progress := cli.NewProgress(streams.ErrOut, o.Now)
	defer progress.Done()
	id, err := o.platformID(ctx, getter)
	if err != nil {
		return err
	}
	progress.Step("attesting the CAS, and reading the sessions")
	m, err := openMove(ctx, getter, o.Home, o.Name, o.Now)
	if err != nil {
		return err
	}
	defer m.close()
	seen := verify.Revocation{ID: id, Node: o.Node}
	for _, s := range m.Promised.Admitting() {
		held, err := rollout.Read(ctx, m.Client, s.Name)
		if err != nil {
			return err
		}
		seen.Sessions = append(seen.Sessions, held.Session)
	}
	seen.Nodes = evidence.Got(o.nodes(ctx, m))
	progress.Step("trying a start on node %s", o.Node)
	seen.Start = o.tryStart(ctx, m)
	progress.Done()
	findings := verify.Revoked(seen)
	verdict, simulated := findings.Verdict(), m.attested.Simulated
	if err := printers.Print(streams.Out, o.Output, printers.Result{
		Head: printers.Head{Kind: "confidb.revocation/v1", Simulated: simulated}, Subject: fmt.Sprintf("node %s (%s) and release %s/%s", o.Node, id, m.Promised.Namespace, o.Name),
		Verdict: verdict, Findings: cli.Kubectl.Findings(findings),
	}); err != nil {
		return err
	}
	return cli.Conclude(verdict, simulated, o.AcceptSimulated)
}

func (o RevokedPlatform) platformID(ctx context.Context, getter genericclioptions.RESTClientGetter) (attest.PlatformID, error) {
	if o.ID != "" {
		id, err := attest.ParsePlatformID(o.ID)
		if err != nil {
			return id, cli.NewUsageError("--id: %w", err)
		}
		return id, nil
	}
	options, err := o.Platforms.Resolve()
	if err != nil {
		return attest.PlatformID{}, err
	}
	inventory, err := machines.Find(ctx, getter, options.Options)
	if err != nil {
		return attest.PlatformID{}, err
	}
	for _, n := range inventory.Nodes {
		if n.Name == o.Node {
			return n.ID, nil
		}
	}
	return attest.PlatformID{}, cli.NewUsageError("the cluster does not say the platform ID of node %q: want --id", o.Node)
}

// nodes are those on which pods of the release run.
func (o RevokedPlatform) nodes(ctx context.Context, m *move) ([]string, error) {
	_, workloads, err := m.Installed(ctx, m.getter, o.Helm)
	if err != nil {
		return nil, err
	}
	return m.Cluster.Nodes(ctx, m.Promised.Namespace, workloads)
}

// tryStart starts the attested client on the node.
func (o RevokedPlatform) tryStart(ctx context.Context, m *move) verify.Start {
	_, err := m.Cluster.Run(ctx, kube.Client{
		Name: "confidb-revoked", Namespace: m.Promised.Namespace, How: m.Promised.Pod, Nodes: []string{o.Node}, Program: topology.ProgramProbe, Lifetime: ProbeLifetime,
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
