// Package castest is a CAS for tests: a TLS server in this process whose evidence stands
// on a root of sgxmint. It counts what it is asked for, so that a test can show that
// nothing was sent to a CAS that is not accepted.
package castest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/confidb/confidb/internal/sgxmint"
	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/cas"
	"github.com/confidb/confidb/pkg/sgx"
)

// CAS answers at a port of this machine.
type CAS struct {
	// Trust accepts this CAS.
	Trust attest.Trust
	// Chain is its certificate, in PEM.
	Chain []byte
	// Answers are the bodies by path; for any other path there is status 404.
	Answers map[string]string
	// Hold is called with the path before anything else is answered; nil holds nothing.
	Hold func(path string)
	// Rewrite changes a report on its way; nil leaves it.
	Rewrite func(report []byte) []byte

	platform    *sgxmint.Platform
	server      *httptest.Server
	dials, open atomic.Int32
	mutex       sync.Mutex
	asked       []string
}

// Measurement is the MRENCLAVE of every CAS of this package.
func Measurement() sgx.Measurement { return sgx.Measurement{7} }

// New starts a CAS that is genuine at a time, and ends with the test.
func New(t testing.TB, at time.Time) *CAS {
	t.Helper()
	authority := must(sgxmint.NewAuthority(at))(t)
	platform := must(sgxmint.NewPlatform(authority, at))(t)
	c := &CAS{platform: platform, Answers: map[string]string{}}
	c.Trust = attest.Trust{
		CAS:    attest.Policy{ReferenceValues: attest.ReferenceValues{MRENCLAVEs: []sgx.Measurement{Measurement()}}},
		RootCA: authority.RootPEM(), Collateral: must(authority.CollateralFiles(at))(t),
	}
	certificate := c.certify(t, at)
	c.Chain = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]})
	c.server = httptest.NewUnstartedServer(http.HandlerFunc(c.serve))
	c.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	c.server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, ClientAuth: tls.RequestClientCert}
	c.server.StartTLS()
	t.Cleanup(c.server.Close)
	return c
}

func must[T any](value T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// certify makes a TLS certificate that also carries a quote of its key, as Open Enclave
// does for RA-TLS.
func (c *CAS) certify(t testing.TB, at time.Time) tls.Certificate {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	spki := must(x509.MarshalPKIXPublicKey(key.Public()))(t)
	body := enclave()
	bound := sha256.Sum256(spki)
	copy(body.ReportData[:], bound[:])
	quote := must(c.platform.Quote(body))(t)
	value := append(binary.LittleEndian.AppendUint64([]byte{1, 0, 0, 0, 2, 0, 0, 0}, uint64(len(quote))), quote...)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{attest.CASName}, NotBefore: at.Add(-time.Hour), NotAfter: at.AddDate(1, 0, 0),
		ExtKeyUsage:     []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 105, 1}, Value: value}},
	}
	der := must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))(t)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func enclave() sgx.ReportBody {
	return sgx.ReportBody{MRENCLAVE: Measurement(), MRSIGNER: sgx.Measurement{8}, ISVSVN: 5, Attributes: [16]byte{5}}
}

// Report is the evidence that answers a nonce.
func (c *CAS) Report(nonce [16]byte) ([]byte, error) {
	report, err := c.platform.CASReport(enclave(), nonce, c.Chain)
	if err == nil && c.Rewrite != nil {
		report = c.Rewrite(report)
	}
	return report, err
}

func (c *CAS) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/v1/attest" {
		nonce, err := hex.DecodeString(r.URL.Query().Get("nonce"))
		if err != nil || len(nonce) != 16 {
			http.Error(w, "no nonce", http.StatusBadRequest)
			return
		}
		report, err := c.Report([16]byte(nonce))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Write(report)
		return
	}
	c.mutex.Lock()
	c.asked = append(c.asked, r.URL.Path)
	c.mutex.Unlock()
	if c.Hold != nil {
		c.Hold(r.URL.Path)
	}
	answer, ok := c.Answers[r.URL.Path]
	if !ok {
		http.Error(w, `{"msg":["there is none"]}`, http.StatusNotFound)
		return
	}
	io.WriteString(w, answer)
}

// Asked are the paths of all requests but those for evidence.
func (c *CAS) Asked() []string {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.asked
}

// Dial makes a dialer for this CAS, whatever the address.
func (c *CAS) Dial(context.Context, string) (cas.Dialer, func(), error) {
	c.dials.Add(1)
	c.open.Add(1)
	close := sync.OnceFunc(func() { c.open.Add(-1) })
	return func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", c.server.Listener.Addr().String())
	}, close, nil
}

// Dials is how often somebody wanted to reach this CAS.
func (c *CAS) Dials() int { return int(c.dials.Load()) }

// Open is how many have not closed what Dial gave them.
func (c *CAS) Open() int { return int(c.open.Load()) }
