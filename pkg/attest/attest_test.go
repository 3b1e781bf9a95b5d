package attest_test

import (
	"bytes"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/confidb/confidb/internal/sgxmint"
	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/sgx"
)

var at = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// fixture is a CAS on a minted platform.
type fixture struct {
	authority *sgxmint.Authority
	platform  *sgxmint.Platform
	body      sgx.ReportBody
	nonce     [16]byte
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	a, err := sgxmint.NewAuthority(at)
	if err != nil {
		t.Fatal(err)
	}
	p, err := sgxmint.NewPlatform(a, at)
	if err != nil {
		t.Fatal(err)
	}
	return &fixture{a, p, sgx.ReportBody{MRENCLAVE: sgx.Measurement{7}, MRSIGNER: sgx.Measurement{8}, ISVProdID: 3, ISVSVN: 5, Attributes: [16]byte{5}}, [16]byte{1, 2, 3}}
}

// additional is the bound part of a report, as a CAS writes it.
func (f *fixture) additional() []byte {
	chain := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.authority.Root.Certificate}) // any certificate will do
	text, err := json.Marshal(string(bytes.ReplaceAll(chain, []byte("\n"), []byte("\r\n"))))
	if err != nil {
		panic(err)
	}
	return fmt.Appendf(nil, `{"type":"CasAttestationDataV1","nonce":"%x","cert_chain":%s}`, f.nonce, text)
}

func (f *fixture) report(t testing.TB) []byte {
	t.Helper()
	additional := f.additional()
	body := f.body
	body.ReportData = sha512.Sum512(additional)
	quote, err := f.platform.Quote(body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Appendf(nil, `{"proof_data":{"type":"DCAPQuote","quote":%q},"additional_data":%s}`, base64.StdEncoding.EncodeToString(quote), additional)
}

func (f *fixture) inputs(t testing.TB) attest.CASInputs {
	t.Helper()
	files, err := f.authority.CollateralFiles(at)
	if err != nil {
		t.Fatal(err)
	}
	return attest.CASInputs{
		Report: f.report(t), Nonce: f.nonce, CollateralFiles: files, RootCA: f.authority.RootPEM(), Time: at,
		Policy: attest.Policy{ReferenceValues: attest.ReferenceValues{MRENCLAVEs: []sgx.Measurement{{7}}}},
	}
}

func TestAppraiseCAS(t *testing.T) {
	f := newFixture(t)
	a, err := attest.AppraiseCAS(f.inputs(t))
	if err != nil {
		t.Fatal(err)
	}
	if v := a.Findings.Verdict(); v != check.Affirming || !a.Simulated || len(a.Chain) != 1 {
		t.Errorf("got %s, simulated %v, %d certificates: %+v", v, a.Simulated, len(a.Chain), a.Findings)
	}
}

func TestAppraiseCASRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(*testing.T, *fixture, *attest.CASInputs)
		finding string
		outcome check.Outcome
		verdict check.Verdict
	}{
		"an old nonce": {func(_ *testing.T, _ *fixture, in *attest.CASInputs) { in.Nonce[0]++ }, "cas-nonce", check.Fail, check.Contraindicated},
		"another certificate chain": {func(t *testing.T, f *fixture, in *attest.CASInputs) {
			in.Report = bytes.Replace(in.Report, []byte("cert_chain\":\""), []byte("cert_chain\":\"\\r\\n"), 1)
		}, "cas-binding", check.Fail, check.Contraindicated},
		"another measurement": {func(_ *testing.T, _ *fixture, in *attest.CASInputs) {
			in.Policy.ReferenceValues.MRENCLAVEs = []sgx.Measurement{{9}}
		}, "cas-enclave-identity", check.Fail, check.Contraindicated},
		"the zero policy": {func(_ *testing.T, _ *fixture, in *attest.CASInputs) { in.Policy = attest.Policy{} }, "cas-enclave-identity", check.Fail, check.Contraindicated},
		"another signer": {func(_ *testing.T, _ *fixture, in *attest.CASInputs) {
			in.Policy.ReferenceValues.Signer = &attest.SignerReference{MRSIGNER: sgx.Measurement{9}}
		}, "cas-enclave-identity", check.Fail, check.Contraindicated},
		"an old security version": {func(_ *testing.T, _ *fixture, in *attest.CASInputs) {
			in.Policy.ReferenceValues = attest.ReferenceValues{Signer: &attest.SignerReference{MRSIGNER: sgx.Measurement{8}, ISVProdID: 3, MinISVSVN: 6}}
		}, "cas-enclave-identity", check.Fail, check.Contraindicated},
		"a debug enclave": {func(t *testing.T, f *fixture, in *attest.CASInputs) {
			f.body.Attributes[0] |= 2
			in.Report = f.report(t)
		}, "cas-enclave-state", check.Fail, check.Contraindicated},
		"an enclave that is not initialized": {func(t *testing.T, f *fixture, in *attest.CASInputs) {
			f.body.Attributes[0] = 4
			in.Report = f.report(t)
		}, "cas-enclave-state", check.Fail, check.Contraindicated},
		"Intel's root": {func(_ *testing.T, _ *fixture, in *attest.CASInputs) { in.RootCA = nil }, "cas-quote", check.Fail, check.Contraindicated},
		"a flipped bit in the quote": {func(_ *testing.T, _ *fixture, in *attest.CASInputs) {
			in.Report = bytes.Replace(in.Report, []byte(`"quote":"AwAC`), []byte(`"quote":"AwBC`), 1)
		}, "cas-quote", check.Fail, check.Contraindicated},
		"another type of report": {func(_ *testing.T, _ *fixture, in *attest.CASInputs) {
			in.Report = bytes.Replace(in.Report, []byte("DataV1"), []byte("DataV2"), 1)
		}, "cas-quote", check.Fail, check.Contraindicated},
		"a later report that is not bound": {func(_ *testing.T, _ *fixture, in *attest.CASInputs) {
			in.Report = bytes.Replace(in.Report, []byte("DataV1"), []byte("DataV4"), 1)
		}, "cas-binding", check.Fail, check.Contraindicated},
		"a field that nobody knows": {func(_ *testing.T, _ *fixture, in *attest.CASInputs) {
			in.Report = bytes.Replace(in.Report, []byte(`{"type":"Cas`), []byte(`{"extra":1,"type":"Cas`), 1)
		}, "cas-quote", check.Fail, check.Contraindicated},
		"no report":        {func(_ *testing.T, _ *fixture, in *attest.CASInputs) { in.Report = []byte("<html>") }, "cas-quote", check.Fail, check.Contraindicated},
		"no PCK CRL":       {func(_ *testing.T, _ *fixture, in *attest.CASInputs) { delete(in.CollateralFiles, "pckCaCrl.der") }, "cas-pck-crl", check.Skip, check.None},
		"stale collateral": {func(_ *testing.T, _ *fixture, in *attest.CASInputs) { in.Time = at.AddDate(0, 0, 31) }, "cas-tcb-info-validity", check.Fail, check.Contraindicated},
		"a status that the policy does not name": {func(t *testing.T, f *fixture, in *attest.CASInputs) {
			f.authority.Status = sgx.OutOfDate
			files, err := f.authority.CollateralFiles(at)
			if err != nil {
				t.Fatal(err)
			}
			in.CollateralFiles = files
		}, "cas-tcb-status", check.Fail, check.Contraindicated},
		"a revoked status that the policy names": {func(t *testing.T, f *fixture, in *attest.CASInputs) {
			f.authority.Status = sgx.Revoked
			in.Policy.AcceptTCB = sgx.Statuses()
			files, err := f.authority.CollateralFiles(at)
			if err != nil {
				t.Fatal(err)
			}
			in.CollateralFiles = files
		}, "cas-tcb-status", check.Fail, check.Contraindicated},
		"an accepted status and advisory": {func(t *testing.T, f *fixture, in *attest.CASInputs) {
			f.authority.Status, f.authority.Advisories = sgx.SWHardeningNeeded, []string{"INTEL-SA-00615"}
			in.Policy.AcceptTCB, in.Policy.AcceptAdvisories = []sgx.TCBStatus{sgx.SWHardeningNeeded}, []string{"INTEL-SA-00615"}
			files, err := f.authority.CollateralFiles(at)
			if err != nil {
				t.Fatal(err)
			}
			in.CollateralFiles = files
		}, "cas-tcb-advisories", check.Warn, check.Warning},
		"an advisory that the policy does not name": {func(t *testing.T, f *fixture, in *attest.CASInputs) {
			f.authority.Advisories = []string{"INTEL-SA-00615"}
			files, err := f.authority.CollateralFiles(at)
			if err != nil {
				t.Fatal(err)
			}
			in.CollateralFiles = files
		}, "cas-tcb-advisories", check.Fail, check.Contraindicated},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			in := f.inputs(t)
			c.change(t, f, &in)
			a, err := attest.AppraiseCAS(in)
			if err != nil {
				t.Fatal(err)
			}
			got, ok := a.Findings.Find(c.finding)
			if !ok || got.Outcome != c.outcome || got.Reason == "" {
				t.Errorf("finding %s: got %+v, want %s with a reason", c.finding, got, c.outcome)
			}
			if v := a.Findings.Verdict(); v != c.verdict {
				t.Errorf("verdict %s, want %s: %+v", v, c.verdict, a.Findings)
			}
			if c.verdict == check.Contraindicated && a.Chain != nil {
				t.Error("a chain is handed out that nothing vouches for")
			}
		})
	}
}

func TestPlatformID(t *testing.T) {
	const key, qe = "126C8098408FEB2002F5EB8B9E6C2AE26197E3617875633C5BD4EB4454278C34", "INTEL_QE_ID:85ffc69266c833546e5dca1c676a6151"
	for text, generation := range map[string]attest.Generation{key: attest.SCONEQE, strings.ToLower(key): attest.SCONEQE, qe: attest.IntelQEID} {
		id, err := attest.ParsePlatformID(text)
		if err != nil || id.Generation() != generation || !strings.EqualFold(id.String(), text) {
			t.Errorf("%s: got %v, %v", text, id, err)
		}
	}
	for _, text := range []string{"", "85ffc69266c833546e5dca1c676a6151", qe + "00", "INTEL_QE_ID:" + key, strings.ToLower(qe), key[:63] + "g", key + "\n", "null"} {
		if id, err := attest.ParsePlatformID(text); err == nil {
			t.Errorf("%q was taken as %v", text, id)
		}
	}
	if got := attest.PlatformIDFromQEID([16]byte{0x85, 0xff}).String(); got != "INTEL_QE_ID:85ff0000000000000000000000000000" {
		t.Errorf("from a quote: %s", got)
	}
}

// TestPlatformIDHasOneForm: whatever case of digits is read, IDs of one machine are ==
// and print alike, and a document says them in that form.
func TestPlatformIDHasOneForm(t *testing.T) {
	const scone, intel = "AB" + "0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCD", "85ffc69266c833546e5dca1c676a6151"
	mixed := func(text string) string { return strings.ToLower(text[:7]) + strings.ToUpper(text[7:]) }
	for want, forms := range map[string][]string{
		scone:                  {scone, strings.ToLower(scone), mixed(scone)},
		"INTEL_QE_ID:" + intel: {"INTEL_QE_ID:" + intel, "INTEL_QE_ID:" + strings.ToUpper(intel), "INTEL_QE_ID:" + mixed(intel)},
	} {
		first, err := attest.ParsePlatformID(want)
		if err != nil {
			t.Fatal(err)
		}
		if first == (attest.PlatformID{}) {
			t.Errorf("%s is the zero ID", want)
		}
		for _, form := range forms {
			var read attest.PlatformID
			if err := read.UnmarshalText([]byte(form)); err != nil {
				t.Fatal(err)
			}
			if read != first {
				t.Errorf("%s: not == to %s", form, want)
			}
			if read.String() != want {
				t.Errorf("%s: got %s, want %s", form, read, want)
			}
		}
	}
	var quoted [16]byte
	if _, err := hex.Decode(quoted[:], []byte(intel)); err != nil {
		t.Fatal(err)
	}
	declared, err := attest.ParsePlatformID("INTEL_QE_ID:" + strings.ToUpper(intel))
	if err != nil {
		t.Fatal(err)
	}
	if declared != attest.PlatformIDFromQEID(quoted) {
		t.Error("an ID in a quote is not == to the same ID that somebody wrote in upper case")
	}
}

func FuzzParseCASEvidence(f *testing.F) {
	fix := newFixture(f)
	f.Add(fix.report(f))
	f.Add([]byte(`{"proof_data":{"type":"DCAPQuote","quote":""},"additional_data":null}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if e, err := attest.ParseCASEvidence(raw); err == nil && len(e.Chain) == 0 {
			t.Error("evidence without a chain")
		}
	})
}
