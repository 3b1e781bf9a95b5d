package admin

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/confidb/confidb/pkg/mariadb/mariadbtest"
)

// A client's certificate is neither needed nor looked at, and the server's is read at each
// handshake.
func TestCertificates(t *testing.T) {
	ours, err := mariadbtest.NewAuthority("ours")
	if err != nil {
		t.Fatal(err)
	}
	other, err := mariadbtest.NewAuthority("another")
	if err != nil {
		t.Fatal(err)
	}
	first, err := ours.Server("first", "admin.test")
	if err != nil {
		t.Fatal(err)
	}
	second, err := ours.Server("second", "admin.test")
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := other.Client("stranger")
	if err != nil {
		t.Fatal(err)
	}
	var current atomic.Pointer[tls.Certificate]
	current.Store(&first)
	s := newSite(t, first.PrivateKey.(*ecdsa.PrivateKey))
	server := httptest.NewUnstartedServer(s)
	server.TLS = TLS(func() (*tls.Certificate, error) { return current.Load(), nil })
	server.StartTLS()
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(ours.Certificate)
	ask := func(path string, shows ...tls.Certificate) (*http.Response, error) {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "admin.test", Certificates: shows}}}
		r, err := http.NewRequest("GET", server.URL+"/v1/"+path, nil)
		if err != nil {
			return nil, err
		}
		r.SetBasicAuth("root", "root-pw")
		return client.Do(r)
	}
	for name, shows := range map[string][]tls.Certificate{"none": nil, "another CA's": {stranger}} {
		answer, err := ask("servers", shows...)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusOK || answer.TLS.PeerCertificates[0].Subject.CommonName != "first" {
			t.Errorf("with a certificate of %s: %s", name, answer.Status)
		}
	}
	current.Store(&second)
	answer, err := ask("auth")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var document struct{ Meta struct{ Token string } }
	if err := json.NewDecoder(answer.Body).Decode(&document); err != nil || document.Meta.Token == "" {
		t.Errorf("%+v, %v", document, err)
	}
	if got := answer.TLS.PeerCertificates[0].Subject.CommonName; got != "second" {
		t.Errorf("after the change of the certificate %s is shown", got)
	}
}
