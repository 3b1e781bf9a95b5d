package cas_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/cas"
)

// issuer is a certificate with its key.
type issuer struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func issue(t *testing.T, name string, ca bool, parent *issuer) *issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, BasicConstraintsValid: true, IsCA: ca,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	if ca {
		template.KeyUsage = x509.KeyUsageCertSign
	} else {
		template.DNSNames = []string{"cas", "localhost"}
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	}
	self := &issuer{template, key}
	if parent == nil {
		parent = self
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent.certificate, key.Public(), parent.key)
	if err != nil {
		t.Fatal(err)
	}
	if self.certificate, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return self
}

// chain is a CAS as documentation describes it: software root, instance, leaf.
type chain struct{ root, instance, leaf *issuer }

func newChain(t *testing.T, root *issuer) chain {
	if root == nil {
		root = issue(t, "cas", true, nil)
	}
	instance := issue(t, "cas-instance", true, root)
	return chain{root, instance, issue(t, "cas", false, instance)}
}

func (c chain) attested() []*x509.Certificate {
	return []*x509.Certificate{c.instance.certificate, c.root.certificate}
}

func (c chain) peer() []*x509.Certificate {
	return append([]*x509.Certificate{c.leaf.certificate}, c.attested()...)
}

// serve starts a TLS server with the chain's leaf and returns a dialer to it.
func (c chain) serve(t *testing.T, handler http.HandlerFunc) cas.Dialer {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = nil
	var raw [][]byte
	for _, certificate := range c.peer() {
		raw = append(raw, certificate.Raw)
	}
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: raw, PrivateKey: c.leaf.key}}, ClientAuth: tls.RequestClientCert}
	server.StartTLS()
	t.Cleanup(server.Close)
	address := server.Listener.Addr().String()
	return func(ctx context.Context) (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "tcp", address) }
}

func TestCheckPeer(t *testing.T) {
	genuine := newChain(t, nil)
	stranger := newChain(t, nil)
	sibling := newChain(t, genuine.root)
	for name, c := range map[string]struct {
		peer, attested []*x509.Certificate
		at             time.Time
		want           string
	}{
		"the attested CAS":                   {genuine.peer(), genuine.attested(), time.Now(), ""},
		"only its leaf is sent":              {genuine.peer()[:1], genuine.attested(), time.Now(), ""},
		"a proxy with its own chain":         {stranger.peer(), genuine.attested(), time.Now(), "not issued by the attested CAS"},
		"another instance of the same root":  {sibling.peer(), genuine.attested(), time.Now(), "not issued by the attested CAS"},
		"the right leaf and a foreign chain": {[]*x509.Certificate{genuine.leaf.certificate, stranger.root.certificate}, genuine.attested(), time.Now(), "not part of the attested chain"},
		"an expired leaf":                    {genuine.peer(), genuine.attested(), time.Now().Add(2 * time.Hour), "expired"},
		"a leaf of tomorrow":                 {genuine.peer(), genuine.attested(), time.Now().Add(-48 * time.Hour), "not valid yet"},
		"expired, and a foreign chain":       {[]*x509.Certificate{genuine.leaf.certificate, stranger.root.certificate}, genuine.attested(), time.Now().Add(2 * time.Hour), "not part of the attested chain"},
		"an expired leaf of a stranger":      {stranger.peer(), genuine.attested(), time.Now().Add(2 * time.Hour), "not issued by the attested CAS"},
		"no certificate":                     {nil, genuine.attested(), time.Now(), "no certificate"},
		"nothing attested":                   {genuine.peer(), nil, time.Now(), "no certificate chain"},
	} {
		t.Run(name, func(t *testing.T) { wantError(t, attest.Anchor{Chain: c.attested}.CheckPeer(c.peer, c.at), c.want) })
	}
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("got %v, want no error", err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("got %v, want an error with %q", err, want)
	}
}

func TestFetchEvidence(t *testing.T) {
	c := newChain(t, nil)
	dial := c.serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/attest" || r.URL.Query().Get("nonce") != "0102030000000000000000000000000f" {
			http.Error(w, `{"msg":["no such nonce"]}`, http.StatusBadRequest)
			return
		}
		io.WriteString(w, `{"exactly":  "these bytes"}`)
	})
	contact, err := cas.FetchEvidence(t.Context(), dial, [16]byte{1, 2, 3, 15: 15})
	if err != nil {
		t.Fatal(err)
	}
	if string(contact.Report) != `{"exactly":  "these bytes"}` || len(contact.PeerChain) != 3 || !contact.PeerChain[0].Equal(c.leaf.certificate) {
		t.Errorf("got report %q and a chain of %d", contact.Report, len(contact.PeerChain))
	}
	_, err = cas.FetchEvidence(t.Context(), dial, [16]byte{})
	wantError(t, err, "HTTP status 400; peer says: no such nonce")
}

func TestAnswersAreBounded(t *testing.T) {
	dial := newChain(t, nil).serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Write(make([]byte, 5<<20))
	})
	_, err := cas.FetchEvidence(t.Context(), dial, [16]byte{})
	wantError(t, err, "longer than")
}

func TestClient(t *testing.T) {
	c := newChain(t, nil)
	const hash = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
	dial := c.serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case len(r.TLS.PeerCertificates) == 0:
			http.Error(w, "who are you?", http.StatusForbidden)
		case r.URL.Path == "/session":
			w.WriteHeader(http.StatusCreated)
			io.WriteString(w, `{"hash":"`+hash+`"}`)
		case r.URL.Path == "/v1/sessions/ns/db":
			io.WriteString(w, `{"hash":"`+hash+`","session":"name: ns/db"}`)
		case r.URL.Path == "/v1/sessions/odd":
			io.WriteString(w, `{"hash":"short","session":"x"}`)
		case r.URL.Path == "/v1/values/session=ns/db,session_hash="+hash+",secret=ca":
			io.WriteString(w, `{"kind":"x509","value":"PEM"}`)
		default:
			w.WriteHeader(http.StatusNotFound)
			io.WriteString(w, "{\"msg\":[\"no\\nsuch\\u001b[2Jthing\"]}")
		}
	})
	user := issue(t, "user", false, nil)
	client, err := cas.NewClient(dial, attest.Anchor{Chain: c.attested()}, tls.Certificate{Certificate: [][]byte{user.certificate.Raw}, PrivateKey: user.key})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if got, err := client.CreateSession(t.Context(), []byte("name: ns/db")); err != nil || got != hash {
		t.Errorf("CreateSession = %q, %v", got, err)
	}
	if got, err := client.Session(t.Context(), "ns/db"); err != nil || got.Hash != hash || got.Text != "name: ns/db" {
		t.Errorf("Session = %v, %v", got, err)
	}
	if got, err := client.PublicValue(t.Context(), "ns/db", hash, "ca"); err != nil || got != "PEM" {
		t.Errorf("PublicValue = %q, %v", got, err)
	}
	_, err = client.Session(t.Context(), "odd")
	wantError(t, err, "want 64 hexadecimal digits")
	_, err = client.Session(t.Context(), "missing")
	if !errors.Is(err, cas.ErrNotFound) {
		t.Errorf("a missing session: got %v, want ErrNotFound", err)
	}
	if strings.ContainsAny(err.Error(), "\n\x1b") {
		t.Errorf("control characters of the peer reach the terminal: %q", err)
	}
}

func TestClientRefusesAnotherCAS(t *testing.T) {
	root := issue(t, "cas", true, nil)
	attested, other := newChain(t, root), newChain(t, root)
	dial := other.serve(t, func(w http.ResponseWriter, _ *http.Request) { t.Error("the request reached the other CAS") })
	client, err := cas.NewClient(dial, attest.Anchor{Chain: attested.attested()}, tls.Certificate{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.CreateSession(t.Context(), []byte("secret policy"))
	wantError(t, err, "certificate")
}
