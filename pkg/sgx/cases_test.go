package sgx_test

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/sgx"
)

// casesDir holds real quotes with the results that Intel's library gives. They are
// third-party data and not part of this repository.
const casesDir = "../../../shared/testdata/sgx-quotes"

type realCase struct {
	ID       string `json:"id"`
	Dir      string `json:"dir"`
	Time     int64  `json:"verification_time"`
	Expected struct {
		RejectReasons      []string `json:"strict_reject_reasons"`
		Status             string   `json:"tcb_status"`
		PlatformStatus     string   `json:"platform_status"`
		QEStatus           string   `json:"qe_status"`
		Advisories         []string `json:"advisories"`
		TCBInfoVersion     int      `json:"tcb_info_version"`
		EvaluationNumber   int      `json:"tcb_evaluation_data_number"`
		Debug              bool     `json:"debug"`
		MRENCLAVE          string   `json:"mrenclave"`
		MRSIGNER           string   `json:"mrsigner"`
		ISVProdID          uint16   `json:"isvprodid"`
		ISVSVN             uint16   `json:"isvsvn"`
		ReportData         string   `json:"report_data"`
		FMSPC              string   `json:"fmspc"`
		PPID               string   `json:"ppid"`
		PCEID              string   `json:"pceid"`
		PlatformInstanceID string   `json:"platform_instance_id"`
		SGXType            int      `json:"sgx_type"`
		QEID               string   `json:"qe_id"`
	} `json:"expected"`
}

func realCases(t testing.TB) []realCase {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(casesDir, "cases.json"))
	if err != nil {
		t.Fatalf("the real quotes are needed for this test: %v", err)
	}
	var cases []realCase
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) < 10 {
		t.Fatalf("got %d cases", len(cases))
	}
	return cases
}

func (c realCase) files(t testing.TB) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(casesDir, c.Dir))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, e := range entries {
		if files[e.Name()], err = os.ReadFile(filepath.Join(casesDir, c.Dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func (c realCase) verify(t testing.TB) (*sgx.Result, error) {
	t.Helper()
	files := c.files(t)
	collateral, err := sgx.CollateralFromFiles(files)
	if err != nil {
		t.Fatal(err)
	}
	roots := sgx.IntelRoot()
	if c.ID == "intel-sample-ownroot" {
		if roots, err = sgx.RootFromPEM(files["trustedRootCaCert.pem"]); err != nil {
			t.Fatal(err)
		}
	}
	return sgx.Verify(files["quote.bin"], collateral[0], sgx.Options{Time: time.Unix(c.Time, 0), Roots: roots})
}

func TestRealQuotes(t *testing.T) {
	for _, c := range realCases(t) {
		t.Run(c.ID, func(t *testing.T) {
			r, err := c.verify(t)
			if err != nil {
				t.Fatal(err)
			}
			got := c.Expected
			got.Status, got.PlatformStatus, got.QEStatus = string(r.Status), string(r.PlatformStatus), string(r.QEStatus)
			got.Advisories = append([]string{}, r.Advisories...)
			got.EvaluationNumber, got.Debug = r.EvaluationDataNumber, r.Quote.Report.Debug()
			got.MRENCLAVE, got.MRSIGNER = r.Quote.Report.MRENCLAVE.String(), r.Quote.Report.MRSIGNER.String()
			got.ISVProdID, got.ISVSVN = r.Quote.Report.ISVProdID, r.Quote.Report.ISVSVN
			got.ReportData = hex.EncodeToString(r.Quote.Report.ReportData[:])
			got.FMSPC, got.PPID = hex.EncodeToString(r.Platform.FMSPC[:]), hex.EncodeToString(r.Platform.PPID[:])
			got.PCEID, got.PlatformInstanceID = hex.EncodeToString(r.Platform.PCEID[:]), hex.EncodeToString(r.Platform.PlatformInstanceID)
			got.SGXType, got.QEID = r.Platform.SGXType, hex.EncodeToString(r.Quote.QEID[:])
			got.RejectReasons = rejectReasons(r.Findings)
			if diff := cmp.Diff(c.Expected, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if r.Simulated != (c.ID == "intel-sample-ownroot") {
				t.Errorf("Simulated = %v", r.Simulated)
			}
		})
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
	c := realCases(t)[1]
	files := c.files(t)
	collateral, err := sgx.CollateralFromFiles(files)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := sgx.RootFromPEM(realCases(t)[9].files(t)["trustedRootCaCert.pem"])
	if err != nil {
		t.Fatal(err)
	}
	for name, roots := range map[string]sgx.Roots{"none": {}, "another": foreign} {
		if _, err := sgx.Verify(files["quote.bin"], collateral[0], sgx.Options{Time: time.Unix(c.Time, 0), Roots: roots}); err == nil {
			t.Errorf("roots %s: the quote was verified", name)
		}
	}
}

// Every byte of the quote proper counts: a changed one must not verify.
func TestChangedQuote(t *testing.T) {
	c := realCases(t)[1]
	files := c.files(t)
	collateral, err := sgx.CollateralFromFiles(files)
	if err != nil {
		t.Fatal(err)
	}
	quote := files["quote.bin"]
	parsed, err := sgx.ParseQuote(quote)
	if err != nil {
		t.Fatal(err)
	}
	end := len(quote) - parsed.TrailingBytes - len(parsed.CertificationData) - 8
	for i := range end {
		changed := append([]byte{}, quote...)
		changed[i] ^= 1
		if _, err := sgx.Verify(changed, collateral[0], sgx.Options{Time: time.Unix(c.Time, 0), Roots: sgx.IntelRoot()}); err == nil {
			t.Fatalf("byte %d changed and the quote was verified", i)
		}
	}
}
