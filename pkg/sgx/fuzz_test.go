package sgx_test

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	"reflect"
	"slices"
	"testing"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/sgx"
)

// maxFuzzed bounds what is fuzzed where every input is signed first, in bytes.
const maxFuzzed = 1 << 16

// What is read is what is there, with and without Open Enclave's header, and
// whatever follows is counted.
func FuzzParseQuote(f *testing.F) {
	f.Add([]byte{3, 0, 2, 0})
	f.Add([]byte{1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 3})
	f.Fuzz(func(t *testing.T, raw []byte) {
		q, err := sgx.ParseQuote(raw)
		if err != nil {
			wantRefusal(t, err)
			return
		}
		if raw[0] == 1 { // Open Enclave's; a quote begins with 3
			raw = raw[16:]
		}
		for at, r := range map[int]sgx.ReportBody{48: q.Report, qeReportAt: q.QEReport} {
			again, err := r.MarshalBinary()
			if err != nil || !bytes.Equal(again, withoutReserved(raw[at:at+384])) {
				t.Errorf("report at %d: got %x, %v", at, again, err)
			}
		}
		if !bytes.Equal(q.QEID[:], raw[28:44]) || !bytes.Contains(raw, q.CertificationData) {
			t.Errorf("got QE ID %x and certification data %q", q.QEID, q.CertificationData)
		}
		sameQuote(t, q, raw[:len(raw)-q.TrailingBytes], 0)
		sameQuote(t, q, append(bytes.Clone(raw), 1), q.TrailingBytes+1)
		sameQuote(t, q, openEnclave(raw), q.TrailingBytes)
	})
}

func wantRefusal(t *testing.T, err error) {
	t.Helper()
	var refusal *sgx.Refusal
	if !errors.As(err, &refusal) || !slices.Contains(sgx.Codes(), refusal.Code) || len(err.Error()) > 2000 {
		t.Errorf("got %T of %d characters, want a short Refusal with a known code: %.300v", err, len(err.Error()), err)
	}
}

// withoutReserved is a report body with zeros where nothing is read (sgx_report_body_t).
func withoutReserved(report []byte) []byte {
	report = bytes.Clone(report)
	for _, r := range [][2]int{{20, 32}, {96, 128}, {160, 192}, {262, 304}} {
		clear(report[r[0]:r[1]])
	}
	return report
}

func sameQuote(t *testing.T, want *sgx.Quote, raw []byte, trailing int) {
	t.Helper()
	got, err := sgx.ParseQuote(raw)
	if err != nil {
		t.Errorf("%d bytes: %v", len(raw), err)
		return
	}
	expected := *want
	if expected.TrailingBytes = trailing; !reflect.DeepEqual(&expected, got) {
		t.Errorf("%d bytes: got %+v, want %+v", len(raw), got, &expected)
	}
}

// What is accepted as the SGX extension of a PCK certificate can be written again.
func FuzzCertificateExtension(f *testing.F) {
	f.Add([]byte{0x30, 0})
	f.Fuzz(func(t *testing.T, der []byte) {
		p, err := parseExtension(der)
		if err != nil {
			wantRefusal(t, err)
			return
		}
		for _, part := range [][]byte{p.PPID[:], p.FMSPC[:], p.PCEID[:], p.CPUSVN[:], p.PlatformInstanceID} {
			if !bytes.Contains(der, part) {
				t.Errorf("%x is not in the extension", part)
			}
		}
		again, err := parseExtension(extension(t, p))
		if err != nil || !reflect.DeepEqual(p, again) {
			t.Errorf("written and read again: %+v, %v; want %+v", again, err, p)
		}
	})
}

func TestCertificateExtension(t *testing.T) {
	want := &sgx.PCK{PPID: [16]byte{1}, PCESVN: 0xfffe, PCEID: [2]byte{1, 2}, FMSPC: [6]byte{3, 4}, SGXType: 2, CA: "Intel SGX PCK Platform CA", PlatformInstanceID: bytes.Repeat([]byte{5}, 16)}
	for i := range 16 {
		want.TCBSVNs[i], want.CPUSVN[i] = byte(255-i), byte(i)
	}
	der := extension(t, want)
	if got, err := parseExtension(der); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	for name, bad := range map[string][]byte{"a byte after": append(bytes.Clone(der), 0), "cut": der[:len(der)-1], "empty": {}} {
		if got, err := parseExtension(bad); err == nil {
			t.Errorf("%s: accepted as %+v", name, got)
		}
	}
}

func sgxID(arcs ...int) asn1.ObjectIdentifier {
	return append(asn1.ObjectIdentifier{1, 2, 840, 113741, 1, 13, 1}, arcs...)
}

func parseExtension(der []byte) (*sgx.PCK, error) {
	return sgx.ParsePCK(&x509.Certificate{
		Issuer:     pkix.Name{CommonName: "Intel SGX PCK Platform CA"},
		Extensions: []pkix.Extension{{Id: sgxID(), Value: der}},
	})
}

func extension(t *testing.T, p *sgx.PCK) []byte {
	t.Helper()
	type attribute struct {
		ID    asn1.ObjectIdentifier
		Value any
	}
	var tcb []attribute
	for i, svn := range p.TCBSVNs {
		tcb = append(tcb, attribute{sgxID(2, i+1), int(svn)})
	}
	tcb = append(tcb, attribute{sgxID(2, 17), int(p.PCESVN)}, attribute{sgxID(2, 18), p.CPUSVN[:]})
	all := []attribute{{sgxID(1), p.PPID[:]}, {sgxID(2), tcb}, {sgxID(3), p.PCEID[:]}, {sgxID(4), p.FMSPC[:]}, {sgxID(5), asn1.Enumerated(p.SGXType)}}
	if p.PlatformInstanceID != nil {
		all = append(all, attribute{sgxID(6), p.PlatformInstanceID})
	}
	der, err := asn1.Marshal(all)
	must(t, err)
	return der
}

// judged signs a document as Intel would, and returns what a minted quote is then
// said to be; nil when the document is refused.
func (m *minted) judged(t *testing.T, file, member string, text []byte, code sgx.Code) *sgx.Result {
	if len(text) > maxFuzzed {
		return nil
	}
	wrapped, err := m.authority.Sign(member, text)
	must(t, err)
	n := *m
	n.files = maps.Clone(m.files)
	n.files[file] = wrapped
	r, err := n.verify()
	if err == nil {
		return r
	}
	wantRefusal(t, err)
	if refusal := (*sgx.Refusal)(nil); errors.As(err, &refusal) && refusal.Code != code && refusal.Code != sgx.QEIdentityMismatch {
		t.Errorf("got %v, want %s", err, code)
	}
	return nil
}

// unambiguous reports whether no object has a name twice, in whatever case: which
// of the two counts is then the business of whoever reads it.
func unambiguous(text []byte) bool {
	var v any
	if json.Unmarshal(bytes.ToLower(text), &v) != nil {
		return false
	}
	once, err := json.Marshal(v)
	return err == nil && tokens(once) == tokens(text)
}

func tokens(text []byte) (n int) {
	d := json.NewDecoder(bytes.NewReader(text))
	for _, err := d.Token(); err == nil; _, err = d.Token() {
		n++
	}
	return n
}

func outcome(r *sgx.Result, id string) check.Outcome {
	f, _ := r.Findings.Find(id)
	return f.Outcome
}

// The level of a platform is the first that asks for no more than it has.
func FuzzTCBInfo(f *testing.F) {
	m := mint(f, nil)
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r := m.judged(t, tcbFile, "tcbInfo", text, sgx.TCBInfoInvalid)
		if r == nil {
			return
		}
		if known := outcome(r, "tcb-info") == check.Pass; known != slices.Contains(sgx.Statuses(), r.PlatformStatus) || known != (r.PlatformStatus != "") {
			t.Errorf("got the status %q with the finding %s", r.PlatformStatus, outcome(r, "tcb-info"))
		}
		if want, ok := platformStatus(text); ok && want != r.PlatformStatus {
			t.Errorf("got %q, want %q", r.PlatformStatus, want)
		}
	})
}

// platformStatus is that of a minted platform, by another reader. It does not read
// the form of version 2, nor a document that says something twice.
func platformStatus(text []byte) (status sgx.TCBStatus, ok bool) {
	var info struct {
		ID      string
		Version int
		FMSPC   string
		PCEID   string
		Levels  []struct {
			TCB struct {
				Components []struct{ SVN int } `json:"sgxtcbcomponents"`
				PCESVN     int
			}
			Status sgx.TCBStatus `json:"tcbStatus"`
		} `json:"tcbLevels"`
	}
	if json.Unmarshal(text, &info) != nil || info.Version != 3 || !unambiguous(text) {
		return "", false
	}
	fmspc, _ := hex.DecodeString(info.FMSPC)
	pceid, _ := hex.DecodeString(info.PCEID)
	if info.ID != "SGX" || !bytes.Equal(fmspc, []byte{0xc0, 0xff, 0xee, 0, 0, 0}) || !bytes.Equal(pceid, []byte{0, 0}) {
		return "", true
	}
	for _, l := range info.Levels {
		if l.TCB.Components == nil {
			return "", false
		}
		reached := len(l.TCB.Components) == 16 && l.TCB.PCESVN <= 7
		for _, c := range l.TCB.Components {
			reached = reached && c.SVN <= 7
		}
		if reached {
			return l.Status, true
		}
	}
	return "", true
}

// The quoting enclave is the one that is described, or the quote is refused.
func FuzzQEIdentity(f *testing.F) {
	m := mint(f, nil)
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r := m.judged(t, qeFile, "enclaveIdentity", text, sgx.QEIdentityInvalid)
		if r == nil {
			return
		}
		if known := outcome(r, "qe-identity") == check.Pass; known != slices.Contains(sgx.Statuses(), r.QEStatus) || known != (r.Status != "") {
			t.Errorf("got the status %q, merged %q, with the finding %s", r.QEStatus, r.Status, outcome(r, "qe-identity"))
		}
		if want, ok := qeStatus(text, &r.Quote.QEReport); ok && want != r.QEStatus {
			t.Errorf("got %q, want %q", r.QEStatus, want)
		}
	})
}

// qeStatus is that of a quoting enclave, by another reader.
func qeStatus(text []byte, qe *sgx.ReportBody) (status sgx.TCBStatus, ok bool) {
	var identity struct {
		ID             string
		Version        int
		MRSIGNER       string
		ISVProdID      int
		Attributes     string
		AttributesMask string
		Levels         []struct {
			TCB    struct{ ISVSVN int }
			Status sgx.TCBStatus `json:"tcbStatus"`
		} `json:"tcbLevels"`
	}
	if json.Unmarshal(text, &identity) != nil || !unambiguous(text) {
		return "", false
	}
	signer, _ := hex.DecodeString(identity.MRSIGNER)
	if identity.ID != "QE" || identity.Version != 2 {
		return "", true
	}
	if !bytes.Equal(signer, qe.MRSIGNER[:]) || identity.ISVProdID != int(qe.ISVProdID) || !masked(qe.Attributes[:], identity.AttributesMask, identity.Attributes) {
		return "refused", true
	}
	for _, l := range identity.Levels {
		if l.TCB.ISVSVN <= int(qe.ISVSVN) {
			return l.Status, true
		}
	}
	return "", true
}

func masked(got []byte, mask, want string) bool {
	m, errM := hex.DecodeString(mask)
	w, errW := hex.DecodeString(want)
	if errM != nil || errW != nil || len(m) != len(got) || len(w) != len(got) {
		return false
	}
	for i := range got {
		if got[i]&m[i] != w[i] {
			return false
		}
	}
	return true
}

// A bundle that is read can be written, and then says the same.
func FuzzBundle(f *testing.F) {
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"root_ca_crl":"00"}`))
	f.Add([]byte(`{"qe_identity_issuer_chain":"no PEM"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := sgx.ParseBundle(text)
		if err != nil {
			wantRefusal(t, err)
			return
		}
		written, err := c.Bundle()
		if err != nil { // what it says was never JSON
			wantRefusal(t, err)
			return
		}
		again, err := sgx.ParseBundle(written)
		if err != nil {
			if len(listOf(c.RootCRL))+len(listOf(c.PCKCRL))+len(c.TCBInfo)+len(c.QEIdentity)+len(c.TCBSigningChain)+len(c.PCKIssuerChain) > 0 {
				t.Errorf("%v, of what was written: %s", err, written)
			}
			return
		}
		for what, pair := range map[string][2][]byte{
			"TCB info": {decodedSigned(c.TCBInfo), decodedSigned(again.TCBInfo)}, "QE identity": {decodedSigned(c.QEIdentity), decodedSigned(again.QEIdentity)},
			"root CRL": {listOf(c.RootCRL), again.RootCRL}, "PCK CRL": {listOf(c.PCKCRL), again.PCKCRL},
			"signing chain": {c.TCBSigningChain, again.TCBSigningChain}, "PCK CA": {c.PCKIssuerChain, again.PCKIssuerChain},
		} {
			if !bytes.Equal(pair[0], pair[1]) {
				t.Errorf("%s: got %q, want %q", what, pair[1], pair[0])
			}
		}
	})
}

// listOf is the DER of a list in DER or PEM.
func listOf(raw []byte) []byte {
	if block, _ := pem.Decode(raw); block != nil {
		return block.Bytes
	}
	return raw
}

// Nothing that nobody signed counts: neither documents nor a list.
func FuzzCollateral(f *testing.F) {
	m := mint(f, nil)
	f.Add(m.files[tcbFile], m.files[qeFile], m.files["pckCaCrl.der"])
	f.Fuzz(func(t *testing.T, tcb, qe, list []byte) {
		n := m
		n.files = maps.Clone(m.files)
		n.files[tcbFile], n.files[qeFile], n.files["pckCaCrl.der"] = tcb, qe, list
		r, err := n.verify()
		if err != nil {
			wantRefusal(t, err)
			return
		}
		for _, file := range []string{tcbFile, qeFile} {
			if got := n.files[file]; len(got) > 0 && !bytes.Equal(decodedSigned(got), decodedSigned(m.files[file])) {
				t.Errorf("%s: nobody signed it: %q", file, got)
			}
		}
		if same := bytes.Equal(listOf(list), m.files["pckCaCrl.der"]); !same && outcome(r, "pck-crl") == check.Pass {
			t.Errorf("nobody signed the list %x", list)
		}
	})
}
