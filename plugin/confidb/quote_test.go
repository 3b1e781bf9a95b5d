package confidb_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/plugin/confidb"
)

// quotesDir holds real quotes, third-party data that is not part of this repository.
const quotesDir = "../../../shared/testdata/sgx-quotes"

// appraisal is the document of attest quote.
type appraisal struct {
	Kind, Verdict string
	Simulated     bool
	TCB           *struct {
		Status, PlatformStatus, QEStatus, Date string
		EvaluationDataNumber                   int
		Advisories                             []string
	}
	Enclave *struct {
		MRENCLAVE, MRSIGNER    string
		ISVProdID, ISVSVN      int
		Debug                  bool
		Attributes, ReportData string
	}
	Platform *struct {
		QEID, PPID, PlatformInstanceID, FMSPC, PCEID string
		SGXType                                      int
	}
	Findings []struct{ ID, Outcome, Got, Want, Reason, Hint string }
}

// fails are the reasons of what did not pass, without the checks named.
func (a appraisal) fails(without ...string) []string {
	reasons := []string{}
	for _, f := range a.Findings {
		if f.Outcome != "pass" && f.Outcome != "warn" && !slices.Contains(without, f.ID) {
			code, _, _ := strings.Cut(f.Reason, ":")
			reasons = append(reasons, code)
		}
	}
	return reasons
}

func attestQuote(t *testing.T, arguments ...string) (appraisal, int, string) {
	t.Helper()
	streams, _, stdout, stderr := genericiooptions.NewTestIOStreams()
	code := confidb.Main(append([]string{"attest", "quote", "-o", "json"}, arguments...), streams)
	var a appraisal
	if code != 2 {
		if err := json.Unmarshal(stdout.Bytes(), &a); err != nil {
			t.Fatalf("exit %d, %v in %q\n%s", code, err, stdout, stderr)
		}
	}
	return a, code, stderr.String()
}

type quoteCase struct {
	ID       string
	Dir      string
	Time     string `json:"verification_time_iso"`
	Expected struct {
		Reasons            []string `json:"strict_reject_reasons"`
		Status             string   `json:"tcb_status"`
		PlatformStatus     string   `json:"platform_status"`
		QEStatus           string   `json:"qe_status"`
		Advisories         []string
		Date               string `json:"tcb_date"`
		TCBInfoVersion     int    `json:"tcb_info_version"`
		EvaluationNumber   int    `json:"tcb_evaluation_data_number"`
		Debug              bool
		MRENCLAVE          string
		MRSIGNER           string
		ISVProdID          int
		ISVSVN             int
		Attributes         string
		ReportData         string `json:"report_data"`
		FMSPC              string
		PPID               string
		PCEID              string
		PlatformInstanceID string `json:"platform_instance_id"`
		SGXType            int    `json:"sgx_type"`
		QEID               string `json:"qe_id"`
	}
}

func quoteCases(t *testing.T) []quoteCase {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(quotesDir, "cases.json"))
	if err != nil {
		t.Fatalf("the real quotes are needed for this test: %v", err)
	}
	var cases []quoteCase
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	return cases
}

// arguments accept everything that the case has but what makes it unproven.
func (c quoteCase) arguments() []string {
	dir := filepath.Join(quotesDir, c.Dir)
	e := c.Expected
	a := []string{filepath.Join(dir, "quote.bin"), "--collateral", dir, "--at", c.Time, "--sgx-root-ca", filepath.Join(dir, "trustedRootCaCert.pem"), "--mrenclave", e.MRENCLAVE, "--accept-simulated"}
	if e.Status != "UpToDate" {
		a = append(a, "--accept-tcb", e.Status)
	}
	if len(e.Advisories) > 0 {
		a = append(a, "--accept-advisory", strings.Join(e.Advisories, ","))
	}
	if e.Debug {
		a = append(a, "--allow-debug-enclave")
	}
	return a
}

func TestAttestQuoteOfRealCases(t *testing.T) {
	for _, c := range quoteCases(t) {
		t.Run(c.ID, func(t *testing.T) {
			got, code, _ := attestQuote(t, c.arguments()...)
			if got.Kind != "confidb.appraisal/v1" || got.TCB == nil || got.Enclave == nil || got.Platform == nil {
				t.Fatalf("got %+v", got)
			}
			without := []string{"tcb-info-version"}
			if c.ID == "intel-sample-ownroot" {
				without = append(without, "enclave-state") // Intel's generated sample does not set INIT
			}
			e, have := c.Expected, c.Expected
			have.Status, have.PlatformStatus, have.QEStatus, have.Date = got.TCB.Status, got.TCB.PlatformStatus, got.TCB.QEStatus, got.TCB.Date
			have.Advisories, have.EvaluationNumber = got.TCB.Advisories, got.TCB.EvaluationDataNumber
			have.MRENCLAVE, have.MRSIGNER, have.ISVProdID, have.ISVSVN = got.Enclave.MRENCLAVE, got.Enclave.MRSIGNER, got.Enclave.ISVProdID, got.Enclave.ISVSVN
			have.Debug, have.Attributes, have.ReportData = got.Enclave.Debug, got.Enclave.Attributes, got.Enclave.ReportData
			have.FMSPC, have.PPID, have.PCEID, have.PlatformInstanceID = got.Platform.FMSPC, got.Platform.PPID, got.Platform.PCEID, got.Platform.PlatformInstanceID
			have.SGXType, have.QEID, have.Reasons = got.Platform.SGXType, got.Platform.QEID, got.fails(without...)
			if diff := cmp.Diff(e, have); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			complete := len(e.Reasons) == 0 && e.TCBInfoVersion == 3
			if accepted := code == 0; accepted != complete || accepted != (got.Verdict == "affirming" || got.Verdict == "warning") {
				t.Errorf("exit %d, verdict %s, want accepted %v", code, got.Verdict, complete)
			}
			// nothing is accepted that nobody named
			if bare, code, _ := attestQuote(t, c.arguments()[:5]...); code != 3 || bare.Verdict != "contraindicated" {
				t.Errorf("without a policy: exit %d, verdict %s", code, bare.Verdict)
			}
		})
	}
}

// copied returns the arguments of a case with a copy of its collateral.
func (c quoteCase) copied(t *testing.T) (arguments []string, dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(quotesDir, c.Dir))); err != nil {
		t.Fatal(err)
	}
	arguments = c.arguments()
	arguments[0], arguments[2] = filepath.Join(dir, "quote.bin"), dir
	return arguments, dir
}

func caseNamed(t *testing.T, id string) quoteCase {
	t.Helper()
	for _, c := range quoteCases(t) {
		if c.ID == id {
			return c
		}
	}
	t.Fatalf("no case %s", id)
	return quoteCase{}
}

func TestAttestQuoteWithoutAPart(t *testing.T) {
	c := caseNamed(t, "automata-quotev3-00606A-2025-eval17")
	for name, want := range map[string]struct {
		reasons []string
		status  string
	}{
		"rootCaCrl.der":    {[]string{"no-root-crl"}, c.Expected.Status},
		"pckCaCrl.der":     {[]string{"no-pck-crl"}, c.Expected.Status},
		"pckCert.pem":      {[]string{}, c.Expected.Status}, // it is in the quote
		"tcbInfo.json":     {[]string{"no-tcb-info"}, ""},
		"qeIdentity.json":  {[]string{"no-qe-identity"}, ""},
		"tcbSignChain.pem": {[]string{"no-tcb-signing-chain", "no-tcb-signing-chain", "no-tcb-signing-chain"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			arguments, dir := c.copied(t)
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
			got, code, _ := attestQuote(t, arguments...)
			if got.Enclave == nil || got.Enclave.MRENCLAVE != c.Expected.MRENCLAVE || got.TCB.Status != want.status {
				t.Fatalf("got %+v, status %q", got.Enclave, got.TCB.Status)
			}
			if diff := cmp.Diff(want.reasons, got.fails("tcb-status")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			wantCode, verdict := 4, "none"
			if len(want.reasons) == 0 {
				wantCode, verdict = 0, "warning"
			}
			if code != wantCode || got.Verdict != verdict {
				t.Errorf("exit %d, verdict %s; want %d, %s", code, got.Verdict, wantCode, verdict)
			}
		})
	}
}

// What is forged yields neither status nor identity, and still a document.
func TestAttestForgedQuote(t *testing.T) {
	c := caseNamed(t, "automata-quotev3-00606A-2025-eval17")
	for name, want := range map[string]string{
		"quote.bin": "quote-signature-invalid", "tcbInfo.json": "tcb-info-invalid", "qeIdentity.json": "qe-identity-invalid",
		"rootCaCrl.der": "root-crl-invalid", "pckCaCrl.der": "pck-crl-invalid", "tcbSignChain.pem": "tcb-signing-chain-invalid",
	} {
		t.Run(name, func(t *testing.T) {
			arguments, dir := c.copied(t)
			path := filepath.Join(dir, name)
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			at := len(text) / 2
			if name == "quote.bin" {
				at = 200
			}
			if err := os.WriteFile(path, slices.Replace(text, at, at+1, text[at]^1), 0o600); err != nil {
				t.Fatal(err)
			}
			got, code, _ := attestQuote(t, arguments...)
			if code != 3 || got.Verdict != "contraindicated" || got.TCB != nil || got.Enclave != nil || got.Platform != nil {
				t.Errorf("exit %d: %+v", code, got)
			}
			if diff := cmp.Diff([]string{want}, got.fails()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAttestQuoteWithForeignParts(t *testing.T) {
	c, other := caseNamed(t, "automata-quotev3-00606A-2025-eval17"), caseNamed(t, "dcapqvl-00A067-2025")
	for name, want := range map[string]string{"tcbInfo.json": "tcb-info-mismatch", "pckCaCrl.der": "pck-crl-foreign"} {
		t.Run(name, func(t *testing.T) {
			arguments, dir := c.copied(t)
			text, err := os.ReadFile(filepath.Join(quotesDir, other.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
				t.Fatal(err)
			}
			arguments[4] = other.Time // both are current then
			got, code, _ := attestQuote(t, arguments...)
			if code != 3 || got.Verdict != "contraindicated" || !slices.Contains(got.fails(), want) {
				t.Errorf("exit %d, %s: %v", code, got.Verdict, got.fails())
			}
		})
	}
}

// Time decides: expired bundles and clocks that were set back are told apart, and
// grace and age are explicit.
func TestAttestQuoteInTime(t *testing.T) {
	c := caseNamed(t, "automata-quotev3-00606A-2025-eval17")
	for name, c2 := range map[string]struct {
		at      string
		extra   []string
		reasons []string
		code    int
	}{
		"expired":                 {"2025-07-20T00:00:00Z", nil, []string{"tcb-info-expired", "qe-identity-expired", "pck-crl-expired"}, 3},
		"expired, within a grace": {"2025-07-20T00:00:00Z", []string{"--collateral-grace", "720h"}, []string{}, 0},
		"expired beyond a grace":  {"2025-07-20T00:00:00Z", []string{"--collateral-grace", "24h"}, []string{"tcb-info-expired", "qe-identity-expired", "pck-crl-expired"}, 3},
		"a clock set back":        {"2025-01-01T00:00:00Z", nil, []string{"tcb-signing-chain-not-yet-valid", "tcb-info-not-yet-valid", "qe-identity-not-yet-valid", "root-crl-not-yet-valid", "pck-crl-not-yet-valid"}, 3},
		"too old":                 {c.Time, []string{"--max-collateral-age", "1h"}, []string{"tcb-info-too-old", "qe-identity-too-old"}, 3},
		"an older evaluation":     {c.Time, []string{"--min-tcb-evaluation-number", "18"}, []string{"tcb-evaluation-number-too-low"}, 3},
		"this evaluation":         {c.Time, []string{"--min-tcb-evaluation-number", "17"}, []string{}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			arguments := c.arguments()
			arguments[4] = c2.at
			got, code, _ := attestQuote(t, append(arguments, c2.extra...)...)
			if diff := cmp.Diff(c2.reasons, got.fails()); diff != "" || code != c2.code {
				t.Errorf("exit %d, want %d (-want +got):\n%s", code, c2.code, diff)
			}
			if got.Enclave == nil || got.TCB.Status != c.Expected.Status {
				t.Error("what is stale still says its status and identities")
			}
		})
	}
}

func TestAttestQuoteBadInput(t *testing.T) {
	c := caseNamed(t, "automata-quotev3-00606A-2025-eval17")
	for name, b := range map[string]struct {
		arguments []string
		want      string
	}{
		"no file":                {nil, "want the name of one file"},
		"a time of no form":      {[]string{"x", "--at", "yesterday"}, "RFC 3339"},
		"a signer alone":         {[]string{"x", "--mrsigner", c.Expected.MRSIGNER}, "--isvprodid"},
		"a product alone":        {[]string{"x", "--isvprodid", "1"}, "--mrsigner"},
		"a short measurement":    {[]string{"x", "--mrenclave", "00"}, "--mrenclave"},
		"an unknown status":      {[]string{"x", "--accept-tcb", "Fine"}, "want one of"},
		"a revoked platform":     {[]string{"x", "--accept-tcb", "Revoked"}, "never accepted"},
		"a wildcard":             {[]string{"x", "--accept-advisory", "*"}, "no wildcards"},
		"a grace below zero":     {[]string{"x", "--collateral-grace", "-1h"}, "below zero"},
		"an unknown format":      {[]string{"x", "-o", "xml"}, "want json or yaml"},
		"an evaluation below it": {[]string{"x", "--min-tcb-evaluation-number", "-1"}, "below zero"},
	} {
		t.Run(name, func(t *testing.T) {
			streams, _, stdout, stderr := genericiooptions.NewTestIOStreams()
			code := confidb.Main(append([]string{"attest", "quote"}, b.arguments...), streams)
			if code != 2 || !strings.Contains(stderr.String(), b.want) || stdout.Len() != 0 {
				t.Errorf("exit %d, want 2 and %q in:\n%s%s", code, b.want, stdout, stderr)
			}
		})
	}
	for name, text := range map[string]string{"empty": "", "text": "hello", "cut": string([]byte{3, 0, 2, 0}), "version 4": "\x04\x00\x02\x00" + strings.Repeat("\x00", 428)} {
		in := bytes.NewBufferString(text)
		var out, errOut bytes.Buffer
		code := confidb.Main([]string{"attest", "quote", "-", "-o", "json"}, genericiooptions.IOStreams{In: in, Out: &out, ErrOut: &errOut})
		if code != 3 || !strings.Contains(out.String(), `"contraindicated"`) || !strings.Contains(out.String(), "quote-un") {
			t.Errorf("%s: exit %d\n%s%s", name, code, &out, &errOut)
		}
	}
}

// The identity is compared as it was given: signer, product and version.
func TestAttestQuoteBySigner(t *testing.T) {
	c := caseNamed(t, "automata-quotev3-00606A-2025-eval17")
	for name, want := range map[string]struct {
		signer, product, version string
		code                     int
	}{
		"as it is":      {c.Expected.MRSIGNER, "0", "0", 0},
		"other signer":  {strings.Repeat("0", 64), "0", "0", 3},
		"other product": {c.Expected.MRSIGNER, "7", "0", 3},
		"later version": {c.Expected.MRSIGNER, "0", "9", 3},
	} {
		arguments := append(c.arguments(), "--mrsigner", want.signer, "--isvprodid", want.product, "--min-isvsvn", want.version)
		if got, code, _ := attestQuote(t, arguments...); code != want.code {
			t.Errorf("%s: exit %d, want %d: %v", name, code, want.code, got.fails())
		}
	}
}
