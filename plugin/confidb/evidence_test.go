package confidb_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/internal/sgxmint"
	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/cas"
	"github.com/confidb/confidb/pkg/record"
	"github.com/confidb/confidb/pkg/sgx"
)

// expected is what an attestation must end with. Without a verdict there is no result.
type expected struct {
	code    int
	verdict string
	fails   []string // the findings that fail
	label   attest.EvidenceLabel
	pinned  bool
	says    string // part of the text, or of the error when there is no result
}

// refusal is that of a finding, which leaves a label.
func refusal(finding string, label attest.EvidenceLabel) expected {
	return expected{code: 3, verdict: "contraindicated", fails: []string{finding}, label: label}
}

// labelled is a label in short: what is bound, as letters of k(ey), n(once), s(ession).
func labelled(backend attest.Backend, bound, freshness string) attest.EvidenceLabel {
	has := func(letter string) bool { return strings.Contains(bound, letter) }
	return attest.EvidenceLabel{Backend: backend, KeyBound: has("k"), NonceBound: has("n"), SessionBound: has("s"), Freshness: freshness}
}

const (
	fresh     = "fresh: made during this run"
	sinceThen = "unknown: made after the nonce that you gave was chosen"
	usedNow   = "unknown: the key was used now, the quote may be old"
)

// trust are the flags that say whom to believe.
func (a *attestation) trust() []string {
	return []string{"--cas-mrenclave", a.measured, "--collateral", a.folder, "--sgx-root-ca", filepath.Join(a.folder, "trustedRootCaCert.pem"), "--accept-simulated"}
}

// expect attests twice, for people and for programs, and compares what came of it.
func (a *attestation) expect(t *testing.T, want expected, arguments ...string) {
	t.Helper()
	isolate(t, a.folder)
	secret := a.secret(t)
	command := append([]string{"attest", "cas"}, arguments...)
	code, text, errText := main("", command...)
	jsonCode, document, jsonErr := main("", append(command, "-o", "json")...)
	if code != want.code || jsonCode != want.code {
		t.Errorf("exit %d, and %d with -o json, want %d\n%s%s", code, jsonCode, want.code, text, errText)
	}
	if a.pinned(t) != want.pinned {
		t.Errorf("the evidence was kept: %v, want %v", !want.pinned, want.pinned)
	}
	for _, shown := range []string{text, errText, document, jsonErr} {
		wantNoSecret(t, shown, secret)
	}
	if want.verdict == "" {
		if text+document != "" || !strings.Contains(errText, want.says) || !strings.Contains(jsonErr, want.says) {
			t.Errorf("want an error with %q and no result, got\n%s%s", want.says, text, errText)
		}
		return
	}
	want.compareText(t, text)
	want.compareDocument(t, document)
}

// secret makes the user's private key, and returns the lines that must not be seen.
func (a *attestation) secret(t *testing.T) []string {
	t.Helper()
	home := filepath.Join(a.folder, "home")
	if _, err := (record.Store{Dir: home}).Identity(time.Now()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(home, "identity.pem"))
	if err != nil {
		t.Fatal(err)
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if strings.Contains(block.Type, "PRIVATE KEY") {
			return strings.Split(strings.TrimSpace(string(pem.EncodeToMemory(block))), "\n")
		}
	}
	t.Fatal("the user has no private key")
	return nil
}

func wantNoSecret(t *testing.T, text string, secret []string) {
	t.Helper()
	for _, line := range secret {
		if strings.Contains(text, line) {
			t.Errorf("a line of the user's private key is shown: %s", text)
		}
	}
}

func (w expected) compareText(t *testing.T, text string) {
	t.Helper()
	flat := strings.Join(strings.Fields(text), " ")
	for _, finding := range w.fails {
		if !strings.Contains(text, "FAIL "+finding) {
			t.Errorf("want FAIL %s in\n%s", finding, text)
		}
	}
	lines := []string{"Evidence (" + string(w.label.Backend) + "):", "freshness " + w.label.Freshness, w.says}
	for name, bound := range map[string]bool{"key": w.label.KeyBound, "nonce": w.label.NonceBound, "session": w.label.SessionBound} {
		lines = append(lines, name+" "+map[bool]string{true: "bound:", false: "not bound:"}[bound])
	}
	for _, line := range lines {
		if !strings.Contains(flat, line) {
			t.Errorf("want %q in\n%s", line, text)
		}
	}
	if w.verdict != "affirming" && strings.Contains(text, "affirming") {
		t.Errorf("it says affirming:\n%s", text)
	}
}

func (w expected) compareDocument(t *testing.T, document string) {
	t.Helper()
	var got struct {
		Verdict  string
		Findings []struct{ ID, Outcome string }
		Evidence map[string]any
	}
	if err := json.Unmarshal([]byte(document), &got); err != nil {
		t.Fatalf("%v in %s", err, document)
	}
	var fails []string
	for _, f := range got.Findings {
		if f.Outcome == "fail" {
			fails = append(fails, f.ID)
		}
	}
	if got.Verdict != w.verdict || !slices.Equal(fails, w.fails) {
		t.Errorf("got %s, and %q fail; want %s and %q", got.Verdict, fails, w.verdict, w.fails)
	}
	label := map[string]any{"backend": string(w.label.Backend), "keyBound": w.label.KeyBound, "nonceBound": w.label.NonceBound, "sessionBound": w.label.SessionBound, "freshness": w.label.Freshness}
	if diff := cmp.Diff(label, got.Evidence); diff != "" {
		t.Errorf("the label (-want +got):\n%s", diff)
	}
}

func replacing(old, replacement string) func([]byte) []byte {
	return func(r []byte) []byte { return bytes.Replace(r, []byte(old), []byte(replacement), 1) }
}

// secondQuote puts a quote of the same report into one more member.
func secondQuote(report []byte) []byte {
	quote := regexp.MustCompile(`"quote":("[^"]*")`)
	return quote.ReplaceAll(report, []byte(`"quote":$1,"other":$1`))
}

func TestEvidenceReport(t *testing.T) {
	const more = `"cas_version":"6.0.6",`
	bound := labelled(attest.BackendReport, "kns", fresh)
	unread := labelled(attest.BackendReport, "", "unknown") // nothing vouches for the peer either
	accepted := expected{code: 0, verdict: "affirming", label: bound, pinned: true}
	unreadable := expected{code: 3, verdict: "contraindicated", fails: []string{"cas-quote", "cas-tls-peer"}, label: unread}
	unbound := expected{code: 3, verdict: "contraindicated", fails: []string{"cas-binding", "cas-tls-peer"}, label: labelled(attest.BackendReport, "n", fresh)}
	for name, c := range map[string]struct {
		kind, extra string
		rewrite     func([]byte) []byte
		want        expected
	}{
		"V1":                     {"", "", nil, accepted},
		"V3":                     {"CasAttestationDataV3", more, nil, accepted},
		"V4":                     {"CasAttestationDataV4", more, nil, accepted},
		"V3, edited":             {"CasAttestationDataV3", more, replacing("6.0.6", "6.0.7"), unbound},
		"V4, edited":             {"CasAttestationDataV4", more, replacing("6.0.6", "6.0.7"), unbound},
		"V4, two quotes":         {"CasAttestationDataV4", more, secondQuote, unreadable},
		"V4, another proof":      {"CasAttestationDataV4", more, replacing("DCAPQuote", "EPIDQuote"), unreadable},
		"V1, another proof":      {"", "", replacing("DCAPQuote", "EPIDQuote"), unreadable},
		"V2":                     {"CasAttestationDataV2", "", nil, unreadable},
		"V5":                     {"CasAttestationDataV5", more, nil, unreadable},
		"a page of a web server": {"", "", func([]byte) []byte { return []byte("<html>") }, unreadable},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAttestation(t)
			a.cas.kind, a.cas.extra, a.cas.rewrite = c.kind, c.extra, c.rewrite
			a.expect(t, c.want, append(a.trust(), a.address)...)
		})
	}
	t.Run("relayed by another host", func(t *testing.T) {
		a := newAttestation(t)
		a.address = serve(t, selfSigned(t), relayTo(t, a.address))
		a.expect(t, refusal("cas-tls-peer", labelled(attest.BackendReport, "kn", fresh)), append(a.trust(), a.address)...)
	})
}

// relayTo passes requests on to a CAS, and does not care which.
func relayTo(t *testing.T, address string) http.Handler {
	t.Helper()
	target, err := url.Parse("https://" + address)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	return proxy
}

func TestEvidenceWithExpiredCollateral(t *testing.T) {
	a := newAttestation(t)
	a.collateral(t, time.Now().AddDate(0, 0, -31))
	isolate(t, a.folder)
	code, out, _ := main("", append([]string{"attest", "cas", a.address}, a.trust()...)...)
	if code != 3 || !strings.Contains(out, "FAIL cas-tcb-info-validity") || a.pinned(t) {
		t.Errorf("exit %d\n%s", code, out)
	}
	a.collateral(t, time.Now().AddDate(0, 0, -29))
	a.expect(t, expected{verdict: "affirming", label: labelled(attest.BackendReport, "kns", fresh), pinned: true}, append(a.trust(), a.address)...)
}

const savedNonce = "00112233445566778899aabbccddeeff"

// saved is a report of the CAS that answers savedNonce.
func (a *attestation) saved(t *testing.T) []byte {
	t.Helper()
	recorder := httptest.NewRecorder()
	a.cas.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/v1/attest?nonce="+savedNonce, nil))
	return recorder.Body.Bytes()
}

func TestEvidenceFile(t *testing.T) {
	whole := labelled(attest.BackendFile, "kns", sinceThen)
	for name, c := range map[string]struct {
		nonce string
		edit  func([]byte) []byte
		want  expected
	}{
		"the right nonce":    {savedNonce, nil, expected{verdict: "affirming", label: whole, pinned: true}},
		"in capital letters": {strings.ToUpper(savedNonce), nil, expected{verdict: "affirming", label: whole, pinned: true}},
		"another nonce":      {savedNonce[:30] + "00", nil, expected{code: 3, verdict: "contraindicated", fails: []string{"cas-nonce", "cas-tls-peer"}, label: labelled(attest.BackendFile, "k", "unknown")}},
		"an edited nonce": {savedNonce[:30] + "00", replacing(savedNonce, savedNonce[:30]+"00"),
			expected{code: 3, verdict: "contraindicated", fails: []string{"cas-binding", "cas-tls-peer"}, label: labelled(attest.BackendFile, "n", sinceThen)}},
		"an edited quote": {savedNonce, replacing(`"quote":"AwAC`, `"quote":"AwBC`), expected{code: 3, verdict: "contraindicated", fails: []string{"cas-quote", "cas-tls-peer"}, label: labelled(attest.BackendFile, "", "unknown")}},
		"a short nonce":   {savedNonce[:30], nil, expected{code: 2, says: "--nonce: got"}},
		"no nonce in it":  {"zz112233445566778899aabbccddeeff", nil, expected{code: 2, says: "--nonce: got"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAttestation(t)
			report := a.saved(t)
			if c.edit != nil {
				report = c.edit(report)
			}
			file := a.write(t, "report", report)
			a.expect(t, c.want, append(a.trust(), "--evidence", "file", "--report", file, "--nonce", c.nonce, a.address)...)
		})
	}
}

func TestEvidenceFileAndTheCAS(t *testing.T) {
	t.Run("the peer of another CAS", func(t *testing.T) {
		a := newAttestation(t)
		file := a.write(t, "report", a.saved(t))
		other := serve(t, selfSigned(t), a.cas)
		a.expect(t, refusal("cas-tls-peer", labelled(attest.BackendFile, "kn", sinceThen)), append(a.trust(), "--evidence", "file", "--report", file, "--nonce", savedNonce, other)...)
	})
	t.Run("without an address", func(t *testing.T) {
		a := newAttestation(t)
		file := a.write(t, "report", a.saved(t))
		flags := append(a.trust(), "--evidence", "file", "--report", file, "--nonce")
		a.expect(t, expected{code: 3, verdict: "contraindicated", fails: []string{"cas-nonce"}, label: labelled(attest.BackendFile, "k", "unknown")}, append(flags, savedNonce[:30]+"00")...)
		a.expect(t, expected{verdict: "warning", label: labelled(attest.BackendFile, "kn", sinceThen), pinned: true, says: "no CAS was asked"}, append(flags, savedNonce)...)
	})
	t.Run("by the environment", func(t *testing.T) {
		a := newAttestation(t)
		file := a.write(t, "report", a.saved(t))
		isolate(t, a.folder)
		t.Setenv("SCONE_CAS_ADDR", serve(t, selfSigned(t), a.cas))
		code, out, _ := main("", append([]string{"attest", "cas", "--evidence", "file", "--report", file, "--nonce", savedNonce}, a.trust()...)...)
		if code != 3 || !strings.Contains(out, "FAIL cas-tls-peer") || a.pinned(t) {
			t.Errorf("exit %d: the CAS of $SCONE_CAS_ADDR was not compared\n%s", code, out)
		}
	})
	t.Run("a file that cannot be read", func(t *testing.T) {
		a := newAttestation(t)
		a.expect(t, expected{code: 1, says: "no such file"}, append(a.trust(), "--evidence", "file", "--report", filepath.Join(a.folder, "none"), "--nonce", savedNonce, a.address)...)
		a.expect(t, expected{code: 1, says: "is a directory"}, append(a.trust(), "--evidence", "file", "--report", a.folder, "--nonce", savedNonce)...)
	})
}

func newSigner(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// ratlsQuote is a quote of an enclave with SHA-256(bound) in REPORTDATA.
func ratlsQuote(t *testing.T, p *sgxmint.Platform, enclave sgx.Measurement, bound []byte) []byte {
	t.Helper()
	body := sgx.ReportBody{MRENCLAVE: enclave, Attributes: [16]byte{5}}
	sum := sha256.Sum256(bound)
	copy(body.ReportData[:], sum[:])
	quote, err := p.Quote(body)
	if err != nil {
		t.Fatal(err)
	}
	return quote
}

func spki(t *testing.T, key crypto.PublicKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// oeReport is the extension of Open Enclave: a header, the length and the quote.
func oeReport(t *testing.T, p *sgxmint.Platform, enclave sgx.Measurement, key crypto.PublicKey) []pkix.Extension {
	t.Helper()
	quote := ratlsQuote(t, p, enclave, spki(t, key))
	value := append(binary.LittleEndian.AppendUint64([]byte{1, 0, 0, 0, 2, 0, 0, 0}, uint64(len(quote))), quote...)
	return []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 105, 1}, Value: value}}
}

// taggedEvidence is the interoperable extension: CBOR tag 60000 over quote and claims.
func taggedEvidence(t *testing.T, p *sgxmint.Platform, enclave sgx.Measurement, key crypto.PublicKey) []pkix.Extension {
	t.Helper()
	item := func(major byte, n int, content ...[]byte) []byte {
		return slices.Concat([]byte{major<<5 | 25, byte(n >> 8), byte(n)}, slices.Concat(content...))
	}
	octets := func(b []byte) []byte { return item(2, len(b), b) }
	sum := sha256.Sum256(spki(t, key))
	const name = "pubkey-hash"
	claims := item(5, 1, item(3, len(name), []byte(name)), octets(item(4, 2, item(0, 1), octets(sum[:]))))
	value := item(6, 60000, item(4, 2, octets(ratlsQuote(t, p, enclave, claims)), octets(claims)))
	return []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 23, 133, 5, 4, 9}, Value: value}}
}

// ratlsCertificate carries extensions. Its dates are over: they count for nothing.
func ratlsCertificate(t *testing.T, key *ecdsa.PrivateKey, extensions []pkix.Extension) *tls.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour), ExtraExtensions: extensions}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// ratlsServer has a certificate that can be exchanged.
func ratlsServer(t *testing.T, first *tls.Certificate, handler http.Handler) (address string, exchange func(*tls.Certificate)) {
	t.Helper()
	var current atomic.Pointer[tls.Certificate]
	current.Store(first)
	server := httptest.NewUnstartedServer(handler)
	server.TLS = &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return current.Load(), nil }, Certificates: []tls.Certificate{*first}}
	server.TLS.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		return &tls.Config{Certificates: []tls.Certificate{*current.Load()}}, nil
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String(), func(c *tls.Certificate) { current.Store(c) }
}

func TestEvidenceRATLS(t *testing.T) {
	whole := labelled(attest.BackendRATLS, "ks", usedNow)
	unread := labelled(attest.BackendRATLS, "", "unknown")
	good, evil := sgx.Measurement{7}, sgx.Measurement{8}
	refusedBy := func(finding string, bound string) expected {
		return expected{code: 3, verdict: "contraindicated", fails: []string{finding, "cas-tls-peer"}, label: labelled(attest.BackendRATLS, bound, "unknown")}
	}
	for name, c := range map[string]struct {
		certificate func(t *testing.T, p *sgxmint.Platform, key *ecdsa.PrivateKey) *tls.Certificate
		want        expected
	}{
		"OE report": {func(t *testing.T, p *sgxmint.Platform, key *ecdsa.PrivateKey) *tls.Certificate {
			return ratlsCertificate(t, key, oeReport(t, p, good, key.Public()))
		}, expected{verdict: "warning", label: whole, pinned: true, says: "WARN cas-nonce"}},
		"tagged evidence": {func(t *testing.T, p *sgxmint.Platform, key *ecdsa.PrivateKey) *tls.Certificate {
			return ratlsCertificate(t, key, taggedEvidence(t, p, good, key.Public()))
		}, expected{verdict: "warning", label: whole, pinned: true, says: "WARN cas-nonce"}},
		"a stolen certificate": {func(t *testing.T, p *sgxmint.Platform, key *ecdsa.PrivateKey) *tls.Certificate {
			stolen := ratlsCertificate(t, key, oeReport(t, p, good, key.Public()))
			stolen.PrivateKey = newSigner(t)
			return stolen
		}, expected{code: 1, says: "TLS handshake with the CAS"}},
		"a copied OE report": {func(t *testing.T, p *sgxmint.Platform, key *ecdsa.PrivateKey) *tls.Certificate {
			return ratlsCertificate(t, newSigner(t), oeReport(t, p, good, key.Public()))
		}, refusedBy("cas-binding", "")},
		"copied tagged evidence": {func(t *testing.T, p *sgxmint.Platform, key *ecdsa.PrivateKey) *tls.Certificate {
			return ratlsCertificate(t, newSigner(t), taggedEvidence(t, p, good, key.Public()))
		}, refusedBy("cas-binding", "")},
		"another enclave with this key": {func(t *testing.T, p *sgxmint.Platform, key *ecdsa.PrivateKey) *tls.Certificate {
			return ratlsCertificate(t, key, oeReport(t, p, evil, key.Public()))
		}, refusedBy("cas-enclave-identity", "k")},
		"another enclave, tagged": {func(t *testing.T, p *sgxmint.Platform, key *ecdsa.PrivateKey) *tls.Certificate {
			return ratlsCertificate(t, key, taggedEvidence(t, p, evil, key.Public()))
		}, refusedBy("cas-enclave-identity", "k")},
		"no extension": {func(t *testing.T, _ *sgxmint.Platform, key *ecdsa.PrivateKey) *tls.Certificate {
			return ratlsCertificate(t, key, nil)
		}, expected{code: 3, verdict: "contraindicated", fails: []string{"cas-quote", "cas-tls-peer"}, label: unread, says: "no RA-TLS extension"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAttestation(t)
			address, _ := ratlsServer(t, c.certificate(t, a.cas.platform, newSigner(t)), http.NotFoundHandler())
			a.expect(t, c.want, append(a.trust(), "--evidence", "ra-tls", address)...)
		})
	}
}

// After a CAS is known by its key, nobody with another key is talked to, not even the
// same enclave.
func TestEvidenceRATLSIsPinned(t *testing.T) {
	a := newAttestation(t)
	var asked atomic.Int32
	session := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		fmt.Fprintf(w, `{"hash":%q,"session":"version: \"0.3.11\"\nname: db\n"}`, strings.Repeat("ab", 32))
	})
	key, other := newSigner(t), newSigner(t)
	first := ratlsCertificate(t, key, oeReport(t, a.cas.platform, sgx.Measurement{7}, key.Public()))
	address, exchange := ratlsServer(t, first, session)
	a.expect(t, expected{verdict: "warning", label: labelled(attest.BackendRATLS, "ks", usedNow), pinned: true}, append(a.trust(), "--evidence", "ra-tls", address)...)
	get := func() (int, string) {
		code, out, errOut := main("", "session", "get", "db", "--cas", address)
		return code, out + errOut
	}
	if code, text := get(); code != 0 || !strings.Contains(text, "name: db") {
		t.Errorf("the attested CAS: exit %d\n%s", code, text)
	}
	exchange(ratlsCertificate(t, key, nil)) // renewed: the key is what counts
	if code, text := get(); code != 0 {
		t.Errorf("another certificate of the same key: exit %d\n%s", code, text)
	}
	before := asked.Load()
	for name, stranger := range map[string]*tls.Certificate{
		"the same enclave":    ratlsCertificate(t, other, oeReport(t, a.cas.platform, sgx.Measurement{7}, other.Public())),
		"a copied report":     ratlsCertificate(t, other, oeReport(t, a.cas.platform, sgx.Measurement{7}, key.Public())),
		"a certificate alone": {Certificate: first.Certificate, PrivateKey: other},
	} {
		exchange(stranger)
		if code, text := get(); code == 0 || strings.Contains(text, "name: db") {
			t.Errorf("%s: exit %d\n%s", name, code, text)
		}
	}
	if asked.Load() != before {
		t.Error("a stranger was asked for a session")
	}
}

func TestClientOfAKey(t *testing.T) {
	key, other := newSigner(t), newSigner(t)
	address, exchange := ratlsServer(t, ratlsCertificate(t, key, nil), http.NotFoundHandler())
	client, err := cas.NewClient(func(ctx context.Context) (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "tcp", address) }, attest.Anchor{Key: spki(t, key.Public())}, selfSigned(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Session(t.Context(), "db"); err == nil || !strings.Contains(err.Error(), "HTTP status 404") {
		t.Errorf("with its key: got %v, want an answer", err)
	}
	client.Close()
	exchange(ratlsCertificate(t, other, nil))
	if _, err := client.Session(t.Context(), "db"); err == nil || !strings.Contains(err.Error(), "another key than the attested CAS") {
		t.Errorf("with another key: got %v", err)
	}
	if _, err := cas.NewClient(nil, attest.Anchor{}, selfSigned(t)); err == nil {
		t.Error("a client for nobody was made")
	}
}

// sconeCLI is a program in place of SCONE's. It notes how it was called, and does what
// body says when it shall attest.
func (a *attestation) sconeCLI(t *testing.T, body string, chain []byte) string {
	t.Helper()
	certificates := a.write(t, "shown.pem", chain)
	notes := filepath.Join(a.folder, "notes")
	if err := os.MkdirAll(notes, 0o700); err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf(`#!/bin/sh
printf '%%s\n' "$@" > '%[1]s'/"$2".arguments
printf '%%s' "$SCONE_CLI_CONFIG" > '%[1]s'/"$2".config
stat -c %%a "$(dirname "$SCONE_CLI_CONFIG")" > '%[1]s'/"$2".mode
env > '%[1]s'/"$2".environment
case "$2" in
attest)
	echo pinned > "$SCONE_CLI_CONFIG"
	%[2]s
	;;
show-certificate)
	test "$(cat "$SCONE_CLI_CONFIG")" = pinned || exit 9
	cat '%[3]s'
	;;
*) exit 8 ;;
esac
`, notes, body, certificates)
	path := a.write(t, "scone", []byte(script))
	if err := os.Chmod(path, 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func (a *attestation) note(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(a.folder, "notes", name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

func TestEvidenceSCONECLI(t *testing.T) {
	a := newAttestation(t)
	program := a.sconeCLI(t, "echo 'CAS is trustworthy'", a.cas.chain)
	signer := strings.Repeat("10", 32)
	policy := a.write(t, "policy.yaml", []byte("kind: confidb.policy/v1\ncas: {mrenclave: ["+a.measured+"], signer: {mrsigner: "+signer+", isvprodid: 41316, min-isvsvn: 5}}\naccept-tcb: [SWHardeningNeeded]\naccept-advisories: [INTEL-SA-00615, INTEL-SA-00657]\n"))
	a.expect(t, expected{verdict: "warning", label: labelled(attest.BackendCLI, "s", "unknown"), pinned: true, says: "WARN cas-delegated"},
		"--evidence", "scone-cli", "--scone-cli", program, "--policy", policy, a.address)
	arguments := strings.Split(a.note(t, "attest.arguments"), "\n")
	want := []string{"cas", "attest", "--mrenclave", a.measured, "--mrsigner", signer, "--isvprodid", "41316", "--isvsvn", "5", "--accept-sw-hardening-needed", "--ignore-advisories", "INTEL-SA-00615,INTEL-SA-00657", "--fail-on-any-advisory"}
	if diff := cmp.Diff(want, arguments[:len(arguments)-1]); diff != "" {
		t.Errorf("called with (-want +got):\n%s", diff)
	}
	if host, port, err := net.SplitHostPort(arguments[len(arguments)-1]); err != nil || host != "127.0.0.1" || strings.HasSuffix(a.address, ":"+port) {
		t.Errorf("the address: got %s (%v), want a port that is relayed", arguments[len(arguments)-1], err)
	}
	if shown := a.note(t, "show-certificate.arguments"); shown != "cas\nshow-certificate" {
		t.Errorf("called with %q", shown)
	}
	a.wantPrivateConfig(t)
	pin, err := (record.Store{Dir: filepath.Join(a.folder, "home")}).Pin(a.address)
	if err != nil || pin.Backend != attest.BackendCLI || !bytes.Equal(pin.Report, a.cas.chain) {
		t.Errorf("kept %+v, %v, want what show-certificate printed", pin, err)
	}
}

// wantPrivateConfig wants both calls to have had one configuration, of the user's
// alone, which is gone, and the environment to hold no secret.
func (a *attestation) wantPrivateConfig(t *testing.T) {
	t.Helper()
	config := a.note(t, "attest.config")
	if shown := a.note(t, "show-certificate.config"); config == "" || shown != config {
		t.Errorf("the configurations: got %q and %q, want the same", config, shown)
	}
	if mode := a.note(t, "attest.mode"); mode != "700" {
		t.Errorf("the folder of the configuration has mode %s, want 700", mode)
	}
	if _, err := os.Stat(filepath.Dir(config)); !os.IsNotExist(err) {
		t.Errorf("the configuration is still there: %v", err)
	}
	wantNoSecret(t, a.note(t, "attest.environment")+a.note(t, "attest.arguments"), a.secret(t))
}

func TestEvidenceSCONECLIRefuses(t *testing.T) {
	stranger := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: selfSigned(t).Certificate[0]})
	for name, c := range map[string]struct {
		body    string
		chain   func(a *attestation) []byte
		timeout string
		want    expected
	}{
		"it refuses":       {`printf '\033[31mError:\033[0m no\rCAS is trustworthy\a\n' >&2; exit 1`, nil, "1m", expected{code: 1, says: "cas attest: exit status 1; it says: Error: no CAS is trustworthy\n"}},
		"it says nothing":  {`exit 7`, nil, "1m", expected{code: 1, says: "exit status 7\n"}},
		"it says verdicts": {`exit 5`, nil, "1m", expected{code: 1, says: "exit status 5\n"}}, // ours for simulated
		"no certificate":   {`true`, func(*attestation) []byte { return []byte("none\n") }, "1m", expected{code: 1, says: "no PEM certificate"}},
		"an empty answer":  {`true`, func(*attestation) []byte { return nil }, "1m", expected{code: 1, says: "no PEM certificate"}},
		"another CAS":      {`true`, func(*attestation) []byte { return stranger }, "1m", refusal("cas-tls-peer", labelled(attest.BackendCLI, "", "unknown"))},
		"it hangs":         {`exec sleep 60`, nil, "2s", expected{code: 124, says: "deadline exceeded"}},
		"its child hangs":  {`sleep 15; true`, nil, "2s", expected{code: 124, says: "deadline exceeded"}},
		"it lost its file": {`rm "$SCONE_CLI_CONFIG"`, nil, "1m", expected{code: 1, says: "cas show-certificate: exit status 9"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAttestation(t)
			chain := a.cas.chain
			if c.chain != nil {
				chain = c.chain(a)
			}
			program := a.sconeCLI(t, c.body, chain)
			a.expect(t, c.want, "--evidence", "scone-cli", "--scone-cli", program, "--cas-mrenclave", a.measured, "--timeout", c.timeout, a.address)
			if _, err := os.Stat(filepath.Dir(a.note(t, "attest.config"))); !os.IsNotExist(err) {
				t.Errorf("the configuration is still there: %v", err)
			}
		})
	}
}

// numbered signs the collateral once more with other evaluation numbers.
func (a *attestation) numbered(t *testing.T, tcb, qe int) {
	t.Helper()
	files, err := a.authority.CollateralFiles(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	number := regexp.MustCompile(`"tcbEvaluationDataNumber":\d+`)
	for name, c := range map[string]struct {
		member string
		number int
	}{"tcbInfo.json": {"tcbInfo", tcb}, "qeIdentity.json": {"enclaveIdentity", qe}} {
		var document map[string]json.RawMessage
		if err := json.Unmarshal(files[name], &document); err != nil {
			t.Fatal(err)
		}
		signed, err := a.authority.Sign(c.member, number.ReplaceAll(document[c.member], fmt.Appendf(nil, `"tcbEvaluationDataNumber":%d`, c.number)))
		if err != nil {
			t.Fatal(err)
		}
		a.write(t, name, signed)
	}
}

// remembered is the memory as a file.
func (a *attestation) remembered(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(a.folder, "home", "memory.json"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(text)
}

// forget removes the pins, to see whether the next run keeps one.
func (a *attestation) forget(t *testing.T) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(a.folder, "home", "cas")); err != nil {
		t.Fatal(err)
	}
}

func TestCollateralMustNotGoBack(t *testing.T) {
	a := newAttestation(t)
	whole := labelled(attest.BackendReport, "kns", fresh)
	for _, step := range []struct {
		tcb, qe int
		fails   string
	}{
		{17, 15, ""}, {17, 15, ""}, {16, 15, "tcb-info-rollback"}, {17, 14, "qe-identity-rollback"}, {18, 14, "qe-identity-rollback"}, {17, 15, ""}, {18, 16, ""}, {17, 16, "tcb-info-rollback"},
	} {
		a.forget(t)
		a.numbered(t, step.tcb, step.qe)
		want, before := expected{verdict: "affirming", label: whole, pinned: true}, a.remembered(t)
		if step.fails != "" {
			want = refusal(step.fails, whole)
		}
		a.expect(t, want, append(a.trust(), a.address)...)
		if after := a.remembered(t); step.fails != "" && after != before {
			t.Errorf("a refused CAS changed the memory from %s to %s", before, after)
		}
	}
}

// A CAS that is refused for another reason teaches nothing, however new its collateral.
func TestARefusedCASTeachesNothing(t *testing.T) {
	a := newAttestation(t)
	a.numbered(t, 99, 99)
	isolate(t, a.folder)
	measured := a.measured
	a.measured = sgx.Measurement{8}.String()
	if code, out, _ := main("", append([]string{"attest", "cas", a.address}, a.trust()...)...); code != 3 || a.remembered(t) != "" {
		t.Errorf("exit %d, and remembered %s\n%s", code, a.remembered(t), out)
	}
	a.measured = measured
	a.numbered(t, 17, 15)
	a.expect(t, expected{verdict: "affirming", label: labelled(attest.BackendReport, "kns", fresh), pinned: true}, append(a.trust(), a.address)...)
}

func TestTheClockMustNotGoBack(t *testing.T) {
	whole := labelled(attest.BackendReport, "kns", fresh)
	for name, c := range map[string]struct {
		ahead time.Duration // of the earlier run
		want  expected
	}{
		"an hour":           {time.Hour, expected{code: 4, verdict: "none", label: whole}},
		"a minute, by skew": {time.Minute, expected{verdict: "affirming", label: whole, pinned: true}},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAttestation(t)
			a.expect(t, expected{verdict: "affirming", label: whole, pinned: true}, append(a.trust(), a.address)...)
			a.forget(t)
			latest := regexp.MustCompile(`"latest": "[^"]*"`)
			later := latest.ReplaceAllString(a.remembered(t), fmt.Sprintf(`"latest": %q`, time.Now().Add(c.ahead).UTC().Format(time.RFC3339)))
			a.write(t, "home/memory.json", []byte(later))
			a.expect(t, c.want, append(a.trust(), a.address)...)
		})
	}
}

func TestAMemoryThatCannotBeRead(t *testing.T) {
	for name, text := range map[string]string{"no JSON": "{", "another kind": `{"kind":"confidb.release/v1"}`, "empty": ""} {
		t.Run(name, func(t *testing.T) {
			a := newAttestation(t)
			isolate(t, a.folder)
			a.secret(t) // makes the folder
			a.write(t, "home/memory.json", []byte(text))
			a.expect(t, expected{code: 1, says: "reading what was seen earlier"}, append(a.trust(), a.address)...)
			if a.remembered(t) != text {
				t.Error("it was replaced")
			}
		})
	}
}
