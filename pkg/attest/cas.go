package attest

import (
	"bytes"
	"crypto/sha512"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/sgx"
)

// CASEvidence is an attestation report of a CAS, parsed and not appraised.
type CASEvidence struct {
	// Quote is the DCAP quote.
	Quote []byte
	// Nonce is the one that the report says it answers.
	Nonce [16]byte
	// Chain is the certificate chain that the report vouches for, in its order.
	Chain []*x509.Certificate

	bound []byte // the bytes whose SHA-512 the enclave put into REPORTDATA
}

// maxCASReport bounds a report, in bytes.
const maxCASReport = 1 << 20

// ParseCASEvidence reads a report in the V1 form: additional_data of type
// CasAttestationDataV1, bound by SHA-512 over its compact JSON as received. Any
// other type is an error, since what binds it is not known.
func ParseCASEvidence(raw []byte) (*CASEvidence, error) {
	if len(raw) > maxCASReport {
		return nil, fmt.Errorf("CAS report: got %d bytes, want at most %d", len(raw), maxCASReport)
	}
	var report struct {
		Proof struct {
			Type  string `json:"type"`
			Quote string `json:"quote"`
		} `json:"proof_data"`
		Additional json.RawMessage `json:"additional_data"`
	}
	if err := json.Unmarshal(raw, &report); err != nil {
		return nil, fmt.Errorf("CAS report: %w", err)
	}
	if report.Proof.Type != "DCAPQuote" {
		return nil, fmt.Errorf("CAS report: proof_data.type: got %.40q, want DCAPQuote", report.Proof.Type)
	}
	quote, err := base64.StdEncoding.DecodeString(report.Proof.Quote)
	if err != nil {
		return nil, fmt.Errorf("CAS report: proof_data.quote: %w", err)
	}
	e := &CASEvidence{Quote: quote}
	return e, e.parseAdditional(report.Additional)
}

func (e *CASEvidence) parseAdditional(raw json.RawMessage) error {
	var additional struct {
		Type  string `json:"type"`
		Nonce string `json:"nonce"`
		Chain string `json:"cert_chain"`
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&additional); err != nil {
		return fmt.Errorf("CAS report: additional_data: %w", err)
	}
	if additional.Type != "CasAttestationDataV1" {
		return fmt.Errorf("CAS report: additional_data.type: got %.40q, want CasAttestationDataV1: how other versions are bound to the quote is not public", additional.Type)
	}
	nonce, err := hex.DecodeString(additional.Nonce)
	if err != nil || len(nonce) != len(e.Nonce) {
		return fmt.Errorf("CAS report: additional_data.nonce: got %.80q, want 32 hexadecimal digits", additional.Nonce)
	}
	e.Nonce = [16]byte(nonce)
	var compact bytes.Buffer
	if err := json.Compact(&compact, raw); err != nil {
		return fmt.Errorf("CAS report: additional_data: %w", err)
	}
	e.bound = compact.Bytes()
	e.Chain, err = parseCertificates([]byte(additional.Chain))
	return err
}

// maxCASChain bounds the number of certificates in a report.
const maxCASChain = 8

func parseCertificates(text []byte) ([]*x509.Certificate, error) {
	var chain []*x509.Certificate
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" || len(chain) == maxCASChain {
			return nil, fmt.Errorf("CAS report: cert_chain: got a PEM block %.40q after %d certificates, want at most %d certificates", block.Type, len(chain), maxCASChain)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("CAS report: cert_chain: %w", err)
		}
		chain = append(chain, c)
	}
	if len(chain) == 0 {
		return nil, errors.New("CAS report: cert_chain: got no PEM certificate")
	}
	return chain, nil
}

// CASInputs are everything that an appraisal of a CAS depends on.
type CASInputs struct {
	// Report is the evidence exactly as received.
	Report []byte
	// Nonce is the one that was sent with the request.
	Nonce [16]byte
	// CollateralFiles are what sgx.CollateralFromFiles takes.
	CollateralFiles map[string][]byte
	// RootCA is a PEM certificate instead of Intel's root; empty means Intel's.
	RootCA []byte
	// Time is when everything must be valid.
	Time   time.Time
	Policy Policy
}

// CASAppraisal is what came of appraising a CAS.
type CASAppraisal struct {
	Findings check.Report
	// Chain is what the evidence vouches for; nil when it is not genuine.
	Chain []*x509.Certificate
	// Result is nil when the quote is not genuine.
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
	collateral, err := sgx.CollateralFromFiles(in.CollateralFiles)
	if err != nil {
		return nil, err
	}
	a := &CASAppraisal{Simulated: !roots.Intel()}
	genuine := check.Finding{ID: "cas-quote", Title: "the CAS's quote is genuine: an SGX platform under the trusted root made it", Outcome: check.Pass}
	evidence, err := ParseCASEvidence(in.Report)
	if err == nil {
		a.Result, err = sgx.Verify(evidence.Quote, collateral.For(evidence.Quote), sgx.Options{Time: in.Time, Roots: roots})
	}
	if err != nil {
		genuine.Outcome, genuine.Reason = check.Fail, err.Error()
		genuine.Hint = "check the address of the CAS and the collateral; do not go on with this CAS"
		a.Findings = check.Report{genuine}
		return a, nil
	}
	a.Findings = check.Report{genuine, casNonce(evidence, in.Nonce), casBinding(evidence, a.Result)}
	for _, f := range Appraise(a.Result, in.Policy) {
		f.ID = "cas-" + f.ID
		a.Findings = append(a.Findings, f)
	}
	if a.Findings.Verdict() != check.Contraindicated {
		a.Chain = evidence.Chain
	}
	return a, nil
}

func rootsOf(text []byte) (sgx.Roots, error) {
	if len(text) == 0 {
		return sgx.IntelRoot(), nil
	}
	return sgx.RootFromPEM(text)
}

func casNonce(e *CASEvidence, want [16]byte) check.Finding {
	f := check.Finding{ID: "cas-nonce", Title: "the evidence answers the nonce of this request", Got: hex.EncodeToString(e.Nonce[:]), Want: hex.EncodeToString(want[:]), Outcome: check.Pass}
	if subtle.ConstantTimeCompare(e.Nonce[:], want[:]) != 1 {
		f.Outcome, f.Reason, f.Hint = check.Fail, "old evidence, or evidence for somebody else", "attest again; if it repeats, somebody replays old evidence"
	}
	return f
}

func casBinding(e *CASEvidence, r *sgx.Result) check.Finding {
	f := check.Finding{ID: "cas-binding", Title: "the enclave vouches for the nonce and the certificate chain", Outcome: check.Pass}
	bound := sha512.Sum512(e.bound)
	if subtle.ConstantTimeCompare(bound[:], r.Quote.Report.ReportData[:]) != 1 {
		f.Outcome, f.Got, f.Want = check.Fail, hex.EncodeToString(r.Quote.Report.ReportData[:]), hex.EncodeToString(bound[:])
		f.Reason, f.Hint = "REPORTDATA is not the SHA-512 of additional_data", "do not trust this CAS: quote and certificates do not belong together"
	}
	return f
}
