package attest

import (
	"crypto/subtle"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/sgx"
)

// Backend is a way in which a CAS is attested.
type Backend string

// The back-ends. The empty one is BackendReport.
const (
	// BackendReport asks the CAS itself for a report with a fresh nonce.
	BackendReport Backend = "report"
	// BackendFile is a report that was saved, and the nonce that was sent for it.
	BackendFile Backend = "file"
	// BackendResource has SCONE's operator ask the CAS, through its custom resource.
	BackendResource Backend = "custom-resource"
	// BackendRATLS takes the evidence out of the CAS's own TLS certificate.
	BackendRATLS Backend = "ra-tls"
	// BackendCLI lets SCONE's command line program attest the CAS.
	BackendCLI Backend = "scone-cli"
	// BackendPinned takes a certificate chain from the user, and attests nothing.
	BackendPinned Backend = "pinned-ca"
)

// Backends lists the back-ends.
func Backends() []Backend {
	return []Backend{BackendReport, BackendFile, BackendResource, BackendRATLS, BackendCLI, BackendPinned}
}

// CASInputs are everything that an appraisal of a CAS depends on.
type CASInputs struct {
	Backend Backend
	// Report is the evidence exactly as received: an attestation report, for
	// BackendRATLS the DER of a certificate, else PEM certificates.
	Report []byte
	// Nonce is the one that was sent with the request; of back-ends without one it
	// does not count.
	Nonce [16]byte
	// CollateralFiles are what sgx.CollateralFromFiles takes.
	CollateralFiles map[string][]byte
	// RootCA is a PEM certificate instead of Intel's root; empty means Intel's.
	RootCA []byte
	// Time is when everything must be valid.
	Time      time.Time
	Policy    Policy
	Freshness Freshness
	// Deviations are those that the user accepts.
	Deviations []Deviation
}

// CASAppraisal is what came of appraising a CAS.
type CASAppraisal struct {
	Findings check.Report
	// Chain is what the evidence vouches for, and Key the DER SubjectPublicKeyInfo
	// where it vouches for a key instead. Both are nil when it is no good.
	Chain []*x509.Certificate
	Key   []byte
	// Result is nil when there is no quote, or none that is genuine.
	Result *sgx.Result
	// Simulated is true unless the quote rests on Intel's root.
	Simulated bool
}

// AppraiseCAS judges the evidence of a CAS. An error means that an input other
// than the evidence cannot be used; evidence that is no good is a finding.
func AppraiseCAS(in CASInputs) (*CASAppraisal, error) {
	roots, err := rootsOf(in.RootCA)
	if err != nil {
		return nil, err
	}
	a := &CASAppraisal{Simulated: !roots.Intel()}
	switch in.Backend {
	case BackendCLI:
		return a, a.delegated(in)
	case BackendPinned:
		return a, a.pinned(in)
	case "", BackendReport, BackendFile, BackendResource:
		return a, a.report(in, roots)
	case BackendRATLS:
		return a, a.certificate(in, roots)
	}
	return nil, fmt.Errorf("evidence: got %.40q, want one of %q", in.Backend, Backends())
}

func rootsOf(text []byte) (sgx.Roots, error) {
	if len(text) == 0 {
		return sgx.IntelRoot(), nil
	}
	return sgx.RootFromPEM(text)
}

func (a *CASAppraisal) report(in CASInputs, roots sgx.Roots) error {
	evidence, refused := ParseCASEvidence(in.Report)
	if refused != nil {
		evidence = &CASEvidence{}
	}
	genuine, err := a.quote(in, roots, evidence.Quote, refused)
	if err != nil || !genuine {
		return err
	}
	binding := casBinding("the enclave vouches for the nonce and the certificate chain", evidence.checkBinding(a.Result.Quote.Report.ReportData))
	a.conclude(in, append(casMembers(evidence.Unknown, in.Deviations), casNonce(evidence.Nonce, in.Nonce), binding)...)
	if a.Findings.Verdict() != check.Contraindicated {
		a.Chain = evidence.Chain
	}
	return nil
}

func (a *CASAppraisal) certificate(in CASInputs, roots sgx.Roots) error {
	evidence := &RATLSEvidence{}
	certificate, refused := x509.ParseCertificate(in.Report)
	if refused == nil {
		if evidence, refused = ParseRATLS(certificate); refused != nil {
			evidence = &RATLSEvidence{}
		}
	}
	genuine, err := a.quote(in, roots, evidence.Quote, refused)
	if err != nil || !genuine {
		return err
	}
	spki := certificate.RawSubjectPublicKeyInfo
	binding := casBinding("the enclave vouches for the key of its TLS certificate", evidence.CheckBinding(a.Result.Quote.Report.ReportData, spki))
	a.conclude(in, noNonce(), binding)
	if a.Findings.Verdict() != check.Contraindicated {
		a.Key = spki
	}
	return nil
}

// quote verifies the quote of evidence, unless that was refused already.
func (a *CASAppraisal) quote(in CASInputs, roots sgx.Roots, quote []byte, refused error) (genuine bool, err error) {
	collateral, err := sgx.CollateralFromFiles(in.CollateralFiles)
	if err != nil {
		return false, err
	}
	f := check.Finding{ID: "cas-quote", Title: "the CAS's quote is genuine: an SGX platform under the trusted root made it", Outcome: check.Pass}
	if refused == nil {
		a.Result, refused = sgx.Verify(quote, collateral.For(quote), in.Freshness.Options(in.Time, roots))
	}
	if refused != nil {
		f.Outcome, f.Reason = check.Fail, refused.Error()
		f.Hint = "Check the address of the CAS and the collateral; do not go on with this CAS."
	}
	a.Findings = check.Report{f}
	return refused == nil, nil
}

// conclude adds what is asked of every quote of a CAS.
func (a *CASAppraisal) conclude(in CASInputs, bindings ...check.Finding) {
	a.Findings = append(a.Findings, bindings...)
	for _, f := range Appraise(a.Result, in.Policy) {
		f.ID = "cas-" + f.ID
		a.Findings = append(a.Findings, f)
	}
}

// delegated says what SCONE's program was asked instead of us. It has ended with
// success, or there would be no chain to appraise.
func (a *CASAppraisal) delegated(in CASInputs) error {
	f := check.Finding{ID: "cas-delegated", Title: "confidb itself verified the quote of the CAS", Outcome: check.Warn,
		Got: "scone cas attest, with the reference values of the policy", Reason: "scone-cli leaves quote, TCB, advisories and nonce to SCONE's program: none of them was seen here"}
	a.Findings = check.Report{f}
	return a.chain(in)
}

func (a *CASAppraisal) pinned(in CASInputs) error {
	f := check.Finding{ID: "cas-pinned", Title: "the CAS is an enclave, and the expected one", Outcome: check.Skip,
		Reason: "pinned-ca attests nothing: whoever has a key that this chain certified is believed", Hint: "Attest the CAS itself with {attest cas --evidence report}."}
	a.Findings = check.Report{f}
	return a.chain(in)
}

func (a *CASAppraisal) chain(in CASInputs) (err error) {
	if a.Chain, err = ParseCertificates(in.Report); err != nil {
		return fmt.Errorf("reading the certificates of the CAS: %w", err)
	}
	return nil
}

const nonceTitle = "the evidence answers the nonce of this request"

func casNonce(got, want [16]byte) check.Finding {
	f := check.Finding{ID: "cas-nonce", Title: nonceTitle, Got: hex.EncodeToString(got[:]), Want: hex.EncodeToString(want[:]), Outcome: check.Pass}
	if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
		f.Outcome, f.Reason, f.Hint = check.Fail, "old evidence, or evidence for somebody else", "Attest again; if it repeats, somebody replays old evidence."
	}
	return f
}

// noNonce is a warning: whoever chose the back-end chose it.
func noNonce() check.Finding {
	return check.Finding{ID: "cas-nonce", Title: nonceTitle, Outcome: check.Warn,
		Reason: "ra-tls has no nonce: the handshake proves who holds the key now, and not how old the quote is"}
}

// casMembers says that a report holds what is not understood: the enclave vouches for it,
// and it may be that somebody else owns, reads or changes this CAS.
func casMembers(unknown []string, accepted []Deviation) check.Report {
	if len(unknown) == 0 {
		return nil
	}
	f := check.Finding{ID: "cas-members", Title: "everything that the report of the CAS says is understood", Outcome: check.Skip, Got: fmt.Sprintf("%.200q", unknown),
		Reason: "a member of additional_data that is not known could give somebody rights in this CAS",
		Hint:   "Use a confidb that knows this version of CAS; or name " + string(UnknownCASData) + " under accept-deviations of the policy if you know what these members mean."}
	if slices.Contains(accepted, UnknownCASData) {
		f.Outcome, f.Hint = check.Warn, ""
	}
	return check.Report{f}
}

func casBinding(title string, err error) check.Finding {
	f := check.Finding{ID: "cas-binding", Title: title, Outcome: check.Pass}
	if err != nil {
		f.Outcome, f.Reason = check.Fail, err.Error()
		f.Hint = "Do not trust this CAS: quote and certificates do not belong together."
	}
	return f
}

// EvidenceLabel says what the evidence of a CAS binds, as far as that was seen, and
// how fresh it is.
type EvidenceLabel struct {
	Backend Backend `json:"backend"`
	// KeyBound means that the enclave vouches for the key, or for the certificate chain.
	KeyBound bool `json:"keyBound"`
	// NonceBound means that the enclave answered the nonce that was expected.
	NonceBound bool `json:"nonceBound"`
	// SessionBound means that the peer of a TLS connection holds that key, or one
	// that the chain certified.
	SessionBound bool `json:"sessionBound"`
	// Freshness says in words how old the evidence can be.
	Freshness string `json:"freshness"`
}

// LabelOf derives the label of evidence from what was found.
func LabelOf(backend Backend, findings check.Report) EvidenceLabel {
	passed := func(id string) bool {
		f, asked := findings.Find(id)
		return asked && f.Outcome == check.Pass
	}
	l := EvidenceLabel{Backend: backend, KeyBound: passed("cas-binding"), NonceBound: passed("cas-nonce"), SessionBound: passed("cas-tls-peer")}
	switch {
	case l.NonceBound && backend == BackendFile:
		l.Freshness = "unknown: made after the nonce that you gave was chosen"
	case l.NonceBound:
		l.Freshness = "fresh: made during this run"
	case backend == BackendRATLS && l.SessionBound:
		l.Freshness = "unknown: the key was used now, the quote may be old"
	default:
		l.Freshness = "unknown"
	}
	return l
}
