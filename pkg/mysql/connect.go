package mysql

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// Capability bits (page "Capabilities Flags"), as far as they are used. Without
// CLIENT_DEPRECATE_EOF, CLIENT_CONNECT_WITH_DB and CLIENT_LOCAL_FILES the answers
// have one form each, and the server may not ask for a file.
const (
	capLongPassword     = 1 << 0
	capLongFlag         = 1 << 2
	capProtocol41       = 1 << 9
	capTLS              = 1 << 11
	capTransactions     = 1 << 13
	capSecureConnection = 1 << 15
	capPluginAuth       = 1 << 19
	capabilities        = capLongPassword | capLongFlag | capProtocol41 | capTransactions | capSecureConnection | capPluginAuth

	charsetUTF8MB4 = 45
	stepTimeout    = 10 * time.Second // for reaching the server and the login
	alertShare     = 10               // the part of the time for a login that an alert is awaited
)

// Login is one attempt to get in.
type Login struct {
	// Address is host:port.
	Address string
	// Account and Password are those of the database. The password never leaves in
	// clear, but whoever sees the answer to the challenge can guess at it.
	Account, Password string
	// TLS says who asks, whom to trust and who may answer. Nil means a login in clear.
	TLS *tls.Config
	// AwaitAlert reads for up to a tenth of Timeout after the handshake and before the
	// login. With TLS 1.3 the client's handshake ends before the server has judged the
	// client certificate, and a write can lose the alert. Set it where a refusal is expected.
	AwaitAlert bool
	// Timeout bounds the whole attempt, and three times it each query after. Zero means ten
	// seconds.
	Timeout time.Duration
}

func (l Login) timeout() time.Duration {
	if l.Timeout == 0 {
		return stepTimeout
	}
	return l.Timeout
}

// Stage is how far a login got. The zero value is before anything was reached.
type Stage int

const (
	// Reaching means that no connection, or no greeting, came about.
	Reaching Stage = iota
	// Securing means that the server greeted, and that TLS did not come about.
	Securing
	// LoggingIn means that TLS (where wanted) stands, and that the login was not accepted.
	LoggingIn
	// LoggedIn means that the server accepted the login.
	LoggedIn
)

// Attempt is what became of a Login.
//
// Whoever carries the connection can write a greeting, an error in clear or an alert
// in clear, and can end the connection. It can also shake hands up to the point at
// which the server must show that it has its key, so that an encrypted alert from
// before the end of the handshake proves nothing either. Alert, Denied and Admitted
// report only what the server said inside a session whose handshake the client has
// finished: then its certificate is verified, and nobody else has the keys.
type Attempt struct {
	Stage    Stage
	Greeting *Greeting            // nil if none came
	TLS      *tls.ConnectionState // nil if the client did not finish its handshake
	Err      error                // nil if and only if Stage is LoggedIn

	answered   bool // the server sent a packet inside TLS
	challenged bool // one of them was the challenge that the login answers
}

// Alert returns the TLS alert (RFC 8446, section 6) with which the proven server
// refused after the handshake, and whether there is one. In TLS 1.2 a client
// certificate is refused before that, in clear, so it is in TLS 1.3 only that the
// refusal of a certificate is seen here.
func (a Attempt) Alert() (tls.AlertError, bool) {
	var remote *net.OpError
	if !a.proven() || !errors.As(a.Err, &remote) || remote.Op != "remote error" {
		return 0, false
	}
	// crypto/tls keeps the type of a received alert to itself; the text is the same.
	for code := range 256 {
		if alert := tls.AlertError(code); alert.Error() == remote.Err.Error() {
			return alert, true
		}
	}
	return 0, false
}

// Denied reports whether the proven server denied the login with 1045
// (ER_ACCESS_DENIED_ERROR).
func (a Attempt) Denied() bool { return a.refused(codeAccessDenied) }

// Exhausted reports whether the proven server accepted who logs in, certificate and all, and
// refused because of what the account may do in an hour, or at once, or because its
// password has expired: MariaDB looks at that last (1226, 1203 and 1862).
func (a Attempt) Exhausted() bool {
	return a.refused(codeLimitReached) || a.refused(codeTooManyConnections) || a.refused(codePasswordExpired)
}

// refused reports whether the proven server refused with a code, to an answer to the
// challenge that it sent inside TLS. The challenge in the greeting is in clear: somebody in
// between changes it, and the password is wrong.
func (a Attempt) refused(code uint16) bool {
	var refusal *ServerError
	return a.proven() && a.challenged && a.Stage == LoggingIn && errors.As(a.Err, &refusal) && refusal.Code == code
}

// Admitted reports whether TLS let the client in with the certificate that it showed,
// or without one: the proven server went on to the login, whatever became of that. In
// TLS 1.2 the handshake does not end before.
func (a Attempt) Admitted() bool {
	return a.proven() && (a.answered || a.TLS.Version < tls.VersionTLS13)
}

// proven reports whether the other end showed that it is the server.
func (a Attempt) proven() bool { return a.TLS != nil && len(a.TLS.VerifiedChains) > 0 }

const (
	codeAccessDenied = 1045

	// ER_USER_LIMIT_REACHED, ER_TOO_MANY_USER_CONNECTIONS and ER_MUST_CHANGE_PASSWORD_LOGIN
	codeLimitReached       = 1226
	codeTooManyConnections = 1203
	codePasswordExpired    = 1862
)

// ErrNoTLS is the Attempt's error where TLS was wanted, and the greeting offers none.
var ErrNoTLS = errors.New("the server does not offer TLS")

// Conn is a connection that has logged in. It is not for concurrent use.
type Conn struct {
	socket   net.Conn
	packets  packetStream
	patience time.Duration // of the login
}

// Close ends the connection without a farewell.
func (c *Conn) Close() error { return c.socket.Close() }

// Connect logs in, within the time that the login says. The Conn is nil unless the Attempt's Stage
// is LoggedIn.
func Connect(ctx context.Context, login Login) (*Conn, Attempt) {
	ctx, cancel := context.WithTimeout(ctx, login.timeout())
	defer cancel()
	var attempt Attempt
	socket, err := new(net.Dialer).DialContext(ctx, "tcp", login.Address)
	if err != nil {
		attempt.Err = fmt.Errorf("connecting to %s: %w", login.Address, err)
		return nil, attempt
	}
	conn := &Conn{socket: socket, patience: login.timeout(), packets: packetStream{stream: socket, limit: maxHandshakePacket}}
	release := conn.limit(ctx)
	defer release()
	if attempt.Err = conn.logIn(ctx, login, &attempt); attempt.Err != nil {
		socket.Close()
		return nil, attempt
	}
	attempt.Stage = LoggedIn
	return conn, attempt
}

// Try logs in, and leaves at once.
func Try(ctx context.Context, login Login) Attempt {
	conn, attempt := Connect(ctx, login)
	if conn != nil {
		conn.Close()
	}
	return attempt
}

// limit makes every read and write fail once ctx is done, until release is called.
func (c *Conn) limit(ctx context.Context) (release func()) {
	socket := c.socket
	stop := context.AfterFunc(ctx, func() { socket.SetDeadline(time.Unix(1, 0)) })
	return func() { stop() }
}

func (c *Conn) logIn(ctx context.Context, login Login, attempt *Attempt) error {
	packet, err := c.packets.read()
	if err != nil {
		return fmt.Errorf("reading the greeting: %w", err)
	}
	if attempt.Greeting, err = parseGreeting(packet); err != nil {
		return fmt.Errorf("reading the greeting: %w", err)
	}
	attempt.Stage = Securing
	if login.TLS != nil {
		if err := c.secure(ctx, login, attempt); err != nil {
			return err
		}
	}
	attempt.Stage = LoggingIn
	return c.authenticate(login, attempt)
}

// secure asks for TLS (page "Protocol::SSLRequest") and shakes hands.
func (c *Conn) secure(ctx context.Context, login Login, attempt *Attempt) error {
	if !attempt.Greeting.OffersTLS {
		return ErrNoTLS
	}
	if err := c.packets.write(loginHeader(capabilities | capTLS)); err != nil {
		return fmt.Errorf("asking for TLS: %w", err)
	}
	channel := tls.Client(c.socket, login.TLS)
	if err := channel.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("securing the connection: %w", err)
	}
	state := channel.ConnectionState()
	attempt.TLS = &state
	c.packets.stream = channel
	if !login.AwaitAlert {
		return nil
	}
	return awaitAlert(channel, login.timeout()/alertShare)
}

// awaitAlert returns what the peer sends before it was sent a login. Silence is
// fine; an alert, an end or data is an error.
func awaitAlert(channel *tls.Conn, wait time.Duration) error {
	if err := channel.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return fmt.Errorf("awaiting the verdict on the client certificate: %w", err)
	}
	var unexpected [1]byte
	_, err := channel.Read(unexpected[:])
	if err == nil {
		return errors.New("the server sent data before the login")
	}
	if timeout, ok := errors.AsType[net.Error](err); !ok || !timeout.Timeout() {
		return fmt.Errorf("awaiting the verdict on the client certificate: %w", err)
	}
	return channel.SetReadDeadline(time.Time{})
}

// loginHeader is the part that the request for TLS and the login have in common.
func loginHeader(capabilities uint32) []byte {
	header := make([]byte, 32)
	binary.LittleEndian.PutUint32(header, capabilities)
	binary.LittleEndian.PutUint32(header[4:], maxResultPacket)
	header[8] = charsetUTF8MB4
	return header
}

// askAgain is a method that no server has: it makes a server that is to compare a
// password name its own method, and send its challenge again.
const askAgain = "confidb_asks_for_the_challenge"

// authenticate sends the login (page "Protocol::HandshakeResponse41") and reads the
// decision. Inside TLS it has the challenge repeated there.
func (c *Conn) authenticate(login Login, attempt *Attempt) error {
	if strings.IndexByte(login.Account, 0) >= 0 {
		return errors.New("account name with a zero byte")
	}
	flags, method := uint32(capabilities), nativePassword
	if login.TLS != nil {
		flags, method = flags|capTLS, askAgain
	}
	answer := nativeAnswer(login.Password, attempt.Greeting.scramble)
	packet := append(loginHeader(flags), login.Account...)
	packet = append(packet, 0, byte(len(answer)))
	packet = append(packet, answer...)
	packet = append(packet, method+"\x00"...)
	if err := c.packets.write(packet); err != nil {
		_, said := c.packets.read() // an alert may have come before the end
		return fmt.Errorf("logging in: %w", errors.Join(said, err))
	}
	return c.finishLogin(login, attempt)
}

// finishLogin reads the server's decision. The server may first, once, ask for the
// answer to another challenge.
func (c *Conn) finishLogin(login Login, attempt *Attempt) error {
	packet, err := c.packets.read()
	attempt.answered = err == nil && attempt.TLS != nil
	if err == nil && packet[0] == 0xfe {
		var challenge []byte
		if challenge, err = parseAuthSwitch(packet); err != nil {
			return fmt.Errorf("logging in: %w", err)
		}
		attempt.challenged = attempt.answered
		if err = c.packets.write(nativeAnswer(login.Password, challenge)); err == nil {
			packet, err = c.packets.read()
		}
	}
	switch {
	case err != nil:
		return fmt.Errorf("logging in: %w", err)
	case packet[0] == 0:
		return nil
	case packet[0] == errorMarker:
		return fmt.Errorf("logging in: %w", parseServerError(packet))
	}
	return fmt.Errorf("logging in: got a packet of type %#x, want ok or an error", packet[0])
}

// parseAuthSwitch reads the request for another answer (page
// "Protocol::AuthSwitchRequest"). Any other method is refused: some send the password.
func parseAuthSwitch(packet []byte) (challenge []byte, err error) {
	fields := cursor{rest: packet}
	fields.bytes(1)
	plugin := fields.terminated()
	challenge = bytes.TrimSuffix(fields.rest, []byte{0})
	if fields.failed || plugin != nativePassword || len(challenge) != scrambleBytes {
		return nil, fmt.Errorf("the server asks for %.64q with a challenge of %d bytes: want %q with %d",
			plugin, len(challenge), nativePassword, scrambleBytes)
	}
	return challenge, nil
}

// nativeAnswer answers the challenge of mysql_native_password (page "Native
// Authentication"): SHA1(password) XOR SHA1(challenge + SHA1(SHA1(password))).
func nativeAnswer(password string, challenge []byte) []byte {
	if password == "" {
		return nil
	}
	once := sha1.Sum([]byte(password))
	twice := sha1.Sum(once[:])
	answer := sha1.Sum(append(bytes.Clone(challenge), twice[:]...))
	for i := range answer {
		answer[i] ^= once[i]
	}
	return answer[:]
}
