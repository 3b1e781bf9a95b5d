package mariadb

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/confidb/confidb/pkg/mysql"
	"github.com/confidb/confidb/pkg/promise"
)

// Target is the server that is asked, and who asks. Every field but the promise,
// the verifier and Patience is needed.
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
	// Former are those of accounts of the promise that have none any more.
	Former map[promise.Name]string
	// StartSecret is what the init file hashes with the time of the start; empty if the
	// session has none.
	StartSecret string
	// Verifier is for whom a mark is left (witness.Demand), and Asked the digest of the one
	// that is looked for; empty means nobody, and none.
	Verifier string
	Asked    string
	// KeyDirectory is where the key file of the database must lie, with a trailing slash.
	KeyDirectory string
	// Now tells the time at which certificates must be valid.
	Now func() time.Time
	// Wait waits for so long, or until the context is done.
	Wait func(context.Context, time.Duration) error
	// Random is where the login in clear has its account and password from, and where
	// marks come from.
	Random io.Reader
	// Patience bounds each login, and three times it each query. Zero means ten seconds.
	Patience time.Duration
}

// Impostors are client certificates with which the server must let nobody in. A
// nil one makes the check that needs it Skip.
type Impostors struct {
	// Foreign is of a CA that the server does not know.
	Foreign *tls.Certificate
	// Expired and WrongRole are of the server's CA and for Target.Subject; WrongRole
	// is for servers only. If Expired has not expired yet, that is waited for, for
	// a few seconds; it has a Leaf.
	Expired, WrongRole *tls.Certificate
	// Stranger is of the server's CA, with a subject that no account demands.
	Stranger *tls.Certificate
	// Foreigners are of the CA of Foreign, by the subject that an account demands; where
	// there is none, Foreign is tried as that account.
	Foreigners map[string]*tls.Certificate
}

// trial is one login with one version of TLS, and what became of it.
type trial struct {
	name    string
	version uint16            // 0: no TLS
	alerts  []tls.AlertError  // with which TLS may refuse; none: only the login does
	absent  string            // why it was not tried
	until   *x509.Certificate // what must have expired before; nil: nothing
	login   mysql.Login
	mysql.Attempt
}

// trials are all that was tried.
type trials struct {
	control                      trial   // the asker's own login with TLS 1.2: it must succeed where that is spoken
	old                          []trial // versions and ciphers that must not be spoken
	plain                        trial
	impostors                    []trial // certificates that TLS must refuse
	withoutCertificate, stranger []trial // certificates with which the login must be refused
	guests                       []guest // what is tried as other accounts
}

const (
	// sideBySide is how many trials run at once. With the connection over which the
	// server is asked that makes six, and max_connections is at least ten: those that
	// the server has yet to close count, too.
	sideBySide = 5

	// expiryWait bounds how long is waited for a certificate to expire. For
	// expiryMargin after that the clock of the server may not have come so far, and it
	// is asked again every expiryPause.
	expiryWait   = 15 * time.Second
	expiryMargin = 2 * time.Second
	expiryPause  = 100 * time.Millisecond
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
	return mysql.Login{Address: t.Address, Account: t.Account, Password: t.Password, Timeout: t.Patience, TLS: &tls.Config{
		RootCAs: roots, ServerName: t.ServerName, MinVersion: lowest, MaxVersion: highest, Time: t.Now,
		// shown even if the server names another issuer: it is the server that has to refuse it
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return shown, nil },
	}}
}

// plan says what is tried.
func (t Target) plan(impostors Impostors) *trials {
	planned := &trials{
		control:            t.trial("its own certificate", tls.VersionTLS12, &t.Certificate),
		plain:              t.planPlain(),
		withoutCertificate: t.trials("no certificate", &tls.Certificate{}, alertCertificateRequired),
		stranger:           t.trials("another subject's certificate", impostors.Stranger),
		guests:             t.guests(impostors),
	}
	for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11} {
		planned.old = append(planned.old, t.trial(tls.VersionName(version), version, &t.Certificate))
	}
	weak := t.trial("TLS 1.2 with weak ciphers", tls.VersionTLS12, &t.Certificate)
	weak.login.TLS.CipherSuites = weakSuites()
	planned.old = append(planned.old, weak)
	expired := t.trials("an expired certificate", impostors.Expired, expiredAlerts()...)
	for i := range expired {
		if impostors.Expired != nil {
			expired[i].until = impostors.Expired.Leaf
		}
	}
	planned.impostors = slices.Concat(
		t.trials("a certificate of a foreign CA", impostors.Foreign, foreignAlerts()...),
		expired,
		t.trials("a certificate for servers", impostors.WrongRole, alertUnsupportedCertificate, alertBadCertificate, alertCertificateUnknown))
	for i := range planned.impostors {
		planned.impostors[i].login.AwaitAlert = true
	}
	return planned
}

// trials are one for each current version.
func (t Target) trials(name string, certificate *tls.Certificate, alerts ...tls.AlertError) []trial {
	var planned []trial
	for _, version := range currentVersions() {
		next := t.trial(name, version, certificate)
		next.alerts = alerts
		if certificate == nil {
			next.absent = "there is no such certificate to try with"
		}
		planned = append(planned, next)
	}
	return planned
}

func (t Target) trial(name string, version uint16, certificate *tls.Certificate) trial {
	return trial{name: name, version: version, login: t.login(certificate, version, version)}
}

// planPlain plans the login in clear, with an account and a password that nobody has:
// whoever listens learns nothing from them.
func (t Target) planPlain() trial {
	planned := trial{name: "in clear", login: mysql.Login{Address: t.Address, Timeout: t.Patience}}
	secret := make([]byte, 32)
	if _, err := io.ReadFull(t.Random, secret); err != nil {
		planned.absent = "no random account to try with: " + err.Error()
	}
	planned.login.Account, planned.login.Password = "nobody_"+hex.EncodeToString(secret[:8]), hex.EncodeToString(secret[8:])
	return planned
}

// each returns all that is tried side by side.
func (all *trials) each() []*trial {
	every := []*trial{&all.plain}
	for _, kind := range [][]trial{all.impostors, all.old, all.withoutCertificate, all.stranger} {
		for i := range kind {
			every = append(every, &kind[i])
		}
	}
	for i := range all.guests {
		every = append(every, all.guests[i].each()...)
	}
	return every
}

// try tries everything that must be refused, a few at a time, and then what must not:
// a login that succeeds makes the server forget the broken ones before
// (max_connect_errors), so that it does not end in a blocked host.
func (t Target) try(ctx context.Context, tried *trials) trials {
	slots := make(chan struct{}, sideBySide)
	var running sync.WaitGroup
	for _, next := range tried.each() {
		if next.absent != "" {
			continue
		}
		running.Go(func() {
			if t.awaitExpiry(ctx, next) {
				t.attempt(ctx, slots, next)
			}
		})
	}
	running.Wait()
	t.attempt(ctx, slots, &tried.control)
	return *tried
}

// awaitExpiry waits until the certificate to try with has expired, and reports whether
// it has: not if that takes too long.
func (t Target) awaitExpiry(ctx context.Context, next *trial) bool {
	if next.until == nil {
		return true
	}
	left := next.until.NotAfter.Sub(t.Now())
	if left > expiryWait || left > 0 && t.Wait(ctx, left) != nil {
		next.absent = "it has not expired yet"
		return false
	}
	return true
}

// attempt makes one attempt, and further ones while the server's clock may be behind.
func (t Target) attempt(ctx context.Context, slots chan struct{}, next *trial) {
	for {
		slots <- struct{}{}
		next.Attempt = mysql.Try(ctx, next.login)
		<-slots
		if next.until == nil || !next.Admitted() || t.Now().After(next.until.NotAfter.Add(expiryMargin)) || t.Wait(ctx, expiryPause) != nil {
			return
		}
	}
}
