package mysql

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"
)

const (
	greetingChallenge = "12345678abcdefghijkl"
	otherChallenge    = "ABCDEFGHIJKLMNOPQRST"
	accepted          = "\x00\x00\x00\x02\x00\x00\x00"
	denied            = "\xff\x15\x04#28000Access denied for user 'app'@'10.0.0.1'"
)

// peer is a server that does what a test says, once.
type peer struct {
	*testing.T
	socket  net.Conn
	packets packetStream
}

// listen starts a peer and returns its address. The peer hangs up where script ends.
func listen(t *testing.T, script func(*peer)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		socket, err := listener.Accept()
		if err != nil {
			return // nobody came
		}
		defer socket.Close()
		socket.SetDeadline(time.Now().Add(20 * time.Second))
		script(&peer{t, socket, packetStream{stream: socket, limit: maxHandshakePacket}})
	}()
	t.Cleanup(func() { listener.Close(); <-ended })
	return listener.Addr().String()
}

func (p *peer) send(packets ...string) {
	for _, packet := range packets {
		if err := p.packets.write([]byte(packet)); err != nil {
			p.Errorf("the peer: %v", err)
		}
	}
}

func (p *peer) receive() []byte {
	packet, err := p.packets.read()
	if err != nil {
		p.Errorf("the peer: %v", err)
	}
	return packet
}

// greet sends a greeting, and returns the login that follows.
func (p *peer) greet() []byte {
	p.send(string(greetingPacket()))
	return p.receive()
}

// hangOn waits until the client has gone.
func (p *peer) hangOn() { p.socket.Read(make([]byte, 1)) }

// secure greets and shakes hands as the server that config says.
func (p *peer) secure(config *tls.Config) *tls.Conn {
	p.greet()
	channel := tls.Server(p.socket, config)
	channel.Handshake() // what becomes of it is seen by the client
	p.packets.stream = channel
	return channel
}

func clear(address string) Login { return Login{Address: address, Account: "app", Password: "secret"} }

// TestLogins says for each behaviour of a server how far a login in clear gets.
func TestLogins(t *testing.T) {
	for name, c := range map[string]struct {
		script func(*peer)
		stage  Stage
		says   string // in the error
	}{
		"accepted":            {func(p *peer) { p.greet(); p.send(accepted) }, LoggedIn, ""},
		"denied":              {func(p *peer) { p.greet(); p.send(denied) }, LoggingIn, "ERROR 1045 (28000)"},
		"denied too early":    {func(p *peer) { p.send(denied) }, Reaching, "ERROR 1045"},
		"no such database":    {func(p *peer) { p.greet(); p.send("\xff\x14\x04#42000no") }, LoggingIn, "ERROR 1044"},
		"another method":      {func(p *peer) { p.greet(); p.send("\xfecaching_sha2_password\x00" + otherChallenge + "\x00") }, LoggingIn, "caching_sha2_password"},
		"blocked at once":     {func(p *peer) { p.send("\xff\x69\x04blocked") }, Reaching, "ERROR 1129"},
		"silent end":          {func(*peer) {}, Reaching, "EOF"},
		"no greeting":         {func(p *peer) { p.send("\x09old") }, Reaching, "protocol 9"},
		"end after greeting":  {func(p *peer) { p.greet() }, LoggingIn, ""},
		"neither yes nor no":  {func(p *peer) { p.greet(); p.send("\x07") }, LoggingIn, "type 0x7"},
		"a broken error":      {func(p *peer) { p.greet(); p.send("\xff\x01") }, LoggingIn, "ends too early"},
		"out of sequence":     {func(p *peer) { p.greet(); p.packets.sequence = 9; p.send(accepted) }, LoggingIn, "packet number 9"},
		"another challenge":   {func(p *peer) { p.greet(); p.send(authSwitch); p.receive(); p.send(accepted) }, LoggedIn, ""},
		"asked for in clear":  {func(p *peer) { p.greet(); p.send("\xfemysql_clear_password\x00") }, LoggingIn, "mysql_clear_password"},
		"a short challenge":   {func(p *peer) { p.greet(); p.send("\xfemysql_native_password\x00abc\x00") }, LoggingIn, "of 3 bytes"},
		"an endless name":     {func(p *peer) { p.greet(); p.send("\xfe" + strings.Repeat("n", 60000) + "\x00") }, LoggingIn, "nnn"},
		"challenges for ever": {func(p *peer) { p.greet(); p.send(authSwitch); p.receive(); p.send(authSwitch) }, LoggingIn, "type 0xfe"},
	} {
		t.Run(name, func(t *testing.T) {
			attempt := Try(t.Context(), clear(listen(t, c.script)))
			if attempt.Stage != c.stage {
				t.Errorf("got stage %d and %v, want %d", attempt.Stage, attempt.Err, c.stage)
			}
			if (attempt.Err == nil) != (c.stage == LoggedIn) {
				t.Errorf("got error %v at stage %d", attempt.Err, attempt.Stage)
			}
			if attempt.Err != nil && (!strings.Contains(attempt.Err.Error(), c.says) || len(attempt.Err.Error()) > 1000) {
				t.Errorf("got %.1000q, want a short error that mentions %q", attempt.Err, c.says)
			}
			if _, alerted := attempt.Alert(); alerted || attempt.Denied() || attempt.Admitted() {
				t.Errorf("alert %v, denied %v, admitted %v: what is said in clear proves nothing", alerted, attempt.Denied(), attempt.Admitted())
			}
		})
	}
}

const authSwitch = "\xfemysql_native_password\x00" + otherChallenge + "\x00"

// TestAnswers checks answers as a server does that keeps SHA1(SHA1(password)) only.
func TestAnswers(t *testing.T) {
	for _, password := range []string{"s", "secret", "pässword", strings.Repeat("long", 100)} {
		var first, second []byte
		address := listen(t, func(p *peer) {
			first = answerIn(p.greet(), "app")
			p.send(authSwitch)
			second = p.receive()
			p.send(accepted)
		})
		attempt := Try(t.Context(), Login{Address: address, Account: "app", Password: password})
		if attempt.Err != nil {
			t.Fatal(attempt.Err)
		}
		if !proves(first, greetingChallenge, password) {
			t.Errorf("%q: the answer to the greeting does not prove it", password)
		}
		if !proves(second, otherChallenge, password) {
			t.Errorf("%q: the answer to the second challenge does not prove it", password)
		}
		if proves(first, greetingChallenge, password+"x") {
			t.Errorf("%q: the answer proves another password, too", password)
		}
	}
	if got := nativeAnswer("", []byte(greetingChallenge)); len(got) != 0 {
		t.Errorf("no password: got the answer %x, want none", got)
	}
}

// answerIn is the answer in a login of account.
func answerIn(login []byte, account string) []byte {
	fields := cursor{rest: login}
	fields.bytes(32)
	if fields.terminated() != account {
		return nil
	}
	return fields.bytes(fields.number(1))
}

func proves(answer []byte, challenge, password string) bool {
	once := sha1.Sum([]byte(password))
	kept := sha1.Sum(once[:])
	mask := sha1.Sum(append([]byte(challenge), kept[:]...))
	if len(answer) != len(mask) {
		return false
	}
	for i := range mask {
		mask[i] ^= answer[i]
	}
	candidate := sha1.Sum(mask[:])
	return bytes.Equal(candidate[:], kept[:])
}

// identity is a certificate for 127.0.0.1 that vouches for itself.
func identity(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(certificate)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{certificate}, PrivateKey: key}, roots
}

// TestSecuredLogins says how far a login over TLS gets, and which alert it sees.
func TestSecuredLogins(t *testing.T) {
	own, roots := identity(t)
	_, strangers := identity(t)
	open := &tls.Config{Certificates: []tls.Certificate{own}}
	closed := &tls.Config{Certificates: []tls.Certificate{own}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: roots}
	plain := bytes.Replace(greetingPacket(), []byte("12345678\x00\x00"), []byte("12345678\x00\x00"), 1)
	plain[len("\x0a5.5.5-10.11.19-MariaDB\x00")+4+9+1] &^= capTLS >> 8
	for name, c := range map[string]struct {
		script func(*peer)
		roots  *x509.CertPool
		await  bool
		stage  Stage
		alert  tls.AlertError // 0: none
		says   string
	}{
		"accepted":             {func(p *peer) { p.secure(open); p.receive(); p.send(accepted) }, roots, false, LoggedIn, 0, ""},
		"accepted, waited":     {func(p *peer) { p.secure(open); p.receive(); p.send(accepted) }, roots, true, LoggedIn, 0, ""},
		"denied":               {func(p *peer) { p.secure(open); p.receive(); p.send(authSwitch); p.receive(); p.send(denied) }, roots, false, LoggingIn, 0, "1045"},
		"denied unasked":       {func(p *peer) { p.secure(open); p.receive(); p.send(denied) }, roots, false, LoggingIn, 0, "1045"},
		"no TLS":               {func(p *peer) { p.send(string(plain)); p.hangOn() }, roots, false, Securing, 0, ErrNoTLS.Error()},
		"of another authority": {func(p *peer) { p.secure(open) }, strangers, false, Securing, 0, "unknown authority"},
		"an alert after all":   {func(p *peer) { p.secure(closed) }, roots, true, Securing, 116, "certificate required"},
		"talks too early":      {func(p *peer) { p.secure(open).Write([]byte("x")); p.hangOn() }, roots, true, Securing, 0, "before the login"},
		"ends too early":       {func(p *peer) { p.secure(open).Close() }, roots, true, Securing, 0, "EOF"},
		"no handshake":         {func(p *peer) { p.greet(); p.socket.Write([]byte("hello")) }, roots, false, Securing, 0, "handshake"},
	} {
		t.Run(name, func(t *testing.T) {
			login := clear(listen(t, c.script))
			login.TLS, login.AwaitAlert = &tls.Config{RootCAs: c.roots, ServerName: "127.0.0.1"}, c.await
			attempt := Try(t.Context(), login)
			if attempt.Stage != c.stage {
				t.Errorf("got stage %d and %v, want %d", attempt.Stage, attempt.Err, c.stage)
			}
			if alert, alerted := attempt.Alert(); alert != c.alert || alerted != (c.alert != 0) {
				t.Errorf("got alert %d (%v), want %d", alert, alerted, c.alert)
			}
			if attempt.Err != nil && !strings.Contains(attempt.Err.Error(), c.says) {
				t.Errorf("got %v, want an error that mentions %q", attempt.Err, c.says)
			}
			if attempt.TLS == nil && c.stage > Securing {
				t.Error("got no state of TLS")
			}
			if attempt.Denied() != (name == "denied") {
				t.Errorf("denied: got %v", attempt.Denied())
			}
		})
	}
}

func TestAnAccountThatEndsEarly(t *testing.T) {
	login := clear(listen(t, func(p *peer) { p.send(string(greetingPacket())); p.hangOn() }))
	login.Account = "app\x00root"
	if attempt := Try(t.Context(), login); attempt.Stage != LoggingIn || attempt.Err == nil {
		t.Errorf("got stage %d and %v, want a refusal before anything is sent", attempt.Stage, attempt.Err)
	}
}

// TestSilentPeers end when the context does, at each step.
func TestSilentPeers(t *testing.T) {
	for name, script := range map[string]func(*peer){
		"no greeting": func(p *peer) { p.hangOn() },
		"no decision": func(p *peer) { p.greet(); p.hangOn() },
		"no answer":   func(p *peer) { p.greet(); p.send(accepted); p.packets.sequence = 0; p.receive(); p.hangOn() },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			conn, attempt := Connect(ctx, clear(listen(t, script)))
			err := attempt.Err
			if conn != nil {
				defer conn.Close()
				_, err = conn.Query(ctx, "SELECT 1")
			}
			if err == nil {
				t.Error("got no error from a peer that says nothing")
			}
			if ctx.Err() == nil {
				t.Error("gave up before the time was over")
			}
		})
	}
}

// TestQueries asks peers whose answers end well, with a refusal, and too early.
func TestQueries(t *testing.T) {
	const column, end = "\x03def\x00\x00\x00\x01a\x00\x0c\x2d\x00\x04\x00\x00\x00\xfd\x00\x00\x00\x00\x00", "\xfe\x00\x00\x00\x00"
	ask := func(t *testing.T, answer ...string) (*Rows, error) {
		t.Helper()
		conn, attempt := Connect(t.Context(), clear(listen(t, func(p *peer) {
			p.greet()
			p.send(accepted)
			p.packets.sequence = 0
			if statement := p.receive(); string(statement) != "\x03SELECT 1" {
				t.Errorf("got the command %q", statement)
			}
			p.send(answer...)
		})))
		if conn == nil {
			t.Fatal(attempt.Err)
		}
		defer conn.Close()
		return conn.Query(t.Context(), "SELECT 1")
	}
	rows, err := ask(t, "\x01", column, end, "\x01x", end)
	if err != nil || len(rows.Values) != 1 || rows.Values[0][0].Text != "x" {
		t.Fatalf("got %+v and %v, want one row", rows, err)
	}
	if at, err := rows.Column("a"); err != nil || at != 0 {
		t.Errorf("column a: got %d and %v", at, err)
	}
	if _, err := rows.Column("b"); err == nil {
		t.Error("column b: got no error")
	}
	if rows, err := ask(t, accepted); err != nil || len(rows.Columns) > 0 {
		t.Errorf("no result set: got %+v and %v", rows, err)
	}
	_, err = ask(t, "\xff\x76\x04#42000no right")
	if refusal, ok := errors.AsType[*ServerError](err); !ok || refusal.Code != 1142 || refusal.State != "42000" {
		t.Errorf("got %v, want ERROR 1142 (42000)", err)
	}
	if _, err = ask(t, "\x01", column); !strings.Contains(err.Error(), "EOF") {
		t.Errorf("got %v, want an early end", err)
	}
}
