package confidb_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/internal/sgxmint"
	"github.com/confidb/confidb/pkg/lab/cas"
	"github.com/confidb/confidb/pkg/lab/enclave"
	"github.com/confidb/confidb/pkg/lab/las"
	"github.com/confidb/confidb/pkg/session"
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

const template = `version: "0.3.11"
name: $DBSESSION
services:
  - name: db
    command: run
    environment:
      GREETING: "$GREETING"
      GENERATED: $$SCONE::password:hex$$
    attestation:
      mrenclave: ["0200000000000000000000000000000000000000000000000000000000000000"]
    platforms: [$PLATFORMS]
secrets:
  - name: password
    kind: binary
    size: 16
`

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

func TestSessionRoundTrip(t *testing.T) {
	u := newUser(t).attested(t)
	file := u.write(t, "db.yml", template)
	arguments := []string{file, "-e", "DBSESSION=db", "-e", "GREETING=hello there: #1", "-e", "PLATFORMS=" + id1 + "," + id2}
	code, hash, errOut := u.create(arguments...)
	if code != 0 || !regexp.MustCompile(`^[0-9a-f]{64}\n$`).MatchString(hash) || errOut != "session \"db\" created\n" {
		t.Fatalf("exit %d\n%s%s", code, hash, errOut)
	}
	code, out, errOut := u.get("db")
	if code != 0 || errOut != fmt.Sprintf("session \"db\", hash %s", hash) {
		t.Errorf("exit %d\n%s%s", code, out, errOut)
	}
	s, err := session.Parse("got", []byte(out))
	if err != nil {
		t.Fatal(err)
	}
	if p := s.Services[0].Platforms; s.Name != "db" || s.Services[0].Environment["GREETING"] != "hello there: #1" || s.Services[0].Environment["GENERATED"] != "$$SCONE::password:hex$$" || len(p) != 2 || p[1].String() != id2 {
		t.Errorf("got %+v", s)
	}
	code, out, errOut = u.get("db", "-o", "json")
	var document struct {
		Kind, Name, Hash, Session string
		Simulated                 *bool
	}
	if err := json.Unmarshal([]byte(out), &document); err != nil || code != 0 || errOut != "" {
		t.Fatalf("exit %d, %v\n%s%s", code, err, out, errOut)
	}
	if document.Kind != "confidb.session/v1" || document.Name != "db" || document.Hash+"\n" != hash || document.Simulated == nil || !*document.Simulated || !strings.Contains(document.Session, "name: db") {
		t.Errorf("got %+v", document)
	}

	t.Run("again", func(t *testing.T) {
		before := u.log.uploads()
		code, out, errOut := u.create(arguments...)
		if code != 0 || out != hash || errOut != "session \"db\" was there already, with the same meaning\n" || u.log.uploads() != before {
			t.Errorf("exit %d, %d uploads\n%s%s", code, u.log.uploads()-before, out, errOut)
		}
	})
	t.Run("another one", func(t *testing.T) {
		before := u.log.uploads()
		code, out, errOut := u.create(append(arguments, "-e", "GREETING=goodbye")...)
		if code != 1 || out != "" || errOut != "error: session \"db\" in CAS is not the one that was prepared\n" || u.log.uploads() != before {
			t.Errorf("exit %d, %d uploads\n%s%s", code, u.log.uploads()-before, out, errOut)
		}
	})
	t.Run("dry run at the server", func(t *testing.T) {
		before := u.log.uploads()
		code, out, errOut := u.create(append(arguments, "--dry-run=server")...)
		if code != 0 || out != "" || errOut != "session \"db\" is there already, with the same meaning (dry run)\n" {
			t.Errorf("exit %d\n%s%s", code, out, errOut)
		}
		code, out, errOut = u.create(append(arguments, "--dry-run=server", "--name", "new")...)
		if code != 0 || out != "" || errOut != "session \"new\" would be created (dry run)\n" || u.log.uploads() != before {
			t.Errorf("exit %d, %d uploads\n%s%s", code, u.log.uploads()-before, out, errOut)
		}
		if code, _, errOut := u.create(append(arguments, "--dry-run=server", "-e", "GREETING=goodbye")...); code != 1 || !strings.Contains(errOut, "is not the one that was prepared") {
			t.Errorf("exit %d\n%s", code, errOut)
		}
	})
	t.Run("no such session", func(t *testing.T) {
		if code, out, errOut := u.get("none"); code != 1 || out != "" || !strings.HasPrefix(errOut, `error: reading session "none": `) {
			t.Errorf("exit %d\n%s%s", code, out, errOut)
		}
	})
	t.Run("somebody else", func(t *testing.T) {
		t.Setenv("CONFIDB_HOME", filepath.Join(u.folder, "other"))
		u.attested(t)
		if code, out, errOut := u.get("db"); code != 1 || out != "" || !strings.Contains(errOut, "peer says: ") {
			t.Errorf("exit %d\n%s%s", code, out, errOut)
		}
	})
}

func TestSessionVariables(t *testing.T) {
	u := newUser(t)
	file := u.write(t, "db.yml", template)
	t.Setenv("DBSESSION", "from-the-environment")
	t.Setenv("GREETING", "environment")
	t.Setenv("PLATFORMS", id1)
	for name, c := range map[string]struct {
		arguments []string
		want      []string
	}{
		"the environment":         {[]string{"--use-env"}, []string{"name: from-the-environment\n", "GREETING: \"environment\"\n", "platforms: [" + id1 + "]"}},
		"-e wins":                 {[]string{"--use-env", "-e", "GREETING=flag"}, []string{"name: from-the-environment\n", "GREETING: \"flag\"\n"}},
		"the last -e wins":        {[]string{"--use-env", "-e", "GREETING=one", "-e", "GREETING=two"}, []string{"GREETING: \"two\"\n"}},
		"a value with =":          {[]string{"--use-env", "-e", "GREETING=a=b"}, []string{"GREETING: \"a=b\"\n"}},
		"another name":            {[]string{"--use-env", "--name", "shop/db"}, []string{"name: shop/db\n"}},
		"platforms in the flag":   {[]string{"--use-env", "-e", "PLATFORMS=" + id2}, []string{"platforms: [" + id2 + "]"}},
		"what CAS fills in stays": {[]string{"--use-env"}, []string{"GENERATED: $$SCONE::password:hex$$\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errOut := u.create(append(c.arguments, file, "--dry-run")...)
			if code != 0 || errOut != "" {
				t.Fatalf("exit %d\n%s", code, errOut)
			}
			for _, want := range c.want {
				if !strings.Contains(out, want) {
					t.Errorf("want %q in\n%s", want, out)
				}
			}
		})
	}
	if u.log.uploads() != 0 {
		t.Error("a dry run uploaded a session")
	}
	t.Run("standard input", func(t *testing.T) {
		code, out, errOut := main(template, "session", "create", "-", "--use-env", "--dry-run=client")
		if code != 0 || !strings.Contains(out, "name: from-the-environment\n") {
			t.Errorf("exit %d\n%s%s", code, out, errOut)
		}
		code, _, errOut = main("nonsense", "session", "create", "-", "--dry-run=client")
		if code != 1 || !strings.HasPrefix(errOut, "error: standard input:1:1: ") {
			t.Errorf("exit %d\n%s", code, errOut)
		}
	})
}

// Nothing is uploaded unless everything is filled in and understood.
func TestSessionCreateRefuses(t *testing.T) {
	u := newUser(t).attested(t)
	file := u.write(t, "db.yml", template)
	full := []string{file, "-e", "DBSESSION=db", "-e", "GREETING=hi", "-e", "PLATFORMS=" + id1}
	t.Setenv("GREETING", "not asked for")
	for name, c := range map[string]struct {
		arguments []string
		code      int
		want      string
	}{
		"no file":                      {nil, 2, "error: got 0 arguments, want one file, or -"},
		"two files":                    {[]string{"a", "b"}, 2, "error: got 2 arguments"},
		"no such file":                 {[]string{"/does/not/exist"}, 1, "error: reading the document: open /does/not/exist: no such file"},
		"an unknown dry run":           {append(full, "--dry-run=sometimes"), 2, `error: --dry-run: got "sometimes", want none, client or server`},
		"an unknown flag":              {append(full, "-o", "json"), 2, "error: unknown shorthand flag: 'o'"},
		"a variable without =":         {append(full, "-e", "DBSESSION"), 2, "error: -e: number 4 is not VAR=VALUE"},
		"a variable without name":      {append(full, "-e", "=x"), 2, "error: -e: number 4 is not VAR=VALUE"},
		"no variable":                  {[]string{file}, 1, "error: " + file + ":2:7: name: "},
		"one is missing":               {full[:3], 1, "error: " + file + ":7:18: services[0].environment.GREETING: "},
		"the environment is not asked": {append(full[:3:3], "-e", "PLATFORMS="+id1), 1, file + ":7:18: "},
		"a bad platform":               {append(full, "-e", "PLATFORMS=nonsense"), 1, "error: " + file + ":11:"},
		"a bad name":                   {append(full, "--name", "a b"), 1, "error: " + file + ":2:"},
		"an unknown key":               {[]string{u.write(t, "key.yml", "version: \"0.3\"\nname: x\nservces: []\n")}, 1, "key.yml:3:1: got the unknown key \"servces\"\nhint: write \"services\"\n"},
		"an empty file":                {[]string{u.write(t, "empty.yml", "")}, 1, "empty.yml:1:1: "},
		"no version":                   {[]string{u.write(t, "version.yml", "name: x\n")}, 1, "version.yml:1:1: version: it is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errOut := u.create(c.arguments...)
			if code != c.code || out != "" || !strings.Contains(errOut, c.want) {
				t.Errorf("exit %d, want %d and %q in:\n%s%s", code, c.code, c.want, out, errOut)
			}
		})
	}
	if n := u.log.uploads(); n != 0 {
		t.Errorf("%d sessions were uploaded", n)
	}
}

func TestSessionGetRefuses(t *testing.T) {
	u := newUser(t).attested(t)
	for name, c := range map[string]struct {
		arguments []string
		code      int
		want      string
	}{
		"no name":           {nil, 2, "error: got 0 arguments, want the name of one session"},
		"two names":         {[]string{"a", "b"}, 2, "error: got 2 arguments"},
		"an unknown format": {[]string{"a", "-o", "xml"}, 2, `error: -o: got "xml", want yaml or json`},
		"an unknown flag":   {[]string{"a", "--dry-run"}, 2, "error: unknown flag"},
		"no address":        {[]string{"a", "--cas", ":1"}, 1, "error: CAS :1 was not attested yet"},
		"too late":          {[]string{"a", "--timeout", "1ns"}, 124, "deadline exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errOut := u.get(c.arguments...)
			if code != c.code || out != "" || !strings.Contains(errOut, c.want) {
				t.Errorf("exit %d, want %d and %q in:\n%s%s", code, c.code, c.want, out, errOut)
			}
		})
	}
}

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
		edit(t, func(pin map[string]any) { pin["nonce"].([]any)[0] = pin["nonce"].([]any)[0].(float64) + 1 })
		both(t, 3, "is not proven: cas-nonce")
	})
	t.Run("Intel's root", func(t *testing.T) {
		edit(t, func(pin map[string]any) { delete(pin["trust"].(map[string]any), "rootCA") })
		both(t, 3, "is not proven: cas-quote")
	})
	t.Run("no collateral", func(t *testing.T) {
		edit(t, func(pin map[string]any) { delete(pin["trust"].(map[string]any), "collateral") })
		both(t, 1, "error: appraising the evidence of CAS")
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

func TestSessionTemplate(t *testing.T) {
	isolate(t, t.TempDir())
	for _, name := range []string{"namespace", "client", "database"} {
		code, out, errOut := main("", "session", "template", name)
		if code != 0 || errOut != "" || !strings.Contains(out, "\nname: $") {
			t.Errorf("%s: exit %d\n%s%s", name, code, out, errOut)
		}
	}
	for _, arguments := range [][]string{nil, {"server"}, {"client", "database"}, {""}} {
		code, out, errOut := main("", append([]string{"session", "template"}, arguments...)...)
		if code != 2 || out != "" || !strings.Contains(errOut, "want namespace, client or database") {
			t.Errorf("%q: exit %d\n%s%s", arguments, code, out, errOut)
		}
	}
}

// A template that is printed can be given back with its variables.
func TestSessionTemplateCanBeFilledIn(t *testing.T) {
	isolate(t, t.TempDir())
	_, text, _ := main("", "session", "template", "namespace")
	code, out, errOut := main(text, "session", "create", "-", "-e", "NAMESPACE=shop", "--dry-run=client")
	if s, err := session.Parse("out", []byte(out)); code != 0 || err != nil || s.Name != "shop" {
		t.Errorf("exit %d, %v\n%s%s", code, err, out, errOut)
	}
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
	hidden(t, 1, refused, code, out, errOut)
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
