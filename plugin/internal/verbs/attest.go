package verbs

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/cas"
	"github.com/confidb/confidb/pkg/kube"
	"github.com/confidb/confidb/pkg/record"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/printers"
)

// AttestCAS are the options of attesting a CAS.
type AttestCAS struct {
	// Trust says whom to believe and where the CAS is.
	Trust *Trust
	// Evidence says how it is attested.
	Evidence Evidence
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
	if err := o.Evidence.check(); err != nil {
		return err
	}
	o.Trust.noQuote = o.Evidence.noQuote()
	resolved, err := o.Trust.resolve(nil)
	if err != nil {
		return err
	}
	if o.Address != "" {
		resolved.cas, resolved.origins["cas"] = o.Address, "argument"
	}
	store := record.Store{Dir: o.Home}
	attested, err := source{&o.Evidence, getter, store, resolved.cas, resolved.origins["cas"] != byDefault, resolved.trust, o.Now}.attest(ctx)
	if err != nil {
		return err
	}
	verdict := attested.Findings.Verdict()
	if err := printers.Print(streams.Out, o.Output, printers.Result{
		Head: printers.Head{Kind: "confidb.attestation/v1", Simulated: attested.Simulated}, Subject: "CAS " + resolved.cas, Verdict: verdict,
		Findings: attested.Findings, Origins: resolved.origins, Evidence: attested.Label(), Claims: claims(attested),
	}); err != nil {
		return err
	}
	if verdict.Accepted() {
		if err := store.SavePin(&attested.Pin); err != nil {
			return fmt.Errorf("keeping the evidence: %w", err)
		}
	}
	return cli.Conclude(verdict, attested.Simulated, o.AcceptSimulated)
}

// claims are what the quote says of a CAS, if there is one.
func claims(a *attest.Appraisal) *attest.Claims {
	if a.Result == nil {
		return nil
	}
	return attest.ClaimsOf(a.Result)
}

// attestNow fetches and appraises fresh evidence of the CAS at address.
func attestNow(ctx context.Context, dial cas.Dialer, store record.Store, address string, trust attest.Trust, now func() time.Time) (*attest.Appraisal, [][]byte, error) {
	var nonce [16]byte
	rand.Read(nonce[:]) // never fails
	contact, err := cas.FetchEvidence(ctx, dial, nonce)
	if err != nil {
		return nil, nil, err
	}
	at := now()
	pin := attest.Pin{Address: address, Backend: attest.BackendReport, Nonce: nonce, Report: contact.Report, FetchedAt: at, Trust: trust}
	attested, err := pin.AppraiseWithPeer(contact.PeerChain, at)
	if err != nil {
		return nil, nil, err
	}
	var peer [][]byte
	for _, c := range contact.PeerChain {
		peer = append(peer, c.Raw)
	}
	return attested, peer, remember(store, attested, at)
}

// remember adds what earlier runs have seen to the findings, and keeps what an
// accepted CAS adds to that.
func remember(store record.Store, a *attest.Appraisal, now time.Time) error {
	memory, err := store.Memory()
	if err != nil {
		return err
	}
	a.Findings = append(a.Findings, memory.Judge(a.Result, a.Pin.Trust.RootCA, now)...)
	if !a.Findings.Verdict().Accepted() {
		return nil
	}
	return store.Learn(func(m attest.Memory) attest.Memory { return m.Learn(a.Result, a.Pin.Trust.RootCA, now) })
}

// dialCAS returns a dialer for a CAS. The cluster is only asked when the address is
// that of a Service.
func dialCAS(ctx context.Context, getter genericclioptions.RESTClientGetter, address string) (cas.Dialer, func(), error) {
	if _, _, inCluster := kube.ServiceAddress(address); !inCluster {
		dial, err := kube.Direct(address, cas.ClientPort)
		return dial, func() {}, err
	}
	c, err := kube.New(getter)
	if err != nil {
		return nil, nil, err
	}
	return dialService(ctx, c, address)
}

func dialService(ctx context.Context, c *kube.Cluster, address string) (cas.Dialer, func(), error) {
	dial, close, err := c.DialService(ctx, address, cas.ClientPort)
	if err != nil {
		return nil, nil, fmt.Errorf("reaching the CAS: %w", err)
	}
	return dial, close, nil
}
