package launch_test

import (
	"bufio"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/internal/sgxmint"
	"github.com/confidb/confidb/pkg/lab/enclave"
	"github.com/confidb/confidb/pkg/lab/las"
	"github.com/confidb/confidb/pkg/lab/launch"
	"github.com/confidb/confidb/pkg/sgx"
)

const configID = "shop/db/mariadbd"

var identity = enclave.Identity{MRENCLAVE: sgx.Measurement{1}, MRSIGNER: sgx.Measurement{2}, ISVProdID: 3, ISVSVN: 4}

// machine is one with a LAS and a CAS that does what the test says.
type machine struct {
	las       las.Client
	cas       string
	authority *sgxmint.Authority
	// talk is CAS's side of one connection after the listener accepted it.
	talk atomic.Pointer[func(net.Conn)]
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	authority, err := sgxmint.NewAuthority(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	platform, err := sgxmint.NewPlatform(authority, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{authority: authority}
	node, cas := listen(t), listen(t)
	go las.NewServer(platform).Serve(t.Context(), node)
	m.las = las.NewClient(node.Addr().String())
	m.cas = cas.Addr().String()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			connection, err := cas.Accept()
			if err != nil {
				return
			}
			connection.SetDeadline(time.Now().Add(20 * time.Second))
			(*m.talk.Load())(connection)
			connection.Close()
		}
	}()
	t.Cleanup(func() { cas.Close(); <-done })
	return m
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

// nobody is an address where nobody listens: no test may, without rights on the machine.
const nobody = "127.0.0.1:1"

// speak makes CAS speak the protocol: answer makes the answer to a request.
func (m *machine) speak(t *testing.T, answer func(r *enclave.Request, challenge []byte) any) {
	m.talks(func(c net.Conn) {
		challenge := make([]byte, 32)
		rand.Read(challenge)
		if err := json.NewEncoder(c).Encode(enclave.Challenge{Challenge: challenge}); err != nil {
			t.Error(err)
			return
		}
		line, err := bufio.NewReader(c).ReadBytes('\n')
		if err != nil {
			t.Errorf("reading the request: %v", err)
			return
		}
		var request enclave.Request
		if err := json.Unmarshal(line, &request); err != nil {
			t.Error(err)
			return
		}
		if err := json.NewEncoder(c).Encode(answer(&request, challenge)); err != nil {
			t.Error(err)
		}
	})
}

func (m *machine) talks(talk func(net.Conn)) { m.talk.Store(&talk) }

// admits makes CAS give a configuration to whoever has the right quote.
func (m *machine) admits(t *testing.T, configuration *enclave.Configuration) {
	m.speak(t, func(r *enclave.Request, challenge []byte) any {
		if err := m.check(r, challenge); err != nil {
			t.Error(err)
		}
		return sealed(t, configuration, r, challenge)
	})
}

func sealed(t *testing.T, configuration *enclave.Configuration, r *enclave.Request, challenge []byte) enclave.Answer {
	publicKey, text, err := enclave.SealConfiguration(configuration, r, challenge)
	if err != nil {
		t.Error(err)
	}
	return enclave.Answer{PublicKey: publicKey, Sealed: text}
}

// check verifies the quote of a request as CAS does.
func (m *machine) check(r *enclave.Request, challenge []byte) error {
	files, err := m.authority.CollateralFiles(time.Now())
	if err != nil {
		return err
	}
	collateral, err := sgx.CollateralFromFiles(files)
	if err != nil {
		return err
	}
	roots, err := sgx.RootFromPEM(m.authority.RootPEM())
	if err != nil {
		return err
	}
	verified, err := sgx.Verify(r.Quote, collateral.For(r.Quote), sgx.Options{Time: time.Now(), Roots: roots})
	if err != nil {
		return err
	}
	report := verified.Quote.Report
	if r.ConfigID != configID || report.MRENCLAVE != identity.MRENCLAVE || report.ReportData != enclave.ReportData(challenge, r.PublicKey, configID) {
		return fmt.Errorf("%q was asked for with the quote of %s and report data that is not of this exchange", r.ConfigID, report.MRENCLAVE)
	}
	return nil
}

// host is a machine's environment, which the changes go into.
func (m *machine) host(arguments []string, changes map[string]string) launch.Host {
	environment := map[string]string{"SCONE_CONFIG_ID": configID, "SCONE_CAS_ADDR": m.cas, "SCONE_LAS_ADDR": m.las.Address, "LD_PRELOAD": "/host/evil.so"}
	for name, value := range changes {
		environment[name] = value
	}
	return launch.Host{Getenv: func(name string) string { return environment[name] }, Arguments: arguments}
}

func TestPrepare(t *testing.T) {
	m, folder := newMachine(t), t.TempDir()
	key, config := filepath.Join(folder, "run", "secret", "tls.key"), filepath.Join(folder, "my.cnf")
	if err := os.WriteFile(config, []byte("the host's own, which is longer"), 0o400); err != nil {
		t.Fatal(err)
	}
	m.admits(t, &enclave.Configuration{
		Command: []string{"mariadbd", "@@2", "--fixed", "@@1", "x@@1"}, Pwd: "/data",
		Environment: map[string]string{"PASSWORD": "from CAS", `\@\@NONCE`: "none", `\@\@TERM`: "dumb"},
		Files:       []enclave.File{{Path: key, Content: []byte{0, 1, 0xff}, Permission: 0o400}, {Path: config, Content: []byte("[mysqld]"), Permission: 0o600}},
	})
	got, err := launch.Prepare(t.Context(), m.host([]string{"/host/name", "--one", "--two", "--three"}, map[string]string{"NONCE": "0123", "PASSWORD": "the host's", "UNASKED": "x"}), identity, "/usr/bin/mariadbd")
	if err != nil {
		t.Fatal(err)
	}
	want := &launch.Process{
		Path: "/usr/bin/mariadbd", Arguments: []string{"mariadbd", "--two", "--fixed", "--one", "x@@1"}, Directory: "/data",
		Environment: []string{"NONCE=0123", "PASSWORD=from CAS", "TERM=dumb"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	wantFile(t, key, "\x00\x01\xff", 0o400)
	wantFile(t, config, "[mysqld]", 0o600)
}

func wantFile(t *testing.T, path, content string, permission fs.FileMode) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
		return
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != permission || string(text) != content {
		t.Errorf("%s: got %q with mode %v (%v), want %q with %v", path, text, info.Mode(), err, content, permission)
	}
}

// Each start has its own challenge and key, so that no answer can be replayed.
func TestEveryStartIsAnother(t *testing.T) {
	m := newMachine(t)
	keys := map[string]bool{}
	m.speak(t, func(r *enclave.Request, challenge []byte) any {
		keys[string(r.PublicKey)] = true
		return sealed(t, &enclave.Configuration{}, r, challenge)
	})
	for range 2 {
		if _, err := launch.Prepare(t.Context(), m.host([]string{"p"}, nil), identity, "/p"); err != nil {
			t.Fatal(err)
		}
	}
	if len(keys) != 2 {
		t.Errorf("got %d keys at two starts", len(keys))
	}
}

func TestPrepareWithoutCommandTakesTheHostsArguments(t *testing.T) {
	m := newMachine(t)
	m.admits(t, &enclave.Configuration{Environment: map[string]string{"A": "1"}})
	got, err := launch.Prepare(t.Context(), m.host([]string{"p", "-x"}, nil), identity, "/p")
	if diff := cmp.Diff(&launch.Process{Path: "/p", Arguments: []string{"p", "-x"}, Environment: []string{"A=1"}}, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestPrepareWithoutSession(t *testing.T) {
	t.Setenv("FROM_THE_HOST", "yes")
	h := launch.Host{Getenv: func(string) string { return "" }, Arguments: []string{"p", "@@9"}}
	got, err := launch.Prepare(t.Context(), h, identity, "/p")
	if diff := cmp.Diff(&launch.Process{Path: "/p", Arguments: []string{"p", "@@9"}, Environment: os.Environ()}, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

// refusal wants Prepare to end with what SCONE's runtime says.
func refusal(t *testing.T, h launch.Host, causes ...string) {
	t.Helper()
	got, err := launch.Prepare(t.Context(), h, identity, "/p")
	var refused *launch.RefusedError
	if got != nil || !errors.As(err, &refused) {
		t.Fatalf("got %+v and %v, want a RefusedError", got, err)
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != len(causes)+2 {
		t.Fatalf("got\n%s\nwant %d causes between two lines", err, len(causes))
	}
	if !strings.HasPrefix(lines[0], "[SCONE|FATAL] ") || !strings.HasSuffix(lines[0], "Attestation failed") {
		t.Errorf("the first line is %q", lines[0])
	}
	for i, cause := range causes {
		if expression := "^  Caused by: " + cause; !regexp.MustCompile(expression).MatchString(lines[i+1]) {
			t.Errorf("got %q, want %s", lines[i+1], expression)
		}
	}
	if want := "Note: Connecting to CAS at " + h.Getenv("SCONE_CAS_ADDR") + " (port 18765) using service ID " + configID; lines[len(lines)-1] != want {
		t.Errorf("got %q, want %q", lines[len(lines)-1], want)
	}
}

func TestPrepareIsRefused(t *testing.T) {
	m := newMachine(t)
	m.speak(t, func(*enclave.Request, []byte) any {
		return enclave.Answer{Errors: []string{"Attestation failed", "Unexpected MRENCLAVE", "platform not admitted"}}
	})
	refusal(t, m.host([]string{"p"}, nil), "CAS sent an attestation/configuration error: Attestation failed$", "Unexpected MRENCLAVE$", "platform not admitted$")

	t.Run("without asking anybody", func(t *testing.T) {
		m.talks(func(net.Conn) { t.Error("CAS was asked") })
		for _, mode := range []string{"sim", "SIM", "debug", " "} {
			refusal(t, m.host([]string{"p"}, map[string]string{"SCONE_MODE": mode}), `SCONE_MODE is "`+mode+`"`)
		}
		refusal(t, m.host([]string{"p"}, map[string]string{"SCONE_CAS_ADDR": ""}), "SCONE_CAS_ADDR or SCONE_LAS_ADDR is not set$")
		refusal(t, m.host([]string{"p"}, map[string]string{"SCONE_LAS_ADDR": ""}), "SCONE_CAS_ADDR or SCONE_LAS_ADDR is not set$")
	})
	t.Run("nobody there", func(t *testing.T) {
		refusal(t, m.host([]string{"p"}, map[string]string{"SCONE_CAS_ADDR": nobody}), "connecting to CAS: .*connection refused")
	})
	t.Run("no LAS", func(t *testing.T) {
		m.talks(func(c net.Conn) { fmt.Fprintln(c, `{"challenge":"AAAA"}`); bufio.NewReader(c).ReadByte() })
		refusal(t, m.host([]string{"p"}, map[string]string{"SCONE_LAS_ADDR": nobody}), ".*connection refused")
	})
}

func TestPrepareAcceptsModes(t *testing.T) {
	m := newMachine(t)
	m.admits(t, &enclave.Configuration{})
	for _, mode := range []string{"hw", "auto"} {
		if _, err := launch.Prepare(t.Context(), m.host([]string{"p"}, map[string]string{"SCONE_MODE": mode}), identity, "/p"); err != nil {
			t.Errorf("%s: %v", mode, err)
		}
	}
}

func TestPrepareDoesNotBelieveCAS(t *testing.T) {
	m := newMachine(t)
	h := m.host([]string{"p"}, nil)
	for name, c := range map[string]struct{ text, cause string }{
		"no challenge":                  {"", "reading the challenge of CAS: EOF"},
		"a challenge that is no JSON":   {"HTTP/1.1 400 Bad Request\r\n", "reading the challenge of CAS: invalid character"},
		"a line without end":            {`{"challenge":"AAAA"}`, "reading the challenge of CAS: EOF"},
		"a challenge, and then garbage": {"{\"challenge\":\"AAAA\"}\nnonsense\n", "reading the answer of CAS: invalid character"},
		"no answer":                     {"{\"challenge\":\"AAAA\"}\n", "reading the answer of CAS: EOF"},
		"an empty answer":               {"{\"challenge\":\"AAAA\"}\n{}\n", "reading CAS's key: "},
	} {
		t.Run(name, func(t *testing.T) {
			m.talks(func(connection net.Conn) {
				fmt.Fprint(connection, c.text)
				connection.(*net.TCPConn).CloseWrite()
				bufio.NewReader(connection).ReadBytes('\n') // what the program sends
			})
			refusal(t, h, c.cause)
		})
	}
	t.Run("sealed for another key", func(t *testing.T) {
		m.speak(t, func(r *enclave.Request, challenge []byte) any {
			other, err := ecdh.X25519().GenerateKey(rand.Reader)
			if err != nil {
				t.Error(err)
			}
			return sealed(t, &enclave.Configuration{}, &enclave.Request{PublicKey: other.PublicKey().Bytes()}, challenge)
		})
		refusal(t, h, "the configuration is not sealed for this enclave$")
	})
	t.Run("sealed for another challenge", func(t *testing.T) {
		m.speak(t, func(r *enclave.Request, challenge []byte) any {
			challenge[0]++
			return sealed(t, &enclave.Configuration{}, r, challenge)
		})
		refusal(t, h, "the configuration is not sealed for this enclave$")
	})
	t.Run("errors and a configuration", func(t *testing.T) {
		m.speak(t, func(r *enclave.Request, challenge []byte) any {
			answer := sealed(t, &enclave.Configuration{}, r, challenge)
			answer.Errors = []string{"no"}
			return answer
		})
		refusal(t, h, "CAS sent an attestation/configuration error: no$")
	})
}

func TestPrepareRefusesPaths(t *testing.T) {
	m, folder := newMachine(t), t.TempDir()
	t.Chdir(folder)
	for _, path := range []string{"relative.txt", "./relative.txt", folder + "/a/../b.txt", folder + "//b.txt", folder + "/b.txt/", ""} {
		m.admits(t, &enclave.Configuration{Files: []enclave.File{{Path: path, Content: []byte("canary"), Permission: 0o400}}})
		got, err := launch.Prepare(t.Context(), m.host([]string{"p"}, nil), identity, "/p")
		if got != nil || err == nil || !strings.Contains(err.Error(), fmt.Sprintf("placing the files of the session: path %q: want an absolute, clean one", path)) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%q: got %+v, %v", path, got, err)
		}
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) != 0 {
		t.Errorf("%v were written (%v)", left, err)
	}
}

func TestPrepareWantsTheHostsArguments(t *testing.T) {
	m := newMachine(t)
	for _, c := range []struct {
		word  string
		given []string
	}{{"@@2", []string{"p", "--one"}}, {"@@1", []string{"p"}}, {"@@1", nil}, {"@@999", []string{"p", "x"}}} {
		m.admits(t, &enclave.Configuration{Command: []string{"p", c.word}})
		got, err := launch.Prepare(t.Context(), m.host(c.given, nil), identity, "/p")
		if got != nil || err == nil || !strings.Contains(err.Error(), "host's argument "+c.word+", which was not given") {
			t.Errorf("%s of %q: got %+v, %v", c.word, c.given, got, err)
		}
	}
}

func TestResolve(t *testing.T) {
	folder := t.TempDir()
	program, link := filepath.Join(folder, "program"), filepath.Join(folder, "link")
	if err := os.WriteFile(program, nil, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(program, link); err != nil {
		t.Fatal(err)
	}
	found := func(name string) (string, error) { return filepath.Join(folder, name), nil }
	got, err := launch.Resolve("link", found)
	if want, wanted := filepath.EvalSymlinks(program); wanted != nil || err != nil || got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	if got, err := launch.Resolve("none", found); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := launch.Resolve("none", func(string) (string, error) { return "", fs.ErrPermission }); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("got %q, %v", got, err)
	}
}
