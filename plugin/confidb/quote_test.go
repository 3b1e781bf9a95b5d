package confidb_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/internal/realquotes"
	"github.com/confidb/confidb/internal/sgxmint"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/plugin/confidb"
)

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

// minter makes a case under an authority that can be changed before.
type minter struct {
	*sgxmint.Authority
	sgx.ReportBody
}

// mintedAt is when minted collateral is made, and mintedUse when it is used. The
// certificates are much older.
var (
	mintedAt  = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	mintedUse = mintedAt.AddDate(0, 0, 5)
)

func mustOK(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// mintedCase is a minted quote with everything that a real case has.
func mintedCase(t *testing.T, change func(*minter)) realquotes.Case {
	t.Helper()
	begun := mintedAt.AddDate(-1, 0, 0)
	authority, err := sgxmint.NewAuthority(begun)
	mustOK(t, err)
	m := &minter{authority, sgx.ReportBody{MRENCLAVE: sgx.Measurement{1}, MRSIGNER: sgx.Measurement{2}, Attributes: [16]byte{5}, ReportData: [64]byte{3}}}
	if change != nil {
		change(m)
	}
	platform, err := sgxmint.NewPlatform(authority, begun)
	mustOK(t, err)
	files, err := authority.CollateralFiles(mintedAt)
	mustOK(t, err)
	files["quote.bin"], err = platform.Quote(m.ReportBody)
	mustOK(t, err)
	end := bytes.Index(platform.Chain, []byte(endOfPEM)) + len(endOfPEM)
	files["pckCert.pem"], files["pckSignChain.pem"] = platform.Chain[:end], platform.Chain[end:]
	c := realquotes.Case{ID: "minted", Folder: t.TempDir(), Time: mintedUse, Expected: m.expected(platform)}
	for name, text := range files {
		mustOK(t, os.WriteFile(c.File(name), text, 0o600))
	}
	return c
}

const endOfPEM = "-----END CERTIFICATE-----\n"

// expected is what must be said of the case. The quoting enclave is up to date.
func (m *minter) expected(p *sgxmint.Platform) realquotes.Expected {
	ppid := hex.EncodeToString(p.QEID[:]) // all IDs of a minted platform are the same
	return realquotes.Expected{
		RejectReasons: []string{}, Status: string(m.Status), PlatformStatus: string(m.Status), QEStatus: string(m.QEStatus),
		Advisories: append([]string{}, m.Advisories...), TCBDate: mintedAt.Format(time.RFC3339), TCBInfoVersion: 3, EvaluationNumber: m.EvaluationNumber,
		Debug: m.Debug(), MRENCLAVE: m.MRENCLAVE.String(), MRSIGNER: m.MRSIGNER.String(), ISVProdID: int(m.ISVProdID), ISVSVN: int(m.ISVSVN),
		Attributes: hex.EncodeToString(m.Attributes[:]), ReportData: hex.EncodeToString(m.ReportData[:]),
		FMSPC: hex.EncodeToString(m.FMSPC[:]), PPID: ppid, PCEID: "0000", PlatformInstanceID: ppid, SGXType: 1, QEID: ppid,
	}
}

// quoteCases are minted ones, and all of real machines where they are.
func quoteCases(t *testing.T) map[string]realquotes.Case {
	t.Helper()
	cases := map[string]realquotes.Case{}
	for _, status := range sgx.Statuses() {
		if status == sgx.Revoked { // no flag accepts it: TestAttestRevoked
			continue
		}
		cases["minted/"+string(status)] = mintedCase(t, func(m *minter) { m.Status = status })
	}
	cases["minted/advisories"] = mintedCase(t, hardened)
	cases["minted/debug"] = mintedCase(t, func(m *minter) { m.Attributes[0] |= 2 })
	expired := mintedCase(t, nil)
	expired.Time = mintedAt.AddDate(0, 0, 31)
	expired.Expected.RejectReasons = []string{"tcb-info-expired", "qe-identity-expired", "root-crl-expired", "pck-crl-expired"}
	cases["minted/expired"] = expired
	maps.Copy(cases, realquotes.IfThere(t))
	return cases
}

// hardened makes a case like that of bothKinds on a real machine.
func hardened(m *minter) {
	m.Status, m.Advisories, m.EvaluationNumber = sgx.SWHardeningNeeded, []string{"INTEL-SA-00615"}, 17
}

// bothKinds are a minted case and, where real quotes are, one of a real machine.
// Both are complete and current, and have SWHardeningNeeded with one advisory.
func bothKinds(t *testing.T) map[string]realquotes.Case {
	t.Helper()
	kinds := map[string]realquotes.Case{"minted": mintedCase(t, hardened)}
	if real := realquotes.IfThere(t); real != nil {
		kinds["real"] = real["automata-quotev3-00606A-2025-eval17"]
	}
	return kinds
}

// bareArguments verify a case and accept nothing.
func bareArguments(c realquotes.Case) []string {
	return []string{c.File("quote.bin"), "--collateral", c.Folder, "--at", c.At(), "--sgx-root-ca", c.File("trustedRootCaCert.pem")}
}

// accepting accepts everything that the case has but what makes it unproven.
func accepting(c realquotes.Case) []string {
	e := c.Expected
	a := append(bareArguments(c), "--mrenclave", e.MRENCLAVE, "--accept-simulated")
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

func TestAttestQuoteCases(t *testing.T) {
	for id, c := range quoteCases(t) {
		t.Run(id, func(t *testing.T) {
			got, code, _ := attestQuote(t, accepting(c)...)
			if got.Kind != "confidb.appraisal/v1" || got.TCB == nil || got.Enclave == nil || got.Platform == nil {
				t.Fatalf("got %+v", got)
			}
			without := []string{"tcb-info-version"}
			if id == realquotes.OwnRoot {
				without = append(without, "enclave-state") // Intel's generated sample does not set INIT
			}
			if diff := cmp.Diff(c.Expected, got.said(c.Expected, without...)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			complete := len(c.Expected.RejectReasons) == 0 && c.Expected.TCBInfoVersion == 3
			if accepted := code == 0; accepted != complete || accepted != (got.Verdict == "affirming" || got.Verdict == "warning") {
				t.Errorf("exit %d, verdict %s, want accepted %v", code, got.Verdict, complete)
			}
			// nothing is accepted that nobody named
			if bare, code, _ := attestQuote(t, bareArguments(c)...); code != 3 || bare.Verdict != "contraindicated" {
				t.Errorf("without a policy: exit %d, verdict %s", code, bare.Verdict)
			}
		})
	}
}

// said is what the document says, in the form of a case. What it does not hold is
// taken from want.
func (a appraisal) said(want realquotes.Expected, without ...string) realquotes.Expected {
	return realquotes.Expected{
		RejectReasons: a.fails(without...),
		Status:        a.TCB.Status, PlatformStatus: a.TCB.PlatformStatus, QEStatus: a.TCB.QEStatus,
		Advisories: a.TCB.Advisories, TCBDate: a.TCB.Date, TCBInfoVersion: want.TCBInfoVersion, EvaluationNumber: a.TCB.EvaluationDataNumber,
		Debug: a.Enclave.Debug, MRENCLAVE: a.Enclave.MRENCLAVE, MRSIGNER: a.Enclave.MRSIGNER, ISVProdID: a.Enclave.ISVProdID, ISVSVN: a.Enclave.ISVSVN,
		Attributes: a.Enclave.Attributes, ReportData: a.Enclave.ReportData,
		FMSPC: a.Platform.FMSPC, PPID: a.Platform.PPID, PCEID: a.Platform.PCEID, PlatformInstanceID: a.Platform.PlatformInstanceID,
		SGXType: a.Platform.SGXType, QEID: a.Platform.QEID,
	}
}

// No flag makes a revoked platform acceptable.
func TestAttestRevoked(t *testing.T) {
	c := mintedCase(t, func(m *minter) { m.Status = sgx.Revoked })
	arguments := append(bareArguments(c), "--mrenclave", c.Expected.MRENCLAVE, "--accept-simulated")
	if got, code, _ := attestQuote(t, arguments...); code != 3 || got.Verdict != "contraindicated" || got.TCB.Status != "Revoked" {
		t.Errorf("exit %d: %+v", code, got)
	}
}

// copied is a case whose files may be changed.
func copied(t *testing.T, c realquotes.Case) realquotes.Case {
	t.Helper()
	from := c.Folder
	c.Folder = t.TempDir()
	mustOK(t, os.CopyFS(c.Folder, os.DirFS(from)))
	return c
}

func TestAttestQuoteWithoutAPart(t *testing.T) {
	for kind, c := range bothKinds(t) {
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
			t.Run(kind+"/"+name, func(t *testing.T) {
				c := copied(t, c)
				mustOK(t, os.Remove(c.File(name)))
				got, code, _ := attestQuote(t, accepting(c)...)
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
}

// What is forged yields neither status nor identity, and still a document.
func TestAttestForgedQuote(t *testing.T) {
	for kind, c := range bothKinds(t) {
		for name, want := range map[string]string{
			"quote.bin": "quote-signature-invalid", "tcbInfo.json": "tcb-info-invalid", "qeIdentity.json": "qe-identity-invalid",
			"rootCaCrl.der": "root-crl-invalid", "pckCaCrl.der": "pck-crl-invalid", "tcbSignChain.pem": "tcb-signing-chain-invalid",
		} {
			t.Run(kind+"/"+name, func(t *testing.T) {
				c := copied(t, c)
				forge(t, c, name)
				got, code, _ := attestQuote(t, accepting(c)...)
				if code != 3 || got.Verdict != "contraindicated" || got.TCB != nil || got.Enclave != nil || got.Platform != nil {
					t.Errorf("exit %d: %+v", code, got)
				}
				if diff := cmp.Diff([]string{want}, got.fails()); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		}
	}
}

// forge changes one bit of what a file says.
func forge(t *testing.T, c realquotes.Case, name string) {
	t.Helper()
	text := c.Read(t, name)
	at := len(text) / 2
	if name == "quote.bin" {
		at = 200
	}
	text[at] ^= 1
	mustOK(t, os.WriteFile(c.File(name), text, 0o600))
}

// foreignParts are collateral that Intel or its stand-in signed for other machines,
// and a time at which that and the collateral of the case are current.
func foreignParts(t *testing.T, kind string) (c realquotes.Case, parts map[string][]byte) {
	t.Helper()
	if kind == "real" {
		other := realquotes.Named(t, "dcapqvl-00A067-2025")
		c = bothKinds(t)[kind]
		c.Time = other.Time
		return c, map[string][]byte{"tcbInfo.json": other.Read(t, "tcbInfo.json"), "pckCaCrl.der": other.Read(t, "pckCaCrl.der")}
	}
	c = mintedCase(t, func(m *minter) {
		other := *m.Authority
		other.FMSPC = [6]byte{0, 0xa0, 0x67}
		var err error
		other.PCKCA, err = sgxmint.NewIssuer("Intel SGX PCK Processor CA", &other.Root, true, mintedAt)
		mustOK(t, err)
		parts, err = other.CollateralFiles(mintedAt)
		mustOK(t, err)
	})
	return c, parts
}

func TestAttestQuoteWithForeignParts(t *testing.T) {
	for kind := range bothKinds(t) {
		for name, want := range map[string]string{"tcbInfo.json": "tcb-info-mismatch", "pckCaCrl.der": "pck-crl-foreign"} {
			t.Run(kind+"/"+name, func(t *testing.T) {
				c, parts := foreignParts(t, kind)
				c = copied(t, c)
				mustOK(t, os.WriteFile(c.File(name), parts[name], 0o600))
				got, code, _ := attestQuote(t, accepting(c)...)
				if code != 3 || got.Verdict != "contraindicated" || !slices.Contains(got.fails(), want) {
					t.Errorf("exit %d, %s: %v", code, got.Verdict, got.fails())
				}
			})
		}
	}
}
