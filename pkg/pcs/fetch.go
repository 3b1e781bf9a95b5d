// Package pcs fetches what Intel signs about platforms, from Intel's Provisioning
// Certification Service (PCS, API v4) or from a cache of it (PCCS). It trusts neither
// and decides nothing: pkg/collateral judges what it returns, and pkg/sgx refuses
// whatever Intel did not sign.
package pcs

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/confidb/confidb/pkg/collateral"
	"github.com/confidb/confidb/pkg/sgx"
)

// Intel is the base of Intel's own service.
const Intel = "https://api.trustedservices.intel.com"

// intelRootCRL is where Intel's root puts its revocation list, despite the name.
const intelRootCRL = "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der"

// certification is the path below which both services answer.
const certification = "/sgx/certification/v4/"

// Source is a service that serves collateral.
type Source struct {
	// BaseURL is the service without the path /sgx/certification/v4; Intel when
	// empty.
	BaseURL string
	// RootCRLURL is where the root's revocation list is. When empty it is Intel's own
	// for Intel, and below BaseURL as a PCCS serves it for everything else.
	RootCRLURL string
	// Client makes the requests, such as one of NewClient; http.DefaultClient when nil. Redirects to another
	// host are not followed, whatever it says.
	Client *http.Client
	// Wait waits between tries, until the context is done; Sleep when nil.
	Wait func(context.Context, time.Duration) error
}

// query writes the parameters of a request, with the choice of the evaluation.
func query(r collateral.Request, q url.Values) string {
	if r.Update != "" {
		q.Set("update", r.Update)
	}
	if r.EvaluationDataNumber != 0 {
		q.Set("tcbEvaluationDataNumber", strconv.Itoa(r.EvaluationDataNumber))
	}
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}

// Fetch gets the TCB info, the QE identity, both revocation lists and the chains
// of their issuers. Nothing of it is verified yet.
func (s Source) Fetch(ctx context.Context, r collateral.Request) (*sgx.Collateral, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	if err := s.Check(); err != nil {
		return nil, err
	}
	base, err := s.base()
	if err != nil {
		return nil, err
	}
	c := &sgx.Collateral{}
	if err := s.fetchDocuments(ctx, base, r, c); err != nil {
		return nil, err
	}
	if err := s.fetchLists(ctx, base, r.CA, c); err != nil {
		return nil, err
	}
	return c, nil
}

// Check refuses malformed addresses.
func (s Source) Check() error {
	if _, err := s.base(); err != nil {
		return err
	}
	if s.RootCRLURL == "" {
		return nil
	}
	_, err := parseAddress("the root's revocation list", s.RootCRLURL)
	return err
}

// base is BaseURL up to and with the common path. Users also copy the whole path
// out of a PCCS's configuration.
func (s Source) base() (string, error) {
	text := s.BaseURL
	if text == "" {
		text = Intel
	}
	u, err := parseAddress("the service", text)
	if err != nil {
		return "", err
	}
	if u.RawQuery != "" || u.ForceQuery {
		return "", fmt.Errorf("address of the service: got %.100q, want it without a question mark", text)
	}
	return strings.TrimSuffix(strings.TrimSuffix(text, "/"), strings.TrimSuffix(certification, "/")) + certification, nil
}

// parseAddress refuses malformed addresses. A name or password in one would end up in
// messages, and is never needed.
func parseAddress(of, text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("address of %s: it cannot be read, want https://HOST[:PORT]", of) // the error repeats all of it
	}
	if u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.Fragment != "" || u.User != nil {
		return nil, fmt.Errorf("address of %s: got %.100q, want https://HOST[:PORT] without a user", of, u.Redacted())
	}
	return u, nil
}

func (s Source) fetchDocuments(ctx context.Context, base string, r collateral.Request, c *sgx.Collateral) error {
	tcb, err := s.get(ctx, "the TCB info of "+hex.EncodeToString(r.FMSPC[:]), base+"tcb"+query(r, url.Values{"fmspc": {hex.EncodeToString(r.FMSPC[:])}}))
	if err != nil {
		return err
	}
	qe, err := s.get(ctx, "the QE identity", base+"qe/identity"+query(r, url.Values{}))
	if err != nil {
		return err
	}
	if c.TCBSigningChain, err = tcb.chain("TCB-Info-Issuer-Chain", "SGX-TCB-Info-Issuer-Chain"); err != nil {
		return err
	}
	other, err := qe.chain("SGX-Enclave-Identity-Issuer-Chain")
	if err != nil {
		return err
	}
	if string(other) != string(c.TCBSigningChain) {
		return &differentSignersError{}
	}
	c.TCBInfo, c.QEIdentity = tcb.body, qe.body
	return nil
}

func (s Source) fetchLists(ctx context.Context, base, ca string, c *sgx.Collateral) error {
	list, err := s.get(ctx, "the CRL of the "+ca+" CA", base+"pckcrl?ca="+ca+"&encoding=der")
	if err != nil {
		return err
	}
	if c.PCKIssuerChain, err = list.chain("SGX-PCK-CRL-Issuer-Chain"); err != nil {
		return err
	}
	if c.PCKCRL, err = parseCRL(list.body); err != nil {
		return fmt.Errorf("reading %s: %w", list.what, err)
	}
	root, err := s.get(ctx, "the CRL of the root", s.rootCRL(base))
	if err != nil {
		return err
	}
	if c.RootCRL, err = parseCRL(root.body); err != nil {
		return fmt.Errorf("reading %s: %w", root.what, err)
	}
	return nil
}

func (s Source) rootCRL(base string) string {
	switch {
	case s.RootCRLURL != "":
		return s.RootCRLURL
	case base == Intel+certification:
		return intelRootCRL
	}
	return base + "rootcacrl"
}

// differentSignersError means that the service served two documents from before
// and after a change of Intel's signing certificate.
type differentSignersError struct{}

func (*differentSignersError) Error() string {
	return "the TCB info and the QE identity come with different certificate chains, want the same signer for both"
}

// Hint says what to do.
func (*differentSignersError) Hint() string {
	return "Fetch again; when a PCCS serves them, refresh its cache, or fetch from Intel, " + Intel + "."
}
