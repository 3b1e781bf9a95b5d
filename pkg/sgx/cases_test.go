package sgx_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/internal/realquotes"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/sgx"
)

func verifyReal(t testing.TB, c realquotes.Case) (*sgx.Result, error) {
	t.Helper()
	v := verifiable{c.Files(t), sgx.Options{Time: c.Time, Roots: sgx.IntelRoot()}}
	if c.ID == realquotes.OwnRoot {
		roots, err := sgx.RootFromPEM(v.files["trustedRootCaCert.pem"])
		must(t, err)
		v.Roots = roots
	}
	return v.with(quoteFile, v.files[quoteFile])
}

func TestRealQuotes(t *testing.T) {
	for id, c := range realquotes.All(t) {
		t.Run(id, func(t *testing.T) {
			r, err := verifyReal(t, c)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.Expected, said(r, c.Expected)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if r.Simulated != (id == realquotes.OwnRoot) {
				t.Errorf("Simulated = %v", r.Simulated)
			}
		})
	}
}

// said is what a result says, in the form that the real cases have. What a result
// does not hold is taken from want.
func said(r *sgx.Result, want realquotes.Expected) realquotes.Expected {
	report, platform := r.Quote.Report, r.Platform
	return realquotes.Expected{
		RejectReasons: rejectReasons(r.Findings),
		Status:        string(r.Status), PlatformStatus: string(r.PlatformStatus), QEStatus: string(r.QEStatus),
		Advisories: append([]string{}, r.Advisories...), TCBDate: want.TCBDate, TCBInfoVersion: want.TCBInfoVersion, EvaluationNumber: r.EvaluationDataNumber,
		Debug: report.Debug(), MRENCLAVE: report.MRENCLAVE.String(), MRSIGNER: report.MRSIGNER.String(),
		ISVProdID: int(report.ISVProdID), ISVSVN: int(report.ISVSVN),
		Attributes: hex.EncodeToString(report.Attributes[:]), ReportData: hex.EncodeToString(report.ReportData[:]),
		FMSPC: hex.EncodeToString(platform.FMSPC[:]), PPID: hex.EncodeToString(platform.PPID[:]), PCEID: hex.EncodeToString(platform.PCEID[:]),
		PlatformInstanceID: hex.EncodeToString(platform.PlatformInstanceID), SGXType: platform.SGXType, QEID: hex.EncodeToString(r.Quote.QEID[:]),
	}
}

// rejectReasons are the codes of what is not proven, which are the words of cases.json.
func rejectReasons(findings check.Report) []string {
	reasons := []string{}
	for _, f := range findings {
		if f.Outcome == check.Pass || f.ID == "tcb-info-version" { // our own: version 2 is of an API that has ended
			continue
		}
		code, _, _ := strings.Cut(f.Reason, ":")
		reasons = append(reasons, code)
	}
	return reasons
}

// A quote under any root but the pinned one is not verified at all.
func TestRootsAreExplicit(t *testing.T) {
	foreign, err := sgx.RootFromPEM(mint(t, nil).root)
	must(t, err)
	for kind, v := range verifiables(t, "oasis-00606A-2025") {
		others := map[string]sgx.Roots{"none": {}, "another": foreign}
		if kind == "minted" {
			others["Intel's"] = sgx.IntelRoot()
		}
		for name, roots := range others {
			v.Roots = roots
			if _, err := v.with(quoteFile, v.files[quoteFile]); err == nil {
				t.Errorf("%s, roots %s: the quote was verified", kind, name)
			}
		}
	}
}

// Every byte of the quote proper counts: a changed one must not verify.
func TestChangedQuote(t *testing.T) {
	for kind, v := range verifiables(t, "oasis-00606A-2025") {
		quote := v.files[quoteFile]
		parsed, err := sgx.ParseQuote(quote)
		must(t, err)
		end := len(quote) - parsed.TrailingBytes - len(parsed.CertificationData) - 8
		for i := range end {
			changed := append([]byte{}, quote...)
			changed[i] ^= 1
			if _, err := v.with(quoteFile, changed); err == nil {
				t.Fatalf("%s: byte %d changed and the quote was verified", kind, i)
			}
		}
	}
}
