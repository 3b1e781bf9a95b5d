package verbs

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/pkg/cas"
	"github.com/confidb/confidb/pkg/record"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/cluster"
	"github.com/confidb/confidb/plugin/internal/printers"
)

// AttestCAS are the options of attesting a CAS.
type AttestCAS struct {
	// Trust says whom to believe and where the CAS is.
	Trust *Trust
	// Address overrides the address of Trust; it is the command's argument.
	Address string
	// Home is the folder of the user's records.
	Home string
	// Output is one of printers.Formats, or empty.
	Output string
	// AcceptSimulated makes a simulated result a success.
	AcceptSimulated bool
	// Now is the clock.
	Now func() time.Time
}

// Run attests the CAS, prints the result and keeps the evidence of a CAS that is
// accepted.
func (o AttestCAS) Run(ctx context.Context, getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) error {
	resolved, err := o.Trust.resolve(nil)
	if err != nil {
		return err
	}
	if o.Address != "" {
		resolved.cas, resolved.origins["cas"] = o.Address, "argument"
	}
	dial, close, err := dialCAS(ctx, getter, resolved.cas)
	if err != nil {
		return err
	}
	defer close()
	attested, err := attestNow(ctx, dial, resolved.cas, resolved.trust, o.Now)
	if err != nil {
		return err
	}
	verdict := attested.Findings.Verdict()
	if err := printers.Print(streams.Out, o.Output, printers.Result{
		Kind: "confidb.attestation/v1", Subject: "CAS " + resolved.cas, Verdict: verdict, Simulated: attested.Simulated,
		Findings: attested.Findings, Origins: resolved.origins,
	}); err != nil {
		return err
	}
	if verdict.Accepted() {
		if err := (record.Store{Dir: o.Home}).SavePin(&attested.Pin); err != nil {
			return fmt.Errorf("keeping the evidence: %w", err)
		}
	}
	return cli.Conclude(verdict, attested.Simulated, o.AcceptSimulated)
}

// attestNow fetches and appraises fresh evidence of the CAS at address.
func attestNow(ctx context.Context, dial cas.Dialer, address string, trust record.Trust, now func() time.Time) (*cas.Attested, error) {
	var nonce [16]byte
	rand.Read(nonce[:]) // never fails
	return cas.Attest(ctx, dial, address, nonce, trust, now)
}

// dialCAS returns a dialer for a CAS. The cluster is only asked when the address is
// that of a Service.
func dialCAS(ctx context.Context, getter genericclioptions.RESTClientGetter, address string) (cas.Dialer, func(), error) {
	if _, _, inCluster := cluster.ServiceAddress(address); !inCluster {
		dial, err := cluster.Direct(address, cas.ClientPort)
		return dial, func() {}, err
	}
	c, err := cluster.New(getter)
	if err != nil {
		return nil, nil, err
	}
	return dialService(ctx, c, address)
}

func dialService(ctx context.Context, c *cluster.Cluster, address string) (cas.Dialer, func(), error) {
	dial, close, err := c.DialService(ctx, address, cas.ClientPort)
	if err != nil {
		return nil, nil, fmt.Errorf("reaching the CAS: %w", err)
	}
	return dial, close, nil
}
