package attest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/sgx"
)

// ReferenceValues say which enclave is expected. The zero value expects none, so
// nothing matches it. When both are given, both must match.
type ReferenceValues struct {
	// MRENCLAVEs are the accepted measurements.
	MRENCLAVEs []sgx.Measurement `json:"mrenclaves"`
	// Signer accepts enclaves by who signed them.
	Signer *SignerReference `json:"signer"`
}

// SignerReference accepts the enclaves of one product of one signer.
type SignerReference struct {
	MRSIGNER  sgx.Measurement `json:"mrsigner"`
	ISVProdID uint16          `json:"isvprodid"`
	// MinISVSVN is the least security version.
	MinISVSVN uint16 `json:"minISVSVN"`
}

// Policy is the user's appraisal policy for evidence. The zero value accepts nothing.
type Policy struct {
	ReferenceValues ReferenceValues `json:"referenceValues"`
	// AcceptTCB names the statuses that are tolerated beside UpToDate.
	AcceptTCB []sgx.TCBStatus `json:"acceptTCB"`
	// AcceptAdvisories names the advisories that are tolerated.
	AcceptAdvisories []string `json:"acceptAdvisories"`
	// AllowDebugEnclave tolerates an enclave whose memory the host can read.
	AllowDebugEnclave bool `json:"allowDebugEnclave"`
}

// Freshness bounds how old Intel's collateral may be. The zero value uses it until
// its next update is due.
type Freshness struct {
	// Grace is how long after its next update was due collateral is still used.
	Grace time.Duration `json:"grace,omitempty"`
	// MaxAge is how long ago collateral may have been issued; 0 sets no bound.
	MaxAge time.Duration `json:"maxAge,omitempty"`
	// MinEvaluationNumber is the least tcbEvaluationDataNumber of Intel that counts;
	// 0 asks for none.
	MinEvaluationNumber int `json:"minEvaluationNumber,omitempty"`
}

// Options are those of a verification at a time, under roots.
func (f Freshness) Options(at time.Time, roots sgx.Roots) sgx.Options {
	return sgx.Options{Time: at, Roots: roots, Grace: f.Grace, MaxAge: f.MaxAge, MinEvaluationDataNumber: f.MinEvaluationNumber}
}

// Appraise judges a verified quote against a policy. Its findings follow those of
// the verification.
func Appraise(r *sgx.Result, p Policy) check.Report {
	report := slices.Clone(r.Findings)
	return append(report, tcbStatus(r, p), tcbAdvisories(r, p), enclaveState(r, p), enclaveIdentity(r, p))
}

func tcbStatus(r *sgx.Result, p Policy) check.Finding {
	f := check.Finding{ID: "tcb-status", Title: "the platform's TCB is up to date", Got: string(r.Status), Want: string(sgx.UpToDate), Outcome: check.Pass}
	switch {
	case r.Status == "":
		f.Outcome, f.Reason, f.Hint = check.Skip, "the collateral does not say it", "Fetch current collateral with {collateral fetch}."
	case r.Status == sgx.UpToDate:
	case r.Status != sgx.Revoked && slices.Contains(p.AcceptTCB, r.Status):
		f.Outcome, f.Reason = check.Warn, "the policy accepts "+string(r.Status)
	default:
		f.Outcome, f.Reason = check.Fail, "the policy does not accept this status"
		f.Hint = "Update BIOS and microcode, or name the status under accept-tcb of the policy if you can live with it."
	}
	return f
}

func tcbAdvisories(r *sgx.Result, p Policy) check.Finding {
	f := check.Finding{ID: "tcb-advisories", Title: "no advisory of Intel concerns this platform", Got: strings.Join(r.Advisories, " "), Outcome: check.Pass}
	var open []string
	for _, a := range r.Advisories {
		if !slices.Contains(p.AcceptAdvisories, a) {
			open = append(open, a)
		}
	}
	switch {
	case len(open) > 0:
		f.Outcome, f.Reason = check.Fail, "the policy does not accept "+strings.Join(open, " ")
		f.Hint = "Read the advisories, and name each under accept-advisories of the policy if you can live with it."
	case len(r.Advisories) > 0:
		f.Outcome, f.Reason = check.Warn, "the policy accepts them by name"
	}
	return f
}

func enclaveState(r *sgx.Result, p Policy) check.Finding {
	f := check.Finding{ID: "enclave-state", Title: "the enclave is initialized and not a debug enclave", Outcome: check.Pass}
	switch report := r.Quote.Report; {
	case !report.Initialized():
		f.Outcome, f.Reason, f.Hint = check.Fail, "the INIT attribute is not set", "Do not trust this evidence."
	case report.Debug() && p.AllowDebugEnclave:
		f.Outcome, f.Reason = check.Warn, "it is a debug enclave, which the policy allows"
	case report.Debug():
		f.Outcome, f.Reason, f.Hint = check.Fail, "it is a debug enclave: the host can read its memory", "Use an enclave that is built for production."
	}
	return f
}

func enclaveIdentity(r *sgx.Result, p Policy) check.Finding {
	report, v := r.Quote.Report, p.ReferenceValues
	f := check.Finding{ID: "enclave-identity", Title: "the enclave is the one that the policy expects", Outcome: check.Pass}
	if len(v.MRENCLAVEs) == 0 && v.Signer == nil {
		f.Outcome, f.Got, f.Reason = check.Fail, report.MRENCLAVE.String(), "the policy names no MRENCLAVE and no signer"
		f.Hint = "Get the measurement from whoever builds the enclave, not from the cluster, and give it."
		return f
	}
	if len(v.MRENCLAVEs) > 0 {
		f.Got, f.Want = "MRENCLAVE "+report.MRENCLAVE.String(), "MRENCLAVE "+joinMeasurements(v.MRENCLAVEs)
		if !slices.Contains(v.MRENCLAVEs, report.MRENCLAVE) {
			return unexpected(f)
		}
	}
	if s := v.Signer; s != nil {
		f.Got = strings.TrimSpace(f.Got + fmt.Sprintf(" MRSIGNER %s ISVPRODID %d ISVSVN %d", report.MRSIGNER, report.ISVProdID, report.ISVSVN))
		f.Want = strings.TrimSpace(f.Want + fmt.Sprintf(" MRSIGNER %s ISVPRODID %d ISVSVN at least %d", s.MRSIGNER, s.ISVProdID, s.MinISVSVN))
		if report.MRSIGNER != s.MRSIGNER || report.ISVProdID != s.ISVProdID || report.ISVSVN < s.MinISVSVN {
			return unexpected(f)
		}
	}
	return f
}

func unexpected(f check.Finding) check.Finding {
	f.Outcome, f.Reason = check.Fail, "another enclave"
	f.Hint = "Compare with the reference value of whoever builds the enclave; do not take it from the cluster."
	return f
}

func joinMeasurements(all []sgx.Measurement) string {
	var texts []string
	for _, m := range all {
		texts = append(texts, m.String())
	}
	return strings.Join(texts, " or ")
}
