package mysql

import (
	"crypto"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// between carries one connection to a peer behind it. It holds no key: strike is all
// that it does, once it has carried so many records of the peer.
type between struct {
	records int            // of the peer, before strike
	strike  func(net.Conn) // what is sent to the client in clear, or done
}

// carry starts a relay to address and returns where it listens.
func (b between) carry(t *testing.T, address string) string {
	t.Helper()
	return listen(t, func(p *peer) {
		behind, err := net.Dial("tcp", address)
		if err != nil {
			t.Error(err)
			return
		}
		defer behind.Close()
		behind.SetDeadline(time.Now().Add(20 * time.Second))
		left := make(chan struct{})
		go func() { defer close(left); io.Copy(behind, p.socket) }()
		if !forward(p.socket, behind, 4, func(h []byte) int { return int(h[0]) | int(h[1])<<8 | int(h[2])<<16 }) {
			return
		}
		for range b.records {
			if !forward(p.socket, behind, 5, func(h []byte) int { return int(binary.BigEndian.Uint16(h[3:])) }) {
				return
			}
		}
		b.strike(p.socket)
		<-left
	})
}

// forward carries one packet or record, whose header says how long it is.
func forward(to io.Writer, from io.Reader, header int, length func([]byte) int) bool {
	unit := make([]byte, header)
	if _, err := io.ReadFull(from, unit); err != nil {
		return false
	}
	unit = append(unit, make([]byte, length(unit))...)
	if _, err := io.ReadFull(from, unit[header:]); err != nil {
		return false
	}
	_, err := to.Write(unit)
	return err == nil
}

func clearAlert(code int) []byte { return []byte{21, 3, 3, 0, 2, 2, byte(code)} }

// secured is a login over one version of TLS that waits for an alert.
func secured(address string, config *tls.Config, version uint16) Login {
	login := clear(address)
	login.TLS = config.Clone()
	login.TLS.MinVersion, login.TLS.MaxVersion = version, version
	login.AwaitAlert, login.Timeout = true, 2*time.Second
	return login
}

// TestAnAlertInClearIsNoRefusal injects every alert into connections to a server that
// refuses nobody: before its first record, in the middle of the handshake, and after it.
func TestAnAlertInClearIsNoRefusal(t *testing.T) {
	own, roots := identity(t)
	script := func(p *peer) { p.secure(&tls.Config{Certificates: []tls.Certificate{own}}); p.hangOn() }
	var struck atomic.Int32
	var secured13 int
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for code := range 256 {
			relay := between{records: code % 7, strike: func(client net.Conn) { struck.Add(1); client.Write(clearAlert(code)) }}
			login := secured(relay.carry(t, listen(t, script)), &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}, version)
			login.Timeout = 100 * time.Millisecond
			attempt := Try(t.Context(), login)
			if attempt.TLS != nil && version == tls.VersionTLS13 {
				secured13++
			}
			if alert, alerted := attempt.Alert(); alerted || attempt.Denied() {
				t.Errorf("%s, alert %d after %d records: got the alert %v (%v)", tls.VersionName(version), code, relay.records, alert, attempt.Err)
			}
		}
	}
	if struck.Load() < 256 || secured13 == 0 {
		t.Errorf("%d alerts injected, %d of them after a handshake with TLS 1.3: want more", struck.Load(), secured13)
	}
}

// TestAnEncryptedAlertFromWhoHasNoKey plays somebody who presents the server's
// certificate, which is public, and refuses where he would have to use its key: his
// alert is encrypted, and he is nobody.
func TestAnEncryptedAlertFromWhoHasNoKey(t *testing.T) {
	own, roots := identity(t)
	stolen := own
	stolen.PrivateKey = keyless{own.PrivateKey.(crypto.Signer)}
	login := secured(listen(t, func(p *peer) { p.secure(&tls.Config{Certificates: []tls.Certificate{stolen}}) }),
		&tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}, tls.VersionTLS13)
	attempt := Try(t.Context(), login)
	remote, ok := errors.AsType[*net.OpError](attempt.Err)
	if !ok || remote.Op != "remote error" {
		t.Fatalf("got %v, want an alert that crypto/tls could read", attempt.Err)
	}
	if alert, alerted := attempt.Alert(); alerted || attempt.Admitted() {
		t.Errorf("got the alert %v from somebody who is not the server", alert)
	}
}

// keyless is a key that cannot sign.
type keyless struct{ crypto.Signer }

func (keyless) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("no key")
}

// TestWhereARefusalIsProven says what counts of a certificate's refusal by the server
// itself: in TLS 1.3 the alert inside the session, in TLS 1.2 nothing, for it is in clear.
func TestWhereARefusalIsProven(t *testing.T) {
	own, roots := identity(t)
	stranger, _ := identity(t)
	closed := &tls.Config{Certificates: []tls.Certificate{own}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: roots}
	show := func(certificate tls.Certificate) *tls.Config {
		return &tls.Config{RootCAs: roots, ServerName: "127.0.0.1", GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certificate, nil }}
	}
	refuse := func(p *peer) { p.secure(closed) }
	admit := func(p *peer) { p.secure(closed); p.receive(); p.hangOn() }
	ask := func(p *peer) { p.secure(closed); p.receive(); p.send(authSwitch); p.hangOn() }
	for name, c := range map[string]struct {
		script      func(*peer)
		certificate tls.Certificate
		version     uint16
		alert       tls.AlertError
		admitted    bool
	}{
		"refused, TLS 1.3":            {refuse, stranger, tls.VersionTLS13, 48, false},
		"refused, TLS 1.2":            {refuse, stranger, tls.VersionTLS12, 0, false},
		"none shown, TLS 1.3":         {refuse, tls.Certificate{}, tls.VersionTLS13, 116, false},
		"none shown, TLS 1.2":         {refuse, tls.Certificate{}, tls.VersionTLS12, 0, false},
		"accepted, TLS 1.3, silent":   {admit, own, tls.VersionTLS13, 0, false},
		"accepted, TLS 1.3, answered": {ask, own, tls.VersionTLS13, 0, true},
		"accepted, TLS 1.2, silent":   {admit, own, tls.VersionTLS12, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			login := secured(listen(t, c.script), show(c.certificate), c.version)
			login.Timeout = 500 * time.Millisecond
			attempt := Try(t.Context(), login)
			alert, alerted := attempt.Alert()
			if alert != c.alert || alerted != (c.alert != 0) || attempt.Admitted() != c.admitted {
				t.Errorf("got alert %d and admitted %v (%v), want %d and %v", alert, attempt.Admitted(), attempt.Err, c.alert, c.admitted)
			}
		})
	}
}

// TestAnotherChallengeIsNoRefusal has the challenge of the greeting changed, which is
// in clear: the server repeats it inside TLS, so the login works all the same. A server
// that denies without doing so has denied nothing that counts.
func TestAnotherChallengeIsNoRefusal(t *testing.T) {
	own, roots := identity(t)
	config := &tls.Config{Certificates: []tls.Certificate{own}}
	var proven bool
	login := clear(listen(t, func(p *peer) {
		p.secure(config)
		p.receive()
		p.send(authSwitch)
		proven = proves(p.receive(), otherChallenge, "secret")
		p.send(accepted)
	}))
	login.TLS = &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}
	if attempt := Try(t.Context(), login); attempt.Stage != LoggedIn || !proven {
		t.Errorf("got stage %d and %v, want a login by the challenge inside TLS", attempt.Stage, attempt.Err)
	}
}
