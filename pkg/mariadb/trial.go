package mariadb

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"time"

	"github.com/confidb/confidb/pkg/mysql"
	"github.com/confidb/confidb/pkg/promise"
)

// Target is the server that is asked, and who asks. Every field but the promise is needed.
type Target struct {
	Address    string            // host:port
	ServerName string            // the name that the server's certificate must hold
	CA         *x509.Certificate // the only one that is trusted
	// Account, Password and Certificate are the asker's.
	Account     string
	Password    string
	Certificate tls.Certificate
	// Subject is what the database demands of the asker's certificate and Issuer
	// what it demands of everyone's, in OpenSSL's one-line form: /CN=confidb-ca.
	Subject string
	Issuer  string
	// Promise is what the database must be; nil means that it is not known, so that what
	// rests on it is unproven. Passwords are those that the asker knows, by
	// promise.Method.Secret.
	Promise   *promise.Promise
	Passwords map[string]string
	// KeyDirectory is where the key file of the database must lie, with a trailing slash.
	KeyDirectory string
	// Now tells the time at which certificates must be valid.
	Now func() time.Time
}

// Impostors are client certificates with which the server must let nobody in. A
// nil one makes the check that needs it Skip.
type Impostors struct {
	// Foreign is of a CA that the server does not know.
	Foreign *tls.Certificate
	// Expired and WrongRole are of the server's CA and for Target.Subject; WrongRole
	// is for servers only.
	Expired, WrongRole *tls.Certificate
	// Stranger is of the server's CA, with a subject that no account demands.
	Stranger *tls.Certificate
}

// trial is one login with one version of TLS, and what became of it.
type trial struct {
	name    string
	version uint16 // 0: no TLS
	absent  bool   // the certificate to try with was missing
	mysql.Attempt
}

// trials are all that was tried.
type trials struct {
	controls                     []trial // the asker's own logins, one a version: they must succeed
	old                          []trial // versions and ciphers that must not be spoken
	plain                        trial
	foreign, expired, wrongRole  []trial
	withoutCertificate, stranger []trial
}

// decider is what refuses an impostor: TLS, or the login after it.
type decider bool

const (
	handshakeDecides decider = true
	loginDecides     decider = false
)

func currentVersions() []uint16 { return []uint16{tls.VersionTLS12, tls.VersionTLS13} }

// weakSuites are those of TLS 1.2 with CBC mode, 3DES, or without forward secrecy.
func weakSuites() []uint16 {
	var weak []uint16
	for _, suite := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		switch suite.ID {
		case tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
			tls.TLS_AES_128_GCM_SHA256, tls.TLS_AES_256_GCM_SHA384, tls.TLS_CHACHA20_POLY1305_SHA256:
		default:
			weak = append(weak, suite.ID)
		}
	}
	return weak
}

// login is an attempt at the target; a nil certificate means to show none.
func (t Target) login(certificate *tls.Certificate, lowest, highest uint16) mysql.Login {
	roots := x509.NewCertPool()
	roots.AddCert(t.CA)
	shown := &tls.Certificate{}
	if certificate != nil {
		shown = certificate
	}
	return mysql.Login{Address: t.Address, Account: t.Account, Password: t.Password, TLS: &tls.Config{
		RootCAs: roots, ServerName: t.ServerName, MinVersion: lowest, MaxVersion: highest, Time: t.Now,
		// shown even if the server names another issuer: it is the server that has to refuse it
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return shown, nil },
	}}
}

func (t Target) try(ctx context.Context, impostors Impostors) trials {
	tried := trials{
		old:                t.tryOld(ctx),
		foreign:            t.tryImpostor(ctx, "a certificate of a foreign CA", impostors.Foreign, handshakeDecides),
		expired:            t.tryImpostor(ctx, "an expired certificate", impostors.Expired, handshakeDecides),
		wrongRole:          t.tryImpostor(ctx, "a certificate for servers", impostors.WrongRole, handshakeDecides),
		withoutCertificate: t.tryImpostor(ctx, "no certificate", &tls.Certificate{}, loginDecides),
		stranger:           t.tryImpostor(ctx, "another subject's certificate", impostors.Stranger, loginDecides),
	}
	plain := t.login(nil, 0, 0)
	plain.TLS = nil
	tried.plain = trial{name: "in clear", Attempt: mysql.Try(ctx, plain)}
	for _, version := range currentVersions() {
		tried.controls = append(tried.controls, trial{name: "its own certificate", version: version,
			Attempt: mysql.Try(ctx, t.login(&t.Certificate, version, version))})
	}
	return tried
}

func (t Target) tryOld(ctx context.Context) []trial {
	old := make([]trial, 0, 3)
	for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11} {
		login := t.login(&t.Certificate, version, version)
		old = append(old, trial{name: tls.VersionName(version), version: version, Attempt: mysql.Try(ctx, login)})
	}
	weak := t.login(&t.Certificate, tls.VersionTLS12, tls.VersionTLS12)
	weak.TLS.CipherSuites = weakSuites()
	return append(old, trial{name: "TLS 1.2 with weak ciphers", version: tls.VersionTLS12, Attempt: mysql.Try(ctx, weak)})
}

func (t Target) tryImpostor(ctx context.Context, name string, certificate *tls.Certificate, by decider) []trial {
	var tried []trial
	for _, version := range currentVersions() {
		next := trial{name: name, version: version, absent: certificate == nil}
		if !next.absent {
			login := t.login(certificate, version, version)
			login.AwaitAlert = by == handshakeDecides
			next.Attempt = mysql.Try(ctx, login)
		}
		tried = append(tried, next)
	}
	return tried
}
