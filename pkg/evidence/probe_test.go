package evidence

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/check"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
)

func testKey(t testing.TB, seed byte) (private, public []byte) {
	t.Helper()
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
	privateDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	publicDER, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: privateDER}), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: publicDER})
}

func testPredicate() *Predicate {
	return &Predicate{Nonce: strings.Repeat("0a", 16), Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Session: "ns/db", Address: "db:3306",
		ServerName: "db", Member: "database", Account: "confidb_verify", ClientLeafSHA256: strings.Repeat("ab", 32),
		Findings: check.Report{{ID: "tls-01", Title: "t", Hint: "h"}}, Limitations: []Limitation{{ID: "a", Text: "b"}}}
}

func TestVerifyStatement(t *testing.T) {
	private, public := testKey(t, 1)
	_, otherPublic := testKey(t, 2)
	predicate := testPredicate()
	line, err := SignStatement(predicate, private)
	if err != nil {
		t.Fatal(err)
	}
	for name, refused := range map[string]func() error{
		"another key":     func() error { _, err := VerifyStatement(line, otherPublic, predicate.Nonce, "ns/db"); return err },
		"another nonce":   func() error { _, err := VerifyStatement(line, public, strings.Repeat("0b", 16), "ns/db"); return err },
		"another session": func() error { _, err := VerifyStatement(line, public, predicate.Nonce, "ns/other"); return err },
		"no key":          func() error { _, err := VerifyStatement(line, nil, predicate.Nonce, "ns/db"); return err },
		"two lines": func() error {
			_, err := VerifyStatement(append(bytes.Clone(line), line...), public, predicate.Nonce, "ns/db")
			return err
		},
		"too long": func() error {
			_, err := VerifyStatement(make([]byte, MaxStatementBytes+1), public, predicate.Nonce, "ns/db")
			return err
		},
	} {
		if err := refused(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for i := range len(line) - 1 {
		changed := bytes.Clone(line)
		changed[i] ^= 1
		if _, err := VerifyStatement(changed, public, predicate.Nonce, "ns/db"); err == nil {
			t.Fatalf("accepted with byte %d changed: %q", i, changed)
		}
	}
	if bytes.Count(line, []byte("\n")) != 1 {
		t.Errorf("got %d ends of lines, want 1", bytes.Count(line, []byte("\n")))
	}
	got, err := VerifyStatement(line, public, predicate.Nonce, "ns/db")
	if err != nil || got.Address != "db:3306" {
		t.Errorf("got %+v and %v, want the predicate", got, err)
	}
}

func TestParseStatementIsStrict(t *testing.T) {
	for _, text := range []string{"", "{}", `{"_type":"https://in-toto.io/Statement/v1","extra":1}`, "[]"} {
		if _, err := parseStatement([]byte(text)); err == nil {
			t.Errorf("accepted %q", text)
		}
	}
}

func TestSignStatementRefuses(t *testing.T) {
	private, public := testKey(t, 1)
	if _, err := SignStatement(testPredicate(), public); err == nil {
		t.Error("signed with a public key")
	}
	for name, change := range map[string]func(*Predicate){
		"nonce": func(p *Predicate) { p.Nonce = "00" }, "time": func(p *Predicate) { p.Time = time.Time{} }, "findings": func(p *Predicate) { p.Findings = nil },
		"client": func(p *Predicate) { p.ClientLeafSHA256 = "" }, "server": func(p *Predicate) { p.Server = &Server{} }, "session": func(p *Predicate) { p.Session = "" }, "member": func(p *Predicate) { p.Member = "" },
		"twice": func(p *Predicate) { p.Findings = append(p.Findings, p.Findings[0]) },
		"twice about one": func(p *Predicate) {
			about := check.Finding{ID: "mtls-09", Title: "x", Subject: "x"}
			p.Findings = append(p.Findings, about, about)
		},
	} {
		predicate := testPredicate()
		change(predicate)
		if _, err := SignStatement(predicate, private); err == nil {
			t.Errorf("%s: signed", name)
		}
	}
}

func FuzzVerifyStatement(f *testing.F) {
	private, public := testKey(f, 1)
	line, err := SignStatement(testPredicate(), private)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(line)
	f.Fuzz(func(_ *testing.T, envelope []byte) { VerifyStatement(envelope, public, testPredicate().Nonce, "ns/db") })
}

// A runtime may write lines of JSON, too: the statement is known by its envelope's type.
func TestStatementIn(t *testing.T) {
	private, public := testKey(t, 1)
	predicate := testPredicate()
	line, err := SignStatement(predicate, private)
	if err != nil {
		t.Fatal(err)
	}
	for name, before := range map[string]string{
		"nothing": "", "a line": "[SCONE|INFO] starting\n", "JSON": `{"level":"info","msg":"x"}` + "\n", "an empty object": "{}\n",
		"another envelope": `{"payloadType":"text/plain","payload":"","signatures":[]}` + "\n", "half a line": "{\n", "a list": "[{}]\n",
		"the type in a text": `{"msg":"payloadType application/vnd.in-toto+json"}` + "\n",
	} {
		output := append(append([]byte(before), line...), `{"level":"info","msg":"ended"}`...)
		if _, err := VerifyStatement(StatementIn(output), public, predicate.Nonce, predicate.Session); err != nil {
			t.Errorf("after %s: %v", name, err)
		}
		if got := StatementIn([]byte(before)); got != nil {
			t.Errorf("%s: got %q as a statement", name, got)
		}
	}
}

// A statement that is signed by the right key and is not written as this program writes it
// is none: whoever reads it in another way would read something else.
func TestOtherWaysToWriteAStatement(t *testing.T) {
	private, public := testKey(t, 1)
	predicate := testPredicate()
	predicate.Findings[0].Outcome = check.Pass
	line, err := SignStatement(predicate, private)
	if err != nil {
		t.Fatal(err)
	}
	var envelope dsse.Envelope
	if err := json.Unmarshal(line, &envelope); err != nil {
		t.Fatal(err)
	}
	payload, err := base64.StdEncoding.DecodeString(envelope.Payload)
	if err != nil {
		t.Fatal(err)
	}
	key, err := parsePrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	signed := func(payloadType, text string) []byte {
		signer, err := dsse.NewEnvelopeSigner(signingKey{key})
		if err != nil {
			t.Fatal(err)
		}
		made, err := signer.SignPayload(t.Context(), payloadType, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		written, err := json.Marshal(made)
		if err != nil {
			t.Fatal(err)
		}
		return written
	}
	accepts := func(line []byte) bool {
		_, err := VerifyStatement(line, public, predicate.Nonce, predicate.Session)
		return err == nil
	}
	if !accepts(signed(PayloadType, string(payload))) {
		t.Fatal("the statement itself is refused")
	}
	for _, change := range [][2]string{
		{`"outcome":"`, `"outcome":"fail","outcome":"`}, {`"outcome":"`, `"Outcome":"`}, {`"outcome":"pass"`, `"outcome":"passed"`}, {`"outcome":"pass"`, `"outcome":1`}, {`"outcome":"pass"`, `"outcome":"PASS"`},
		{`"findings":[`, `"findings":[],"findings":[`}, {`"nonce":"`, `"Nonce":"x","nonce":"`}, {`"nonce":"`, `"nonce" :"`}, {`"_type":"`, `"_type":"x","_type":"`}, {`"subject":[`, `"subject":[],"subject":[`},
		{`"predicateType":"https://confidb.dev/probe/v1"`, `"predicateType":"https://confidb.dev/probe/v2"`}, {`"sha256":"`, `"sha512":"","sha256":"`}, {`"name":"client"`, `"name":"server"`},
		{`"session":"`, `"ſession":"`}, {`{"_type"`, `[{"_type"`}, {`}`, `,"extra":null}`}, {`"connections":{"greeting":`, `"connections":{"greeting":1e0,"x":`}, {`Z"`, `+00:00"`}, {`Z"`, `.000Z"`}, {`"id":"tls`, `"id":"\u0074ls`},
	} {
		if text := strings.Replace(string(payload), change[0], change[1], 1); accepts(signed(PayloadType, text)) {
			t.Errorf("%s instead of %s is accepted", change[1], change[0])
		}
	}
	for name, text := range map[string]string{"a space after": string(payload) + " ", "two statements": string(payload) + string(payload), "a mark before": "\ufeff" + string(payload), "nothing": "", "null": "null", "an end": string(payload) + "\n"} {
		if accepts(signed(PayloadType, text)) {
			t.Errorf("%s is accepted", name)
		}
	}
	for _, payloadType := range []string{"", "application/json", PayloadType + "; charset=utf-8", strings.ToUpper(PayloadType)} {
		if accepts(signed(payloadType, string(payload))) {
			t.Errorf("the type %q is accepted", payloadType)
		}
	}
	again := func(change func(*dsse.Envelope)) []byte {
		other := envelope
		other.Signatures = slices.Clone(envelope.Signatures)
		change(&other)
		written, err := json.Marshal(other)
		if err != nil {
			t.Fatal(err)
		}
		return written
	}
	for name, written := range map[string][]byte{
		"two signatures": again(func(e *dsse.Envelope) { e.Signatures = append(e.Signatures, e.Signatures[0]) }),
		"no signature":   again(func(e *dsse.Envelope) { e.Signatures = nil }),
		"base64 of URLs": again(func(e *dsse.Envelope) {
			e.Signatures[0].Sig = strings.NewReplacer("+", "-", "/", "_").Replace(e.Signatures[0].Sig) + "="
		}),
		"another key's name": again(func(e *dsse.Envelope) { e.Signatures[0].KeyID = "" }),
		"a member twice":     []byte(strings.Replace(string(line), `"payloadType":`, `"payloadType":"x","payloadType":`, 1)),
		"an unknown member":  []byte(strings.Replace(string(line), `"payloadType":`, `"x":1,"payloadType":`, 1)),
		"something after":    append(bytes.Clone(line), '{', '}'),
	} {
		if accepts(written) {
			t.Errorf("%s is accepted", name)
		}
	}
}
