package confidb_test

import (
	"bytes"
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/internal/sgxmint"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/plugin/confidb"
)

// testCAS answers as a CAS on a minted platform does.
type testCAS struct {
	platform *sgxmint.Platform
	chain    []byte // PEM of what the evidence vouches for
	replay   []byte // an old report, sent instead of a fresh one
	identity tls.Certificate
	kind     string                // of additional_data; empty is version 1
	extra    string                // more members of additional_data, each with a comma after it
	rewrite  func(r []byte) []byte // changes a report after it was signed
}

func (c *testCAS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if c.replay != nil {
		w.Write(c.replay)
		return
	}
	chain, err := json.Marshal(string(c.chain))
	if err != nil {
		panic(err)
	}
	additional := fmt.Appendf(nil, `{"type":%q,%s"nonce":%q,"cert_chain":%s}`, cmp.Or(c.kind, "CasAttestationDataV1"), c.extra, r.URL.Query().Get("nonce"), chain)
	quote, err := c.platform.Quote(sgx.ReportBody{MRENCLAVE: sgx.Measurement{7}, Attributes: [16]byte{5}, ReportData: sha512.Sum512(additional)})
	if err != nil {
		panic(err)
	}
	report := fmt.Appendf(nil, `{"proof_data":{"type":"DCAPQuote","quote":%q},"additional_data":%s}`, base64.StdEncoding.EncodeToString(quote), additional)
	if c.rewrite != nil {
		report = c.rewrite(report)
	}
	w.Write(report)
}

// selfSigned is an instance of its own: its one certificate is leaf and authority.
func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "cas"}, DNSNames: []string{"cas"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func serve(t *testing.T, identity tls.Certificate, handler http.Handler) string {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{identity}}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// attestation is a CAS and what a user has who wants to attest it.
type attestation struct {
	authority *sgxmint.Authority
	cas       *testCAS
	address   string
	folder    string
	measured  string
}

func newAttestation(t *testing.T) *attestation {
	t.Helper()
	authority, err := sgxmint.NewAuthority(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	platform, err := sgxmint.NewPlatform(authority, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	a := &attestation{authority: authority, folder: t.TempDir(), measured: sgx.Measurement{7}.String()}
	a.collateral(t, time.Now())
	identity := selfSigned(t)
	a.cas = &testCAS{platform: platform, identity: identity, chain: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: identity.Certificate[0]})}
	a.address = serve(t, identity, a.cas)
	return a
}

// collateral writes what was issued at a time.
func (a *attestation) collateral(t *testing.T, issued time.Time) {
	t.Helper()
	files, err := a.authority.CollateralFiles(issued)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		a.write(t, name, text)
	}
}

// write makes a file in the user's folder and returns its path.
func (a *attestation) write(t *testing.T, name string, text []byte) string {
	t.Helper()
	path := filepath.Join(a.folder, name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// run attests and returns the exit code and what was printed.
func (a *attestation) run(t *testing.T, extra ...string) (code int, out, errOut string) {
	t.Helper()
	t.Setenv("CONFIDB_HOME", filepath.Join(a.folder, "home"))
	t.Setenv("CAS_MRENCLAVE", "")
	t.Setenv("KUBECONFIG", filepath.Join(a.folder, "no-kubeconfig"))
	streams, _, stdout, stderr := genericiooptions.NewTestIOStreams()
	arguments := append([]string{"attest", "cas", a.address, "--cas-mrenclave", a.measured, "--collateral", a.folder, "--sgx-root-ca", filepath.Join(a.folder, "trustedRootCaCert.pem")}, extra...)
	code = confidb.Main(arguments, streams)
	return code, stdout.String(), stderr.String()
}

func (a *attestation) pinned(t *testing.T) bool {
	t.Helper()
	pins, err := filepath.Glob(filepath.Join(a.folder, "home", "cas", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	return len(pins) == 1
}

func TestAttestCASRefuses(t *testing.T) {
	t.Run("another measurement", func(t *testing.T) {
		a := newAttestation(t)
		a.measured = sgx.Measurement{8}.String()
		a.wantRefusal(t, "cas-enclave-identity")
	})
	t.Run("replayed evidence", func(t *testing.T) {
		a := newAttestation(t)
		recorder := httptest.NewRecorder()
		a.cas.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/v1/attest?nonce=00112233445566778899aabbccddeeff", nil))
		a.cas.replay = recorder.Body.Bytes()
		a.wantRefusal(t, "cas-nonce")
	})
	t.Run("a proxy that ends TLS", func(t *testing.T) {
		a := newAttestation(t)
		target, err := url.Parse("https://" + a.address)
		if err != nil {
			t.Fatal(err)
		}
		proxy := httputil.NewSingleHostReverseProxy(target)
		proxy.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // the attacker does not care
		a.address = serve(t, selfSigned(t), proxy)
		a.wantRefusal(t, "cas-tls-peer")
	})
	t.Run("Intel's root", func(t *testing.T) {
		a := newAttestation(t)
		t.Setenv("CONFIDB_HOME", filepath.Join(a.folder, "home"))
		var out bytes.Buffer
		code := confidb.Main([]string{"attest", "cas", a.address, "--cas-mrenclave", a.measured, "--collateral", a.folder}, genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: io.Discard})
		if code != 3 || !strings.Contains(out.String(), "FAIL cas-quote") || a.pinned(t) {
			t.Errorf("exit %d\n%s", code, out.String())
		}
	})
}

func (a *attestation) wantRefusal(t *testing.T, finding string) {
	t.Helper()
	code, out, errOut := a.run(t, "--accept-simulated")
	if code != 3 || !strings.Contains(out, "FAIL "+finding) || strings.Contains(out, "affirming") {
		t.Errorf("exit %d, want 3 and FAIL %s\n%s%s", code, finding, out, errOut)
	}
	if a.pinned(t) {
		t.Error("the evidence of a refused CAS was kept")
	}
}
