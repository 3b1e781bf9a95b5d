package attest

import (
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/sgx"
)

// Claims are what a genuine quote and its collateral say, as the members of a
// document of kind confidb.appraisal/v1. What is not known is nil or empty.
type Claims struct {
	TCB      *TCBClaims      `json:"tcb"`
	Enclave  *EnclaveClaims  `json:"enclave"`
	Platform *PlatformClaims `json:"platform"`
}

// TCBClaims are Intel's judgement of a platform. A status is empty when the
// document that would say it is missing or for another platform.
type TCBClaims struct {
	Status         sgx.TCBStatus `json:"status"`
	PlatformStatus sgx.TCBStatus `json:"platformStatus"`
	QEStatus       sgx.TCBStatus `json:"qeStatus"`
	// Date is that of the platform's level, RFC 3339.
	Date                   string   `json:"date"`
	EvaluationDataNumber   int      `json:"evaluationDataNumber"`
	QEEvaluationDataNumber int      `json:"qeEvaluationDataNumber"`
	Advisories             []string `json:"advisories"`
	// Collateral says when each part of it is current.
	Collateral []sgx.Validity `json:"collateral"`
}

// EnclaveClaims identify an enclave. Byte strings are lower-case hexadecimal.
type EnclaveClaims struct {
	MRENCLAVE  sgx.Measurement `json:"mrenclave"`
	MRSIGNER   sgx.Measurement `json:"mrsigner"`
	ISVProdID  uint16          `json:"isvprodid"`
	ISVSVN     uint16          `json:"isvsvn"`
	Debug      bool            `json:"debug"`
	Attributes string          `json:"attributes"`
	ReportData string          `json:"reportData"`
}

// PlatformClaims identify a machine. Byte strings are lower-case hexadecimal.
type PlatformClaims struct {
	QEID string `json:"qeID"`
	// PPID and PlatformInstanceID are personal data of the machine's owner.
	PPID               string `json:"ppid"`
	PlatformInstanceID string `json:"platformInstanceID"`
	FMSPC              string `json:"fmspc"`
	PCEID              string `json:"pceID"`
	// SGXType is 0 standard, 1 scalable, 2 scalable with integrity.
	SGXType int `json:"sgxType"`
	// TCBSVNs, PCESVN and CPUSVN are the security versions that Intel certified.
	TCBSVNs string `json:"tcbSVNs"`
	PCESVN  uint16 `json:"pceSVN"`
	CPUSVN  string `json:"cpuSVN"`
	PCKCA   string `json:"pckCA"`
}

// ClaimsOf writes down what a verified quote says.
func ClaimsOf(r *sgx.Result) *Claims {
	report, p := &r.Quote.Report, r.Platform
	date := ""
	if !r.TCBDate.IsZero() {
		date = r.TCBDate.UTC().Format(time.RFC3339)
	}
	return &Claims{
		TCB: &TCBClaims{
			Status: r.Status, PlatformStatus: r.PlatformStatus, QEStatus: r.QEStatus, Date: date,
			EvaluationDataNumber: r.EvaluationDataNumber, QEEvaluationDataNumber: r.QEEvaluationDataNumber,
			Advisories: append([]string{}, r.Advisories...), Collateral: append([]sgx.Validity{}, r.Validities...),
		},
		Enclave: &EnclaveClaims{
			MRENCLAVE: report.MRENCLAVE, MRSIGNER: report.MRSIGNER, ISVProdID: report.ISVProdID, ISVSVN: report.ISVSVN, Debug: report.Debug(),
			Attributes: hex.EncodeToString(report.Attributes[:]), ReportData: hex.EncodeToString(report.ReportData[:]),
		},
		Platform: &PlatformClaims{
			QEID: hex.EncodeToString(r.Quote.QEID[:]), PPID: hex.EncodeToString(p.PPID[:]), PlatformInstanceID: hex.EncodeToString(p.PlatformInstanceID),
			FMSPC: hex.EncodeToString(p.FMSPC[:]), PCEID: hex.EncodeToString(p.PCEID[:]), SGXType: p.SGXType,
			TCBSVNs: hex.EncodeToString(p.TCBSVNs[:]), PCESVN: p.PCESVN, CPUSVN: hex.EncodeToString(p.CPUSVN[:]), PCKCA: p.CA,
		},
	}
}

// QuoteAppraisal is what came of appraising one quote.
type QuoteAppraisal struct {
	Findings check.Report
	// Claims has no members when the quote is not genuine.
	Claims *Claims
	// Simulated is true unless the verification rests on Intel's root.
	Simulated bool
}

// QuoteInputs are what an appraisal of a quote depends on.
type QuoteInputs struct {
	// Text is the file with the quote, in a form that sgx.ReadQuote takes.
	Text []byte
	// Collateral is what sgx.CollateralFromFiles takes; without any, nothing is known of
	// the TCB.
	Collateral map[string][]byte
	Options    sgx.Options
	Policy     Policy
}

// AppraiseQuote judges one quote. A quote or collateral that is forged is a finding, and
// then nothing is claimed. What is in no form that is read, or no SGX quote, is a
// *sgx.FormError.
func AppraiseQuote(in QuoteInputs) (*QuoteAppraisal, error) {
	raw, as, err := sgx.ReadQuote(in.Text)
	if err != nil {
		return nil, err
	}
	a := &QuoteAppraisal{Claims: &Claims{}, Simulated: !in.Options.Roots.Intel()}
	genuine := check.Finding{ID: "quote", Title: "the quote is genuine: an SGX platform under the trusted root made it", Outcome: check.Pass}
	if as != "" {
		genuine.Title += "; it was read as " + as
	}
	result, err := verify(raw, in.Collateral, in.Options)
	if _, unread := errors.AsType[*sgx.FormError](err); unread {
		return nil, fmt.Errorf("the collateral: %w", err)
	}
	if err != nil {
		genuine.Outcome, genuine.Reason = check.Fail, err.Error()
		genuine.Hint = "Do not believe this quote; {explain} says what the code means."
		a.Findings = check.Report{genuine}
		return a, nil
	}
	a.Claims = ClaimsOf(result)
	a.Findings = append(check.Report{genuine}, Appraise(result, in.Policy)...)
	return a, nil
}

func verify(raw []byte, files map[string][]byte, o sgx.Options) (*sgx.Result, error) {
	var set sgx.CollateralSet
	if len(files) > 0 {
		var err error
		if set, err = sgx.CollateralFromFiles(files); err != nil {
			return nil, err
		}
	}
	return sgx.Verify(raw, set.For(raw), o)
}
