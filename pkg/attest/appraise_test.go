package attest_test

import (
	"bytes"
	"crypto"
	"crypto/sha512"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/check"
)

// later is a report of a later version: bound like the first one, and with more in it.
func (f *fixture) later(t *testing.T, kind, proof, extra string) []byte {
	t.Helper()
	additional := bytes.Replace(f.additional(), []byte("CasAttestationDataV1"), []byte(kind), 1)
	additional = bytes.Replace(additional, []byte("{"), []byte("{"+extra), 1)
	body := f.body
	body.ReportData = sha512.Sum512(additional)
	quote, err := f.platform.Quote(body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Appendf(nil, `{"proof_data":{"type":%q,"evidence":%q},"additional_data":%s}`, proof, base64.StdEncoding.EncodeToString(quote), additional)
}

// twice holds the quote of a later report in two members.
func twice(report []byte) []byte {
	start := bytes.Index(report, []byte(`"evidence":`))
	end := bytes.Index(report, []byte(`},"additional_data"`))
	return bytes.Replace(report, report[start:end], fmt.Appendf(nil, `%s,"another":%s`, report[start:end], report[start+len(`"evidence":`):end]), 1)
}

func TestAppraiseLaterReports(t *testing.T) {
	const more = `"cas_version":"6.0.6","owner_chain":["x"],`
	for name, c := range map[string]struct {
		report func(*fixture) []byte
		fails  string
		reason string
	}{
		"V3":           {func(f *fixture) []byte { return f.later(t, "CasAttestationDataV3", "DCAPQuote", more) }, "", ""},
		"V4":           {func(f *fixture) []byte { return f.later(t, "CasAttestationDataV4", "DCAPEvidenceV2", more) }, "", ""},
		"V4, pretty":   {func(f *fixture) []byte { return spaced(f.later(t, "CasAttestationDataV4", "DCAPQuote", more)) }, "", ""},
		"V4, no more":  {func(f *fixture) []byte { return f.later(t, "CasAttestationDataV4", "DCAPQuote", "") }, "", ""},
		"V2":           {func(f *fixture) []byte { return f.later(t, "CasAttestationDataV2", "DCAPQuote", "") }, "cas-quote", "V2"},
		"V5":           {func(f *fixture) []byte { return f.later(t, "CasAttestationDataV5", "DCAPQuote", "") }, "cas-quote", "V5"},
		"V34":          {func(f *fixture) []byte { return f.later(t, "CasAttestationDataV34", "DCAPQuote", "") }, "cas-quote", "V34"},
		"no version":   {func(f *fixture) []byte { return f.later(t, "", "DCAPQuote", "") }, "cas-quote", "additional_data.type"},
		"V4 with EPID": {func(f *fixture) []byte { return f.later(t, "CasAttestationDataV4", "EPIDQuote", "") }, "cas-quote", "EPIDQuote"},
		"V4, no type":  {func(f *fixture) []byte { return f.later(t, "CasAttestationDataV4", "", "") }, "cas-quote", "proof_data.type"},
		"V4, edited": {func(f *fixture) []byte {
			return bytes.Replace(f.later(t, "CasAttestationDataV4", "DCAPQuote", more), []byte("6.0.6"), []byte("6.0.7"), 1)
		}, "cas-binding", "SHA-512"},
		"V3 sold as V4": {func(f *fixture) []byte {
			return bytes.Replace(f.later(t, "CasAttestationDataV3", "DCAPQuote", more), []byte("DataV3"), []byte("DataV4"), 1)
		}, "cas-binding", "SHA-512"},
		"V4, two quotes": {func(f *fixture) []byte { return twice(f.later(t, "CasAttestationDataV4", "DCAPQuote", more)) }, "cas-quote", "2 members"},
		"V4, no quote": {func(f *fixture) []byte {
			return bytes.Replace(f.later(t, "CasAttestationDataV4", "DCAPQuote", more), []byte(`"evidence":"`), []byte(`"evidence":"AAAA`), 1)
		}, "cas-quote", "0 members"},
		"V1 with more": {func(f *fixture) []byte {
			return bytes.Replace(f.later(t, "CasAttestationDataV1", "DCAPQuote", more), []byte(`"evidence"`), []byte(`"quote"`), 1)
		}, "cas-quote", "unknown field"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			in := f.inputs(t)
			in.Report = c.report(f)
			wantFailure(t, in, c.fails, c.reason)
		})
	}
}

// spaced has white space that is not hashed.
func spaced(report []byte) []byte {
	return bytes.ReplaceAll(report, []byte(`,"`), []byte(",\n  \""))
}

// wantFailure wants one finding to fail for a reason, or with none an affirmed CAS.
func wantFailure(t *testing.T, in attest.CASInputs, fails, reason string) *attest.CASAppraisal {
	t.Helper()
	a, err := attest.AppraiseCAS(in)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range a.Findings {
		if (f.Outcome == check.Fail) != (f.ID == fails) || f.ID == fails && !strings.Contains(f.Reason, reason) {
			t.Errorf("want %q to fail because of %q, got %+v", fails, reason, f)
		}
	}
	if _, asked := a.Findings.Find(fails); fails != "" && !asked {
		t.Errorf("%s was not asked: %+v", fails, a.Findings)
	}
	if vouched := a.Chain != nil || a.Key != nil; vouched != (fails == "") {
		t.Errorf("vouched for: %v, with %q failing", vouched, fails)
	}
	return a
}

func TestBackendsOfAReport(t *testing.T) {
	f := newFixture(t)
	in := f.inputs(t)
	for _, backend := range []attest.Backend{"", attest.BackendReport, attest.BackendFile, attest.BackendResource} {
		in.Backend = backend
		wantFailure(t, in, "", "")
		old := in
		old.Nonce[15]++
		wantFailure(t, old, "cas-nonce", "old evidence")
	}
	in.Backend = "unheard-of"
	if a, err := attest.AppraiseCAS(in); err == nil || a != nil || !strings.Contains(err.Error(), "unheard-of") {
		t.Errorf("another back-end: got %v, %v", a, err)
	}
}

func TestBackendsWithoutAQuote(t *testing.T) {
	f := newFixture(t)
	for backend, want := range map[attest.Backend]check.Verdict{attest.BackendCLI: check.Warning, attest.BackendPinned: check.None} {
		in := attest.CASInputs{Backend: backend, Report: f.authority.RootPEM(), Time: at}
		a, err := attest.AppraiseCAS(in)
		if err != nil {
			t.Fatal(err)
		}
		if v := a.Findings.Verdict(); v != want || len(a.Chain) != 1 || a.Key != nil || a.Result != nil {
			t.Errorf("%s: got %s, %+v", backend, v, a)
		}
		for name, text := range map[string][]byte{"nothing": nil, "no PEM": []byte("x"), "a key": bytes.ReplaceAll(in.Report, []byte("CERTIFICATE"), []byte("PRIVATE KEY")), "nine": bytes.Repeat(in.Report, 9), "a quote": f.report(t)} {
			in.Report = text
			if a, err := attest.AppraiseCAS(in); err == nil || a.Chain != nil {
				t.Errorf("%s with %s: got %+v, %v", backend, name, a, err)
			}
		}
	}
}

func TestAppraiseRATLS(t *testing.T) {
	e, key := newEnclave(t), newKey(t)
	spki := spkiOf(t, key)
	stranger := newKey(t)
	other := e
	other.fixture = &fixture{e.authority, e.platform, e.body, e.nonce}
	other.body.MRENCLAVE[31]++
	unknown := enclave{newFixture(t), t} // on a platform of another authority
	report := func(e enclave) pkix.Extension { return extension(oidReport, oeReport(e.quote(spki))) }
	for name, c := range map[string]struct {
		key       crypto.Signer
		extension []pkix.Extension
		fails     string
		reason    string
	}{
		"OE report":               {key, []pkix.Extension{report(e)}, "", ""},
		"tagged evidence":         {key, []pkix.Extension{extension(oidDICE, tagged(60000, e.quote(claims256(spki)), claims256(spki)))}, "", ""},
		"copied to another key":   {stranger, []pkix.Extension{report(e)}, "cas-binding", "extension 1.3.6.1.4.1.311.105.1"},
		"another enclave":         {key, []pkix.Extension{report(other)}, "cas-enclave-identity", "another enclave"},
		"another platform's root": {key, []pkix.Extension{report(unknown)}, "cas-quote", ""},
		"no RA-TLS":               {key, nil, "cas-quote", "no RA-TLS extension"},
		"a broken extension":      {key, []pkix.Extension{extension(oidReport, []byte("x"))}, "cas-quote", "1.3.6.1.4.1.311.105.1"},
	} {
		t.Run(name, func(t *testing.T) {
			in := e.inputs(t)
			in.Backend, in.Report = attest.BackendRATLS, certificate(t, c.key, c.extension...).Raw
			a := wantFailure(t, in, c.fails, c.reason)
			if c.fails != "" {
				return
			}
			if v := a.Findings.Verdict(); v != check.Warning || !bytes.Equal(a.Key, spki) || a.Chain != nil {
				t.Errorf("got %s: %+v", v, a)
			}
			if nonce, _ := a.Findings.Find("cas-nonce"); nonce.Outcome != check.Warn {
				t.Errorf("got %+v, want a warning: there is no nonce", nonce)
			}
		})
	}
	in := e.inputs(t)
	in.Backend, in.Report = attest.BackendRATLS, []byte("no certificate")
	wantFailure(t, in, "cas-quote", "")
}

func TestLabelOf(t *testing.T) {
	found := func(binding, nonce, peer check.Outcome) check.Report {
		return check.Report{{ID: "cas-binding", Outcome: binding}, {ID: "cas-nonce", Outcome: nonce}, {ID: "cas-tls-peer", Outcome: peer}}
	}
	for name, c := range map[string]struct {
		backend  attest.Backend
		findings check.Report
		want     attest.EvidenceLabel
	}{
		"nothing found":          {attest.BackendReport, nil, attest.EvidenceLabel{Freshness: "unknown"}},
		"a report":               {attest.BackendReport, found(check.Pass, check.Pass, check.Pass), attest.EvidenceLabel{KeyBound: true, NonceBound: true, SessionBound: true, Freshness: "fresh: made during this run"}},
		"a resource":             {attest.BackendResource, found(check.Pass, check.Pass, check.Pass), attest.EvidenceLabel{KeyBound: true, NonceBound: true, SessionBound: true, Freshness: "fresh: made during this run"}},
		"a file":                 {attest.BackendFile, found(check.Pass, check.Pass, check.Warn), attest.EvidenceLabel{KeyBound: true, NonceBound: true, Freshness: "unknown: made after the nonce that you gave was chosen"}},
		"a file, another nonce":  {attest.BackendFile, found(check.Pass, check.Fail, check.Pass), attest.EvidenceLabel{KeyBound: true, SessionBound: true, Freshness: "unknown"}},
		"RA-TLS":                 {attest.BackendRATLS, found(check.Pass, check.Warn, check.Pass), attest.EvidenceLabel{KeyBound: true, SessionBound: true, Freshness: "unknown: the key was used now, the quote may be old"}},
		"RA-TLS, another peer":   {attest.BackendRATLS, found(check.Pass, check.Warn, check.Fail), attest.EvidenceLabel{KeyBound: true, Freshness: "unknown"}},
		"skipped, so not bound":  {attest.BackendReport, found(check.Skip, check.Skip, check.Skip), attest.EvidenceLabel{Freshness: "unknown"}},
		"warned, so not bound":   {attest.BackendReport, found(check.Warn, check.Warn, check.Warn), attest.EvidenceLabel{Freshness: "unknown"}},
		"pinned, with this peer": {attest.BackendPinned, check.Report{{ID: "cas-tls-peer", Outcome: check.Pass}}, attest.EvidenceLabel{SessionBound: true, Freshness: "unknown"}},
	} {
		c.want.Backend = c.backend
		if diff := cmp.Diff(c.want, attest.LabelOf(c.backend, c.findings)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
