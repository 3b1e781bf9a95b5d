package keeper

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// Injected is where CAS puts the files of these programs.
const Injected = "/run/confidb/"

// maxFileBytes bounds an injected file.
const maxFileBytes = 1 << 20

// Cluster is cluster.json: what the programs beside databases and MaxScales know of each
// other (topology.Cluster).
type Cluster struct {
	// Self is the name of the database that it is for; empty elsewhere.
	Self      string `json:"self"`
	Databases []Host `json:"databases"`
	MaxScales []Host `json:"maxScales"`
}

// Host is a member with a name of its own, which is in its certificate.
type Host struct {
	Name     string `json:"name"`
	Pod      string `json:"pod"`
	Host     string `json:"host"`
	ServerID int    `json:"serverID"`
}

// self is the ordinal of the database that a document is for.
func (c Cluster) self() (int, error) {
	for i, d := range c.Databases {
		if d.Name == c.Self {
			return i, nil
		}
	}
	return 0, fmt.Errorf("the cluster has no database %q", c.Self)
}

// injected reads files until the first error, which it keeps.
type injected struct {
	files fs.FS
	err   error
}

func (r *injected) fail(name string, err error) {
	if r.err == nil {
		r.err = fmt.Errorf("reading %s: %w", name, err)
	}
}

// text is a file that is not empty.
func (r *injected) text(name string) []byte {
	if r.err != nil {
		return nil
	}
	opened, err := r.files.Open(name)
	if err != nil {
		r.fail(name, err)
		return nil
	}
	defer opened.Close()
	content, err := io.ReadAll(io.LimitReader(opened, maxFileBytes+1))
	if err == nil && (len(content) == 0 || len(content) > maxFileBytes) {
		err = fmt.Errorf("want 1 to %d bytes", maxFileBytes)
	}
	if err != nil {
		r.fail(name, err)
	}
	return content
}

// roots are the CAs of a file, and nobody else.
func (r *injected) roots(name string) *x509.CertPool {
	content, pool := r.text(name), x509.NewCertPool()
	if r.err == nil && !pool.AppendCertsFromPEM(content) {
		r.fail(name, errors.New("want a certificate"))
	}
	return pool
}

// pair is a certificate and its key.
func (r *injected) pair(name string) tls.Certificate {
	certificate, key := r.text(name+".crt"), r.text(name+".key")
	if r.err != nil {
		return tls.Certificate{}
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		r.fail(name+".crt and "+name+".key", err)
	}
	return pair
}

// cluster is cluster.json, whose databases and MaxScales have names.
func (r *injected) cluster() (c Cluster) {
	const name = "cluster.json"
	content := r.text(name)
	if r.err != nil {
		return c
	}
	if err := decode(content, &c); err != nil {
		r.fail(name, err)
	}
	for i, d := range c.Databases {
		if d.Name == "" || d.Host == "" || d.ServerID != i+1 {
			r.fail(name, fmt.Errorf("database %d has no name, no host or another serverID", i))
		}
	}
	for i, m := range c.MaxScales {
		if m.Name == "" || m.Host == "" {
			r.fail(name, fmt.Errorf("MaxScale %d has no name or no host", i))
		}
	}
	if len(c.Databases) == 0 || len(c.MaxScales) == 0 {
		r.fail(name, errors.New("want databases and MaxScales"))
	}
	return c
}

// decode reads exactly one JSON document without members that are not known.
func decode(text []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("want one JSON document and nothing after it")
	}
	return nil
}

// listening is the TLS of who is asked: with this certificate, for clients of the CA with one
// of these common names. Each has a certificate for clients, which is not enough: those of
// applications are of the same CA.
func listening(own tls.Certificate, roots *x509.CertPool, clients ...string) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{own}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: roots,
		MinVersion: tls.VersionTLS13, NextProtos: []string{protocol}, SessionTicketsDisabled: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			for _, name := range clients {
				if len(state.VerifiedChains) > 0 && state.PeerCertificates[0].Subject.CommonName == name {
					return nil
				}
			}
			return errors.New("the certificate of another client")
		}}
}

// asking is the TLS of who asks, of a server of this name.
func asking(own tls.Certificate, roots *x509.CertPool, serverName string) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{own}, RootCAs: roots, ServerName: serverName, MinVersion: tls.VersionTLS13, NextProtos: []string{protocol}}
}
