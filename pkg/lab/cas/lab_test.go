package cas_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/confidb/confidb/internal/sgxmint"
	"github.com/confidb/confidb/pkg/attest"
	product "github.com/confidb/confidb/pkg/cas"
	"github.com/confidb/confidb/pkg/lab/cas"
	"github.com/confidb/confidb/pkg/lab/enclave"
	"github.com/confidb/confidb/pkg/lab/las"
	"github.com/confidb/confidb/pkg/sgx"
)

// casIdentity is the enclave of the CAS under test.
var casIdentity = enclave.Identity{MRENCLAVE: sgx.Measurement{0xca, 5}, MRSIGNER: sgx.Measurement{9}, ISVProdID: 1, ISVSVN: 1}

// clock is a time that a test can change.
type clock struct {
	mutex sync.Mutex
	ahead time.Duration
}

func (c *clock) now() time.Time {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *clock) advance(by time.Duration) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.ahead += by
}

// lines is a log that can be read while it is written.
type lines struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.text.String()
}

// lab is a machine with a LAS and a CAS on it. What it is made of can be changed
// before start.
type lab struct {
	clock
	authority *sgxmint.Authority
	platform  *sgxmint.Platform
	las       las.Client
	store     string
	log       lines
	// collateral changes what CAS reads, unless it is nil.
	collateral func(map[string][]byte)
	// age is how old the collateral is.
	age time.Duration

	cas             *cas.CAS
	users, enclaves string
	stop            func()
}

func newLab(t testing.TB) *lab {
	t.Helper()
	authority, err := sgxmint.NewAuthority(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{authority: authority, store: t.TempDir()}
	l.platform, l.las = newMachine(t, authority)
	return l
}

// newMachine starts the LAS of a new platform.
func newMachine(t testing.TB, authority *sgxmint.Authority) (*sgxmint.Platform, las.Client) {
	t.Helper()
	platform, err := sgxmint.NewPlatform(authority, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	listener := listen(t)
	go las.NewServer(platform).Serve(t.Context(), listener)
	return platform, las.NewClient(listener.Addr().String())
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

func (l *lab) config() cas.Config {
	return cas.Config{
		Store: l.store, LAS: l.las, Identity: casIdentity, RootCA: l.authority.RootPEM(), Version: "6.0.6", Now: l.now, Log: log.New(&l.log, "", 0),
		Collateral: func() (map[string][]byte, error) {
			files, err := l.authority.CollateralFiles(time.Now().Add(-l.age))
			if l.collateral != nil && err == nil {
				l.collateral(files)
			}
			return files, err
		},
	}
}

// start starts the CAS; it ends with the test, or with l.stop.
func (l *lab) start(t testing.TB) *lab {
	t.Helper()
	var err error
	if l.cas, err = cas.Open(t.Context(), l.config()); err != nil {
		t.Fatal(err)
	}
	users, enclaves := listen(t), listen(t)
	l.users, l.enclaves = users.Addr().String(), enclaves.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- l.cas.ServeREST(ctx, users) }()
	go func() { ended <- l.cas.ServeEnclaves(ctx, enclaves) }()
	l.stop = sync.OnceFunc(func() {
		cancel()
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		if err := l.cas.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(l.stop)
	return l
}

func (l *lab) dial(ctx context.Context) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", l.users)
}

// newUser makes an identity: a key with a certificate that nobody vouches for.
func newUser(t testing.TB, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return userWithKey(t, name, key)
}

func userWithKey(t testing.TB, name string, key *ecdsa.PrivateKey) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{Subject: pkix.Name{CommonName: name}, NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// client is the product's own.
func (l *lab) client(t testing.TB, user tls.Certificate) *product.Client {
	t.Helper()
	c, err := product.NewClient(l.dial, attest.Anchor{Chain: l.cas.Chain()}, user)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// request sends one request; the zero user has no certificate.
func (l *lab) request(t testing.TB, user tls.Certificate, method, path, body string) (int, string) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(l.cas.Chain()[1])
	config := &tls.Config{RootCAs: roots, ServerName: "localhost"}
	if user.Certificate != nil {
		config.Certificates = []tls.Certificate{user}
	}
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		TLSClientConfig: config, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return l.dial(ctx) },
	}}
	defer client.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), method, "https://localhost"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// upload creates or updates a session, which must succeed, and returns its hash.
func (l *lab) upload(t testing.TB, user tls.Certificate, document string) string {
	t.Helper()
	status, body := l.request(t, user, "POST", "/session", document)
	var created struct{ Hash string }
	if err := json.Unmarshal([]byte(body), &created); err != nil || status != http.StatusCreated || len(created.Hash) != 64 {
		t.Fatalf("upload: got %d %s, want 201 and a hash", status, body)
	}
	return created.Hash
}

// refuses wants a request to fail with a status and a text.
func (l *lab) refuses(t testing.TB, user tls.Certificate, method, path, body string, status int, want string) {
	t.Helper()
	got, answer := l.request(t, user, method, path, body)
	var failure struct{ Msg []string }
	if err := json.Unmarshal([]byte(answer), &failure); err != nil || got != status || !strings.Contains(strings.Join(failure.Msg, ": "), want) {
		t.Errorf("%s %s: got %d %.500s, want %d with %q", method, path, got, answer, status, want)
	}
}

// program is an enclave that attests. Its fields change what an honest one does.
type program struct {
	identity enclave.Identity
	configID string
	machine  las.Client
	// quote makes the quote instead of the machine's LAS.
	quote func(reportData [64]byte) []byte
	// forge changes the request before it is sent.
	forge func(r *enclave.Request)
	// publicKey is sent and bound instead of one whose private key is known.
	publicKey []byte
	// challenge is bound instead of the one that CAS sends.
	challenge []byte
	// uses is what it says of its volumes, instead of asking for anything.
	uses []enclave.Use
}

// attest runs one exchange. Refused means that CAS answered with errors.
func (l *lab) attest(t testing.TB, p program) (*enclave.Configuration, []string) {
	t.Helper()
	connection, err := net.Dial("tcp", l.enclaves)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	connection.SetDeadline(time.Now().Add(30 * time.Second))
	reader := bufio.NewReader(connection)
	var challenge enclave.Challenge
	readLine(t, reader, &challenge)
	if len(challenge.Challenge) != 32 {
		t.Fatalf("challenge of %d bytes", len(challenge.Challenge))
	}
	own, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	request := p.request(t, l, own, challenge.Challenge)
	if err := json.NewEncoder(connection).Encode(request); err != nil {
		t.Fatal(err)
	}
	var answer enclave.Answer
	readLine(t, reader, &answer)
	if len(answer.Errors) > 0 {
		if answer.Sealed != nil || answer.PublicKey != nil {
			t.Error("a refusal holds a configuration")
		}
		return nil, answer.Errors
	}
	c, err := enclave.OpenConfiguration(&answer, own, challenge.Challenge)
	if err != nil {
		t.Fatal(err)
	}
	return c, nil
}

func (p program) request(t testing.TB, l *lab, own *ecdh.PrivateKey, challenge []byte) *enclave.Request {
	t.Helper()
	r := &enclave.Request{ConfigID: p.configID, PublicKey: own.PublicKey().Bytes(), Uses: p.uses}
	if p.publicKey != nil {
		r.PublicKey = p.publicKey
	}
	if p.challenge != nil {
		challenge = p.challenge
	}
	data := enclave.ReportData(challenge, r.PublicKey, r.ConfigID, r.Uses...)
	if p.machine.Address == "" {
		p.machine = l.las
	}
	var err error
	if p.quote != nil {
		r.Quote = p.quote(data)
	} else if r.Quote, err = p.machine.Quote(t.Context(), p.identity, data); err != nil {
		t.Fatal(err)
	}
	if p.forge != nil {
		p.forge(r)
	}
	return r
}

func readLine(t testing.TB, reader *bufio.Reader, into any) {
	t.Helper()
	line, err := reader.ReadBytes('\n')
	if err != nil {
		t.Fatalf("reading from CAS: %v", err)
	}
	if err := json.Unmarshal(line, into); err != nil {
		t.Fatal(err)
	}
}

// configures wants an enclave to be admitted.
func (l *lab) configures(t testing.TB, p program) *enclave.Configuration {
	t.Helper()
	c, errs := l.attest(t, p)
	if errs != nil {
		t.Fatalf("%s: refused: %v", p.configID, errs)
	}
	return c
}

// rejects wants an enclave to be refused with a text among the causes.
func (l *lab) rejects(t testing.TB, p program, want string) {
	t.Helper()
	c, errs := l.attest(t, p)
	if c != nil || !strings.Contains(strings.Join(errs, "\n"), want) {
		t.Errorf("%s: got %q, want a refusal with %q", p.configID, errs, want)
	}
}

// mrenclave is the measurement of the programs under test.
var mrenclave = sgx.Measurement{2}

func honest(configID string) program {
	return program{identity: enclave.Identity{MRENCLAVE: mrenclave, MRSIGNER: sgx.Measurement{8}, ISVProdID: 3, ISVSVN: 5}, configID: configID}
}

// document is a session with one service s, which gets one variable for each
// secret, and more lines.
func document(name, more string, variables ...string) string {
	var environment strings.Builder
	for i, v := range variables {
		fmt.Fprintf(&environment, "\n      V%d: '%s'", i, v)
	}
	if len(variables) == 0 {
		environment.WriteString(" {}")
	}
	return fmt.Sprintf("version: '0.3.11'\nname: %s\nservices:\n  - name: s\n    command: run it\n    environment:%s\n    attestation:\n      mrenclave: [%s]\n%s\n", name, environment.String(), mrenclave, more)
}

func successor(document, hash string) string { return document + "predecessor: " + hash + "\n" }
