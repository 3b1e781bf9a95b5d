package mariadb

import (
	"crypto/tls"
	"crypto/x509"
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/mysql"
)

func TestCiphers(t *testing.T) {
	for list, want := range map[string]check.Outcome{
		"TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305": check.Pass,
		"ECDHE-RSA-AES128-GCM-SHA256, DHE-RSA-AES256-CCM8 ECDHE-ECDSA-AES128-CCM:DHE-RSA-CHACHA20-POLY1305":               check.Pass,
		"ECDHE-ARIA256-GCM-SHA384:!aNULL:-RC4-SHA:@STRENGTH:@SECLEVEL=2":                                                  check.Pass,
		"ECDHE+AESGCM:DHE+CHACHA20:!PSK": check.Pass,
		"":                               check.Fail,
		":":                              check.Fail,
		"ECDHE-ECDSA-AES256-SHA384":      check.Fail,
		"AES256-GCM-SHA384":              check.Fail, // no forward secrecy
		"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-SHA": check.Fail,
		"ADH-AES256-GCM-SHA384":                              check.Fail,
		"PSK-CHACHA20-POLY1305":                              check.Fail,
		"ECDHE-ECDSA-NULL-SHA":                               check.Fail,
		"xECDHE-ECDSA-AES256-GCM-SHA384":                     check.Fail,
		"ECDHE-ECDSA-AES256-GCM-SHA384x":                     check.Fail,
		"TLS_RSA_WITH_AES_128_CBC_SHA":                       check.Fail,
		"HIGH":                                               check.Skip,
		"DEFAULT:!aNULL":                                     check.Skip,
		"ECDHE-ECDSA-AES256-GCM-SHA384:@SECLEVEL=0":          check.Skip,
		"RSA+AESGCM":                                         check.Skip,
		"ECDHE+AESGCM+X":                                     check.Skip,
		"!aNULL:@SECLEVEL=2":                                 check.Fail,
	} {
		if got := judgeCiphers(list, ""); got.outcome != want {
			t.Errorf("%q: got %v (%s%s), want %v", list, got.outcome, got.got, got.reason, want)
		}
	}
}

// TestVersions judges what the server says of its versions where every old offer was refused.
func TestVersions(t *testing.T) {
	for versions, want := range map[string]check.Outcome{
		"TLSv1.2,TLSv1.3": check.Pass, "TLSv1.3": check.Pass, "TLSv1.2": check.Pass, "TLSv1.3, TLSv1.2": check.Pass,
		"": check.Fail, "TLSv1.1,TLSv1.2,TLSv1.3": check.Fail, "TLSv1.0": check.Fail, "TLSv1": check.Fail, "TLSv1.2,SSLv3": check.Fail, "tlsv1.2": check.Fail,
	} {
		seen := settled(map[string]variable{"tls_version": {Value: versions}, "ssl_cipher": {Value: "TLS_AES_256_GCM_SHA384"}})
		if got := decideOldTLS(seen); got.outcome != want {
			t.Errorf("%q: got %v (%s%s), want %v", versions, got.outcome, got.got, got.reason, want)
		}
	}
	for _, missing := range []string{"tls_version", "ssl_cipher"} {
		variables := map[string]variable{"tls_version": {Value: "TLSv1.3"}, "ssl_cipher": {Value: "TLS_AES_256_GCM_SHA384"}}
		delete(variables, missing)
		if got := decideOldTLS(settled(variables)); got.outcome != check.Skip || !strings.Contains(got.reason, missing) {
			t.Errorf("without %s: got %+v, want a skip that names it", missing, got)
		}
	}
}

// settled is an observation over a connection on which both ends agree.
func settled(variables map[string]variable) *Observation {
	leaf := &x509.Certificate{}
	seen := &Observation{login: mysql.Attempt{Stage: mysql.LoggedIn, Greeting: &mysql.Greeting{ConnectionID: 7},
		TLS: &tls.ConnectionState{CipherSuite: tls.TLS_AES_256_GCM_SHA384, PeerCertificates: []*x509.Certificate{leaf}}}}
	seen.answers.Session.Value.ConnectionID = 7
	seen.answers.Status.Value = map[string]string{"Ssl_cipher": "TLS_AES_256_GCM_SHA384", "Ssl_server_not_after": "Jan  1 00:00:00 0001 GMT"}
	seen.answers.Variables.Value = variables
	return seen
}
