package probe

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/evidence"
	"github.com/confidb/confidb/pkg/mariadb/mariadbtest"
)

var (
	db    *mariadbtest.Server
	nonce = strings.Repeat("0a", 16)
)

func TestMain(m *testing.M) {
	os.Exit(func() int {
		started, err := mariadbtest.Start()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer started.Stop()
		db = started
		return m.Run()
	}())
}

// injected makes the files of /run/confidb, and the public half of the statement's key.
func injected(t *testing.T) (files fstest.MapFS, public []byte) {
	t.Helper()
	files = fstest.MapFS{"ca.crt": {Data: db.CA.PEM()}, "verify.password": {Data: []byte(mariadbtest.Password)}}
	add := func(name string, pair tls.Certificate, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		certificate, key, err := mariadbtest.PEM(pair)
		if err != nil {
			t.Fatal(err)
		}
		files[name+".crt"], files[name+".key"] = &fstest.MapFile{Data: certificate}, &fstest.MapFile{Data: key}
	}
	add("verify", db.Verify, nil)
	stranger, err := db.CA.Client("confidb-stranger")
	add("stranger", stranger, err)
	expired, err := db.CA.ClientUntil("confidb-verify", time.Now().Add(-time.Minute))
	add("expired", expired, err)
	wrongRole, err := db.CA.Server("confidb-verify", "wrong-role.invalid")
	add("wrongrole", wrongRole, err)
	files["app.password"] = &fstest.MapFile{Data: []byte(mariadbtest.Password)}
	files["start.secret"] = &fstest.MapFile{Data: []byte(mariadbtest.StartSecret)}
	promised, err := db.Promise.Document()
	if err != nil {
		t.Fatal(err)
	}
	files["promise.json"] = &fstest.MapFile{Data: []byte(promised)}
	target, err := json.Marshal(targetFile{Address: db.Address, ServerName: mariadbtest.ServerName, Session: "ns/db", Member: "database",
		Account: mariadbtest.Account, Subject: mariadbtest.Subject, Issuer: mariadbtest.Issuer})
	if err != nil {
		t.Fatal(err)
	}
	files["target.json"] = &fstest.MapFile{Data: target}
	publicKey, privateKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	privateDER, err := x509.MarshalPKCS8PrivateKey(privateKey)
	if err != nil {
		t.Fatal(err)
	}
	publicDER, err := x509.MarshalPKIXPublicKey(publicKey)
	if err != nil {
		t.Fatal(err)
	}
	files["statement.key"] = &fstest.MapFile{Data: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: privateDER})}
	return files, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: publicDER})
}

func newRun(files fstest.MapFS) run {
	return run{files: files, keyDirectory: db.KeyDirectory, question: question{nonce: nonce, verifier: strings.Repeat("1b", 16)}, now: time.Now, random: rand.Reader,
		wait: func(context.Context, time.Duration) error { return context.Canceled }}
}

func TestStatementOfAGoodServer(t *testing.T) {
	files, public := injected(t)
	line, err := newRun(files).statement(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(line, []byte(mariadbtest.Password)) {
		t.Error("the statement holds the password")
	}
	got, err := evidence.VerifyStatement(line, public, nonce, "ns/db")
	if err != nil {
		t.Fatal(err)
	}
	if verdict := got.Findings.Verdict(); verdict != check.Affirming {
		t.Errorf("got %v: %+v, want affirming", verdict, got.Findings)
	}
	if got.Server == nil || got.Server.CASPKISHA256 != evidence.SHA256(db.CA.Certificate.RawSubjectPublicKeyInfo) || got.Connections.Greeting == 0 || len(got.Limitations) == 0 {
		t.Errorf("got %+v", got)
	}
}

func TestStatementOfAnUnreachableServer(t *testing.T) {
	files, public := injected(t)
	files["target.json"].Data = bytes.ReplaceAll(files["target.json"].Data, []byte(db.Address), []byte("127.0.0.1:1"))
	line, err := newRun(files).statement(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got, err := evidence.VerifyStatement(line, public, nonce, "ns/db")
	if err != nil || got.Server != nil || got.Findings.Verdict() != check.None {
		t.Errorf("got %+v and %v, want a statement that proves nothing", got, err)
	}
}

// A session of an earlier version says nothing of what was promised; the password of the
// application's account is compared with the one that CAS gave.
func TestStatementAboutThePromise(t *testing.T) {
	for name, c := range map[string]struct {
		change func(fstest.MapFS)
		want   check.Outcome
	}{
		"no promise":       {func(f fstest.MapFS) { delete(f, "promise.json") }, check.Skip},
		"another password": {func(f fstest.MapFS) { f["app.password"].Data = []byte("another") }, check.Fail},
		"no password":      {func(f fstest.MapFS) { delete(f, "app.password") }, check.Pass},
		"another account": {func(f fstest.MapFS) {
			f["promise.json"].Data = bytes.ReplaceAll(f["promise.json"].Data, []byte("confidb_app"), []byte("confidb_apq"))
		}, check.Fail},
	} {
		files, public := injected(t)
		c.change(files)
		line, err := newRun(files).statement(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got, err := evidence.VerifyStatement(line, public, nonce, "ns/db")
		if err != nil {
			t.Fatal(err)
		}
		if f, _ := got.Findings.Find("acc-04"); f.Outcome != c.want || strings.Contains(fmt.Sprint(got), db.Hash) {
			t.Errorf("%s: got %+v, want %s", name, f, c.want)
		}
	}
}

// What the host hands on is of a known form, and stands in no statement of SQL otherwise.
func TestQuestion(t *testing.T) {
	verifier, mark := strings.Repeat("1b", 16), strings.Repeat("2c", 32)
	for _, c := range []struct {
		nonce, verifier, mark string
		want                  question
		good                  bool
	}{
		{nonce, verifier, mark, question{nonce, verifier, mark}, true},
		{nonce, verifier, "", question{nonce, verifier, ""}, true},
		{nonce, verifier, "none", question{nonce, verifier, ""}, true},
		{nonce, "none", "none", question{nonce, "", ""}, true},
		{nonce, "", "", question{nonce, "", ""}, true},
		{"none", verifier, mark, question{"none", verifier, mark}, false},
		{nonce, "", mark, question{nonce, "", mark}, false},
		{nonce, strings.ToUpper(verifier), mark, question{nonce, strings.ToUpper(verifier), mark}, false},
		{nonce, verifier[1:] + "'", "", question{nonce, verifier[1:] + "'", ""}, false},
		{nonce, mark, "", question{nonce, mark, ""}, false},
		{nonce, verifier, verifier, question{nonce, verifier, verifier}, false},
	} {
		got := readQuestion(func(name string) string {
			return map[string]string{"CONFIDB_NONCE": c.nonce, "CONFIDB_VERIFIER": c.verifier, "CONFIDB_MARK": c.mark}[name]
		})
		if err := got.validate(); got != c.want || (err == nil) != c.good {
			t.Errorf("got %+v, %v, want %+v", got, err, c.want)
		}
	}
}

func TestInputThatIsRefused(t *testing.T) {
	for name, change := range map[string]func(fstest.MapFS){
		"no key":         func(f fstest.MapFS) { delete(f, "statement.key") },
		"no password":    func(f fstest.MapFS) { f["verify.password"].Data = nil },
		"unknown member": func(f fstest.MapFS) { f["target.json"].Data = []byte(`{"x":1}`) },
		"wrong key":      func(f fstest.MapFS) { f["verify.key"] = f["stranger.key"] },
		"no promise":     func(f fstest.MapFS) { f["promise.json"].Data = []byte(`{"x":1}`) },
		"no CA":          func(f fstest.MapFS) { f["ca.crt"].Data = []byte("x") },
	} {
		files, _ := injected(t)
		change(files)
		if line, err := newRun(files).statement(t.Context()); err == nil {
			t.Errorf("%s: got %s, want an error", name, line)
		}
	}
	var stdout, stderr bytes.Buffer
	if code := Main([]string{"x"}, func(string) string { return "" }, &stdout, &stderr); code != 2 || stdout.Len() > 0 {
		t.Errorf("got %d and %q, want 2", code, &stdout)
	}
	if code := Main(nil, func(string) string { return "" }, &stdout, &stderr); code != 1 || stdout.Len() > 0 {
		t.Errorf("got %d and %q, want 1", code, &stdout)
	}
}
