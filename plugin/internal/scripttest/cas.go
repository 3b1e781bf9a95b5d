package scripttest

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
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"time"

	"github.com/confidb/confidb/internal/sgxmint"
	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/lab/cas"
	"github.com/confidb/confidb/pkg/lab/enclave"
	"github.com/confidb/confidb/pkg/lab/las"
	"github.com/confidb/confidb/pkg/record"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/pkg/topology"
)

// measured is the CAS: ca05 and 30 zero bytes.
func measured() sgx.Measurement { return sgx.Measurement{0xca, 5} }

// startCAS starts a CAS of the lab at $CAS. It writes what a user needs to attest it:
// policy.yaml, collateral/ and root.pem; and its chain, cas.pem.
func (w *world) startCAS(arguments []string) error {
	platform, err := sgxmint.NewPlatform(w.authority, w.began)
	if err != nil {
		return err
	}
	platform.QEID = [16]byte(slices.Repeat([]byte{0xca}, 16))
	if err := w.collateral(time.Now()); err != nil {
		return err
	}
	w.live = true
	policy := fmt.Appendf(nil, "kind: confidb.policy/v1\ncas: {mrenclave: %s}\n", measured())
	if err := w.write("", map[string][]byte{"policy.yaml": policy}); err != nil {
		return err
	}
	switch {
	case len(arguments) == 0:
		return w.startLabCAS(platform)
	case arguments[0] == "-ra-tls":
		return w.startRATLS(platform)
	}
	return errors.New("usage: cas [-ra-tls]")
}

func (w *world) startLabCAS(platform *sgxmint.Platform) error {
	ctx, cancel := context.WithCancel(context.Background())
	w.Defer(cancel)
	node, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	rest, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ended := make(chan error, 2)
	go func() { ended <- las.NewServer(platform).Serve(ctx, node) }()
	c, err := cas.Open(ctx, cas.Config{
		Store: w.MkAbs("home/store-of-cas"), LAS: las.NewClient(node.Addr().String()), Version: "6.0.6", RootCA: w.authority.RootPEM(),
		Identity:   enclave.Identity{MRENCLAVE: measured(), MRSIGNER: sgx.Measurement{9}, ISVProdID: 1, ISVSVN: 1},
		Collateral: func() (map[string][]byte, error) { return w.signed(time.Now()) },
		Now:        time.Now, Log: stdlog.New(w.asked["cas"], "", 0),
	})
	if err != nil {
		return err
	}
	go func() { ended <- c.ServeREST(ctx, rest) }()
	w.Defer(func() {
		cancel()
		w.Check(errors.Join(<-ended, <-ended, c.Close()))
	})
	w.Setenv("CAS", rest.Addr().String())
	return w.writeChain(c.Chain()...)
}

func (w *world) writeChain(chain ...*x509.Certificate) error {
	var text bytes.Buffer
	for _, c := range chain {
		if err := pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}); err != nil {
			return err
		}
	}
	return w.write("", map[string][]byte{"cas.pem": text.Bytes()})
}

// startRATLS starts a CAS that is known by its certificate alone: Open Enclave's
// extension (1.3.6.1.4.1.311.105.1) holds a header, the length and a quote with
// SHA-256 of the key.
func (w *world) startRATLS(platform *sgxmint.Platform) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	quote, err := quoteOf(platform, key.Public())
	if err != nil {
		return err
	}
	value := append(binary.LittleEndian.AppendUint64([]byte{1, 0, 0, 0, 2, 0, 0, 0}, uint64(len(quote))), quote...)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: w.began, NotAfter: time.Now().Add(time.Hour),
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 105, 1}, Value: value}},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	server.StartTLS()
	w.Defer(server.Close)
	w.Setenv("CAS", server.Listener.Addr().String())
	return nil
}

func quoteOf(platform *sgxmint.Platform, key crypto.PublicKey) ([]byte, error) {
	spki, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, err
	}
	body := sgx.ReportBody{MRENCLAVE: measured(), Attributes: [16]byte{5}}
	sum := sha256.Sum256(spki)
	copy(body.ReportData[:], sum[:])
	return platform.Quote(body)
}

// saveReport asks the CAS as attest cas does, and saves what it answers.
func (w *world) saveReport(arguments []string) error {
	if len(arguments) != 2 {
		return errors.New("usage: report NONCE FILE")
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} // anybody may ask
	defer client.CloseIdleConnections()
	response, err := client.Get("https://" + w.Getenv("CAS") + "/v1/attest?type=DCAP&nonce=" + arguments[0])
	if err != nil {
		return err
	}
	defer response.Body.Close()
	report, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	return w.write("", map[string][]byte{arguments[1]: report})
}

// leaveRelease creates the two sessions of a release in the namespace default, and
// records them, as install does.
func (w *world) leaveRelease(arguments []string) error {
	if len(arguments) != 3 {
		return errors.New("usage: release NAME CLIENT.yml DATABASE.yml")
	}
	trust := attest.Trust{CAS: attest.Policy{ReferenceValues: attest.ReferenceValues{MRENCLAVEs: []sgx.Measurement{measured()}}}, RootCA: w.authority.RootPEM()}
	var err error
	if trust.Collateral, err = w.signed(time.Now()); err != nil {
		return err
	}
	r := &topology.Release{Name: arguments[0], Namespace: "default", CASAddress: w.Getenv("CAS"), Trust: trust}
	for i, role := range []topology.Role{topology.Client, topology.Database} {
		s, platforms, err := w.create(arguments[i+1])
		if err != nil {
			return err
		}
		r.Members, r.Platforms = append(r.Members, topology.Member{Role: role, Session: s}), platforms
	}
	return (record.Store{Dir: w.Getenv("CONFIDB_HOME")}).SaveRelease(w.Getenv("CLUSTER"), r)
}

// create uploads a session, and returns it and its machines as install would record them.
func (w *world) create(file string) (created topology.Session, platforms []attest.PlatformID, err error) {
	text := w.ReadFile(file)
	s, err := session.Parse(file, []byte(text))
	if err != nil {
		return created, nil, err
	}
	code, hash, errOut := w.run([]string{"session", "create", file, "--cas", w.Getenv("CAS")})
	if code != 0 {
		return created, nil, fmt.Errorf("creating %s: exit %d: %s", file, code, errOut)
	}
	return topology.Session{Name: s.Name, Text: text, Hash: strings.TrimSpace(hash)}, s.Services[0].Platforms, nil
}
