package verbs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/kube"
	"github.com/confidb/confidb/pkg/machines"
	"github.com/confidb/confidb/pkg/release"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/topology"
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
	// Output is one of printers.Formats, or empty.
	Output string
	// AcceptSimulated makes a simulated result a success.
	AcceptSimulated bool
	Now             func() time.Time
}

// AddFlags registers the flags.
func (o *RevokedPlatform) AddFlags(flags *pflag.FlagSet) {
	o.Platforms.AddFlags(flags)
	flags.StringVar(&o.ID, "id", "", "platform ID that the node has or had (default: what the cluster says)")
	AddResultFlags(flags, &o.Output, &o.AcceptSimulated)
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
	findings := check.Report{}
	for _, s := range m.sessions() {
		_, held, err := fetchSession(ctx, m.Client, s.Name)
		if err != nil {
			return err
		}
		findings = append(findings, notAdmitted(held, id))
	}
	findings = append(findings, o.idle(ctx, m))
	progress.Step("trying a start on node %s", o.Node)
	findings = append(findings, o.tryStart(ctx, m))
	progress.Done()
	verdict, simulated := findings.Verdict(), m.attested.Simulated
	if err := printers.Print(streams.Out, o.Output, printers.Result{
		Head: printers.Head{Kind: "confidb.revocation/v1", Simulated: simulated}, Subject: fmt.Sprintf("node %s (%s) and release %s/%s", o.Node, id, m.promised.Namespace, o.Name),
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

// notAdmitted is the proof: CAS gives nothing to a machine that the session does not
// name, and the session is read from the attested CAS.
func notAdmitted(held *session.Session, id attest.PlatformID) check.Finding {
	f := check.Finding{ID: "platform-not-admitted", Title: fmt.Sprintf("no service of session %s admits the machine", held.Name), Outcome: check.Pass}
	for _, v := range held.Services {
		admitted := slices.Contains(v.Platforms, id)
		otherKind := slices.ContainsFunc(v.Platforms, func(p attest.PlatformID) bool { return p.Generation() != id.Generation() })
		switch {
		case otherKind && f.Outcome == check.Pass:
			f.Outcome, f.Reason, f.Hint = check.Skip, "service "+v.Name+" names machines by IDs of another generation, of which this one has its own", "give the ID of that generation with --id"
			continue
		case len(v.Platforms) == 0 && len(v.PlatformSecrets) == 0:
			f.Got = "service " + v.Name + " may run anywhere"
		case admitted:
			f.Got = "service " + v.Name + " admits it"
		case len(v.PlatformSecrets) > 0 && f.Outcome == check.Pass:
			f.Outcome, f.Reason, f.Hint = check.Skip, "further platforms of service "+v.Name+" are in a secret", "write them into the session"
			continue
		default:
			continue
		}
		f.Outcome, f.Hint = check.Fail, "kubectl confidb platforms plan, then platforms apply"
		return f
	}
	return f
}

// idle asks for pods that run on with what they got before the machine left: CAS takes
// nothing back.
func (o RevokedPlatform) idle(ctx context.Context, m *move) check.Finding {
	f := check.Finding{ID: "platform-idle", Title: "no pod of the release runs on the node", Outcome: check.Pass}
	_, workloads, err := m.release(ctx, m.getter, o.Helm)
	var nodes []string
	if err == nil {
		nodes, err = m.cluster.Nodes(ctx, m.promised.Namespace, workloads)
	}
	switch {
	case err != nil:
		f.Outcome, f.Reason, f.Hint = check.Skip, err.Error(), "kubectl get pods -o wide"
	case slices.Contains(nodes, o.Node):
		f.Outcome, f.Reason, f.Hint = check.Fail, "a pod there still has the secrets that it got", "kubectl drain "+o.Node+"; rotate what the machine must not know"
	}
	return f
}

// notPermitted is how CAS refuses a machine, in what SCONE's runtime writes.
const notPermitted = "not permitted"

// tryStart shows that the refusal reaches the machine. What a pod says is the word of
// the node that runs it: this finding can accuse, and proves nothing alone.
func (o RevokedPlatform) tryStart(ctx context.Context, m *move) check.Finding {
	f := check.Finding{ID: "platform-refused", Title: "a start of the attested client on the node is refused", Outcome: check.Skip, Hint: "kubectl describe node " + o.Node}
	_, err := m.cluster.Run(ctx, kube.Client{
		Name: "confidb-revoked", Namespace: m.promised.Namespace, How: m.promised.Pod, Nodes: []string{o.Node}, Program: topology.ProgramProbe, Lifetime: probeLifetime,
		Environment: map[string]string{"SCONE_CONFIG_ID": m.promised.Session(topology.Client).Name + "/" + topology.ServiceProbe, "CONFIDB_NONCE": strings.Repeat("0", 32)},
	})
	var ended *kube.ExitError
	switch {
	case err == nil:
		f.Outcome, f.Reason = check.Fail, "it got its secrets and ran"
		f.Hint = "find out which machine the node is: kubectl confidb platforms; its ID may have changed, or belong to another node"
	case errors.As(err, &ended) && strings.Contains(ended.Output, notPermitted):
		f.Outcome, f.Hint, f.Reason = check.Pass, "", "the pod says: "+ended.Output
	default:
		f.Reason = err.Error()
	}
	return f
}
