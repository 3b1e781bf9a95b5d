package cas

import (
	"crypto/subtle"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/lab/enclave"
	"github.com/confidb/confidb/pkg/lab/las"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/sgx"
)

// rejected makes the refusal of an enclave, worded as SCONE's.
func rejected(causes ...string) error {
	return refuse(http.StatusForbidden, append([]string{"DCAP quote verification failed", "Failed to verify DCAP report"}, causes...)...)
}

const (
	enclaveRejected  = "The program enclave is not trustworthy"
	platformRejected = "The platform is not trustworthy"
)

// genuine verifies the quote of a request: a platform under the trusted root made
// it, for this request and no other.
func (c *CAS) genuine(request *enclave.Request, challenge []byte) (*sgx.Result, error) {
	collateral, err := c.collateral()
	if err != nil {
		return nil, rejected("The collateral of this CAS cannot be used", err.Error())
	}
	result, err := sgx.Verify(request.Quote, collateral.For(request.Quote), sgx.Options{Time: c.Now(), Roots: c.roots})
	if err != nil {
		return nil, rejected(err.Error())
	}
	for _, f := range result.Findings {
		if f.Outcome != check.Pass {
			return nil, rejected(fmt.Sprintf("Not proven: %s (%s)", f.Title, f.Reason))
		}
	}
	want := enclave.ReportData(challenge, request.PublicKey, request.ConfigID, request.Uses...)
	if subtle.ConstantTimeCompare(want[:], result.Quote.Report.ReportData[:]) != 1 {
		return nil, rejected("The quote was not made for this request: its report data does not bind the challenge, the enclave's key and the service")
	}
	return result, nil
}

// collateral reads it again each time: it gets old, and somebody replaces it.
func (c *CAS) collateral() (sgx.CollateralSet, error) {
	files, err := c.Collateral()
	if err != nil {
		return nil, err
	}
	return sgx.CollateralFromFiles(files)
}

// appraise asks the session whether it accepts the state of the enclave and of
// its platform. Which service may run there is up to admitsService.
func appraise(s *session.Session, r *sgx.Result) error {
	report := &r.Quote.Report
	switch {
	case s.Security.MustBeSGXLocal:
		return rejected("The session demands local attestation (must_be_sgx_local), which this CAS cannot do")
	case report.Debug() && !slices.Contains(s.Security.Tolerate, "debug-mode"):
		return rejected(enclaveRejected, "The enclave is in debug mode, and the session does not tolerate debug-mode")
	case !report.Initialized():
		return rejected(enclaveRejected, "The enclave is not initialized")
	}
	if err := toleratesStatus(s.Security.Tolerate, r.Status); err != nil {
		return err
	}
	for _, advisory := range r.Advisories {
		if !slices.Contains(s.Security.IgnoreAdvisories, advisory) && !slices.Contains(s.Security.IgnoreAdvisories, "*") {
			return rejected(platformRejected, fmt.Sprintf("Advisory %s is not among the session's ignore_advisories", advisory))
		}
	}
	return nil
}

// tolerances are the words that a session needs for each status. What is not
// listed is never accepted.
func tolerances() map[sgx.TCBStatus][]string {
	const hardening, configuration, outdated = "software-hardening-needed", "insecure-configuration", "outdated-tcb"
	return map[sgx.TCBStatus][]string{
		sgx.UpToDate:                          {},
		sgx.SWHardeningNeeded:                 {hardening},
		sgx.ConfigurationNeeded:               {configuration},
		sgx.ConfigurationAndSWHardeningNeeded: {configuration, hardening},
		sgx.OutOfDate:                         {outdated},
		sgx.OutOfDateConfigurationNeeded:      {outdated, configuration},
	}
}

func toleratesStatus(tolerate []string, status sgx.TCBStatus) error {
	needed, possible := tolerances()[status]
	if !possible {
		return rejected(platformRejected, fmt.Sprintf("TCB status %s is never tolerated", status))
	}
	if !containsAll(tolerate, needed) {
		return rejected(platformRejected, fmt.Sprintf("TCB status %s is not tolerated by the session - Expected tolerate: %s", status, strings.Join(needed, ", ")))
	}
	return nil
}

// admitsService asks a service whether this program may be it, and here.
func admitsService(service session.Service, r *sgx.Result) error {
	if err := admitsEnclave(service.Attestation, &r.Quote.Report); err != nil {
		return err
	}
	return admitsPlatform(service.Platforms, r.Quote.QEID)
}

// admitsEnclave accepts an enclave that one of the variants describes.
func admitsEnclave(variants []session.Variant, report *sgx.ReportBody) error {
	var unmet []string
	for _, v := range variants {
		missing := unmetFactors(v, report)
		if len(missing) == 0 && (len(v.MRENCLAVEs) > 0 || v.Signer != nil) {
			return nil
		}
		unmet = append(unmet, missing...)
	}
	if len(unmet) > 1 {
		for i, text := range unmet {
			unmet[i] = fmt.Sprintf("Error %d of %d: %s", i+1, len(unmet), text)
		}
	}
	return rejected(append([]string{enclaveRejected, "None of the required enclave properties are met by the enclave"}, unmet...)...)
}

// unmetFactors are the factors of a variant that an enclave does not have.
func unmetFactors(v session.Variant, report *sgx.ReportBody) []string {
	var unmet []string
	if len(v.MRENCLAVEs) > 0 && !slices.Contains(v.MRENCLAVEs, report.MRENCLAVE) {
		for _, want := range v.MRENCLAVEs {
			unmet = append(unmet, fmt.Sprintf("Unexpected enclave measurement (MRENCLAVE, %s) - Expected %s", report.MRENCLAVE, want))
		}
	}
	if v.Signer == nil {
		return unmet
	}
	if v.Signer.MRSIGNER != report.MRSIGNER {
		unmet = append(unmet, fmt.Sprintf("Unexpected enclave signer (MRSIGNER, %s) - Expected %s", report.MRSIGNER, v.Signer.MRSIGNER))
	}
	if v.Signer.ISVProdID != report.ISVProdID {
		unmet = append(unmet, fmt.Sprintf("Unexpected product ID (ISVPRODID, %d) - Expected %d", report.ISVProdID, v.Signer.ISVProdID))
	}
	if report.ISVSVN < v.Signer.MinISVSVN || report.ISVSVN > v.Signer.MaxISVSVN {
		unmet = append(unmet, fmt.Sprintf("Unexpected security version (ISVSVN, %d) - Expected %d to %d", report.ISVSVN, v.Signer.MinISVSVN, v.Signer.MaxISVSVN))
	}
	return unmet
}

// admitsPlatform accepts a machine that is listed, or any when none is.
func admitsPlatform(permitted []attest.PlatformID, qeID [16]byte) error {
	if len(permitted) == 0 {
		return nil
	}
	intel := attest.PlatformIDFromQEID(qeID)
	for _, id := range permitted {
		if id == intel || id.Generation() == attest.SCONEQE && id.String() == las.SCONEKey(qeID) {
			return nil
		}
	}
	seen := intel.String()
	if permitted[0].Generation() == attest.SCONEQE {
		seen = las.SCONEKey(qeID)
	}
	return rejected(platformRejected, fmt.Sprintf("Platform %s is not permitted by the service's platforms", seen))
}
