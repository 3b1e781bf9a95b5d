package confidb_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/internal/sgxmint"
	"github.com/confidb/confidb/pkg/lab/cas"
	"github.com/confidb/confidb/pkg/lab/enclave"
	"github.com/confidb/confidb/pkg/lab/las"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/plugin/confidb"
)

// canary is a secret that must never be seen outside a session.
const canary = "canary-3f9a1c-do-not-show"

// user is somebody with a folder of records, and a CAS of the lab that nobody has
// attested yet.
type user struct {
	folder, address, measured string
	log                       *requestLog
}

// requestLog is what CAS was asked.
type requestLog struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (l *requestLog) Write(p []byte) (int, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.text.Write(p)
}

// uploads counts what was sent to be created.
func (l *requestLog) uploads() int {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return strings.Count(l.text.String(), "POST ")
}

// isolate keeps the environment of whoever runs the tests out.
func isolate(t *testing.T, folder string) {
	t.Helper()
	for _, name := range []string{"SCONE_CAS_ADDR", "CAS_MRENCLAVE", "DBSESSION", "DBCLIENT", "PLATFORMS"} {
		t.Setenv(name, "")
	}
	t.Setenv("CONFIDB_HOME", filepath.Join(folder, "home"))
	t.Setenv("KUBECONFIG", filepath.Join(folder, "no-kubeconfig"))
}

func newUser(t *testing.T) *user {
	t.Helper()
	u := &user{folder: t.TempDir(), log: &requestLog{}}
	isolate(t, u.folder)
	authority, err := sgxmint.NewAuthority(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	platform, err := sgxmint.NewPlatform(authority, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	collateral := func() (map[string][]byte, error) { return authority.CollateralFiles(time.Now()) }
	files, err := collateral()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		u.write(t, filepath.Join("collateral", name), string(text))
	}
	u.write(t, "root.pem", string(authority.RootPEM()))
	ctx, cancel := context.WithCancel(context.Background())
	node, rest := listen(t), listen(t)
	ended := make(chan error, 2)
	go func() { ended <- las.NewServer(platform).Serve(ctx, node) }()
	identity := enclave.Identity{MRENCLAVE: sgx.Measurement{0xca, 5}, MRSIGNER: sgx.Measurement{9}, ISVProdID: 1, ISVSVN: 1}
	c, err := cas.Open(t.Context(), cas.Config{
		Store: filepath.Join(u.folder, "store"), LAS: las.NewClient(node.Addr().String()), Identity: identity, Collateral: collateral,
		RootCA: authority.RootPEM(), Version: "6.0.6", Now: time.Now, Log: log.New(u.log, "", 0),
	})
	if err != nil {
		t.Fatal(err)
	}
	go func() { ended <- c.ServeREST(ctx, rest) }()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	u.address, u.measured = rest.Addr().String(), identity.MRENCLAVE.String()
	return u
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

// write makes a file in the user's folder and returns its path.
func (u *user) write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(u.folder, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// main runs a command line with standard input.
func main(in string, arguments ...string) (code int, out, errOut string) {
	streams, stdin, stdout, stderr := genericiooptions.NewTestIOStreams()
	stdin.WriteString(in)
	code = confidb.Main(arguments, streams)
	return code, stdout.String(), stderr.String()
}

// attested makes the user know the CAS.
func (u *user) attested(t *testing.T) *user {
	t.Helper()
	code, out, errOut := main("", "attest", "cas", u.address, "--cas-mrenclave", u.measured, "--collateral", filepath.Join(u.folder, "collateral"), "--sgx-root-ca", filepath.Join(u.folder, "root.pem"), "--accept-simulated")
	if code != 0 {
		t.Fatalf("attesting: exit %d\n%s%s", code, out, errOut)
	}
	return u
}

func (u *user) create(arguments ...string) (code int, out, errOut string) {
	return main("", append([]string{"session", "create", "--cas", u.address}, arguments...)...)
}

func (u *user) get(arguments ...string) (code int, out, errOut string) {
	return main("", append([]string{"session", "get", "--cas", u.address}, arguments...)...)
}

// written is a session with a secret that somebody wrote instead of letting CAS
// generate it.
const written = `version: "0.3.11"
name: $DBSESSION
services:
  - name: db
    command: run
    environment: {PASSWORD: $$SCONE::password$$}
    attestation:
      mrenclave: ["0200000000000000000000000000000000000000000000000000000000000000"]
secrets:
  - name: password
    kind: ascii
    value: $PASSWORD
`

func TestSessionWantsAnAttestedCAS(t *testing.T) {
	u := newUser(t)
	file := u.write(t, "db.yml", "version: \"0.3\"\nname: db\n")
	hint := "hint: kubectl confidb attest cas " + u.address + " --policy FILE --collateral FOLDER\n"
	both := func(t *testing.T, code int, want string) {
		t.Helper()
		for _, run := range []func() (int, string, string){
			func() (int, string, string) { return u.create(file) }, func() (int, string, string) { return u.create(file, "--dry-run=server") },
			func() (int, string, string) { return u.get("db") },
		} {
			if got, out, errOut := run(); got != code || out != "" || !strings.Contains(errOut, want) {
				t.Errorf("exit %d, want %d and %q in:\n%s%s", got, code, want, out, errOut)
			}
		}
		if n := u.log.uploads(); n != 0 {
			t.Errorf("%d sessions were uploaded", n)
		}
	}
	both(t, 1, "error: CAS "+u.address+" was not attested yet\n"+hint)
	t.Run("the usual one", func(t *testing.T) {
		if code, _, errOut := main("", "session", "get", "db"); code != 1 || !strings.Contains(errOut, "CAS cas.scone-system.svc was not attested yet") {
			t.Errorf("exit %d\n%s", code, errOut)
		}
	})
	t.Run("from the environment", func(t *testing.T) {
		t.Setenv("SCONE_CAS_ADDR", "127.0.0.1:1")
		if code, _, errOut := main("", "session", "get", "db"); code != 1 || !strings.Contains(errOut, "CAS 127.0.0.1:1 was not attested yet") {
			t.Errorf("exit %d\n%s", code, errOut)
		}
		both(t, 1, "error: CAS "+u.address+" was not attested yet\n") // the flag wins
	})
	u.attested(t)
	pinned := u.pin(t)
	good, err := os.ReadFile(pinned)
	if err != nil {
		t.Fatal(err)
	}
	edit := func(t *testing.T, change func(pin map[string]any)) {
		t.Helper()
		var pin map[string]any
		if err := json.Unmarshal(good, &pin); err != nil {
			t.Fatal(err)
		}
		change(pin)
		text, err := json.Marshal(pin)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(pinned, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("another measurement", func(t *testing.T) {
		edit(t, func(pin map[string]any) {
			pin["trust"].(map[string]any)["cas"].(map[string]any)["referenceValues"] = map[string]any{}
		})
		both(t, 3, "is not proven: cas-enclave-identity")
	})
	t.Run("another nonce", func(t *testing.T) {
		edit(t, func(pin map[string]any) { pin["nonce"].([]any)[0] = 255 - pin["nonce"].([]any)[0].(float64) })
		both(t, 3, "is not proven: cas-nonce")
	})
	t.Run("Intel's root", func(t *testing.T) {
		edit(t, func(pin map[string]any) { delete(pin["trust"].(map[string]any), "rootCA") })
		both(t, 3, "is not proven: cas-quote")
	})
	t.Run("no collateral", func(t *testing.T) {
		edit(t, func(pin map[string]any) { delete(pin["trust"].(map[string]any), "collateral") })
		both(t, 2, "error: appraising the evidence of CAS")
	})
	t.Run("another address", func(t *testing.T) {
		edit(t, func(pin map[string]any) { pin["address"] = "cas.example.org" })
		both(t, 1, "want kind \"confidb.cas-pin/v1\" for this address")
	})
	t.Run("no JSON", func(t *testing.T) {
		if err := os.WriteFile(pinned, good[1:], 0o600); err != nil {
			t.Fatal(err)
		}
		both(t, 1, "error: reading the pin of CAS")
	})
	t.Run("others may write it", func(t *testing.T) {
		edit(t, func(map[string]any) {})
		if err := os.Chmod(pinned, 0o666); err != nil {
			t.Fatal(err)
		}
		both(t, 1, "got mode 0666, want 0600")
		if err := os.Chmod(pinned, 0o600); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("the one that was kept", func(t *testing.T) {
		edit(t, func(map[string]any) {})
		if code, _, errOut := u.create(file, "--dry-run=server"); code != 0 {
			t.Errorf("exit %d\n%s", code, errOut)
		}
	})
}

// Whoever answers where the attested CAS should be is not told anything.
func TestSessionRefusesAnotherCAS(t *testing.T) {
	u := newUser(t).attested(t)
	pin := u.pin(t)
	text, err := os.ReadFile(pin)
	if err != nil {
		t.Fatal(err)
	}
	other := newUser(t).attested(t)
	if err := os.WriteFile(other.pin(t), bytes.ReplaceAll(text, []byte(u.address), []byte(other.address)), 0o600); err != nil {
		t.Fatal(err)
	}
	file := other.write(t, "db.yml", written)
	code, out, errOut := other.create(file, "-e", "DBSESSION=db", "-e", "PASSWORD="+canary)
	if code != 1 || out != "" || !strings.Contains(errOut, "tls: failed to verify certificate") || strings.Contains(errOut, canary) || other.log.uploads() != 0 {
		t.Errorf("exit %d\n%s%s", code, out, errOut)
	}
}

// pin is the file with the evidence of the one CAS that the user knows.
func (u *user) pin(t *testing.T) string {
	t.Helper()
	pins, err := filepath.Glob(filepath.Join(u.folder, "home", "cas", "*.json"))
	if err != nil || len(pins) != 1 {
		t.Fatalf("pins %v, %v", pins, err)
	}
	return pins[0]
}

// Whatever happens, the value of a secret that somebody wrote is not shown.
func TestSessionSecretsAreNotShown(t *testing.T) {
	u := newUser(t).attested(t)
	file := u.write(t, "written.yml", written)
	hidden := func(t *testing.T, wantCode int, want string, code int, out, errOut string) {
		t.Helper()
		if strings.Contains(out, canary) || strings.Contains(errOut, canary) {
			t.Errorf("the secret is shown:\n%s%s", out, errOut)
		}
		if code != wantCode || !strings.Contains(errOut, want) {
			t.Errorf("exit %d, want %d and %q in:\n%s%s", code, wantCode, want, out, errOut)
		}
	}
	arguments := []string{file, "-e", "DBSESSION=db", "-e", "PASSWORD=" + canary}
	const refused = `session "db" is not shown: the values of its secrets password are written in it`
	code, out, errOut := u.create(append(arguments, "--dry-run=client")...)
	hidden(t, 0, "", code, out, errOut)
	code, out, errOut = u.create(append(arguments, "--dry-run=server")...)
	hidden(t, 0, "would be created", code, out, errOut)
	code, out, errOut = u.create(arguments...)
	hidden(t, 0, "created", code, out, errOut)
	code, out, errOut = u.create(append(arguments, "-e", "PASSWORD="+canary+"2")...)
	hidden(t, 1, "is not the one that was prepared", code, out, errOut)
	for _, format := range []string{"yaml", "json"} {
		code, out, errOut = u.get("db", "-o", format)
		hidden(t, 1, refused, code, out, errOut)
		if out != "" {
			t.Errorf("%s: got\n%s", format, out)
		}
	}
	for name, broken := range map[string]string{
		"an unknown key after it":   written + "    sise: 3\n",
		"a list":                    strings.Replace(written, "value: $PASSWORD", "value: [$PASSWORD]", 1),
		"a mapping":                 strings.Replace(written, "value: $PASSWORD", "value: {x: $PASSWORD}", 1),
		"twice":                     written + "    value: $PASSWORD\n",
		"an import as well":         written + "    import: {session: a, secret: b}\n",
		"a size of a private key":   strings.Replace(written, "kind: ascii", "kind: private-key\n    size: 3", 1),
		"an image of another":       strings.Replace(written, "command: run", "image_name: none", 1),
		"a value that needs quotes": strings.Replace(written, "$PASSWORD", "$PASSWORD$SPECIAL", 1),
		"a value of several lines":  strings.Replace(written, "$PASSWORD", "'$LINES'", 1),
		"bad YAML after it":         written + "    a: b: c\n",
		"a tab":                     written + "\t- x\n",
		"another variable":          strings.Replace(written, "command: run", "command: $MISSING", 1),
	} {
		t.Run(name, func(t *testing.T) {
			before := u.log.uploads()
			code, out, errOut := u.create(u.write(t, "broken.yml", broken), "-e", "DBSESSION=other", "-e", "PASSWORD="+canary, "-e", "SPECIAL=: # "+canary, "-e", "LINES="+canary+"\n"+canary)
			hidden(t, 1, "broken.yml:", code, out, errOut)
			if u.log.uploads() != before {
				t.Error("it was uploaded")
			}
		})
	}
	t.Run("-e that is none", func(t *testing.T) {
		code, out, errOut := u.create(append(arguments, "-e", "="+canary)...)
		hidden(t, 2, "is not VAR=VALUE", code, out, errOut)
	})
	t.Run("what CAS refuses", func(t *testing.T) {
		binary := u.write(t, "binary.yml", strings.Replace(written, "kind: ascii", "kind: private-key", 1))
		code, out, errOut := u.create(binary, "-e", "DBSESSION=third", "-e", "PASSWORD="+canary)
		if strings.Contains(out+errOut, canary) {
			t.Errorf("the secret is shown: exit %d\n%s%s", code, out, errOut)
		}
	})
	t.Run("nobody there", func(t *testing.T) {
		t.Setenv("SCONE_CAS_ADDR", "127.0.0.1:1")
		code, out, errOut := main("", append([]string{"session", "create"}, arguments...)...)
		hidden(t, 1, "was not attested yet", code, out, errOut)
	})
	if text := u.log.text.String(); strings.Contains(text, canary) {
		t.Errorf("CAS logs the secret:\n%s", text)
	}
}
