package maxscale

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/lab/maxscale/settings"
)

// mostFile bounds a file of certificates or a key, in bytes.
const mostFile = 1 << 20

// read reads a file that the configuration names.
func read(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.Size() > mostFile {
		return nil, fmt.Errorf("%s has more than %d bytes", name, mostFile)
	}
	return os.ReadFile(name)
}

// common is what both ends of TLS have: the own certificate with the CA's behind it, as
// OpenSSL sends it, and the versions.
func common(s settings.Section) (*tls.Config, *x509.CertPool, error) {
	made, pool := &tls.Config{MinVersion: tls.VersionTLS12}, x509.NewCertPool()
	if versions := s.Versions("ssl_version"); len(versions) > 0 {
		made.MinVersion, made.MaxVersion = slices.Min(versions), slices.Max(versions)
	}
	var err error
	if made.CipherSuites, err = suites(s.Text("ssl_cipher")); err != nil {
		return nil, nil, fmt.Errorf("(%s); ssl_cipher: %w", s.Name, err)
	}
	var behind [][]byte
	if name := s.Text("ssl_ca"); name != "" {
		text, err := read(name)
		if err != nil {
			return nil, nil, err
		}
		if !pool.AppendCertsFromPEM(text) {
			return nil, nil, fmt.Errorf("%s: ssl_ca holds no certificate", s.Name)
		}
		for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
			behind = append(behind, block.Bytes)
		}
	}
	if s.Text("ssl_cert") == "" {
		return made, pool, nil
	}
	certificate, err := read(s.Text("ssl_cert"))
	key, wrong := read(s.Text("ssl_key"))
	if err := errors.Join(err, wrong); err != nil {
		return nil, nil, err
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", s.Name, err)
	}
	if len(pair.Certificate) == 1 {
		pair.Certificate = append(pair.Certificate, behind...)
	}
	made.Certificates = []tls.Certificate{pair}
	return made, pool, nil
}

// suites are the cipher suites of TLS 1.2 by OpenSSL's names, nil for none named. Those of
// TLS 1.3 are not chosen by them. Words for many at once are not imitated.
func suites(names string) (all []uint16, err error) {
	known := map[string]uint16{
		"ECDHE-ECDSA-AES128-GCM-SHA256": tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, "ECDHE-ECDSA-AES256-GCM-SHA384": tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		"ECDHE-ECDSA-CHACHA20-POLY1305": tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, "ECDHE-RSA-AES128-GCM-SHA256": tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		"ECDHE-RSA-AES256-GCM-SHA384": tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, "ECDHE-RSA-CHACHA20-POLY1305": tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256}
	for name := range strings.SplitSeq(names, ":") {
		if names == "" {
			return nil, nil
		}
		suite, ok := known[name]
		if !ok {
			return nil, fmt.Errorf("lab stand-in: '%s' is not imitated", name)
		}
		all = append(all, suite)
	}
	return all, nil
}

// toServer is how a server is reached by sessions, nil for in clear. The monitor never looks
// at its name, sessions do if that is configured.
func toServer(s settings.Section) (*tls.Config, error) {
	if !s.Bool("ssl") {
		return nil, nil
	}
	made, pool, err := common(s)
	if err != nil {
		return nil, err
	}
	switch {
	case !s.Bool("ssl_verify_peer_certificate"):
		made.InsecureSkipVerify = true // as configured
	case s.Bool("ssl_verify_peer_host"):
		made.RootCAs, made.ServerName = pool, s.Text("address")
	default:
		made.InsecureSkipVerify = true // of the name only
		made.VerifyConnection = func(state tls.ConnectionState) error { return chain(state, pool) }
	}
	return made, nil
}

// chain verifies the certificate of a server, whatever its name.
func chain(state tls.ConnectionState, roots *x509.CertPool) error {
	between := x509.NewCertPool()
	for _, c := range state.PeerCertificates[1:] {
		between.AddCert(c)
	}
	_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between})
	return err
}

// toClients is how a listener is reached, nil for one in clear.
func toClients(s settings.Section) (*tls.Config, error) {
	if !s.Bool("ssl") {
		return nil, nil
	}
	made, pool, err := common(s)
	if err != nil {
		return nil, err
	}
	if len(made.Certificates) == 0 {
		return nil, fmt.Errorf("%s: ssl needs ssl_cert and ssl_key", s.Name)
	}
	if s.Bool("ssl_verify_peer_certificate") {
		made.ClientAuth, made.ClientCAs = tls.RequireAndVerifyClientCert, pool
	}
	return made, nil
}

func address(s settings.Section) string { return net.JoinHostPort(s.Text("address"), s.Text("port")) }
